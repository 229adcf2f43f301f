package actionrequest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// quiet tells of one object when it is asked what there is, and of nothing that changes.
type quiet struct {
	metadata.ResourceInterface

	there metav1.PartialObjectMetadata
}

func (q *quiet) List(context.Context, metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	return &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []metav1.PartialObjectMetadata{q.there}}, nil
}

func (q *quiet) Watch(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return watch.NewFake(), nil
}

// endedAt is a request that has ended.
func endedAt(at time.Time) *v1alpha1.ActionRequest {
	r := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "x", UID: "x", Finalizers: []string{v1alpha1.RequestFinalizer}}}
	r.Status.Outcome = v1alpha1.OutcomeSucceeded
	setCondition(&r.Status.Conditions, 1, at, v1alpha1.ConditionFinished, true, v1alpha1.ReasonSucceeded, "")
	return r
}

func builderWith(t *testing.T, objects ...client.Object) *fake.ClientBuilder {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
}

// TestLetGoAgain lets a finished request go that is being deleted, although the first attempt fails and nothing tells of it again.
func TestLetGoAgain(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	r := endedAt(clock.Now())
	r.DeletionTimestamp = new(metav1.NewTime(clock.Now()))
	var tries atomic.Int32
	c := builderWith(t, r).WithInterceptorFuncs(interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if tries.Add(1) == 1 {
				return apierrors.NewInternalError(context.DeadlineExceeded)
			}
			return c.Update(ctx, object, options...)
		},
	}).Build()
	retention := &Retention{Details: time.Hour, Client: c, Reader: c, Clock: clock}
	keeper := &Keeper{
		Name: "requests", Metadata: &quiet{there: metav1.PartialObjectMetadata{ObjectMeta: r.ObjectMeta}}, Selector: fields.Everything(),
		For: time.Hour, Clock: clock, Remove: retention.Request,
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- keeper.Start(ctx) }()
	gone := func() bool {
		return apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKeyFromObject(r), &v1alpha1.ActionRequest{}))
	}
	for end := time.Now().Add(time.Minute); !gone(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is still there, after %d attempts", tries.Load())
		}
		if tries.Load() > 0 {
			clock.Step(time.Second)
		}
	}
	if got := tries.Load(); got != 2 {
		t.Errorf("it took %d attempts", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// delivery notes until when everything must be delivered.
type delivery struct {
	Audit

	until time.Time
}

func (d *delivery) Delivered(until time.Time) error {
	d.until = until
	return nil
}

// TestKeptUntilTheReviewIsTold: an emergency is not removed before it is told elsewhere how its review ended, whenever that was and whatever it said.
func TestKeptUntilTheReviewIsTold(t *testing.T) {
	ended := time.Unix(1e9, 0)
	at := ended.Add(2 * time.Hour)
	for name, tc := range map[string]struct {
		reason   string
		reviewed bool
		record   *v1alpha1.ReviewResult
		want     time.Time
	}{
		"Approved": {"the condition tells when", true, nil, at},
		"Denied":   {"the condition was False before", false, &v1alpha1.ReviewResult{State: v1alpha1.ApprovalDenied, At: metav1.NewTime(at)}, at},
	} {
		t.Run(name, func(t *testing.T) {
			r := endedAt(ended)
			r.Status.Execution = &v1alpha1.ExecutionClaim{ID: "x"}
			setCondition(&r.Status.Conditions, 1, ended, v1alpha1.ConditionReviewed, false, v1alpha1.ReasonAwaitingReview, "")
			reason := v1alpha1.ReasonReviewDenied
			if tc.reviewed {
				reason = v1alpha1.ReasonReviewed
			}
			setCondition(&r.Status.Conditions, 1, at, v1alpha1.ConditionReviewed, tc.reviewed, reason, "")
			record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: "signoff-system", Name: "x"}}
			record.Status.Review = tc.record
			c, told := builderWith(t, r, record).Build(), &delivery{}
			retention := &Retention{
				Requests: time.Hour, Details: time.Hour, Client: c, Reader: c, OperatorNamespace: "signoff-system", Audit: told, Clock: clocktesting.NewFakeClock(at.Add(time.Hour)),
			}
			if again, err := retention.Request(t.Context(), client.ObjectKeyFromObject(r), r.UID); err != nil || !again.IsZero() {
				t.Fatalf("%v, %v", again, err)
			}
			live := &v1alpha1.ActionRequest{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil || live.DeletionTimestamp == nil || !told.until.Equal(tc.want) {
				t.Errorf("%s: told until %s, want %s; %v", tc.reason, told.until, tc.want, err)
			}
		})
	}
}

// TestSettled: a Record is looked at for its time only where nothing else is waited for.
func TestSettled(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.Record)
		want   bool
	}{
		"Ended":    {func(*v1alpha1.Record) {}, true},
		"Runs":     {func(r *v1alpha1.Record) { r.Status.Outcome = "" }, false},
		"Awaits":   {func(r *v1alpha1.Record) { r.Status.Review = nil }, false},
		"NoReview": {func(r *v1alpha1.Record) { r.Spec.Review, r.Status.Review = nil, nil }, true},
		"Goes":     {func(r *v1alpha1.Record) { r.DeletionTimestamp = &metav1.Time{Time: time.Unix(1e9, 0)} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			record := &v1alpha1.Record{}
			record.Status.Outcome, record.Status.Review = v1alpha1.OutcomeSucceeded, &v1alpha1.ReviewResult{}
			record.Spec.Review = &v1alpha1.RecordedReview{}
			tc.change(record)
			if got := isSettled(record); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}
