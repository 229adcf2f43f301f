package audit

import (
	"errors"
	"fmt"
	"strings"
)

// Types of events.
const (
	// TypeRequested says that a request was adopted.
	TypeRequested = "dev.signoff.request.requested.v1"
	// TypeRejected says that a request was found that will never be acted on: its evidence does not hold.
	TypeRejected = "dev.signoff.request.rejected.v1"
	// TypeDenied says that an approver said no.
	TypeDenied = "dev.signoff.request.denied.v1"
	// TypeExpired says that time ran out.
	TypeExpired = "dev.signoff.request.expired.v1"
	// TypeCancelled says that somebody cancelled, or that what was executed was stopped for it.
	TypeCancelled = "dev.signoff.request.cancelled.v1"
	// TypeRepeated says that the same request was executed before, so that this one was not.
	TypeRepeated = "dev.signoff.request.repeated.v1"
	// TypeRequestFailed says that a request ended before it started, for a reason that is nobody's decision and no want of evidence.
	TypeRequestFailed = "dev.signoff.request.failed.v1"
	// TypeStageOpened says that somebody is asked to agree.
	TypeStageOpened = "dev.signoff.stage.opened.v1"
	// TypeStageVoted says that somebody voted.
	TypeStageVoted = "dev.signoff.stage.voted.v1"
	// TypeStageClosed says how a stage ended.
	TypeStageClosed = "dev.signoff.stage.closed.v1"
	// TypeStarted says that an execution began.
	TypeStarted = "dev.signoff.execution.started.v1"
	// TypeStep says how far a step came.
	TypeStep = "dev.signoff.execution.step.v1"
	// TypeResolved says that somebody decided how a step ended of which nobody knew it.
	TypeResolved = "dev.signoff.execution.resolved.v1"
	// TypeSucceeded says that all steps are done.
	TypeSucceeded = "dev.signoff.execution.succeeded.v1"
	// TypeReverted says that all steps were done, and that what they did is taken back.
	TypeReverted = "dev.signoff.execution.reverted.v1"
	// TypeFailed says that a step failed.
	TypeFailed = "dev.signoff.execution.failed.v1"
	// TypeReviewOpened says that somebody must review what was done in an emergency.
	TypeReviewOpened = "dev.signoff.review.opened.v1"
	// TypeReviewOverdue says that nobody did in time.
	TypeReviewOverdue = "dev.signoff.review.overdue.v1"
	// TypeReviewDone says how the review ended.
	TypeReviewDone = "dev.signoff.review.done.v1"
	// TypeActionEdited says that somebody made or changed an Action.
	TypeActionEdited = "dev.signoff.action.edited.v1"
	// TypeDelegated says that somebody lets others vote for them.
	TypeDelegated = "dev.signoff.delegation.made.v1"
	// TypeLogStarted begins a log.
	TypeLogStarted = "dev.signoff.audit.started.v1"
	// TypeLogResumed says that another process goes on with a log.
	TypeLogResumed = "dev.signoff.audit.resumed.v1"
	// TypeCheckpoint signs all lines before it.
	TypeCheckpoint = "dev.signoff.audit.checkpoint.v1"
)

// logPrefix begins the types of events that are about the log itself.
const logPrefix = "dev.signoff.audit."

// member is a part of the data that an event of some type needs.
type member struct {
	name string
	has  func(*Data) bool
}

var (
	hasRequest = member{"request", func(d *Data) bool {
		return d.Request != nil && d.Request.UID != "" && d.Request.Name != "" && d.Request.Namespace != ""
	}}
	hasAction   = member{"action", func(d *Data) bool { return d.Action != nil && d.Action.Name != "" && d.Action.Namespace != "" }}
	hasApproval = member{"approval", func(d *Data) bool { return d.Approval != nil && d.Approval.UID != "" }}
	hasStage    = member{"stage", func(d *Data) bool { return d.Stage != nil && d.Stage.Name != "" }}
	hasDigest   = member{"digest", func(d *Data) bool { return d.Digest != "" }}
	hasState    = member{"state", func(d *Data) bool { return d.State != "" }}
	hasStep     = member{"step", func(d *Data) bool { return d.Step != "" }}
	hasCode     = member{"code", func(d *Data) bool { return d.Code != "" }}
	hasUntil    = member{"until", func(d *Data) bool { return d.Until != "" }}
	hasLog      = member{"log", func(d *Data) bool { return d.Log != nil }}
	hasEdits    = member{"edits", func(d *Data) bool { return d.Edits != nil && len(d.Edits.List) > 0 }}

	hasDelegation = member{"delegation", func(d *Data) bool {
		return d.Delegation != nil && d.Delegation.UID != "" && d.Delegation.Name != "" && d.Delegation.Namespace != "" && len(d.Delegation.Users) > 0
	}}

	sealedRequest    = member{"seals.request", func(d *Data) bool { return d.Seals != nil && d.Seals.Request != nil }}
	sealedAdoption   = member{"seals.adoption", func(d *Data) bool { return d.Seals != nil && d.Seals.Adoption != nil }}
	sealedApproval   = member{"seals.approval", func(d *Data) bool { return d.Seals != nil && d.Seals.Approval != nil }}
	sealedVote       = member{"seals.vote", func(d *Data) bool { return d.Seals != nil && d.Seals.Vote != nil }}
	sealedResolve    = member{"seals.resolve", func(d *Data) bool { return d.Seals != nil && d.Seals.Resolve != nil }}
	sealedEdit       = member{"seals.edit", func(d *Data) bool { return d.Seals != nil && d.Seals.Edit != nil }}
	sealedDelegation = member{"seals.delegation", func(d *Data) bool { return d.Seals != nil && d.Seals.Delegation != nil }}
	sealedRecord     = member{"seals.record", func(d *Data) bool { return d.Seals != nil && d.Seals.Record != nil }}
	sealedCheckpoint = member{"seals.checkpoint", func(d *Data) bool { return d.Seals != nil && d.Seals.Checkpoint != nil }}
	endedBy          = member{"seals.cancel or seals.record or code", func(d *Data) bool { return d.Code != "" || d.sealedEnd() }}
)

// needs are the parts of the data that each type needs. What somebody did needs the seal that proves it.
var needs = map[string][]member{
	TypeRequested:     {hasRequest, hasAction, sealedRequest, sealedAdoption},
	TypeRejected:      {hasRequest, hasCode},
	TypeDenied:        {hasRequest, hasAction},
	TypeExpired:       {hasRequest, hasAction},
	TypeCancelled:     {hasRequest, hasAction, endedBy},
	TypeRepeated:      {hasRequest, hasAction, hasCode},
	TypeRequestFailed: {hasRequest, hasAction, hasCode},
	TypeStageOpened:   {hasRequest, hasAction, hasApproval, hasStage, hasDigest, hasUntil, sealedApproval},
	TypeStageVoted:    {hasRequest, hasAction, hasApproval, hasStage, hasDigest, sealedVote},
	TypeStageClosed:   {hasRequest, hasAction, hasApproval, hasStage, hasDigest, hasState},
	TypeStarted:       {hasRequest, hasAction, hasDigest, sealedRecord},
	TypeStep:          {hasRequest, hasAction, hasDigest, hasStep, hasState},
	TypeResolved:      {hasRequest, hasAction, hasStep, hasState, sealedResolve},
	TypeReverted:      {hasRequest, hasAction, hasDigest, sealedRecord},
	TypeSucceeded:     {hasRequest, hasAction, hasDigest, sealedRecord},
	TypeFailed:        {hasRequest, hasAction, hasDigest, sealedRecord},
	TypeReviewOpened:  {hasRequest, hasAction, hasApproval, hasStage, hasDigest, hasUntil, sealedApproval},
	TypeReviewOverdue: {hasRequest, hasAction, hasApproval, hasStage, hasDigest},
	TypeReviewDone:    {hasRequest, hasAction, hasApproval, hasStage, hasDigest, hasState},
	TypeActionEdited:  {hasAction, hasEdits, sealedEdit},
	TypeDelegated:     {hasDelegation, hasUntil, sealedDelegation},
	TypeLogStarted:    {},
	TypeLogResumed:    {hasLog},
	TypeCheckpoint:    {sealedCheckpoint},
}

// sealedEnd tells whether a seal proves that something was cancelled.
func (d *Data) sealedEnd() bool {
	return d.Seals != nil && (d.Seals.Cancel != nil || d.Seals.Record != nil)
}

// check finds what the data lacks.
func (d *Data) check(of string) error {
	var lacks []string
	for _, m := range needs[of] {
		if !m.has(d) {
			lacks = append(lacks, m.name)
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("it lacks %s", strings.Join(lacks, ", "))
	}
	switch {
	case of == TypeCancelled && d.Reason != "" && !d.sealedEnd():
		return errors.New("it has words that nobody sealed")
	case d.Log != nil && !strings.HasPrefix(of, logPrefix):
		return errors.New("it is not about the log")
	case of == TypeCheckpoint:
		return d.onlySigned()
	}
	return d.onlySealed(of)
}

// onlySealed finds what a fact that is no request's says beside what was sealed: nothing else of it could be proved.
func (d *Data) onlySealed(of string) error {
	var sealed Data
	var by Seals
	switch of {
	case TypeDelegated:
		sealed, by = Data{Delegation: d.Delegation, Until: d.Until, Reason: d.Reason, Seals: d.Seals}, Seals{Delegation: d.Seals.Delegation}
	case TypeActionEdited:
		sealed, by = Data{Action: d.Action, Edits: d.Edits, Seals: d.Seals}, Seals{Edit: d.Seals.Edit}
	default:
		return nil
	}
	if *d != sealed || *d.Seals != by {
		return errors.New("it says more than was sealed")
	}
	return nil
}

// onlySigned finds what a checkpoint says beside its seal.
func (d *Data) onlySigned() error {
	if (*d != Data{Seals: d.Seals} || *d.Seals != Seals{Checkpoint: d.Seals.Checkpoint}) {
		return errors.New("it says more than a checkpoint")
	}
	return nil
}
