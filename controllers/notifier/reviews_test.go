package notifier

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

const system = "signoff-system"

// ofReviews is a Notifier that tells the reviewers, and a channel, of reviews.
func ofReviews(namespace string) *v1alpha1.Notifier {
	return &v1alpha1.Notifier{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reviews", UID: types.UID(namespace), CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
		Spec: v1alpha1.NotifierSpec{
			Channels: []v1alpha1.NotifierChannel{{Name: "bus", CloudEvents: &v1alpha1.HTTPChannel{URL: "https://events.example.org"}}},
			Routes: []v1alpha1.NotifierRoute{
				{
					Events: []v1alpha1.NotificationEvent{v1alpha1.EventRequested, v1alpha1.EventReviewNeeded, v1alpha1.EventReviewOverdue, v1alpha1.EventReviewClosed},
					To:     []v1alpha1.NotifierTarget{{Channel: "bus", Recipients: []v1alpha1.NotificationRecipient{v1alpha1.RecipientApprovers, v1alpha1.RecipientRequester}}},
				},
			},
		},
	}
}

// again is a review that was asked for again, because its request in payments is gone.
func again(change func(*v1alpha1.Approval)) *v1alpha1.Approval {
	review := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: system, Name: "sale-review-1", UID: "review", CreationTimestamp: metav1.NewTime(noon.Add(-30 * time.Minute)),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Record", Name: "record", UID: "record"}},
		},
		Spec: v1alpha1.ApprovalSpec{
			RequestRef: v1alpha1.RequestReference{Name: "sale", UID: "request"}, Review: true, Seal: &v1alpha1.Seal{}, ExpiresAt: metav1.NewTime(noon.Add(-10 * time.Minute)),
			Requester: v1alpha1.Identity{Username: "eve"}, Requirements: []v1alpha1.Requirement{{Approvers: v1alpha1.Approvers{Users: []string{"bob", "eve"}}}},
		},
		Status: v1alpha1.ApprovalStatus{State: v1alpha1.ApprovalOpen},
	}
	if change != nil {
		change(review)
	}
	return review
}

// TestReviewAskedForAgain: who breaks the glass and takes the request away keeps nobody from learning that it must be reviewed, is not, or was.
func TestReviewAskedForAgain(t *testing.T) {
	overdue := func(a *v1alpha1.Approval) {
		a.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonReviewOverdue}}
	}
	closed := func(a *v1alpha1.Approval) {
		a.Status.State, a.Status.ClosedAt = v1alpha1.ApprovalDenied, &metav1.Time{Time: noon.Add(-5 * time.Minute)}
	}
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.Approval)
		// want is how many messages wait in signoff-system and payments: one for bob and one for eve, who asked, for each event.
		want int
	}{
		"Needed":    {"it is asked for again", nil, 2},
		"Overdue":   {"nobody did it in time", overdue, 4},
		"Closed":    {"it is done", closed, 4},
		"Forged":    {"nobody opened it", func(a *v1alpha1.Approval) { a.Spec.Seal = nil }, 0},
		"Other":     {"it is about another request than its Record", func(a *v1alpha1.Approval) { a.Spec.RequestRef.UID = "other" }, 0},
		"Stage":     {"it is no review", func(a *v1alpha1.Approval) { a.Spec.Review = false }, 0},
		"NoRecord":  {"it is beside its request", func(a *v1alpha1.Approval) { a.OwnerReferences[0].Kind = "ActionRequest" }, 0},
		"Elsewhere": {"Records are in the namespace of the operator", func(a *v1alpha1.Approval) { a.Namespace = "search" }, 0},
		"Gone":      {"the Record is gone", func(a *v1alpha1.Approval) { a.OwnerReferences[0].Name = "gone" }, 0},
	} {
		for _, meanwhile := range []bool{false, true} {
			r, review := reconciler(t, tc.change)
			tell := func() error {
				for _, key := range r.besideRecord(t.Context(), review) {
					if err := r.tell(t.Context(), key.NamespacedName); err != nil {
						return err
					}
				}
				return nil
			}
			if meanwhile { // no process was there
				tell = func() error { return (&missed{r}).all(t.Context()) }
			}
			for range 2 {
				if err := tell(); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]int{}
			for _, namespace := range []string{system, "payments", "search"} {
				got[namespace], _ = r.outbox.Waiting(types.NamespacedName{Namespace: namespace, Name: "reviews"})
			}
			if diff := cmp.Diff(map[string]int{system: tc.want, "payments": tc.want, "search": 0}, got); diff != "" {
				t.Errorf("%s, meanwhile %t: %s (-want +got):\n%s", name, meanwhile, tc.reason, diff)
			}
		}
	}
}

// reconciler is one in a world with one review, its Record and three Notifiers.
func reconciler(t *testing.T, change func(*v1alpha1.Approval)) (*Reconciler, *v1alpha1.Approval) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	review := again(change)
	record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "record"}, Spec: v1alpha1.RecordSpec{
		RequestRef: v1alpha1.RecordRequestReference{Namespace: "payments", Name: "sale", UID: "request"}, Requester: v1alpha1.Identity{Username: "eve"},
	}}
	server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(review, record, ofReviews(system), ofReviews("payments"), ofReviews("search")).
		WithIndex(&v1alpha1.Approval{}, "spec.requestRef.name", func(o client.Object) []string { return []string{o.(*v1alpha1.Approval).Spec.RequestRef.Name} }).
		Build()
	// It knows no such selector as the API server does.
	reader := interceptor.NewClient(server, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		if _, requests := list.(*v1alpha1.ActionRequestList); requests {
			return nil
		}
		return c.List(ctx, list, options...)
	}})
	store := snapshot.NewStore(nil)
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	clk := clocktesting.NewFakeClock(noon)
	return &Reconciler{
		Client: server, Reader: reader, Store: store, Gate: gate.New(store, rules, nil, system, clk), Clock: clk, OperatorNamespace: system,
		Sender: &notify.Sender{Egress: egress.New(nil)}, outbox: notify.NewOutbox(clk), compiled: lru.New(16), told: lru.New(64),
	}, review
}

// TestBesideRecord: only a review that was asked for again is looked for without its request.
func TestBesideRecord(t *testing.T) {
	r := &Reconciler{OperatorNamespace: system}
	want := []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: system, Name: "sale"}}}
	if diff := cmp.Diff(want, r.besideRecord(t.Context(), again(nil))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, other := range []client.Object{
		&v1alpha1.Record{}, again(func(a *v1alpha1.Approval) { a.Namespace = "payments" }), again(func(a *v1alpha1.Approval) { a.OwnerReferences = nil }),
		again(func(a *v1alpha1.Approval) { a.Spec.Review = false }),
	} {
		if got := r.besideRecord(t.Context(), other); len(got) > 0 {
			t.Errorf("%T %s wakes %v", other, other.GetName(), got)
		}
	}
}
