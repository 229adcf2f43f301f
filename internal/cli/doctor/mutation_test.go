package doctor

import (
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/signoff-dev/signoff/internal/config"
)

// TestMutation names the mutating webhooks of others by which votes could be changed before they are sealed.
func TestMutation(t *testing.T) {
	every, namespaced := []string{"*"}, admissionregistrationv1.ClusterScope
	rule := func(groups, resources []string, operations ...admissionregistrationv1.OperationType) *admissionregistrationv1.RuleWithOperations {
		return &admissionregistrationv1.RuleWithOperations{Operations: operations, Rule: admissionregistrationv1.Rule{APIGroups: groups, APIVersions: every, Resources: resources}}
	}
	scoped, other := rule(every, every, "*"), rule([]string{"signoff.dev"}, every, "*")
	scoped.Scope, other.APIVersions = &namespaced, []string{"v2"}
	const create, update, remove = admissionregistrationv1.Create, admissionregistrationv1.Update, admissionregistrationv1.Delete
	cases := map[string]struct {
		reason string
		rule   *admissionregistrationv1.RuleWithOperations
		state  State
	}{
		"Nobody":      {"ours is no finding", nil, Good},
		"Everything":  {"it is asked about everything", rule(every, every, "*"), Judge},
		"All":         {"and about subresources", rule(every, []string{"*/*"}, create), Judge},
		"Named":       {"it names our kinds", rule([]string{"signoff.dev"}, []string{"approvals"}, update), Judge},
		"Status":      {"the status too is ours", rule([]string{"signoff.dev"}, []string{"actionrequests/status"}, update), Judge},
		"Pods":        {"it is about pods", rule([]string{""}, []string{"pods"}, create), Good},
		"OtherGroup":  {"it is about all of another group", rule([]string{"apps"}, every, create), Good},
		"OtherKind":   {"nobody votes by a Calendar", rule([]string{"signoff.dev"}, []string{"calendars"}, create), Good},
		"Deletions":   {"what is deleted is not changed", rule(every, every, remove), Good},
		"Cluster":     {"our kinds have namespaces", scoped, Good},
		"NoSuchVotes": {"there is no such version", other, Good},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := installed(t, "signoff", "")
			if tc.rule != nil {
				of := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "mesh"}, Webhooks: []admissionregistrationv1.MutatingWebhook{
					{Name: "inject.mesh.example", Rules: []admissionregistrationv1.RuleWithOperations{*tc.rule}}, {Name: "idle.mesh.example"},
				}}
				of.SetGroupVersionKind(admissionregistrationv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"))
				content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(of)
				if err != nil {
					t.Fatal(err)
				}
				if err := cluster.Tracker().Add(&unstructured.Unstructured{Object: content}); err != nil {
					t.Fatal(err)
				}
			}
			found, err := (&Doctor{Options: Options{Namespace: config.DefaultNamespace}, objects: cluster}).mutation(t.Context())
			if err != nil || len(found) != 1 || found[0].State != tc.state {
				t.Fatalf("%s: %+v, %v", tc.reason, found, err)
			}
			if named := strings.Contains(found[0].Message, ": mesh (inject.mesh.example). Exclude"); named != (tc.state == Judge) {
				t.Errorf("%s: it says %q", tc.reason, found[0].Message)
			}
		})
	}
}

// TestMutationUnread says what may not be read.
func TestMutationUnread(t *testing.T) {
	cluster := installed(t, "signoff", "")
	cluster.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	})
	found, err := (&Doctor{objects: cluster}).mutation(t.Context())
	if err != nil || len(found) != 1 || found[0].State != Unknown || !strings.Contains(found[0].Message, "list mutatingwebhookconfigurations.admissionregistration.k8s.io") {
		t.Errorf("got %+v, %v", found, err)
	}
}

// TestMutationByPolicy names the admission policies that change, in whichever version the API server serves them.
func TestMutationByPolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, version, resource string
		state                     State
	}{
		"Votes":  {"votes could be changed", "v1", "approvals", Judge},
		"Pods":   {"it is about something else", "v1", "pods", Good},
		"Older":  {"the API server is older", "v1beta1", "approvals", Judge},
		"Oldest": {"and older still", "v1alpha1", "approvals", Judge},
		"None":   {"it has no such policies at all", "v0", "approvals", Good},
	} {
		t.Run(name, func(t *testing.T) {
			of := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": map[string]any{"name": "labels"},
				"spec": map[string]any{"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
					"apiGroups": []any{"*"}, "apiVersions": []any{"*"}, "operations": []any{"UPDATE"}, "resources": []any{tc.resource},
				}}}},
			}}
			cluster := installed(t, "signoff", "")
			cluster.PrependReactor("list", "mutatingadmissionpolicies", func(asked clienttesting.Action) (bool, runtime.Object, error) {
				if asked.GetResource().Version != tc.version {
					return true, nil, apierrors.NewNotFound(asked.GetResource().GroupResource(), "")
				}
				return true, &unstructured.UnstructuredList{Items: []unstructured.Unstructured{*of}}, nil
			})
			found, err := (&Doctor{Options: Options{Namespace: config.DefaultNamespace}, objects: cluster}).mutation(t.Context())
			if err != nil || len(found) != 1 || found[0].State != tc.state {
				t.Fatalf("%s: %+v, %v", tc.reason, found, err)
			}
			if named := strings.Contains(found[0].Message, ": the policy labels. Exclude"); named != (tc.state == Judge) {
				t.Errorf("%s: it says %q", tc.reason, found[0].Message)
			}
		})
	}
}
