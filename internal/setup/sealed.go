package setup

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// page is how many objects are read at once in search of a seal.
const page = 100

// sealed looks for seals in a cluster. Where there is one, its key is not to be made anew, however little is left of what it sealed: whoever takes
// the key away would else get another one, with which nothing of before can be proved.
type sealed struct {
	reader client.Reader
	// namespace is that of the operator, where the Records are. Each of them outlives its request, which was sealed, too.
	namespace string
}

// anything tells whether anything in the cluster has a seal of a purpose. It reads live, page by page until there is one. A kind that cannot be read
// is an error, and never the answer that there is none.
func (s *sealed) anything(ctx context.Context, purpose seal.Purpose) (bool, error) {
	looks := []func(context.Context) (bool, error){s.adopted, s.opened, s.recorded}
	if purpose == seal.Admission {
		looks = []func(context.Context) (bool, error){s.asked, s.edited, s.delegated, s.voted, s.recorded}
	}
	for _, look := range looks {
		if found, err := look(ctx); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// asked looks for what people asked for, cancelled, or decided about a step.
func (s *sealed) asked(ctx context.Context) (bool, error) {
	return search(ctx, s.reader, &v1alpha1.ActionRequestList{}, func(list *v1alpha1.ActionRequestList) bool {
		return has(list.Items, func(r *v1alpha1.ActionRequest) bool {
			return r.Spec.Seal != nil || r.Spec.Cancellation != nil && r.Spec.Cancellation.Seal != nil ||
				has(r.Spec.Resolutions, func(d *v1alpha1.Resolution) bool { return d.Seal != nil })
		})
	})
}

// edited looks for who changed an Action.
func (s *sealed) edited(ctx context.Context) (bool, error) {
	return search(ctx, s.reader, &v1alpha1.ActionList{}, func(list *v1alpha1.ActionList) bool {
		return has(list.Items, func(a *v1alpha1.Action) bool { return a.Annotations[v1alpha1.AnnotationEdits] != "" })
	})
}

// delegated looks for who lets others vote.
func (s *sealed) delegated(ctx context.Context) (bool, error) {
	return search(ctx, s.reader, &v1alpha1.DelegationList{}, func(list *v1alpha1.DelegationList) bool {
		return has(list.Items, func(d *v1alpha1.Delegation) bool { return d.Spec.Seal != nil })
	})
}

// voted looks for votes, in the reviews of requests that are gone as well.
func (s *sealed) voted(ctx context.Context) (bool, error) {
	return search(ctx, s.reader, &v1alpha1.ApprovalList{}, func(list *v1alpha1.ApprovalList) bool {
		return has(list.Items, func(a *v1alpha1.Approval) bool {
			return has(a.Spec.Votes, func(v *v1alpha1.Vote) bool { return v.Seal != "" })
		})
	})
}

// adopted looks for requests that the operator took up.
func (s *sealed) adopted(ctx context.Context) (bool, error) {
	return search(ctx, s.reader, &v1alpha1.ActionRequestList{}, func(list *v1alpha1.ActionRequestList) bool {
		return has(list.Items, func(r *v1alpha1.ActionRequest) bool { return r.Status.Adoption != nil })
	})
}

// opened looks for Approvals.
func (s *sealed) opened(ctx context.Context) (bool, error) {
	return search(ctx, s.reader, &v1alpha1.ApprovalList{}, func(list *v1alpha1.ApprovalList) bool {
		return has(list.Items, func(a *v1alpha1.Approval) bool { return a.Spec.Seal != nil || a.Status.Seal != nil })
	})
}

// recorded looks for Records.
func (s *sealed) recorded(ctx context.Context) (bool, error) {
	return search(ctx, s.reader, &v1alpha1.RecordList{}, func(list *v1alpha1.RecordList) bool {
		return has(list.Items, func(r *v1alpha1.Record) bool { return r.Spec.Seal != nil || r.Status.Seal != nil })
	}, client.InNamespace(s.namespace))
}

func search[T client.ObjectList](ctx context.Context, reader client.Reader, list T, found func(T) bool, where ...client.ListOption) (bool, error) {
	for next := ""; ; {
		if err := reader.List(ctx, list, append(where, client.Limit(page), client.Continue(next))...); err != nil {
			return false, fmt.Errorf("failed to look for seals: %w", err)
		}
		if found(list) {
			return true, nil
		}
		if next = list.GetContinue(); next == "" {
			return false, nil
		}
	}
}

func has[T any](items []T, is func(*T) bool) bool {
	for i := range items {
		if is(&items[i]) {
			return true
		}
	}
	return false
}
