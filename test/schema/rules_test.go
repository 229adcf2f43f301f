package schema

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// breakers gives, for each CEL rule of a type, a merge patch on a good value that breaks the rule and no other. A rule is known
// by the beginning of its message. They are tried in every place that has the rule; the rules of a spec as a whole are in the
// table of their kind.
func breakers() map[string]string {
	requirements := "requirements: [{name: a, approvers: {users: [a]}}]"
	return map[string]string{
		"must be longer than zero":                  "0h0m0s",
		"must be at least a minute":                 "59s",
		"system groups never approve":               "system:authenticated",
		"system identities never approve":           "system:admin",
		"a ServiceAccount belongs in":               "system:serviceaccount:ci:agent",
		"names nobody":                              "{users: [], groups: [], teams: null, serviceAccounts: null, roles: null, leadsOf: null, expression: null}",
		"a key has at most 256":                     "{" + strings.Repeat("k", 257) + ": [a]}",
		"the key of a label":                        "{" + strings.Repeat("k", 318) + ": a}",
		"selector is empty":                         "{matchLabels: null, matchExpressions: []}",
		"values are needed with operators":          "{operator: Exists}",
		"\"*\" already means":                       "{names: ['*', deploy]}",
		"Local is not a place":                      "Local",
		"through is before from":                    "{from: '2026-12-28', through: '2026-12-26'}",
		"exactly one of approvers and":              "{count: null, approvers: {users: [a]}, " + requirements + "}",
		"count goes with approvers":                 "{count: 1, approvers: null, " + requirements + "}",
		"stages go with effect":                     "{effect: Allow, stages: [owners]}",
		"stages are needed with effect":             "{effect: Hold, stages: [security]}",
		"namespace goes with template":              "{namespace: a}",
		"[names selector] must be set":              "{names: [a], selector: {matchLabels: {a: b}}}",
		"[weekly dates] must be set":                "{weekly: null, dates: null}",
		"[status expression] must be set":           "{status: Current, expression: 'true'}",
		"[apply patch delete job http] must be set": "{patch: {merge: {}}}",
		"[value secret] must be set":                "{value: null, secret: null, prefix: null}",
		"[writes http] must be set":                 "{writes: null, http: null}",
		"[text expression] must be set":             "{text: a, expression: b}",
		"[strategic merge json] must be":            "{strategic: {}, merge: {}}",
		"[podFrom template] must be set":            "{podFrom: null}",
		"[job http] must be set":                    "{job: null, http: null}",
		"failWhen is about a Job":                   "{failWhen: 'true', job: null, http: {method: GET, url: 'https://a'}}",
		"as another ServiceAccount":                 "{plan: {serviceAccountName: deployer}}",
		"members.teams is not allowed":              "{members: {teams: [a]}}",
		"leads.teams is not allowed":                "{leads: {teams: [a]}}",
	}
}

// badForRules gives the values that break the CEL rules of a place.
func badForRules(p place) []violation {
	var out []violation
	for message, change := range breakers() {
		for _, rule := range p.node.schema.XValidations {
			if strings.Contains(rule.Message, message) {
				out = append(out, violation{"CEL: " + message, p.at, merged(p.value, change), rule.Message})
			}
		}
	}
	return out
}

// merged applies a merge patch, written as YAML, to a value.
func merged(value any, change string) any {
	patch, err := yaml.YAMLToJSONStrict([]byte(change))
	if err != nil {
		panic(err)
	}
	raw, err := json.Marshal(map[string]any{"value": value})
	if err != nil {
		panic(err)
	}
	if raw, err = jsonpatch.MergePatch(raw, []byte(`{"value":`+string(patch)+`}`)); err != nil {
		panic(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return wholeNumbers(out["value"])
}

// TestEveryCELRuleIsTested demands a value that breaks each CEL rule: of a type in breakers, of a spec in the table of its
// kind, and of a transition in the transitions of its kind or, for a property that never changes, made by the walk over spec.
func TestEveryCELRuleIsTested(t *testing.T) {
	t.Parallel()
	unused := breakers()
	for kind, cases := range tables() {
		for _, n := range walk(node{schema: loadSchema(t, kind)}) {
			for _, rule := range n.schema.XValidations {
				maps.DeleteFunc(unused, func(message, _ string) bool { return strings.Contains(rule.Message, message) })
				if !covered(kind, rule, cases) {
					t.Errorf("%s: no test breaks the rule at %q: %s", kind, n.path, rule.Message)
				}
			}
		}
	}
	for message := range unused {
		t.Errorf("no CRD has the rule %q any more", message)
	}
}

func covered(kind string, rule apiextensionsv1.ValidationRule, cases map[string]schemaCase) bool {
	if strings.Contains(rule.Rule, "oldSelf") {
		for _, tc := range transitions()[kind] {
			if tc.want != "" && strings.Contains(rule.Message, tc.want) {
				return true
			}
		}
		return strings.HasPrefix(rule.Message, strings.TrimPrefix(rule.FieldPath, ".")+" cannot change")
	}
	for message := range breakers() {
		if strings.Contains(rule.Message, message) {
			return true
		}
	}
	for _, tc := range cases {
		if strings.Contains(tc.want, rule.Message) || tc.want != "" && strings.Contains(rule.Message, tc.want) {
			return true
		}
	}
	return false
}
