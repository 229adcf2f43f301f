package keyholder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

// TestFirstStart starts on an empty cluster, where no timer may be waited for, and again where keys are.
func TestFirstStart(t *testing.T) {
	p := newPlace(t)
	began := time.Now()
	r := p.start("a")
	p.atOnce(r.Ready)
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))
	ids, versions := map[seal.Purpose]string{}, map[seal.Purpose]string{}
	for _, purpose := range both {
		ids[purpose] = p.sign(r, purpose)
		secret := p.secret(purpose)
		versions[purpose] = secret.ResourceVersion
		if _, ok := secret.Data[keys.EntryName(ids[purpose])]; !ok || len(secret.Data) != 1 {
			t.Errorf("the Secret of the %s key does not hold key %s alone", purpose, ids[purpose])
		}
		if state, message := r.State(purpose); state != keys.Ready || !strings.Contains(message, ids[purpose]) {
			t.Errorf("the %s key is %s: %s", purpose, state, message)
		}
	}
	r.stop()
	if lease := (&coordinationv1.Lease{ObjectMeta: p.meta(replicaPrefix + "a")}); p.get(lease) {
		t.Error("the replica that ended has left its Lease")
	}

	p.sealed.Store(true)
	again := p.start("b")
	p.atOnce(again.Ready)
	for _, purpose := range both {
		if id := p.sign(again, purpose); id != ids[purpose] {
			t.Errorf("after a restart the %s key is %s, and it was %s", purpose, id, ids[purpose])
		}
		if got := p.secret(purpose).ResourceVersion; got != versions[purpose] {
			t.Errorf("the restart wrote the Secret of the %s key", purpose)
		}
	}
}

// TestTwoAtOnce starts two replicas on an empty cluster at the same moment: they agree on the keys.
func TestTwoAtOnce(t *testing.T) {
	p := newPlace(t)
	a, b := p.start("a"), p.start("b")
	p.eventually(func() error { return errors.Join(a.Ready(), b.Ready()) })
	for _, purpose := range both {
		if one, other := p.sign(a, purpose), p.sign(b, purpose); one != other {
			t.Errorf("one replica signs with the %s key %s, the other with %s", purpose, one, other)
		}
		if public, private := p.public(purpose), p.secret(purpose).Data; len(public) != 1 || len(private) != 1 {
			t.Errorf("there are %d public and %d private %s keys", len(public), len(private), purpose)
		}
	}
}

// TestRotation replaces a key because a person asks, with two replicas, until nothing of the old one is left. Whatever one of them seals
// meanwhile, the other finds valid.
func TestRotation(t *testing.T) {
	p := newPlace(t)
	a, b := p.ready("a"), p.ready("b")
	old := p.sign(a, seal.Admission)
	other := p.sign(a, seal.Controller)
	p.sealed.Store(true)
	agree := func() error {
		for _, pair := range [][2]*replica{{a, b}, {b, a}} {
			what := p.payload(seal.Admission)
			e, err := pair[0].Sign(what)
			if err != nil {
				return err
			}
			if _, known := pair[1].Keyring().Get(e.Seal.KeyID); !known {
				t.Errorf("a replica signs with %s before all know it", e.Seal.KeyID)
			}
			if _, err := seal.Verify(what, e.Seal.String(), pair[1].Keyring()); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	p.ask(seal.Admission)
	retired := func() time.Time {
		for _, key := range p.public(seal.Admission) {
			if key.ID() == old {
				return key.RetiredAt
			}
		}
		return time.Time{}
	}
	p.eventually(func() error {
		if err := agree(); err != nil {
			return err
		}
		if retired().IsZero() {
			_, message := a.State(seal.Admission)
			return fmt.Errorf("key %s is not retired: %s", old, message)
		}
		return nil
	})
	if got := retired().Sub(p.clock.Now()); got < seal.MaxSkew || got > 2*seal.MaxSkew {
		t.Errorf("the old key is retired in %s", got)
	}
	fresh := p.sign(a, seal.Admission)
	if fresh == old || p.sign(b, seal.Admission) != fresh {
		t.Errorf("after the rotation the replicas sign with %s and %s; the old key is %s", fresh, p.sign(b, seal.Admission), old)
	}
	for _, name := range []string{"a", "b"} {
		lease := &coordinationv1.Lease{ObjectMeta: p.meta(replicaPrefix + name)}
		if !p.get(lease) || lease.Annotations[annotationSigns+"admission"] != fresh || lease.Annotations[annotationSigns+"controller"] != other ||
			!strings.Contains(lease.Annotations[annotationKnows], fresh) {
			t.Errorf("the old key was retired before %s reported the new one: %v", name, lease.Annotations)
		}
	}
	if _, ok := p.secret(seal.Admission).Data[keys.EntryName(old)]; !ok {
		t.Error("the old private key was removed before its end")
	}

	p.clock.Step(2 * seal.MaxSkew)
	p.eventually(func() error {
		if data := p.secret(seal.Admission).Data; len(data) != 1 {
			return fmt.Errorf("there are %d private keys", len(data))
		}
		return agree()
	})
	p.clock.Step(keepFor)
	p.eventually(func() error {
		if public := p.public(seal.Admission); len(public) != 1 || public[0].ID() != fresh {
			return fmt.Errorf("there are %d public keys", len(public))
		}
		return agree()
	})
	if id := p.sign(a, seal.Controller); id != other {
		t.Errorf("the controller key was replaced too: it is %s, and it was %s", id, other)
	}
}

// TestSilentReplica holds a rotation up for a replica that does not know the new key, until that replica counts as dead, and removes its
// Lease long afterwards.
func TestSilentReplica(t *testing.T) {
	p := newPlace(t)
	r := p.ready("a")
	old := p.sign(r, seal.Controller)
	dead := &coordinationv1.Lease{ObjectMeta: p.meta(replicaPrefix + "dead")}
	dead.Labels = map[string]string{LabelReplica: "true"}
	dead.Annotations = map[string]string{annotationKnows: old, annotationSigns + "controller": old}
	dead.Spec.RenewTime = &metav1.MicroTime{Time: p.clock.Now()}
	if err := admin.Create(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	p.ask(seal.Controller)
	message := p.is(r, seal.Controller, keys.Rotating)
	if p.sign(r, seal.Controller) != old || !strings.Contains(message, "dead does not know") {
		t.Errorf("the rotation does not wait for the silent replica: %s", message)
	}
	p.clock.Step(deadAfter)
	p.eventually(func() error {
		if e, err := r.Sign(p.payload(seal.Controller)); err != nil || e.Seal.KeyID == old {
			return errors.Join(errors.New("it still signs with the old key, or not at all"), err)
		}
		return nil
	})
	if !p.get(dead) {
		t.Error("the Lease of the silent replica was removed at once")
	}
	p.clock.Step(forgottenAfter)
	p.eventually(func() error {
		if p.get(dead) {
			return errors.New("the Lease of the dead replica is there")
		}
		return nil
	})
}

// TestLost takes keys away. Nothing is signed and nothing made, until a person asks.
func TestLost(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		document bool
		restart  bool
	}{
		"Secret":       {reason: "a watch reports that the Secret is gone"},
		"Restart":      {reason: "a process that starts does not take a lost key for a first start", restart: true},
		"Both":         {reason: "without any key, that something is sealed tells", document: true},
		"Both restart": {reason: "without any key, that something is sealed tells a new process too", document: true, restart: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			r := p.ready("a")
			old := p.sign(r, seal.Admission)
			p.sealed.Store(true)
			if tc.restart {
				r.stop()
			}
			p.remove(p.secret(seal.Admission))
			if tc.document {
				p.remove(p.configMap())
			}
			if tc.restart {
				r = p.start("b")
			}
			p.turns(r, seal.Admission, keys.KeyLost)
			p.refuses(r, seal.Admission, Lost)
			p.passes(r)
			p.is(r, seal.Admission, keys.KeyLost)
			if p.secret(seal.Admission) != nil {
				t.Fatalf("%s: a key was made silently", tc.reason)
			}

			p.ask(seal.Admission)
			p.eventually(r.Ready)
			if fresh := p.sign(r, seal.Admission); fresh == old {
				t.Errorf("%s: the lost key %s signs", tc.reason, old)
			}
		})
	}
}

// TestDocumentLost takes the public keys away. Since it is known how old the private ones are, they are published again, and what was sealed
// stays valid.
func TestDocumentLost(t *testing.T) {
	p := newPlace(t)
	r := p.ready("a")
	what := p.payload(seal.Admission)
	e, err := r.Sign(what)
	if err != nil {
		t.Fatal(err)
	}
	p.sealed.Store(true)
	before := p.configMap().UID
	p.remove(p.configMap())
	p.eventually(func() error {
		if found := p.configMap(); found == nil || found.UID == before {
			return errors.New("the public keys are gone")
		}
		return r.Ready()
	})
	p.eventually(func() error {
		_, err := seal.Verify(what, e.Seal.String(), r.Keyring())
		return err
	})
}

// TestUnfinished starts where a process died after it had stored the first key and before it published it, and where a private key
// is that was never published.
func TestUnfinished(t *testing.T) {
	p := newPlace(t)
	id, raw := newKey(t, "one")
	stray, other := newKey(t, "two")
	secret := &corev1.Secret{ObjectMeta: p.meta(keys.SecretName(seal.Admission)), Data: map[string][]byte{keys.EntryName(id): raw}}
	if err := admin.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	r := p.ready("a")
	if got := p.sign(r, seal.Admission); got != id {
		t.Errorf("key %s signs, and %s was stored", got, id)
	}
	p.get(secret)
	secret.Data[keys.EntryName(stray)] = other
	if err := admin.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	p.eventually(func() error {
		if _, message := r.State(seal.Admission); !strings.Contains(message, "key "+stray) {
			return errors.New(message)
		}
		return nil
	})
	p.passes(r)
	if got := p.sign(r, seal.Admission); got != id || len(p.public(seal.Admission)) != 1 {
		t.Errorf("key %s signs, and there are %d public keys", got, len(p.public(seal.Admission)))
	}
}

// TestRevoked revokes a key as a person does.
func TestRevoked(t *testing.T) {
	p := newPlace(t)
	r := p.ready("a")
	id := p.sign(r, seal.Admission)
	p.edit(func(found *corev1.ConfigMap) {
		now := p.clock.Now().UTC().Format(time.RFC3339)
		found.Data[keys.DocumentKey] = strings.Replace(found.Data[keys.DocumentKey],
			`"purpose": "admission",`, fmt.Sprintf(`"purpose": "admission", "revokedAt": %q,`, now), 1)
	})
	p.turns(r, seal.Admission, keys.Ended)
	p.refuses(r, seal.Admission, Ended)
	p.sign(r, seal.Controller)
	p.eventually(func() error {
		if _, there := p.secret(seal.Admission).Data[keys.EntryName(id)]; there {
			return errors.New("the private half is still there")
		}
		return nil
	})
	p.passes(r)
	if public := p.public(seal.Admission); len(public) != 1 {
		t.Errorf("there are %d public keys; a new one was made silently", len(public))
	}
	p.ask(seal.Admission)
	p.eventually(r.Ready)
}

// TestChanged tells of a key that is revoked, and of one that is gone, and nothing while nothing changes.
func TestChanged(t *testing.T) {
	p := newPlace(t)
	var changed atomic.Int32
	r := p.ready("a", func(o *Options) { o.Changed = func() { changed.Add(1) } })
	p.passes(r)
	for name, change := range map[string]func(){
		"Revoked": func() {
			p.edit(func(found *corev1.ConfigMap) {
				now := p.clock.Now().UTC().Format(time.RFC3339)
				found.Data[keys.DocumentKey] = strings.Replace(found.Data[keys.DocumentKey],
					`"purpose": "admission",`, fmt.Sprintf(`"purpose": "admission", "revokedAt": %q,`, now), 1)
			})
		},
		"Lost": func() { p.remove(p.secret(seal.Controller)) },
	} {
		before := changed.Load()
		p.passes(r)
		if now := changed.Load(); now != before {
			t.Errorf("%s: it told %d times that nothing has changed", name, now-before)
		}
		change()
		p.atOnce(func() error {
			if changed.Load() == before {
				return errors.New(name + ": nobody is told")
			}
			return nil
		})
		// What follows from the change is over.
		p.passes(r)
	}
}

// TestUnreadable breaks what is stored. Nothing is signed, nothing is written over it, and nothing of it is shown; a person repairs it.
func TestUnreadable(t *testing.T) {
	const trash = "c2VjcmV0IG1hdGVyaWFs"
	for name, tc := range map[string]struct {
		reason   string
		purposes []seal.Purpose
		breaks   func(p *place) client.Object
	}{
		"Secret": {
			reason: "a key that cannot be read may be the one that is needed", purposes: []seal.Purpose{seal.Controller},
			breaks: func(p *place) client.Object {
				secret := p.secret(seal.Controller)
				secret.Data["note.txt"] = []byte(trash)
				secret.Data["0123456789abcdef.pem"] = []byte(trash)
				return secret
			},
		},
		"Document": {
			reason: "a misspelt revokedAt would revoke nothing", purposes: both,
			breaks: func(p *place) client.Object {
				found := p.configMap()
				found.Data[keys.DocumentKey] = strings.Replace(found.Data[keys.DocumentKey], `"notBefore"`, `"revokedat": "2026-11-23T12:00:00Z", "notBefore"`, 1)
				return found
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			r := p.ready("a")
			p.sealed.Store(true)
			object := tc.breaks(p)
			whole, _ := object.DeepCopyObject().(client.Object)
			p.get(whole)
			if err := admin.Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			for _, purpose := range tc.purposes {
				message := p.is(r, purpose, Unreadable)
				p.refuses(r, purpose, Broken)
				if strings.Contains(message, trash) {
					t.Errorf("%s: what was read is shown: %s", tc.reason, message)
				}
				// A wish does not help either: nobody knows what would be written over.
				p.ask(purpose)
			}
			p.passes(r)
			for _, purpose := range tc.purposes {
				p.is(r, purpose, Unreadable)
				if secret := p.secret(purpose); len(secret.Data) != 1 && len(secret.Data) != 3 {
					t.Errorf("%s: the Secret was written", tc.reason)
				}
			}
			p.atOnce(func() error {
				live, _ := object.DeepCopyObject().(client.Object)
				p.get(live)
				whole.SetResourceVersion(live.GetResourceVersion())
				return admin.Update(t.Context(), whole)
			})
			p.eventually(r.Ready)
		})
	}
}

// TestOnePurpose runs two processes that hold one key each, as identities that can read no other.
func TestOnePurpose(t *testing.T) {
	p := newPlace(t)
	replicas := map[seal.Purpose]*replica{}
	for _, purpose := range both {
		cfg := p.identity(string(purpose), rightsOf(purpose))
		c, err := client.New(cfg, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		replicas[purpose] = p.start(string(purpose), func(o *Options) { o.Client, o.Config, o.Holds = c, cfg, []seal.Purpose{purpose} })
	}
	for _, purpose := range both {
		p.eventually(replicas[purpose].Ready)
	}
	for i, purpose := range both {
		r, other := replicas[purpose], both[1-i]
		p.sign(r, purpose)
		p.refuses(r, other, NotHeld)
		if state, _ := r.State(other); state != Elsewhere {
			t.Errorf("to the process of the %s key the other is %s", purpose, state)
		}
		err := r.options.Client.Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: keys.SecretName(other)}, &corev1.Secret{})
		if !apierrors.IsForbidden(err) {
			t.Errorf("the process of the %s key can read the other: %v", purpose, err)
		}
		typed, err := coreclient.NewForConfig(r.options.Config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := typed.Secrets(p.namespace).Watch(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("the process of the %s key can watch all Secrets: %v", purpose, err)
		}
		if _, err := typed.Secrets(p.namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("the process of the %s key can list all Secrets: %v", purpose, err)
		}
		// What it seals, the other verifies.
		what := p.payload(purpose)
		e, err := r.Sign(what)
		if err != nil {
			t.Fatal(err)
		}
		p.eventually(func() error {
			_, err := seal.Verify(what, e.Seal.String(), replicas[other].Keyring())
			return err
		})
	}
}

// TestForbidden holds both keys with the rights for one only: the other purpose says what is missing, and this one works.
func TestForbidden(t *testing.T) {
	p := newPlace(t)
	p.operator = p.identity("admission", rightsOf(seal.Admission))
	r := p.start("a")
	p.is(r, seal.Admission, keys.Ready)
	p.sign(r, seal.Admission)
	if message := p.is(r, seal.Controller, Unknown); !strings.Contains(message, "signoff-controller-key") || !strings.Contains(message, "Forbidden") {
		t.Errorf("the state does not say what is missing: %s", message)
	}
	p.refuses(r, seal.Controller, NotReady)
}

// broken is a client that reads nothing while it is down, and counts how often the public keys are read.
type broken struct {
	down  atomic.Bool
	reads atomic.Int32
}

func (b *broken) wrap(p *place) func(*Options) {
	return func(o *Options) {
		c, err := client.NewWithWatch(o.Config, client.Options{})
		if err != nil {
			p.t.Fatal(err)
		}
		o.Client = interceptor.NewClient(c, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
				if _, public := object.(*corev1.ConfigMap); public {
					b.reads.Add(1)
				}
				if b.down.Load() {
					return errors.New("the API server is away")
				}
				return c.Get(ctx, key, object, opts...)
			},
		})
	}
}

// TestOutage cuts a replica off. It signs for as long as news may take, and not longer, because the key may be retired meanwhile.
func TestOutage(t *testing.T) {
	p := newPlace(t)
	var b broken
	r := p.ready("a", b.wrap(p))
	b.down.Store(true)
	p.clock.Step(seal.MaxSkew / 2)
	p.sign(r, seal.Admission)
	p.clock.Step(seal.MaxSkew)
	p.refuses(r, seal.Admission, NotReady)
	if r.Refresh(t.Context()) == nil {
		t.Error("the keys were refreshed although nothing can be read")
	}
	if len(r.Keyring().Keys()) != 2 {
		t.Error("the public keys that were read last are gone")
	}
	b.down.Store(false)
	p.eventually(r.Ready)
}

// TestRefresh reads the public keys without a process that follows them, and not more often than once a second.
func TestRefresh(t *testing.T) {
	p := newPlace(t)
	p.ready("a")
	options := p.options("b")
	var b broken
	b.wrap(p)(&options)
	h, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if h.Keyring() == nil || len(h.Keyring().Keys()) != 0 || h.Ready() == nil {
		t.Error("before anything was read, there are keys")
	}
	p.refuses(&replica{Holder: h}, seal.Admission, NotReady)
	for range 3 {
		if err := h.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.reads.Load(); got != 1 || len(h.Keyring().Keys()) != 2 {
		t.Errorf("the public keys were read %d times, and there are %d", got, len(h.Keyring().Keys()))
	}
	p.clock.Step(refreshEvery)
	if err := h.Refresh(t.Context()); err != nil || b.reads.Load() != 2 {
		t.Errorf("a second later they were read %d times: %v", b.reads.Load(), err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	leave, err := h.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	if err := h.Refresh(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("while somebody else reads, a caller that gave up got %v", err)
	}
}

// TestSealedUnknown cannot find out whether anything is sealed: then nothing is made.
func TestSealedUnknown(t *testing.T) {
	p := newPlace(t)
	r := p.start("a", func(o *Options) {
		o.Sealed = func(context.Context, seal.Purpose) (bool, error) { return false, errors.New("no answer") }
	})
	p.eventually(func() error {
		if _, message := r.State(seal.Admission); !strings.Contains(message, "no answer") {
			return errors.New(message)
		}
		return nil
	})
	p.passes(r)
	if state, message := r.State(seal.Admission); state != Unknown || p.secret(seal.Admission) != nil {
		t.Errorf("it is %s: %s", state, message)
	}
}

// TestNothingShown prints a holder in every way, and everything that it says.
func TestNothingShown(t *testing.T) {
	p := newPlace(t)
	r := p.ready("a")
	secret := p.secret(seal.Admission)
	r.stop()
	_, err := r.Sign(p.payload(seal.Controller))
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %v %+v %v", r.Holder, r.Holder, r.Holder, *r.readings, r.current.Load(), err)
	for _, pem := range secret.Data {
		key, err := keys.ParsePrivate(pem)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(pem), "\n")
		for _, form := range []string{
			lines[1], fmt.Sprintf("%x", key.Seed()), strings.Trim(fmt.Sprintf("%d", key.Seed()), "[]"),
			strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", key.Seed()), "[]byte"), "{}"),
		} {
			if len(form) < 20 || strings.Contains(out.String(), form) {
				t.Errorf("the private key is shown as %.12s…", form)
			}
		}
	}
}

// TestMetric shows one state of each purpose. It does not run beside other holders, which would show theirs.
func TestMetric(t *testing.T) {
	options := (&place{t: t, operator: cluster.Admin, clock: clocktesting.NewFakeClock(time.Now())}).options("a")
	options.Namespace = "default"
	h, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	h.current.Store(&view{standings: map[seal.Purpose]*standing{seal.Admission: {state: keys.KeyLost}}})
	h.show()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "signoff_keys_state" && metric.GetGauge().GetValue() == 1 {
				got[metric.GetLabel()[0].GetValue()] += metric.GetLabel()[1].GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]string{"admission": "KeyLost", "controller": "Unknown"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestOptions makes holders that cannot be.
func TestOptions(t *testing.T) {
	p := newPlace(t)
	for name, tc := range map[string]struct {
		reason string
		change func(*Options)
		want   string
	}{
		"Client":  {"nothing can be read", func(o *Options) { o.Client = nil }, "Client"},
		"Sealed":  {"a lost key would look like a first start", func(o *Options) { o.Sealed = nil }, "Sealed"},
		"KeepFor": {"nothing could be verified after a rotation", func(o *Options) { o.KeepFor = 0 }, "KeepFor"},
		"Replica": {"it becomes part of a name", func(o *Options) { o.Replica = "A/b" }, "A/b"},
		"Holds":   {"a process without a key would be ready before it knows any", func(o *Options) { o.Holds = nil }, "Holds"},
		"Purpose": {"there are two", func(o *Options) { o.Holds = []seal.Purpose{"audit"} }, "audit"},
		"Twice":   {"one purpose has one key", func(o *Options) { o.Holds = []seal.Purpose{seal.Admission, seal.Admission} }, "twice"},
		"File": {"a file of a key that is not held is a mistake", func(o *Options) {
			o.Holds, o.Files = []seal.Purpose{seal.Admission}, map[seal.Purpose]string{seal.Controller: "x"}
		}, "does not hold"},
	} {
		t.Run(name, func(t *testing.T) {
			options := p.options("a")
			tc.change(&options)
			if _, err := New(options); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// TestReasons gives each state a reason, and each reason at least one state.
// TestNotBegun is about a holder that has read nothing: whoever waits until it is ready must wait.
func TestNotBegun(t *testing.T) {
	h := &Holder{options: Options{Holds: both, Clock: clocktesting.NewFakeClock(time.Now())}}
	h.current.Store(&view{})
	if err := h.Ready(); ReasonOf(err) != NotReady {
		t.Errorf("it is not ready yet: %v", err)
	}
}

func TestReasons(t *testing.T) {
	got := map[Reason][]keys.State{}
	for _, state := range append(slices.Clone(states), Elsewhere) {
		got[reasonOf(state)] = append(got[reasonOf(state)], state)
	}
	want := map[Reason][]keys.State{
		NotReady: {keys.Absent, keys.Unpublished, keys.Ready, keys.Rotating, Unknown},
		Lost:     {keys.KeyLost, keys.DocumentLost}, Ended: {keys.Ended}, Broken: {Unreadable}, NotHeld: {Elsewhere},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCreatedOnce creates what somebody else has created since it was looked for: nothing is replaced, and nothing added.
func TestCreatedOnce(t *testing.T) {
	p := newPlace(t)
	own, err := client.New(p.operator, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{client: own, namespace: p.namespace}
	for number, id := range []string{"0123456789abcdef", "fedcba9876543210"} {
		if err := s.CreatePrivate(t.Context(), seal.Admission, id, []byte(id)); (err == nil) != (number == 0) {
			t.Errorf("private key %d: %v", number, err)
		}
		if err := s.writeDocument(t.Context(), nil, id); (err == nil) != (number == 0) {
			t.Errorf("public keys %d: %v", number, err)
		}
	}
	secret, public := &corev1.Secret{ObjectMeta: p.meta("signoff-admission-key")}, &corev1.ConfigMap{ObjectMeta: p.meta("signoff-keys")}
	if !p.get(secret) || len(secret.Data) != 1 || secret.Data["0123456789abcdef.pem"] == nil {
		t.Errorf("the Secret has %d entries", len(secret.Data))
	}
	if !p.get(public) || public.Data["keys.json"] != "0123456789abcdef" {
		t.Errorf("the ConfigMap has %v", public.Data)
	}
}
