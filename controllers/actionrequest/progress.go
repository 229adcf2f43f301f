package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// progress shows on an open Approval who is still missing, once somebody has voted or time has changed who may, and reminds people.
func (s *scope) progress(ctx context.Context, stage *stageState) error {
	approval := stage.approval
	news := s.due(approval)
	requirements := gate.PollOf(approval).Demands(s.now)
	waiting, decided := gate.Cut(gate.Needs(requirements, stage.result.Missing), maxWaitingFor), bounded(decidedLines(stage), maxDecided)
	if len(news) == 0 && shown(approval, waiting, decided) {
		return nil
	}
	approval.Status.WaitingFor, approval.Status.Decided = waiting, decided
	approval.Status.Missing = nil
	for i, missing := range stage.result.Missing {
		if missing > 0 {
			approval.Status.Missing = append(approval.Status.Missing, fmt.Sprintf("%s: %d", requirements[i].Name, missing))
		}
	}
	approval.Status.ObservedGeneration = approval.Generation
	if err := s.sealState(approval, stage.ballot, s.now); err != nil {
		return err
	}
	if err := s.Client.Status().Update(ctx, approval); err != nil {
		return fmt.Errorf("failed to update the status of Approval %s/%s: %w", approval.Namespace, approval.Name, err)
	}
	s.announce(stage, news, waiting)
	return nil
}

// shown tells whether an open Approval shows how far it has come. One on which nobody has voted shows it by its spec.
func shown(approval *v1alpha1.Approval, waiting string, decided []string) bool {
	status := &approval.Status
	if len(approval.Spec.Votes) == 0 && status.WaitingFor == "" {
		return true
	}
	return status.WaitingFor == waiting && slices.Equal(status.Decided, decided) && status.Seal != nil && int(status.Seal.Votes) == len(approval.Spec.Votes)
}

// due notes on an open Approval what time has brought, and names it by the reasons of Events. What comes next wakes the request at its moment.
func (s *scope) due(approval *v1alpha1.Approval) []string {
	var news []string
	if e := approval.Spec.Escalation; e != nil {
		if s.at(e.At.Time); !s.now.Before(e.At.Time) && !approval.Status.Escalated {
			approval.Status.Escalated = true
			news = append(news, v1alpha1.ReasonEscalated)
		}
	}
	every, err := approval.Spec.Reminder.Value(0)
	if err != nil || every <= 0 || approval.Spec.Seal == nil {
		return news
	}
	opened := approval.Spec.Seal.At.Time
	passed := max(s.now.Sub(opened)/every, 0)
	s.at(opened.Add((passed + 1) * every))
	// After a time in which nothing ran, one reminder is enough.
	if count := int32(min(passed, maxReminders)); count > approval.Status.Reminders {
		approval.Status.Reminders = count
		news = append(news, v1alpha1.ReasonReminder)
	}
	return news
}

// maxReminders is how many reminders are counted. An Approval that is reminded of every minute is open for two years by then.
const maxReminders = 1 << 20

// announce tells people what time has brought, after it was stored, so that nobody is told twice.
func (s *scope) announce(stage *stageState, news []string, waiting string) {
	approval := stage.approval
	for _, reason := range news {
		text := fmt.Sprintf("Stage %s has been open for %s and waits for %s. Expires %s.", stage.Ref.Name, lasted(s.now.Sub(approval.Spec.Seal.At.Time)), waiting, approval.Spec.Expires)
		if reason == v1alpha1.ReasonEscalated {
			text = fmt.Sprintf("Nobody has decided stage %s by %s, so %s may now agree too: waits for %s. Expires %s.",
				stage.Ref.Name, gate.Time(approval.Spec.Escalation.At.Time, s.now), gate.Short(&approval.Spec.Escalation.Approvers), waiting, approval.Spec.Expires)
		}
		s.event(approval, reason, text)
		s.event(s.request, reason, text+" See: kubectl describe approval -n "+approval.Namespace+" "+approval.Name)
	}
}

// lasted shows how long something has lasted, such as "4h" or "1h30m".
func lasted(d time.Duration) string {
	text := strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
