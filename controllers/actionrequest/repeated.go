package actionrequest

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/gate"
	book "github.com/signoff-dev/signoff/internal/record"
)

// A request that says until when it may run is executed once until then, however often it is made: tools that apply what is in a repository
// make it again whenever it is not there. What it asks for names its Record, so that creating the Record is the lock for all of them.

// ownRecord gives the Record of the request, and that of an earlier request which was the same. At most one of them is there. Where that cannot be read, there
// may be one: what the request holds is not given to the next.
func (s *scope) ownRecord(ctx context.Context) (own, earlier *v1alpha1.Record, err error) {
	name, err := book.Name(s.request)
	if err != nil {
		return nil, nil, err
	}
	found := &v1alpha1.Record{}
	key := types.NamespacedName{Namespace: s.OperatorNamespace, Name: name}
	err = s.Reader.Get(ctx, key, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, nil
	case err != nil:
		s.claimed = true
		return nil, nil, fmt.Errorf("failed to get Record %s: %w", key, err)
	case found.Spec.RequestRef.UID != s.request.UID:
		return nil, found, nil
	}
	return found, nil, nil
}

// repeated tells whether the same request was executed before, or is being executed, and then gives this one the same end.
func (s *scope) repeated(ctx context.Context) (bool, error) {
	if s.request.Spec.ExpiresAt == nil {
		return false, nil
	}
	_, earlier, err := s.ownRecord(ctx)
	if err != nil || earlier == nil {
		return false, err
	}
	if s.sealed == nil { // one that somebody has forged borrows no end
		if err := s.genuine(ctx); err != nil {
			return false, err
		}
	}
	return true, s.repeats(ctx, earlier)
}

// repeats gives the request the end of an earlier one that was the same. Where that has none yet, nobody is left to bring it there but this one.
func (s *scope) repeats(ctx context.Context, earlier *v1alpha1.Record) error {
	s.claimed = false
	if _, err := s.Evidence.Record(earlier); err != nil {
		return s.unbelievable(ctx, earlier, fmt.Errorf("failed to verify Record %s: %w", earlier.Name, err))
	}
	if earlier.Status.Outcome == "" {
		first := s.orphanScope(earlier)
		first.request.DeletionTimestamp = &metav1.Time{Time: s.now}
		if err := first.proceed(ctx, earlier); err != nil {
			return err
		}
		s.at(first.wake)
		if earlier.Status.Outcome != "" {
			s.objects.giveBack(earlier.Spec.RequestRef.UID)
		}
	}
	if earlier.Status.Outcome == "" {
		s.showRepeated(earlier)
		s.lookAgain()
		return s.store(ctx)
	}
	message := repeatText("Already executed", earlier) + ": " + string(earlier.Status.Outcome) + "."
	if earlier.Status.Message != "" {
		message += " " + earlier.Status.Message
	}
	message += " Nothing was executed now. To run it again before " + gate.Time(s.request.Spec.ExpiresAt.Time, s.now) + ", change its reason, its inputs or its name."
	s.showExecution(earlier)
	s.showStayed(earlier)
	fact := audit.Repeated(s.request, v1alpha1.ReasonAlreadyExecuted, message, s.now)
	return s.end(ctx, earlier.Status.Outcome, ending{reason: v1alpha1.ReasonAlreadyExecuted, message: gate.Cut(message, maxMessage), fact: &fact})
}

// showRepeated shows that the same request is still being executed.
func (s *scope) showRepeated(earlier *v1alpha1.Record) {
	phase := v1alpha1.PhaseExecuting
	if isTemporary(earlier) {
		phase = v1alpha1.PhaseReverting
	}
	s.waiting(phase, v1alpha1.ReasonAlreadyExecuted,
		repeatText("The same was begun", earlier)+", which is gone; it stops where it safely can, and its end becomes the end of this request. Nothing is executed twice.",
		"the end of request uid "+string(earlier.Spec.RequestRef.UID))
}

func repeatText(what string, earlier *v1alpha1.Record) string {
	return fmt.Sprintf("%s on %s as request uid %s", what, earlier.Spec.ClaimedAt.UTC().Format("2 Jan 2006 15:04:05 MST"), earlier.Spec.RequestRef.UID)
}

// hands let one at a time work for the requests of one name: for that which is there, or for one before it that is gone.
type hands struct {
	mu   sync.Mutex
	busy map[types.NamespacedName]bool
}

// busyPause is how long a request waits while something is done for one before it of the same name.
const busyPause = 200 * time.Millisecond

func (h *hands) take(request types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[request] {
		return false
	}
	if h.busy == nil {
		h.busy = map[types.NamespacedName]bool{}
	}
	h.busy[request] = true
	return true
}

func (h *hands) leave(request types.NamespacedName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.busy, request)
}
