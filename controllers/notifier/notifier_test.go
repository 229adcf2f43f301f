package notifier

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

var (
	noon  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	owner = types.NamespacedName{Namespace: "payments", Name: "chat"}
)

func delivery(id, channel string, state v1alpha1.DeliveryState, problem string) *notify.Delivery {
	return &notify.Delivery{
		Owner: owner, State: state, At: noon, Problem: problem, Attempts: 1,
		Message: &notify.Message{
			Event:   &notify.Event{ID: id, Type: v1alpha1.EventVoted, Request: &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "sale"}}},
			Channel: &notify.Channel{NotifierChannel: &v1alpha1.NotifierChannel{Name: channel}},
		},
	}
}

// shown is a status in short.
func shown(s *v1alpha1.NotifierStatus) string {
	text := fmt.Sprintf("delivered %d failed %d", s.Delivered, s.Failed)
	if s.LastError != nil {
		text += " error " + s.LastError.Channel + " " + s.LastError.Message
	}
	for i := range s.Deliveries {
		text += fmt.Sprintf(" %s/%s=%s", s.Deliveries[i].ID, s.Deliveries[i].Channel, s.Deliveries[i].State)
	}
	return text
}

func TestBooks(t *testing.T) {
	retrying, delivered, failed := v1alpha1.DeliveryRetrying, v1alpha1.DeliveryDelivered, v1alpha1.DeliveryFailed
	for name, tc := range map[string]struct {
		reason string
		before v1alpha1.NotifierStatus
		notes  []*notify.Delivery
		want   string
	}{
		"Nothing":   {"no news change nothing", v1alpha1.NotifierStatus{Delivered: 3}, nil, "delivered 3 failed 0"},
		"Counted":   {"what was there is added to", v1alpha1.NotifierStatus{Delivered: 3, Failed: 1}, []*notify.Delivery{delivery("a", "c", delivered, "")}, "delivered 4 failed 1 a/c=Delivered"},
		"Retried":   {"a message has one entry", v1alpha1.NotifierStatus{}, []*notify.Delivery{delivery("a", "c", retrying, "down"), delivery("a", "c", delivered, "")}, "delivered 1 failed 0 a/c=Delivered"},
		"Stands":    {"an error stands until that channel works", v1alpha1.NotifierStatus{}, []*notify.Delivery{delivery("a", "c", failed, "gone"), delivery("a", "d", delivered, "")}, "delivered 1 failed 1 error c gone a/d=Delivered a/c=Failed"},
		"Mended":    {"also one of before", v1alpha1.NotifierStatus{LastError: &v1alpha1.NotifierError{Channel: "c", Message: "down"}}, []*notify.Delivery{delivery("a", "c", delivered, "")}, "delivered 1 failed 0 a/c=Delivered"},
		"Elsewhere": {"but not by another", v1alpha1.NotifierStatus{LastError: &v1alpha1.NotifierError{Channel: "c", Message: "down"}}, []*notify.Delivery{delivery("a", "d", delivered, "")}, "delivered 1 failed 0 error c down a/d=Delivered"},
		"Escaped":   {"what a receiver says does not reach a terminal", v1alpha1.NotifierStatus{}, []*notify.Delivery{delivery("a", "c", retrying, "no\x1b[2J")}, `delivered 0 failed 0 error c no\x1b[2J a/c=Retrying`},
		"Older":     {"what was there comes after what is new", v1alpha1.NotifierStatus{Deliveries: []v1alpha1.NotifierDelivery{{ID: "z", Channel: "c", State: delivered}, {ID: "a", Channel: "c", State: retrying}}}, []*notify.Delivery{delivery("a", "c", delivered, "")}, "delivered 1 failed 0 a/c=Delivered z/c=Delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, again := range []bool{false, true} {
				b, status := &books{}, tc.before.DeepCopy()
				for _, d := range tc.notes {
					b.note(d)
				}
				n := b.take(owner)
				if again {
					// The first write was lost.
					b.giveBack(owner, n)
					n = b.take(owner)
				}
				n.into(status)
				if diff := cmp.Diff(tc.want, shown(status)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
				if b.take(owner).any() {
					t.Error("news are told twice")
				}
			}
		})
	}
}

// TestBooksAreBounded: the newest stay.
func TestBooksAreBounded(t *testing.T) {
	b, status := &books{}, &v1alpha1.NotifierStatus{}
	for i := range 2 * maxDeliveries {
		b.note(delivery(fmt.Sprint(i), "c", v1alpha1.DeliveryDelivered, ""))
	}
	b.take(owner).into(status)
	if len(status.Deliveries) != maxDeliveries || status.Deliveries[0].ID != fmt.Sprint(2*maxDeliveries-1) || status.Delivered != 2*maxDeliveries {
		t.Errorf("the status is %s", shown(status))
	}
}

func TestThrough(t *testing.T) {
	at := func(minutes int) *metav1.Time {
		return &metav1.Time{Time: noon.Add(time.Duration(minutes) * time.Minute)}
	}
	for name, tc := range map[string]struct {
		reason string
		known  *metav1.Time
		oldest time.Time
		want   *metav1.Time
	}{
		"Quiet":    {"what has just happened may not have been found out", nil, time.Time{}, at(-1)},
		"Waiting":  {"what waits is not delivered", nil, at(-30).Time, at(-30)},
		"Recent":   {"what waits and is newer than that is no matter", nil, noon, at(-1)},
		"Backward": {"what was delivered stays so", at(-10), at(-30).Time, at(-10)},
		"Forward":  {"time goes on", at(-10), time.Time{}, at(-1)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, through(tc.known, noon, tc.oldest)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSince(t *testing.T) {
	object := &v1alpha1.Notifier{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(noon)}}
	if got := since(object); !got.Equal(noon) {
		t.Errorf("a new one tells from %s", got)
	}
	object.Status.DeliveredThrough = &metav1.Time{Time: noon.Add(-time.Hour)}
	if got := since(object); !got.Equal(noon) {
		t.Errorf("nothing is told of before it was made, but from %s", got)
	}
	object.Status.DeliveredThrough = &metav1.Time{Time: noon.Add(time.Hour)}
	if got := since(object); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("what is delivered is told again, from %s", got)
	}
}

// TestApprovers: everybody who is known by name, and the addresses of Teams.
func TestApprovers(t *testing.T) {
	store := snapshot.NewStore(nil)
	store.Put(&v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "payments"}, Spec: v1alpha1.TeamSpec{
		Members: &v1alpha1.Subjects{Users: []string{"bob"}}, Leads: &v1alpha1.Subjects{Users: []string{"dave"}}, Contact: &v1alpha1.Contact{Email: "payments@example.org"},
	}})
	store.Put(&v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "cards"}, Spec: v1alpha1.TeamSpec{Parent: "payments", Members: &v1alpha1.Subjects{Users: []string{"carol"}}}})
	store.Put(&v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "chief"}, Spec: v1alpha1.RoleSpec{
		Members: v1alpha1.Subjects{Users: []string{"frank"}}, Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{v1alpha1.VerbApprove}, Actions: v1alpha1.ActionSelector{Names: []string{"*"}}}},
	}})
	store.MarkSynced()
	store.Rebuild()
	approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "note"},
		Requirements: []v1alpha1.Requirement{
			{Approvers: v1alpha1.Approvers{Teams: []string{"payments"}, Users: []string{"erin"}, Groups: []string{"security"}}}, {Approvers: v1alpha1.Approvers{Roles: []string{"chief", "none"}}},
		},
		Escalation: &v1alpha1.ApprovalEscalation{Approvers: v1alpha1.Approvers{LeadsOf: []string{"payments", "none"}, Users: []string{"grace"}}},
	}}
	who := people{store.Current()}
	users, addresses := who.Approvers(approval)
	if diff := cmp.Diff([]string{"bob", "carol", "dave", "erin", "frank"}, users); diff != "" {
		t.Errorf("before the escalation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{notify.TeamAddress("payments@example.org")}, addresses); diff != "" {
		t.Errorf("the addresses (-want +got):\n%s", diff)
	}
	approval.Status.Escalated = true
	if users, _ = who.Approvers(approval); len(users) != 6 || users[5] != "grace" {
		t.Errorf("after it: %q", users)
	}
	if labels := who.Labels(v1alpha1.ActionReference{Namespace: "platform", Name: "none"}); labels != nil {
		t.Errorf("an Action that is not there has labels %v", labels)
	}
}

// TestNoAccount: without a ServiceAccount no Secret is read.
func TestNoAccount(t *testing.T) {
	_, err := (&secrets{namespace: "payments"}).read(t.Context(), &v1alpha1.SecretKey{Name: "a", Key: "b"}, func(string) (string, error) { return "", errors.New("not reached") })
	if err == nil || err.Error() != "spec.serviceAccountName is missing" {
		t.Errorf("it says %v", err)
	}
}
