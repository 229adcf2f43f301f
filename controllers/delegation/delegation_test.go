package delegation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/seal"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// keys has the key of admission, and knows it from the moment on at which it is published.
type keys struct {
	signer *seal.Signer
	ring   *seal.Keyring
}

func newKeys(t *testing.T) *keys {
	t.Helper()
	seed := sha256.Sum256([]byte(t.Name()))
	signer, err := seal.NewSigner(seal.Admission, ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	k := &keys{signer: signer}
	k.publish(t)
	return k
}

func (k *keys) publish(t *testing.T) {
	t.Helper()
	ring, err := seal.NewKeyring(seal.PublicKey{Key: k.signer.Public(), Purpose: seal.Admission, NotBefore: noon.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	k.ring = ring
}

func (k *keys) Sign(p seal.Payload) (*seal.Envelope, error) { return k.signer.Sign(p) }

func (*keys) Keyed(seal.Purpose, []byte) (string, []byte, error) { return "", nil, errors.New("none") }

func (k *keys) Keyring() *seal.Keyring { return k.ring }

func (*keys) Refresh() bool { return true }

// log takes facts, unless it is broken.
type log struct {
	facts  []audit.Event
	broken error
}

func (l *log) Write(facts ...audit.Event) error {
	if l.broken == nil {
		l.facts = append(l.facts, facts...)
	}
	return l.broken
}

// sealed is a Delegation of bob's from one o'clock until two.
func sealed(t *testing.T, book *evidence.Book) *v1alpha1.Delegation {
	t.Helper()
	from := metav1.NewTime(noon.Add(time.Hour))
	d := &v1alpha1.Delegation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "bob", UID: "u", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Spec: v1alpha1.DelegationSpec{
			To: v1alpha1.Delegates{Users: []string{"carol"}}, From: &from, Until: metav1.NewTime(noon.Add(2 * time.Hour)), Principal: &v1alpha1.Identity{Username: "bob"},
		},
		Status: v1alpha1.DelegationStatus{ObservedGeneration: -1},
	}
	if err := book.SealDelegation(d, noon); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestLife follows a Delegation from before it begins until it is over: its state, when it is looked at again, and that one line is written.
func TestLife(t *testing.T) {
	book, taken, clk := evidence.NewBook("c", newKeys(t)), &log{}, clocktesting.NewFakePassiveClock(noon)
	r := world(t, sealed(t, book), book, taken, clk)
	for _, step := range []struct {
		at    time.Duration
		state v1alpha1.DelegationState
		again time.Duration
	}{
		{0, v1alpha1.DelegationPending, time.Hour},
		{time.Hour, v1alpha1.DelegationActive, time.Hour},
		{90 * time.Minute, v1alpha1.DelegationActive, 30 * time.Minute},
		{2 * time.Hour, v1alpha1.DelegationExpired, 0},
	} {
		clk.SetTime(noon.Add(step.at))
		now, result, err := look(t, r)
		if err != nil || now.Status.State != step.state || now.Status.ObservedGeneration != 1 || result.RequeueAfter != step.again {
			t.Errorf("after %s: %s, again after %s, %v; want %s, %s", step.at, now.Status.State, result.RequeueAfter, err, step.state, step.again)
		}
	}
	if len(taken.facts) != 1 || taken.facts[0].Type != audit.TypeDelegated {
		t.Errorf("the audit log has %d lines", len(taken.facts))
	}
}

// TestUnsettled: until the audit log has it, it is not done, whyever that is.
func TestUnsettled(t *testing.T) {
	t.Run("BrokenLog", func(t *testing.T) {
		book, taken := evidence.NewBook("c", newKeys(t)), &log{broken: errors.New("the disk is full")}
		r := world(t, sealed(t, book), book, taken, clocktesting.NewFakePassiveClock(noon.Add(time.Hour)))
		if now, _, err := look(t, r); !errors.Is(err, taken.broken) || now.Status.State != v1alpha1.DelegationActive || now.Status.ObservedGeneration != -1 {
			t.Errorf("it counts, and is tried again: %+v, %v", now.Status, err)
		}
		taken.broken = nil
		if now, _, err := look(t, r); err != nil || now.Status.ObservedGeneration != 1 || len(taken.facts) != 1 {
			t.Errorf("then it is written: %+v, %v", now.Status, err)
		}
	})
	t.Run("UnknownKey", func(t *testing.T) {
		known, taken := newKeys(t), &log{}
		book := evidence.NewBook("c", known)
		d := sealed(t, book)
		known.ring = &seal.Keyring{}
		r := world(t, d, evidence.NewBook("c", known), taken, clocktesting.NewFakePassiveClock(noon.Add(time.Hour)))
		if now, result, err := look(t, r); err != nil || now.Status.State != v1alpha1.DelegationInvalid || now.Status.ObservedGeneration != -1 || result.RequeueAfter != unverified {
			t.Errorf("nobody can tell yet: %+v, %v, %v", now.Status, result, err)
		}
		known.publish(t)
		if now, _, err := look(t, r); err != nil || now.Status.State != v1alpha1.DelegationActive || len(taken.facts) != 1 {
			t.Errorf("then it counts: %+v, %v", now.Status, err)
		}
	})
}

// TestInvalid: what nobody sealed never counts, and no line says that it was made.
func TestInvalid(t *testing.T) {
	book, taken := evidence.NewBook("c", newKeys(t)), &log{}
	d := sealed(t, book)
	d.Spec.To.Users = []string{"eve"}
	r := world(t, d, book, taken, clocktesting.NewFakePassiveClock(noon.Add(time.Hour)))
	now, result, err := look(t, r)
	if err != nil || now.Status.State != v1alpha1.DelegationInvalid || now.Status.Conditions[0].Reason != v1alpha1.ReasonSealInvalid || result.RequeueAfter != 0 || len(taken.facts) != 0 {
		t.Errorf("got %+v, %v, %v", now.Status, result, err)
	}
}

func world(t *testing.T, d *v1alpha1.Delegation, book *evidence.Book, taken *log, clk *clocktesting.FakePassiveClock) *Reconciler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(d).WithObjects(d).Build()
	return &Reconciler{Client: c, Clock: clk, Evidence: book, Audit: taken}
}

func look(t *testing.T, r *Reconciler) (*v1alpha1.Delegation, ctrl.Result, error) {
	t.Helper()
	key := client.ObjectKey{Namespace: "platform", Name: "bob"}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	now := &v1alpha1.Delegation{}
	if err := r.Client.Get(t.Context(), key, now); err != nil {
		t.Fatal(err)
	}
	return now, result, err
}
