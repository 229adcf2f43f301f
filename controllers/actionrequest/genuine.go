package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/seal"
)

// adopted is what this process remembers of a request that it has adopted, beside what the status of the request says: whoever could write
// that while the webhooks were away could also cut it.
type adopted struct {
	uid       types.UID
	approvals []v1alpha1.OpenedApproval
}

// genuine tells whether the request is what somebody asked for: sealed by the webhook, taken up once, and with all its Approvals.
func (s *scope) genuine(ctx context.Context) error {
	envelope, err := s.Evidence.Request(s.request)
	if err != nil {
		return fmt.Errorf("failed to verify request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	}
	s.sealed = envelope
	return s.adopt(ctx, envelope)
}

// void says why an execution must stop here although its request was claimed: the key that sealed the request was revoked since. Empty: nothing
// speaks against it. What has begun is seen to a point at which it may stop.
func (s *scope) void(ctx context.Context, record *v1alpha1.Record, index int) (string, error) {
	if s.orphan {
		return "", nil
	}
	_, err := s.Evidence.Request(s.request)
	if err == nil {
		return "", nil
	}
	problem := evidence.Of(err)
	switch {
	case problem.Wait && index == len(record.Status.Steps):
		return "", fmt.Errorf("failed to verify request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	case problem.Wait:
		return "", nil
	}
	if safe, err := s.safePoint(ctx, record, index); !safe || err != nil {
		return "", err
	}
	return "It goes no further: " + problem.Message + ". " + s.doneSoFar(record, index), nil
}

// adopt takes a request up, or tells whether it was taken up before. It is shown with the next write of the status.
func (s *scope) adopt(ctx context.Context, envelope *seal.Envelope) error {
	done, err := s.Evidence.Adopted(s.request, envelope)
	if err != nil {
		return fmt.Errorf("failed to verify that the request was taken up: %w", err)
	}
	known := s.remembered()
	if done != nil {
		return s.allThere(known)
	}
	if err := s.Evidence.Fresh(s.request, s.Wall.Now()); err != nil {
		return fmt.Errorf("failed to take the request up: %w", err)
	}
	if err := s.unheardOf(ctx, known); err != nil {
		return err
	}
	if err := s.allThere(known); err != nil {
		return err
	}
	s.adopted.Add(s.request.Spec.Seal.Nonce, &adopted{uid: s.request.UID})
	if err := s.Evidence.Adopt(s.request, envelope, s.now); err != nil {
		return fmt.Errorf("failed to take the request up: %w", err)
	}
	return nil
}

// remembered is what this process remembers of the nonce of the request. Nil: nothing.
func (s *scope) remembered() *adopted {
	if known, ok := s.adopted.Get(s.request.Spec.Seal.Nonce); ok {
		return known.(*adopted) //nolint:forcetypeassert // nothing else is put in
	}
	return nil
}

// unheardOf tells whether a nonce is new. A request that was deleted and restored within the minute for which its seal is fresh has another
// uid. What happened before this process led is told by the Records, which are looked for only where it can matter.
func (s *scope) unheardOf(ctx context.Context, known *adopted) error {
	again := &evidence.Error{Reason: v1alpha1.ReasonReplayed, Message: "the request is a copy of one that was there before"}
	if known != nil {
		if known.uid != s.request.UID {
			return again
		}
		return nil
	}
	if s.ownFind() {
		return nil
	}
	list := &v1alpha1.RecordList{}
	if err := s.Reader.List(ctx, list, client.InNamespace(s.OperatorNamespace), client.MatchingLabels{v1alpha1.LabelNonce: s.request.Spec.Seal.Nonce}); err != nil {
		return fmt.Errorf("failed to list the Records of request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	}
	if slices.ContainsFunc(list.Items, func(r v1alpha1.Record) bool { return r.Spec.RequestRef.UID != s.request.UID }) {
		return again
	}
	return nil
}

// allThere tells whether the status names every Approval that this process remembers.
func (s *scope) allThere(known *adopted) error {
	if known == nil {
		return nil
	}
	for _, a := range known.approvals {
		if !slices.Contains(s.openedApprovals(), a) {
			return &evidence.Error{Reason: v1alpha1.ReasonEvidenceLost, Message: fmt.Sprintf("the status of the request does not name the Approval %s any more", a.Name)}
		}
	}
	return nil
}

func (s *scope) openedApprovals() []v1alpha1.OpenedApproval {
	if s.request.Status.Adoption == nil {
		return nil
	}
	return s.request.Status.Adoption.Approvals
}

// unproven ends a request whose evidence does not hold, or keeps it until that can be told.
func (s *scope) unproven(ctx context.Context, err error) error {
	problem := evidence.Of(err)
	if !problem.Wait {
		if problem.Reason != v1alpha1.ReasonEvidenceLost || !s.goes(ctx) {
			s.suspect(s.key(), s.request.UID, problem)
		}
		return s.finish(ctx, v1alpha1.OutcomeFailed, ending{reason: problem.Reason, rejected: true, message: fmt.Sprintf("This request will never run: %s. Ask again.", problem.Message)})
	}
	phase := v1alpha1.PhasePending
	if s.request.Status.Execution != nil {
		phase = v1alpha1.PhaseExecuting
	}
	s.waiting(phase, problem.Reason, "Waits: "+problem.Message+".", gate.Cut(problem.Message, gate.ColumnWidth))
	s.lookAgain()
	return s.store(ctx)
}

// unjudged keeps a request of which a vote cannot be judged until it can be.
func (s *scope) unjudged(ctx context.Context, vote *gate.Unjudged) error {
	message := fmt.Sprintf("Waits, because the vote of %s cannot be judged: %s", vote.Voter, vote.Problem.Message)
	waitingFor := gate.Cut("the vote of "+vote.Voter+" cannot be judged", gate.ColumnWidth)
	if s.judgement.AskAgain() != nil {
		waitingFor = mustBeAskedAgain
	}
	s.unjudgeable(message, waitingFor)
	s.lookAgain()
	return s.store(ctx)
}

// ballot verifies an Approval and its votes.
func (s *scope) ballot(approval *v1alpha1.Approval) (*evidence.Ballot, error) {
	ballot, err := s.Evidence.Approval(approval)
	if err != nil {
		return nil, fmt.Errorf("failed to verify Approval %s/%s: %w", approval.Namespace, approval.Name, err)
	}
	return ballot, nil
}

// knows tells whether an Approval is one that the operator has opened for this request, as far as the request says.
func (s *scope) knows(approval *v1alpha1.Approval) bool {
	return slices.Contains(s.openedApprovals(), v1alpha1.OpenedApproval{Name: approval.Name, UID: approval.UID})
}

// missing tells whether the operator has opened an Approval of that name which is gone, or which is not the one that is there now.
func (s *scope) missing(name string, there types.UID) error {
	for _, a := range s.openedApprovals() {
		if a.Name == name && a.UID != there {
			return &evidence.Error{Reason: v1alpha1.ReasonEvidenceLost, Message: fmt.Sprintf("the Approval %s was removed, and with it who had agreed or denied", name)}
		}
	}
	return nil
}

// noneMissing tells whether every Approval that the operator has opened is still there, those included that nothing demands any more: somebody
// may have denied there.
func (s *scope) noneMissing(ctx context.Context) error {
	for _, opened := range s.openedApprovals() {
		if slices.ContainsFunc(s.plan.approvedBy, func(a v1alpha1.RecordedApproval) bool { return a.UID == opened.UID }) {
			continue
		}
		found := &v1alpha1.Approval{}
		err := s.Reader.Get(ctx, types.NamespacedName{Namespace: s.request.Namespace, Name: opened.Name}, found)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("failed to get Approval %s/%s: %w", s.request.Namespace, opened.Name, err)
		}
		if err := s.missing(opened.Name, found.UID); err != nil {
			return err
		}
	}
	return nil
}

// opens notes that an Approval belongs to the request. It is shown and sealed with the next write of the status.
func (s *scope) opens(approval *v1alpha1.Approval) {
	if s.request.Status.Adoption == nil || s.knows(approval) {
		return
	}
	s.request.Status.Adoption.Approvals = append(s.request.Status.Adoption.Approvals, v1alpha1.OpenedApproval{Name: approval.Name, UID: approval.UID})
	s.readopt = true
}

// drops forgets an Approval that counts no more.
func (s *scope) drops(approval *v1alpha1.Approval) {
	if !s.knows(approval) {
		return
	}
	own := s.request.Status.Adoption
	own.Approvals = slices.DeleteFunc(slices.Clone(own.Approvals), func(a v1alpha1.OpenedApproval) bool { return a.UID == approval.UID })
	s.readopt = true
}

// sealAdoption seals anew which Approvals belong to the request, where that has changed.
func (s *scope) sealAdoption() error {
	if !s.readopt || s.sealed == nil {
		return nil
	}
	if err := s.Evidence.Adopt(s.request, s.sealed, s.now); err != nil {
		return fmt.Errorf("failed to seal the Approvals of request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	}
	s.readopt = false
	return nil
}

// stored remembers what the status that was written says.
func (s *scope) stored() {
	if s.request.Spec.Seal == nil || s.request.Status.Adoption == nil {
		return
	}
	s.adopted.Add(s.request.Spec.Seal.Nonce, &adopted{uid: s.request.UID, approvals: slices.Clone(s.openedApprovals())})
}

// sealState seals how an Approval stands, before its status is written. One that cannot be verified is closed without: it counts no more.
func (s *scope) sealState(approval *v1alpha1.Approval, ballot *evidence.Ballot, at time.Time) error {
	if ballot == nil {
		approval.Status.Seal = nil
		return nil
	}
	if err := s.Evidence.SealHead(approval, ballot, at); err != nil {
		return fmt.Errorf("failed to seal Approval %s/%s: %w", approval.Namespace, approval.Name, err)
	}
	return nil
}
