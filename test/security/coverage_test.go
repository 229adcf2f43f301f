package security

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	admissioncel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// operations says what admission calls the verbs that write. A verb that is neither here nor in reads is new, and must be thought about.
var (
	operations = map[string]admission.Operation{
		"create": admission.Create, "update": admission.Update, "patch": admission.Update, "delete": admission.Delete, "deletecollection": admission.Delete,
	}
	reads = []string{"get", "list", "watch"}
)

// mutated are the writes that the mutating pass must see too.
var mutated = map[string][]admission.Operation{
	"actionrequests": {admission.Create, admission.Update}, "approvals": {admission.Update}, "actions": {admission.Create, admission.Update},
	"delegations": {admission.Create, admission.Update},
}

// served is a resource or subresource of ours, in one version, as discovery gives it.
type served struct {
	schema.GroupVersionResource
	subresource string
	kind        schema.GroupVersionKind
	namespaced  bool
	verbs       []string
}

func (s *served) String() string {
	return strings.TrimSuffix(s.Version+"/"+s.Resource+"/"+s.subresource, "/")
}

// discovered walks the discovery of our group: every version that is served, every resource, every subresource.
func discovered(t *testing.T) []served {
	t.Helper()
	c, err := discovery.NewDiscoveryClientForConfig(cluster.Admin)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := c.ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == v1alpha1.GroupVersion.Group })
	if at < 0 {
		t.Fatal("the API server does not serve our group")
	}
	var all []served
	for _, version := range groups.Groups[at].Versions {
		list, err := c.ServerResourcesForGroupVersion(version.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			resource, subresource, _ := strings.Cut(r.Name, "/")
			gv := schema.GroupVersion{Group: v1alpha1.GroupVersion.Group, Version: version.Version}
			all = append(all, served{gv.WithResource(resource), subresource, gv.WithKind(r.Kind), r.Namespaced, r.Verbs})
		}
	}
	return all
}

// hooks are the webhooks that are registered, by configuration.
func hooks(t *testing.T) (mutating, validating []webhook.WebhookAccessor) {
	t.Helper()
	m, v := &admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
	for _, config := range []client.Object{m, v} {
		if err := admin(t).Get(t.Context(), types.NamespacedName{Name: "signoff"}, config); err != nil {
			t.Fatal(err)
		}
	}
	for i := range m.Webhooks {
		mutating = append(mutating, webhook.NewMutatingWebhookAccessor(m.Webhooks[i].Name, m.Name, &m.Webhooks[i]))
	}
	for i := range v.Webhooks {
		validating = append(validating, webhook.NewValidatingWebhookAccessor(v.Webhooks[i].Name, v.Name, &v.Webhooks[i]))
	}
	return mutating, validating
}

var compiler = admissioncel.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))

// asked tells whether the API server would ask one of the webhooks about a write of an ordinary user, and fail where it does not answer.
func asked(t *testing.T, all []webhook.WebhookAccessor, s *served, operation admission.Operation) bool {
	t.Helper()
	namespace := ""
	if s.namespaced {
		namespace = env.WorkNamespace
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(s.kind)
	attributes := admission.NewAttributesRecord(object, object, s.kind, namespace, "some", s.GroupVersionResource, s.subresource, operation, nil, false,
		&user.DefaultInfo{Name: "olga", Groups: []string{"system:authenticated"}})
	return slices.ContainsFunc(all, func(w webhook.WebhookAccessor) bool {
		matches := slices.ContainsFunc(w.GetRules(), func(rule admissionregistrationv1.RuleWithOperations) bool {
			return (&rules.Matcher{Rule: rule, Attr: attributes}).Matches()
		})
		if !matches || !isEverybody(w.GetNamespaceSelector()) || !isEverybody(w.GetObjectSelector()) || *w.GetFailurePolicy() != admissionregistrationv1.Fail {
			return false
		}
		versioned, err := admission.NewVersionedAttributes(attributes, s.kind, nil)
		if err != nil {
			t.Fatal(err)
		}
		result := w.GetCompiledMatcher(compiler).Match(t.Context(), versioned, nil, nil)
		if result.Error != nil {
			t.Fatalf("%s of %s: a condition of %s fails: %v", operation, s, w.GetName(), result.Error)
		}
		return result.Matches
	})
}

func isEverybody(selector *metav1.LabelSelector) bool {
	return selector != nil && len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0
}

// TestCase29EveryVersionAndWriteIsSeen walks discovery and expects that a webhook is asked about every write. It fails where somebody adds a kind, a subresource or
// a version without protecting it.
func TestCase29EveryVersionAndWriteIsSeen(t *testing.T) {
	mutating, validating := hooks(t)
	for _, s := range discovered(t) {
		for _, verb := range s.verbs {
			operation, writes := operations[verb]
			switch {
			case slices.Contains(reads, verb):
			case !writes:
				t.Errorf("%s has the verb %s, which nobody has thought about", &s, verb)
			case !asked(t, validating, &s, operation):
				t.Errorf("no validating webhook is asked about %s of %s", verb, &s)
			case s.subresource == "" && slices.Contains(mutated[s.Resource], operation) && !asked(t, mutating, &s, operation):
				t.Errorf("no mutating webhook is asked about %s of %s", verb, &s)
			}
		}
	}
}

// TestCase29NewKindIsNoticed is the proof that TestCase29EveryVersionAndWriteIsSeen can fail.
func TestCase29NewKindIsNoticed(t *testing.T) {
	_, validating := hooks(t)
	for name, s := range map[string]served{
		"kind":        {GroupVersionResource: v1alpha1.GroupVersion.WithResource("waivers"), kind: v1alpha1.GroupVersion.WithKind("Waiver")},
		"subresource": {GroupVersionResource: v1alpha1.GroupVersion.WithResource("teams"), subresource: "members", kind: v1alpha1.GroupVersion.WithKind("Team")},
	} {
		if asked(t, validating, &s, admission.Create) {
			t.Errorf("nobody protects the new %s, and it was not noticed", name)
		}
	}
	other := served{GroupVersionResource: schema.GroupVersionResource{Group: v1alpha1.GroupVersion.Group, Version: "v1", Resource: "teams"}, kind: v1alpha1.GroupVersion.WithKind("Team")}
	if !asked(t, validating, &other, admission.Create) {
		t.Error("another version of a kind must be seen too")
	}
}

// probe is what must be refused of one kind.
type probe struct {
	// object exists.
	object client.Object
	// bad is a change that must be refused, when it is made and when an object is created with it.
	bad string
	// deletable says why whoever has RBAC for it may delete. Empty: object must not be deleted.
	deletable string
}

// TestCase29EveryWriteIsJudged walks discovery as somebody with every right on everything of ours, in every namespace, and expects that what must not be
// written is refused, by a webhook or a policy of ours. A kind without a probe fails.
func TestCase29EveryWriteIsJudged(t *testing.T) {
	guarded(t)
	olga, probes := olga(t), probes(t)
	for _, s := range discovered(t) {
		p, known := probes[s.Resource]
		if !known {
			t.Errorf("%s has no probe: say in this test what must be refused of it", &s)
			continue
		}
		for _, verb := range s.verbs {
			if slices.Contains(reads, verb) {
				continue
			}
			t.Run(s.String()+"/"+verb, func(t *testing.T) {
				err := p.attempt(t, as(t, olga), &s, verb)
				switch {
				case err == nil && operations[verb] == admission.Delete && p.deletable != "":
				case err == nil:
					t.Error("the write was accepted")
				case !strings.Contains(err.Error(), "signoff.dev\" denied the request") && !strings.Contains(err.Error(), "ValidatingAdmissionPolicy"):
					t.Errorf("the write was refused by somebody else: %v", err)
				}
			})
		}
	}
}

// attempt does what must be refused. Deletion that is allowed is tried without effect.
func (p *probe) attempt(t *testing.T, c client.Client, s *served, verb string) error {
	t.Helper()
	object := p.unstructured(t, s)
	bad := p.bad
	if s.subresource != "" {
		bad = `{"status":{"observedGeneration":77},"spec":{"replicas":77}}`
	}
	changed := merged(t, object, bad)
	switch {
	case verb == "create" && s.subresource == "":
		changed.SetName("made-by-olga")
		changed.SetResourceVersion("")
		changed.SetUID("")
		return c.Create(t.Context(), changed)
	case verb == "update" && s.subresource == "":
		return c.Update(t.Context(), changed)
	case verb == "update":
		return c.SubResource(s.subresource).Update(t.Context(), changed)
	case verb == "patch" && s.subresource == "":
		return c.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(bad)))
	case verb == "patch":
		return c.SubResource(s.subresource).Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(bad)))
	case verb == "delete" && s.subresource == "":
		return c.Delete(t.Context(), object, client.DryRunAll)
	case verb == "deletecollection" && s.subresource == "":
		return c.DeleteAllOf(t.Context(), object, client.InNamespace(object.GetNamespace()),
			client.MatchingFields{"metadata.name": object.GetName()}, client.DryRunAll)
	}
	return fmt.Errorf("nobody has thought about %s of %s", verb, s)
}

// unstructured is the object as it is now, in the version that is walked.
func (p *probe) unstructured(t *testing.T, s *served) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: s.Group, Version: s.Version, Kind: s.kind.Kind})
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(p.object), object); err != nil {
		t.Fatal(err)
	}
	return object
}

// merged makes the object that a merge patch would make.
func merged(t *testing.T, object *unstructured.Unstructured, patch string) *unstructured.Unstructured {
	t.Helper()
	text, err := object.MarshalJSON()
	if err == nil {
		text, err = jsonpatch.MergePatch(text, []byte(patch))
	}
	changed := &unstructured.Unstructured{}
	if err == nil {
		err = changed.UnmarshalJSON(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// olga has every right on what is Signoff's, and no Role of Signoff's.
func olga(t *testing.T) env.Person {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "all-of-signoff-"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"signoff.dev"}, Resources: []string{"*"},
		Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"},
	}}}
	if err := admin(t).Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Grant(t.Context(), role.Name, "", env.ToUser("olga")); err != nil {
		t.Fatal(err)
	}
	login, err := cluster.User("olga")
	if err != nil {
		t.Fatal(err)
	}
	person := env.Person{Name: "olga", Config: login}
	eventually(t, "RBAC lets olga read", func() (bool, string) {
		err := as(t, person).List(t.Context(), &v1alpha1.RecordList{})
		return err == nil, fmt.Sprint(err)
	})
	return person
}

// probes makes an object of every kind, and says what must be refused of it.
func probes(t *testing.T) map[string]*probe {
	t.Helper()
	waiting, approval := open(t)
	done := ask(t, users.Alice, request("deploy", play.StagingInputs))
	reaches(t, done, v1alpha1.PhaseSucceeded)
	record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: string(done.UID)}}
	const catalogs = "who writes the catalog or the guard rails may remove from them; what rests on it is refused or waits then"
	named := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	for _, manifest := range []string{
		`{apiVersion: signoff.dev/v1alpha1, kind: Calendar, metadata: {namespace: signoff-system, name: covered}, spec: {timeZone: UTC, windows: [{weekly: {days: [Mon], from: "09:00", to: "17:00"}}]}}`,
		`{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: covered}, spec: {rules: [{name: never, effect: Deny, when: "false"}]}}`,
		`{apiVersion: signoff.dev/v1alpha1, kind: Notifier, metadata: {namespace: platform, name: covered}, spec: {channels: [{name: bus, cloudEvents: {url: "https://events.example.org"}}], routes: [{events: [Requested], to: [{channel: bus}]}]}}`,
		`{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: covered}, spec: {members: {users: [nobody]}, permissions: [{verbs: [request], actions: {names: [deploy]}}]}}`,
	} {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
			t.Fatal(err)
		}
		if err := admin(t).Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		c := admin(t)
		t.Cleanup(func() {
			if err := c.Delete(context.WithoutCancel(t.Context()), object); err != nil {
				t.Error(err)
			}
		})
	}
	return map[string]*probe{
		"actionrequests": {object: waiting, bad: `{"metadata":{"finalizers":["signoff.dev/request","signoff.dev/olga"]}}`, deletable: "who may delete a request that does not act ends it"},
		"approvals":      {object: approval, bad: fmt.Sprintf(`{"spec":{"votes":[%s]}}`, voteOf(t, approval, "bob"))},
		"records":        {object: record, bad: `{"metadata":{"labels":{"signoff.dev/hour":"1970-01-01T00"}}}`},
		"actions":        {object: &v1alpha1.Action{ObjectMeta: named("platform", "deploy")}, bad: `{"spec":{"execution":{"serviceAccountName":"root"}}}`, deletable: catalogs},
		"roles":          {object: &v1alpha1.Role{ObjectMeta: named("platform", "covered")}, bad: `{"spec":{"permissions":[{"verbs":["request"],"actions":{"names":["deploy"]},"when":"nonsense("}]}}`, deletable: catalogs},
		"teams":          {object: &v1alpha1.Team{ObjectMeta: named("", "payments")}, bad: `{"spec":{"members":{"users":["olga"]}}}`, deletable: catalogs},
		"calendars":      {object: &v1alpha1.Calendar{ObjectMeta: named("signoff-system", "covered")}, bad: `{"spec":{"timeZone":"Mars/Olympus"}}`, deletable: catalogs},
		"delegations":    {object: delegates(t, users.Bob, "covered", users.Carol.Name), bad: `{"spec":{"until":"2099-01-01T00:00:00Z"}}`},
		"notifiers":      {object: &v1alpha1.Notifier{ObjectMeta: named("platform", "covered")}, bad: `{"spec":{"routes":[{"events":["Requested"],"to":[{"channel":"other"}]}]}}`, deletable: "who writes Notifiers may remove them; nothing rests on one"},
		"actionpolicies": {object: &v1alpha1.ActionPolicy{ObjectMeta: named("", "covered")}, bad: `{"spec":{"rules":[{"name":"never","effect":"Deny","when":"nonsense("}]}}`, deletable: catalogs},
	}
}

// voteOf is a vote of somebody as our webhook would write it.
func voteOf(t *testing.T, approval *v1alpha1.Approval, voter string) string {
	t.Helper()
	text, err := json.Marshal(v1alpha1.Vote{Decision: v1alpha1.DecisionApprove, Voter: *identity(voter), At: metav1.NowMicro(), Digest: approval.Spec.Digest})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
