package action

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// restart is the first Action of the README, of which a test changes what it is about.
func restart(t *testing.T, schema string) *v1alpha1.Action {
	t.Helper()
	action := &v1alpha1.Action{}
	err := yaml.UnmarshalStrict([]byte(`
metadata: {namespace: platform, name: restart, generation: 3}
spec:
  title: Restart a Deployment
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: restarter
    steps:
    - name: restart
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: restarted}}]}
`), action)
	if err != nil {
		t.Fatal(err)
	}
	if schema != "" {
		raw, err := yaml.YAMLToJSON([]byte(schema))
		if err != nil {
			t.Fatal(err)
		}
		action.Spec.Inputs = &v1alpha1.ActionInputs{OpenAPIV3Schema: runtime.RawExtension{Raw: raw}}
	}
	return action
}

const target = `
type: object
required: [namespace, name]
properties:
  name: {type: string, maxLength: 63}
  namespace: {type: string, maxLength: 63}
  force: {type: boolean}
`

const targetExample = `# Create it in your own namespace: kubectl create -n <namespace> -f <file>
apiVersion: signoff.dev/v1alpha1
kind: ActionRequest
metadata:
  generateName: restart-
spec:
  actionRef:
    name: restart
    namespace: platform
  inputs:
    name: example
    namespace: example
  reason: say why
`

func TestStatus(t *testing.T) {
	earlier := metav1.NewTime(noon.Add(-time.Hour))
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.Action)
		grants string
		want   v1alpha1.ActionStatus
	}{
		"Ready": {
			reason: "It compiles, and the operator may act as its ServiceAccount.",
			change: func(*v1alpha1.Action) {},
			want: v1alpha1.ActionStatus{
				ObservedGeneration: 3, Inputs: "namespace,name,force", Approval: "always", Example: targetExample,
				Conditions: []metav1.Condition{{
					Type: "Ready", Status: "True", Reason: "Ready", Message: "can be requested",
					ObservedGeneration: 3, LastTransitionTime: metav1.NewTime(noon),
				}},
			},
		},
		"CannotImpersonate": {
			reason: "It can be asked for, but not be executed; since when it is not ready does not change.",
			change: func(a *v1alpha1.Action) {
				a.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "Invalid", LastTransitionTime: earlier}}
			},
			grants: "grant it",
			want: v1alpha1.ActionStatus{
				ObservedGeneration: 3, Inputs: "namespace,name,force", Approval: "always", Example: targetExample,
				Conditions: []metav1.Condition{{
					Type: "Ready", Status: "False", Reason: "CannotImpersonate", Message: "grant it",
					ObservedGeneration: 3, LastTransitionTime: earlier,
				}},
			},
		},
		"Invalid": {
			reason: "What is wrong with it matters more than who may execute it, and nothing else can be said.",
			change: func(a *v1alpha1.Action) { a.Spec.RequestTTL = "soon" },
			grants: "grant it",
			want: v1alpha1.ActionStatus{
				ObservedGeneration: 3,
				Conditions: []metav1.Condition{{
					Type: "Ready", Status: "False", Reason: "Invalid",
					Message:            `spec.requestTTL: Invalid value: "soon": must be a duration such as 30m, 24h or 1h30m`,
					ObservedGeneration: 3, LastTransitionTime: metav1.NewTime(noon),
				}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			action := restart(t, target)
			tc.change(action)
			compiled, errs := catalog.CompileAction(action)
			got := status(action, compiled, conditions.Compiled(action.Generation, errs, "can be requested"), tc.grants, noon)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestExample(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		schema string
		want   []string
		not    []string
	}{
		"NoInputs": {
			reason: "An Action without inputs is asked for without any.",
			want:   []string{"generateName: restart-", "reason: "}, not: []string{"inputs"},
		},
		"Guessed": {
			reason: "Numbers, texts that look like something else, and nested objects stay what they are.",
			schema: `{type: object, required: [count, version, where], properties: {
				count: {type: integer, minimum: 3}, version: {type: string, enum: ["1.0", "yes"]},
				where: {type: object, required: [zone], properties: {zone: {type: string, maxLength: 9}}}}}`,
			want: []string{"count: 3\n", `version: "1.0"`, "where:\n      zone: example"}, not: []string{"To be changed"},
		},
		"NobodyCanGuess": {
			reason: "Where the example does not satisfy a rule, it says so instead of misleading.",
			schema: `{type: object, required: [name], properties: {name: {type: string, maxLength: 63}},
				x-kubernetes-validations: [{rule: "self.name.startsWith('team-')", message: "begins with team-"}]}`,
			want: []string{"# To be changed: spec.inputs: Invalid value: ", "begins with team-\n", "name: example"},
		},
		"TooLong": {
			reason: "An example that is cut would be no YAML.",
			schema: `{type: object, required: [text], properties: {text: {type: string, maxLength: 9000, minLength: 5000}}}`,
			want:   []string{"# To be added: spec.inputs"}, not: []string{"xxx"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			compiled, errs := catalog.CompileAction(restart(t, tc.schema))
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			got := example(compiled)
			for _, text := range tc.want {
				if !strings.Contains(got, text) {
					t.Errorf("%s\nwant %q in\n%s", tc.reason, text, got)
				}
			}
			for _, text := range tc.not {
				if strings.Contains(got, text) {
					t.Errorf("%s\nwant no %q in\n%s", tc.reason, text, got)
				}
			}
			request := &v1alpha1.ActionRequest{}
			if err := yaml.UnmarshalStrict([]byte(got), request); err != nil {
				t.Errorf("the example is no ActionRequest: %v\n%s", err, got)
			}
			if diff := cmp.Diff(compiled.Ref(), request.Spec.ActionRef); diff != "" {
				t.Errorf("actionRef: -want, +got:\n%s", diff)
			}
		})
	}
}

func TestGrants(t *testing.T) {
	operator := types.NamespacedName{Namespace: "signoff-system", Name: "signoff"}
	admission := types.NamespacedName{Namespace: "signoff-system", Name: "signoff-admission"}
	r := &Reconciler{Operator: operator, Admission: admission}
	for name, tc := range map[string]struct {
		reason  string
		lacking []lack
		want    string
	}{
		"None": {"Nothing is lacking.", nil, ""},
		"Two": {
			reason:  "One line to copy, with a Role per ServiceAccount, so that another Action with the same one needs no more.",
			lacking: []lack{{"deployer", operator}, {"reader", operator}},
			want: "Signoff may not act as ServiceAccount platform/deployer and platform/reader. It asks again until it may. " +
				"An administrator of the namespace grants it: " +
				"kubectl create role signoff-as-deployer -n platform --verb=impersonate --resource=serviceaccounts --resource-name=deployer && " +
				"kubectl create rolebinding signoff-as-deployer -n platform --role=signoff-as-deployer --serviceaccount=signoff-system:signoff && " +
				"kubectl create role signoff-as-reader -n platform --verb=impersonate --resource=serviceaccounts --resource-name=reader && " +
				"kubectl create rolebinding signoff-as-reader -n platform --role=signoff-as-reader --serviceaccount=signoff-system:signoff",
		},
		"Admission": {
			reason:  "Admission reads with a right of its own, so that the command for the controllers would not help.",
			lacking: []lack{{"reader", operator}, {"reader", admission}},
			want: "Signoff may not act as ServiceAccount platform/reader. It asks again until it may. " +
				"An administrator of the namespace grants it: " +
				"kubectl create role signoff-as-reader -n platform --verb=impersonate --resource=serviceaccounts --resource-name=reader && " +
				"kubectl create rolebinding signoff-as-reader -n platform --role=signoff-as-reader --serviceaccount=signoff-system:signoff && " +
				"kubectl create role signoff-admission-as-reader -n platform --verb=impersonate --resource=serviceaccounts --resource-name=reader && " +
				"kubectl create rolebinding signoff-admission-as-reader -n platform --role=signoff-admission-as-reader --serviceaccount=signoff-system:signoff-admission",
		},
		"NobodyWhoExecutes": {
			reason:  "Nobody is told to let admission act as who executes.",
			lacking: []lack{{"deployer", admission}},
			want: "admission reads facts, and acts as nobody who executes: name another ServiceAccount in spec.execution.readServiceAccountName, which may read them, " +
				"and let signoff-system:signoff-admission impersonate it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, r.grants(&v1alpha1.Action{
				ObjectMeta: metav1.ObjectMeta{Namespace: "platform"}, Spec: v1alpha1.ActionSpec{Execution: v1alpha1.Execution{ServiceAccountName: "deployer"}},
			}, tc.lacking)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		in     v1alpha1.Execution
		want   []string
	}{
		"One":  {"Without another one, facts are read as the same.", v1alpha1.Execution{ServiceAccountName: "a"}, []string{"a"}},
		"Same": {"The same one is asked for once.", v1alpha1.Execution{ServiceAccountName: "a", ReadServiceAccountName: "a"}, []string{"a"}},
		"Two":  {"Both are needed.", v1alpha1.Execution{ServiceAccountName: "a", ReadServiceAccountName: "b"}, []string{"a", "b"}},
		"Plan": {"The plan steps run as one, too.", v1alpha1.Execution{ServiceAccountName: "a", Plan: &v1alpha1.PlanSteps{ServiceAccountName: "c"}}, []string{"a", "c"}},
		"Read": {"Who reads may also plan.", v1alpha1.Execution{ServiceAccountName: "a", ReadServiceAccountName: "b", Plan: &v1alpha1.PlanSteps{ServiceAccountName: "b"}}, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.in.Accounts()); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLookAgain(t *testing.T) {
	since := func(reason string, d time.Duration) v1alpha1.ActionStatus {
		return v1alpha1.ActionStatus{Conditions: []metav1.Condition{{
			Type: "Ready", Status: "False", Reason: reason, LastTransitionTime: metav1.NewTime(noon.Add(-d)),
		}}}
	}
	for name, tc := range map[string]struct {
		reason string
		status v1alpha1.ActionStatus
		want   time.Duration
	}{
		"Gone":    {"An Action that is gone has no status.", v1alpha1.ActionStatus{}, 0},
		"Invalid": {"Somebody must edit it, and that is an event.", since("Invalid", time.Minute), 0},
		"New":     {"At first it looks often.", since("CannotImpersonate", 0), time.Second},
		"Later":   {"Each wait is as long as all before.", since("CannotImpersonate", 20*time.Second), 20 * time.Second},
		"Old":     {"A grant is noticed within a minute.", since("CannotImpersonate", time.Hour), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, lookAgain(&tc.status, noon)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
