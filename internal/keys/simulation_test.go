package keys

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/internal/seal"
)

// world is a cluster with several replicas whose clocks differ, that see changes late, and that die at any moment.
type world struct {
	t        *testing.T
	random   *rand.Rand
	chacha   *rand.ChaCha8
	store    *memory
	now      time.Time
	replicas []*process
	policy   Policy
	asked    time.Time
	// seals are all that was ever sealed.
	seals []*sealed
	// wished counts how often a new key was due.
	wished int
	born   int
}

// process is a replica with what it has seen.
type process struct {
	name     string
	skew     time.Duration
	seen     time.Time
	doc      *Document
	private  []ed25519.PrivateKey
	reported Replica
}

type sealed struct {
	payload *seal.Act
	text    string
}

const (
	// lag is how old what a replica has seen may be. With the difference of two clocks it is within the grace of a key.
	lag       = 50 * time.Second
	clocks    = seal.MaxSkew / 2
	simulated = 300
)

func (w *world) clock(p *process) time.Time { return w.now.Add(p.skew).Truncate(time.Millisecond) }

func (w *world) start() {
	w.born++
	p := &process{name: fmt.Sprint("replica-", w.born), skew: time.Duration(w.random.Int64N(int64(2*clocks))) - clocks}
	w.refresh(p)
	w.replicas = append(w.replicas, p)
}

// refresh lets a replica see what is there, and report.
func (w *world) refresh(p *process) {
	p.doc, p.private, p.seen = w.store.doc(w.t), w.store.private(w.t), w.now
	d := w.decide(p, p.doc, p.private)
	p.reported = Replica{Name: p.name, Signs: d.Sign}
	for _, key := range p.doc.of(seal.Admission) {
		p.reported.Knows = append(p.reported.Knows, key.ID())
	}
}

func (w *world) decide(p *process, doc *Document, private []ed25519.PrivateKey) Decision {
	o := &Observed{Purpose: seal.Admission, Document: doc, PrivateSince: w.store.since, Sealed: len(w.seals) > 0, Asked: w.asked, Now: w.clock(p)}
	for _, key := range private {
		o.Private = append(o.Private, idOf(key))
	}
	for _, other := range w.replicas {
		o.Replicas = append(o.Replicas, other.reported)
	}
	return Decide(o, w.policy)
}

// lead lets a replica decide live and write, and perhaps die while it does.
func (w *world) lead(p *process) {
	d := w.decide(p, w.store.doc(w.t), w.store.private(w.t))
	if d.Next == nil {
		return
	}
	if d.Next.Kind == CreateNext {
		w.wished++
	}
	if d.State == KeyLost || d.State == Ended {
		w.t.Fatalf("%s although nothing was lost: %s", d.State, d.Message)
	}
	w.store.now, w.store.writes = w.now, -1
	if w.random.IntN(4) == 0 {
		w.store.writes = w.random.IntN(2)
	}
	if err := Apply(w.t.Context(), w.store, seal.Admission, d.Next, w.store.private(w.t), w.chacha); err != nil && !errors.Is(err, errCrash) {
		w.t.Fatalf("failed to do %+v: %v", d.Next, err)
	}
}

// sign lets a replica seal something by what it has seen.
func (w *world) sign(p *process) {
	d := w.decide(p, p.doc, p.private)
	if d.Sign == "" {
		return
	}
	i := slices.IndexFunc(p.private, func(k ed25519.PrivateKey) bool { return idOf(k) == d.Sign })
	if i < 0 {
		w.t.Fatalf("%s is to sign with %s, which it does not have", p.name, d.Sign)
	}
	signer, err := seal.NewSigner(seal.Admission, p.private[i])
	if err != nil {
		w.t.Fatal(err)
	}
	empty, err := seal.ParsePayload(seal.TypeEdit, fmt.Appendf(nil,
		`{"cluster":"c","resource":"r","iat":%d,"name":"n","uid":"u","actor":{"username":"x"},"content":"sha256:%064d"}`, w.clock(p).UnixMilli(), len(w.seals)))
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := signer.Sign(empty)
	if err != nil {
		w.t.Fatal(err)
	}
	w.seals = append(w.seals, &sealed{payload: empty.(*seal.Act), text: e.Seal.String()})
}

// check verifies the latest seals and some earlier ones that are still of interest: live they are valid, and also for a replica that lags
// behind. Only the first key may be used before everybody knows it: there is nothing else to sign with, and who does not know it waits.
func (w *world) check(verifier *seal.Verifier) {
	for i := len(w.seals) - 1; i >= 0; i -= 1 + w.random.IntN(len(w.seals)/4+1) {
		s := w.seals[i]
		if w.now.Sub(s.payload.Issued()) > w.policy.KeepFor-2*seal.MaxSkew {
			break
		}
		if _, err := verifier.Verify(s.payload, s.text, w.ring(w.store.doc(w.t))); err != nil {
			w.t.Fatalf("at %s a seal of %s is not valid: %v", w.now, s.payload.Issued(), err)
		}
		for _, p := range w.replicas {
			_, err := verifier.Verify(s.payload, s.text, w.ring(p.doc))
			if err != nil && (!seal.ReasonOf(err).Wait() || w.store.made > 1) {
				w.t.Fatalf("at %s %s refuses a seal of %s: %v", w.now, p.name, s.payload.Issued(), err)
			}
		}
	}
}

func (w *world) ring(doc *Document) *seal.Keyring {
	ring, err := doc.Keyring()
	if err != nil {
		w.t.Fatal(err)
	}
	return ring
}

// TestSimulation plays rotations with replicas that come, go, lag and die. Whatever happens, a seal that any replica makes is valid by the
// live keys for as long as it is of interest, no key is made that nobody wished for, and rotations come to an end.
func TestSimulation(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &world{
				t: t, random: rand.New(rand.NewPCG(seed, 1)), chacha: rand.NewChaCha8([32]byte{byte(seed)}),
				store: &memory{}, now: noon, policy: Policy{KeepFor: 20 * time.Minute},
			}
			w.start()
			verifier := seal.NewVerifier(1 << 12)
			for range simulated {
				w.turn()
				w.check(verifier)
			}
			w.calm()
			if w.store.made < 3 || w.store.made > w.wished+1 {
				t.Errorf("%d keys were made, and %d were wished for", w.store.made, w.wished)
			}
			if n := len(w.store.doc(t).Keys); n != 1 || len(w.store.secret) != 1 {
				t.Errorf("at the end there are %d public and %d private keys", n, len(w.store.secret))
			}
			if len(w.seals) < simulated/4 {
				t.Errorf("only %d seals were made", len(w.seals))
			}
		})
	}
}

// turn lets a few seconds pass, in which something happens.
func (w *world) turn() {
	w.now = w.now.Add(time.Duration(w.random.IntN(10_000)) * time.Millisecond)
	switch w.random.IntN(30) {
	case 0:
		if len(w.replicas) < 4 {
			w.start()
		}
	case 1:
		if len(w.replicas) > 1 {
			w.replicas = w.replicas[1:]
		}
	case 2:
		w.asked = w.now
	}
	for _, p := range w.replicas {
		if w.now.Sub(p.seen) > lag-10*time.Second || w.random.IntN(4) == 0 {
			w.refresh(p)
		}
		if w.random.IntN(2) == 0 {
			w.sign(p)
		}
	}
	if w.random.IntN(3) == 0 {
		w.lead(w.replicas[w.random.IntN(len(w.replicas))])
	}
}

// calm lets everything come to an end.
func (w *world) calm() {
	w.asked = time.Time{}
	for range 120 {
		w.now = w.now.Add(30 * time.Second)
		for _, p := range w.replicas {
			w.refresh(p)
		}
		w.lead(w.replicas[0])
	}
}

// TestLossIsNeverSilent takes the private keys away at every point of a rotation: until a person asks, nothing is signed and nothing made.
func TestLossIsNeverSilent(t *testing.T) {
	for seed := range uint64(10) {
		w := &world{
			t: t, random: rand.New(rand.NewPCG(seed, 2)), chacha: rand.NewChaCha8([32]byte{byte(seed)}),
			store: &memory{}, now: noon, policy: Policy{KeepFor: 20 * time.Minute, MaxAge: 5 * time.Minute},
		}
		w.start()
		for range 20 + w.random.IntN(200) {
			w.turn()
		}
		if len(w.seals) == 0 {
			continue
		}
		w.asked = time.Time{}
		w.store.secret = nil
		if w.random.IntN(2) == 0 {
			w.store.document = nil
		}
		before := w.store.made
		for range 50 {
			w.now = w.now.Add(time.Minute)
			d := w.decide(w.replicas[0], w.store.doc(t), nil)
			if d.State != KeyLost || d.Sign != "" || d.Next != nil {
				t.Fatalf("seed %d: after the loss it is %+v", seed, d)
			}
		}
		if w.store.made != before {
			t.Errorf("seed %d: a key was made silently", seed)
		}
		w.asked = w.now
		w.recover(seed)
	}
}

// recover makes the key that a person asked for.
func (w *world) recover(seed uint64) {
	w.now, w.store.writes = w.now.Add(time.Minute), -1
	d := w.decide(w.replicas[0], w.store.doc(w.t), nil)
	if d.Next == nil || d.Next.Kind != CreateNext {
		w.t.Fatalf("seed %d: somebody asked for a new key, and it is %+v", seed, d)
	}
	if err := Apply(w.t.Context(), w.store, seal.Admission, d.Next, nil, w.chacha); err != nil {
		w.t.Fatal(err)
	}
	if d := w.decide(w.replicas[0], w.store.doc(w.t), w.store.private(w.t)); d.Sign == "" || (d.State != Ready && d.State != Rotating) {
		w.t.Errorf("seed %d: with the new key it is %+v", seed, d)
	}
}
