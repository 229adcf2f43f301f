package actionrequest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/plan"
)

// compared is what became, since an Approval was opened, of what would be changed.
type compared struct {
	// drifted says what is another one, and unread names what nobody can look at now.
	drifted, unread []string
	// rekeyed says what cannot be compared, because the key has changed with which it was noted, or it was noted without one.
	rekeyed []string
}

// drift compares. The digest stands for what is sent; this is about what it finds. What nobody could look at then cannot be compared. What nobody
// can look at now may have changed or not.
func drift(shown []v1alpha1.PlannedChange, now *preparation) compared {
	var out compared
	for i := range now.changes {
		change := &now.changes[i]
		switch {
		case i >= len(shown) || shown[i].Basis == "":
		case now.blindTo(change):
			out.unread = append(out.unread, change.Object)
		case !appears(shown[i].Basis, change.Basis) && evidence.Incomparable(shown[i].Basis, change.Basis):
			out.rekeyed = append(out.rekeyed, fmt.Sprintf("Nobody can tell whether %s is still as it was when people were asked: the key or the version of Signoff has changed since.", change.Object))
		case shown[i].Basis != change.Basis:
			out.drifted = append(out.drifted, fmt.Sprintf("%s is no longer as it was when people were asked: %s.", change.Object, strings.Join(change.Fields, "; ")))
		}
	}
	return out
}

// appears tells whether an object is there that was not, or the other way round: that is known without a key.
func appears(shown, now string) bool { return plan.IsAbsent(shown) != plan.IsAbsent(now) }

// blindTo tells whether nobody could look at what a change finds.
func (p *preparation) blindTo(change *v1alpha1.PlannedChange) bool {
	if change.Operation == plan.OperationRest {
		return change.Basis == "" && len(p.unread) > 0
	}
	return slices.Contains(p.unread, change.Object)
}

// unreadError says that nobody can tell whether something has drifted.
type unreadError struct {
	objects []string
	account string
}

func (e *unreadError) Error() string {
	return fmt.Sprintf("cannot tell whether %s is still as it was when people were asked: ServiceAccount %s may not read it now", strings.Join(e.objects, ", "), e.account)
}

// drifted does what the Action says where something has drifted. Again says that people are asked again, over that the request has ended. Where
// nobody can tell, only what goes on anyway goes on.
func (s *scope) drifted(ctx context.Context, stage *stageState, decided []string) (again, over bool, err error) {
	execution := &s.judgement.Action.Object.Spec.Execution
	found := drift(stage.approval.Spec.Plan, s.plan)
	switch {
	case execution.OnDrift == v1alpha1.DriftProceed:
		return false, false, nil
	case len(found.unread) > 0:
		return false, false, &unreadError{objects: found.unread, account: s.judgement.Action.Object.Namespace + "/" + execution.ServiceAccountName}
	case len(found.drifted)+len(found.rekeyed) == 0:
		return false, false, nil
	}
	if err := s.notBegun(ctx); err != nil {
		return false, false, err
	}
	if execution.OnDrift == v1alpha1.DriftFail && len(found.drifted) > 0 {
		message := "What would be changed has changed, and the Action says not to go on then: " + found.drifted[0] + " Nothing was executed."
		return false, true, s.finish(ctx, v1alpha1.OutcomeFailed, ending{reason: v1alpha1.ReasonDrifted, message: message})
	}
	why := "No longer counts, since what would be changed has changed."
	if len(found.drifted) == 0 {
		why = "No longer counts, since nobody can tell whether what would be changed has changed."
	}
	changed := append(found.drifted, found.rekeyed...)
	s.event(s.request, v1alpha1.ReasonDrifted, changed[0])
	return true, false, s.closeAs(ctx, stage, v1alpha1.ApprovalSuperseded, slices.Concat(decided, []string{why}, changed))
}

// notBegun makes sure that what has changed was not changed by the execution itself, which another operator has begun while this one was behind. Where
// it was, the request is looked at anew, with its Record.
func (s *scope) notBegun(ctx context.Context) error {
	record, err := s.record(ctx)
	if record == nil || err != nil {
		return err
	}
	s.tried.Add(s.request.UID, true)
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("actionrequests").GroupResource(), s.request.Name, errors.New("its execution has begun"))
}

// blind keeps a request of which nobody can tell whether something has drifted, until somebody can.
func (s *scope) blind(ctx context.Context, why *unreadError) error {
	text := why.Error()
	message := "Held, because Signoff " + text + ". Nobody is asked again meanwhile; it goes on by itself once that can be read."
	s.waiting(v1alpha1.PhaseHeld, v1alpha1.ReasonFactsUnavailable, message, "cannot read "+strings.Join(why.objects, ", "))
	s.lookAgain()
	return s.store(ctx)
}
