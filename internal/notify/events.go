// Package notify finds out what there is to tell about a request, and tells it: by chat, by e-mail, as a CloudEvent or in a body of one's own.
package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	// Asked are the Approvals whose approvers it concerns: that of its stage, or else all of the request. Nobody was asked when somebody asks.
	Asked []*v1alpha1.Approval
	// Vote is a vote. Nil: it is none.
	Vote *v1alpha1.Vote
	// State is how a stage was closed, why people are asked again, how a step ended as somebody decided, or the reason for which a request is where it is.
	State string
	// Words are those of the operator about it.
	Words string
}

// Of gives all that happened to a request so far, as its status and its Approvals tell. What was written while nobody was asked is nothing that
// happened.
func Of(request *v1alpha1.ActionRequest, approvals []v1alpha1.Approval) []Event {
	f := &finder{request: request}
	if f.takenUp(approvals) {
		f.addLate(Event{Type: v1alpha1.EventRequested, Time: request.CreationTimestamp.Time}, string(request.UID))
	}
	for i := range approvals {
		if a := &approvals[i]; f.owns(a) {
			f.approval(a)
			f.again(a, approvals)
		}
	}
	f.agreement(approvals)
	f.execution(approvals)
	f.resolutions()
	f.end()
	f.concern(approvals)
	slices.SortStableFunc(f.found, func(a, b Event) int { return a.Time.Compare(b.Time) })
	if len(f.found) > 1 && f.found[0].Type == v1alpha1.EventRequested {
		// It was taken up before anything else happened to it.
		f.found[0].Late = f.found[1].Time
	}
	return f.found
}

// OfReview gives all that happened to a review that was asked for again, as the one before was taken away, mostly with its request. The request is as its
// Record has it, and was told of when it was there.
func OfReview(request *v1alpha1.ActionRequest, review *v1alpha1.Approval) []Event {
	f := &finder{request: request}
	if !f.owns(review) {
		return nil
	}
	f.approval(review)
	if said := review.Spec.Summary; len(said) > 0 {
		f.found[0].Words = said[0] // that it is asked for again, and why
	}
	f.concern([]v1alpha1.Approval{*review})
	slices.SortStableFunc(f.found, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return f.found
}

type finder struct {
	request *v1alpha1.ActionRequest
	found   []Event
}

// takenUp tells whether Signoff has looked at the request. An Approval is opened a moment before the status of the request says so, and nobody should be
// asked to decide on what was never told to be requested.
func (f *finder) takenUp(approvals []v1alpha1.Approval) bool {
	return f.request.Status.Adoption != nil || slices.ContainsFunc(approvals, func(a v1alpha1.Approval) bool { return f.owns(&a) })
}

// owns tells whether an Approval is one of the request, and opened by Signoff.
func (f *finder) owns(a *v1alpha1.Approval) bool {
	return a.Spec.RequestRef.UID == f.request.UID && a.Spec.Seal != nil
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

// concern finds out whose approvers each event concerns.
func (f *finder) concern(approvals []v1alpha1.Approval) {
	var all []*v1alpha1.Approval
	for i := range approvals {
		if f.owns(&approvals[i]) {
			all = append(all, &approvals[i])
		}
	}
	for i := range f.found {
		switch e := &f.found[i]; {
		case e.Approval != nil:
			e.Asked = []*v1alpha1.Approval{e.Approval}
		case e.Type != v1alpha1.EventRequested:
			e.Asked = all
		}
	}
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

// again tells where people are asked once more: an Approval of the same stage counts no more. Status says of it when, and why.
func (f *finder) again(a *v1alpha1.Approval, all []v1alpha1.Approval) {
	var before *v1alpha1.Approval
	for i := range all {
		if p := &all[i]; replaces(a, p) && (before == nil || before.CreationTimestamp.Before(&p.CreationTimestamp)) {
			before = p
		}
	}
	if before == nil {
		return
	}
	why := v1alpha1.ReasonSuperseded
	if before.Spec.Digest != a.Spec.Digest {
		why = v1alpha1.ReasonPlanChanged
	}
	e := Event{
		Type: v1alpha1.EventApprovalNeededAgain, Time: a.CreationTimestamp.Time, Late: a.CreationTimestamp.Time, Approval: a, State: why,
		Words: strings.Join(before.Status.Decided, "\n"),
	}
	if closed := before.Status.ClosedAt.Time; closed.After(e.Late) {
		e.Late = closed // the new one may be opened before the old one is closed
	}
	f.addLate(e, string(a.UID))
}

// replaces tells whether an Approval was opened in the place of one that counts no more.
func replaces(a, before *v1alpha1.Approval) bool {
	if a.Spec.Review || a.UID == before.UID || before.Spec.Review || before.Spec.Seal == nil || before.Spec.RequestRef.UID != a.Spec.RequestRef.UID {
		return false
	}
	if before.Spec.Stage.ID() != a.Spec.Stage.ID() || before.Status.State != v1alpha1.ApprovalSuperseded || before.Status.ClosedAt == nil {
		return false
	}
	if !before.CreationTimestamp.Equal(&a.CreationTimestamp) {
		return before.CreationTimestamp.Before(&a.CreationTimestamp)
	}
	// In the same second it is the one that stood longer.
	return a.Status.ClosedAt == nil || before.Status.ClosedAt.Before(a.Status.ClosedAt)
}

// agreement tells that all have agreed, or that too few can. It is told anew where it was not so in between, or where something else is to be agreed to.
func (f *finder) agreement(approvals []v1alpha1.Approval) {
	status, uid := &f.request.Status, string(f.request.UID)
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionApproved); c != nil && c.Status == metav1.ConditionTrue && c.Reason == v1alpha1.ReasonApproved {
		at := c.LastTransitionTime.Time
		f.add(Event{Type: v1alpha1.EventApproved, Time: at, State: c.Reason, Words: c.Message}, uid, at.UTC().Format(time.RFC3339))
	}
	ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.Reason == v1alpha1.ReasonUnsatisfiable && status.Outcome == "" {
		f.addLate(Event{Type: v1alpha1.EventUnsatisfiable, Time: f.newest(approvals), State: ready.Reason, Words: ready.Message}, uid, status.Digest)
	}
}

// resolutions are what people decided about steps. Without a seal nobody did.
func (f *finder) resolutions() {
	for i := range f.request.Spec.Resolutions {
		r := &f.request.Spec.Resolutions[i]
		if r.Seal == nil {
			continue
		}
		words := fmt.Sprintf("%s decided that step %s ended as %s, and wrote: %s", named(r.By.Username), r.Step, r.Outcome, cited(r.Comment))
		if f.request.EndsRevert(&r.NewResolution) {
			words = fmt.Sprintf("%s decided that what is left of it is taken back by hand or may stay, and wrote: %s", named(r.By.Username), cited(r.Comment))
		}
		f.add(Event{Type: v1alpha1.EventResolved, Time: r.Seal.At.Time, State: string(r.Outcome), Words: words}, string(f.request.UID), strconv.Itoa(i))
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
	if a.Spec.Review && f.overdue(a) {
		f.addLate(Event{Type: v1alpha1.EventReviewOverdue, Time: a.Spec.ExpiresAt.Time, Late: late, Approval: a}, uid)
	}
}

// overdue tells whether nobody reviewed in time. Where the request is gone, the review says it itself.
func (f *finder) overdue(review *v1alpha1.Approval) bool {
	beside := meta.FindStatusCondition(f.request.Status.Conditions, v1alpha1.ConditionReviewed)
	itself := meta.FindStatusCondition(review.Status.Conditions, v1alpha1.ConditionReady)
	return beside != nil && beside.Reason == v1alpha1.ReasonReviewOverdue || itself != nil && itself.Reason == v1alpha1.ReasonReviewOverdue
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
