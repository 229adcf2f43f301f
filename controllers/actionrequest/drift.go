package actionrequest

import (
	"context"
	"fmt"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// drift tells what has changed, since an Approval was opened, that would be changed. The digest stands for what is sent; this is about what it
// finds. What nobody could look at then cannot be compared.
func drift(shown, now []v1alpha1.PlannedChange) []string {
	var lines []string
	for i := range now {
		if i >= len(shown) || shown[i].Basis == "" || shown[i].Basis == now[i].Basis {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s is no longer as it was when people were asked: %s.", now[i].Object, strings.Join(now[i].Fields, "; ")))
	}
	return lines
}

// drifted does what the Action says where something has drifted. Again says that people are asked again, over that the request has ended.
func (s *scope) drifted(ctx context.Context, stage *stageState, decided []string) (again, over bool, err error) {
	lines := drift(stage.approval.Spec.Plan, s.plan.changes)
	if len(lines) == 0 {
		return false, false, nil
	}
	switch s.judgement.Action.Object.Spec.Execution.OnDrift {
	case v1alpha1.DriftProceed:
		return false, false, nil
	case v1alpha1.DriftFail:
		message := "What would be changed has changed, and the Action says not to go on then: " + lines[0] + " Nothing was executed."
		return false, true, s.finish(ctx, v1alpha1.OutcomeFailed, ending{reason: v1alpha1.ReasonDrifted, message: message})
	case v1alpha1.DriftReapprove:
	}
	closed := append(decided[:len(decided):len(decided)], "No longer counts, since what would be changed has changed.")
	s.event(s.request, v1alpha1.ReasonDrifted, lines[0])
	return true, false, s.closeAs(ctx, stage, v1alpha1.ApprovalSuperseded, append(closed, lines...))
}
