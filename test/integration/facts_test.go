package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// factual is the namespace of the Actions that read facts, and limits the one that holds the facts.
const (
	factual = "factual"
	limits  = "limits"
)

// facts installs what the tests of facts act on.
func facts(t *testing.T) {
	t.Helper()
	namespace(t, factual)
	for _, account := range []string{"writer", "reader"} {
		if _, err := cluster.ServiceAccount(t.Context(), factual, account); err != nil {
			t.Fatal(err)
		}
	}
	if err := signoff.Grant(t.Context(), factual, "writer", "reader"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.ApplyFile(t.Context(), "test/integration/testdata/facts.yaml"); err != nil {
		t.Fatal(err)
	}
}

func factRequest(action, inputs string) *v1alpha1.ActionRequest {
	r := request(action, inputs)
	r.Spec.ActionRef.Namespace = factual
	return r
}

// refusedFor asks until the answer is one of facts, and expects it to be a refusal with these words.
func refusedFor(t *testing.T, who env.Person, r *v1alpha1.ActionRequest, words ...string) {
	t.Helper()
	eventually(t, "the refusal of "+who.Name, func() (bool, string) {
		err := as(t, who).Create(t.Context(), r.DeepCopy())
		if err == nil {
			t.Fatalf("%s was let in; want a refusal with %q", who.Name, words)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				return false, err.Error()
			}
		}
		return true, ""
	})
}

func setQuota(t *testing.T, key, value string) {
	t.Helper()
	quota := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: limits, Name: "quota"}}
	if err := patch(t, env.Person{Name: "admin", Config: cluster.Admin}, quota, `{"data":{"`+key+`":"`+value+`"}}`); err != nil {
		t.Fatal(err)
	}
}

func TestFactsDecide(t *testing.T) {
	facts(t)
	small := ask(t, users.Alice, factRequest("scale", `{"replicas":2}`))
	done := reaches(t, small, v1alpha1.PhaseSucceeded)
	note := &corev1.ConfigMap{}
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: limits, Name: "note-" + string(small.UID)}, note); err != nil || note.Data["max"] != "3" {
		t.Errorf("a step can use what was looked up; got %v, %v", note.Data, err)
	}
	quota := &corev1.ConfigMap{}
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: limits, Name: "quota"}, quota); err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.Fact{
		{Name: "quota", Object: "ConfigMap limits/quota", Version: quota.ResourceVersion, ReadAs: "factual/reader"},
		{Name: "exception", Object: "ConfigMap limits/little", ReadAs: "factual/reader"},
	}
	if got := done.Status.Verdict.Facts; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("the verdict says what it rests on; want %+v, got %+v", want, got)
	}
	large := ask(t, users.Alice, factRequest("scale", `{"replicas":9}`))
	waiting := reaches(t, large, v1alpha1.PhaseAwaitingApproval)
	if waiting.Status.Approvals != "0/1" {
		t.Errorf("beyond the limit somebody must agree; got %q", waiting.Status.Approvals)
	}
}

func TestFactsThatTheRequesterCanChange(t *testing.T) {
	facts(t)
	// Erin may patch the ConfigMap, so that it neither lets her through, nor says who must agree.
	refusedFor(t, users.Erin, factRequest("scale", `{"replicas":2}`),
		"rule within: ConfigMap limits/quota can be changed by you (erin), so quota cannot decide this.", "trust: RequesterWritable")
	refusedFor(t, users.Erin, factRequest("scale", `{"replicas":9}`), "rule frozen: ConfigMap limits/quota can be changed by you (erin)")
	r := ask(t, users.Erin, factRequest("trusting", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	summary := strings.Join(approvalsOf(t, r, 1)[0].Spec.Summary, "\n")
	if want := "This Action trusts ConfigMap limits/quota (quota), which erin may be able to change."; !strings.Contains(summary, want) {
		t.Errorf("approvers are told what the Action trusts; want %q in\n%s", want, summary)
	}
}

func TestNamespaceThatTheRequesterCanChange(t *testing.T) {
	facts(t)
	reaches(t, ask(t, users.Alice, factRequest("tiered", `{}`)), v1alpha1.PhaseSucceeded)
	// A right inside of a namespace can be a right to change the namespace.
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: limits, Name: "relabel"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"update"}},
		}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: limits, Name: "relabel"}, Subjects: []rbacv1.Subject{env.ToUser("dave")},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "relabel"}},
	} {
		if err := admin(t).Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	refusedFor(t, users.Dave, factRequest("tiered", `{}`), "Namespace limits can be changed by you (dave), so namespaceObject cannot decide this.")
}

func TestFactsChange(t *testing.T) {
	facts(t)
	setQuota(t, "frozen", "yes")
	r := ask(t, users.Alice, factRequest("scale", `{"replicas":2}`))
	reaches(t, r, v1alpha1.PhaseHeld)
	setQuota(t, "frozen", "no")
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

func TestFactsThatCannotBeRead(t *testing.T) {
	facts(t)
	refusedFor(t, users.Alice, factRequest("blind", `{}`), "cannot read lookup nodes, every Node", `nodes is forbidden: User "system:serviceaccount:factual:reader"`)
	reaches(t, ask(t, users.Alice, factRequest("count", `{"label":"quota"}`)), v1alpha1.PhaseSucceeded)
	for _, name := range []string{"one", "two", "three"} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: limits, Name: name, Labels: map[string]string{"kind": "many"}}}
		if err := admin(t).Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	refusedFor(t, users.Alice, factRequest("count", `{"label":"many"}`), "every ConfigMap in namespace limits with kind=many", "more than 2 objects")
	refusedFor(t, users.Alice, factRequest("count", `{"label":"a b"}`), "cannot tell what lookup maps is")
}

func TestLookupsAreRefusedAtAdmission(t *testing.T) {
	facts(t)
	for name, tc := range map[string]struct{ lookup, rule, want string }{
		"Secret":   {`{as: s, object: {apiVersion: v1, kind: Secret, namespace: limits, name: a}}`, "s != null", "spec.lookups[0].object.kind: Forbidden: a Secret is never read as a fact"},
		"Secrets":  {`{as: s, list: {apiVersion: v1, kind: Secret, namespace: limits}}`, "size(s) > 0", "spec.lookups[0].list.kind: Forbidden"},
		"Reserved": {`{as: target, list: {apiVersion: v1, kind: Node}}`, "true", "spec.lookups[0].as: Invalid value"},
		"Unused":   {`{as: nodes, list: {apiVersion: v1, kind: Node}}`, "true", "nothing reads this lookup"},
	} {
		t.Run(name, func(t *testing.T) {
			err := cluster.Apply(t.Context(), []byte(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: factual, name: refused}
spec:
  title: Refused
  lookups: [`+tc.lookup+`]
  rules: [{name: r, when: "`+tc.rule+`", effect: Allow}]
  execution:
    serviceAccountName: writer
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: a}}]}}]
`))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want a refusal with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestLookupOfAKindThatDoesNotExist(t *testing.T) {
	facts(t)
	err := cluster.Apply(t.Context(), []byte(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: factual, name: no-kind}
spec:
  title: Reads what nobody serves
  lookups: [{as: reports, list: {apiVersion: scanner.example/v1, kind: VulnerabilityReport}}]
  rules: [{name: clean, when: "size(reports) == 0", effect: Allow}]
  execution:
    serviceAccountName: writer
    readServiceAccountName: reader
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: a}}, {apiVersion: scanner.example/v1, kind: Scan, metadata: {namespace: limits, name: a}}]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	action := &v1alpha1.Action{}
	eventually(t, "the condition", func() (bool, string) {
		if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: factual, Name: "no-kind"}, action); err != nil {
			return false, err.Error()
		}
		ready := meta.FindStatusCondition(action.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonFactsUnavailable &&
			strings.Contains(ready.Message, "serves no scanner.example/v1 Scan (spec.execution.steps[note].apply.manifests[1]) and no scanner.example/v1 VulnerabilityReport (spec.lookups[reports].list)"), fmt.Sprint(ready)
	})
	refusedFor(t, users.Alice, factRequest("no-kind", `{}`), "cannot read lookup reports, every VulnerabilityReport")
}

// TestNamespaceWakesWhomItConcerns labels the namespaces on which requests rest that wait: whom that concerns is judged again, also where it writes
// elsewhere.
func TestNamespaceWakesWhomItConcerns(t *testing.T) {
	label := func(place, open string) {
		apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+place+`, labels: {open: "`+open+`"}}}`)
	}
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: placed}, spec: {title: Do it where it is open, default: {effect: Deny},
		inputs: {openAPIV3Schema: {type: object, required: [place], properties: {place: {type: string, maxLength: 63}}}},
		target: {apiVersion: v1, kind: ConfigMap, namespace: "${inputs.place}", name: none},
		rules: [{name: open, when: "namespaceObject.metadata.labels['open'] == 'yes'", effect: Allow},
			{name: wait, when: "namespaceObject.metadata.labels['open'] == 'ask'", effect: RequireApproval}],
		execution: {serviceAccountName: deployer, steps: [{name: note, apply: {conflicts: Take, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: "placed-${inputs.place}"}}]}}]}}}`)
	waiting := map[string]*v1alpha1.ActionRequest{}
	for _, place := range []string{"place-a", "place-b"} {
		label(place, "ask")
		waiting[place] = ask(t, users.Alice, request("placed", `{"place":"`+place+`"}`))
		reaches(t, waiting[place], v1alpha1.PhaseAwaitingApproval)
	}
	label("place-a", "no")
	reaches(t, waiting["place-a"], v1alpha1.PhaseHeld)
	before := reaches(t, waiting["place-b"], v1alpha1.PhaseAwaitingApproval)
	label("place-a", "yes")
	reaches(t, waiting["place-a"], v1alpha1.PhaseSucceeded)
	if after := reaches(t, waiting["place-b"], v1alpha1.PhaseAwaitingApproval); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("place-b is as it was, and the request that rests on it was written: %+v", after.Status)
	}
	label("place-b", "yes")
	reaches(t, waiting["place-b"], v1alpha1.PhaseSucceeded)
}
