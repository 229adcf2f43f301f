package gate

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/config"
)

// TestRefusalsAreBounded: however many rules or Roles stand against a request, a refusal tells of a few, and what shows the rest.
func TestRefusalsAreBounded(t *testing.T) {
	const action = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: scale}
spec:
  title: Scale
  inputs: {openAPIV3Schema: {type: object, required: [case], properties: {case: {type: string, maxLength: 63}}}}
  rules: [RULES]
  default: {effect: Deny}
  execution:
    serviceAccountName: scaler
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}
`
	rules, roles := make([]string, 0, 24), ""
	for i := range 12 {
		rules = append(rules, fmt.Sprintf(`{name: no-%02d, when: "inputs.case == 'deny'", effect: Deny, message: reason %d}`, i, i),
			fmt.Sprintf(`{name: lost-%02d, when: "inputs.case == 'lost' && team('t%d').name == 'x'", effect: Deny}`, i, i))
		roles += fmt.Sprintf("\n---\n{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: r-%02d}, spec: {members: {users: [alice]}, "+
			`permissions: [{verbs: [request], actions: {names: [scale]}, when: "inputs.case != 'role'", message: condition %d}]}}`, i, i)
	}
	gate := gateOver(t, strings.Replace(action, "RULES", strings.Join(rules, ", "), 1)+roles, config.Default(), fakeFacts{}, clock.RealClock{})
	for about, tc := range map[string]struct{ reason, last, more, absent string }{
		"deny": {"Rules that deny.", "reason 4 (rule no-04 of Action platform/scale)", "and 7 more rules; kubectl signoff explain shows all.", "reason 5"},
		"lost": {"Rules that cannot be judged.", `rule lost-04: `, "and 7 more rules; kubectl signoff explain shows all.", "lost-05"},
		"role": {"Roles whose conditions do not hold.", "condition 4", "and 7 more roles; kubectl signoff can-i request platform/scale shows all.", "condition 5"},
	} {
		t.Run(about, func(t *testing.T) {
			problem := gate.Judge(t.Context(), scale("alice", `{"case": "`+about+`"}`), monday).Problem
			if problem == nil {
				t.Fatal("the request is refused")
			}
			for _, words := range []string{tc.last, tc.more} {
				if !strings.Contains(problem.Message, words) {
					t.Errorf("%s\nit does not say %q:\n%s", tc.reason, words, problem.Message)
				}
			}
			if strings.Contains(problem.Message, tc.absent) {
				t.Errorf("%s\nit goes on and on:\n%s", tc.reason, problem.Message)
			}
		})
	}
}
