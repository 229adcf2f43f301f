package keys

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/internal/seal"
)

var errCrash = errors.New("the process died")

// memory is a Store in memory. It dies after so many writes.
type memory struct {
	document []byte
	secret   map[string][]byte
	since    time.Time
	now      time.Time
	// writes are left until it dies. Negative: it does not.
	writes int
	made   int
}

func (m *memory) alive() error {
	if m.writes == 0 {
		return errCrash
	}
	m.writes--
	return nil
}

func (m *memory) CreatePrivate(_ context.Context, _ seal.Purpose, id string, pem []byte) error {
	if m.secret != nil {
		return errors.New("there is one")
	}
	if err := m.alive(); err != nil {
		return err
	}
	m.secret, m.since, m.made = map[string][]byte{EntryName(id): pem}, m.now, m.made+1
	return nil
}

func (m *memory) AddPrivate(_ context.Context, _ seal.Purpose, id string, pem []byte) error {
	if err := m.alive(); err != nil {
		return err
	}
	if m.secret == nil {
		m.secret, m.since = map[string][]byte{}, m.now
	}
	m.secret[EntryName(id)] = pem
	m.made++
	return nil
}

func (m *memory) RemovePrivate(_ context.Context, _ seal.Purpose, id string) error {
	if err := m.alive(); err != nil {
		return err
	}
	delete(m.secret, EntryName(id))
	return nil
}

func (m *memory) ChangeDocument(_ context.Context, change func(*Document) (*Document, error)) error {
	var doc *Document
	if m.document != nil {
		read, err := ParseDocument(m.document)
		if err != nil {
			return err
		}
		doc = read
	}
	changed, err := change(doc)
	if err != nil {
		return err
	}
	if err := m.alive(); err != nil {
		return err
	}
	m.document, err = changed.Encode()
	return err
}

func (m *memory) doc(t *testing.T) *Document {
	t.Helper()
	if m.document == nil {
		return nil
	}
	doc, err := ParseDocument(m.document)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func (m *memory) private(t *testing.T) []ed25519.PrivateKey {
	t.Helper()
	private, err := ParseSecret(m.secret)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func (m *memory) observe(t *testing.T) *Observed {
	t.Helper()
	o := &Observed{Purpose: seal.Admission, Document: m.doc(t), PrivateSince: m.since, Now: m.now}
	for _, key := range m.private(t) {
		o.Private = append(o.Private, idOf(key))
	}
	return o
}

func TestApplyFromNothing(t *testing.T) {
	m := &memory{now: noon, writes: -1}
	for _, want := range []StepKind{CreateFirst, Publish} {
		d := Decide(m.observe(t), Policy{})
		if d.Next == nil || d.Next.Kind != want || d.Sign != "" {
			t.Fatalf("got %+v, want %s, and nothing signed before", d, want)
		}
		if err := Apply(t.Context(), m, seal.Admission, d.Next, m.private(t), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	d := Decide(m.observe(t), Policy{})
	if d.State != Ready || d.Next != nil || d.Sign != idOf(m.private(t)[0]) {
		t.Errorf("got %+v", d)
	}
	if key := m.doc(t).Keys[0]; !key.NotBefore.Equal(noon.Add(-before)) || key.Purpose != seal.Admission {
		t.Errorf("published is %+v", key)
	}
}

func TestApplyChecksAgain(t *testing.T) {
	a := public("a", seal.Admission, -time.Hour, 0, 0)
	retired := public("a", seal.Admission, -time.Hour, time.Hour, 0)
	for name, tc := range map[string]struct {
		reason string
		doc    *Document
		step   *Step
		want   error
		left   *Document
	}{
		"Retire":        {"it is in use", &Document{Keys: []seal.PublicKey{a}}, step(Retire, time.Hour, "a"), nil, &Document{Keys: []seal.PublicKey{retired}}},
		"RetireAgain":   {"another replica was faster", &Document{Keys: []seal.PublicKey{retired}}, step(Retire, 2*time.Hour, "a"), errChanged, nil},
		"RetireGone":    {"another replica was faster", &Document{}, step(Retire, time.Hour, "a"), errChanged, nil},
		"RetireNothing": {"the document is gone", nil, step(Retire, time.Hour, "a"), errChanged, nil},
		"Drop":          {"it has ended", &Document{Keys: []seal.PublicKey{retired}}, step(Drop, 0, "a"), nil, &Document{}},
		"DropInUse":     {"it has not ended", &Document{Keys: []seal.PublicKey{a}}, step(Drop, 0, "a"), nil, &Document{Keys: []seal.PublicKey{a}}},
		"DropNothing":   {"the document is gone", nil, step(Drop, 0, "a"), errChanged, nil},
		"Publish":       {"there is none yet", nil, step(Publish, -time.Hour, "a"), nil, &Document{Keys: []seal.PublicKey{a}}},
		"PublishLate":   {"another replica was faster", &Document{Keys: []seal.PublicKey{public("b", seal.Admission, 0, 0, 0)}}, step(Publish, -time.Hour, "a"), errChanged, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{now: noon, writes: -1}
			if tc.doc != nil {
				m.document, _ = tc.doc.Encode()
			}
			was := m.document
			err := Apply(t.Context(), m, seal.Admission, tc.step, []ed25519.PrivateKey{testKey("a"), testKey("b")}, rand.Reader)
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Fatalf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			if err != nil {
				if !bytes.Equal(was, m.document) {
					t.Errorf("%s: it was written all the same", tc.reason)
				}
				return
			}
			if diff := cmp.Diff(tc.left, m.doc(t)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestApplyFails(t *testing.T) {
	m := &memory{now: noon, writes: -1, secret: map[string][]byte{}}
	for name, tc := range map[string]struct {
		reason string
		step   *Step
		random string
		want   string
	}{
		"Race":      {"another replica has made the first key", step(CreateFirst, 0), strings.Repeat("x", 64), "there is one"},
		"NoRandom":  {"a key that can be guessed is none", step(CreateFirst, 0), "short", "unexpected EOF"},
		"NoRandom2": {"a key that can be guessed is none", step(CreateNext, -before), "", "EOF"},
		"Unknown":   {"nothing is done by mistake", step("Delete", 0, "a"), "", `nobody knows how to do "Delete"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := Apply(t.Context(), m, seal.Admission, tc.step, nil, strings.NewReader(tc.random))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
			if m.document != nil || len(m.secret) != 0 {
				t.Errorf("%s: something was written", tc.reason)
			}
		})
	}
}
