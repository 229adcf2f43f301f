package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// Requested says that a request was adopted.
func Requested(ar *v1alpha1.ActionRequest, request, adoption *seal.Envelope, in *Inputs, at time.Time) Event {
	e := ofRequest(ar, TypeRequested, "requested", at)
	e.Data.Inputs = in
	e.Data.Seals = &Seals{Request: request.Sealed(), Adoption: adoption.Sealed()}
	return e
}

// Rejected says that a request will never be acted on, because its evidence does not hold. Code is the reason of the condition.
func Rejected(ar *v1alpha1.ActionRequest, code, message string, at time.Time) Event {
	e := ofRequest(ar, TypeRejected, "rejected/"+code, at)
	e.Data.Code, e.Data.Message = code, message
	return e
}

// Denied says that an approver said no.
func Denied(ar *v1alpha1.ActionRequest, message string, at time.Time) Event {
	e := ofRequest(ar, TypeDenied, "denied", at)
	e.Data.Message = message
	return e
}

// Expired says that time ran out.
func Expired(ar *v1alpha1.ActionRequest, message string, at time.Time) Event {
	e := ofRequest(ar, TypeExpired, "expired", at)
	e.Data.Message = message
	return e
}

// Cancelled says that somebody cancelled.
func Cancelled(ar *v1alpha1.ActionRequest, cancel *seal.Envelope, at time.Time) Event {
	e := ofRequest(ar, TypeCancelled, "cancelled", at)
	if ar.Spec.Cancellation != nil {
		e.Data.Reason = ar.Spec.Cancellation.Reason
	}
	e.Data.Seals = &Seals{Cancel: cancel.Sealed()}
	return e
}

// Withdrawn says that a request ended before anything was executed, and that no seal of a person says so: it was deleted, or cancelled while
// the webhooks were away. Code says which. Whose words stand in the request is not known, so they are not repeated.
func Withdrawn(ar *v1alpha1.ActionRequest, code, message string, at time.Time) Event {
	e := ofRequest(ar, TypeCancelled, "cancelled", at)
	e.Data.Code, e.Data.Message = code, message
	return e
}

// Stopping says of a cancellation that it came while something was executed, or lent. How that ended is another fact, so that this one has an id of
// its own.
func Stopping(cancelled Event) Event {
	cancelled.ID += "/while-executing"
	return cancelled
}

// RequestFailed says that a request ended before it started although its evidence holds and nobody said no: what it was about to do is no longer what
// people agreed to, or it could not be planned. Code is the reason of the condition.
func RequestFailed(ar *v1alpha1.ActionRequest, code, message string, at time.Time) Event {
	e := ofRequest(ar, TypeRequestFailed, "ended/"+code, at)
	e.Data.Code, e.Data.Message = code, message
	return e
}

// Repeated says that the same request was executed before, so that this one was not. Code is the reason of the condition.
func Repeated(ar *v1alpha1.ActionRequest, code, message string, at time.Time) Event {
	e := ofRequest(ar, TypeRepeated, "repeated", at)
	e.Data.Code, e.Data.Message = code, message
	return e
}

func ofRequest(ar *v1alpha1.ActionRequest, of, what string, at time.Time) Event {
	return Event{
		ID: string(ar.UID) + "/" + what, Type: of, Subject: ar.Namespace + "/" + ar.Name, Time: at,
		Data: Data{
			Request: &seal.Reference{Namespace: ar.Namespace, Name: ar.Name, UID: string(ar.UID)},
			Action:  &seal.Reference{Namespace: ar.Spec.ActionRef.Namespace, Name: ar.Spec.ActionRef.Name},
		},
	}
}

// Opened says that somebody is asked to agree, or to review.
func Opened(ap *v1alpha1.Approval, approval *seal.Envelope) Event {
	of := TypeStageOpened
	if ap.Spec.Review {
		of = TypeReviewOpened
	}
	e := ofApproval(ap, of, "opened", ap.Spec.Seal.At.Time)
	e.Data.Until = ap.Spec.ExpiresAt.UTC().Format(time.RFC3339)
	e.Data.Seals = &Seals{Approval: approval.Sealed()}
	return e
}

// Voted says that somebody voted. Number counts the votes from 0.
func Voted(ap *v1alpha1.Approval, number int, vote *seal.Envelope) Event {
	e := ofApproval(ap, TypeStageVoted, fmt.Sprintf("voted/%d", number), ap.Spec.Votes[number].At.Time)
	e.Data.Seals = &Seals{Vote: vote.Sealed()}
	return e
}

// Closed says how a stage or a review ended. A review that nobody did in time is overdue.
func Closed(ap *v1alpha1.Approval, at time.Time) Event {
	of, what := TypeStageClosed, "closed/"+strings.ToLower(string(ap.Status.State))
	switch {
	case ap.Spec.Review && ap.Status.State == v1alpha1.ApprovalExpired:
		of, what = TypeReviewOverdue, "overdue"
	case ap.Spec.Review:
		of, what = TypeReviewDone, "done"
	}
	e := ofApproval(ap, of, what, at)
	e.Data.State = string(ap.Status.State)
	return e
}

// Overdue says that nobody did a review in time. It stays open: it can still be done.
func Overdue(ap *v1alpha1.Approval) Event {
	return ofApproval(ap, TypeReviewOverdue, "overdue", ap.Spec.ExpiresAt.Time)
}

func ofApproval(ap *v1alpha1.Approval, of, what string, at time.Time) Event {
	spec := &ap.Spec
	return Event{
		ID: string(ap.UID) + "/" + what, Type: of, Subject: ap.Namespace + "/" + spec.RequestRef.Name, Time: at,
		Data: Data{
			Request:  &seal.Reference{Namespace: ap.Namespace, Name: spec.RequestRef.Name, UID: string(spec.RequestRef.UID)},
			Action:   &seal.Reference{Namespace: spec.ActionRef.Namespace, Name: spec.ActionRef.Name},
			Approval: &seal.Reference{Namespace: ap.Namespace, Name: ap.Name, UID: string(ap.UID)},
			Stage:    &seal.Stage{Name: spec.Stage.Name, Policy: spec.Stage.Policy},
			Digest:   spec.Digest,
		},
	}
}

// Started says that an execution began.
func Started(r *v1alpha1.Record, record *seal.Envelope) Event {
	e := ofRecord(r, TypeStarted, "started", r.Spec.ClaimedAt.Time)
	e.Data.Seals = &Seals{Record: record.Sealed()}
	return e
}

// Stepped says how far a step came.
func Stepped(r *v1alpha1.Record, step *v1alpha1.StepStatus, at time.Time) Event {
	what := "step/" + step.Name + "/" + strings.ToLower(string(step.State))
	if r.Spec.Purpose == v1alpha1.PurposePlan {
		what = strings.TrimPrefix(r.Name, string(r.Spec.RequestRef.UID)+"-") + "/" + what // a plan step can run again
	}
	e := ofRecord(r, TypeStep, what, at)
	e.Data.Step, e.Data.State, e.Data.Message = step.Name, string(step.State), step.Message
	return e
}

// Resolved says that somebody decided how a step ended of which nobody knew it.
func Resolved(ar *v1alpha1.ActionRequest, given *v1alpha1.Resolution, resolve *seal.Envelope) Event {
	what := "resolved/" + given.Step
	if given.Step == v1alpha1.StepRevert { // about what is left people may decide again
		what += fmt.Sprintf("/%d", given.Seal.At.UnixMilli())
	}
	e := ofRequest(ar, TypeResolved, what, given.Seal.At.Time)
	e.Data.Step, e.Data.State, e.Data.Reason = given.Step, string(given.Outcome), given.Comment
	e.Data.Seals = &Seals{Resolve: resolve.Sealed()}
	return e
}

// ActionEdited says that somebody made or changed an Action: the last of the edits.
func ActionEdited(action *v1alpha1.Action, edits seal.Edits, edit *seal.Envelope) Event {
	last := edits.List[len(edits.List)-1]
	said := &Edits{}
	if !edits.Since.IsZero() {
		said.Since = exactly(edits.Since)
	}
	for _, e := range edits.List {
		said.List = append(said.List, Edit{Username: e.Username, Person: e.Person, At: exactly(e.At), Digest: e.Spec})
	}
	return about(Event{
		ID: fmt.Sprintf("%s/edited/%d", action.UID, last.At.UnixMilli()), Type: TypeActionEdited, Time: last.At,
		Data: Data{Action: reference(action.Namespace, action.Name, action.UID), Edits: said, Seals: &Seals{Edit: edit.Sealed()}},
	})
}

// Delegated says that somebody lets others vote for them.
func Delegated(d *v1alpha1.Delegation, delegation *seal.Envelope) Event {
	said := &Delegation{Reference: *reference(d.Namespace, d.Name, d.UID), Users: inSealedOrder(d.Spec.To.Users), Actions: inSealedOrder(d.Spec.Actions)}
	if d.Spec.From != nil {
		said.From = exactly(d.Spec.From.Time)
	}
	return about(Event{
		ID: string(d.UID) + "/made", Type: TypeDelegated, Time: d.Spec.Seal.At.Time,
		Data: Data{Delegation: said, Until: exactly(d.Spec.Until.Time), Reason: d.Spec.Reason, Seals: &Seals{Delegation: delegation.Sealed()}},
	})
}

// about gives an event its subject.
func about(e Event) Event {
	e.Subject = e.Data.subject()
	return e
}

// exactly writes a time down to the fraction that was sealed.
func exactly(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// inSealedOrder gives a set in the order in which it was sealed.
func inSealedOrder(set []string) []string { return slices.Sorted(slices.Values(set)) }

// Finished says how an execution ended.
func Finished(r *v1alpha1.Record, record *seal.Envelope, at time.Time) Event {
	of := TypeFailed
	switch r.Status.Outcome {
	case v1alpha1.OutcomeSucceeded:
		of = TypeSucceeded
	case v1alpha1.OutcomeCancelled:
		of = TypeCancelled
	case v1alpha1.OutcomeReverted:
		of = TypeReverted
	default:
	}
	e := ofRecord(r, of, strings.ToLower(string(r.Status.Outcome)), at)
	e.Data.Message = r.Status.Message
	e.Data.Seals = &Seals{Record: record.Sealed()}
	return e
}

func ofRecord(r *v1alpha1.Record, of, what string, at time.Time) Event {
	ref := &r.Spec.RequestRef
	return Event{
		ID: string(ref.UID) + "/" + what, Type: of, Subject: ref.Namespace + "/" + ref.Name, Time: at,
		Data: Data{
			Request: reference(ref.Namespace, ref.Name, ref.UID),
			Action:  reference(r.Spec.ActionRef.Namespace, r.Spec.ActionRef.Name, ""),
			Digest:  r.Spec.Digest,
		},
	}
}

func reference(namespace, name string, uid types.UID) *seal.Reference {
	return &seal.Reference{Namespace: namespace, Name: name, UID: string(uid)}
}
