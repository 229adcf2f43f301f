package env

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/kubernetes"
)

// findAuditEvent returns nil when the log has an event of this user, verb and resource.
func findAuditEvent(log []byte, user, verb, resource string) error {
	for line := range bytes.Lines(log) {
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return fmt.Errorf("failed to decode %q: %w", line, err)
		}
		if event.User.Username == user && event.Verb == verb && event.ObjectRef != nil && event.ObjectRef.Resource == resource {
			return nil
		}
	}
	return fmt.Errorf("no event of %s, %s %s", user, verb, resource)
}

func TestUsersAreWhoTheySay(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		person Person
		want   []string
	}{
		"person": {
			reason: "Name and groups come from the certificate.",
			person: users.Alice,
			want:   []string{GroupEngineering, GroupPayments, "system:authenticated"},
		},
		"agent": {
			reason: "A token names the ServiceAccount and its groups.",
			person: users.Agent,
			want:   []string{"system:serviceaccounts", "system:serviceaccounts:" + AgentNamespace, "system:authenticated"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			clients, err := kubernetes.NewForConfig(tc.person.Config)
			if err != nil {
				t.Fatal(err)
			}
			review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(t.Context(),
				&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.person.Name, review.Status.UserInfo.Username); diff != "" {
				t.Errorf("%s\nusername (-want +got):\n%s", tc.reason, diff)
			}
			// The API server reports the groups of a certificate in any order.
			got := slices.Sorted(slices.Values(review.Status.UserInfo.Groups))
			if diff := cmp.Diff(slices.Sorted(slices.Values(tc.want)), got); diff != "" {
				t.Errorf("%s\ngroups (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestUsersHaveOnlyTheirOwnRights(t *testing.T) {
	const group = "signoff.dev"
	for name, tc := range map[string]struct {
		reason                     string
		person                     Person
		verb, group, kind, inSpace string
		want                       bool
	}{
		"requester creates":           {"That is what the role is for.", users.Alice, "create", group, "actionrequests", WorkNamespace, true},
		"requester cancels":           {"Cancelling is a patch.", users.Alice, "patch", group, "actionrequests", WorkNamespace, true},
		"requester deletes":           {"A request is cancelled, not deleted.", users.Alice, "delete", group, "actionrequests", WorkNamespace, false},
		"requester elsewhere":         {"The binding is in one namespace.", users.Alice, "create", group, "actionrequests", CatalogNamespace, false},
		"requester reads the catalog": {"One must see what can be asked for.", users.Alice, "list", group, "actions", CatalogNamespace, true},
		"requester reads secrets":     {"RBAC is on.", users.Alice, "list", "", "secrets", WorkNamespace, false},
		"approver votes":              {"A vote is a patch.", users.Erin, "patch", group, "approvals", WorkNamespace, true},
		"approver forges status":      {"Status is the operator's.", users.Erin, "patch", group, "approvals/status", WorkNamespace, false},
		"outsider may patch":          {"Only Signoff can refuse him.", users.Mallory, "patch", group, "approvals", WorkNamespace, true},
		"outsider requests":           {"He is in no group.", users.Mallory, "create", group, "actionrequests", WorkNamespace, false},
		"author writes actions":       {"That is what the role is for.", users.Frank, "update", group, "actions", CatalogNamespace, true},
		"author impersonates":         {"Only a grant per ServiceAccount allows it.", users.Frank, "impersonate", "", "serviceaccounts", CatalogNamespace, false},
		"author writes policies":      {"Guard rails are not the author's.", users.Frank, "create", group, "actionpolicies", "", false},
		"guard writes policies":       {"That is what the role is for.", users.Grace, "create", group, "actionpolicies", "", true},
		"auditor reads records":       {"Only the auditor reads them.", users.Audrey, "list", group, "records", SystemNamespace, true},
		"auditor writes records":      {"Reading is all.", users.Audrey, "create", group, "records", SystemNamespace, false},
		"namespace administrator":     {"The built-in role admin is aggregated.", users.Nadia, "create", "apps", "deployments", WorkNamespace, true},
		"namespace administrator, vote": {
			"Our kinds are not in the built-in roles.", users.Nadia, "patch", group, "approvals", WorkNamespace, false,
		},
		"administrator": {"cluster-admin may do everything.", users.Ada, "delete", group, "approvals", WorkNamespace, true},
		"agent":         {"It may request as people do.", users.Agent, "create", group, "actionrequests", WorkNamespace, true},
		"agent, vote":   {"It has no role that votes.", users.Agent, "patch", group, "approvals", WorkNamespace, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := may(t, tc.person, tc.verb, tc.group, tc.kind, tc.inSpace); got != tc.want {
				t.Errorf("%s: %s %s %s/%s in %q: got %t, want %t", tc.reason, tc.person.Name, tc.verb, tc.group, tc.kind, tc.inSpace, got, tc.want)
			}
		})
	}
}

func may(t *testing.T, person Person, verb, group, kind, namespace string) bool {
	t.Helper()
	clients, err := kubernetes.NewForConfig(person.Config)
	if err != nil {
		t.Fatal(err)
	}
	resource, subresource, _ := strings.Cut(kind, "/")
	review, err := clients.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: namespace,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

func TestUserRefusesMasters(t *testing.T) {
	if _, err := cluster.User("eve", "system:masters"); err == nil {
		t.Fatal("a test user became a member of system:masters")
	}
}

func TestControllersAreNotAdministrators(t *testing.T) {
	clients, err := kubernetes.NewForConfig(cluster.Admin)
	if err != nil {
		t.Fatal(err)
	}
	// The ServiceAccounts exist only when each controller uses its own.
	for _, name := range []string{"namespace-controller", "generic-garbage-collector", "deployment-controller"} {
		if _, err := clients.CoreV1().ServiceAccounts("kube-system").Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func TestKubectlUsesTheKubeconfig(t *testing.T) {
	for name, person := range map[string]Person{"certificate": users.Bob, "token": users.Agent} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kubeconfig")
			if err := cluster.Kubeconfig(path, person.Config); err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), cluster.Kubectl(), "--kubeconfig="+path, "auth", "whoami",
				"--output=jsonpath={.status.userInfo.username}")
			output, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			if diff := cmp.Diff(person.Name, string(output)); diff != "" {
				t.Errorf("user of kubectl (-want +got):\n%s", diff)
			}
		})
	}
}
