package execution

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	lendObject = `object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: signoff-` + string(requestUID) + `-lend`
	lendPatch  = `{name: lend, retries: 2, writes: [{operation: MergePatch, ` + lendObject + `, body: {data: {mode: lent}}}]}`
	lendApply  = `{name: lend, retries: 2, writes: [{operation: Apply, ` + lendObject + `, conflicts: Take,
		body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {mode: lent}}}]}`
	normal = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {mode: normal, other: "1"}}`
)

// newLoan makes a play of a step of a temporary request.
func newLoan(t *testing.T, step string) *play {
	t.Helper()
	p := newPlay(t, step)
	p.record.Spec.Duration = "1h"
	return p
}

// noted lets the step note how it is taken back.
func (p *play) noted() {
	p.t.Helper()
	if out := p.next(); !out.Intent {
		p.t.Fatalf("it must be stored how it is taken back before anything is written: %+v", out)
	}
}

// collides lets the step find another object than the one of which it has noted something.
func (p *play) collides() {
	p.t.Helper()
	if out, err := p.call(); !isRaced(err) && !apierrors.IsAlreadyExists(err) {
		p.t.Fatalf("what is not noted must not be overwritten: %+v, %v", out, err)
	}
}

func isRaced(err error) bool {
	_, is := errors.AsType[raced](err)
	return is
}

// crashes does the next thing and forgets it.
func (p *play) crashes() {
	p.t.Helper()
	before := p.record.DeepCopy()
	if _, err := p.call(); err != nil {
		p.t.Fatal(err)
	}
	p.record = before
	p.restart()
}

// ends does the rest of the step and takes it back, and demands what the object is then; nil for none.
func (p *play) ends(want map[string]string) {
	p.t.Helper()
	p.want(v1alpha1.StepDone)
	if got := p.data()["mode"]; got != "lent" {
		p.t.Fatalf("it must be lent: %q", got)
	}
	p.restart()
	p.returns(want)
}

func (p *play) returns(want map[string]string, kept ...string) {
	p.t.Helper()
	reverted := p.runner.Revert(p.t.Context(), p.record)
	if len(reverted.Left) > 0 {
		p.t.Errorf("something is left: %q", reverted.Left)
	}
	if text := strings.Join(reverted.Kept, "\n"); len(reverted.Kept) != len(kept) {
		p.t.Errorf("kept: %s, expected %q", text, kept)
	} else {
		for _, words := range kept {
			if !strings.Contains(text, words) {
				p.t.Errorf("what is kept must be said as %q: %s", words, text)
			}
		}
	}
	got, err := admin.CoreV1().ConfigMaps(p.namespace).Get(p.t.Context(), "c", metav1.GetOptions{})
	if want == nil {
		if !apierrors.IsNotFound(err) {
			p.t.Errorf("the object must be gone: %+v, %v", got, err)
		}
		return
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Data, cmpopts.EquateEmpty()); diff != "" {
		p.t.Errorf("taken back (-want +got):\n%s", diff)
	}
}

// sets changes the object as somebody else.
func (p *play) sets(patch string) {
	p.t.Helper()
	_, err := admin.CoreV1().ConfigMaps(p.namespace).Patch(p.t.Context(), "c", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestLoans takes back exactly what was written, whatever happens at the same time.
func TestLoans(t *testing.T) {
	before := map[string]string{"mode": "normal", "other": "1"}
	for name, tc := range map[string]struct {
		reason string
		step   string
		there  string
		play   func(*play)
	}{
		"Patch": {"what was there comes back", lendPatch, normal, func(p *play) {
			p.noted()
			p.ends(before)
		}},
		"Apply": {"what was there comes back", lendApply, normal, func(p *play) {
			p.noted()
			p.ends(before)
		}},
		"Create": {"what was created goes", lendApply, "", func(p *play) {
			p.noted()
			p.ends(nil)
		}},
		"NotStored": {"what could not be stored is noted again before anything is written", lendApply, "", func(p *play) {
			stored := p.record.DeepCopy()
			if out, err := p.call(); err != nil || !out.Intent {
				p.t.Fatalf("got %+v, %v", out, err)
			}
			p.record = stored
			p.noted()
			p.ends(nil)
		}},
		"PatchOfNothing": {"an object that is created later is not ours", lendPatch, "", func(p *play) {
			p.step.Retries = 0
			p.want(v1alpha1.StepFailed, "not found")
			p.apply(normal)
			p.returns(before)
		}},
		"Overtaken": {"what came between is what comes back", lendPatch, normal, func(p *play) {
			p.noted()
			p.sets(`{"data":{"mode":"newer"}}`)
			p.collides()
			p.noted()
			p.ends(map[string]string{"mode": "newer", "other": "1"})
		}},
		"ApplyOvertaken": {"what came between is what comes back", lendApply, normal, func(p *play) {
			p.noted()
			p.sets(`{"data":{"mode":"newer"}}`)
			p.collides()
			p.noted()
			p.ends(map[string]string{"mode": "newer", "other": "1"})
		}},
		"CreatedBySomebody": {"an object that somebody else creates at the same time is not deleted", lendApply, "", func(p *play) {
			p.noted()
			p.apply(normal)
			p.collides()
			p.noted()
			p.ends(before)
		}},
		"CreatedBySomebodyAndGivenUp": {"nor where the step never wrote", lendApply, "", func(p *play) {
			p.noted()
			p.apply(normal)
			p.collides()
			p.returns(before, "is another one now")
		}},
		"Deleted": {"an object that is deleted at the same time is created", lendApply, normal, func(p *play) {
			p.noted()
			if err := admin.CoreV1().ConfigMaps(p.namespace).Delete(t.Context(), "c", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			p.collides()
			p.noted()
			p.ends(nil)
		}},
		"CrashAfterCreation": {"it is known who created it", lendApply, "", func(p *play) {
			p.noted()
			p.crashes()
			p.noted()
			p.ends(nil)
		}},
		"CrashAfterPatch": {"what the first attempt wrote is not what was there", lendPatch, normal, func(p *play) {
			p.noted()
			p.crashes()
			p.noted()
			p.ends(before)
		}},
		"CrashBeforePatch": {"what somebody wrote is what was there", lendPatch, normal, func(p *play) {
			p.noted()
			p.restart()
			p.sets(`{"data":{"mode":"newer"}}`)
			p.noted()
			p.ends(map[string]string{"mode": "newer", "other": "1"})
		}},
		"CrashAfterRemoval": {"what was removed comes back, though nobody is noted as having removed it", lendPatch, strings.Replace(normal, "mode: normal", "mode: lent", 1), func(p *play) {
			p.step.Writes[0].Body.Raw = []byte(`{"data":{"other":null}}`)
			p.noted()
			p.crashes()
			if data := p.data(); data["other"] != "" {
				t.Fatalf("it must be gone: %v", data)
			}
			p.noted()
			p.ends(map[string]string{"mode": "lent", "other": "1"})
		}},
		"ChangedAfterRemoval": {"what somebody has put there since is theirs", lendPatch, strings.Replace(normal, "mode: normal", "mode: lent", 1), func(p *play) {
			p.step.Writes[0].Body.Raw = []byte(`{"data":{"other":null}}`)
			p.noted()
			p.crashes()
			p.noted()
			p.want(v1alpha1.StepDone)
			p.sets(`{"data":{"other":"2"}}`)
			p.returns(map[string]string{"mode": "lent", "other": "2"}, "data.other")
		}},
		"CrashAfterBareCreation": {"it is known who created what has nothing but a name", lendApply, "", func(p *play) {
			p.step.Writes[0].Body.Raw = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"` + p.namespace + `","name":"c"}}`)
			p.noted()
			p.crashes()
			p.noted()
			p.want(v1alpha1.StepDone)
			p.returns(nil)
		}},
		"BareAndGivenUp": {"also where it was not noted again", lendApply, "", func(p *play) {
			p.step.Writes[0].Body.Raw = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"` + p.namespace + `","name":"c"}}`)
			p.noted()
			p.crashes()
			p.returns(nil)
		}},
		"BareBySomebody": {"one that somebody else created stays", lendApply, "", func(p *play) {
			p.step.Writes[0].Body.Raw = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"` + p.namespace + `","name":"c"}}`)
			p.noted()
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}}`)
			p.collides()
			p.noted()
			p.want(v1alpha1.StepDone)
			p.returns(map[string]string{})
		}},
		"TooMuch": {"what cannot be kept is not overwritten", lendPatch, normal, func(p *play) {
			p.sets(`{"data":{"mode":"` + strings.Repeat("x", 400<<10) + `"}}`)
			p.step.Writes[0].Body.Raw = []byte(`{"data":{"mode":"` + strings.Repeat("y", 200<<10) + `"}}`)
			p.step.Retries = 0
			p.want(v1alpha1.StepFailed, "at most 524288 can be kept to be taken back")
			if data := p.data(); data["mode"][0] != 'x' {
				t.Error("it was overwritten")
			}
		}},
		"OverwrittenAndSentAgain": {"what somebody wrote over ours comes back", lendPatch, normal, func(p *play) {
			p.step.Writes[0].Body.Raw = []byte(`{"data":{"mode":"lent","more":"yes"}}`)
			p.noted()
			p.crashes()
			p.sets(`{"data":{"mode":"theirs"}}`)
			p.noted()
			p.ends(map[string]string{"mode": "theirs", "other": "1"})
		}},
		"KeptOnPurpose": {"who has applied the same value means to keep it", lendPatch, normal, func(p *play) {
			p.noted()
			p.want(v1alpha1.StepDone)
			owned := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"mode":"lent"}}`
			_, err := admin.CoreV1().ConfigMaps(p.namespace).Patch(t.Context(), "c", types.ApplyPatchType, []byte(owned), metav1.PatchOptions{FieldManager: "owner"})
			if err != nil {
				t.Fatal(err)
			}
			p.returns(map[string]string{"mode": "lent", "other": "1"}, "data.mode of ConfigMap "+p.namespace+"/c was since written by owner, too")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newLoan(t, tc.step)
			if tc.there != "" {
				p.apply(tc.there)
			}
			tc.play(p)
			if t.Failed() {
				t.Log(tc.reason)
			}
		})
	}
}

// TestWorkloadsGoWithTheirPods: a Deployment that is gone while its Pods run is not taken back.
func TestWorkloadsGoWithTheirPods(t *testing.T) {
	const hold = "test.signoff.dev/hold"
	p := newLoan(t, `{name: lend, writes: [{operation: Apply, object: {apiVersion: apps/v1, kind: Deployment, namespace: NS, name: d}, fieldManager: m, body: {
		apiVersion: apps/v1, kind: Deployment, metadata: {namespace: NS, name: d}, spec: {replicas: 1, selector: {matchLabels: {app: d}},
		template: {metadata: {labels: {app: d}, finalizers: [`+hold+`]}, spec: {containers: [{name: app, image: "app:1"}]}}}}}]}`)
	p.noted()
	p.want(v1alpha1.StepDone)
	pods := func(ctx context.Context) []corev1.Pod {
		list, err := admin.CoreV1().Pods(p.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	eventually(t, func(ctx context.Context) error {
		if len(pods(ctx)) != 1 {
			return errors.New("the Deployment has no Pod yet")
		}
		return nil
	})
	reverted := p.runner.Revert(t.Context(), p.record)
	if left := strings.Join(reverted.Left, "\n"); len(reverted.Waiting) != 1 || !strings.Contains(left, "Deployment "+p.namespace+"/d is left: it is held by foregroundDeletion") {
		t.Errorf("its Pod is there still: %q", left)
	}
	eventually(t, func(ctx context.Context) error {
		for _, pod := range pods(ctx) {
			if _, err := admin.CoreV1().Pods(p.namespace).Patch(ctx, pod.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		if left := p.runner.Revert(ctx, p.record).Left; len(left) > 0 {
			return errors.New(left[0])
		}
		return nil
	})
	if rest := pods(t.Context()); len(rest) > 0 {
		t.Errorf("it is told as taken back, and %d Pods are left", len(rest))
	}
}

// TestWriteUnderWay: what a step has sent, and nobody knows what became of it, may come after it was first looked for. It is looked for until that cannot be any
// more, and taken back.
func TestWriteUnderWay(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, step, there string
		want                map[string]string
	}{
		"Created": {"it is not there yet", lendApply, "", nil},
		"Patched": {"it is as it was", lendPatch, normal, map[string]string{"mode": "normal", "other": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newLoan(t, tc.step)
			if tc.there != "" {
				p.apply(tc.there)
			}
			p.record.Spec.Steps = []v1alpha1.RenderedStep{*p.step}
			p.runner.Claimed(p.record)
			p.noted()
			p.record.Status.Steps = []v1alpha1.StepStatus{p.status}
			p.record.Status.Revert = &v1alpha1.Revert{StartedAt: metav1.NewTime(p.clock.Now())}
			p.returns(tc.want) // this process knows that it has sent nothing

			// Another one has taken over meanwhile, and this one does not know it.
			slow := p.runner
			p.restart()
			left := func() {
				t.Helper()
				out := p.runner.Revert(t.Context(), p.record)
				if len(out.Left) != 1 || out.Transient != 1 || len(out.Waiting) != 1 || !strings.Contains(out.Left[0], "may still be written until") {
					t.Errorf("%s, and may become otherwise: %+v", tc.reason, out)
				}
			}
			left()
			failed := &p.record.Status.Steps[0] // as this process was refused what the other one has sent
			failed.State, failed.FinishedAt = v1alpha1.StepFailed, &metav1.Time{Time: p.clock.Now()}
			left()
			late := p.record.DeepCopy()
			if _, err := slow.Step(t.Context(), late, p.step, p.status); err != nil {
				t.Fatal(err)
			}
			if got := p.data()["mode"]; got != "lent" {
				t.Fatalf("it comes late: %q", got)
			}
			left()
			p.later(landsWithin)
			p.returns(tc.want)
		})
	}
}

// TestRefusedInPart: where every write had an answer, what was written is taken back at once, and nobody is told of one that may come.
func TestRefusedInPart(t *testing.T) {
	p := newLoan(t, `{name: lend, writes: [{operation: Apply, `+lendObject+`, conflicts: Take, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {mode: lent}}},
		{operation: Apply, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: d}, conflicts: Take,
		body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: d, labels: {"no label": ""}}}}]}`)
	p.record.Spec.Steps = []v1alpha1.RenderedStep{*p.step}
	p.runner.Claimed(p.record)
	p.noted()
	p.want(v1alpha1.StepFailed, "no label")
	if !p.runner.Doubtful(p.record, p.step, v1alpha1.StepStatus{Name: p.step.Name, Basis: p.status.Basis}) {
		t.Error("something was written of which the Record says nothing")
	}
	p.record.Status.Steps = []v1alpha1.StepStatus{p.status}
	p.record.Status.Revert = &v1alpha1.Revert{StartedAt: metav1.NewTime(p.clock.Now())}
	p.returns(nil)
}

// TestOwnsOthers: what has an effect by itself does not wait for the garbage collector.
func TestOwnsOthers(t *testing.T) {
	for ref, want := range map[v1alpha1.ObjectReference]bool{
		{APIVersion: "apps/v1", Kind: "StatefulSet"}: true, {APIVersion: "batch/v1", Kind: "CronJob"}: true, {APIVersion: "v1", Kind: "ReplicationController"}: true,
		{APIVersion: "example.com/v1", Kind: "Database"}: false, {APIVersion: "v1", Kind: "ConfigMap"}: false, {APIVersion: "v1", Kind: "Secret"}: false,
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"}: false, {APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}: false,
	} {
		if ownsOthers(ref) != want {
			t.Errorf("%s: want %t", ref.Kind, want)
		}
	}
}

// TestTransientlyLeft tells what the next attempt may take back from what it will not.
func TestTransientlyLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		answer metav1.Status
		want   int
	}{
		"Unavailable": {metav1.Status{Code: 503, Reason: metav1.StatusReasonServiceUnavailable}, 1},
		"Conflict":    {metav1.Status{Code: 409, Reason: metav1.StatusReasonConflict}, 1},
		"Forbidden":   {metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden}, 0},
		"Invalid":     {metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFaultyPlay(t, v1alpha1.WriteApply, tc.answer)
			p.record.Status.Undo = []v1alpha1.Undo{{Step: "s", Object: configMapRef("a", "c"), FieldManager: "m", Created: true, UID: "u"}}
			if got := p.runner.Revert(t.Context(), p.record); len(got.Left) != 1 || got.Transient != tc.want {
				t.Errorf("got %+v, want %d left for a moment only", got, tc.want)
			}
		})
	}
}
