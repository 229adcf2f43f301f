package timing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

func applied(t *testing.T, file string) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), "test/timing/testdata/"+file); err != nil {
		t.Fatal(err)
	}
}

// slow asks for something that is done once somebody says ready.
func slow(t *testing.T, object string) *v1alpha1.ActionRequest {
	t.Helper()
	return ask(t, "slow", func(s *v1alpha1.ActionRequestSpec) {
		s.Inputs = &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"object":%q}`, object)}
	})
}

// ready lets the execution of a request end.
func ready(t *testing.T, r *v1alpha1.ActionRequest, object string) {
	t.Helper()
	body := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data":{"ready":%q}}`, r.UID))
	if err := admin(t).Patch(t.Context(), configMap(t, object), body); err != nil {
		t.Fatal(err)
	}
}

// TestQueue lets one request at a time execute on an object, says who is first, and keeps nobody else waiting.
func TestQueue(t *testing.T) {
	applied(t, "queue.yaml")
	first := reaches(t, slow(t, "queued"), v1alpha1.PhaseExecuting)
	second := reaches(t, slow(t, "queued"), v1alpha1.PhaseHeld)
	if want := first.Name + ", on ConfigMap target/queued"; second.Status.WaitingFor != want {
		t.Errorf("it must say who is first: %q, expected %q", second.Status.WaitingFor, want)
	}
	elsewhere := reaches(t, slow(t, "elsewhere"), v1alpha1.PhaseExecuting)
	ready(t, elsewhere, "elsewhere")
	reaches(t, elsewhere, v1alpha1.PhaseSucceeded)

	// A request that waits executes nothing, so it can be cancelled and keeps nobody waiting.
	third := reaches(t, slow(t, "queued"), v1alpha1.PhaseHeld)
	if err := as(t, users.Alice).Patch(t.Context(), second, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"no"}}}`))); err != nil {
		t.Fatal(err)
	}
	reaches(t, second, v1alpha1.PhaseCancelled)
	ready(t, first, "queued")
	reaches(t, first, v1alpha1.PhaseSucceeded)
	reaches(t, third, v1alpha1.PhaseExecuting)
	ready(t, third, "queued")
	reaches(t, third, v1alpha1.PhaseSucceeded)
}

// TestOnlyExecutingBlocks: whoever waits for people, or in a grace, has no place in the queue of an object.
func TestOnlyExecutingBlocks(t *testing.T) {
	applied(t, "queue.yaml")
	asked := reaches(t, ask(t, "graceful", nil), v1alpha1.PhaseAwaitingApproval)
	agreed := reaches(t, ask(t, "graceful", nil), v1alpha1.PhaseAwaitingApproval)
	if err := approve(t, users.Bob, approval(t, agreed, v1alpha1.ApprovalOpen)); err != nil {
		t.Fatal(err)
	}
	reaches(t, agreed, v1alpha1.PhaseHeld)
	last := reaches(t, slow(t, "graceful"), v1alpha1.PhaseExecuting)
	ready(t, last, "graceful")
	reaches(t, last, v1alpha1.PhaseSucceeded)
	stays(t, asked, v1alpha1.PhaseAwaitingApproval)
	for _, r := range []*v1alpha1.ActionRequest{asked, agreed} {
		if err := as(t, users.Alice).Patch(t.Context(), r, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"no"}}}`))); err != nil {
			t.Fatal(err)
		}
		reaches(t, r, v1alpha1.PhaseCancelled)
	}
}

// TestDelay leaves a grace after the last agreement, in which the request can still be cancelled.
func TestDelay(t *testing.T) {
	applied(t, "queue.yaml")
	var both []*v1alpha1.ActionRequest
	for range 2 {
		r := reaches(t, ask(t, "graceful", nil), v1alpha1.PhaseAwaitingApproval)
		if err := approve(t, users.Bob, approval(t, r, v1alpha1.ApprovalOpen)); err != nil {
			t.Fatal(err)
		}
		both = append(both, reaches(t, r, v1alpha1.PhaseHeld))
	}
	if waits := both[0].Status.WaitingFor; !strings.HasPrefix(waits, "starts ") || !strings.HasSuffix(waits, " unless cancelled") {
		t.Errorf("it must say when it starts: %q", waits)
	}
	step(t, 9*time.Minute)
	stays(t, both[0], v1alpha1.PhaseHeld)
	if err := as(t, users.Alice).Patch(t.Context(), both[1], client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"second thoughts"}}}`))); err != nil {
		t.Fatal(err)
	}
	reaches(t, both[1], v1alpha1.PhaseCancelled)
	step(t, 61*time.Second)
	reaches(t, both[0], v1alpha1.PhaseSucceeded)
}

// TestDelayTooLong plays a request that is over before it could start: it is refused, or says so where people agreed too late.
func TestDelayTooLong(t *testing.T) {
	applied(t, "queue.yaml")
	ends := func(in time.Duration) func(*v1alpha1.ActionRequestSpec) {
		at := metav1.NewTime(clock.Now().Add(in).Truncate(time.Second))
		return func(s *v1alpha1.ActionRequestSpec) { s.ExpiresAt = &at }
	}
	late := ask(t, "graceful", ends(20*time.Minute))
	open := approval(t, late, v1alpha1.ApprovalOpen)
	hurried := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: "hurried-"}, Spec: *late.Spec.DeepCopy()}
	hurried.Spec.Requester, hurried.Spec.Seal = nil, nil
	ends(9 * time.Minute)(&hurried.Spec)
	if err := as(t, users.Alice).Create(t.Context(), hurried); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "at the earliest (execution.delay is 10m)") {
		t.Errorf("it must be refused: %v", err)
	}
	step(t, 15*time.Minute)
	if err := approve(t, users.Bob, open); err != nil {
		t.Fatal(err)
	}
	held := reaches(t, late, v1alpha1.PhaseHeld)
	ready := meta.FindStatusCondition(held.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || !strings.Contains(ready.Message, "; expires before that, ") || !strings.HasSuffix(held.Status.WaitingFor, ", before it can start") {
		t.Errorf("it looks as if it would run: %q, %+v", held.Status.WaitingFor, ready)
	}
	step(t, 6*time.Minute)
	reaches(t, late, v1alpha1.PhaseExpired)
}
