package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
)

// showVotes shows how far the open Approvals have come of a request that something keeps from going on: votes are collected meanwhile.
// None is closed as approved, because nobody can tell now which stages must approve. But time goes on, and whoever did not agree in time
// cannot any more: it tells whether that has ended the request.
func (s *scope) showVotes(ctx context.Context) (over bool, err error) {
	if !s.judgement.Votable() {
		// Nobody can be judged as a voter.
		return false, nil
	}
	list, err := s.ownApprovals(ctx, s.Client)
	if err != nil {
		return false, err
	}
	var lines []string
	for i := range list {
		approval := list[i].DeepCopy()
		if approval.Status.State != v1alpha1.ApprovalOpen || s.closed[approval.Name] {
			continue
		}
		stage, err := s.votesOn(ctx, approval)
		switch {
		case err != nil:
			return false, err
		case stage == nil: // somebody else made it
			continue
		case s.missed(stage):
			return true, s.expire(ctx, stage)
		}
		s.at(approval.Spec.ExpiresAt.Time)
		if err := s.progress(ctx, stage); err != nil {
			return false, err
		}
		lines = append(lines, s.stageLine(stage))
	}
	if len(lines) > 0 {
		s.condition(v1alpha1.ConditionApproved, false, v1alpha1.ReasonAwaitingApproval, strings.Join(lines, " "))
	}
	return false, nil
}

// missed tells that the time of a stage is over that rules demand, and not everybody agreed.
func (s *scope) missed(stage *stageState) bool {
	return s.tooLateFor(stage) && s.demanded(stage.approval)
}

// demanded tells whether rules are known to ask for a stage now. One that nobody asks for at the moment ends no request.
func (s *scope) demanded(approval *v1alpha1.Approval) bool {
	if approval.Spec.Review || s.judgement.Verdict == nil {
		return false
	}
	return slices.ContainsFunc(s.judgement.Verdict.By(v1alpha1.EffectRequireApproval), func(rule catalog.Rule) bool {
		return slices.ContainsFunc(rule.Stages, func(stage *catalog.Stage) bool { return stage.Ref == approval.Spec.Stage })
	})
}

// stageLine says what a stage still needs.
func (s *scope) stageLine(stage *stageState) string {
	requirements := gate.PollOf(stage.approval).Demands(s.now)
	if stage.result.State == v1alpha1.ApprovalApproved {
		return fmt.Sprintf("Stage %s: everybody agreed who is needed (%s).", stage.Ref.Name, strings.Join(decidedLines(stage), " "))
	}
	needs := gate.Needs(requirements, stage.result.Missing)
	if e := stage.approval.Spec.Escalation; e != nil && s.now.Before(e.At.Time) {
		needs += ", " + gate.Escalates(e, s.now)
	}
	return fmt.Sprintf("Stage %s: %s more (%s). Expires %s.", stage.Ref.Name, needs,
		s.Gate.Who(s.judgement, requirements, s.request.Spec.Requester), stage.approval.Spec.Expires)
}
