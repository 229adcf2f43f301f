package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/visible"
)

// What others write is cut to this, in characters as they are shown, so that nobody who writes much pushes out what it takes to decide. With the commands a
// text of Signoff's own then fits every channel.
const (
	maxName  = 128
	maxWords = 1000
	maxOwn   = 2000
)

// headlines say what happened, in a few words before what it is about.
var headlines = map[v1alpha1.NotificationEvent]string{
	v1alpha1.EventRequested: "Requested", v1alpha1.EventApprovalNeeded: "Approval needed", v1alpha1.EventApprovalReminder: "Approval still needed",
	v1alpha1.EventApprovalNeededAgain: "Approval needed again", v1alpha1.EventApproved: "Approved", v1alpha1.EventUnsatisfiable: "Too few people can approve", v1alpha1.EventResolved: "Decided how it ended",
	v1alpha1.EventApprovalEscalated: "Approval needed, also from others", v1alpha1.EventHeld: "Held", v1alpha1.EventExecuting: "Started", v1alpha1.EventOutcomeUnknown: "Nobody knows how it ended",
	v1alpha1.EventActive: "Done for a time", v1alpha1.EventReverting: "Being taken back", v1alpha1.EventSucceeded: "Succeeded", v1alpha1.EventFailed: "Failed",
	v1alpha1.EventDenied: "Denied", v1alpha1.EventExpired: "Expired", v1alpha1.EventCancelled: "Cancelled", v1alpha1.EventReverted: "Taken back",
	v1alpha1.EventReviewNeeded: "Review needed", v1alpha1.EventReviewOverdue: "Review overdue",
}

// defaults are the words of Signoff. Inputs are not among them. Until when a stage is open comes before what can be long.
func defaults(e *Event) (title, text string) {
	request := e.Request
	who := "somebody"
	if by := request.Spec.Requester; by != nil {
		who = by.Username
	}
	title = fmt.Sprintf("%s: %s of %s (%s/%s)", headline(e), request.Spec.ActionRef, who, request.Namespace, request.Name)
	var lines []string
	if claim := claimed(request); claim != "" {
		lines = append(lines, fmt.Sprintf("%s asks, as it says on behalf of %s.", named(who), named(claim)))
	}
	if request.Spec.Reason != "" {
		lines = append(lines, fmt.Sprintf("%s wrote: %s", named(who), cited(request.Spec.Reason)))
	}
	switch a := e.Approval; {
	case e.Vote != nil && e.Vote.Comment != "":
		lines = append(lines, fmt.Sprintf("%s wrote: %s", named(e.Vote.Voter.Username), cited(e.Vote.Comment)))
	case a != nil && asks(e.Type):
		lines = append(lines, fmt.Sprintf("Stage %s needs %s, until %s.", a.Spec.Stage.Name, a.Spec.Needs, a.Spec.Expires))
	}
	if e.Words != "" {
		lines = append(lines, e.Words)
	}
	return title, gate.Cut(visible.Lines(strings.Join(lines, "\n")), maxOwn)
}

// named is a name of somebody, as much of it as is shown.
func named(name string) string { return gate.Cut(visible.Escaped(name), maxName) }

// cited is what somebody wrote, in quotes, as much of it as is shown.
func cited(text string) string {
	quoted := visible.Escaped(strconv.Quote(text))
	inside := quoted[1 : len(quoted)-1]
	if short := gate.Cut(inside, maxWords); short != inside {
		return `"` + short + `" (cut: kubectl signoff show has all of it)`
	}
	return quoted
}

// fit cuts a text to what there is room for. The first of the ends that it names stays: commands outlast what is long before them.
func fit(text string, room int, ends ...string) string {
	short := gate.Cut(text, room)
	for _, end := range ends {
		if strings.Contains(text, end) {
			if !strings.Contains(short, end) {
				short = gate.Cut(text, room-utf8.RuneCountInString(end)-1) + "\n" + end
			}
			break
		}
	}
	return short
}

func headline(e *Event) string {
	switch {
	case e.Vote != nil:
		return fmt.Sprintf("%s by %s in stage %s", votes[e.Vote.Decision], e.Vote.By(), e.Approval.Spec.Stage.Name)
	case isClosed(e.Type):
		return closing(e)
	}
	return headlines[e.Type]
}

// closing says why nobody needs to decide any more. What is superseded was not decided.
func closing(e *Event) string {
	stage := e.Approval.Spec.Stage.Name
	switch {
	case e.State != string(v1alpha1.ApprovalSuperseded):
		return fmt.Sprintf("Already decided: stage %s is %s", stage, e.State)
	case endedByCancellation(e):
		return fmt.Sprintf("Cancelled by %s, so stage %s needs nobody any more", canceller(e.Request.Spec.Cancellation), stage)
	}
	return fmt.Sprintf("No longer needed: stage %s", stage)
}

// endedByCancellation tells whether a stage was closed because the request was cancelled, and not before that because something changed.
func endedByCancellation(e *Event) bool {
	c := e.Request.Spec.Cancellation
	return c != nil && (c.Seal == nil || !e.Time.Before(c.Seal.At.Truncate(time.Second)))
}

// canceller is who cancelled. Without a seal nobody can tell.
func canceller(c *v1alpha1.Cancellation) string {
	if c.By == nil || c.Seal == nil {
		return "somebody"
	}
	return visible.Inside(c.By.Username)
}

var votes = map[v1alpha1.Decision]string{
	v1alpha1.DecisionApprove: "Approved", v1alpha1.DecisionDeny: "Denied", v1alpha1.DecisionWithdraw: "Vote withdrawn",
}
