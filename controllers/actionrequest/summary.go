package actionrequest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/plan"
	"github.com/signoff-dev/signoff/internal/quorum"
	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	maxFor       = 24
	maxInput     = 120
	maxReason    = 300
	maxPlanLines = 40
	// maxOutputLines is how many lines of what plan steps gave leave room for what will be written.
	maxOutputLines = 60
	// maxSummaryPlan is enough for two lines of every write that most Actions make.
	maxSummaryPlan = 90
)

// The API bounds what these may hold.
const (
	maxNeeds           = 250
	maxApprovalSummary = 120
	maxRequestSummary  = 60
	maxDecided         = 60
	maxLine            = 1000
)

func short(d string) string { return digest.Short(d) }

func equal(a, b any) bool { return apiequality.Semantic.DeepEqual(a, b) }

// quote shows somebody's words as theirs: in quotes, control characters and the like escaped, and cut after that, because
// escaping can make a text ten times as long and the API bounds what is stored.
func quote(text string, length int) string {
	escaped := visible.InQuotes(gate.Cut(text, length))
	return `"` + gate.Cut(escaped[1:len(escaped)-1], 2*length) + `"`
}

// bounded cuts lines to what the API stores.
func bounded(lines []string, most int) []string {
	if len(lines) > most {
		lines = append(lines[:most-1:most-1], fmt.Sprintf("… and %d lines more", len(lines)-most+1))
	}
	for i := range lines {
		lines[i] = gate.Cut(lines[i], maxLine)
	}
	return lines
}

// newApproval makes the Approval of a stage. It holds everything that an approver must read.
func (s *scope) newApproval(stage *stageState, name string) *v1alpha1.Approval {
	request := s.request
	expires := s.expiresAt(stage).Truncate(time.Second)
	escalation := stage.Escalation(s.now, expires)
	approval := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: request.Namespace, Name: name,
			Labels: map[string]string{
				v1alpha1.LabelRequest:    cut(request.Name, 63),
				v1alpha1.LabelRequestUID: string(request.UID),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "ActionRequest",
				Name: request.Name, UID: request.UID, Controller: new(true),
			}},
		},
		Spec: v1alpha1.ApprovalSpec{
			RequestRef: v1alpha1.RequestReference{Name: request.Name, UID: request.UID},
			ActionRef:  request.Spec.ActionRef, Stage: stage.Ref, Digest: s.plan.digest, Plan: s.plan.changes,
			Requirements: stage.Requirements, Denials: stage.Denials, CommentOnDeny: stage.CommentOnDeny,
			Reminder: stage.Reminder, Escalation: escalation,
			Requester: *request.Spec.Requester, Reason: gate.Cut(visible.Inside(request.Spec.Reason), 4000),
			Needs: needsText(stage, escalation, s.now), Expires: gate.Time(expires, s.now), ExpiresAt: metav1.NewTime(expires),
			Votes: []v1alpha1.Vote{},
		},
		Status: v1alpha1.ApprovalStatus{State: v1alpha1.ApprovalOpen},
	}
	if request.Spec.Reason != "" {
		quoted := quote(request.Spec.Reason, maxFor)
		approval.Spec.For = quoted[1 : len(quoted)-1]
	}
	approval.Spec.Summary = s.approvalSummary(approval)
	return approval
}

// needsText says in a few words whose agreement is needed, and who is asked later.
func needsText(stage *stageState, escalation *v1alpha1.ApprovalEscalation, now time.Time) string {
	text := gate.Needs(stage.Requirements, nil)
	if further := gate.Escalates(escalation, now); further != "" {
		text += ", " + further
	}
	return gate.Cut(text, maxNeeds)
}

// approvalSummary is what an approver must read. kubectl describe shows each element on a line of its own.
func (s *scope) approvalSummary(a *v1alpha1.Approval) []string {
	action := s.judgement.Action.Object
	lines := []string{
		fmt.Sprintf("%s asks to run %q (%s)%s.", visible.Inside(a.Spec.Requester.Username), action.Spec.Title, a.Spec.ActionRef, s.onBehalf()),
		"inputs: " + inputsLine(s.judgement.Inputs),
	}
	if a.Spec.Reason != "" {
		lines = append(lines, fmt.Sprintf("%s wrote: %s", visible.Inside(a.Spec.Requester.Username), quote(s.request.Spec.Reason, maxReason)))
	}
	lines = append(lines, "Why approval: "+s.whyText(a.Spec.Stage)+".")
	lines = append(lines, s.trustLines()...)
	lines = append(lines, bounded(s.plannedLines(), maxOutputLines)...)
	lines = append(lines, fmt.Sprintf("It will, as %s/%s:", action.Namespace, action.Spec.Execution.ServiceAccountName))
	// What would be refused, for how long it is, who decides, and how, is never cut off.
	last := s.refusalLines()
	if duration := gate.Duration(action, &s.request.Spec); duration != "" {
		last = append(last, fmt.Sprintf("It is temporary: what it does is taken back %s after it is done.", duration))
	}
	last = append(last, fmt.Sprintf("Who can approve: %s. Not %s.", cmp.Or(s.Gate.Who(s.judgement, a.Spec.Requirements, &a.Spec.Requester), "nobody, as things are"), s.dependent(a)))
	if e := a.Spec.Escalation; e != nil {
		further := []v1alpha1.Requirement{{Approvers: e.Approvers}}
		last = append(last, fmt.Sprintf("If nobody has decided by %s, these can approve too: %s.", gate.Time(e.At.Time, s.now), s.Gate.Who(s.judgement, further, &a.Spec.Requester)))
	}
	last = append(last, voteLines(a)...)
	room := maxApprovalSummary - len(last)
	lines = append(lines, planLines(s.marked(a.Spec.Plan), room-len(lines))...)
	return bounded(append(bounded(lines, room), last...), maxApprovalSummary)
}

// maxRefusals is how many of the writes that would be refused are named, and how many values that would be stored otherwise.
const maxRefusals = 4

// refusalLines warn of what would be refused, or changed, if it was sent now.
func (s *scope) refusalLines() []string {
	return slices.Concat(warned("WARNING: as things are now, the API server would refuse some of it (tried without effect):", s.plan.refusals),
		warned("WARNING: something in the cluster would store some of it otherwise than it is sent (tried without effect):", s.plan.overridden))
}

// warned lists what a dry run has told. Nothing is warned of where there is nothing.
func warned(of string, all []string) []string {
	if len(all) == 0 {
		return nil
	}
	lines := []string{of}
	for _, one := range all[:min(len(all), maxRefusals)] {
		lines = append(lines, "  "+gate.Cut(one, maxLine-2))
	}
	if more := len(all) - maxRefusals; more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	return lines
}

// marked marks the changes of which no dry run could tell whether they would be refused. What is stored of a plan does not say it: whoever checks it
// could not know what was tried, and when.
func (s *scope) marked(changes []v1alpha1.PlannedChange) []v1alpha1.PlannedChange {
	out := slices.Clone(changes)
	for i := range s.plan.untried {
		untried := &s.plan.untried[i]
		at := slices.IndexFunc(out, func(c v1alpha1.PlannedChange) bool {
			return c.Step == untried.Step && c.Object == plan.Name(untried.Object) || c.Operation == plan.OperationRest
		})
		if at >= 0 && !strings.Contains(out[at].Object, deferred) {
			out[at].Object += deferred + untried.Why + ")"
		}
	}
	return out
}

// deferred begins the mark of what could not be tried.
const deferred = " (Deferred: "

// onBehalf says for whom somebody asks, as they claim. Empty: for themself.
func (s *scope) onBehalf() string {
	if s.request.Spec.OnBehalfOf == nil {
		return ""
	}
	return ", as it says on behalf of " + visible.Inside(s.request.Spec.OnBehalfOf.Username)
}

// dependent names those who cannot approve because it is asked by them or for them.
func (s *scope) dependent(a *v1alpha1.Approval) string {
	who := visible.Inside(a.Spec.Requester.Username)
	if claim := s.request.Spec.OnBehalfOf; claim != nil {
		who += " or " + visible.Inside(claim.Username)
	}
	return who
}

// voteLines are the commands to vote.
func voteLines(a *v1alpha1.Approval) []string {
	vote := func(body string) string {
		return fmt.Sprintf(`kubectl patch approval -n %s %s --type merge -p '{"spec":{"vote":{%s,"digest":"%s"}}}'`, a.Namespace, a.Name, body, short(a.Spec.Digest))
	}
	lines := []string{"Approve: " + vote(`"decision":"Approve"`), "Deny:    " + vote(`"decision":"Deny","comment":"why"`)}
	if a.Spec.Denials > 1 {
		lines = append(lines, fmt.Sprintf("It is denied once %d different people deny it, or all who are able to.", a.Spec.Denials))
	}
	return lines
}

// trustLines tells approvers which facts the Action accepts although the requester may be able to change them.
func (s *scope) trustLines() []string {
	var lines []string
	for i := range s.judgement.Facts {
		if fact := &s.judgement.Facts[i]; fact.Trust == v1alpha1.TrustRequesterWritable {
			lines = append(lines, fmt.Sprintf("This Action trusts %s (%s), which %s may be able to change.",
				visible.Inside(fact.Object), fact.Name, visible.Inside(s.request.Spec.Requester.Username)))
		}
	}
	return lines
}

// whyText names the rules that demand a stage, with their messages.
func (s *scope) whyText(ref v1alpha1.StageReference) string {
	var why []string
	for _, rule := range s.judgement.Verdict.By(v1alpha1.EffectRequireApproval) {
		for _, stage := range rule.Stages {
			if stage.Ref != ref {
				continue
			}
			text := rule.Name
			switch {
			case rule.Message != "":
				text += " (" + rule.Message + ")"
			case rule.Name == "default":
				text = "every request for this Action needs it"
			}
			why = append(why, text)
		}
	}
	return strings.Join(why, "; ")
}

func inputsLine(inputs map[string]any) string {
	if len(inputs) == 0 {
		return "(none)"
	}
	names := make([]string, 0, len(inputs))
	for name := range inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = name + "=" + valueText(inputs[name])
	}
	return gate.Cut(strings.Join(parts, " "), 2000)
}

// valueText shows a value: bare where it is one plain word, quoted and escaped where it is not.
func valueText(value any) string {
	text, isString := value.(string)
	if !isString {
		encoded, err := json.Marshal(value)
		if err != nil {
			return "?"
		}
		text = string(encoded)
	}
	quoted := quote(text, maxInput)
	plain := quoted[1 : len(quoted)-1]
	switch {
	case !isString:
		return gate.Cut(visible.Escaped(text), maxInput)
	case plain == text && text != "" && !strings.ContainsAny(text, " \t="):
		return text
	}
	return quoted
}

// planLines shows what will be done. Each write gets its share of the lines, and shows what matters most first, so that nobody can
// push one out of sight by another. Where all of that is more than there is room for, each is one line beside the name.
func planLines(changes []v1alpha1.PlannedChange, most int) []string {
	lines := sharedLines(changes, max(maxPlanLines/max(len(changes), 1)-1, 2))
	if len(lines) > most {
		lines = sharedLines(changes, 1)
	}
	if len(lines) > most {
		kept := max(most-1, 0)
		lines = append(lines[:kept:kept], "  "+moreLines(lines[kept:]))
	}
	return lines
}

// sharedLines shows so many lines of each write beside its name. Where there are more, warnings come first.
func sharedLines(changes []v1alpha1.PlannedChange, share int) []string {
	var lines []string
	for i := range changes {
		lines = append(lines, fmt.Sprintf("  %s %s", changes[i].Operation, changes[i].Object))
		fields := changes[i].Fields
		if len(fields) > share {
			kept := max(share-1, 1)
			fields = plan.WarningsFirst(fields)
			more := moreLines(fields[kept:])
			if fields = fields[:kept]; share > kept {
				fields = append(fields, more)
			} else {
				fields[0] += " " + more
			}
		}
		for _, line := range fields {
			lines = append(lines, "    "+line)
		}
	}
	return lines
}

// moreLines says how many lines are left out, and how many of those warn.
func moreLines(left []string) string {
	text, warnings := fmt.Sprintf("… and %d lines more, see spec.plan", len(left)), 0
	for _, line := range left {
		if strings.Contains(line, "WARNING") {
			warnings++
		}
	}
	if warnings > 0 {
		text += fmt.Sprintf(" (%d with a WARNING)", warnings)
	}
	return text
}

// requestSummary tells the story of a request so far.
func (s *scope) requestSummary(stages []*stageState) []string {
	action := s.judgement.Action.Object
	lines := []string{fmt.Sprintf("%s asks to run %q (%s)%s.", visible.Inside(s.request.Spec.Requester.Username), action.Spec.Title, s.request.Spec.ActionRef, s.onBehalf())}
	lines = append(lines, s.plannedLines()...)
	lines = append(lines, planLines(s.plan.changes, maxSummaryPlan)...)
	for _, stage := range stages {
		switch {
		case stage.approved():
			for _, line := range stage.approval.Status.Decided {
				lines = append(lines, fmt.Sprintf("Stage %s: %s", stage.Ref.Name, line))
			}
		case stage.approval != nil:
			lines = append(lines, fmt.Sprintf("Stage %s: see kubectl describe approval -n %s %s", stage.Ref.Name, s.request.Namespace, stage.approval.Name))
		default:
			lines = append(lines, fmt.Sprintf("Stage %s: opens after %s", stage.Ref.Name, strings.Join(stage.After, ", ")))
		}
	}
	return lines
}

// endSummary is what the summary of a finished request begins with.
func (s *scope) endSummary(end ending) []string {
	if end.record == nil || end.record.Status.FinishedAt == nil {
		return []string{end.message}
	}
	record := end.record
	begin, finish := record.Spec.ClaimedAt.UTC().Truncate(time.Second), record.Status.FinishedAt.UTC()
	first := fmt.Sprintf("%s in %s (%s to %s UTC), as %s/%s.", record.Status.Outcome, finish.Sub(begin).Round(time.Second),
		begin.Format(time.TimeOnly), finish.Format(time.TimeOnly), record.Spec.ActionRef.Namespace, record.Spec.ServiceAccountName)
	lines := []string{first}
	if record.Status.Message != "" {
		lines = append(lines, record.Status.Message)
	}
	for i := range record.Spec.Approvals {
		if len(s.request.Status.Summary) > 0 {
			break // it tells who approved, with their words
		}
		approval := &record.Spec.Approvals[i]
		lines = append(lines, fmt.Sprintf("Stage %s was approved by %s.", approval.Stage.Name, strings.Join(approval.ApprovedBy, ", ")))
	}
	if len(record.Status.Steps) == 0 {
		return lines
	}
	return append(lines, fmt.Sprintf("Ran digest %s.", short(record.Spec.Digest)))
}

// decidedLines tells who voted what.
func decidedLines(stage *stageState) []string {
	var denials, approvals []string
	for i := range stage.result.Denials {
		denials = append(denials, votedLine("denied", &stage.result.Denials[i]))
	}
	if stage.result.DeniedBy != nil {
		return denials
	}
	for i := range stage.result.By {
		approvals = append(approvals, votedLine("approved", &stage.result.By[i].Vote))
	}
	return append(approvals, denials...)
}

func votedLine(what string, vote *quorum.Vote) string {
	line := fmt.Sprintf("%s by %s at %s", what, visible.Inside(vote.By), vote.At.UTC().Format("15:04 MST"))
	if vote.Comment != "" {
		line += " (" + quote(vote.Comment, maxReason) + ")"
	}
	return line + "."
}

func (s *scope) approvedText(stages []*stageState) string {
	var parts []string
	for _, stage := range stages {
		parts = append(parts, fmt.Sprintf("Stage %s: %s", stage.Ref.Name, strings.Join(stage.approval.Status.Decided, " ")))
	}
	return strings.Join(parts, " ")
}

func recorded(stage *stageState) v1alpha1.RecordedApproval {
	out := v1alpha1.RecordedApproval{
		Name: stage.approval.Name, UID: stage.approval.UID, Stage: stage.Ref,
		Votes: int32(stage.ballot.End.Count), Head: stage.ballot.End.Hash, //nolint:gosec // the API bounds the votes
	}
	for _, match := range stage.result.By {
		out.ApprovedBy = append(out.ApprovedBy, match.By)
	}
	slices.SortFunc(out.ApprovedBy, cmp.Compare)
	return out
}

// changes says what is different between what an Approval was about and what will be executed now: the digests first, and then how it differs.
// Edited says who has edited the Action. Empty: nobody is known to.
func (s *scope) changes(old *v1alpha1.Approval, edited string) []string {
	by := ""
	if edited != "" {
		by = " (" + edited + ")"
	}
	lines := []string{fmt.Sprintf("This is no longer what will be executed: %s is now %s%s.", short(old.Spec.Digest), short(s.plan.digest), by)}
	before, after := planLines(old.Spec.Plan, maxSummaryPlan), planLines(s.plan.changes, maxSummaryPlan)
	for _, line := range after {
		if !slices.Contains(before, line) {
			lines = append(lines, "Changed: "+strings.TrimSpace(line))
		}
	}
	if len(lines) == 1 {
		lines = append(lines, "Changed: the Action, the requirements of the stage, or fields that the plan does not show.")
	}
	return lines[:min(len(lines), maxPlanLines)]
}

// voids notes whose agreement no longer counts, and why.
func (s *scope) voids(old *v1alpha1.Approval, edited string, why []string) {
	agreed := map[string]time.Time{}
	for i := range old.Spec.Votes {
		vote := &old.Spec.Votes[i]
		delete(agreed, vote.Voter.Username)
		if vote.Decision == v1alpha1.DecisionApprove {
			agreed[vote.Voter.Username] = vote.At.Time
		}
	}
	for _, who := range slices.Sorted(maps.Keys(agreed)) {
		s.voided = append(s.voided, fmt.Sprintf("%s (%s)", visible.Inside(who), agreed[who].UTC().Format("15:04 MST")))
	}
	if s.differs == nil {
		s.differs = why
		if edited != "" {
			s.differs = append([]string{capital(edited) + "."}, why...)
		}
	}
}

// deniedText names those who denied, with their words.
func deniedText(stage *stageState) string {
	who, words := make([]string, 0, len(stage.result.Denials)), []string{}
	for _, denial := range stage.result.Denials {
		who = append(who, visible.Inside(denial.By))
		if denial.Comment != "" {
			words = append(words, quote(denial.Comment, maxReason))
		}
	}
	text := fmt.Sprintf("Denied by %s in stage %s", strings.Join(who, " and "), stage.Ref.Name)
	if len(words) == 0 {
		return text + "."
	}
	return text + ": " + strings.Join(words, ", ")
}

// denied ends the request because an approver said no.
func (s *scope) denied(ctx context.Context, stage *stageState) error {
	message := fmt.Sprintf("Denied in stage %s: %s", stage.Ref.Name, strings.Join(stage.approval.Status.Decided, " "))
	if stage.result.DeniedBy != nil {
		message = deniedText(stage)
	}
	return s.finish(ctx, v1alpha1.OutcomeDenied, ending{reason: v1alpha1.ReasonDenied, message: message})
}

// stageExpired ends the request because nobody decided in time.
func (s *scope) stageExpired(ctx context.Context, stage *stageState) error {
	return s.finish(ctx, v1alpha1.OutcomeExpired, ending{reason: v1alpha1.ReasonExpired,
		message: fmt.Sprintf("Stage %s expired %s: nobody decided in time.", stage.Ref.Name, stage.approval.Spec.Expires)})
}

// ownApprovals lists the Approvals of this request: from the cache those that are open, past it all.
func (s *scope) ownApprovals(ctx context.Context, reader client.Reader) ([]v1alpha1.Approval, error) {
	list := &v1alpha1.ApprovalList{}
	err := reader.List(ctx, list, client.InNamespace(s.request.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(s.request.UID)})
	if err != nil {
		return nil, fmt.Errorf("failed to list the Approvals of request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	}
	return list.Items, nil
}

// supersedeOne closes one open Approval that is no longer needed.
func (s *scope) supersedeOne(ctx context.Context, approval *v1alpha1.Approval, why string) error {
	if approval.Status.State != v1alpha1.ApprovalOpen || s.closed[approval.Name] || !s.needless(approval) {
		return nil
	}
	return client.IgnoreNotFound(s.supersedeAs(ctx, approval, []string{why}))
}

// supersedeAs closes an Approval that counts no more, also one that cannot be verified.
func (s *scope) supersedeAs(ctx context.Context, approval *v1alpha1.Approval, why []string) error {
	ballot, err := s.ballot(approval)
	if err != nil {
		ballot = nil
	}
	return s.writeState(ctx, approval.DeepCopy(), ballot, v1alpha1.ApprovalSuperseded, why)
}
