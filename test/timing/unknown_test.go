package timing

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// dying is a host that does what a call asks for and dies before it answers.
type dying struct {
	*httptest.Server
	mu   sync.Mutex
	done map[string]string
}

var peer = newDying()

func newDying() *dying {
	out := &dying{done: map[string]string{}}
	out.Server = httptest.NewTLSServer(out)
	return out
}

// ServeHTTP does it, and breaks the connection. Who asks whether it was done is told, by /found, or is not, by any other path.
func (d *dying) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method == http.MethodGet {
		key := r.URL.Query().Get("key")
		_, _ = fmt.Fprintf(w, `{"made":%t}`, strings.HasPrefix(r.URL.Path, "/found") && strings.Contains(fmt.Sprint(d.done), key))
		return
	}
	d.done[r.URL.Path] += r.Header.Get("Idempotency-Key") + " "
	panic(http.ErrAbortHandler)
}

// made tells how often a path was called.
func (d *dying) made(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(strings.Fields(d.done[path]))
}

func callPeer(cfg *config.Configuration) {
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: []int{peer.Listener.Addr().(*net.TCPAddr).Port, incidents.Listener.Addr().(*net.TCPAddr).Port}, Networks: []string{"127.0.0.0/8"}}}
}

// calls applies an Action whose call gets no answer, and asks for it. Of LOOKUP is what the call says about being looked up.
func calls(t *testing.T, name, lookup string) *v1alpha1.ActionRequest {
	t.Helper()
	if err := cluster.Apply(t.Context(), []byte(strings.NewReplacer("NAME", name, "URL", peer.URL, "BUNDLE", play.Authority(peer.Server), "LOOKUP", lookup).Replace(`
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: resolver}
spec: {members: {users: [carol]}, permissions: [{verbs: [resolve], actions: {names: ["*"]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: NAME}
spec:
  title: Call a host that dies
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    timeout: 10m
    steps:
    - name: call
      http:
        method: POST
        url: URL/NAME
        body: {a: b}
        caBundle: |
          BUNDLE
        LOOKUP
    - name: note
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: NAME}, data: {by: "${request.uid}"}}]}
    finally:
    - name: last
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: NAME-last}, data: {outcome: "${outcome}"}}]}
`))); err != nil {
		t.Fatal(err)
	}
	return ask(t, name, nil)
}

func resolve(t *testing.T, who env.Person, r *v1alpha1.ActionRequest, outcome, comment string) error {
	t.Helper()
	return resolveStep(t, who, r, "call", outcome, comment)
}

func resolveStep(t *testing.T, who env.Person, r *v1alpha1.ActionRequest, step, outcome, comment string) error {
	t.Helper()
	body := fmt.Appendf(nil, `{"spec":{"resolution":{"step":%q,"outcome":%q,"comment":%q}}}`, step, outcome, comment)
	return as(t, who).Patch(t.Context(), r.DeepCopy(), client.RawPatch(types.MergePatchType, body))
}

// note gives the data of a ConfigMap that a step wrote. Nil: it is not there.
func note(t *testing.T, name string) map[string]string {
	t.Helper()
	object := &corev1.ConfigMap{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "target", Name: name}, object); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return object.Data
}

// TestOutcomeUnknown lets a host die between what it does and its answer: no time and nobody but who may decides, and after that all goes on.
func TestOutcomeUnknown(t *testing.T) {
	r := reaches(t, calls(t, "dies", ""), v1alpha1.PhaseOutcomeUnknown)
	if r.Status.Outcome != "" || r.Status.WaitingFor != "resolve step call: role resolver (carol)" {
		t.Errorf("it must say who decides: %q %q", r.Status.Outcome, r.Status.WaitingFor)
	}
	stalled := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled == nil || !strings.Contains(stalled.Message, "Look there for the Idempotency-Key "+string(r.UID)+"-call") || !strings.Contains(stalled.Message, "kubectl signoff resolve -n payments "+r.Name) {
		t.Errorf("it must say where to look, and how to decide: %+v", stalled)
	}
	step(t, 3*time.Hour)
	stays(t, r, v1alpha1.PhaseOutcomeUnknown)
	if !play.Rings(t, "SignoffOutcomeUnknown") {
		t.Error("somebody must hear of it")
	}
	for name, tc := range map[string]struct {
		reason, words, comment string
		who                    env.Person
	}{
		"Nobody":    {"who may not", `you (bob) may not resolve platform/dies`, "it is there", users.Bob},
		"Requester": {"who asked has no right to decide by that", `you (alice) may not resolve platform/dies`, "it is there", users.Alice},
		"NoWord":    {"who decides says how they know", "say how you know", " \u00a0\u2800\u3164 ", users.Carol},
	} {
		t.Run(name, func(t *testing.T) {
			if err := resolve(t, tc.who, r, "Succeeded", tc.comment); err == nil || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	if err := admin(t).Delete(t.Context(), r.DeepCopy()); err == nil || !strings.Contains(err.Error(), "cannot be deleted before somebody has decided") {
		t.Errorf("it must not go: %v", err)
	}
	stays(t, r, v1alpha1.PhaseOutcomeUnknown)
	if err := resolve(t, users.Carol, r, "Succeeded", "CHG0042 is there"); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseSucceeded)
	if got := note(t, "dies"); got["by"] != string(r.UID) || note(t, "dies-last")["outcome"] != "Succeeded" || peer.made("/dies") != 1 {
		t.Errorf("the steps after it, all of them once: %v, %v, %d calls", got, note(t, "dies-last"), peer.made("/dies"))
	}
	eventually(t, "that the alert ends", func() (bool, string) { return !play.Rings(t, "SignoffOutcomeUnknown"), "it rings" })
	entry := done.Spec.Resolutions
	if len(entry) != 1 || entry[0].By.Username != "carol" || entry[0].Comment != "CHG0042 is there" || entry[0].Seal == nil || done.Spec.Resolution != nil {
		t.Errorf("who decided must stand there: %+v", done.Spec)
	}
	if text := done.Status.Steps[0].Message; !strings.HasPrefix(text, `carol decided that it succeeded: "CHG0042 is there"`) {
		t.Errorf("the step must say so: %q", text)
	}
	if meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Error("it is not stalled any more")
	}
	if err := resolve(t, users.Carol, r, "Failed", "no, wait"); err == nil || !strings.Contains(err.Error(), "there is nothing to decide about step") {
		t.Errorf("it is over: %v", err)
	}
	if err := resolve(t, users.Carol, r, "Succeeded", "CHG0042 is there"); err != nil {
		t.Errorf("the same again is no change: %v", err)
	}
}

// TestResolutionInADryRun decides in a dry run, whose result is given away: nothing in it proves anything, and it stays to be decided.
func TestResolutionInADryRun(t *testing.T) {
	r := reaches(t, calls(t, "dies-dry", ""), v1alpha1.PhaseOutcomeUnknown)
	dry := r.DeepCopy()
	body := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"resolution":{"step":"call","outcome":"Succeeded","comment":"it is there"}}}`))
	if err := as(t, users.Carol).Patch(t.Context(), dry, body, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if got := dry.Spec.Resolutions; len(got) != 1 || got[0].By.Username != "carol" || got[0].Seal != nil {
		t.Errorf("a seal was given away: %+v", got)
	}
	if live := reaches(t, r, v1alpha1.PhaseOutcomeUnknown); len(live.Spec.Resolutions) != 0 {
		t.Errorf("something was stored: %+v", live.Spec.Resolutions)
	}
	if err := resolve(t, users.Carol, r, "Succeeded", "it is there"); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestOutcomeUnknownFailed decides that the call did not happen: the request fails, and the steps at the end run.
func TestOutcomeUnknownFailed(t *testing.T) {
	r := reaches(t, calls(t, "dies-not", ""), v1alpha1.PhaseOutcomeUnknown)
	if err := resolve(t, users.Carol, r, "Failed", "nothing is there"); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseFailed)
	if note(t, "dies-not") != nil || note(t, "dies-not-last")["outcome"] != "Failed" {
		t.Errorf("only the last step may run: %v, %v", note(t, "dies-not"), note(t, "dies-not-last"))
	}
	if finished := meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionFinished); !strings.Contains(finished.Message, `carol decided that it failed: "nothing is there"`) {
		t.Errorf("the end must say who decided: %+v", finished)
	}
}

// TestOutcomeUnknownCancelled cancels meanwhile: that makes nothing known, and no further step begins once it is.
func TestOutcomeUnknownCancelled(t *testing.T) {
	r := reaches(t, calls(t, "dies-late", ""), v1alpha1.PhaseOutcomeUnknown)
	if err := as(t, users.Alice).Patch(t.Context(), r.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"never mind"}}}`))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that it says so", func() (bool, string) {
		live := reaches(t, r, v1alpha1.PhaseOutcomeUnknown)
		ready := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionReady)
		return strings.HasSuffix(ready.Message, "Cancelled: no further step begins after that but the steps of finally"), ready.Message
	})
	if err := resolve(t, users.Carol, r, "Succeeded", "it is there"); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseCancelled)
	if note(t, "dies-late") != nil || note(t, "dies-late-last")["outcome"] != "Cancelled" {
		t.Errorf("only the last step may run: %v, %v", note(t, "dies-late"), note(t, "dies-late-last"))
	}
}

// TestOutcomeLookedUp asks the host by the key of the call: nobody has to decide.
func TestOutcomeLookedUp(t *testing.T) {
	r := calls(t, "dies-found", `lookup: {url: "`+peer.URL+`/found?key=${idempotencyKey}", done: response.body.made}`)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if peer.made("/dies-found") != 1 || note(t, "dies-found") == nil {
		t.Errorf("it was called %d times", peer.made("/dies-found"))
	}
}

// TestOutcomeUnknownForged writes a decision while the webhooks are away: it does not count, and somebody may still decide.
func TestOutcomeUnknownForged(t *testing.T) {
	r := reaches(t, calls(t, "dies-forged", ""), v1alpha1.PhaseOutcomeUnknown)
	for name, tc := range map[string]struct{ reason, body, words string }{
		"Entry": {"the entry is written by Signoff only", `{"spec":{"resolutions":[{"step":"call","outcome":"Succeeded","comment":"c","by":{"username":"carol"}}]}}`, "was not stamped by Signoff"},
		"Both":  {"two rights in one write", `{"spec":{"resolution":{"step":"call","outcome":"Succeeded","comment":"c"},"cancellation":{"reason":"r"}}}`, "cancel in another write"},
		"Other": {"another step", `{"spec":{"resolution":{"step":"note","outcome":"Succeeded","comment":"c"}}}`, "nothing to decide about step"},
		"Rest":  {"and something else", `{"spec":{"resolution":{"step":"call","outcome":"Succeeded","comment":"c"},"reason":"another"}}`, "a request never changes"},
	} {
		t.Run(name, func(t *testing.T) {
			err := as(t, users.Carol).Patch(t.Context(), r.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(tc.body)))
			if err == nil || !strings.Contains(err.Error(), tc.words) && !strings.Contains(err.Error(), "cannot change") {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	at := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: "new-"},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: r.Spec.ActionRef, Inputs: &runtime.RawExtension{Raw: []byte("{}")},
			Resolution: &v1alpha1.NewResolution{Step: "call", Outcome: v1alpha1.StepSucceeded, Comment: "c"},
		},
	}
	if err := as(t, users.Alice).Create(t.Context(), at); err == nil || !strings.Contains(err.Error(), "nothing has been executed") {
		t.Errorf("a new request: %v", err)
	}
	if err := resolve(t, users.Carol, r, "Failed", "enough"); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseFailed)
}

// TestOutcomeUnknownUnjudged decides while nobody judges who may, and the decision is sealed all the same: it does not count, and somebody may
// still decide.
func TestOutcomeUnknownUnjudged(t *testing.T) {
	r := reaches(t, calls(t, "dies-unjudged", ""), v1alpha1.PhaseOutcomeUnknown)
	back := world.Without(t, world.Protection(t, append([]string{"ValidatingWebhookConfiguration"}, play.PolicyKinds...)...)...)
	eventually(t, "who may not decides", func() (bool, string) {
		err := resolve(t, users.Alice, r, "Succeeded", "trust me")
		return err == nil, fmt.Sprint(err)
	})
	eventually(t, "it is sealed", func() (bool, string) {
		entries := reaches(t, r, v1alpha1.PhaseOutcomeUnknown).Spec.Resolutions
		return len(entries) == 1 && entries[0].Seal != nil, fmt.Sprint(entries)
	})
	back()
	step(t, time.Hour)
	stays(t, r, v1alpha1.PhaseOutcomeUnknown)
	if err := resolve(t, users.Carol, r, "Failed", "nothing is there"); err != nil {
		t.Fatal(err)
	}
	failed := reaches(t, r, v1alpha1.PhaseFailed)
	if text := failed.Status.Steps[0].Message; !strings.HasPrefix(text, "carol decided that it failed") || note(t, "dies-unjudged") != nil {
		t.Errorf("only carol's decision counts: %q", text)
	}
}

// TestRecordPutBack puts the Record of an execution that waits back to what it was when it began, past the webhooks: what is sealed is not done again.
func TestRecordPutBack(t *testing.T) {
	r := reaches(t, calls(t, "dies-again", ""), v1alpha1.PhaseOutcomeUnknown)
	putBack(t, r)
	if err := resolve(t, users.Carol, r, "Succeeded", "it is there"); err != nil {
		t.Fatal(err)
	}
	failed := reaches(t, r, v1alpha1.PhaseFailed)
	finished := meta.FindStatusCondition(failed.Status.Conditions, v1alpha1.ConditionFinished)
	if finished.Reason != v1alpha1.ReasonEvidenceLost || !strings.Contains(finished.Message, "was put back to what it was before") {
		t.Errorf("it says %+v", finished)
	}
	if peer.made("/dies-again") != 1 || note(t, "dies-again") != nil {
		t.Errorf("%d calls, and %v", peer.made("/dies-again"), note(t, "dies-again"))
	}
}

// putBack puts a Record back to what it was when it began, which the API server refuses as long as it is not deleted.
func putBack(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	record, c := recordOf(t, r), signoff.Process.Manager.GetClient()
	first := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: record.Namespace, Name: record.Name, Labels: record.Labels}, Spec: record.Spec}
	record.Status = v1alpha1.RecordStatus{}
	if err := c.Status().Update(t.Context(), record); err == nil || !strings.Contains(err.Error(), "status.revision only grows") {
		t.Fatalf("a status was put back: %v", err)
	}
	forgotten(t, r)
	if err := c.Create(t.Context(), first); err != nil {
		t.Fatal(err)
	}
}
