package actionrequest

import (
	"context"
	"fmt"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// showVotes shows how far the open Approvals have come of a request that something keeps from going on: votes are collected meanwhile.
// None is closed as approved, because nobody can tell now which stages must approve.
func (s *scope) showVotes(ctx context.Context) error {
	if s.judgement.Action == nil || s.judgement.Inputs == nil {
		// Nobody can be judged as a voter.
		return nil
	}
	list, err := s.ownApprovals(ctx, s.Client)
	if err != nil {
		return err
	}
	var lines []string
	for i := range list {
		line, err := s.showVotesOn(ctx, list[i].DeepCopy())
		if err != nil {
			return err
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 {
		s.condition(v1alpha1.ConditionApproved, false, v1alpha1.ReasonAwaitingApproval, strings.Join(lines, " "))
	}
	return nil
}

// showVotesOn shows how far an Approval has come, and says it. Empty: it is not open, or somebody else made it.
func (s *scope) showVotesOn(ctx context.Context, approval *v1alpha1.Approval) (string, error) {
	if approval.Status.State != v1alpha1.ApprovalOpen || s.closed[approval.Name] {
		return "", nil
	}
	stage, err := s.votesOn(ctx, approval)
	if err != nil || stage == nil {
		return "", err
	}
	return s.stageLine(stage), s.progress(ctx, stage)
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
