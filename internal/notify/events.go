// Package notify finds out what there is to tell about a request, and tells it: by chat, by e-mail, as a CloudEvent or in a body of one's own.
package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Event is something that happened.
type Event struct {
	// ID names it: the same thing has the same one whenever it is found out again.
	ID string
	// Type is what it is, and Time when it happened.
	Type v1alpha1.NotificationEvent
	Time time.Time
	// Late is from when on it could be found out, which may be long after it happened. Zero: nobody knows, so it may just have been.
	Late time.Time
	// Request is what it is about, and Approval the stage. Nil: it is about none.
	Request  *v1alpha1.ActionRequest
	Approval *v1alpha1.Approval
	// Vote is a vote. Nil: it is none.
	Vote *v1alpha1.Vote
	// State is how a stage was closed, or the reason for which a request is where it is.
	State string
	// Words are those of the operator about it.
	Words string
}

// Of gives all that happened to a request so far, as its status and its Approvals tell. What was written while nobody was asked is nothing that
// happened.
func Of(request *v1alpha1.ActionRequest, approvals []v1alpha1.Approval) []Event {
	f := &finder{request: request}
	if request.Status.Adoption != nil {
		f.addLate(Event{Type: v1alpha1.EventRequested, Time: request.CreationTimestamp.Time}, string(request.UID))
	}
	for i := range approvals {
		if a := &approvals[i]; a.Spec.RequestRef.UID == request.UID && a.Spec.Seal != nil {
			f.approval(a)
		}
	}
	f.execution(approvals)
	f.end()
	slices.SortStableFunc(f.found, func(a, b Event) int { return a.Time.Compare(b.Time) })
	if len(f.found) > 1 && f.found[0].Type == v1alpha1.EventRequested {
		// It was taken up before anything else happened to it.
		f.found[0].Late = f.found[1].Time
	}
	return f.found
}

type finder struct {
	request *v1alpha1.ActionRequest
	found   []Event
}

// add keeps an event that is found out when it happens. The parts tell it from others of its type.
func (f *finder) add(e Event, parts ...string) {
	e.Late = e.Time
	f.addLate(e, parts...)
}

// addLate keeps an event that may be found out after it happened.
func (f *finder) addLate(e Event, parts ...string) {
	sum := sha256.Sum256([]byte(string(e.Type) + "\x00" + strings.Join(parts, "\x00")))
	e.ID, e.Request = hex.EncodeToString(sum[:16]), f.request
	f.found = append(f.found, e)
}

func (f *finder) approval(a *v1alpha1.Approval) {
	opened, closed := v1alpha1.EventApprovalNeeded, v1alpha1.EventApprovalClosed
	if a.Spec.Review {
		opened, closed = v1alpha1.EventReviewNeeded, v1alpha1.EventReviewClosed
	}
	uid := string(a.UID)
	f.add(Event{Type: opened, Time: a.CreationTimestamp.Time, Approval: a}, uid)
	for i := range a.Spec.Votes {
		if v := &a.Spec.Votes[i]; v.Seal != "" {
			f.add(Event{Type: v1alpha1.EventVoted, Time: v.At.Time, Approval: a, Vote: v}, uid, strconv.Itoa(i))
		}
	}
	f.impatience(a, uid)
	if state := a.Status.State; state != "" && state != v1alpha1.ApprovalOpen && a.Status.ClosedAt != nil {
		f.add(Event{Type: closed, Time: a.Status.ClosedAt.Time, Approval: a, State: string(state), Words: strings.Join(a.Status.Decided, "\n")}, uid, string(state))
	}
}

// impatience is what happens because nobody decides. Its time is when it was due, and a controller that was away notes it later: while the stage is
// open nobody knows when.
func (f *finder) impatience(a *v1alpha1.Approval, uid string) {
	var late time.Time
	if a.Status.ClosedAt != nil {
		late = a.Status.ClosedAt.Time
	}
	if every, err := a.Spec.Reminder.Value(0); err == nil && every > 0 && a.Status.Reminders > 0 {
		at := a.CreationTimestamp.Add(time.Duration(a.Status.Reminders) * every)
		f.addLate(Event{Type: v1alpha1.EventApprovalReminder, Time: at, Late: late, Approval: a}, uid, strconv.Itoa(int(a.Status.Reminders)))
	}
	if a.Spec.Escalation != nil && a.Status.Escalated {
		f.addLate(Event{Type: v1alpha1.EventApprovalEscalated, Time: a.Spec.Escalation.At.Time, Late: late, Approval: a}, uid)
	}
	reviewed := meta.FindStatusCondition(f.request.Status.Conditions, v1alpha1.ConditionReviewed)
	if a.Spec.Review && reviewed != nil && reviewed.Reason == v1alpha1.ReasonReviewOverdue {
		f.addLate(Event{Type: v1alpha1.EventReviewOverdue, Time: a.Spec.ExpiresAt.Time, Late: late, Approval: a}, uid)
	}
}

// phases are those that are told. The others are told by what led there.
var phases = map[v1alpha1.Phase]v1alpha1.NotificationEvent{
	v1alpha1.PhaseHeld: v1alpha1.EventHeld, v1alpha1.PhaseActive: v1alpha1.EventActive, v1alpha1.PhaseReverting: v1alpha1.EventReverting,
	v1alpha1.PhaseOutcomeUnknown: v1alpha1.EventOutcomeUnknown,
}

// execution tells how far a request is. What comes and goes is told once for each reason: status does not say how often.
func (f *finder) execution(approvals []v1alpha1.Approval) {
	status := &f.request.Status
	if status.Execution != nil {
		f.add(Event{Type: v1alpha1.EventExecuting, Time: status.Execution.StartedAt.Time}, string(f.request.UID))
	}
	event, told := phases[status.Phase]
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	if told && ready != nil {
		// A reason that changes within a phase leaves the times of conditions as they were.
		f.addLate(Event{Type: event, Time: f.newest(approvals), State: ready.Reason, Words: ready.Message}, string(f.request.UID), ready.Reason)
	}
}

// newest is the time of what happened last, of all that has a time.
func (f *finder) newest(approvals []v1alpha1.Approval) time.Time {
	out := f.request.CreationTimestamp.Time
	later := func(at time.Time) {
		if at.After(out) {
			out = at
		}
	}
	if v := f.request.Status.Verdict; v != nil {
		later(v.EvaluatedAt.Time)
	}
	for i := range f.request.Status.Conditions {
		later(f.request.Status.Conditions[i].LastTransitionTime.Time)
	}
	for i := range f.request.Status.Steps {
		if at := f.request.Status.Steps[i].FinishedAt; at != nil {
			later(at.Time)
		}
	}
	for i := range approvals {
		if at := approvals[i].Status.ClosedAt; at != nil && approvals[i].Spec.RequestRef.UID == f.request.UID {
			later(at.Time)
		}
	}
	return out
}

func (f *finder) end() {
	finished := meta.FindStatusCondition(f.request.Status.Conditions, v1alpha1.ConditionFinished)
	if f.request.Status.Outcome == "" || finished == nil {
		return
	}
	// The names of ends are those of events.
	event := v1alpha1.NotificationEvent(f.request.Status.Outcome)
	f.add(Event{Type: event, Time: finished.LastTransitionTime.Time, State: finished.Reason, Words: finished.Message}, string(f.request.UID))
}
