package actionrequest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/visible"
)

// Guard says whether what protects our objects is in force.
type Guard interface {
	// InForce returns nil where it is. It asks nobody, so that it costs nothing. Whenever its answer changes, all requests and reviews are looked at again.
	InForce() error
}

// unknownPause is how long a request waits where nobody knows yet whether the guard is in force; that it is known wakes it earlier.
const unknownPause = time.Second

// unguarded keeps a request from going on while the guard is missing: no Approval is opened, no vote is counted and nothing is claimed,
// because whoever wrote what is stored may not have been asked who they are. Denials and cancellations count all the same: they stop.
func (s *scope) unguarded(ctx context.Context, missing error) error {
	if s.unknown(missing) {
		return nil
	}
	message, short := guardText(missing)
	s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonGuardMissing, message, short)
	return s.store(ctx)
}

// unguardedReview keeps a review as it is while the guard is missing: no vote on it is counted, and it is not closed. That it is overdue is told all the
// same: it only asks people to look.
func (s *scope) unguardedReview(ctx context.Context, review *v1alpha1.Approval, missing error) error {
	switch {
	case s.unknown(missing):
		return nil
	case s.isLate(review):
		return s.late(ctx, review)
	case s.request.Status.Outcome == "":
		return nil // the request says it by itself
	}
	message, _ := guardText(missing)
	s.condition(v1alpha1.ConditionReviewed, false, v1alpha1.ReasonGuardMissing, "Review of the emergency: no vote on it counts. "+message+".")
	return s.store(ctx)
}

// guardedStep does the next thing for one step, unless the guard is missing and it would start something. What is written stays; a step that
// only waits, or whose Job runs, goes on. It tells whether more can be done now.
func (s *scope) guardedStep(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, index int) (bool, error) {
	missing := s.Guard.InForce()
	if missing == nil || index < len(record.Status.Steps) && execution.Begun(&record.Status.Steps[index]) {
		return s.step(ctx, record, step, index)
	}
	if s.unknown(missing) {
		return false, nil
	}
	if index < len(record.Status.Steps) {
		// A call that still waits for its turn is not sent meanwhile.
		s.Runner.Withdraw(record, step, &record.Status.Steps[index])
	}
	message, short := guardText(missing)
	s.showExecution(record)
	s.waiting(v1alpha1.PhaseExecuting, v1alpha1.ReasonGuardMissing, message, short)
	return false, s.store(ctx)
}

// unknown tells whether nobody knows yet, shortly after the start, and then looks again. That is not worth a write to every request.
func (s *scope) unknown(missing error) bool {
	if !errors.Is(missing, guard.ErrUnproven) {
		return false
	}
	s.at(s.now.Add(unknownPause))
	return true
}

// guardText says for people why nothing is started: in full, and for the column WAITING FOR.
func guardText(missing error) (message, short string) {
	first, since := missing.Error(), ""
	if why := (*guard.MissingError)(nil); errors.As(missing, &why) {
		first, since = why.First(), " since "+why.Since.UTC().Format("2 Jan 15:04 MST")
	}
	first = strings.TrimSuffix(visible.Inside(first), ".")
	return fmt.Sprintf("Signoff's guard is not in force%s, so no vote can be trusted. Nothing is started. %s. It goes on by itself once that is mended; administrators: see docs/security/guard.md",
		since, first), "guard missing: " + first
}
