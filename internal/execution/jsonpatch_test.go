package execution

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// configMap has one finalizer-like list that an operation applied twice would change twice.
	configMap = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c, finalizers: [a.example/x, a.example/y, a.example/z]}, data: {a: one}}`
	// adding adds a second element each time that it is applied, and removing removes one and leaves no trace in managedFields.
	adding   = `[{op: test, path: /data/a, value: one}, {op: copy, from: /data/a, path: /data/b}, {op: add, path: /metadata/finalizers/-, value: b.example/n}]`
	removing = `[{op: remove, path: /metadata/finalizers/0}]`
)

func jsonStep(body string) string {
	return `{name: move, writes: [{operation: JSONPatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: signoff-` + string(requestUID) + `-move, body: ` + body + `}]}`
}

func newJSONPlay(t *testing.T, body string) *play {
	t.Helper()
	p := newPlay(t, jsonStep(body))
	p.apply(configMap)
	t.Cleanup(func() { p.finalizers(true) })
	return p
}

// finalizers reads the list, and empties it at the end, so that the namespace can go.
func (p *play) finalizers(clear bool) []string {
	p.t.Helper()
	ctx := p.t.Context()
	if clear {
		ctx = contextOfCleanup()
	}
	got, err := admin.CoreV1().ConfigMaps(p.namespace).Get(ctx, "c", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		p.t.Fatal(err)
	}
	list := got.Finalizers
	if clear {
		got.Finalizers = nil
		if _, err := admin.CoreV1().ConfigMaps(p.namespace).Update(ctx, got, metav1.UpdateOptions{}); err != nil {
			p.t.Error(err)
		}
	}
	return list
}

// disturb changes the object as somebody else.
func (p *play) disturb() {
	p.t.Helper()
	got, err := admin.CoreV1().ConfigMaps(p.namespace).Get(p.t.Context(), "c", metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	got.Data["disturbed"] += "x"
	if _, err := admin.CoreV1().ConfigMaps(p.namespace).Update(p.t.Context(), got, metav1.UpdateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// intend does the first half and demands that it must be stored.
func (p *play) intend() {
	p.t.Helper()
	if out := p.want(v1alpha1.StepStarted); !out.Intent || out.Status.Basis == "" {
		p.t.Fatalf("nothing to store before the patch is sent: %+v", out)
	}
}

// TestJSONPatchAtMostOnce interrupts a JSON patch at each point. Whatever happens, it is applied once at most.
func TestJSONPatchAtMostOnce(t *testing.T) {
	original := []string{"a.example/x", "a.example/y", "a.example/z"}
	once := map[string][]string{adding: append(original[:3:3], "b.example/n"), removing: original[1:]}
	for name, tc := range map[string]struct {
		reason  string
		bodies  []string
		between func(*play)
		state   v1alpha1.StepState
		words   string
		applied bool
	}{
		"Quiet": {"nothing happens in between", []string{adding, removing}, func(p *play) { p.intend() }, v1alpha1.StepDone, "", true},
		"CrashBeforeIntent": {"the intent was not stored", []string{adding, removing}, func(p *play) {
			p.intend()
			p.status = v1alpha1.StepStatus{}
			p.restart()
			p.intend()
		}, v1alpha1.StepDone, "", true},
		"CrashBeforeSending": {"the intent was stored, the patch was not sent", []string{adding, removing}, func(p *play) {
			p.intend()
			p.restart()
		}, v1alpha1.StepDone, "", true},
		"CrashAfterSending": {"the patch left a trace, so it is known to be applied", []string{adding}, func(p *play) {
			p.intend()
			if _, err := p.call(); err != nil {
				p.t.Fatal(err)
			}
			p.restart()
		}, v1alpha1.StepDone, "", true},
		"CrashAfterSendingDisturbed": {"the trace stays when others write", []string{adding}, func(p *play) {
			p.intend()
			if _, err := p.call(); err != nil {
				p.t.Fatal(err)
			}
			p.disturb()
			p.restart()
		}, v1alpha1.StepDone, "", true},
		"CrashAfterSendingNoTrace": {"a patch that only removes leaves no trace", []string{removing}, func(p *play) {
			p.intend()
			if _, err := p.call(); err != nil {
				p.t.Fatal(err)
			}
			p.restart()
		}, v1alpha1.StepFailed, "it cannot be told whether", true},
		"Disturbed": {"others write first, and this process knows that it has sent nothing", []string{adding, removing}, func(p *play) {
			p.intend()
			p.disturb()
			p.intend()
		}, v1alpha1.StepDone, "", true},
		"DisturbedTwice": {"as often as it takes", []string{adding}, func(p *play) {
			p.intend()
			p.disturb()
			p.intend()
			p.disturb()
			p.intend()
		}, v1alpha1.StepDone, "", true},
		"CrashDisturbed": {"others write, and nobody knows what was sent", []string{adding, removing}, func(p *play) {
			p.intend()
			p.restart()
			p.disturb()
		}, v1alpha1.StepFailed, "has changed since", false},
		"Gone": {"the object is deleted first", []string{adding}, func(p *play) {
			p.intend()
			p.finalizers(true)
			p.deleteConfigMap()
		}, v1alpha1.StepFailed, "not found", false},
		"CrashGone": {"the object is deleted, and nobody knows what was sent", []string{adding}, func(p *play) {
			p.intend()
			p.finalizers(true)
			p.deleteConfigMap()
			p.restart()
		}, v1alpha1.StepFailed, "the object is gone", false},
	} {
		for _, body := range tc.bodies {
			t.Run(name, func(t *testing.T) {
				p := newJSONPlay(t, body)
				tc.between(p)
				p.want(tc.state, tc.words)
				want := original
				if tc.applied {
					want = once[body]
				}
				if got := p.finalizers(false); got != nil && !cmp.Equal(want, got) {
					t.Errorf("%s: want %v, got %v", tc.reason, want, got)
				}
			})
		}
	}
}

func (p *play) deleteConfigMap() {
	p.t.Helper()
	if err := admin.CoreV1().ConfigMaps(p.namespace).Delete(p.t.Context(), "c", metav1.DeleteOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// TestJSONPatchRefused is about patches that do not fit.
func TestJSONPatchRefused(t *testing.T) {
	for name, tc := range map[string]struct{ reason, body, want string }{
		"Test":    {"a test of the author does not hold", `[{op: test, path: /data/a, value: two}, {op: remove, path: /data/a}]`, "testing value /data/a failed"},
		"Missing": {"there is nothing to remove", `[{op: remove, path: /data/b}]`, "nonexistent key"},
		"Invalid": {"the result is not an object of the kind", `[{op: add, path: /data/b, value: 5}]`, "cannot unmarshal number"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newJSONPlay(t, tc.body)
			p.intend()
			p.want(v1alpha1.StepFailed, "failed to patch ConfigMap", tc.want)
			if diff := cmp.Diff(map[string]string{"a": "one"}, p.data()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	t.Run("Unreadable", func(t *testing.T) {
		p := newPlay(t, jsonStep("[]"))
		p.want(v1alpha1.StepFailed, `configmaps "c" not found`)
	})
}

var errLost = errors.New("the connection is lost")

// lossy loses the first patch: on its way there, or, after the API server has done it, on its way back.
type lossy struct {
	next  http.RoundTripper
	after bool
	lost  *atomic.Bool
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPatch || l.lost.Swap(true) {
		return l.next.RoundTrip(r)
	}
	if l.after {
		response, err := l.next.RoundTrip(r)
		if err == nil {
			err = response.Body.Close()
		}
		return nil, errors.Join(errLost, err)
	}
	return nil, errLost
}

// TestLostConnection loses a patch. The error is for the caller to repeat, and what was done is not done again.
func TestLostConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		after  bool
		body   string
		state  v1alpha1.StepState
	}{
		"Before":       {"it was never there", false, adding, v1alpha1.StepDone},
		"After":        {"it left a trace", true, adding, v1alpha1.StepDone},
		"AfterNoTrace": {"nobody can tell", true, removing, v1alpha1.StepFailed},
	} {
		t.Run(name, func(t *testing.T) {
			p := newJSONPlay(t, tc.body)
			p.cfg = rest.CopyConfig(operator)
			lost := &atomic.Bool{}
			p.cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return &lossy{next: next, after: tc.after, lost: lost} })
			p.restart()
			p.intend()
			out, err := p.call()
			if !errors.Is(err, errLost) || out.Status.State != v1alpha1.StepStarted || !strings.Contains(err.Error(), "failed to patch ConfigMap") {
				t.Fatalf("%s: got %+v, error %v", tc.reason, out.Status, err)
			}
			p.want(tc.state)
			if got := len(p.finalizers(false)); got != len(map[string][]int{adding: {1, 2, 3, 4}, removing: {1, 2}}[tc.body]) {
				t.Errorf("%s: %d finalizers", tc.reason, got)
			}
		})
	}
}

// TestJSONPatchOfMetadata removes an element of a list in the metadata of a kind that counts generations: neither the generation nor
// managedFields show afterwards that it was done.
func TestJSONPatchOfMetadata(t *testing.T) {
	p := newPlay(t, `{name: move, writes: [{operation: JSONPatch, `+target+`, fieldManager: signoff-`+string(requestUID)+`-move, body: `+removing+`}]}`)
	p.apply(strings.Replace(deployment, "name: checkout}", "name: checkout, finalizers: [a.example/x, a.example/y, a.example/z]}", 1))
	deployments := admin.AppsV1().Deployments(p.namespace)
	t.Cleanup(func() {
		patch := []byte(`{"metadata":{"finalizers":null}}`)
		if _, err := deployments.Patch(contextOfCleanup(), "checkout", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
	})
	p.intend()
	// Its status changes all the time while it is rolled out, so it may take several intents.
	sent := p.status
	eventually(t, func(context.Context) error {
		sent = p.status
		out, err := p.call()
		if err == nil && out.Intent {
			p.status = out.Status
			err = errors.New("the object has changed in between")
		}
		return err
	})
	// A crash before the outcome was stored.
	p.status = sent
	p.restart()
	for range 3 {
		out := p.next()
		if out.Status.State != v1alpha1.StepStarted {
			break
		}
	}
	got, err := deployments.Get(t.Context(), "checkout", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a.example/y", "a.example/z"}, got.Finalizers); diff != "" {
		t.Errorf("the patch was applied twice (-want +got):\n%s", diff)
	}
	if p.status.State != v1alpha1.StepFailed || !strings.Contains(p.status.Message, "cannot be told") {
		t.Errorf("got %+v", p.status)
	}
}
