package timing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// shared is an object that is there before anything is lent.
func shared(t *testing.T, name string) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), "test/timing/testdata/temporary.yaml"); err != nil {
		t.Fatal(err)
	}
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "target", Name: "shared-" + name, Labels: map[string]string{"owner": "them"}},
		Data:       map[string]string{"mode": "normal", "gone": "comes back", "other": "1"},
	}
	if err := admin(t).Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// lend asks for something temporary.
func lend(t *testing.T, name string, duration v1alpha1.Duration) *v1alpha1.ActionRequest {
	t.Helper()
	return ask(t, "lend", func(s *v1alpha1.ActionRequestSpec) {
		s.Inputs, s.Duration = &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"name":%q}`, name)}, duration
	})
}

func configMap(t *testing.T, name string) *corev1.ConfigMap {
	t.Helper()
	object := &corev1.ConfigMap{}
	err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "target", Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// lent checks that what was asked for is there.
func lent(t *testing.T, name string) {
	t.Helper()
	made, changed := configMap(t, "lent-"+name), configMap(t, "shared-"+name)
	if made == nil || changed.Data["mode"] != "lent" || changed.Data["added"] != "yes" || changed.Data["gone"] != "" || changed.Labels["lent"] != "true" {
		t.Fatalf("it must be lent: %v, %v", made, changed)
	}
}

// returned checks that nothing of it is left.
func returned(t *testing.T, name string) {
	t.Helper()
	made, got := configMap(t, "lent-"+name), configMap(t, "shared-"+name)
	want := map[string]string{"mode": "normal", "gone": "comes back", "other": "1"}
	if made != nil || fmt.Sprint(got.Data) != fmt.Sprint(want) || fmt.Sprint(got.Labels) != "map[owner:them]" {
		t.Fatalf("nothing may be left: %v, %v %v", made, got.Data, got.Labels)
	}
}

// TestTemporary lends something for a time: it is there, and then gone to the last field, at its time.
func TestTemporary(t *testing.T) {
	shared(t, "time")
	r := reaches(t, lend(t, "time", ""), v1alpha1.PhaseActive)
	lent(t, "time")
	if until := r.Status.ActiveUntil; until == nil || !strings.HasPrefix(r.Status.WaitingFor, "taken back ") {
		t.Errorf("it must say when it is taken back: %v, %q", until, r.Status.WaitingFor)
	}
	step(t, 119*time.Minute)
	if err := admin(t).Patch(t.Context(), r.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"looked":"at"}}}`))); err != nil {
		t.Fatal(err)
	}
	stays(t, r, v1alpha1.PhaseActive)
	lent(t, "time")
	live := &v1alpha1.ActionRequest{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Status.Conditions, live.Status.Conditions); diff != "" {
		t.Errorf("nothing has changed, so nothing is written (-before +after):\n%s", diff)
	}
	step(t, 61*time.Second)
	done := reaches(t, r, v1alpha1.PhaseReverted)
	returned(t, "time")
	if done.Status.Outcome != v1alpha1.OutcomeReverted || !strings.Contains(strings.Join(done.Status.Summary, "\n"), "Its time of 2h was over. What was done is taken back.") {
		t.Errorf("the end must be told: %s %q", done.Status.Outcome, done.Status.Summary)
	}
}

// TestTemporaryCancelled gives back early.
func TestTemporaryCancelled(t *testing.T) {
	shared(t, "early")
	r := reaches(t, lend(t, "early", "30m"), v1alpha1.PhaseActive)
	if err := as(t, users.Alice).Patch(t.Context(), r, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"done with it"}}}`))); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseReverted)
	returned(t, "early")
	if text := strings.Join(done.Status.Summary, "\n"); !strings.Contains(text, "done with it") {
		t.Errorf("the summary must say who gave it back: %s", text)
	}
}

// TestTemporaryDeleted gives back before the request goes.
func TestTemporaryDeleted(t *testing.T) {
	shared(t, "deleted")
	r := reaches(t, lend(t, "deleted", "30m"), v1alpha1.PhaseActive)
	if err := admin(t).Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request goes", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), r)
		return apierrors.IsNotFound(err), fmt.Sprintf("%s %s, %v", r.Status.Phase, r.Status.WaitingFor, err)
	})
	returned(t, "deleted")
}

// TestTemporaryTwice does not lend what is lent: the second would take what the first has written for what was there.
func TestTemporaryTwice(t *testing.T) {
	shared(t, "twice")
	first := reaches(t, lend(t, "twice", "30m"), v1alpha1.PhaseActive)
	second := reaches(t, lend(t, "twice", "30m"), v1alpha1.PhaseHeld)
	if want := first.Name + ", on ConfigMap target/lent-twice"; second.Status.WaitingFor != want {
		t.Errorf("it must say who has it: %q, expected %q", second.Status.WaitingFor, want)
	}
	step(t, 31*time.Minute)
	reaches(t, first, v1alpha1.PhaseReverted)
	reaches(t, second, v1alpha1.PhaseActive)
	lent(t, "twice")
	step(t, 31*time.Minute)
	reaches(t, second, v1alpha1.PhaseReverted)
	returned(t, "twice")
}

// TestTemporaryOnlyOurs does not touch what somebody has changed since, nor an object that has only the name of ours.
func TestTemporaryOnlyOurs(t *testing.T) {
	shared(t, "ours")
	r := reaches(t, lend(t, "ours", "30m"), v1alpha1.PhaseActive)
	body := client.RawPatch(types.MergePatchType, []byte(`{"data":{"mode":"theirs","new":"theirs"}}`))
	if err := admin(t).Patch(t.Context(), configMap(t, "shared-ours"), body); err != nil {
		t.Fatal(err)
	}
	made := configMap(t, "lent-ours")
	if err := admin(t).Delete(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	again := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: made.Namespace, Name: made.Name}}
	if err := admin(t).Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	step(t, 31*time.Minute)
	done := reaches(t, r, v1alpha1.PhaseReverted)
	got := configMap(t, "shared-ours")
	if want := (map[string]string{"mode": "theirs", "new": "theirs", "gone": "comes back", "other": "1"}); fmt.Sprint(got.Data) != fmt.Sprint(want) {
		t.Errorf("only ours is taken back: %v", got.Data)
	}
	if left := configMap(t, "lent-ours"); left == nil || left.UID != again.UID {
		t.Errorf("an object with the same name is somebody else's: %v", left)
	}
	text := strings.Join(done.Status.Summary, "\n")
	for _, words := range []string{"data.mode of ConfigMap target/shared-ours was changed since by somebody else", "ConfigMap target/lent-ours is another one now"} {
		if !strings.Contains(text, words) {
			t.Errorf("the summary must say %q: %s", words, text)
		}
	}
}

// TestTemporaryStays says what is left where it cannot be taken back, and tries until it can.
func TestTemporaryStays(t *testing.T) {
	shared(t, "stuck")
	revertsFail(t, 0)
	r := reaches(t, lend(t, "stuck", "30m"), v1alpha1.PhaseActive)
	made := configMap(t, "lent-stuck")
	held := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.org/hold"]}}`))
	if err := admin(t).Patch(t.Context(), made, held); err != nil {
		t.Fatal(err)
	}
	step(t, 31*time.Minute)
	reverting := reaches(t, r, v1alpha1.PhaseReverting)
	if !strings.Contains(reverting.Status.WaitingFor, "lent-stuck is left: it is held by example.org/hold") {
		t.Errorf("it must say what is left: %q", reverting.Status.WaitingFor)
	}
	if got := configMap(t, "shared-stuck"); got.Data["mode"] != "normal" {
		t.Errorf("the rest must not wait: %v", got.Data)
	}
	revertsFail(t, 1)
	free := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := admin(t).Patch(t.Context(), configMap(t, "lent-stuck"), free); err != nil {
		t.Fatal(err)
	}
	step(t, 2*time.Second) // the ServiceAccount may not watch, so it is looked at again after a while
	reaches(t, r, v1alpha1.PhaseReverted)
	returned(t, "stuck")
	revertsFail(t, 0)
}

// TestTemporaryEndedByHand: what can never be taken back does not hold a request up for ever, nor does it end without a person who answers for it.
func TestTemporaryEndedByHand(t *testing.T) {
	shared(t, "good")
	r := reaches(t, ask(t, "lend-for-good", func(s *v1alpha1.ActionRequestSpec) { s.Duration = "30m" }), v1alpha1.PhaseActive)
	if err := resolveStep(t, users.Carol, r, "revert", "Succeeded", "let it stay"); err == nil || !strings.Contains(err.Error(), "there is nothing to decide about step \"revert\"") {
		t.Errorf("nothing is being taken back yet: %v", err)
	}
	step(t, 31*time.Minute)
	reverting := reaches(t, r, v1alpha1.PhaseReverting)
	ready := meta.FindStatusCondition(reverting.Status.Conditions, v1alpha1.ConditionReady)
	for _, words := range []string{"ConfigMap target/shared-good is left", "immutable", "role revert-resolver (alice, carol)", "kubectl signoff resolve -n payments " + r.Name} {
		if !strings.Contains(ready.Message, words) {
			t.Errorf("it must say %q: %q", words, ready.Message)
		}
	}
	for name, tc := range map[string]struct {
		who                     env.Person
		outcome, comment, words string
	}{
		"Nobody":    {users.Bob, "Succeeded", "let it stay", "you (bob) may not resolve platform/lend-for-good"},
		"Requester": {users.Alice, "Succeeded", "let it stay", "you cannot decide that what was lent stays: you asked for it"},
		"NoWord":    {users.Carol, "Succeeded", " ", "say how you know"},
		"Failed":    {users.Carol, "Failed", "no", "is tried again anyway"},
	} {
		if err := resolveStep(t, tc.who, r, "revert", tc.outcome, tc.comment); err == nil || !strings.Contains(err.Error(), tc.words) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	stays(t, r, v1alpha1.PhaseReverting)
	if err := resolveStep(t, users.Carol, r, "revert", "Succeeded", "it is made anew tomorrow"); err != nil {
		t.Fatal(err)
	}
	done, record := reaches(t, r, v1alpha1.PhaseReverted), recordOf(t, r)
	text := strings.Join(done.Status.Summary, "\n")
	for _, words := range []string{
		`carol decided that what is left is taken back by hand or may stay: "it is made anew tomorrow". Left: ConfigMap target/shared-good is left`, "Its time of 30m was over. The rest is taken back.",
	} {
		if !strings.Contains(text, words) || !strings.Contains(record.Status.Message, words) {
			t.Errorf("it must say %q:\n%s\n%s", words, text, record.Status.Message)
		}
	}
	if done.Status.Outcome != v1alpha1.OutcomeReverted || configMap(t, "lent-good") != nil || len(done.Spec.Resolutions) != 1 || done.Spec.Resolutions[0].Seal == nil {
		t.Errorf("the rest must be gone, and who decided must be sealed: %+v", done.Spec.Resolutions)
	}
	left := meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionReverted)
	if left == nil || left.Status != metav1.ConditionFalse || !strings.Contains(left.Message, "ConfigMap target/shared-good is left") {
		t.Errorf("that something is left must be a condition: %+v", left)
	}
	revertsFail(t, 0)
}

// revertsFail looks of how many requests something could not be taken back yet, and whether that rings.
func revertsFail(t *testing.T, want float64) {
	t.Helper()
	got, shown := play.Metric(t, "signoff_reverts_failing", nil)
	if rings := play.Rings(t, "SignoffRevertFails"); !shown || got != want || rings != (want > 0) {
		t.Errorf("%v are shown, want %v; the alert rings: %t", got, want, rings)
	}
}

// TestTemporaryInAFreeze lends something, and then a policy denies all: that holds nothing up that gives back.
func TestTemporaryInAFreeze(t *testing.T) {
	shared(t, "freeze")
	r := reaches(t, lend(t, "freeze", "30m"), v1alpha1.PhaseActive)
	lent(t, "freeze")
	denies(t, r, nil)
	step(t, 31*time.Minute)
	reaches(t, r, v1alpha1.PhaseReverted)
	returned(t, "freeze")
}

// TestTemporaryAfterDowntime lends something whose time ends while nothing runs: it is taken back at the next start.
func TestTemporaryAfterDowntime(t *testing.T) {
	shared(t, "downtime")
	r := reaches(t, lend(t, "downtime", "30m"), v1alpha1.PhaseActive)
	signoff.Stop()
	clock.Step(31 * time.Minute)
	lent(t, "downtime")
	if err := signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseReverted)
	returned(t, "downtime")
}

// TestTemporaryFails takes back at once what was done before a step failed.
func TestTemporaryFails(t *testing.T) {
	shared(t, "fails")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "target", Name: "existing"}, StringData: map[string]string{"password": "old"}}
	if err := admin(t).Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	r := ask(t, "lend-in-vain", func(s *v1alpha1.ActionRequestSpec) { s.Duration = "1h" })
	failed := reaches(t, r, v1alpha1.PhaseFailed)
	text := strings.Join(failed.Status.Summary, "\n")
	if !strings.Contains(text, "the values that a Secret had are not stored") || !strings.Contains(text, "What was done is taken back.") {
		t.Errorf("the summary must say what happened: %s", text)
	}
	if left := configMap(t, "in-vain"); left != nil {
		t.Errorf("what was done must be taken back: %v", left)
	}
}

// TestTemporaryFailsToWrite says what was taken back only where something was done.
func TestTemporaryFailsToWrite(t *testing.T) {
	shared(t, "elsewhere")
	const missing = `step change: failed to patch ConfigMap target/shared-nowhere: configmaps "shared-nowhere" not found. `
	some := reaches(t, lend(t, "nowhere", "1h"), v1alpha1.PhaseFailed)
	if text := strings.Join(some.Status.Summary, "\n"); !strings.Contains(text, missing+"What was done is taken back.") {
		t.Errorf("the first step did something: %s", text)
	}
	none := reaches(t, ask(t, "lend-nothing", func(s *v1alpha1.ActionRequestSpec) { s.Duration = "1h" }), v1alpha1.PhaseFailed)
	if text := strings.Join(none.Status.Summary, "\n"); !strings.Contains(text, missing+"Nothing was written.") {
		t.Errorf("nothing was done: %s", text)
	}
	if left := configMap(t, "lent-nowhere"); left != nil {
		t.Errorf("what was done must be taken back: %v", left)
	}
}

// TestTemporaryOrphan takes back what a request has done that is gone by force.
func TestTemporaryOrphan(t *testing.T) {
	shared(t, "orphan")
	r := reaches(t, lend(t, "orphan", "30m"), v1alpha1.PhaseActive)
	if err := admin(t).Delete(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "target", Name: "lent-orphan"}}); err != nil {
		t.Fatal(err)
	}
	removed(t, r)
	eventually(t, "what was lent comes back", func() (bool, string) {
		got := configMap(t, "shared-orphan")
		return got.Data["mode"] == "normal", fmt.Sprint(got.Data)
	})
	returned(t, "orphan")
}

// TestTemporaryDurations refuses what the Action does not allow, and lets rules read how long it is.
func TestTemporaryDurations(t *testing.T) {
	shared(t, "long")
	reaches(t, lend(t, "long", "5h"), v1alpha1.PhaseAwaitingApproval)
	for name, tc := range map[string]struct {
		action   string
		duration v1alpha1.Duration
		words    string
	}{
		"TooLong":      {"lend", "9h", "spec.duration: Invalid value: \"9h\": a duration of at most 8h is accepted"},
		"NotTemporary": {"free", "1h", "spec.duration: Forbidden: what Action platform/free does is not temporary: leave it out"},
		"Unsaid":       {"lend-in-vain", "", "spec.duration: Required value: say for how long, at most 8h"},
	} {
		r := &v1alpha1.ActionRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: "no-"},
			Spec: v1alpha1.ActionRequestSpec{
				ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: tc.action}, Duration: tc.duration,
			},
		}
		if tc.action == "lend" {
			r.Spec.Inputs = &runtime.RawExtension{Raw: []byte(`{"name":"no"}`)}
		}
		if err := as(t, users.Alice).Create(t.Context(), r); err == nil || !strings.Contains(err.Error(), tc.words) {
			t.Errorf("%s must be refused with %q: %v", name, tc.words, err)
		}
	}
}
