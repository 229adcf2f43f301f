// Command change-bridge keeps Approvals and changes in ServiceNow in step: it votes what ServiceNow has decided, and tells ServiceNow what Signoff
// has. One run is one look at both; run it every minute. It keeps nothing, so that it can be killed at any time.
//
// It votes as its own ServiceAccount, with the rights of that one vote. Signoff takes the first decision of a stage, whoever made it, so two
// sides that decide at the same moment are no harm: the later one is refused, and told.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func main() { os.Exit(run()) }

func run() int {
	b := &bridge{out: os.Stdout}
	flag.StringVar(&b.namespace, "namespace", "", "where requests are made")
	flag.StringVar(&b.action, "action", "", "the Action whose requests have changes, as namespace/name")
	flag.Parse() // config.GetConfig has added --kubeconfig
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.connect(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := b.pass(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// stage is the one of the Action that the bridge votes in. An ActionPolicy may ask others, in stages of its own.
const stage = "action/change"

// bridge is one look at both sides.
type bridge struct {
	namespace, action string
	cluster           client.Client
	changes           *table
	out               io.Writer
}

func (b *bridge) connect() error {
	login, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("failed to find the cluster: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("failed to learn the kinds of Signoff: %w", err)
	}
	if b.cluster, err = client.New(login, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	b.changes, err = newTable(os.Getenv("SERVICENOW_URL"), os.Getenv("SERVICENOW_TOKEN"), os.Getenv("SERVICENOW_CA"))
	return err
}

// asked is what the bridge keeps of a request: there may be very many, and large ones.
type asked struct {
	name string
	// change is the sys_id that the plan step "change" gave. Empty: it is not done, was skipped, or the request ended longer ago than retention.details.
	change   string
	outcome  v1alpha1.Outcome
	executed bool
	// why is what people read about its end.
	why string
	// approval is where the bridge may vote. Nil: nowhere, or not now.
	approval *v1alpha1.Approval
}

// pass looks at the changes of all requests. What fails for one is told, and does not keep the others.
func (b *bridge) pass(ctx context.Context) error {
	ours, err := b.requests(ctx)
	if err != nil {
		return err
	}
	if err := b.approvals(ctx, ours); err != nil {
		return err
	}
	// Where somebody waits comes first: there is no outcome yet.
	uids := slices.SortedFunc(maps.Keys(ours), func(x, y string) int { return cmp.Or(cmp.Compare(ours[x].outcome, ours[y].outcome), cmp.Compare(x, y)) })
	failed := 0
	for some := range slices.Chunk(uids, atOnce) {
		failed += b.look(ctx, some, ours)
	}
	if failed > 0 {
		return fmt.Errorf("%d calls failed: not all changes are in step", failed)
	}
	return nil
}

// perPage is how many objects are read at once. One of them can have a few hundred kilobytes.
const perPage = 100

func (b *bridge) page(ctx context.Context, list client.ObjectList, next string) error {
	if err := b.cluster.List(ctx, list, client.InNamespace(b.namespace), client.Limit(perPage), client.Continue(next)); err != nil {
		return fmt.Errorf("failed to read %T: %w", list, err)
	}
	return nil
}

// requests are those of the Action, by uid.
func (b *bridge) requests(ctx context.Context) (map[string]*asked, error) {
	ours := map[string]*asked{}
	for next := ""; ; {
		list := &v1alpha1.ActionRequestList{}
		if err := b.page(ctx, list, next); err != nil {
			return nil, err
		}
		for i := range list.Items {
			r := &list.Items[i]
			if r.Spec.ActionRef.String() != b.action {
				continue
			}
			a := &asked{name: r.Name, change: planned(r), outcome: r.Status.Outcome, executed: r.Status.Execution != nil, why: string(r.Status.Outcome)}
			if len(r.Status.Summary) > 0 {
				a.why = r.Status.Summary[0]
			}
			// What was executed under a change that it does not say any more, or under none, is over. Whatever carries its uid may be anybody's.
			if !a.executed || a.change != "" {
				ours[string(r.UID)] = a
			}
		}
		if next = list.Continue; next == "" {
			return ours, nil
		}
	}
}

// approvals finds where the bridge may vote.
func (b *bridge) approvals(ctx context.Context, ours map[string]*asked) error {
	for next := ""; ; {
		list := &v1alpha1.ApprovalList{}
		if err := b.page(ctx, list, next); err != nil {
			return err
		}
		for i := range list.Items {
			a := &list.Items[i]
			r, is := ours[string(a.Spec.RequestRef.UID)]
			if is && a.Spec.Stage.ID() == stage && !a.Spec.Review && a.Status.State == v1alpha1.ApprovalOpen {
				r.approval = a.DeepCopy() // keeps nothing else of the page
			}
		}
		if next = list.Continue; next == "" {
			return nil
		}
	}
}

// planned reads what the plan steps gave.
func planned(r *v1alpha1.ActionRequest) string {
	if r.Status.Planning == nil {
		return ""
	}
	var outputs struct{ ID string }
	for i := range r.Status.Planning.Steps {
		if s := &r.Status.Planning.Steps[i]; s.Name == "change" && s.Outputs != nil && json.Unmarshal(s.Outputs.Raw, &outputs) == nil {
			return outputs.ID
		}
	}
	return ""
}

// look brings the changes of some requests in step, and counts what failed.
func (b *bridge) look(ctx context.Context, uids []string, ours map[string]*asked) int {
	changes, err := b.changes.of(ctx, uids)
	if err != nil {
		_, _ = fmt.Fprintln(b.out, err)
		return 1
	}
	failed := 0
	for i := range changes {
		c := &changes[i]
		r, is := ours[c.Request]
		if !is {
			continue // ServiceNow answers what was not asked
		}
		if err := b.step(ctx, r, c); err != nil {
			failed++
			_, _ = fmt.Fprintf(b.out, "%s: %v\n", c.Number, err)
		}
	}
	return failed
}

// step brings one change and its request together.
func (b *bridge) step(ctx context.Context, r *asked, c *change) error {
	switch {
	case r.change != "" && r.change != c.ID:
		// Whoever can make a change can write any uid into it. Approvers read about the one that the plan steps have found.
		_, _ = fmt.Fprintf(b.out, "%s does not count: %s has another change\n", c.Number, r.name)
		return nil
	case r.outcome != "":
		return b.close(ctx, r, c)
	case r.change == "" || r.approval == nil:
		return nil // the plan steps are not done, or nobody is asked
	}
	return b.decide(ctx, r.approval, c)
}

// close tells ServiceNow how the request ended. What was executed is told by the last step of the Action; here too, where that could not.
func (b *bridge) close(ctx context.Context, r *asked, c *change) error {
	if c.Active != "true" {
		return nil
	}
	end := fields{"approval": "rejected", "state": canceled, "work_notes": "Signoff: " + r.why}
	if r.executed {
		code := "unsuccessful"
		if r.outcome == v1alpha1.OutcomeSucceeded {
			code = "successful"
		}
		end = fields{"state": closed, "close_code": code, "close_notes": fmt.Sprintf("Ended as %s.", r.outcome)}
	}
	_, _ = fmt.Fprintf(b.out, "%s is closed: %s\n", c.Number, r.why)
	return b.changes.update(ctx, c, end)
}

// decide votes what ServiceNow has decided. A rejection is final, whatever it was about, and so is the end of the change. An approval is bound to the
// digest of what would be executed: if that changes, ServiceNow is asked again, and what it approved before does not count.
func (b *bridge) decide(ctx context.Context, a *v1alpha1.Approval, c *change) error {
	switch {
	case c.Approval == "rejected":
		return b.vote(ctx, a, v1alpha1.DecisionDeny, "rejected in ServiceNow, "+c.Number)
	case c.Active == "false":
		return b.vote(ctx, a, v1alpha1.DecisionDeny, "closed in ServiceNow, "+c.Number)
	case c.Digest != a.Spec.Digest:
		_, _ = fmt.Fprintf(b.out, "%s is asked about %.15s…\n", c.Number, a.Spec.Digest)
		return b.changes.update(ctx, c, fields{
			"approval": "requested", "correlation_display": a.Spec.Digest, "work_notes": strings.Join(a.Spec.Summary, "\n"),
		})
	case c.Approval == "approved":
		return b.vote(ctx, a, v1alpha1.DecisionApprove, "approved in ServiceNow, "+c.Number)
	}
	return nil
}

func (b *bridge) vote(ctx context.Context, a *v1alpha1.Approval, decision v1alpha1.Decision, comment string) error {
	old := a.DeepCopy()
	a.Spec.Vote = &v1alpha1.VoteRequest{Decision: decision, Comment: comment, Digest: a.Spec.Digest}
	// Where somebody else has written meanwhile, the next run looks again.
	if err := b.cluster.Patch(ctx, a, client.MergeFromWithOptions(old, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("failed to vote: %w", err)
	}
	_, _ = fmt.Fprintf(b.out, "%s: voted %s, because it is %s\n", a.Spec.RequestRef.Name, decision, comment)
	return nil
}
