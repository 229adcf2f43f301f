package timing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// escalating asks for the Action whose stage reminds after an hour and escalates after two.
func escalating(t *testing.T) (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), "test/timing/testdata/escalation.yaml"); err != nil {
		t.Fatal(err)
	}
	r := reaches(t, ask(t, "escalated", nil), v1alpha1.PhaseAwaitingApproval)
	return r, approval(t, r, v1alpha1.ApprovalOpen)
}

// told waits for an Event about an object, and gives what it says.
func told(t *testing.T, about client.Object, reason string) string {
	t.Helper()
	note := ""
	eventually(t, fmt.Sprintf("the Event %s about %s", reason, about.GetName()), func() (bool, string) {
		list := &eventsv1.EventList{}
		err := admin(t).List(t.Context(), list, client.InNamespace(about.GetNamespace()))
		for i := range list.Items {
			if e := &list.Items[i]; e.Regarding.UID == about.GetUID() && e.Reason == reason {
				note = e.Note
			}
		}
		return note != "", fmt.Sprintf("%d Events, %v", len(list.Items), err)
	})
	return note
}

// untold checks that there is no such Event.
func untold(t *testing.T, about client.Object, reason string) {
	t.Helper()
	list := &eventsv1.EventList{}
	if err := admin(t).List(t.Context(), list, client.InNamespace(about.GetNamespace())); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if e := &list.Items[i]; e.Regarding.UID == about.GetUID() && e.Reason == reason {
			t.Errorf("too early: %s %s", e.Reason, e.Note)
		}
	}
}

// becomes waits for the status of an Approval.
func becomes(t *testing.T, a *v1alpha1.Approval, check func(*v1alpha1.ApprovalStatus) bool) {
	t.Helper()
	live := &v1alpha1.Approval{}
	eventually(t, "the status of "+a.Name, func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(a), live)
		return err == nil && check(&live.Status), fmt.Sprintf("%v %+v", err, live.Status)
	})
}

// TestReminders plays a stage that nobody decides: people are reminded at the hour, not before, and once each time.
func TestReminders(t *testing.T) {
	r, open := escalating(t)
	opened := open.Spec.Seal.At.Time
	moveTo(t, opened.Add(time.Hour-time.Second))
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	untold(t, open, v1alpha1.ReasonReminder)
	moveTo(t, opened.Add(time.Hour))
	becomes(t, open, func(s *v1alpha1.ApprovalStatus) bool {
		return s.Reminders == 1 && !s.Escalated && s.WaitingFor == "1 of bob"
	})
	if note := told(t, open, v1alpha1.ReasonReminder); !strings.HasPrefix(note, "Stage owners has been open for 1h and waits for 1 of bob. Expires ") {
		t.Errorf("got %q", note)
	}
	if note := told(t, r, v1alpha1.ReasonReminder); !strings.Contains(note, "See: kubectl describe approval -n "+open.Namespace+" "+open.Name) {
		t.Errorf("got %q", note)
	}
	// Nothing ran for some hours: what was missed is one reminder.
	moveTo(t, opened.Add(5*time.Hour))
	becomes(t, open, func(s *v1alpha1.ApprovalStatus) bool { return s.Reminders == 5 && s.Escalated })
	moveTo(t, opened.Add(8*time.Hour))
	reaches(t, r, v1alpha1.PhaseExpired)
}

// TestEscalation plays a stage in which somebody else may agree after two hours, from that second on.
func TestEscalation(t *testing.T) {
	r, open := escalating(t)
	e := open.Spec.Escalation
	if e == nil || open.Spec.Seal.At.Add(2*time.Hour).Sub(e.At.Time) >= time.Second {
		t.Fatalf("the Approval must say when it escalates: %+v", e)
	}
	if !strings.HasSuffix(open.Spec.Needs, "on also carol") || !strings.Contains(strings.Join(open.Spec.Summary, "\n"), "these can approve too: carol.") {
		t.Errorf("the Approval must tell approvers: %q %q", open.Spec.Needs, open.Spec.Summary)
	}
	moveTo(t, e.At.Add(-time.Second))
	if err := approve(t, users.Carol, open); err == nil || !strings.Contains(err.Error(), "but are not bob.") || !strings.Contains(err.Error(), "If nobody has decided by ") {
		t.Errorf("it is too early for carol: %v", err)
	}
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	untold(t, open, v1alpha1.ReasonEscalated)
	moveTo(t, e.At.Time)
	becomes(t, open, func(s *v1alpha1.ApprovalStatus) bool { return s.Escalated && s.WaitingFor == "1 of bob, carol" })
	for _, about := range []client.Object{open, r} {
		if note := told(t, about, v1alpha1.ReasonEscalated); !strings.Contains(note, "so carol may now agree too: waits for 1 of bob, carol.") {
			t.Errorf("got %q", note)
		}
	}
	eventually(t, "who is waited for", func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		return err == nil && live.Status.WaitingFor == "owners: 1 of bob, carol (bob, carol)", live.Status.WaitingFor
	})
	if err := approve(t, users.Dave, open); err == nil {
		t.Error("dave is not asked")
	}
	if err := approve(t, users.Carol, open); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestUnsatisfiableLater: that nobody can meet a stage is said at once, also where that stage opens after another one only.
func TestUnsatisfiableLater(t *testing.T) {
	applied(t, "later.yaml")
	r := reaches(t, ask(t, "later", nil), v1alpha1.PhaseAwaitingApproval)
	condition := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionApproved)
	if condition == nil || condition.Reason != v1alpha1.ReasonUnsatisfiable || !strings.Contains(condition.Message, "Stage second: 1 of alice needed, and nobody is able to but alice, who asked for it. Add members, or cancel: kubectl patch actionrequest -n payments ") {
		t.Errorf("got %+v", condition)
	}
	if !strings.Contains(r.Status.WaitingFor, "first: 1 of bob") || !strings.Contains(r.Status.WaitingFor, "second: UNSATISFIABLE") {
		t.Errorf("got %q", r.Status.WaitingFor)
	}
}
