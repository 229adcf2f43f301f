package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// inboxOptions are the flags of `inbox`.
type inboxOptions struct {
	all        bool
	everywhere *bool
	outputs    *outputs
}

func (p *Program) inbox() *cobra.Command {
	o := &inboxOptions{}
	command := &cobra.Command{
		Use:   "inbox",
		Short: "List what waits for your decision",
		Long: `Lists the open Approvals that wait for you: those on which you could vote and have not. Each is tried: your vote is sent as a server-side dry
run, which stores nothing, so the answer is that of the webhook and not a guess. Who took a vote back is asked again.

It looks in all namespaces, or where you may not list those, in that of your kubeconfig. Name one with -n. Where it looks in all, -o name prints
the namespace as well, as KIND/NAMESPACE/NAME: "show", "approve", "deny" and "withdraw" take that.`,
		Example: `  kubectl signoff inbox
  kubectl signoff inbox -o name | xargs -n 1 kubectl signoff show
  kubectl signoff inbox -n payments -o name`,
		Args: takes(0, 0),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error { return p.runInbox(cmd, c, o) }
	command.Flags().BoolVar(&o.all, "all", false, "also open Approvals that wait for others, or on which you voted")
	o.everywhere = allNamespaces(command)
	o.outputs = outputFlags(command, "")
	return command
}

func (p *Program) runInbox(command *cobra.Command, c *connection, o *inboxOptions) error {
	if err := o.outputs.check(true); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	s.chosen = s.chosen && !*o.everywhere
	ctx := command.Context()
	open, err := s.openApprovals(ctx)
	if err != nil {
		return err
	}
	if o.all {
		return p.printTable(o.outputs, open, true)
	}
	tried, err := s.tryVotes(ctx, open)
	if err != nil {
		return err
	}
	return p.printInbox(o, open, tried)
}

// printInbox prints of what is open what waits for the caller.
func (p *Program) printInbox(o *inboxOptions, open *table, votes *tried) error {
	count, failed := len(open.Rows), votes.failed
	open.keep(func(approval *unstructured.Unstructured) bool { return votes.mine[approval.GetUID()] })
	// Of what could not be told, something may wait.
	if len(open.Rows) == 0 && len(failed) == 0 && o.outputs.forPeople() {
		p.say("nothing waits for you; open Approvals that wait for others, or on which you voted: %d", count)
	}
	if err := p.printTable(o.outputs, open, true); err != nil || len(failed) == 0 {
		return err
	}
	for _, text := range failed {
		p.say("error: %s", text)
	}
	return errSaid
}

// openApprovals lists what is open: everywhere, or where one may not look there, in one namespace.
func (s *session) openApprovals(ctx context.Context) (*table, error) {
	const open = "status.state=" + string(v1alpha1.ApprovalOpen)
	if s.chosen {
		return s.list(ctx, approvals, s.namespace, open)
	}
	everywhere, err := s.list(ctx, approvals, "", open)
	if !errors.Is(err, errForbidden) {
		return everywhere, err
	}
	found, err := s.list(ctx, approvals, s.namespace, open)
	if err == nil {
		s.say("note: only namespace %s is looked at, since you may not list Approvals in all; name another with -n", s.namespace)
	}
	return found, err
}

// tried says what came of votes that were tried.
type tried struct {
	mu sync.Mutex
	// mine are the Approvals on which one could vote and has not.
	mine map[types.UID]bool
	// failed says of which nobody knows.
	failed []string
}

// triesAtOnce bounds how many votes are tried at the same time.
const triesAtOnce = 8

// tryVotes sends a vote on each, as a dry run.
func (s *session) tryVotes(ctx context.Context, open *table) (*tried, error) {
	config, err := s.connection.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("failed to find the cluster: %w", err)
	}
	config = rest.CopyConfig(config)
	// What the API server warns of is about a vote that nobody casts.
	config.WarningHandler, config.UserAgent = rest.NoWarnings{}, fieldManager
	config.QPS, config.Burst = callsPerSecond, 2*callsPerSecond
	quiet, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	out := &tried{mine: map[types.UID]bool{}}
	var all sync.WaitGroup
	slots := make(chan struct{}, triesAtOnce)
	for i := range open.Rows {
		approval := open.object(i)
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			waits, err := waitsForMe(ctx, quiet, approval, patience(ctx))
			out.take(approval, waits, err)
		})
	}
	all.Wait()
	slices.Sort(out.failed)
	return out, nil
}

func (t *tried) take(approval *unstructured.Unstructured, waits bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed = append(t.failed, fmt.Sprintf("cannot tell whether %s/%s waits for you: %v", approval.GetNamespace(), approval.GetName(), err))
		return
	}
	t.mine[approval.GetUID()] = waits
}

// patience waits a second where no dry run is left, up to a minute for each Approval, and tells whether to try again.
func patience(ctx context.Context) func() bool {
	tries := 0
	return func() bool {
		tries++
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Second):
			return tries <= 60
		}
	}
}

// waitsForMe tells whether whoever asks could vote on an Approval, and has not. Of one person so many dry runs are judged; again tells whether to go on where
// none is left.
func waitsForMe(ctx context.Context, objects dynamic.Interface, approval *unstructured.Unstructured, again func() bool) (bool, error) {
	digest, _, _ := unstructured.NestedString(approval.Object, "spec", "digest")
	vote := &v1alpha1.VoteRequest{Decision: v1alpha1.DecisionApprove, Digest: digest}
	answer, err := cast(ctx, objects, approval, vote, true)
	for apierrors.IsTooManyRequests(err) && again() {
		answer, err = cast(ctx, objects, approval, vote, true)
	}
	switch {
	case err == nil:
	case mayNotVote(err), isMissing(err):
		return false, nil
	default:
		return false, asUnknown(refused(err))
	}
	after, err := typedAs[v1alpha1.Approval](answer)
	if err != nil {
		return false, err
	}
	before, err := typedAs[v1alpha1.Approval](approval)
	if err != nil {
		return false, err
	}
	votes := after.Spec.Votes
	if len(votes) <= len(before.Spec.Votes) {
		// It was no change: the vote stands already.
		return false, nil
	}
	return !stands(votes[:len(votes)-1], &votes[len(votes)-1].Voter), nil
}

// ourRefusal is how the API server names our webhook when it refuses.
const ourRefusal = `admission webhook "approvals.signoff.dev" denied the request: `

// mayNotVote tells of a no by whoever can say it: our webhook, or RBAC. What else refuses a write, such as the webhook or the policy of somebody else,
// says nothing about who may vote.
func mayNotVote(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	answer := status.Status()
	if strings.HasPrefix(answer.Message, ourRefusal) {
		return isRefusal(refused(err)) && !isTransient(answer.Details)
	}
	// RBAC names what it is about, and no cause; an admission policy gives one, and a webhook names nothing.
	return apierrors.IsForbidden(err) && answer.Details != nil && answer.Details.Kind == approvals.resource && len(answer.Details.Causes) == 0
}

// isTransient tells of a refusal by our webhook because it could not tell at the moment.
func isTransient(details *metav1.StatusDetails) bool {
	return details != nil && slices.ContainsFunc(details.Causes, func(cause metav1.StatusCause) bool { return cause.Type == gate.CauseTransient })
}

// asUnknown keeps the words of a refusal, where it is none of ours.
func asUnknown(err error) error {
	if isRefusal(err) {
		return errors.New(err.Error())
	}
	return err
}

// stands tells whether somebody has a vote that was not taken back. The webhook says who is which person.
func stands(votes []v1alpha1.Vote, who *v1alpha1.Identity) bool {
	for _, vote := range slices.Backward(votes) {
		if vote.Voter.Username == who.Username || who.Person != "" && vote.Voter.Person == who.Person {
			return vote.Decision != v1alpha1.DecisionWithdraw
		}
	}
	return false
}
