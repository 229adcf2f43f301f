package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/visible"
)

// cast writes a vote, or tries it.
func cast(ctx context.Context, objects dynamic.Interface, approval *unstructured.Unstructured, vote *v1alpha1.VoteRequest, try bool) (*unstructured.Unstructured, error) {
	return patchSpec(ctx, objects, approvals, approval.GetNamespace(), approval.GetName(), "vote", vote, try)
}

// voteOptions are the flags of `approve`, `deny` and `withdraw`.
type voteOptions struct {
	decision        v1alpha1.Decision
	done            string
	comment, digest string
	// principal is for whom one votes.
	principal   string
	yes, dryRun bool
	outputs     *outputs
}

func (p *Program) approve() *cobra.Command {
	return p.vote(&voteOptions{decision: v1alpha1.DecisionApprove, done: "approved"}, &cobra.Command{
		Use:   "approve APPROVAL...",
		Short: "Approve what others ask for",
		Long: `Approves what others ask for. What is approved is shown first, and its digest is sent with the vote: if it changes meanwhile, the vote is
refused. On a terminal you are asked to confirm, unless you name the digest that you looked at, or --yes.

` + ofARequest + `

` + voteExit,
		Example: `  kubectl signoff inbox
  kubectl signoff show -n payments approval/checkout-1-42-a81f
  kubectl signoff approve -n payments checkout-1-42-a81f --digest 9f3c1a7e
  kubectl signoff approve -n payments checkout-1-42-a81f --for bob`,
	})
}

func (p *Program) deny() *cobra.Command {
	return p.vote(&voteOptions{decision: v1alpha1.DecisionDeny, done: "denied"}, &cobra.Command{
		Use:   "deny APPROVAL...",
		Short: "Deny what others ask for",
		Long: `Denies what others ask for. That is final, unless the stage says that several people must deny. Say why with --comment, or --reason: the
requester will read it. On a terminal you are asked. As with "approve", what is denied is shown first, and its digest is sent with the vote.

` + ofARequest + `

` + voteExit,
		Example: `  kubectl signoff deny -n payments checkout-1-42-a81f --comment "wrong image"`,
	})
}

func (p *Program) withdraw() *cobra.Command {
	return p.vote(&voteOptions{decision: v1alpha1.DecisionWithdraw, done: "withdrawn"}, &cobra.Command{
		Use:   "withdraw APPROVAL...",
		Short: "Take your vote back",
		Long: `Takes your vote back, as long as the Approval is open.

` + ofARequest + `

` + voteExit,
		Example: `  kubectl signoff withdraw -n payments checkout-1-42-a81f`,
	})
}

const ofARequest = `APPROVAL can also be the name of a request, where it has one open Approval, or you can vote on one only.`

const voteExit = `The exit code is 0 if every vote was recorded, 1 if one was refused, and 2 if one got no answer.`

func (p *Program) vote(o *voteOptions, command *cobra.Command) *cobra.Command {
	command.Args = takes(1, many)
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runVote(cmd, c, args, o) }
	command.ValidArgsFunction = p.completes(c, (*session).open)
	flags := command.Flags()
	flags.StringVarP(&o.comment, "comment", "m", "", "why")
	flags.StringVar(&o.principal, "for", "", "the user name of whom you vote for, by a Delegation (default: yourself, or who lets you where you are no approver)")
	flags.StringVar(&o.digest, "digest", "", "the digest of what you looked at, or its first 8 digits or more (default: of what is shown now)")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask to confirm")
	dryRunFlag(command, &o.dryRun)
	if o.decision == v1alpha1.DecisionDeny {
		// Whoever cancels or asks says --reason.
		flags.StringVar(&o.comment, "reason", "", "the same as --comment")
		command.MarkFlagsMutuallyExclusive("comment", "reason")
	}
	o.outputs = outputFlags(command, o.done)
	return command
}

func (p *Program) runVote(command *cobra.Command, c *connection, words []string, o *voteOptions) error {
	if err := o.outputs.check(false); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	names, err := s.allNamed(words, approvals, requests)
	if err != nil {
		return err
	}
	all := &worst{}
	for _, name := range names {
		if all.of(p, name.String(), s.voteOn(command.Context(), name, o)); command.Context().Err() != nil {
			break // whoever interrupts one means all
		}
	}
	return all.end()
}

// voteOn shows one Approval and votes on what was shown.
func (s *session) voteOn(ctx context.Context, name *named, o *voteOptions) error {
	object, err := s.toVoteOn(ctx, name, o.decision)
	if err != nil {
		return err
	}
	approval, err := typedAs[v1alpha1.Approval](object)
	if err != nil {
		return err
	}
	s.say("%s/%s (digest %s)\n  %s", approval.Namespace, approval.Name, approval.Spec.Digest, strings.Join(whatIsAgreedTo(approval), "\n  "))
	vote := &v1alpha1.VoteRequest{Decision: o.decision, Comment: o.comment, Digest: approval.Spec.Digest, Principal: o.principal}
	if o.digest != "" {
		vote.Digest = o.digest
	}
	if o.decision == v1alpha1.DecisionDeny {
		if vote.Comment, err = s.whyNot(ctx, approval, o.comment); err != nil {
			return err
		}
	}
	if o.principal != "" {
		s.say("  In the name of %s.", visible.Escaped(o.principal))
	}
	if err := s.confirm(ctx, o); err != nil {
		return err
	}
	after, err := cast(ctx, s.objects, object, vote, o.dryRun)
	s.warn(s.connection)
	if err != nil {
		return refused(err)
	}
	return s.printObject(o.outputs, after, printedAs(o.dryRun))
}

// whatIsAgreedTo is the summary of an Approval without the commands to vote. Who forged one may have hidden something in it.
func whatIsAgreedTo(approval *v1alpha1.Approval) []string {
	var lines []string
	for _, line := range approval.Spec.Summary {
		if !strings.HasPrefix(line, "Approve: kubectl ") && !strings.HasPrefix(line, "Deny:    kubectl ") {
			lines = append(lines, visible.Escaped(line))
		}
	}
	return lines
}

// whyNot are the words of a denial: those that were given, or those of somebody at a terminal, who may leave them out where the stage does not ask for any.
func (s *session) whyNot(ctx context.Context, approval *v1alpha1.Approval, given string) (string, error) {
	if given != "" || !s.asks() {
		return given, nil
	}
	if approval.Spec.CommentOnDeny == v1alpha1.CommentOptional {
		return s.ask(ctx, "comment (may be left out): ")
	}
	return s.words(ctx, given, "comment: ", "say why with --comment: the requester will read it")
}

// confirm asks a person whether that is what they meant. Who names a digest has looked before.
func (s *session) confirm(ctx context.Context, o *voteOptions) error {
	if o.yes || o.dryRun || o.digest != "" || o.decision == v1alpha1.DecisionWithdraw || !s.asks() {
		return nil
	}
	answer, err := s.ask(ctx, fmt.Sprintf("%s this? [y/N] ", o.decision))
	if err != nil {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return &ending{exitNo, "not confirmed: you did not vote"}
	}
	return nil
}
