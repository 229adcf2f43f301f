package actionrequest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/quorum"
)

// stageState is a stage that must approve, with its Approval.
type stageState struct {
	*gate.Stage
	approval *v1alpha1.Approval
	// ballot is the Approval, verified. Nil: it has not been, or cannot be.
	ballot *evidence.Ballot
	result quorum.Result
	opened bool
}

// maxRounds bounds how often a stage of one digest is opened anew.
const maxRounds = 32

// approvals opens, counts and closes the Approvals of every stage that must approve, and tells whether all have.
func (s *scope) approvals(ctx context.Context) (bool, error) {
	stages := make([]*stageState, len(s.judgement.Stages))
	for i := range s.judgement.Stages {
		stages[i] = &stageState{Stage: &s.judgement.Stages[i]}
	}
	// Where nobody can be judged as a voter any more, nobody is asked.
	for progress := s.judgement.AskAgain() == nil; progress; {
		progress = false
		for _, stage := range stages {
			if stage.opened || !mayOpen(stage, stages) {
				continue
			}
			stage.opened, progress = true, true
			if over, err := s.stage(ctx, stage); over || err != nil {
				return false, err
			}
		}
	}
	if over, err := s.keepOpen(ctx, stages); over || err != nil {
		return false, err
	}
	if err := s.supersede(ctx, stages); err != nil {
		return false, err
	}
	return s.tally(ctx, stages)
}

// keepOpen looks after stages that opened once and wait for one before them, which must agree again. Votes on them are taken, so their time runs on, people
// are reminded, and how far they have come is shown. It tells whether time has ended the request.
func (s *scope) keepOpen(ctx context.Context, stages []*stageState) (over bool, err error) {
	waits := func(stage *stageState) bool { return !stage.opened }
	if s.judgement.AskAgain() != nil || !slices.ContainsFunc(stages, waits) {
		return false, nil
	}
	list, err := s.ownApprovals(ctx, s.Client)
	if err != nil {
		return false, err
	}
	for _, stage := range stages {
		if !waits(stage) {
			continue
		}
		if stage.approval = s.openedEarlier(stage, list); stage.approval == nil {
			continue
		}
		if over, err := s.meanwhile(ctx, stage); over || err != nil {
			return over, err
		}
	}
	return false, nil
}

// openedEarlier finds the open Approval of a stage for what would be executed and for whoever must agree now. Nil: there is none.
func (s *scope) openedEarlier(stage *stageState, list []v1alpha1.Approval) *v1alpha1.Approval {
	for i := range list {
		a := &list[i]
		if a.Spec.Stage != stage.Ref || a.Spec.Digest != s.plan.digest || !isOpen(a) || s.closed[a.Name] {
			continue
		}
		for round := range maxRounds {
			if a.Name == s.approvalName(stage, round) {
				return a.DeepCopy()
			}
		}
	}
	return nil
}

// meanwhile counts the votes on a stage that waits for one before it. Where everybody has agreed it is closed once its turn comes.
func (s *scope) meanwhile(ctx context.Context, stage *stageState) (over bool, err error) {
	if err := s.votes(ctx, s.judgement, stage); err != nil {
		return false, err
	}
	if stage.result.State == v1alpha1.ApprovalApproved && !s.lapsed(stage) {
		s.at(stage.lapses())
		return false, s.progress(ctx, stage)
	}
	again, over, err := s.decide(ctx, stage)
	if again {
		stage.approval = nil // it opens again after the one before it
	}
	return over, err
}

// mayOpen tells whether every stage that must come before has approved. A stage that is not required counts as approved.
func mayOpen(stage *stageState, all []*stageState) bool {
	return !slices.ContainsFunc(all, func(other *stageState) bool {
		return other.Ref.Policy == stage.Ref.Policy && slices.Contains(stage.After, other.Ref.Name) && !other.approved()
	})
}

func (st *stageState) approved() bool {
	return st.approval != nil && st.approval.Status.State == v1alpha1.ApprovalApproved
}

// agreed notes when the last of those agreed whose votes were needed.
func (s *scope) agreed(stage *stageState) {
	if at := stage.lastVote(); at.After(s.agreedAt) {
		s.agreedAt = at
	}
}

// lastVote is when the last of those agreed whose votes were needed. Zero: none was.
func (st *stageState) lastVote() time.Time {
	var last time.Time
	for i := range st.result.By {
		if at := st.result.By[i].At; at.After(last) {
			last = at
		}
	}
	return last
}

// stage finds or opens the Approval of one stage, counts its votes and closes it. It tells whether that is all that can be done, because the request is
// over, or nobody is asked again.
func (s *scope) stage(ctx context.Context, stage *stageState) (bool, error) {
	for round := range maxRounds {
		approval, err := s.findOrOpen(ctx, stage, round)
		if err != nil {
			return false, err
		}
		stage.approval = approval
		if approval.Status.State == v1alpha1.ApprovalSuperseded {
			continue
		}
		again, over, err := s.count(ctx, stage)
		if again {
			continue
		}
		return over, err
	}
	return true, s.askedTooOften(ctx, stage)
}

// askedTooOften keeps a request whose people have agreed again and again to the same. That ends no request: people and time do. Where what would be
// executed changes, they are asked about that.
func (s *scope) askedTooOften(ctx context.Context, stage *stageState) error {
	message := fmt.Sprintf("Stage %s was approved %d times, and each time the approval no longer counted before the start was possible. Nobody is asked again for the same. "+
		"It expires %s; to end it now: %s",
		stage.Ref.Name, maxRounds, gate.Time(s.expires(), s.now), gate.CancelCommand(s.request.Namespace, s.request.Name, "…"))
	s.waiting(v1alpha1.PhaseAwaitingApproval, v1alpha1.ReasonUnsatisfiable, message, fmt.Sprintf("%s: approved %d times in vain", stage.Ref.Name, maxRounds))
	s.condition(v1alpha1.ConditionApproved, false, v1alpha1.ReasonUnsatisfiable, message)
	return s.store(ctx)
}

// denials ends the request where an approver has said no, whether the stage is required at the moment or not, and whatever else
// keeps the request from going on: a denial is final. Only where no vote can be judged, no denial is either: the request waits then, and says why.
func (s *scope) denials(ctx context.Context) (bool, error) {
	if !s.judgement.Votable() {
		// Nobody can be judged as a voter, so the webhook accepts no votes either.
		return false, nil
	}
	reader := client.Reader(s.Client)
	if s.denialAnnounced() {
		// The cache holds open Approvals only, and the one that was denied may be closed already.
		reader = s.Reader
	}
	list, err := s.ownApprovals(ctx, reader)
	if err != nil {
		return false, err
	}
	for i := range list {
		if over, err := s.denial(ctx, list[i].DeepCopy()); over || err != nil {
			return over, err
		}
	}
	return false, nil
}

// denial ends the request where an approver has said no in one Approval.
func (s *scope) denial(ctx context.Context, approval *v1alpha1.Approval) (bool, error) {
	state := approval.Status.State
	if state != v1alpha1.ApprovalOpen && state != v1alpha1.ApprovalDenied || len(approval.Spec.Votes) == 0 {
		return false, nil
	}
	stage, err := s.votesOn(ctx, approval)
	if err != nil || stage == nil {
		return false, err
	}
	if state == v1alpha1.ApprovalDenied {
		return true, s.denied(ctx, stage)
	}
	if stage.result.State != v1alpha1.ApprovalDenied {
		return false, nil
	}
	if err := s.closeAs(ctx, stage, v1alpha1.ApprovalDenied, decidedLines(stage)); err != nil {
		return false, err
	}
	return true, s.denied(ctx, stage)
}

// denialAnnounced tells whether a denial was found earlier, and the request has not ended yet.
func (s *scope) denialAnnounced() bool {
	approved := meta.FindStatusCondition(s.before.Conditions, v1alpha1.ConditionApproved)
	return approved != nil && approved.Reason == v1alpha1.ReasonDenied
}

// announceDenial stores that a denial was found before its Approval is closed: whatever happens between closing and ending the
// request, the denial is looked for again, also where nothing demands its stage any more.
func (s *scope) announceDenial(ctx context.Context, stage *stageState) error {
	if s.denialAnnounced() {
		return nil
	}
	s.condition(v1alpha1.ConditionApproved, false, v1alpha1.ReasonDenied, fmt.Sprintf("Denied in stage %s; the request ends.", stage.Ref.Name))
	return s.store(ctx)
}

// count counts the votes of an Approval as they stand now. Again says that its votes no longer count and a new round is
// needed, over that the request has ended.
func (s *scope) count(ctx context.Context, stage *stageState) (again, over bool, err error) {
	approval := stage.approval
	if err := s.votes(ctx, s.judgement, stage); err != nil {
		return false, false, err
	}
	switch approval.Status.State {
	case v1alpha1.ApprovalDenied:
		return false, true, s.denied(ctx, stage)
	case v1alpha1.ApprovalExpired:
		return false, true, s.stageExpired(ctx, stage)
	case v1alpha1.ApprovalApproved:
		return s.stillApproved(ctx, stage)
	case v1alpha1.ApprovalOpen, v1alpha1.ApprovalSuperseded:
	}
	return s.decide(ctx, stage)
}

// decide closes an open Approval whose votes have been counted, or shows how far it has come.
func (s *scope) decide(ctx context.Context, stage *stageState) (again, over bool, err error) {
	approval := stage.approval
	switch {
	case stage.result.State == v1alpha1.ApprovalDenied:
		if err := s.closeAs(ctx, stage, v1alpha1.ApprovalDenied, decidedLines(stage)); err != nil {
			return false, false, err
		}
		return false, true, s.denied(ctx, stage)
	case stage.result.State == v1alpha1.ApprovalApproved && s.lapsed(stage):
		return true, false, s.closeAs(ctx, stage, v1alpha1.ApprovalSuperseded,
			append(decidedLines(stage), fmt.Sprintf("No longer counts: it was valid for %s, and nothing could be started meanwhile.", stage.ValidFor)))
	case stage.result.State == v1alpha1.ApprovalApproved:
		// Every vote was given in time, as its seal proves, also where something kept it from being counted until now.
		if again, over, err := s.drifted(ctx, stage, decidedLines(stage)); again || over || err != nil {
			return again, over, err
		}
		return false, false, s.closeAs(ctx, stage, v1alpha1.ApprovalApproved, decidedLines(stage))
	case s.tooLateFor(stage):
		return false, true, s.expire(ctx, stage)
	}
	s.at(approval.Spec.ExpiresAt.Time)
	s.at(s.Gate.Lapses(s.judgement, approval))
	return false, false, s.progress(ctx, stage)
}

// tooLateFor tells that the time of a stage is over in which not everybody agreed.
func (s *scope) tooLateFor(stage *stageState) bool {
	return stage.result.State != v1alpha1.ApprovalApproved && !s.now.Before(stage.approval.Spec.ExpiresAt.Time)
}

// expire ends the request because nobody decided about a stage in time.
func (s *scope) expire(ctx context.Context, stage *stageState) error {
	if err := s.closeAs(ctx, stage, v1alpha1.ApprovalExpired, []string{"Expired: nobody decided in time."}); err != nil {
		return err
	}
	return s.stageExpired(ctx, stage)
}

// votes verifies the Approval of a stage and counts its votes.
func (s *scope) votes(ctx context.Context, judgement *gate.Judgement, stage *stageState) error {
	ballot, err := s.ballot(stage.approval)
	if err != nil {
		return err
	}
	s.voted(stage.approval, ballot)
	result, err := s.Gate.Count(ctx, judgement, stage.approval)
	if err != nil {
		return fmt.Errorf("failed to count the votes on Approval %s/%s: %w", stage.approval.Namespace, stage.approval.Name, err)
	}
	stage.ballot, stage.result = ballot, result
	return nil
}

// stageOf stands for the stage of an Approval, which may not be required at the moment.
func stageOf(approval *v1alpha1.Approval) *stageState {
	return &stageState{Stage: &gate.Stage{Stage: &catalog.Stage{Ref: approval.Spec.Stage}}, approval: approval}
}

// votesOn verifies an Approval that was found, and counts its votes. Nil: somebody else made it, so nobody decided anything there.
func (s *scope) votesOn(ctx context.Context, approval *v1alpha1.Approval) (*stageState, error) {
	stage := stageOf(approval)
	err := s.votes(ctx, s.judgement, stage)
	switch {
	case evidence.Is(err) && !s.knows(approval):
		s.suspect(s.key(), approval.UID, evidence.Of(err))
		return nil, nil //nolint:nilnil // that it is none of ours is an answer, not an error
	case err != nil:
		return nil, err
	}
	return stage, nil
}

// stillApproved judges a granted approval again: would every vote be accepted now, and is it still fresh?
func (s *scope) stillApproved(ctx context.Context, stage *stageState) (again, over bool, err error) {
	approval := stage.approval
	if stage.result.State != v1alpha1.ApprovalApproved {
		return true, false, s.closeAs(ctx, stage, v1alpha1.ApprovalSuperseded,
			append(approval.Status.Decided, "No longer counts: not every vote would be accepted now."))
	}
	if again, over, err := s.drifted(ctx, stage, approval.Status.Decided); again || over || err != nil {
		return again, over, err
	}
	s.at(s.Gate.Lapses(s.judgement, approval))
	if !s.lapsed(stage) {
		s.at(stage.lapses())
		return false, false, nil
	}
	return true, false, s.closeAs(ctx, stage, v1alpha1.ApprovalSuperseded,
		append(approval.Status.Decided, fmt.Sprintf("No longer counts: it was valid for %s.", stage.ValidFor)))
}

// lapses is when an agreement no longer counts, from the last vote on that was needed: what keeps votes from being counted does not make them younger. Zero: never.
func (st *stageState) lapses() time.Time {
	validFor, err := st.ValidFor.Value(0)
	last := st.lastVote()
	if err != nil || validFor == 0 || last.IsZero() {
		return time.Time{}
	}
	return last.Add(validFor)
}

func (s *scope) lapsed(stage *stageState) bool {
	end := stage.lapses()
	return !end.IsZero() && !s.now.Before(end)
}

// closeAs closes an Approval. The resource version is that of the votes that were counted: any vote in between conflicts, and
// is counted again.
func (s *scope) closeAs(ctx context.Context, stage *stageState, state v1alpha1.ApprovalState, decided []string) error {
	if state == v1alpha1.ApprovalDenied {
		if err := s.announceDenial(ctx, stage); err != nil {
			return err
		}
	}
	if err := s.writeState(ctx, stage.approval, stage.ballot, state, decided); err != nil {
		return err
	}
	s.event(s.request, string(state), fmt.Sprintf("Stage %s: %s", stage.Ref.Name, strings.Join(decided, " ")))
	return nil
}

func (s *scope) writeState(ctx context.Context, approval *v1alpha1.Approval, ballot *evidence.Ballot, state v1alpha1.ApprovalState, decided []string) error {
	closed := metav1.NewTime(s.now.Truncate(time.Second))
	approval.Status.State, approval.Status.Decided, approval.Status.ClosedAt = state, bounded(decided, maxDecided), &closed
	approval.Status.WaitingFor, approval.Status.Missing = "", nil
	approval.Status.ObservedGeneration = approval.Generation
	setCondition(&approval.Status.Conditions, approval.Generation, s.now, v1alpha1.ConditionReady,
		state == v1alpha1.ApprovalApproved, string(state), strings.Join(decided, " "))
	if err := s.sealState(approval, ballot, s.now); err != nil {
		return err
	}
	if err := s.Client.Status().Update(ctx, approval); err != nil {
		return fmt.Errorf("failed to close Approval %s/%s: %w", approval.Namespace, approval.Name, err)
	}
	if s.closedNow(approval, ballot) && state == v1alpha1.ApprovalSuperseded {
		s.drops(approval)
	}
	s.closed[approval.Name] = true
	s.event(approval, string(state), strings.Join(decided, " "))
	return nil
}

// findOrOpen gives the Approval of a stage for the digest as it is now.
func (s *scope) findOrOpen(ctx context.Context, stage *stageState, round int) (*v1alpha1.Approval, error) {
	key := types.NamespacedName{Namespace: s.request.Namespace, Name: s.approvalName(stage, round)}
	found := &v1alpha1.Approval{}
	err := s.Client.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		// The cache holds open Approvals only.
		err = s.Reader.Get(ctx, key, found)
	}
	switch {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("failed to get Approval %s: %w", key, err)
	case s.missing(key.Name, found.UID) != nil:
		return nil, s.missing(key.Name, found.UID)
	case err != nil:
		return s.open(ctx, stage, key.Name)
	case found.Spec.RequestRef.UID != s.request.UID || found.Spec.Digest != s.plan.digest:
		return nil, fmt.Errorf("Approval %s is not about this request; it must be removed by an administrator", key) //nolint:staticcheck // a kind begins with a capital
	}
	s.opens(found)
	return found.DeepCopy(), nil
}

func (s *scope) open(ctx context.Context, stage *stageState, name string) (*v1alpha1.Approval, error) {
	s.tryOut(ctx)
	approval := s.newApproval(stage, name)
	if err := s.create(ctx, approval); err != nil {
		return nil, err
	}
	s.event(approval, v1alpha1.ReasonAwaitingApproval, "Needs "+approval.Spec.Needs+". Expires "+approval.Spec.Expires+".")
	return approval, nil
}

// create seals an Approval and creates it.
func (s *scope) create(ctx context.Context, approval *v1alpha1.Approval) error {
	root, err := s.Evidence.SealApproval(approval, s.now)
	if err != nil {
		return fmt.Errorf("failed to seal Approval %s/%s: %w", approval.Namespace, approval.Name, err)
	}
	if err := s.Client.Create(ctx, approval); err != nil {
		return fmt.Errorf("failed to create Approval %s/%s: %w", approval.Namespace, approval.Name, err)
	}
	s.openedNow(approval, root)
	s.opens(approval)
	return nil
}

// approvalName stands for the request, the stage, everything that will be executed, who must agree, and the round.
func (s *scope) approvalName(stage *stageState, round int) string {
	demands, err := json.Marshal([]any{stage.Requirements, stage.Denials, stage.CommentOnDeny, stage.Reminder, stage.EscalateAfter, stage.Further})
	if err != nil {
		demands = []byte(err.Error())
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%d", s.request.UID, stage.Ref.ID(), s.plan.digest, demands, round))
	return cut(s.request.Name, 40) + "-" + cut(stage.Ref.Name, 12) + "-" + hex.EncodeToString(sum[:4])
}

func cut(name string, length int) string {
	if len(name) > length {
		name = name[:length]
	}
	return strings.TrimRight(name, "-.")
}

// supersede closes Approvals of this request that are about something else by now, and says what changed.
func (s *scope) supersede(ctx context.Context, current []*stageState) error {
	if s.before.Digest == "" {
		return nil
	}
	list, err := s.openApprovals(ctx)
	if err != nil {
		return err
	}
	required := map[string]*v1alpha1.Approval{}
	for _, stage := range current {
		if stage.approval != nil {
			required[stage.approval.Name] = stage.approval
		}
	}
	for i := range list {
		old := &list[i]
		// A stage that is not required at the moment keeps its Approval, as long as that is about the same thing.
		if required[old.Name] != nil {
			continue
		}
		why := s.outdated(old, current)
		if why == nil {
			continue
		}
		if err := s.supersedeAs(ctx, old, why); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// outdated says why an Approval of a stage that is not required at the moment is about something else by now. Nil: it is not.
func (s *scope) outdated(old *v1alpha1.Approval, current []*stageState) []string {
	changed := old.Spec.Digest != s.plan.digest
	switch {
	case changed || replaced(old, current):
		edited := s.Gate.Edited(s.judgement, old.CreationTimestamp.Time)
		lines := s.changes(old, edited)
		if changed {
			s.voids(old, edited, lines[1:])
		}
		return lines
	case !old.Spec.Review && !s.judgement.Defines(old.Spec.Stage):
		return []string{fmt.Sprintf("Nothing defines stage %s any more.", old.Spec.Stage.ID())}
	}
	return nil
}

// closeUndemanded closes Approvals of stages that nothing demands at the moment, before the execution is claimed, and tells whether
// the request is over. A denial that comes in between conflicts with the write, and is honoured then; a later one is refused,
// because the Approval is closed.
func (s *scope) closeUndemanded(ctx context.Context) (bool, error) {
	list, err := s.ownApprovals(ctx, s.Client)
	if err != nil {
		return false, err
	}
	for i := range list {
		approval := list[i].DeepCopy()
		if s.closed[approval.Name] {
			continue
		}
		if over, err := s.denial(ctx, approval); over || err != nil {
			return over, err
		}
		if err := s.supersedeOne(ctx, approval, "The request starts, and nothing demands this stage any more."); err != nil {
			return false, err
		}
	}
	return false, nil
}

// replaced tells whether a stage has another Approval by now.
func replaced(old *v1alpha1.Approval, current []*stageState) bool {
	return slices.ContainsFunc(current, func(st *stageState) bool { return st.approval != nil && st.Ref == old.Spec.Stage })
}

// openApprovals lists the Approvals of this request that may still be closed or superseded. Those that were granted are not
// in the cache; they are looked up only where what they were about has changed.
func (s *scope) openApprovals(ctx context.Context) ([]v1alpha1.Approval, error) {
	reader := client.Reader(s.Client)
	if s.plan != nil && s.before.Digest != s.plan.digest {
		reader = s.Reader
	}
	list, err := s.ownApprovals(ctx, reader)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(a v1alpha1.Approval) bool {
		return a.Status.State != v1alpha1.ApprovalOpen && a.Status.State != v1alpha1.ApprovalApproved
	}), nil
}

// expiresAt is when the Approval of a stage ends, if it opens now.
func (s *scope) expiresAt(stage *stageState) time.Time {
	end := s.expires()
	timeout, err := stage.Timeout.Value(0)
	if err == nil && timeout > 0 && s.now.Add(timeout).Before(end) {
		return s.now.Add(timeout)
	}
	return end
}
