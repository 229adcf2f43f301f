package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestCancelInterrupted cancels after something was sent of which the Record says nothing, since the process ended before it could store that, or
// could not store it. A Job that runs is seen to its end, and nobody says of a write that it was not done.
func TestCancelInterrupted(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, step string
		restart      bool
	}{
		"job":             {"The process goes on, and knows what it sent.", runs, false},
		"job-restarted":   {"Another process goes on, and knows nothing.", runs, true},
		"write":           {"As with a Job, but nobody can tell whether a write was done.", merges, false},
		"write-restarted": {"As above.", merges, true},
	} {
		t.Run(name, func(t *testing.T) {
			action := "cut-" + name
			object := configMap(t, action)
			apply(t, strings.ReplaceAll(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Be interrupted, default: {effect: Allow},
				execution: {serviceAccountName: deployer, steps: [{name: run, `+tc.step+`}, {name: after, patch: {`+target+`, merge: {data: {after: "yes"}}}}]}}}`, "NAME", action))
			restore := storesNothing(t, action, "operations: [UPDATE], resources: [records/status]")
			r := request(action, `{}`)
			r.Name, r.GenerateName = action, ""
			ask(t, users.Alice, r)
			eventually(t, "what the step does", func() (bool, string) {
				return dataOf(t, object.Name)["by"] != "" || len(jobsOf(t, r, "run")) == 1, "nothing"
			})
			if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"enough"}}}`); err != nil {
				t.Fatal(err)
			}
			if tc.restart {
				if err := signoff.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			restore()
			said := "it cannot be told whether that was done"
			if tc.step == runs {
				stepSays(t, r, "waiting for Job")
				runsOn(t, r)
				endJob(t, r, "run", true)
				said = "It stopped before step after"
			}
			done := reaches(t, r, v1alpha1.PhaseCancelled)
			if text := strings.Join(done.Status.Summary, "\n"); !strings.Contains(text, said) || strings.Contains(text, "Nothing was executed") {
				t.Errorf("%s: the summary does not say %q:\n%s", tc.reason, said, text)
			}
			if data := dataOf(t, object.Name); data["after"] != "" {
				t.Errorf("%s: what comes after was begun: %v", tc.reason, data)
			}
		})
	}
}

// TestRecordRefused: where the API server does not take the Record of what is to run, people read why nothing starts, and it starts once that is over.
func TestRecordRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		make   func(t *testing.T, action string)
	}{
		"execution": {"What everybody agreed to is claimed.", func(t *testing.T, action string) {
			t.Helper()
			configMap(t, action)
			apply(t, strings.ReplaceAll(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME},
				spec: {title: Be refused, default: {effect: Allow}, execution: {serviceAccountName: deployer, steps: [{name: run, `+merges+`}]}}}`, "NAME", action))
		}},
		"plan": {"Plan steps run before anybody is asked.", func(t *testing.T, action string) {
			t.Helper()
			plans(t, action, "Allow", "")
			answer(action, "nothing")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			action := "refused-" + name
			tc.make(t, action)
			restore := storesNothing(t, action, "operations: [CREATE], resources: [records]")
			r := request(action, `{}`)
			r.Name, r.GenerateName = action, ""
			ask(t, users.Alice, r)
			held := reaches(t, r, v1alpha1.PhaseHeld)
			const want = "Held, because its Record cannot be stored: the API server refuses it."
			if ready := meta.FindStatusCondition(held.Status.Conditions, v1alpha1.ConditionReady); ready == nil || !strings.HasPrefix(ready.Message, want) {
				t.Errorf("%s: it says %+v", tc.reason, ready)
			}
			if held.Status.WaitingFor != "its Record cannot be stored: the API server refuses it" {
				t.Errorf("%s: the table says %q", tc.reason, held.Status.WaitingFor)
			}
			restore()
			reaches(t, r, v1alpha1.PhaseSucceeded)
		})
	}
}

// storesNothing makes the API server refuse what is to be stored of the execution of a request, until what it returns is called.
func storesNothing(t *testing.T, name, writes string) func() {
	t.Helper()
	apply(t, strings.NewReplacer("WRITES", writes, "NAME", name).Replace(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: NAME}, spec: {
		matchConstraints: {resourceRules: [{apiGroups: [signoff.dev], apiVersions: ["*"], WRITES}, {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]},
		validations: [{expression: "request.resource.resource == 'records' ? object.spec.requestRef.name != 'NAME' : object.metadata.name != 'NAME-probe'"}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: NAME}, spec: {policyName: NAME, validationActions: [Deny]}}`))
	probe := func() error {
		return admin(t).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: name + "-probe"}}, client.DryRunAll)
	}
	eventually(t, "the policy", func() (bool, string) { err := probe(); return err != nil, "it is not in force" })
	return func() {
		for _, kind := range []string{"ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"} {
			policy := &unstructured.Unstructured{}
			policy.SetAPIVersion("admissionregistration.k8s.io/v1")
			policy.SetKind(kind)
			policy.SetName(name)
			if err := admin(t).Delete(t.Context(), policy); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the end of the policy", func() (bool, string) { err := probe(); return err == nil, fmt.Sprint(err) })
	}
}
