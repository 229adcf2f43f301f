package agent

import "github.com/signoff-dev/signoff/api/v1alpha1"

// Code says what an answer is. Codes are stable: one is never used for something else. They are those below, and the reasons that requests and
// refusals of Signoff have.
type Code string

const (
	// CodeOK says that here is what was asked for.
	CodeOK Code = "OK"
	// CodeWouldRun says that the request would run at once.
	CodeWouldRun Code = "WouldRun"
	// CodeWouldNeedApproval says that people would have to approve.
	CodeWouldNeedApproval Code = "WouldNeedApproval"
	// CodeWouldBeHeld says that the request would start later by itself.
	CodeWouldBeHeld Code = "WouldBeHeld"
	// CodeRequested says that the request was made.
	CodeRequested Code = "Requested"
	// CodeAlreadyRequested says that the request had been made before with this token and this content.
	CodeAlreadyRequested Code = "AlreadyRequested"
	// CodeCancelRecorded says that the request will end as cancelled.
	CodeCancelRecorded Code = "CancelRecorded"

	// CodeInvalidArgument says that an argument of the tool is wrong.
	CodeInvalidArgument Code = "InvalidArgument"
	// CodeTokenReused says that the token belongs to a request with another content.
	CodeTokenReused Code = "TokenReused"
	// CodeTokenTaken says that somebody else made an object where the request of this token would be.
	CodeTokenTaken Code = "TokenTaken"
	// CodeMayApprove says that this identity could approve requests, so that it is not served.
	CodeMayApprove Code = "MayApprove"
	// CodeForbidden says that Kubernetes does not permit this identity to do that.
	CodeForbidden Code = "Forbidden"
	// CodeUnauthenticated says that Kubernetes does not accept the credentials.
	CodeUnauthenticated Code = "Unauthenticated"
	// CodeNotFound says that there is no such object.
	CodeNotFound Code = "NotFound"
	// CodeNotInstalled says that the cluster has no Signoff.
	CodeNotInstalled Code = "NotInstalled"
	// CodeRefused says that the write was refused for a reason without a code of its own.
	CodeRefused Code = "Refused"
	// CodeUnavailable says that there was no answer, so that nobody knows.
	CodeUnavailable Code = "Unavailable"
)

// about is what a code means, and what to do then.
type about struct {
	code    Code
	meaning string
	advice  Advice
	after   int
}

// Seconds that are left before something is tried again.
const (
	soon   = 2
	minute = 60
)

// codes are all that there are, in the order in which they are documented.
var codes = []about{
	{CodeOK, "here is what was asked for", AdviceNone, 0},
	{CodeWouldRun, "the request would run at once", AdviceNone, 0},
	{CodeWouldNeedApproval, "people would have to approve the request", AdviceNone, 0},
	{CodeWouldBeHeld, "the request would be admitted, and start later by itself", AdviceNone, 0},
	{CodeRequested, "the request was made", AdviceWait, 0},
	{CodeAlreadyRequested, "the request had been made before with this token and this content; nothing was made now, and `retry` is that of what has become of it", AdviceWait, 0},
	{CodeCancelRecorded, "the cancellation is recorded; the request ends as soon as that is safe", AdviceWait, 0},

	{CodeInvalidArgument, "an argument of the tool is wrong; it is named", AdviceCorrect, 0},
	{CodeTokenReused, "the token belongs to a request with another content; take a new one for something new", AdviceCorrect, 0},
	{CodeTokenTaken, "somebody else made an object where the request of this token would be; look before you ask with another token", AdviceCorrect, 0},
	{CodeMayApprove, "this identity could approve requests, and such a one is not served", AdviceAskPerson, 0},
	{CodeForbidden, "Kubernetes does not permit this identity to do that", AdviceAskPerson, 0},
	{CodeUnauthenticated, "Kubernetes does not accept the credentials", AdviceAskPerson, 0},
	{CodeNotFound, "there is no such object, or you have mistyped its name", AdviceCorrect, 0},
	{CodeNotInstalled, "the cluster has no Signoff", AdviceAskPerson, 0},
	{CodeRefused, "the write was refused for a reason without a code of its own; it is in data", AdviceAskPerson, 0},
	{CodeUnavailable, "there was no answer; a request with a token can be repeated without risk", AdviceLater, soon},

	{v1alpha1.ReasonInvalid, "something that was asked for is not valid; it is named", AdviceCorrect, 0},
	{v1alpha1.ReasonNotAuthorized, "no Role lets this identity ask for that, or not with these inputs", AdviceAskPerson, 0},
	{v1alpha1.ReasonDeniedByRule, "a rule of the Action or of a policy denies it", AdviceCorrect, 0},
	{v1alpha1.ReasonActionUnavailable, "there is no such Action, or it is not valid", AdviceCorrect, 0},
	{v1alpha1.ReasonFactsUnavailable, "a fact could not be read, so that nothing can be decided", AdviceLater, minute},
	{v1alpha1.ReasonIndeterminate, "a rule could not be judged, so that nothing can be decided", AdviceAskPerson, 0},
	{v1alpha1.ReasonTooManyOpen, "this identity has too many requests that are not over", AdviceLater, minute},
	{v1alpha1.ReasonUnsatisfiable, "fewer people are able to approve than must", AdviceAskPerson, 0},

	{v1alpha1.ReasonPending, "it has not been planned yet", AdviceWait, 0},
	{v1alpha1.ReasonPlanning, "the plan of the Action is being made, before anybody is asked", AdviceWait, 0},
	{v1alpha1.ReasonAwaitingApproval, "people must still approve", AdviceWait, 0},
	{v1alpha1.ReasonPlanChanged, "what would be done changed, and people must approve again", AdviceWait, 0},
	{v1alpha1.ReasonDrifted, "what would be changed has changed, and people must approve again", AdviceWait, 0},
	{v1alpha1.ReasonApproved, "everybody who must approve has; it starts", AdviceWait, 0},
	{v1alpha1.ReasonHeld, "a rule delays the start", AdviceWait, 0},
	{v1alpha1.ReasonDelayed, "the Action leaves a while in which it can still be cancelled", AdviceWait, 0},
	{v1alpha1.ReasonQueued, "another request executes on the same object", AdviceWait, 0},
	{v1alpha1.ReasonGuardMissing, "what protects requests from forgery is not in force, so that nothing starts", AdviceAskPerson, 0},
	{v1alpha1.ReasonKeyLost, "a key of Signoff is gone, so that nothing starts", AdviceAskPerson, 0},
	{v1alpha1.ReasonCannotSeal, "Signoff cannot seal at the moment", AdviceLater, soon},
	{v1alpha1.ReasonAuditUnavailable, "the audit log takes nothing at the moment, so that nothing starts", AdviceWait, 0},
	{v1alpha1.ReasonCannotImpersonate, "Signoff may not act as the ServiceAccount of the Action", AdviceAskPerson, 0},
	{v1alpha1.ReasonExecuting, "steps are running", AdviceWait, 0},
	{v1alpha1.ReasonOutcomeUnknown, "nobody knows whether a step was done; a person must look and decide", AdviceAskPerson, 0},
	{v1alpha1.ReasonActive, "all steps are done, and it is in force until `activeUntil`; use it, and cancel it when you are done", AdviceNone, 0},
	{v1alpha1.ReasonReverting, "what was done is being taken back", AdviceWait, 0},
	{v1alpha1.ReasonRevertFailed, "something could not be taken back yet; it is tried again", AdviceWait, 0},

	{v1alpha1.ReasonSucceeded, "it ended: all steps are done", AdviceNone, 0},
	{v1alpha1.ReasonReverted, "it ended: what was done is gone again", AdviceNone, 0},
	{v1alpha1.ReasonAlreadyExecuted, "it ended as the same request did that was there before; nothing was done now", AdviceNone, 0},
	{v1alpha1.ReasonPlanFailed, "it ended: its plan could not be made, and nothing was done", AdviceAskPerson, 0},
	{v1alpha1.ReasonFailed, "it ended: a step failed, and earlier steps may have acted", AdviceAskPerson, 0},
	{v1alpha1.ReasonDenied, "it ended: a person said no; do not ask for the same again", AdviceAskPerson, 0},
	{v1alpha1.ReasonExpired, "it ended: time ran out before it could start", AdviceAskPerson, 0},
	{v1alpha1.ReasonCancelled, "it ended: somebody cancelled it", AdviceNone, 0},
	{v1alpha1.ReasonNotStamped, "it ended: it was stored without Signoff's webhook and never runs", AdviceAskPerson, 0},
	{v1alpha1.ReasonSealInvalid, "it ended: its seal does not fit", AdviceAskPerson, 0},
	{v1alpha1.ReasonReplayed, "it ended: it is a copy, or was restored, and never runs", AdviceAskPerson, 0},
	{v1alpha1.ReasonEvidenceLost, "it ended: votes or Approvals that were there are gone", AdviceAskPerson, 0},
}

// retry is what to do with an answer of this code. A reason of a newer version is for a person.
func (c Code) retry() Retry {
	if known := c.about(); known != nil {
		return Retry{Advice: known.advice, AfterSeconds: known.after}
	}
	return Retry{Advice: AdviceAskPerson}
}

func (c Code) about() *about {
	for i := range codes {
		if codes[i].code == c {
			return &codes[i]
		}
	}
	return nil
}

// Meaning is what a code says, in a few words.
func (c Code) Meaning() string {
	if known := c.about(); known != nil {
		return known.meaning
	}
	return "this version of the server does not know it"
}
