package gate

import (
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

const columnWorld = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: columns}
spec:
  title: Columns
  inputs: {openAPIV3Schema: {type: object, properties: {kind: {type: string, maxLength: 20}}}}
  rules:
  - {name: silent, when: "inputs.kind == 'silent'", effect: Hold}
  - {name: speaks, when: "inputs.kind == 'speaks'", effect: Hold, message: the stock is being counted}
  - {name: dated, when: "inputs.kind == 'dated' && now < timestamp('2026-12-27T00:00:00Z')", effect: Hold}
  - {name: first, when: "inputs.kind == 'two'", effect: Hold}
  - {name: second, when: "inputs.kind == 'two'", effect: Hold}
  - {name: denies, when: "inputs.kind == 'denies'", effect: Deny}
  - {name: this-name-is-as-long-as-the-name-of-a-rule-may-be-but-it-ends-so, when: "inputs.kind == 'long'", effect: Hold}
  default: {effect: Allow}
  execution:
    serviceAccountName: runner
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}]
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: everybody}
spec:
  members: {users: [alice]}
  permissions: [{verbs: [request], actions: {names: ["*"]}}]
---
apiVersion: signoff.dev/v1alpha1
kind: Calendar
metadata: {namespace: signoff-system, name: christmas}
spec: {timeZone: Europe/London, windows: [{dates: {from: "2026-11-01", through: "2027-01-04"}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: ActionPolicy
metadata: {name: christmas}
spec:
  match: {actions: {names: [columns]}}
  rules: [{name: frozen, during: {calendar: christmas}, when: "has(inputs.kind) && inputs.kind == 'policy'", effect: Hold}]
---
apiVersion: signoff.dev/v1alpha1
kind: ActionPolicy
metadata: {name: matched}
spec:
  match: {requestNamespaces: {names: [elsewhere]}}
  rules: [{name: all, effect: Deny}]
`

// The column has room for which rule it is, until when, and why: in the words of its author, or else by what the rule read.
func TestColumn(t *testing.T) {
	gate := gateOver(t, columnWorld, config.Default(), fakeFacts{}, clock.RealClock{})
	for kind, tc := range map[string]struct {
		effect v1alpha1.Effect
		want   string
	}{
		"silent": {v1alpha1.EffectHold, `rule silent: inputs.kind is "silent"`},
		"speaks": {v1alpha1.EffectHold, `rule speaks: the stock is being counted`},
		"dated":  {v1alpha1.EffectHold, `rule dated until Sun 27 Dec 00:00 UTC: inputs.kind is "dated"; now is "2026-11-…`},
		"two":    {v1alpha1.EffectHold, `rule first: inputs.kind is "two" +1`},
		"denies": {v1alpha1.EffectDeny, `rule denies: inputs.kind is "denies"`},
		"long":   {v1alpha1.EffectHold, `rule thi…ame-of-a-rule-may-be-but-it-ends-so: inputs.kind is "long"`},
		"policy": {v1alpha1.EffectHold, `rule policy/christmas/frozen until Mon 4 Jan 2027 23:59 Europe/London: inputs.k…`},
		"none":   {v1alpha1.EffectHold, ``},
	} {
		t.Run(kind, func(t *testing.T) {
			j := gate.Judge(t.Context(), asking("alice", "columns", `{"kind":"`+kind+`"}`), monday)
			j.Explain(t.Context())
			got := j.Column(tc.effect, func(rule string) []string { return j.Reasons[rule].Because })
			if got != tc.want || len([]rune(got)) > ColumnWidth {
				t.Errorf("Column(%s):\nwant %q,\ngot  %q", tc.effect, tc.want, got)
			}
			if without := j.Column(tc.effect, func(string) []string { return nil }); strings.HasSuffix(without, ": ") {
				t.Errorf("nothing is announced that does not follow: %q", without)
			}
		})
	}
}

// A rule without a condition is about what its policy matches, which need not be every request.
func TestRuleOfAPolicyWithoutCondition(t *testing.T) {
	gate, subject := gateOver(t, columnWorld, config.Default(), fakeFacts{}, clock.RealClock{}), asking("alice", "columns", `{"kind":"none"}`)
	subject.Namespace = "elsewhere"
	j := gate.Judge(t.Context(), subject, monday)
	if want := "a policy denies everything that it matches (ActionPolicy matched, rule all)"; j.Problem == nil || !strings.HasPrefix(j.Problem.Message, want) {
		t.Errorf("want %q, got %+v", want, j.Problem)
	}
	j.Explain(t.Context())
	want := "rule policy/matched/all: it is about every request that its policy matches"
	if got := j.Column(v1alpha1.EffectDeny, func(rule string) []string { return j.Reasons[rule].Because }); got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}
