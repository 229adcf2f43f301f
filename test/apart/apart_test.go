// Package apart runs admission and the controllers as two processes with an identity and a key each, and tries to do with one what only
// the other may.
package apart

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/rights"
	"github.com/signoff-dev/signoff/test/system"
)

var (
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
)

// As in other packages of tests.
var eventually = play.Eventually

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	world, err := play.Start(context.Background(), &play.Options{
		Env: env.Options{CRDs: true}, System: system.Options{Split: true},
		// An Action that runs at once on staging and waits for bob elsewhere.
		Accounts: []string{"deployer", "deployer-read"}, World: "test/apart/testdata/world.yaml",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	cluster, users, signoff = world.Cluster, world.Users, world.Signoff
	return m.Run()
}

// as gives a client with these credentials, which need not be those of a person.
func as(t *testing.T, config *rest.Config) client.WithWatch {
	t.Helper()
	return play.As(t, env.Person{Name: config.Host, Config: config})
}

// requestIn is a request in another namespace.
func requestIn(namespace string) *v1alpha1.ActionRequest {
	r := request("staging")
	r.Namespace = namespace
	return r
}

func request(environment string) *v1alpha1.ActionRequest {
	return &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: "note-"},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: "note"}, Reason: "a test",
			Inputs: &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"environment":%q}`, environment)},
		},
	}
}

func ask(t *testing.T, environment string) *v1alpha1.ActionRequest {
	t.Helper()
	r := request(environment)
	eventually(t, "the request", func() (bool, string) {
		attempt := r.DeepCopy()
		err := as(t, users.Alice.Config).Create(t.Context(), attempt)
		if err == nil {
			*r = *attempt
		}
		return err == nil, fmt.Sprint(err)
	})
	return r
}

func reaches(t *testing.T, r *v1alpha1.ActionRequest, phase v1alpha1.Phase) {
	t.Helper()
	eventually(t, fmt.Sprintf("phase %s of %s", phase, r.Name), func() (bool, string) {
		err := as(t, cluster.Admin).Get(t.Context(), client.ObjectKeyFromObject(r), r)
		return err == nil && r.Status.Phase == phase, fmt.Sprintf("%v: %s, %+v", err, r.Status.Phase, r.Status.Conditions)
	})
}

// TestTheyWorkTogether plays a request that runs at once and one that is approved.
func TestTheyWorkTogether(t *testing.T) {
	reaches(t, ask(t, "staging"), v1alpha1.PhaseSucceeded)
	r := ask(t, "production")
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approvals := &v1alpha1.ApprovalList{}
	if err := as(t, cluster.Admin).List(t.Context(), approvals, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)}); err != nil || len(approvals.Items) != 1 {
		t.Fatalf("one Approval is expected: %d, %v", len(approvals.Items), err)
	}
	vote := []byte(`{"spec":{"vote":{"decision":"Approve"}}}`)
	if err := as(t, users.Bob.Config).Patch(t.Context(), &approvals.Items[0], client.RawPatch(types.MergePatchType, vote)); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestNeitherDoesTheOthersWork tries with each identity what only the other may do.
func TestNeitherDoesTheOthersWork(t *testing.T) {
	r := ask(t, "production")
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := &v1alpha1.Approval{}
	approvals := &v1alpha1.ApprovalList{}
	if err := as(t, cluster.Admin).List(t.Context(), approvals, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)}); err != nil || len(approvals.Items) != 1 {
		t.Fatalf("one Approval is expected: %d, %v", len(approvals.Items), err)
	}
	approvals.Items[0].DeepCopyInto(approval)
	secret := func(name string) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			return c.Get(ctx, types.NamespacedName{Namespace: env.SystemNamespace, Name: name}, &corev1.Secret{})
		}
	}
	merge := func(object client.Object, body string, subresource bool) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			patch := client.RawPatch(types.MergePatchType, []byte(body))
			if subresource {
				return c.Status().Patch(ctx, object.DeepCopyObject().(client.Object), patch)
			}
			return c.Patch(ctx, object.DeepCopyObject().(client.Object), patch)
		}
	}
	forged, err := json.Marshal(map[string]any{"spec": map[string]any{"votes": []v1alpha1.Vote{{
		Decision: v1alpha1.DecisionApprove, Voter: v1alpha1.Identity{Username: "bob"}, At: metav1.NowMicro(), Digest: approval.Spec.Digest,
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: string(r.UID)}}
	for name, tc := range map[string]struct {
		as *rest.Config
		do func(context.Context, client.Client) error
	}{
		"ControllersReadTheKeyOfAdmission":  {signoff.Operator, secret("signoff-admission-key")},
		"ControllersAsk":                    {signoff.Operator, func(ctx context.Context, c client.Client) error { return c.Create(ctx, request("staging")) }},
		"ControllersVote":                   {signoff.Operator, merge(approval, `{"spec":{"vote":{"decision":"Approve"}}}`, false)},
		"ControllersForgeAVote":             {signoff.Operator, merge(approval, string(forged), false)},
		"ControllersReadOtherSecrets":       {signoff.Operator, secret("any")},
		"AdmissionReadsTheKeyOfControllers": {signoff.Admission, secret("signoff-controller-key")},
		"AdmissionAsks":                     {signoff.Admission, func(ctx context.Context, c client.Client) error { return c.Create(ctx, request("staging")) }},
		"AdmissionVotes":                    {signoff.Admission, merge(approval, `{"spec":{"vote":{"decision":"Approve"}}}`, false)},
		"AdmissionForgesAVote":              {signoff.Admission, merge(approval, string(forged), false)},
		"AdmissionClosesAnApproval":         {signoff.Admission, merge(approval, `{"status":{"state":"Approved"}}`, true)},
		"AdmissionWritesStatus":             {signoff.Admission, merge(r, `{"status":{"phase":"Approved"}}`, true)},
		"AdmissionCancels":                  {signoff.Admission, merge(r, `{"spec":{"cancellation":{"reason":"x"}}}`, false)},
		"AdmissionActsAsTheExecutor": {impersonating(signoff.Admission, "deployer"), func(ctx context.Context, c client.Client) error {
			return c.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: "forged"}})
		}},
		"AdmissionWritesAsWhoReads": {impersonating(signoff.Admission, "deployer-read"), func(ctx context.Context, c client.Client) error {
			return c.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: "forged"}})
		}},
		"AdmissionClaims": {signoff.Admission, func(ctx context.Context, c client.Client) error { return c.Create(ctx, record.DeepCopy()) }},
		"AdmissionOpensAnApproval": {signoff.Admission, func(ctx context.Context, c client.Client) error {
			other := &v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: "forged"}, Spec: approval.Spec}
			return c.Create(ctx, other)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.do(t.Context(), as(t, tc.as)); !apierrors.IsForbidden(err) {
				t.Errorf("it must be forbidden: %v", err)
			}
		})
	}
}

// impersonating are the credentials of a process that acts as a ServiceAccount of the catalog.
func impersonating(process *rest.Config, account string) *rest.Config {
	config := rest.CopyConfig(process)
	config.Impersonate = rest.ImpersonationConfig{UserName: identity.ServiceAccountUsername(env.CatalogNamespace, account)}
	return config
}

// TestActionSaysWhoMayNotActForIt publishes an Action that no process may read for, and grants it to one after the other: it is ready once both may.
func TestActionSaysWhoMayNotActForIt(t *testing.T) {
	action := &v1alpha1.Action{}
	if err := as(t, cluster.Admin).Get(t.Context(), types.NamespacedName{Namespace: env.CatalogNamespace, Name: "note"}, action); err != nil {
		t.Fatal(err)
	}
	action = &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "lacking"}, Spec: action.Spec}
	action.Spec.Execution.ReadServiceAccountName = "stranger"
	if err := as(t, cluster.Admin).Create(t.Context(), action); err != nil {
		t.Fatal(err)
	}
	says := func(status metav1.ConditionStatus, words, lacks string) {
		t.Helper()
		eventually(t, fmt.Sprintf("an Action that says %q", words), func() (bool, string) {
			err := as(t, cluster.Admin).Get(t.Context(), client.ObjectKeyFromObject(action), action)
			ready := meta.FindStatusCondition(action.Status.Conditions, v1alpha1.ConditionReady)
			if err != nil || ready == nil {
				return false, fmt.Sprint(err)
			}
			return ready.Status == status && strings.Contains(ready.Message, words) && (lacks == "" || !strings.Contains(ready.Message, lacks)), ready.Message
		})
	}
	grant := func(process string) {
		t.Helper()
		name := metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "stranger-" + process}
		role := &rbacv1.Role{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{"stranger"}, Verbs: []string{"impersonate"}}}}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: env.SystemNamespace, Name: process}},
		}
		for _, object := range []client.Object{role, binding} {
			if err := as(t, cluster.Admin).Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
	}
	says(metav1.ConditionFalse, "--serviceaccount=signoff-system:signoff-controller && kubectl create role signoff-admission-as-stranger", "")
	grant("signoff-controller")
	says(metav1.ConditionFalse, "--serviceaccount=signoff-system:signoff-admission", "signoff-controller")
	grant("signoff-admission")
	says(metav1.ConditionTrue, "can be requested", "")
}

// TestOnlyByName tries with each identity to create and change what is not its own, and shows that its own is. RBAC knows the name of what is
// applied, and none of what is posted. Nothing is stored.
func TestOnlyByName(t *testing.T) {
	inOwn := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: name}
	}
	post := func(object client.Object) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			return c.Create(ctx, object.DeepCopyObject().(client.Object), client.DryRunAll)
		}
	}
	apply := func(object runtime.ApplyConfiguration) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			return c.Apply(ctx, object, client.FieldOwner("test"), client.DryRunAll)
		}
	}
	change := func(object client.Object) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"b"}}}`))
			return c.Patch(ctx, object.DeepCopyObject().(client.Object), patch, client.DryRunAll)
		}
	}
	remove := func(object client.Object) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			return c.Delete(ctx, object.DeepCopyObject().(client.Object), client.DryRunAll)
		}
	}
	renew := func(name string) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			lease := &coordinationv1.Lease{ObjectMeta: inOwn(name)}
			if err := c.Get(ctx, client.ObjectKeyFromObject(lease), lease); err != nil {
				return err
			}
			return c.Update(ctx, lease, client.DryRunAll)
		}
	}
	secret := func(name string) *coreapply.SecretApplyConfiguration {
		return coreapply.Secret(name, env.SystemNamespace).WithAnnotations(map[string]string{"a": "b"})
	}
	configMap := func(name string) *coreapply.ConfigMapApplyConfiguration {
		return coreapply.ConfigMap(name, env.SystemNamespace).WithAnnotations(map[string]string{"a": "b"})
	}
	type attempt struct {
		reason  string
		do      func(context.Context, client.Client) error
		allowed bool
	}
	for _, process := range []struct {
		as         *rest.Config
		own, other string
	}{{signoff.Admission, "signoff-admission-key", "signoff-controller-key"}, {signoff.Operator, "signoff-controller-key", "signoff-admission-key"}} {
		for name, tc := range map[string]attempt{
			"PostsASecret":           {"A Secret could be a token of somebody.", post(&corev1.Secret{ObjectMeta: inOwn("any")}), false},
			"PostsItsOwnName":        {"What is posted has no name to RBAC.", post(&corev1.Secret{ObjectMeta: inOwn(process.own)}), false},
			"AppliesASecret":         {"By another name neither.", apply(secret("any")), false},
			"AppliesTheOther":        {"The other key is not its own.", apply(secret(process.other)), false},
			"AppliesElsewhere":       {"Nor is its name in another namespace.", apply(coreapply.Secret(process.own, env.WorkNamespace)), false},
			"AppliesItsOwn":          {"Its own it makes and changes.", apply(secret(process.own)), true},
			"ChangesTheOther":        {"The other key is not its own.", change(&corev1.Secret{ObjectMeta: inOwn(process.other)}), false},
			"RemovesItsOwn":          {"A key that is gone is what a thief of another would want.", remove(&corev1.Secret{ObjectMeta: inOwn(process.own)}), false},
			"PostsAConfigMap":        {"Nothing of it is configured so.", post(&corev1.ConfigMap{ObjectMeta: inOwn("any")}), false},
			"AppliesAConfigMap":      {"By another name neither.", apply(configMap("any")), false},
			"AppliesThePublicKeys":   {"Both publish their keys, which RBAC cannot tell apart.", apply(configMap("signoff-keys")), true},
			"RemovesThePublicKeys":   {"Nothing could be verified.", remove(&corev1.ConfigMap{ObjectMeta: inOwn("signoff-keys")}), false},
			"RenewsTheOthersLease":   {"Leases are named after Pods, so none can be named.", renew(process.other), true},
			"MakesALeaseElsewhere":   {"In their own namespace only.", post(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "any"}}), false},
			"AsksInItsOwnNamespace":  {"The controllers may post a canary there, and nothing else.", post(requestIn(env.SystemNamespace)), false},
			"PostsARecordElsewhere":  {"Records are in its own namespace.", post(&v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "any"}}), false},
			"RemovesAnApproval":      {"It is evidence.", remove(&v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "any"}}), false},
			"MakesANamespace":        {"They are read.", post(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "any"}}), false},
			"MakesAnEventInTheOther": {"Only the controllers tell.", post(&eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "any"}}), false},
		} {
			if process.as == signoff.Operator && name == "MakesAnEventInTheOther" {
				continue
			}
			t.Run(process.own+"/"+name, func(t *testing.T) {
				eventually(t, "its own objects are there", func() (bool, string) {
					err := as(t, cluster.Admin).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: process.own}, &corev1.Secret{})
					return err == nil, fmt.Sprint(err)
				})
				err := tc.do(t.Context(), as(t, process.as))
				if tc.allowed && err != nil || !tc.allowed && !apierrors.IsForbidden(err) {
					t.Errorf("%s Allowed must be %t: %v", tc.reason, tc.allowed, err)
				}
			})
		}
	}
}

// TestRightsAsDocumented asks the API server what each identity may do, and compares it with the table of docs/security/seals.md: no right is
// missing there, and none is left that is not said. What everybody may ask about themselves is left out.
func TestRightsAsDocumented(t *testing.T) {
	documented, err := rights.Documented()
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := cluster.ServiceAccount(t.Context(), env.WorkNamespace, "nobody")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		process   string
		as        *rest.Config
		namespace string
		where     []string
	}{
		{rights.Admission, signoff.Admission, env.SystemNamespace, []string{rights.Everywhere, rights.Own}},
		{rights.Admission, signoff.Admission, env.WorkNamespace, []string{rights.Everywhere}},
		{rights.Controllers, signoff.Operator, env.SystemNamespace, []string{rights.Everywhere, rights.Own}},
		{rights.Controllers, signoff.Operator, env.WorkNamespace, []string{rights.Everywhere}},
	} {
		everybody := allowed(t, nobody, tc.process, tc.namespace)
		isEverybodys := func(right rights.Right) bool { return slices.Contains(everybody, right) }
		var want []rights.Right
		for _, right := range documented {
			if right.Process == tc.process && slices.Contains(tc.where, right.Where) {
				right.Where = tc.namespace
				want = append(want, right)
			}
		}
		got := allowed(t, tc.as, tc.process, tc.namespace)
		want, got = slices.DeleteFunc(want, isEverybodys), slices.DeleteFunc(got, isEverybodys)
		if diff := cmp.Diff(rights.Sorted(want), rights.Sorted(got)); diff != "" {
			t.Errorf("docs/security/seals.md, %s in %s (-page +API server):\n%s", tc.process, tc.namespace, diff)
		}
	}
}

// allowed asks the API server what somebody may do in a namespace.
func allowed(t *testing.T, config *rest.Config, process, namespace string) []rights.Right {
	t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	if err := as(t, config).Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	var all []rights.Right
	for _, rule := range review.Status.ResourceRules {
		all = append(all, rights.Of(process, namespace, rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: rule.Resources, Verbs: rule.Verbs, ResourceNames: rule.ResourceNames})...)
	}
	if len(all) == 0 {
		t.Fatalf("nothing is allowed to %s", process)
	}
	return all
}

// TestRights asks the API server for what neither identity may ever do anywhere, by the list of rights that an operator must not have.
func TestRights(t *testing.T) {
	for name, config := range map[string]*rest.Config{"controllers": signoff.Operator, "admission": signoff.Admission} {
		for _, tc := range []authorizationv1.ResourceAttributes{
			{Verb: "get", Resource: "secrets", Namespace: env.WorkNamespace},
			{Verb: "list", Resource: "secrets", Namespace: env.SystemNamespace},
			{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "roles", Namespace: env.WorkNamespace},
			{Verb: "bind", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
			{Verb: "impersonate", Resource: "users"},
			{Verb: "impersonate", Resource: "groups"},
			{Verb: "impersonate", Group: "authentication.k8s.io", Resource: "uids"},
			{Verb: "impersonate", Resource: "serviceaccounts", Namespace: env.WorkNamespace, Name: "default"},
			{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: env.CatalogNamespace},
			{Verb: "create", Resource: "pods", Namespace: env.SystemNamespace},
			{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: env.SystemNamespace},
			{Verb: "update", Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations", Name: "signoff"},
			{Verb: "update", Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "actions.signoff.dev"},
			{Verb: "update", Group: "rbac.authorization.k8s.io", Resource: "roles", Namespace: env.CatalogNamespace},
			{Verb: "update", Group: v1alpha1.GroupVersion.Group, Resource: "roles", Namespace: env.CatalogNamespace},
			{Verb: "update", Group: v1alpha1.GroupVersion.Group, Resource: "actions", Namespace: env.CatalogNamespace},
			{Verb: "update", Group: v1alpha1.GroupVersion.Group, Resource: "teams"},
			{Verb: "update", Group: v1alpha1.GroupVersion.Group, Resource: "actionpolicies"},
			{Verb: "*", Resource: "*", Namespace: env.WorkNamespace},
			{Verb: "*", Group: v1alpha1.GroupVersion.Group, Resource: "*", Namespace: env.WorkNamespace},
		} {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &tc}}
			if err := as(t, config).Create(t.Context(), review); err != nil {
				t.Fatal(err)
			}
			if review.Status.Allowed {
				t.Errorf("the %s must not %s %s/%s %s in %q", name, tc.Verb, tc.Group, tc.Resource, tc.Subresource, tc.Namespace)
			}
		}
	}
}
