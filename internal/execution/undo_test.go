package execution

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	if out, err := p.call(); !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		p.t.Fatalf("what is not noted must not be overwritten: %+v, %v", out, err)
	}
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
	if want == nil && apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Data); diff != "" {
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
