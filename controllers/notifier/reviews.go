package notifier

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/internal/record"
)

// isBeside tells whether an Approval is a review that was asked for again, beside the Record of its request: whoever broke the glass took the first one
// away, and mostly the request too. So that this silences nobody, it is told without the request.
func (r *Reconciler) isBeside(a *v1alpha1.Approval) bool {
	return a.Namespace == r.OperatorNamespace && a.Spec.Review && record.OwnerOf(a) != ""
}

// besideRecord names the request of a review that was asked for again, in the namespace of the review, where it is not.
func (r *Reconciler) besideRecord(_ context.Context, object client.Object) []reconcile.Request {
	a, ok := object.(*v1alpha1.Approval)
	if !ok || !r.isBeside(a) {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: a.Namespace, Name: a.Spec.RequestRef.Name}}}
}

// tellReviews tells of the reviews that were asked for again of requests of a name.
func (r *Reconciler) tellReviews(ctx context.Context, name string) error {
	list := &v1alpha1.ApprovalList{}
	if err := r.Reader.List(ctx, list, client.InNamespace(r.OperatorNamespace), client.MatchingFields{"spec.requestRef.name": name}); err != nil {
		return fmt.Errorf("failed to list the reviews of requests %s that are gone: %w", name, err)
	}
	for i := range list.Items {
		if err := r.tellReview(ctx, &list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// tellReview tells of one of them to those who would be told of its request, as its Record has it.
func (r *Reconciler) tellReview(ctx context.Context, review *v1alpha1.Approval) error {
	if !r.isBeside(review) {
		return nil
	}
	found := &v1alpha1.Record{}
	if err := r.Reader.Get(ctx, types.NamespacedName{Namespace: r.OperatorNamespace, Name: record.NameFor(review)}, found); err != nil {
		return client.IgnoreNotFound(err)
	}
	notifiers, err := r.notifiers(ctx, found.Spec.RequestRef.Namespace)
	if err != nil {
		return err
	}
	r.handOverAll(ctx, notifiers, notify.OfReview(record.RequestOf(found), review))
	return nil
}

// reviews tells of all that were asked for again, but for those that were closed so long ago that all is told.
func (m *missed) reviews(ctx context.Context, from time.Time) error {
	options := &client.ListOptions{Namespace: m.OperatorNamespace, Limit: pageSize}
	for {
		list := &v1alpha1.ApprovalList{}
		if err := m.Reader.List(ctx, list, options); err != nil {
			return fmt.Errorf("failed to list the reviews of requests that are gone: %w", err)
		}
		for i := range list.Items {
			if closed := list.Items[i].Status.ClosedAt; closed != nil && closed.Time.Before(from) {
				continue
			}
			if err := m.tellReview(ctx, &list.Items[i]); err != nil {
				return err
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}
