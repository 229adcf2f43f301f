// Package apart runs admission and the controllers as two processes with an identity and a key each, and tries to do with one what only
// the other may.
package apart

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
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
		"AdmissionClaims":                   {signoff.Admission, func(ctx context.Context, c client.Client) error { return c.Create(ctx, record.DeepCopy()) }},
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
