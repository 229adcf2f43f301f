// Package integration plays the life of requests on a real API server: users with their own rights only, the operator as its
// ServiceAccount, webhooks called by the API server.
package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

var (
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
	scheme  = setup.Scheme()
)

// As in other packages of tests.
var as, eventually = play.As, play.Eventually

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	if os.Getenv("SIGNOFF_TEST_LOG") != "" {
		ctrl.SetLogger(zap.New(zap.UseDevMode(true)))
	} else {
		ctrl.SetLogger(logr.Discard())
	}
	world, err := play.Start(ctx, &play.Options{
		Env: env.Options{CRDs: true, Nodes: true}, System: system.Options{Configure: configure},
		// A Deployment with a sidecar, ServiceAccounts with least rights, Actions.
		Accounts: []string{"deployer", "deployer-read"}, World: "test/integration/testdata/world.yaml",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	cluster, users, signoff = world.Cluster, world.Users, world.Signoff
	code := m.Run()
	signoff.Stop()
	defer func() { _ = os.RemoveAll(evidence) }()
	if err := checkEvidence(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// configure maps logins such as alice@laptop to the person alice.
func configure(cfg *config.Configuration) {
	cfg.Person.Expression = "user.username.split('@')[0]"
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: []int{host.port()}, Networks: []string{"127.0.0.0/8"}}}
	observe(cfg)
}

// admin gives a client that prepares and looks; it never acts as a user would.
func admin(t *testing.T) client.WithWatch {
	t.Helper()
	return as(t, env.Person{Name: "admin", Config: cluster.Admin})
}

// request makes a request for an Action.
func request(action string, inputs string) *v1alpha1.ActionRequest {
	return &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: action + "-"},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: action},
			Inputs:    &runtime.RawExtension{Raw: []byte(inputs)}, Reason: "a test",
		},
	}
}

// ask creates a request and expects it to be admitted.
func ask(t *testing.T, who env.Person, r *v1alpha1.ActionRequest) *v1alpha1.ActionRequest {
	t.Helper()
	eventually(t, "the request of "+who.Name, func() (bool, string) {
		attempt := r.DeepCopy()
		err := as(t, who).Create(t.Context(), attempt)
		if err == nil {
			*r = *attempt
			return true, ""
		}
		// Only an Action or a Role that the snapshot has not seen yet may still change the answer.
		if !strings.Contains(err.Error(), "there is no") && !strings.Contains(err.Error(), "you ("+who.Name+") may not") {
			t.Fatalf("%s could not ask: %v", who.Name, err)
		}
		return false, err.Error()
	})
	return r
}

// reaches waits for a phase.
func reaches(t *testing.T, r *v1alpha1.ActionRequest, phase v1alpha1.Phase) *v1alpha1.ActionRequest {
	t.Helper()
	live := &v1alpha1.ActionRequest{}
	eventually(t, fmt.Sprintf("phase %s of %s", phase, r.Name), func() (bool, string) {
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			return false, err.Error()
		}
		if live.Status.Outcome != "" && live.Status.Phase != phase {
			t.Fatalf("%s ended as %s instead of reaching %s: %+v", r.Name, live.Status.Outcome, phase, live.Status.Conditions)
		}
		return live.Status.Phase == phase, fmt.Sprintf("%s %+v", live.Status.Phase, live.Status.Conditions)
	})
	return live
}

// approvalsOf waits for so many Approvals of a request, and gives them by name.
func approvalsOf(t *testing.T, r *v1alpha1.ActionRequest, count int) []v1alpha1.Approval {
	t.Helper()
	list := &v1alpha1.ApprovalList{}
	eventually(t, fmt.Sprintf("%d Approvals of %s", count, r.Name), func() (bool, string) {
		err := admin(t).List(t.Context(), list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)})
		return err == nil && len(list.Items) == count, fmt.Sprintf("%d, %v", len(list.Items), err)
	})
	return list.Items
}

// vote votes as kubectl patch --type merge would.
func vote(t *testing.T, who env.Person, approval *v1alpha1.Approval, decision v1alpha1.Decision, comment string) error {
	t.Helper()
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"vote": v1alpha1.VoteRequest{Decision: decision, Comment: comment}}})
	if err != nil {
		t.Fatal(err)
	}
	return patch(t, who, approval, string(body))
}

func patch(t *testing.T, who env.Person, object client.Object, body string) error {
	t.Helper()
	return as(t, who).Patch(t.Context(), object.DeepCopyObject().(client.Object), client.RawPatch("application/merge-patch+json", []byte(body)))
}

// refused checks that a write was refused with the words that help.
func refused(t *testing.T, err error, status metav1.StatusReason, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("the write was accepted; it should have been refused with %q", words)
	}
	if got := apierrors.ReasonForError(err); got != status {
		t.Errorf("the write was refused as %s, want %s: %v", got, status, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the refusal does not say %q:\n%v", word, err)
		}
	}
}

// namespace makes a namespace that the test deletes again.
func namespace(t *testing.T, name string) {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := admin(t).Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("failed to create namespace %s: %v", name, err)
	}
}
