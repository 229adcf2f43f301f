package timing

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// spoil lets the operator's own account write a Record as the operator would not.
func spoil(t *testing.T, r *v1alpha1.ActionRequest, change func(*v1alpha1.RecordStatus)) {
	t.Helper()
	record := recordOf(t, r)
	change(&record.Status)
	if err := signoff.Process.Manager.GetClient().Status().Update(t.Context(), record); err != nil {
		t.Fatal(err)
	}
}

// recordOf reads the Record of a request.
func recordOf(t *testing.T, r *v1alpha1.ActionRequest) *v1alpha1.Record {
	t.Helper()
	record := &v1alpha1.Record{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: string(r.UID)}, record); err != nil {
		t.Fatal(err)
	}
	return record
}

// forgotten removes a Record as the operator's own account, which has no right to by itself.
func forgotten(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	c := admin(t)
	meta := metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: "forgets-" + r.Name}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"signoff.dev"}, Resources: []string{"records"}, Verbs: []string{"delete"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: env.SystemNamespace, Name: "signoff"}},
		},
	} {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Delete(context.Background(), object) })
	}
	eventually(t, "the Record goes", func() (bool, string) {
		record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: string(r.UID)}}
		err := signoff.Process.Manager.GetClient().Delete(t.Context(), record)
		return err == nil, fmt.Sprint(err)
	})
}

// removed removes a request by force.
func removed(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	operator, live := signoff.Process.Manager.GetClient(), &v1alpha1.ActionRequest{}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			return err
		}
		live.Finalizers = nil
		return operator.Update(t.Context(), live)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := admin(t).Delete(t.Context(), live); err != nil {
		t.Fatal(err)
	}
}

// shownLeft waits until the metric says how many temporary requests nobody takes back.
func shownLeft(t *testing.T, want float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%v in signoff_temporary_left", want), func() (bool, string) {
		got, shown := play.Metric(t, "signoff_temporary_left", nil)
		return shown && got == want, fmt.Sprint(got)
	})
}

// TestTemporarySpoilt ends a temporary request whose Record somebody else has written: what may be left is said loudly, until the Record is gone.
func TestTemporarySpoilt(t *testing.T) {
	shared(t, "spoilt")
	r := reaches(t, lend(t, "spoilt", "30m"), v1alpha1.PhaseActive)
	spoil(t, r, func(status *v1alpha1.RecordStatus) { status.Undo = nil })
	step(t, 31*time.Minute)
	failed := reaches(t, r, v1alpha1.PhaseFailed)
	lent(t, "spoilt")
	left := meta.FindStatusCondition(failed.Status.Conditions, v1alpha1.ConditionReverted)
	if left == nil || left.Status != metav1.ConditionFalse || left.Reason != v1alpha1.ReasonRevertFailed {
		t.Fatalf("conditions: %+v", failed.Status.Conditions)
	}
	for _, words := range []string{"may be left", "ConfigMap target/lent-spoilt", "ConfigMap target/shared-spoilt"} {
		if !strings.Contains(left.Message, words) || !strings.Contains(strings.Join(failed.Status.Summary, "\n"), words) {
			t.Errorf("it does not say %q: %s", words, left.Message)
		}
	}
	eventually(t, "the Event", func() (bool, string) {
		list := &eventsv1.EventList{}
		if err := admin(t).List(t.Context(), list, client.InNamespace(r.Namespace)); err != nil {
			return false, err.Error()
		}
		for i := range list.Items {
			if e := &list.Items[i]; e.Regarding.Name == r.Name && e.Reason == v1alpha1.ReasonRevertFailed && e.Type == "Warning" {
				return true, ""
			}
		}
		return false, "there is none"
	})
	step(t, 11*time.Minute)
	shownLeft(t, 1)
	leftRings(t, true)
	forgotten(t, r)
	step(t, 11*time.Minute)
	shownLeft(t, 0)
	leftRings(t, false)
}

func leftRings(t *testing.T, want bool) {
	t.Helper()
	if got := play.Rings(t, "SignoffTemporaryLeft"); got != want {
		t.Errorf("the alert on what may be left rings: %t, want %t", got, want)
	}
}

// TestTemporaryEndForged takes back what a request has lent of which somebody wrote, past the webhooks, that it is over: status never permits.
func TestTemporaryEndForged(t *testing.T) {
	shared(t, "forged")
	r := reaches(t, lend(t, "forged", "30m"), v1alpha1.PhaseActive)
	// The operator itself may only update.
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		forged := &v1alpha1.ActionRequest{}
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), forged); err != nil {
			return err
		}
		forged.Status.Outcome, forged.Status.Phase, forged.Status.ActiveUntil = v1alpha1.OutcomeSucceeded, v1alpha1.PhaseSucceeded, nil
		return signoff.Process.Manager.GetClient().Status().Update(t.Context(), forged)
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was lent comes back", func() (bool, string) {
		got := configMap(t, "shared-forged")
		return got.Data["mode"] == "normal" && configMap(t, "lent-forged") == nil, fmt.Sprint(got.Data)
	})
	returned(t, "forged")
	eventually(t, "the Record says so", func() (bool, string) {
		record := &v1alpha1.Record{}
		err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: string(r.UID)}, record)
		return err == nil && record.Status.Outcome == v1alpha1.OutcomeReverted, fmt.Sprint(record.Status.Outcome, err)
	})
}

// TestTemporaryWithoutRecord ends a temporary request whose Record is gone.
func TestTemporaryWithoutRecord(t *testing.T) {
	shared(t, "gone")
	r := reaches(t, lend(t, "gone", "30m"), v1alpha1.PhaseActive)
	forgotten(t, r)
	step(t, 31*time.Minute)
	failed := reaches(t, r, v1alpha1.PhaseFailed)
	if left := meta.FindStatusCondition(failed.Status.Conditions, v1alpha1.ConditionReverted); left == nil || !strings.Contains(left.Message, "may be left") {
		t.Errorf("conditions: %+v", failed.Status.Conditions)
	}
}

// TestOrphansDoNotWaitForEachOther: where one Record cannot be read, the others are taken back all the same.
func TestOrphansDoNotWaitForEachOther(t *testing.T) {
	shared(t, "first")
	shared(t, "second")
	bad, good := reaches(t, lend(t, "first", "1h"), v1alpha1.PhaseActive), reaches(t, lend(t, "second", "1h"), v1alpha1.PhaseActive)
	name := "second"
	if bad.UID > good.UID { // Records are listed by name.
		bad, good, name = good, bad, "first"
	}
	spoil(t, bad, func(status *v1alpha1.RecordStatus) {
		parts := strings.Split(status.Seal.Signature, ".")
		parts[1] = strings.Repeat("0", len(parts[1])) // a key that may become known
		status.Seal.Signature = strings.Join(parts, ".")
	})
	removed(t, bad)
	removed(t, good)
	eventually(t, "what the other one lent comes back", func() (bool, string) {
		got := configMap(t, "shared-"+name)
		return got.Data["mode"] == "normal" && configMap(t, "lent-"+name) == nil, fmt.Sprint(got.Data)
	})
	returned(t, name)
	forgotten(t, bad)
}
