package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// toVoteOn reads the Approval that a word names: by its own name, or by that of the request that it is about. A request is what people see in lists.
func (s *session) toVoteOn(ctx context.Context, name *named, decision v1alpha1.Decision) (*unstructured.Unstructured, error) {
	if name.kind == requests {
		if _, err := s.get(ctx, requests, name.namespace, name.name); err != nil {
			return nil, err
		}
		return s.openOf(ctx, name, decision)
	}
	object, err := s.get(ctx, approvals, name.namespace, name.name)
	if !isMissing(err) {
		return object, err
	}
	// Where there is no such request either, or one may not read it, it was the Approval that was meant.
	if _, unread := s.get(ctx, requests, name.namespace, name.name); unread != nil {
		return nil, err
	}
	return s.openOf(ctx, name, decision)
}

// openOf gives the one open Approval of a request, or the one on which the caller can vote.
func (s *session) openOf(ctx context.Context, request *named, decision v1alpha1.Decision) (*unstructured.Unstructured, error) {
	open, err := s.list(ctx, approvals, request.namespace,
		fields.Set{"spec.requestRef.name": request.name, "status.state": string(v1alpha1.ApprovalOpen)}.String())
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range open.Rows {
		names = append(names, open.object(i).GetName())
	}
	switch len(names) {
	case 0:
		return nil, fmt.Errorf("no Approval of request %s is open; see: kubectl signoff show -n %s %s", request, request.namespace, request.name)
	case 1:
		return open.object(0), nil
	}
	if err := s.keepMineToVote(ctx, open, decision); err != nil {
		return nil, err
	}
	if len(open.Rows) == 1 {
		return open.object(0), nil
	}
	return nil, fmt.Errorf("several Approvals of request %s are open, and you can vote on %d of them; name one: %s", request, len(open.Rows), strings.Join(names, ", "))
}

// keepMineToVote drops Approvals on which the caller cannot vote, has voted, or for a vote that is taken back, has none.
func (s *session) keepMineToVote(ctx context.Context, open *table, decision v1alpha1.Decision) error {
	if decision != v1alpha1.DecisionWithdraw {
		votes, err := s.tryVotes(ctx, open)
		if err != nil {
			return err
		}
		open.keep(func(approval *unstructured.Unstructured) bool { return votes.mine[approval.GetUID()] })
		if len(votes.failed) > 0 {
			return errors.New(strings.Join(votes.failed, "\n")) // it may be the one that was meant
		}
		return nil
	}
	var unknown error
	open.keep(func(approval *unstructured.Unstructured) bool {
		_, err := cast(ctx, s.objects, approval, &v1alpha1.VoteRequest{Decision: decision}, true)
		if err != nil && !mayNotVote(err) && !isMissing(err) {
			unknown = fmt.Errorf("cannot tell whether you can take back a vote on %s/%s: %w", approval.GetNamespace(), approval.GetName(), asUnknown(refused(err)))
		}
		return err == nil
	})
	s.connection.taken() // warnings about votes that nobody took back
	return unknown
}
