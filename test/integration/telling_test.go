package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// factAction writes an Action in the catalog of facts, with one step that writes a ConfigMap.
func factAction(name, spec, manifest string) string {
	return `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: factual, name: ` + name + `}, spec: {title: a, ` + spec + `
		execution: {serviceAccountName: writer, readServiceAccountName: reader, steps: [{name: note, apply: {manifests: [` + manifest + `]}}]}}}`
}

const noteManifest = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: note}, data: {a: b}}`

// policyFor makes a policy for one test.
func policyFor(t *testing.T, name, spec string) {
	t.Helper()
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: `+name+`}, spec: `+spec+`}`)
	t.Cleanup(func() {
		policy := &v1alpha1.ActionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := admin(t).Delete(context.Background(), policy); err != nil {
			t.Error(err)
		}
	})
}

// TestStepErrorsHideWhatTheyRead lets the template of a step fail over a value that the requester may not read: nothing that is stored repeats it.
func TestStepErrorsHideWhatTheyRead(t *testing.T) {
	facts(t)
	apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: hidden}, data: {word: s3cr3tword}}`)
	for name, tc := range map[string]struct{ reason, value string }{
		"step-number": {"An error of a conversion repeats the text.", `${string(int(hidden.data.word))}`},
		"step-key":    {"An error of CEL repeats the key.", `${{'a': 'b'}[hidden.data.word]}`},
		"step-time":   {"Or the text that is no time.", `${string(timestamp(hidden.data.word))}`},
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, factAction(name, `default: {effect: Allow}, lookups: [{as: hidden, object: {apiVersion: v1, kind: ConfigMap, namespace: limits, name: hidden}}],`,
				`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: note}, data: {a: "`+tc.value+`"}}`))
			asked := ask(t, users.Alice, factRequest(name, "{}"))
			live := &v1alpha1.ActionRequest{}
			eventually(t, "why it waits", func() (bool, string) {
				if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(asked), live); err != nil {
					return false, err.Error()
				}
				stored, err := json.Marshal(live.Status)
				return err == nil && strings.Contains(string(stored), "not shown: alice may not read ConfigMap limits/hidden"), string(stored)
			})
			stored, err := json.Marshal(live)
			if err != nil || strings.Contains(string(stored), "s3cr3tword") {
				t.Errorf("%s What is stored shows it: %v\n%s", tc.reason, err, stored)
			}
			if !strings.HasPrefix(live.Status.WaitingFor, "Cannot tell what would be executed: ") {
				t.Errorf("waitingFor: %q", live.Status.WaitingFor)
			}
		})
	}
}

// TestSecretTargetIsNotRead: an Action may write a Secret that it does not read. A policy that reads the target of every request does not get it.
func TestSecretTargetIsNotRead(t *testing.T) {
	facts(t)
	apply(t, factAction("rotate", `default: {effect: Allow}, target: {apiVersion: v1, kind: Secret, namespace: limits, name: token},`, noteManifest))
	ask(t, users.Alice, factRequest("rotate", "{}"))
	policyFor(t, "reads-targets", `{match: {actions: {namespaces: [factual], names: [rotate]}}, rules: [{name: marked, when: "has(target.data)", effect: Deny}]}`)
	eventually(t, "the refusal", func() (bool, string) {
		last := errText(as(t, users.Alice).Create(t.Context(), factRequest("rotate", "{}"), client.DryRunAll))
		return strings.Contains(last, "a Secret is never read as a fact"), last
	})
}

// TestNotReadyIsSaidToWhoAsks: an Action that is known not to run can be asked for, and who asks reads that it will hardly run.
func TestNotReadyIsSaidToWhoAsks(t *testing.T) {
	facts(t)
	apply(t, factAction("unready", `default: {effect: Allow},`, `{apiVersion: scanner.example/v1, kind: Scan, metadata: {namespace: limits, name: a}}`))
	eventually(t, "the warning", func() (bool, string) {
		text, err := warnings(t, users.Alice, factRequest("unready", "{}"))
		return err == nil && strings.Contains(text, "Action factual/unready is not ready, so this will hardly run: The API server serves no scanner.example/v1 Scan"),
			text + errText(err)
	})
	apply(t, factAction("ready", `default: {effect: Allow},`, noteManifest))
	eventually(t, "no warning", func() (bool, string) {
		text, err := warnings(t, users.Alice, factRequest("ready", "{}"))
		return err == nil && !strings.Contains(text, "not ready"), text + errText(err)
	})
}

// TestIndeterminateSaysWhatItWaitsFor lets a rule of a later policy fail for a request that waits: the table says which.
func TestIndeterminateSaysWhatItWaitsFor(t *testing.T) {
	asked := ask(t, users.Alice, request("two-stages", `{}`))
	reaches(t, asked, v1alpha1.PhaseAwaitingApproval)
	policyFor(t, "unjudged", fmt.Sprintf(`{rules: [{name: gone, when: "request.name == '%s' && team('nobody-%s').name == 'x'", effect: Hold}]}`, asked.Name, asked.Name))
	live := reaches(t, asked, v1alpha1.PhasePending)
	if want := `rule policy/unjudged/gone: there is no Team "nobody-`; !strings.HasPrefix(live.Status.WaitingFor, want) {
		t.Errorf("waitingFor: want %q, got %q", want, live.Status.WaitingFor)
	}
	if ready := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionReady); ready == nil || !strings.Contains(ready.Message, "there is no Team") {
		t.Errorf("the condition has room for why: %+v", ready)
	}
	policy := &v1alpha1.ActionPolicy{}
	eventually(t, "the policy counts it", func() (bool, string) {
		if err := admin(t).Get(t.Context(), client.ObjectKey{Name: "unjudged"}, policy); err != nil {
			return false, err.Error()
		}
		ready := policy.Status.Conditions[0]
		return policy.Status.Holding == 1 && ready.Status == metav1.ConditionFalse && strings.Contains(ready.Message, "1 request waits because a rule"), fmt.Sprint(policy.Status)
	})
}
