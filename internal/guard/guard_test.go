package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/guard/canary"
)

var bindings = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}

// world is an API server of which the guard sees one protected object, and the answer to a canary.
type world struct {
	client.Writer
	objects *dynamicfake.FakeDynamicClient
	clock   *clocktesting.FakeClock
	// answer is what comes back. Nil: what our webhooks say.
	answer  func(nonce string) error
	changed int
}

// Create answers a canary.
func (w *world) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	request := object.(*v1alpha1.ActionRequest)
	nonce := request.Annotations[canary.Annotation]
	if w.answer != nil {
		return w.answer(nonce)
	}
	return genuine(nonce)
}

// genuine is the answer of our webhooks.
func genuine(nonce string) error {
	request := canary.Request("signoff-system", nonce)
	stamp, err := canary.Stamp(canary.Echo{}, request)
	if err != nil {
		return err
	}
	request.Annotations[canary.AnnotationStamp] = stamp
	status, err := canary.Refusal(canary.Echo{}, request)
	if err != nil {
		return err
	}
	return &apierrors.StatusError{ErrStatus: *status}
}

func newWorld(t *testing.T) (*world, *guard.Guard, *guard.Protected) {
	t.Helper()
	const name = "ValidatingAdmissionPolicyBinding records.signoff.dev"
	object := &unstructured.Unstructured{Object: live(t)[name]}
	object.SetResourceVersion("1")
	w := &world{
		objects: dynamicfake.NewSimpleDynamicClient(runtime.NewScheme(), object),
		clock:   clocktesting.NewFakeClock(time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)),
	}
	protected := expected(t)[name]
	g := guard.New(guard.Options{
		Protected: []*guard.Protected{protected}, Objects: w.objects, Client: w, Checker: canary.Echo{}, Namespace: "signoff-system",
		Clock: w.clock, Changed: func() { w.changed++ }, Log: logr.Discard(),
	})
	if err := g.InForce(); !errors.Is(err, guard.ErrUnproven) {
		t.Fatalf("nothing is known before it looked: %v", err)
	}
	return w, g, protected
}

// missing checks that the guard is missing, and why.
func missing(t *testing.T, g *guard.Guard, word string) {
	t.Helper()
	why := (*guard.MissingError)(nil)
	if err := g.InForce(); !errors.As(err, &why) || !strings.Contains(why.First(), word) {
		t.Errorf("the guard must be missing because of %q: %v", word, err)
	}
}

func TestProved(t *testing.T) {
	w, g, _ := newWorld(t)
	g.Look(t.Context())
	g.Look(t.Context())
	if err := g.InForce(); err != nil || w.changed != 1 {
		t.Errorf("all is as it must be: %v; everybody is told once: %d", err, w.changed)
	}
}

func TestMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		do     func(t *testing.T, w *world)
		word   string
	}{
		"NotAsked": {"A request that only our webhook refuses was accepted.", func(_ *testing.T, w *world) { w.answer = func(string) error { return nil } }, "does not ask the validating webhook"},
		"Fake":     {"Somebody answered in our place, with an old answer.", func(_ *testing.T, w *world) { w.answer = func(string) error { return genuine("old") } }, "not as Signoff's"},
		"Forbidden": {"Something refuses that is not ours.", func(_ *testing.T, w *world) {
			w.answer = func(string) error { return apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("quota")) }
		}, "something refuses before them"},
		"NoKey": {"The key of admission is gone, and nobody knows for how long.", func(_ *testing.T, w *world) {
			w.answer = func(string) error {
				return &apierrors.StatusError{ErrStatus: *canary.Unable("the private half is gone")}
			}
		}, "admission has no key"},
		"ObjectGone": {"What protects was deleted.", func(t *testing.T, w *world) { remove(t, w) }, "ValidatingAdmissionPolicyBinding records.signoff.dev is missing"},
		"ObjectLoose": {"What protects was loosened.", func(t *testing.T, w *world) {
			object := &unstructured.Unstructured{Object: live(t)["ValidatingAdmissionPolicyBinding records.signoff.dev"]}
			set(object.Object, []any{"Warn"}, "spec", "validationActions")
			if _, err := w.objects.Resource(bindings).Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}, `validationActions is ["Warn"], expected ["Deny"]`},
	} {
		t.Run(name, func(t *testing.T) {
			w, g, protected := newWorld(t)
			g.Look(t.Context())
			tc.do(t, w)
			g.Notice(protected, "")
			g.Look(t.Context())
			missing(t, g, tc.word)
			if w.changed != 2 {
				t.Errorf("%s Everybody is told when it is in force and when it is not: %d", tc.reason, w.changed)
			}
		})
	}
}

// TestBack: it is in force again when it is proved, and when it went is remembered until then.
func TestBack(t *testing.T) {
	w, g, _ := newWorld(t)
	w.answer = func(string) error { return nil }
	g.Look(t.Context())
	since := w.clock.Now()
	w.clock.Step(time.Hour)
	w.answer = func(string) error { return genuine("old") }
	g.Look(t.Context())
	why := (*guard.MissingError)(nil)
	if err := g.InForce(); !errors.As(err, &why) || !why.Since.Equal(since) || w.changed != 2 {
		t.Errorf("it has been missing since %s, and another reason is told too: %v, %d", since, err, w.changed)
	}
	w.answer = nil
	g.Look(t.Context())
	if err := g.InForce(); err != nil {
		t.Errorf("it is back: %v", err)
	}
}

// TestNoAnswer: where nobody answers, writes fail too, so that a short while of it changes nothing. A long one does.
func TestNoAnswer(t *testing.T) {
	w, g, _ := newWorld(t)
	g.Look(t.Context())
	w.answer = func(string) error {
		return apierrors.NewInternalError(errors.New("failed calling webhook: connection refused"))
	}
	for range 5 {
		w.clock.Step(30 * time.Second)
		g.Look(t.Context())
	}
	if err := g.InForce(); err != nil {
		t.Errorf("a restart of the webhooks must not stop everything: %v", err)
	}
	w.clock.Step(30 * time.Second)
	g.Look(t.Context())
	missing(t, g, "cannot find out whether it is in force")
	told := w.changed
	w.answer = func(string) error { return apierrors.NewInternalError(errors.New("in other words")) }
	g.Look(t.Context())
	if w.changed != told {
		t.Error("why nobody answers is not worth telling everybody again")
	}
}

// TestNoAnswerAtTheStart: nobody is told anything for a while, because the webhooks may be starting too.
func TestNoAnswerAtTheStart(t *testing.T) {
	w, g, _ := newWorld(t)
	w.answer = func(string) error { return errors.New("connection refused") }
	g.Look(t.Context())
	if err := g.InForce(); !errors.Is(err, guard.ErrUnproven) || w.changed != 0 {
		t.Errorf("nothing is known yet: %v, %d", err, w.changed)
	}
	w.clock.Step(time.Minute)
	g.Look(t.Context())
	missing(t, g, "cannot find out whether it is in force")
}

// TestReadOnce: what was read is read again when a watch reports another version, and from time to time.
func TestReadOnce(t *testing.T) {
	w, g, protected := newWorld(t)
	reads := func() int {
		count := 0
		for _, action := range w.objects.Actions() {
			if action.GetVerb() == "get" {
				count++
			}
		}
		return count
	}
	for _, tc := range []struct {
		reason string
		do     func()
		want   int
	}{
		{"At first everything is read.", func() {}, 1},
		{"Nothing changed.", func() {}, 1},
		{"The watch reports the version that was read.", func() { g.Notice(protected, "1") }, 1},
		{"The watch reports another one.", func() { g.Notice(protected, "2") }, 2},
		{"A watch may be broken without a word.", func() { w.clock.Step(11 * time.Minute) }, 3},
	} {
		tc.do()
		g.Look(t.Context())
		if got := reads(); got != tc.want {
			t.Errorf("%s Want %d reads, got %d.", tc.reason, tc.want, got)
		}
	}
}

func TestMetric(t *testing.T) {
	const head = "# HELP signoff_guard_in_force 1 where webhooks, admission policies and definitions are as they must be and the webhooks prove that they are asked; at 0 nothing is started. Absent in a process that does not execute, and until it is known.\n# TYPE signoff_guard_in_force gauge\n"
	w, g, _ := newWorld(t)
	if n := testutil.CollectAndCount(guard.Shown); n != 0 {
		t.Errorf("nothing is known yet: %d", n)
	}
	for value, answer := range map[string]func(string) error{"1": nil, "0": func(string) error { return nil }} {
		w.answer = answer
		g.Look(t.Context())
		if err := testutil.CollectAndCompare(guard.Shown, strings.NewReader(head+"signoff_guard_in_force "+value+"\n")); err != nil {
			t.Error(err)
		}
	}
}

func remove(t *testing.T, w *world) {
	t.Helper()
	if err := w.objects.Resource(bindings).Delete(t.Context(), "records.signoff.dev", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}
