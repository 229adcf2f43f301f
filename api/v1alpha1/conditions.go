package v1alpha1

// Types of conditions. All but Stalled have positive polarity; Stalled is what kstatus, and so Flux, reads as failure.
const (
	// ConditionReady is True once what the object asks for holds: a request has succeeded, an Approval is approved, an
	// Action can be requested and executed, a Role, Calendar or ActionPolicy is in force.
	ConditionReady = "Ready"
	// ConditionFinished is True on a request in every final state. It is the one to wait for.
	ConditionFinished = "Finished"
	// ConditionStalled is True on a request that ended without success, and on one that waits because nobody knows how a step ended. Absent
	// otherwise.
	ConditionStalled = "Stalled"
	// ConditionReverted is False on a temporary request that ended although what it has done may be left, which it names. Absent otherwise.
	ConditionReverted = "Reverted"
	// ConditionAuthorized is True while the requester may ask for the Action and no rule denies it.
	ConditionAuthorized = "Authorized"
	// ConditionApproved is True once everybody who must agree has agreed.
	ConditionApproved = "Approved"
	// ConditionExecuted is True once all steps are done.
	ConditionExecuted = "Executed"
	// ConditionReviewed is True once somebody else has agreed to what was done in an emergency. Absent on a request that did not break
	// the glass.
	ConditionReviewed = "Reviewed"
)

// Reasons of conditions, and reason codes of refusals.
const (
	// ReasonPending says that the request has not been planned yet, or that a Delegation has not begun.
	ReasonPending = "Pending"
	// ReasonAllowed says that the rules let the request run without approval.
	ReasonAllowed = "Allowed"
	// ReasonNotRequired says that nobody has to agree.
	ReasonNotRequired = "NotRequired"
	// ReasonAwaitingApproval says that somebody must still agree.
	ReasonAwaitingApproval = "AwaitingApproval"
	// ReasonApproved says that everybody who must agree has agreed.
	ReasonApproved = "Approved"
	// ReasonUnsatisfiable says that fewer people are able to agree than must.
	ReasonUnsatisfiable = "Unsatisfiable"
	// ReasonPlanChanged says that what will be executed changed, so that earlier votes no longer count.
	ReasonPlanChanged = "PlanChanged"
	// ReasonPlanning says that the plan steps of the Action run, before anybody is asked.
	ReasonPlanning = "Planning"
	// ReasonPlanFailed says that a plan step failed, so that nobody can be shown what they would agree to.
	ReasonPlanFailed = "PlanFailed"
	// ReasonDrifted says that something has changed, since people agreed, that would be changed.
	ReasonDrifted = "Drifted"
	// ReasonHeld says that a rule or notBefore delays the start.
	ReasonHeld = "Held"
	// ReasonQueued says that another request executes on an object that this one would write.
	ReasonQueued = "Queued"
	// ReasonDelayed says that the Action leaves a while in which the request can still be cancelled.
	ReasonDelayed = "Delayed"
	// ReasonDeniedByRule says that a rule denies what was admitted earlier; it is judged again until the request expires.
	ReasonDeniedByRule = "DeniedByPolicy"
	// ReasonNotAuthorized says that no Role lets the requester ask any more.
	ReasonNotAuthorized = "NotAuthorized"
	// ReasonFactsUnavailable says that a fact could not be read, so that nothing can be decided.
	ReasonFactsUnavailable = "FactsUnavailable"
	// ReasonIndeterminate says that a rule could not be evaluated, so that nothing can be decided.
	ReasonIndeterminate = "Indeterminate"
	// ReasonActionUnavailable says that the Action is missing or not valid.
	ReasonActionUnavailable = "ActionUnavailable"
	// ReasonGuardMissing says that what protects requests and votes from forgery is not in force, so that nothing is started.
	ReasonGuardMissing = "GuardMissing"
	// ReasonExecuting says that steps are running.
	ReasonExecuting = "Executing"
	// ReasonOutcomeUnknown says that nobody knows whether a step was done, so that somebody who holds the verb resolve must decide.
	ReasonOutcomeUnknown = "OutcomeUnknown"
	// ReasonResolved says, in an Event, that somebody decided how a step ended.
	ReasonResolved = "Resolved"
	// ReasonNothingToResolve refuses a decision about a step of which it is known how far it is.
	ReasonNothingToResolve = "NothingToResolve"
	// ReasonSucceeded says that all steps are done.
	ReasonSucceeded = "Succeeded"
	// ReasonActive says that all steps of a temporary request are done, and that its time is not over.
	ReasonActive = "Active"
	// ReasonReverting says that what a temporary request has done is being taken back.
	ReasonReverting = "Reverting"
	// ReasonRevertFailed says that something of it could not be taken back yet. It is tried again until it is gone.
	ReasonRevertFailed = "RevertFailed"
	// ReasonReverted says that what a temporary request had done is gone.
	ReasonReverted = "Reverted"
	// ReasonFailed says that a step failed.
	ReasonFailed = "Failed"
	// ReasonAlreadyExecuted says that the same request was executed before, so that this one got its end.
	ReasonAlreadyExecuted = "AlreadyExecuted"
	// ReasonDenied says that an approver said no.
	ReasonDenied = "Denied"
	// ReasonExpired says that time ran out.
	ReasonExpired = "Expired"
	// ReasonCancelled says that somebody cancelled.
	ReasonCancelled = "Cancelled"
	// ReasonTooManyOpen says that the requester has too many requests that are not over.
	ReasonTooManyOpen = "TooManyOpen"
	// ReasonTooManyDryRuns says that somebody makes so many dry runs that this one was not judged.
	ReasonTooManyDryRuns = "TooManyDryRuns"
	// ReasonNotStamped says that the request was stored without the admission webhook. It will never run.
	ReasonNotStamped = "NotStamped"
	// ReasonSealInvalid says that something was changed or made without Signoff, so that its seal does not fit. It never counts.
	ReasonSealInvalid = "SealInvalid"
	// ReasonReplayed says that a request is a copy, or was restored. It will never run.
	ReasonReplayed = "Replayed"
	// ReasonEvidenceLost says that votes or Approvals that were there are gone. The request ends.
	ReasonEvidenceLost = "EvidenceLost"
	// ReasonCannotSeal says that there is no key to seal with at the moment.
	ReasonCannotSeal = "CannotSeal"
	// ReasonKeyLost says that a key is gone, so that nothing is sealed or executed before a person brings it back or asks for a new one.
	ReasonKeyLost = "KeyLost"
	// ReasonAuditUnavailable says that the audit log takes nothing at the moment, so that the request neither starts nor ends.
	ReasonAuditUnavailable = "AuditUnavailable"
	// ReasonSuperseded says that the request ended, or that something else is now to be agreed to.
	ReasonSuperseded = "Superseded"
	// ReasonReady says that the object can be used.
	ReasonReady = "Ready"
	// ReasonInvalid says that the object does not compile, so that it is not in force.
	ReasonInvalid = "Invalid"
	// ReasonCannotImpersonate says that the operator may not act as the ServiceAccount that the Action names.
	ReasonCannotImpersonate = "CannotImpersonate"
	// ReasonParentMissing says that a Team is in force, but that the Team that it names as its parent does not exist.
	ReasonParentMissing = "ParentMissing"
	// ReasonInheritedMissing says that a Role is in force, but that a Role that it inherits is missing or not valid.
	ReasonInheritedMissing = "InheritedMissing"
	// ReasonCalendarMissing says that an Action or a policy names a Calendar that does not exist or is not valid.
	ReasonCalendarMissing = "CalendarMissing"
	// ReasonHostNotAllowed says that a Notifier is in force, but that the configuration of Signoff does not allow the host of a channel, so that
	// nothing goes by it.
	ReasonHostNotAllowed = "HostNotAllowed"
	// ReasonSelfApproval refuses the vote of the requester, or of the person behind the requester.
	ReasonSelfApproval = "SelfApproval"
	// ReasonNotAnApprover refuses the vote of somebody whom the stage does not name, or who lacks the verb approve.
	ReasonNotAnApprover = "NotAnApprover"
	// ReasonStaleVote refuses a vote on a digest that is not that of the Approval.
	ReasonStaleVote = "StaleVote"
	// ReasonNotIndependent refuses a vote by somebody who had a hand in what is asked for.
	ReasonNotIndependent = "NotIndependent"
	// ReasonAlreadyDecided refuses a vote on a closed Approval.
	ReasonAlreadyDecided = "AlreadyDecided"
	// ReasonVerdictChanged says that the rules give another answer than before.
	ReasonVerdictChanged = "VerdictChanged"
	// ReasonBreakGlass says that the requester passed rules in an emergency.
	ReasonBreakGlass = "BreakGlass"
	// ReasonAwaitingReview says that what was done in an emergency must still be reviewed.
	ReasonAwaitingReview = "AwaitingReview"
	// ReasonReviewed says that a reviewer agreed to what was done in an emergency.
	ReasonReviewed = "Reviewed"
	// ReasonReviewDenied says that a reviewer did not agree to what was done in an emergency.
	ReasonReviewDenied = "ReviewDenied"
	// ReasonReminder says, in an Event, that an Approval has been open for some time.
	ReasonReminder = "Reminder"
	// ReasonEscalated says, in an Event, that nobody has decided for some time, so that further people may agree.
	ReasonEscalated = "Escalated"
	// ReasonReviewOverdue says that nobody reviewed in time what was done in an emergency.
	ReasonReviewOverdue = "ReviewOverdue"
)
