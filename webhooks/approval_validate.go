package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/record"
)

// clockSkew bounds how far the time of a vote may be from the time of its validation.
const clockSkew = time.Minute

// validate judges the final object, whatever other webhooks made of it.
func (w *approvals) validate(ctx context.Context, req admission.Request, next, old *v1alpha1.Approval) admission.Response {
	if req.SubResource != "" {
		return w.operatorOnly(&req, "the "+req.SubResource+" of an Approval")
	}
	if req.Operation == admissionv1.Create {
		return w.operatorOnly(&req, "an Approval")
	}
	if req.Operation == admissionv1.Delete {
		return w.remove(ctx, &req, old)
	}
	if refused := w.metadata(ctx, &req, next, old); refused != nil {
		return *refused
	}
	if apiequality.Semantic.DeepEqual(next.Spec, old.Spec) {
		return admission.Allowed("")
	}
	return w.vote(ctx, &req, next, old)
}

// metadata refuses changes of what Signoff put on an Approval. When its request goes, the Approval may be kept without an owner.
func (w *approvals) metadata(ctx context.Context, req *admission.Request, next, old *v1alpha1.Approval) *admission.Response {
	if w.isOperator(req) {
		return nil
	}
	errs := append(ownMetadata(next, old), tooManyNotes(next.Annotations, old.Annotations)...)
	if len(errs) == 0 {
		return nil
	}
	kept := next.DeepCopy()
	kept.OwnerReferences = old.OwnerReferences
	if len(next.OwnerReferences) == 0 && len(ownMetadata(kept, old)) == 0 {
		if allowed, err := w.mayGo(ctx, old); err == nil && allowed {
			return nil
		}
	}
	return ptr(invalid(req, old.Name, errs))
}

// vote checks that the update adds exactly one vote by exactly the caller, and that the caller may vote.
func (w *approvals) vote(ctx context.Context, req *admission.Request, next, old *v1alpha1.Approval) admission.Response {
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused != nil {
		return *refused
	}
	now := w.Clock.Now()
	vote, err := addedVote(next, old, &caller, now)
	if err != nil {
		return invalid(req, old.Name, field.ErrorList{err})
	}
	if refused := w.decided(ctx, old, now); refused != nil {
		return *refused
	}
	if vote.Decision == v1alpha1.DecisionDeny && old.Spec.CommentOnDeny != v1alpha1.CommentOptional && strings.TrimSpace(vote.Comment) == "" {
		return invalid(req, old.Name, field.ErrorList{field.Required(field.NewPath("spec", "vote", "comment"),
			"say why: the requester will read it")})
	}
	if refused := w.fits(ctx, next, old, vote, &caller); refused != nil {
		return *refused
	}
	judgement, problem := w.judge(ctx, old, now)
	if problem != nil {
		return *refusal(problem)
	}
	if refused := w.eligible(ctx, judgement, old, vote); refused != nil {
		return *refused
	}
	if refused := w.sealed(req, next, vote); refused != nil {
		return *refused
	}
	return admission.Allowed("").WithWarnings(w.recorded(ctx, tenseOf(req), judgement, next, vote))
}

// eligible refuses whoever may not vote. A vote that still counts can be taken back by who gave it, whatever has become of their rights since.
func (w *approvals) eligible(ctx context.Context, judgement *gate.Judgement, old *v1alpha1.Approval, vote *v1alpha1.Vote) *admission.Response {
	if w.takesBack(ctx, old, vote) {
		return nil
	}
	eligible := w.Gate.EligibleAs(ctx, judgement, gate.PollOf(old), vote)
	if eligible.Problem == nil {
		return nil
	}
	return refusal(w.Gate.NorInstead(ctx, judgement, gate.PollOf(old), vote, eligible.Problem))
}

// takesBack tells of a vote by which the same login takes back what it agreed to. A denial is taken back by who could still give it.
func (w *approvals) takesBack(ctx context.Context, old *v1alpha1.Approval, vote *v1alpha1.Vote) bool {
	if vote.Decision != v1alpha1.DecisionWithdraw || vote.Delegation != nil {
		return false
	}
	given := w.standing(ctx, old, &vote.Voter)
	return given != nil && given.Decision == v1alpha1.DecisionApprove && given.Delegation == nil && given.Voter.Username == vote.Voter.Username
}

// sealed tells whether the vote that was added is what was sealed, and continues those before.
func (w *approvals) sealed(req *admission.Request, next *v1alpha1.Approval, vote *v1alpha1.Vote) *admission.Response {
	if isDryRun(req) {
		if vote.Seal != "" {
			return ptr(forbidden(v1alpha1.ReasonNotStamped, "a dry run is never sealed, and another webhook put a seal on the vote"))
		}
		return nil
	}
	if _, err := w.Evidence.Approval(next); err != nil {
		return ptr(uncounted(next, err))
	}
	return nil
}

// addedVote gives the one vote that an update adds, or says what else it does.
func addedVote(next, old *v1alpha1.Approval, caller *v1alpha1.Identity, now time.Time) (*v1alpha1.Vote, *field.Error) {
	path := field.NewPath("spec")
	expected := old.Spec.DeepCopy()
	if len(next.Spec.Votes) != len(old.Spec.Votes)+1 {
		return nil, field.Forbidden(path, "only spec.vote can be written: it becomes one vote, yours")
	}
	vote := &next.Spec.Votes[len(next.Spec.Votes)-1]
	expected.Votes = append(expected.Votes, *vote)
	if !apiequality.Semantic.DeepEqual(next.Spec, *expected) {
		return nil, field.Forbidden(path, "only spec.vote can be written; everything else is what you vote on")
	}
	at := path.Child("votes").Index(len(old.Spec.Votes))
	skew := vote.At.Sub(now).Abs()
	if !apiequality.Semantic.DeepEqual(vote.Voter, *caller) || vote.Digest != old.Spec.Digest || skew > clockSkew {
		return nil, field.Forbidden(at, "votes are added by Signoff only: write spec.vote, and it becomes yours")
	}
	return vote, nil
}

// over tells whether nothing more can be decided on an Approval. A review that is overdue must still be done.
func over(approval *v1alpha1.Approval, now time.Time) bool {
	if isOpen(approval) {
		return !approval.Spec.Review && !now.Before(approval.Spec.ExpiresAt.Time)
	}
	return true
}

func isOpen(approval *v1alpha1.Approval) bool {
	return approval.Status.State == v1alpha1.ApprovalOpen || approval.Status.State == ""
}

// decided refuses votes on what is over.
func (w *approvals) decided(ctx context.Context, old *v1alpha1.Approval, now time.Time) *admission.Response {
	switch {
	case !over(old, now):
		return nil
	case isOpen(old):
		return ptr(forbidden(v1alpha1.ReasonAlreadyDecided, fmt.Sprintf("stage %q expired %s. Nothing more can be decided here.%s",
			old.Spec.Stage.Name, gate.Time(old.Spec.ExpiresAt.Time, now), askAgain(old))))
	case w.replaced(ctx, old):
		return ptr(forbidden(v1alpha1.ReasonStaleVote, fmt.Sprintf("this changed since you looked, and stage %q is closed: %s\n  Nothing more can be decided here.%s",
			old.Spec.Stage.Name, strings.Join(old.Status.Decided, "\n  "), askAgain(old))))
	}
	what := strings.ToLower(string(old.Status.State))
	if len(old.Status.Decided) > 0 {
		what = old.Status.Decided[len(old.Status.Decided)-1]
	}
	return ptr(forbidden(v1alpha1.ReasonAlreadyDecided, fmt.Sprintf("stage %q is closed: %s. Nothing more can be decided here.%s", old.Spec.Stage.Name, strings.TrimSuffix(what, "."), askAgain(old))))
}

// replaced tells whether something else is to be agreed to by now, or nothing any more: the request still waits.
func (w *approvals) replaced(ctx context.Context, old *v1alpha1.Approval) bool {
	request := &v1alpha1.ActionRequest{}
	key := types.NamespacedName{Namespace: old.Namespace, Name: old.Spec.RequestRef.Name}
	if old.Status.State != v1alpha1.ApprovalSuperseded || w.Requests.Get(ctx, key, request) != nil || request.UID != old.Spec.RequestRef.UID {
		return false
	}
	return request.Status.Outcome == "" && request.Status.Execution == nil && request.Spec.Cancellation == nil && request.DeletionTimestamp == nil
}

// askAgain is what can be done about something that was not approved. What is reviewed has run; what was replaced has a successor, or needs none.
func askAgain(approval *v1alpha1.Approval) string {
	if approval.Status.State == v1alpha1.ApprovalSuperseded {
		return fmt.Sprintf(" See what is to be decided now: kubectl get approvals -n %s", approval.Namespace)
	}
	if approval.Spec.Review {
		return ""
	}
	if state := approval.Status.State; state == v1alpha1.ApprovalApproved || state == v1alpha1.ApprovalOpen || state == "" {
		// Whoever agreed in time has agreed, also where it has not been counted yet.
		return " To stop the request, cancel it: " + gate.CancelCommand(approval.Namespace, approval.Spec.RequestRef.Name, "…")
	}
	return " The requester can ask again."
}

// judge judges the request of an Approval as it is now, which gives the facts that conditions of Roles read.
func (w *approvals) judge(ctx context.Context, approval *v1alpha1.Approval, now time.Time) (*gate.Judgement, *gate.Problem) {
	request, err := w.requestOf(ctx, approval)
	switch {
	case apierrors.IsNotFound(err):
		return nil, &gate.Problem{Reason: v1alpha1.ReasonAlreadyDecided, Message: fmt.Sprintf("the request %s is over or gone. Nothing more can be decided here.", approval.Spec.RequestRef.Name)}
	case err != nil:
		return nil, &gate.Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: true, Message: fmt.Sprintf("cannot read the request: %v. Try again.", err)}
	case approval.Spec.Review:
	case request.Status.Execution != nil:
		return nil, &gate.Problem{Reason: v1alpha1.ReasonAlreadyDecided, Message: fmt.Sprintf("the request %s has started. Nothing more can be decided here. To stop it, cancel it.", request.Name)}
	case request.Spec.Cancellation != nil || request.DeletionTimestamp != nil:
		return nil, &gate.Problem{Reason: v1alpha1.ReasonAlreadyDecided, Message: fmt.Sprintf("the request %s was cancelled or deleted. Nothing more can be decided here.", request.Name)}
	}
	if approval.Spec.Review {
		return w.Gate.ReviewContext(ctx, gate.SubjectOf(request), now)
	}
	return w.Gate.Context(ctx, gate.SubjectOf(request), now)
}

// requestOf reads the request of an Approval, which is there as long as something can be decided. The cache holds none that is over, and one that was
// just made may not be there yet: what it does not hold is read from the API server. A review outlasts its request: it is not read from the cache at
// all, and where the request is gone, the Record says what it was.
func (w *approvals) requestOf(ctx context.Context, approval *v1alpha1.Approval) (*v1alpha1.ActionRequest, error) {
	key, uid := types.NamespacedName{Namespace: approval.Namespace, Name: approval.Spec.RequestRef.Name}, approval.Spec.RequestRef.UID
	known := &v1alpha1.ActionRequest{}
	if !approval.Spec.Review && w.Requests.Get(ctx, key, known) == nil && known.UID == uid {
		return known, nil
	}
	request := &v1alpha1.ActionRequest{}
	err := w.Reader.Get(ctx, key, request)
	if err == nil && (request.UID != uid || !approval.Spec.Review && request.Status.Outcome != "") {
		err = apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("actionrequests").GroupResource(), key.Name)
	}
	if !apierrors.IsNotFound(err) || !w.outlives(approval) {
		return request, err
	}
	found, err := w.recordOf(ctx, approval)
	if err != nil {
		return nil, err
	}
	return record.RequestOf(found), nil
}

// recordOf reads the Record of the request of an Approval.
func (w *approvals) recordOf(ctx context.Context, approval *v1alpha1.Approval) (*v1alpha1.Record, error) {
	found := &v1alpha1.Record{}
	err := w.Reader.Get(ctx, types.NamespacedName{Namespace: w.OperatorNamespace, Name: record.NameFor(approval)}, found)
	if err == nil && found.Spec.RequestRef.UID != approval.Spec.RequestRef.UID {
		err = apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("records").GroupResource(), found.Name)
	}
	return found, err
}

// outlives tells of a review whose request is gone: it stands beside the Record.
func (w *approvals) outlives(approval *v1alpha1.Approval) bool {
	return approval.Spec.Review && approval.Namespace == w.OperatorNamespace
}

// tense are the verbs of what a voter is told.
type tense struct{ is, will, counts, ends, begins string }

// Of a vote that was only tried nothing is recorded, and whoever tried it must not believe otherwise.
var (
	happened = tense{is: "is", will: "will", counts: "does not count", ends: "ends", begins: "starts"}
	tried    = tense{is: "would be", will: "would", counts: "would not count", ends: "would end", begins: "would start"}
)

func tenseOf(req *admission.Request) *tense {
	if isDryRun(req) {
		return &tried
	}
	return &happened
}

// recorded tells a voter what the vote did, or would do.
func (w *approvals) recorded(ctx context.Context, t *tense, j *gate.Judgement, next *v1alpha1.Approval, vote *v1alpha1.Vote) string {
	if vote.Decision == v1alpha1.DecisionWithdraw {
		return fmt.Sprintf("your vote %s taken back.", t.is)
	}
	result, err := w.Gate.Count(ctx, j, next)
	if err != nil {
		return fmt.Sprintf("your vote %s recorded. It %s be counted as soon as every voter can be judged.", t.is, t.will)
	}
	switch result.State {
	case v1alpha1.ApprovalDenied:
		return t.denied(next, vote)
	case v1alpha1.ApprovalApproved:
		if vote.Decision == v1alpha1.DecisionDeny {
			return t.outvoted(next, vote, len(result.Denials), w.Gate.Denials(j, gate.PollOf(next)))
		}
		return gate.Cut(fmt.Sprintf("your approval%s %s recorded. Stage %q %s approved%s.", inTheNameOf(vote), t.is, next.Spec.Stage.Name, t.is, w.comesNext(ctx, t, next, j.Now)), maxWarning)
	case v1alpha1.ApprovalOpen, v1alpha1.ApprovalExpired, v1alpha1.ApprovalSuperseded:
	}
	demands := gate.PollOf(next).Demands(j.Now)
	text := fmt.Sprintf("your approval%s %s recorded%s. Still needed: ", inTheNameOf(vote), t.is, progress(demands, result.Missing)) + gate.Needs(demands, result.Missing) + "."
	if vote.Decision == v1alpha1.DecisionDeny {
		text = t.counted(vote, len(result.Denials), w.Gate.Denials(j, gate.PollOf(next)))
	}
	if t == &tried {
		return gate.Cut(text, maxWarning) // there is nothing to take back
	}
	return gate.Cut(fmt.Sprintf("%s Take it back: kubectl patch approval -n %s %s --type merge -p '{\"spec\":{\"vote\":{\"decision\":\"Withdraw\"}}}'",
		text, next.Namespace, next.Name), maxWarning)
}

// counted tells who denies how many must.
func (t *tense) counted(vote *v1alpha1.Vote, denials, needed int) string {
	return fmt.Sprintf("your denial%s %s recorded (%d of %d). The stage is denied once %d different people deny it.", inTheNameOf(vote), t.is, denials, needed, needed)
}

// outvoted tells who denies that enough others agree.
func (t *tense) outvoted(next *v1alpha1.Approval, vote *v1alpha1.Vote, denials, needed int) string {
	return fmt.Sprintf("%s Enough others agree, so that stage %q %s approved if nobody else denies it.", t.counted(vote, denials, needed), next.Spec.Stage.Name, t.is)
}

// progress says how many of those agreed who must, such as " (1 of 2)".
func progress(demands []v1alpha1.Requirement, missing []int) string {
	needed, left := 0, 0
	for i := range demands {
		needed, left = needed+int(demands[i].Count), left+missing[i]
	}
	return fmt.Sprintf(" (%d of %d)", needed-left, needed)
}

// inTheNameOf says for whom a vote is, with a space before it. Empty: the voter's own.
func inTheNameOf(vote *v1alpha1.Vote) string {
	if vote.Delegation == nil {
		return ""
	}
	return " for " + vote.Delegation.Principal
}

// denied tells a voter that what they voted on is denied: by them, or by others a moment before.
func (t *tense) denied(next *v1alpha1.Approval, vote *v1alpha1.Vote) string {
	yours, end := fmt.Sprintf("your denial%s %s recorded.", inTheNameOf(vote), t.is), fmt.Sprintf("The request %s denied; that %s final.", t.is, t.is)
	if vote.Decision != v1alpha1.DecisionDeny {
		yours = fmt.Sprintf("your approval %s recorded, but %s any more: it was denied before.", t.is, t.counts)
	}
	if next.Spec.Review {
		end = fmt.Sprintf("The review %s as denied; what was done stays done.", t.ends)
	}
	return yours + " " + end
}

// comesNext says what becomes of a request that a stage has approved, to be put before a full stop. Empty: it is a review, or nobody can tell.
func (w *approvals) comesNext(ctx context.Context, t *tense, approval *v1alpha1.Approval, now time.Time) string {
	request := &v1alpha1.ActionRequest{}
	key := types.NamespacedName{Namespace: approval.Namespace, Name: approval.Spec.RequestRef.Name}
	if approval.Spec.Review || w.Requests.Get(ctx, key, request) != nil {
		return ""
	}
	judgement := w.Gate.Judge(ctx, gate.SubjectOf(request), now)
	switch {
	case judgement.Problem != nil:
		return ". The request stays held: " + judgement.Problem.Short()
	case len(judgement.Verdict.By(v1alpha1.EffectHold)) > 0:
		return ". The request stays held by " + gate.HeldBy(judgement, true) + "; it starts by itself"
	case len(judgement.Stages) > 1:
		names := make([]string, len(judgement.Stages))
		for i := range judgement.Stages {
			names[i] = judgement.Stages[i].Ref.Name
		}
		return fmt.Sprintf("; the request %s start once all of its stages are (%s)", t.will, strings.Join(names, ", "))
	}
	return t.starts(judgement, request, now)
}

// starts says when a request starts that everybody agreed to and nothing holds, to be put before a full stop.
func (t *tense) starts(judgement *gate.Judgement, request *v1alpha1.ActionRequest, now time.Time) string {
	action := judgement.Action.Object
	delay, from := gate.Delay(action, &request.Spec), request.Spec.NotBefore
	start, end := now.Add(delay), gate.Expires(action, gate.SubjectOf(request), now)
	waits := from != nil && start.Before(from.Time)
	if waits {
		start = from.Time
	}
	switch {
	case now.Before(start) && !start.Before(end):
		return fmt.Sprintf("; the request %s not start before %s, expires before that, %s, and never runs as things are", t.will, gate.Time(start, now), gate.Time(end, now))
	case waits:
		return fmt.Sprintf("; the request %s start %s", t.will, gate.Time(start, now))
	case delay > 0:
		return fmt.Sprintf("; the request %s start in %s, and can be cancelled until then", t.will, delay)
	}
	return fmt.Sprintf("; the request %s now", t.begins)
}

// remove lets an Approval go with its request, and never before: it is the evidence of who agreed.
func (w *approvals) remove(ctx context.Context, req *admission.Request, old *v1alpha1.Approval) admission.Response {
	allowed, err := w.mayGo(ctx, old)
	switch {
	case err != nil:
		return admission.Errored(http.StatusInternalServerError, err)
	case allowed || w.isOperator(req):
		return admission.Allowed("")
	}
	if old.Spec.Review {
		return forbidden("", fmt.Sprintf("a review is the evidence of who looked at what was done in an emergency: it goes with its request %s once it is decided, never before. To be done with it, approve it or deny it.",
			old.Spec.RequestRef.Name))
	}
	return forbidden("", fmt.Sprintf("an Approval is the evidence of who agreed to what: it goes with its request %s, never before. To stop the request, deny it or cancel it.", old.Spec.RequestRef.Name))
}

func (w *approvals) mayGo(ctx context.Context, old *v1alpha1.Approval) (bool, error) {
	if w.outlives(old) {
		found, err := w.recordOf(ctx, old)
		switch {
		case apierrors.IsNotFound(err):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("failed to get the Record of the review: %w", err)
		}
		return found.Status.Review != nil, nil
	}
	request := &v1alpha1.ActionRequest{}
	err := w.Reader.Get(ctx, types.NamespacedName{Namespace: old.Namespace, Name: old.Spec.RequestRef.Name}, request)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, errors.Join(errors.New("failed to get the request of the Approval"), err)
	}
	if request.UID != old.Spec.RequestRef.UID || request.DeletionTimestamp != nil {
		return true, nil
	}
	return w.terminating(ctx, old.Namespace)
}
