package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// driftAction is asked for by a tool and agreed to by Bob; it calls the host that counts, and then waits until the test lets it end.
const driftAction = `
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: gitops-drift}
spec: {members: {users: [nora, bob]}, permissions: [{verbs: [request, approve], actions: {names: [drift]}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: drift}
spec:
  title: Call a host that counts, and wait
  inputs: {openAPIV3Schema: {type: object, required: [path], properties: {path: {type: string, maxLength: 63}, note: {type: string, maxLength: 63, default: none}}}}
  default: {effect: RequireApproval, stages: [owners]}
  stages: [{name: owners, approvers: {users: [bob]}}]
  execution:
    serviceAccountName: deployer
    timeout: 1h
    steps:
    - name: call
      http:
        method: POST
        url: URL/counted/${inputs.path}
        body: {a: b}
        caBundle: |
          BUNDLE
    - name: wait
      apply: {conflicts: Take, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: "${inputs.path}"}, data: {by: "${request.uid}"}}]}
      waitFor: {expression: "object.data.?end.orValue('') == 'yes'"}
`

// drifts is a request of a tool, which a repository says and a cluster has.
type drifts struct {
	*testing.T
	tool           *tool
	who            env.Person
	name, manifest string
}

// drift lets a tool make a request.
func drift(t *testing.T, tool *tool, prefix string) *drifts {
	t.Helper()
	apply(t, strings.NewReplacer("URL", host.URL, "BUNDLE", host.bundle()).Replace(driftAction))
	name := prefix + strings.ToLower(tool.name)
	d := &drifts{T: t, tool: tool, who: nora(t), name: name, manifest: manifestOf(name, tool.meta, "drift", `{path: `+name+`}`, "x", time.Now().Add(time.Hour))}
	tool.sync(t, d.who, d.manifest, tool.apply)
	return d
}

// again applies what the repository says once more.
func (d *drifts) again() (string, error) {
	d.Helper()
	args := d.tool.again
	if args == nil {
		args = d.tool.apply
	}
	return kubectl(d.T, d.who, d.manifest, args...)
}

func (d *drifts) reaches(phase v1alpha1.Phase) *v1alpha1.ActionRequest {
	d.Helper()
	return reaches(d.T, named(d.name), phase)
}

// starts lets Bob agree, and waits until it has called and waits.
func (d *drifts) starts() *v1alpha1.ActionRequest {
	d.Helper()
	approval := approvalsOf(d.T, d.reaches(v1alpha1.PhaseAwaitingApproval), 1)[0]
	if err := vote(d.T, users.Bob, &approval, v1alpha1.DecisionApprove, ""); err != nil {
		d.Fatal(err)
	}
	r := d.reaches(v1alpha1.PhaseExecuting)
	stepSays(d.T, r, "does not hold yet")
	return r
}

// ends lets the last step end.
func (d *drifts) ends() {
	d.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: d.name}}
	if err := admin(d.T).Patch(d.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"data":{"end":"yes"}}`))); err != nil {
		d.Fatal(err)
	}
}

// byHand is what a person types.
func (d *drifts) byHand(args ...string) {
	d.Helper()
	if out, err := kubectl(d.T, d.who, "", append(args, "-n", "payments")...); err != nil {
		d.Fatalf("%s: %v: %s", args, err, out)
	}
}

// noDrift looks for drift as the tools do, and finds none: what the API server would make of the manifest is what is there.
func noDrift(t *testing.T, tool *tool, who env.Person, manifest, name string) {
	t.Helper()
	var last string
	eventually(t, "a moment at which nobody writes", func() (bool, string) {
		before := stored(t, name)
		last = ""
		for _, look := range looks(tool) {
			out, err := kubectl(t, who, manifest, look...)
			if err != nil {
				last += fmt.Sprintf("%s: %v: %s\n", look, err, out)
				continue
			}
			if look[0] != "diff" {
				last += cmp.Diff(content(before), content(read(t, out)))
			}
		}
		return stored(t, name).GetResourceVersion() == before.GetResourceVersion(), "Signoff writes"
	})
	if last != "" {
		t.Errorf("%s would report a difference: %s", tool.name, last)
	}
}

// looks are the ways in which a tool looks for drift. The exit code of kubectl diff is 1 where there is any.
func looks(tool *tool) [][]string {
	write := tool.apply
	if tool.again != nil {
		write = tool.again
	}
	all := [][]string{append(slices.Clone(write), "--dry-run=server", "-o", "json")}
	if write[0] == "apply" {
		return append(all, append([]string{"diff"}, write[1:]...))
	}
	return append(all, []string{"diff"})
}

func stored(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ActionRequest"))
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(named(name)), live); err != nil {
		t.Fatal(err)
	}
	return live
}

// read reads what kubectl prints. Warnings stand before it.
func read(t *testing.T, out string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	at := strings.Index(out, "{")
	if err := object.UnmarshalJSON([]byte(out[max(at, 0):])); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return object
}

// content is what tools compare: all but who wrote what, and when.
func content(object *unstructured.Unstructured) map[string]any {
	out := object.DeepCopy()
	out.SetManagedFields(nil)
	out.SetResourceVersion("")
	return out.Object
}

// TestGitOpsNoDrift: while a request waits, executes, and is over, a tool finds what its repository says, and applying it again is no change.
func TestGitOpsNoDrift(t *testing.T) {
	for i := range tools[:4] {
		tool := &tools[i]
		t.Run(tool.name, func(t *testing.T) {
			d := drift(t, tool, "nodrift-")
			same := func(phase v1alpha1.Phase) {
				t.Helper()
				d.reaches(phase)
				noDrift(t, tool, d.who, d.manifest, d.name)
				if out, err := d.again(); err != nil {
					t.Errorf("%s: %v: %s", phase, err, out)
				}
				noDrift(t, tool, d.who, d.manifest, d.name)
			}
			same(v1alpha1.PhaseAwaitingApproval)
			first := d.starts()
			same(v1alpha1.PhaseExecuting)
			d.ends()
			same(v1alpha1.PhaseSucceeded)
			if done := d.reaches(v1alpha1.PhaseSucceeded); done.UID != first.UID || done.Generation != first.Generation || calledFor(d.name) != 1 {
				t.Errorf("something was made of it again: %d calls, %+v", calledFor(d.name), done.ObjectMeta)
			}
		})
	}
}

// TestGitOpsDrift: a person changes labels, which a tool puts back as for every object, and tries to change what was asked, which nobody can. A tool
// does not need to.
func TestGitOpsDrift(t *testing.T) {
	for i := range tools[:4] {
		tool := &tools[i]
		t.Run(tool.name, func(t *testing.T) {
			d := drift(t, tool, "drift-")
			first := d.reaches(v1alpha1.PhaseAwaitingApproval)
			of, mark := "label", "kustomize.toolkit.fluxcd.io/name"
			if tool.name != "Flux" {
				of, mark = "annotate", "argocd.argoproj.io/tracking-id"
			}
			d.byHand(of, "actionrequest", d.name, mark+"=other", "--overwrite")
			d.byHand("label", "actionrequest", d.name, "by-hand=yes")
			if out, err := kubectl(t, d.who, "", "patch", "actionrequest", "-n", "payments", d.name, "--type=merge", "-p", `{"spec":{"reason":"another"}}`); err == nil || !strings.Contains(out, "make a new request") {
				t.Errorf("what was asked cannot change: %v: %s", err, out)
			}
			if out, err := d.again(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			after := stored(t, d.name)
			if got := after.GetLabels()[mark] + after.GetAnnotations()[mark]; got == "other" || got == "" {
				t.Errorf("%s is not put back: %q", mark, got)
			}
			// Who replaces an object takes away what is not in the repository; who applies leaves what others added.
			if _, left := after.GetLabels()["by-hand"]; left != (tool.again == nil) {
				t.Errorf("the label of the person is there: %t", left)
			}
			noDrift(t, tool, d.who, d.manifest, d.name)
			if now := d.reaches(v1alpha1.PhaseAwaitingApproval); now.UID != first.UID || now.Status.Digest != first.Status.Digest || len(approvalsOf(t, now, 1)) != 1 || calledFor(d.name) != 0 {
				t.Errorf("people must not be asked again: %+v", now.Status)
			}
		})
	}
}

// TestGitOpsCancelledByHand: a person cancels what a repository says. No way of applying takes that back, or makes it run: while it waited it is asked
// anew once it was taken away, and once it had started it never runs again.
func TestGitOpsCancelledByHand(t *testing.T) {
	for i := range tools[:4] {
		tool := &tools[i]
		t.Run(tool.name, func(t *testing.T) {
			d := drift(t, tool, "waited-")
			d.cancelled(d.reaches(v1alpha1.PhaseAwaitingApproval))
			d.replaced()
			d.reaches(v1alpha1.PhaseAwaitingApproval)
			if made := calledFor(d.name); made != 0 {
				t.Errorf("it was executed %d times, and nobody agreed", made)
			}

			d = drift(t, tool, "started-")
			first := d.starts()
			d.cancelled(first)
			d.replaced()
			second := d.reaches(v1alpha1.PhaseCancelled)
			finished := meta.FindStatusCondition(second.Status.Conditions, v1alpha1.ConditionFinished)
			if second.UID == first.UID || finished.Reason != v1alpha1.ReasonAlreadyExecuted || calledFor(d.name) != 1 {
				t.Errorf("it was executed %d times: %+v", calledFor(d.name), finished)
			}
		})
	}
}

// cancelled cancels it by hand, and applies what the repository says, which does not change that. Who replaces is refused.
func (d *drifts) cancelled(first *v1alpha1.ActionRequest) {
	d.Helper()
	d.byHand("patch", "actionrequest", d.name, "--type=merge", "-p", `{"spec":{"cancellation":{"reason":"by hand"}}}`)
	d.reaches(v1alpha1.PhaseCancelled)
	out, err := d.again()
	switch replaces := d.tool.again != nil; {
	case !replaces && err != nil:
		d.Errorf("%v: %s", err, out)
	case replaces && (err == nil || !strings.Contains(out, "cancellation is final")):
		d.Errorf("it must be refused to take it back: %v: %s", err, out)
	}
	if now := d.reaches(v1alpha1.PhaseCancelled); now.UID != first.UID || now.Spec.Cancellation == nil || now.Spec.Cancellation.By.Username != "nora" {
		d.Errorf("the cancellation must stay: %+v", now.Spec)
	}
	if d.tool.again == nil {
		noDrift(d.T, d.tool, d.who, d.manifest, d.name)
	}
}

// replaced takes it away and makes it again, as a tool does that may use force.
func (d *drifts) replaced() {
	d.Helper()
	if out, err := kubectl(d.T, d.who, d.manifest, "replace", "--force"); err != nil {
		d.Fatalf("%v: %s", err, out)
	}
}
