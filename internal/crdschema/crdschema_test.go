package crdschema

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

const action = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: a}
`

const steps = `
  execution: {serviceAccountName: s, steps: [{name: a, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, whatever: 1}]}}]}
`

func TestCheck(t *testing.T) {
	cases := map[string]struct {
		reason string
		object string
		want   []string
	}{
		"Good":  {reason: "what is valid is not refused", object: action + "spec:\n  title: A" + steps},
		"Field": {reason: "a misspelt field, with what was meant", object: action + "spec:\n  titel: B\n  title: A" + steps, want: []string{`spec.titel: Forbidden: unknown field, did you mean "title"?`}},
		"Deep": {
			reason: "a field deep in lists",
			object: action + "spec:\n  title: A\n  default: {effect: RequireApproval, stages: [s]}\n  stages: [{name: s, requirements: [{name: r, aprovers: {teams: [p]}, approvers: {teams: [q]}}]}]" + steps,
			want:   []string{`spec.stages[0].requirements[0].aprovers: Forbidden: unknown field, did you mean "approvers"?`},
		},
		"Metadata": {
			reason: "metadata is no free space either", object: action[:len(action)-2] + ", label: {a: b}}\nspec:\n  title: A" + steps,
			want: []string{"metadata.label: Forbidden: unknown field"},
		},
		"Required": {reason: "a missing field", object: action + "spec:" + steps, want: []string{"spec.title: Required value"}},
		"Enum": {
			reason: "a value that is none of those", object: action + "spec:\n  title: A\n  default: {effect: Alow}" + steps,
			want: []string{`spec.default.effect: Unsupported value: "Alow": supported values: "Allow", "RequireApproval", "Hold", "Deny"`},
		},
		"Twice": {
			reason: "names are unique, as the list type says", object: action + "spec:\n  title: A\n  rules: [{name: a, effect: Deny}, {name: a, effect: Deny}]" + steps,
			want: []string{`spec.rules[1]: Duplicate value: {"name":"a"}`},
		},
		"Rule": {
			reason: "a CEL rule of the definition", object: action + "spec:\n  title: A\n  default: {effect: Deny, stages: [s]}" + steps,
			want: []string{`spec.default: Invalid value: stages go with effect RequireApproval only`},
		},
		"Name": {
			reason: "the name is judged as every name", object: "apiVersion: signoff.dev/v1alpha1\nkind: Team\nmetadata: {namespace: x, name: A}\nspec: {members: {users: [a]}}",
			want: []string{
				`metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
				`metadata.namespace: Forbidden: not allowed on this type`,
			},
		},
		"Status": {reason: "a file that was read from a cluster has a status, which is not stored", object: action + "status: {observedGeneration: 3}\nspec:\n  title: A" + steps},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			unknown, errs := check(t, tc.object)
			var got []string
			for _, err := range append(unknown, errs...) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func check(t *testing.T, text string) (unknown, errs field.ErrorList) {
	t.Helper()
	object := parse(t, text)
	kind, err := Find(object["apiVersion"].(string), object["kind"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return kind.Check(t.Context(), object)
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// TestDefaults shows that what is judged is what would be stored.
func TestDefaults(t *testing.T) {
	object := parse(t, action+"status: {observedGeneration: 3}\nspec:\n  title: A"+steps)
	kind, err := Find("signoff.dev/v1alpha1", "Action")
	if err != nil {
		t.Fatal(err)
	}
	if unknown, errs := kind.Check(t.Context(), object); len(unknown)+len(errs) > 0 {
		t.Fatal(unknown, errs)
	}
	spec := object["spec"].(map[string]any)
	if got := spec["requestTTL"]; got != "168h" {
		t.Errorf("requestTTL is %v", got)
	}
	status := object["status"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"observedGeneration": int64(-1)}, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	manifest := spec["execution"].(map[string]any)["steps"].([]any)[0].(map[string]any)["apply"].(map[string]any)["manifests"].([]any)[0]
	if manifest.(map[string]any)["whatever"] == nil {
		t.Error("a manifest is somebody else's, and a field of it was removed")
	}
}

func TestFind(t *testing.T) {
	cases := map[string]struct {
		reason, apiVersion, kind, want string
	}{
		"Other":    {"another version is not known", "signoff.dev/v1", "Action", `apiVersion: Unsupported value: "signoff.dev/v1": supported values: "signoff.dev/v1alpha1"`},
		"Misspelt": {"a misspelt kind", "signoff.dev/v1alpha1", "Acton", `kind: Invalid value: "Acton": there is no such kind, did you mean "Action"?`},
		"Unknown":  {"no such kind", "signoff.dev/v1alpha1", "Workflow", `kind: Invalid value: "Workflow": there is no such kind; there are: [Action ActionPolicy ActionRequest Approval Calendar Delegation Notifier Record Role Team]`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Find(tc.apiVersion, tc.kind)
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s:\ngot  %v\nwant %s", tc.reason, err, tc.want)
			}
		})
	}
}

// TestEveryKindCompiles finds a definition that this package cannot read.
func TestEveryKindCompiles(t *testing.T) {
	all, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Errorf("there are only %d kinds", len(all))
	}
	for name, kind := range all {
		if _, err := kind.compiled(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
