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
	"github.com/signoff-dev/signoff/test/play"
)

// TestTemporaryMadeAgain: a request that says until when it may run lends something and is taken away by force. Who makes it again, and cancels that, brings back
// what the first one has lent, however long that takes: its end becomes that of the second. Made again once more, and cancelled from the start, it ends the same.
func TestTemporaryMadeAgain(t *testing.T) {
	shared(t, "again")
	end := metav1.NewTime(clock.Now().Add(3 * time.Hour).Truncate(time.Second))
	asked := func(cancellation *v1alpha1.Cancellation) *v1alpha1.ActionRequest {
		return &v1alpha1.ActionRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "lend-again"},
			Spec: v1alpha1.ActionRequestSpec{
				ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: "lend"}, Inputs: &runtime.RawExtension{Raw: []byte(`{"name":"again"}`)},
				Duration: "2h", ExpiresAt: &end, Cancellation: cancellation,
			},
		}
	}
	first := reaches(t, play.Ask(t, users.Alice, asked(nil)), v1alpha1.PhaseActive)
	held := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.org/hold"]}}`))
	if err := admin(t).Patch(t.Context(), configMap(t, "lent-again"), held); err != nil {
		t.Fatal(err)
	}
	removed(t, first)
	second := play.Ask(t, users.Alice, asked(nil))
	waits := func() {
		t.Helper()
		eventually(t, "it waits for the end of the first", func() (bool, string) {
			step(t, time.Second) // it also waits while something is done for the first, and looks again after a while
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(second), second)
			return err == nil && second.Status.WaitingFor == "the end of request uid "+string(first.UID), fmt.Sprintf("%v, %s %+v", err, second.Status.Phase, second.Status.Conditions)
		})
	}
	waits()
	if err := as(t, users.Alice).Patch(t.Context(), second, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"done with it"}}}`))); err != nil {
		t.Fatal(err)
	}
	stays(t, second, v1alpha1.PhaseReverting)
	waits()
	free := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := admin(t).Patch(t.Context(), configMap(t, "lent-again"), free); err != nil {
		t.Fatal(err)
	}
	step(t, 2*time.Second)
	endsLike(t, second, first)
	returned(t, "again")

	gone(t, second)
	third := play.Ask(t, users.Alice, asked(&v1alpha1.Cancellation{Reason: "still in the repository"}))
	endsLike(t, third, first)

	// One that nobody has asked for gets no end that it could show.
	gone(t, third)
	forged := asked(&v1alpha1.Cancellation{Reason: "mine"})
	world.Unguarded(t, func() { play.Written(t, func() error { return as(t, users.Alice).Create(t.Context(), forged) }) })
	if ended := reaches(t, forged, v1alpha1.PhaseFailed); ended.Status.Execution != nil || reasonOf(ended) != v1alpha1.ReasonNotStamped {
		t.Errorf("it must be rejected: %+v", ended.Status)
	}
}

// endsLike waits until a request has the end of the first one, which was the same.
func endsLike(t *testing.T, r, first *v1alpha1.ActionRequest) {
	t.Helper()
	ended := reaches(t, r, v1alpha1.PhaseReverted)
	text := strings.Join(ended.Status.Summary, "\n")
	if reasonOf(ended) != v1alpha1.ReasonAlreadyExecuted || !strings.Contains(text, " as request uid "+string(first.UID)+": Reverted.") {
		t.Errorf("it must say that it was executed before: %s, %s", reasonOf(ended), text)
	}
}

func reasonOf(r *v1alpha1.ActionRequest) string {
	if finished := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionFinished); finished != nil {
		return finished.Reason
	}
	return ""
}

// gone deletes a request that is over.
func gone(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	if err := admin(t).Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	eventually(t, r.Name+" goes", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), &v1alpha1.ActionRequest{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
}
