package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/quorum"
	"github.com/signoff-dev/signoff/internal/visible"
)

// lastApplied is where kubectl apply keeps what it sent. Kept on an Approval, it would vote again and again.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// maxComment is how many characters of a comment are stored.
const maxComment = 1024

type approvals struct{ *Deps }

// mutate turns a write of spec.vote into one vote by the caller: the new spec is the old one and that vote. Nothing else that
// the client sent is kept, so that patch, edit, replace and apply all mean the same.
func (w *approvals) mutate(ctx context.Context, req admission.Request, next, old *v1alpha1.Approval) admission.Response {
	if req.SubResource != "" || req.Operation != admissionv1.Update {
		return admission.Allowed("")
	}
	if next.Spec.Vote == nil {
		return admission.Allowed("")
	}
	vote, refused := w.cast(ctx, &req, next, old)
	if refused != nil {
		return *refused
	}
	spec := old.Spec.DeepCopy()
	spec.Vote = nil
	var warnings []string
	if standing := w.standing(ctx, old, &vote.Voter); w.repeats(ctx, old, vote, standing) {
		warnings = append(warnings, fmt.Sprintf("no change: you voted %s at %s.", standing.Decision, standing.At.UTC().Format("15:04 MST")))
	} else {
		spec.Votes = append(spec.Votes, *vote)
		if err := w.seal(&req, old, spec); err != nil {
			return uncounted(old, err)
		}
	}
	ops, err := onlySpec(next, old, spec)
	if err != nil {
		return forbidden("", err.Error())
	}
	return patched(ops).WithWarnings(warnings...)
}

// cast gives the vote that a write of spec.vote means, or says why it means none.
func (w *approvals) cast(ctx context.Context, req *admission.Request, next, old *v1alpha1.Approval) (*v1alpha1.Vote, *admission.Response) {
	caller, refused := w.stamp(ctx, &req.UserInfo)
	if refused == nil {
		refused = w.exhausted(req, voting, &caller)
	}
	if refused == nil {
		refused = w.onlyVote(req, next, old)
	}
	if refused != nil {
		return nil, refused
	}
	given, refused := w.standsFor(ctx, old, &caller, next.Spec.Vote)
	return &v1alpha1.Vote{
		// Others read the comment in their terminals.
		Decision: next.Spec.Vote.Decision, Comment: printable(strings.TrimFunc(next.Spec.Vote.Comment, unseen)),
		Voter: caller, Delegation: given, At: evidence.Instant(w.Clock.Now()), Digest: old.Spec.Digest,
	}, refused
}

// repeats tells whether a vote says what one that stands says already: by the same login, and so that it counts. A vote that no longer counts says nothing,
// and what another login may do is another question, so that nothing is left out because of either.
func (w *approvals) repeats(ctx context.Context, old *v1alpha1.Approval, vote, standing *v1alpha1.Vote) bool {
	return standing != nil && says(vote) == says(standing) && apiequality.Semantic.DeepEqual(standing.Delegation, vote.Delegation) && w.counts(ctx, old, standing)
}

// says is what a vote says, and by which login.
func says(vote *v1alpha1.Vote) [3]string {
	return [3]string{vote.Voter.Username, string(vote.Decision), vote.Comment}
}

// counts tells whether a vote would be accepted now. Where nothing can be decided any more, none needs to, unless something else is to be agreed to by now.
func (w *approvals) counts(ctx context.Context, old *v1alpha1.Approval, vote *v1alpha1.Vote) bool {
	now := w.Clock.Now()
	if over(old, now) {
		return !w.replaced(ctx, old)
	}
	judgement, problem := w.judge(ctx, old, now)
	return problem == nil && w.Gate.EligibleAs(ctx, judgement, gate.PollOf(old), vote).Problem == nil
}

// standsFor gives what lets the caller vote for somebody else: for the principal that the vote names, or, where it names none and the caller could
// not vote in their own name, for whom they voted last, or else the first who lets them. Whoever takes a vote back means the one that stands. Nil: the
// vote is the caller's own.
func (w *approvals) standsFor(ctx context.Context, old *v1alpha1.Approval, caller *v1alpha1.Identity, vote *v1alpha1.VoteRequest) (*v1alpha1.VoteDelegation, *admission.Response) {
	principal := vote.Principal
	standing := w.standing(ctx, old, caller)
	switch {
	case principal == "" && vote.Decision == v1alpha1.DecisionWithdraw && standing != nil:
		return standing.Delegation, nil
	case principal == caller.Username || principal == "" && !w.isNamed(old, caller):
		return nil, nil
	}
	return w.instead(ctx, old, caller, principal, standing)
}

// instead gives what lets the caller vote for a principal, or for somebody where none is named.
func (w *approvals) instead(ctx context.Context, old *v1alpha1.Approval, caller *v1alpha1.Identity, principal string, standing *v1alpha1.Vote) (*v1alpha1.VoteDelegation, *admission.Response) {
	now := w.Clock.Now()
	if over(old, now) {
		// That nobody can vote any more is said when the vote is judged.
		return nil, nil
	}
	judgement, problem := w.judge(ctx, old, now)
	var given *v1alpha1.VoteDelegation
	switch {
	case principal == "" && problem != nil:
		return nil, nil
	case principal == "":
		return w.standsForSomebody(ctx, judgement, gate.PollOf(old), caller, standing), nil
	case problem == nil:
		given, problem = w.Gate.Stand(ctx, judgement, caller, principal)
	}
	return given, refusal(problem)
}

// isNamed tells whether a Delegation beside the Action of an Approval names somebody.
func (w *approvals) isNamed(old *v1alpha1.Approval, who *v1alpha1.Identity) bool {
	return len(w.Store.Current().DelegatedTo(old.Spec.ActionRef.Namespace, who.Username)) > 0
}

// refusal is the answer of a problem, where there is one.
func refusal(problem *gate.Problem) *admission.Response {
	if problem == nil {
		return nil
	}
	response := forbidden(problem.Reason, problem.Message)
	if problem.Transient {
		response = transient(response)
	}
	return &response
}

// transient marks a refusal as one that says nothing about who may vote: another look may find otherwise. kubectl shows no causes of a 403.
func transient(response admission.Response) admission.Response {
	response.Result.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: gate.CauseTransient, Message: "another try may be answered otherwise"}}}
	return response
}

// standsForSomebody finds for whom somebody can vote who cannot vote in their own name. Nil: nobody, or it is not known just now that they cannot,
// which is said when the vote is judged.
func (w *approvals) standsForSomebody(ctx context.Context, j *gate.Judgement, poll *gate.Poll, caller *v1alpha1.Identity, standing *v1alpha1.Vote) *v1alpha1.VoteDelegation {
	if own := w.Gate.Eligible(ctx, j, poll, caller).Problem; own == nil || own.Transient {
		return nil
	}
	if standing != nil && standing.Delegation != nil {
		again := v1alpha1.Vote{Voter: *caller, Delegation: standing.Delegation}
		if w.Gate.EligibleAs(ctx, j, poll, &again).Problem == nil {
			return standing.Delegation
		}
	}
	return w.Gate.StandForSomebody(ctx, j, poll, caller)
}

// seal seals the vote that was added last. A dry run gives its result away, so nothing is sealed there.
func (w *approvals) seal(req *admission.Request, old *v1alpha1.Approval, spec *v1alpha1.ApprovalSpec) error {
	if isDryRun(req) {
		return nil
	}
	voted := *old
	voted.Spec = *spec
	if err := w.Evidence.SealVote(&voted); err != nil {
		return fmt.Errorf("failed to seal the vote: %w", err)
	}
	return nil
}

// uncounted refuses a vote on something that is not what Signoff opened, or that cannot be sealed.
func uncounted(old *v1alpha1.Approval, err error) admission.Response {
	reason := evidence.Of(err)
	text := reason.Message + ".\n  No vote on it counts."
	if reason.Wait {
		text = reason.Message + ".\n  Your vote was not recorded. Try again."
	}
	return *refusal(&gate.Problem{Reason: reason.Reason, Transient: reason.Wait,
		Message: fmt.Sprintf("%s See: kubectl describe actionrequest -n %s %s", text, old.Namespace, old.Spec.RequestRef.Name)})
}

// unseen tells of a character that shows nothing.
func unseen(r rune) bool { return unicode.IsSpace(r) || !visible.Shows(r) }

// printable escapes what cannot be shown, such as control characters and marks that turn the direction of writing.
func printable(text string) string {
	if !visible.Hides(text) {
		return text
	}
	return gate.Cut(visible.Inside(text), maxComment)
}

// onlyVote refuses a write that votes and changes something else as well, and a vote on something that was not looked at.
func (w *approvals) onlyVote(req *admission.Request, next, old *v1alpha1.Approval) *admission.Response {
	rest := next.Spec.DeepCopy()
	rest.Vote, rest.Votes = nil, nil
	before := old.Spec.DeepCopy()
	before.Vote, before.Votes = nil, nil
	path := field.NewPath("spec")
	errs := tooLong(path.Child("vote", "comment"), next.Spec.Vote.Comment, maxComment)
	errs = append(errs, namesSomebody(path.Child("vote", "principal"), next.Spec.Vote.Principal)...)
	if !slices.Contains(quorum.Decisions, next.Spec.Vote.Decision) {
		errs = append(errs, field.NotSupported(path.Child("vote", "decision"), next.Spec.Vote.Decision, quorum.Decisions))
	}
	if !apiequality.Semantic.DeepEqual(rest, before) {
		errs = append(errs, field.Forbidden(path, "only spec.vote can be written; everything else is what you vote on"))
	}
	// A client that sends fewer votes, or none, looked earlier or applies a manifest; it does not mean to remove the others.
	if seen := len(next.Spec.Votes); seen > len(old.Spec.Votes) || !apiequality.Semantic.DeepEqual(next.Spec.Votes, old.Spec.Votes[:seen]) {
		errs = append(errs, field.Forbidden(path.Child("votes"), "votes are added by Signoff only: write spec.vote, and it becomes yours"))
	}
	errs = append(errs, ownMetadata(next, old)...)
	errs = append(errs, otherMetadata(next, old)...)
	if len(errs) > 0 {
		return ptr(invalid(req, old.Name, errs))
	}
	if given := next.Spec.Vote.Digest; given != "" && !digest.Matches(old.Spec.Digest, given) {
		return ptr(forbidden(v1alpha1.ReasonStaleVote, fmt.Sprintf("this is not what you looked at. You voted on %s; this Approval is about %s.\n  Look again: kubectl describe approval -n %s %s",
			given, digest.Short(old.Spec.Digest), old.Namespace, old.Name)))
	}
	return nil
}

// namesSomebody refuses what can be no user name, or could not be shown in an answer.
func namesSomebody(path *field.Path, name string) field.ErrorList {
	if name != "" && strings.TrimSpace(name) == "" {
		return field.ErrorList{field.Invalid(path, name, "must be a user name; to vote for yourself, leave it out")}
	}
	return append(tooLong(path, name, maxComment), catalog.CheckName(path, name)...)
}

// ownMetadata refuses changes of what Signoff put on an Approval. Labels and annotations of others are never read.
func ownMetadata(next, old *v1alpha1.Approval) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("metadata")
	if !apiequality.Semantic.DeepEqual(next.OwnerReferences, old.OwnerReferences) {
		errs = append(errs, field.Forbidden(path.Child("ownerReferences"), "an Approval belongs to its request for ever"))
	}
	if !sameHolders(next, old) {
		errs = append(errs, field.Forbidden(path.Child("finalizers"), "are set by Signoff only"))
	}
	errs = append(errs, tooManyLabels(next.Labels, old.Labels)...)
	for _, key := range []string{v1alpha1.LabelRequest, v1alpha1.LabelRequestUID} {
		if next.Labels[key] != old.Labels[key] {
			errs = append(errs, field.Forbidden(path.Child("labels").Key(key), "is set by Signoff only"))
		}
	}
	return errs
}

// sameHolders tells whether the finalizers of an Approval are as they were. Of one that is being deleted they can be removed, as the garbage collector
// does with those that the API server adds where a deletion is to wait for others, or to spare them.
func sameHolders(next, old *v1alpha1.Approval) bool {
	if old.DeletionTimestamp == nil {
		return apiequality.Semantic.DeepEqual(next.Finalizers, old.Finalizers)
	}
	return !slices.ContainsFunc(next.Finalizers, func(f string) bool { return !slices.Contains(old.Finalizers, f) })
}

// otherMetadata refuses changes of labels and annotations in the write of a vote. What kubectl apply remembers comes with it, and is removed.
func otherMetadata(next, old *v1alpha1.Approval) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("metadata")
	const alone = "a vote changes nothing else: write this by itself"
	if !apiequality.Semantic.DeepEqual(next.Labels, old.Labels) {
		errs = append(errs, field.Forbidden(path.Child("labels"), alone))
	}
	annotations, before := maps.Clone(next.Annotations), maps.Clone(old.Annotations)
	delete(annotations, lastApplied)
	delete(before, lastApplied)
	if !apiequality.Semantic.DeepEqual(annotations, before) {
		errs = append(errs, field.Forbidden(path.Child("annotations"), alone))
	}
	return errs
}

// standing gives the last vote of a person, under whichever login. Nil: there is none.
func (w *approvals) standing(ctx context.Context, approval *v1alpha1.Approval, caller *v1alpha1.Identity) *v1alpha1.Vote {
	for i := len(approval.Spec.Votes) - 1; i >= 0; i-- {
		vote := &approval.Spec.Votes[i]
		if same, err := w.Identity.SamePerson(ctx, &vote.Voter, caller); err == nil && same {
			return vote
		}
	}
	return nil
}

// onlySpec makes the patch. managedFields become the old ones, so that nobody owns spec.vote, which is gone; what kubectl
// apply remembers is removed. The resourceVersion that the client sent stays, because it is the client's precondition.
func onlySpec(next, old *v1alpha1.Approval, spec *v1alpha1.ApprovalSpec) ([]jsonpatch.Operation, error) {
	var value any
	text, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to write the vote: %w", err)
	}
	ops := []jsonpatch.Operation{jsonpatch.NewOperation("replace", "/spec", value)}
	if len(next.ManagedFields) > 0 {
		managed := slices.Clone(old.ManagedFields)
		if managed == nil {
			managed = []metav1.ManagedFieldsEntry{}
		}
		ops = append(ops, jsonpatch.NewOperation("replace", "/metadata/managedFields", managed))
	}
	if _, ok := next.Annotations[lastApplied]; ok {
		ops = append(ops, jsonpatch.NewOperation("remove", "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration", nil))
	}
	return ops, nil
}
