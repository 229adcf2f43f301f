// Package replan puts together anew, with the rights of whoever looks, what a request that has not started would do, and compares it with what the
// request shows. It uses the same code as the controllers, so that only what was read can make a difference.
package replan

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
	"github.com/signoff-dev/signoff/internal/steps"
)

// World is what whoever looks may read.
type World interface {
	// Action reads an Action.
	Action(ctx context.Context, ref v1alpha1.ActionReference) (*v1alpha1.Action, error)
	// Read reads an object. The error keeps what the API server said for the functions of apierrors.
	Read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error)
	// List reads the objects that a query selects. More than its limit are an error.
	List(ctx context.Context, query gate.Query) (*unstructured.UnstructuredList, error)
}

// Answer tells whether something is as the request shows it.
type Answer string

// The answers.
const (
	Matches Answer = "Matches"
	Differs Answer = "Differs"
	// Unknown means that it could not be found out.
	Unknown Answer = "Unknown"
)

// Check is what a request would do, and whether it is what the request shows.
type Check struct {
	// Digest tells whether what would run has the digest that the request shows and people are asked about, and Plan whether it would change what the request shows.
	Digest Answer `json:"digest"`
	Plan   Answer `json:"plan"`
	// Computed is the digest of what would run. Unset: it could not be computed.
	Computed string `json:"computed,omitempty"`
	// Missing says what is not known, and why.
	Missing []string `json:"missing,omitempty"`
	// Changes are what would be changed, in full.
	Changes []Change `json:"changes,omitempty"`
	// Surplus is what the request shows besides.
	Surplus []v1alpha1.PlannedChange `json:"surplus,omitempty"`
	// Outdated are the open Approvals that show something that is no longer there.
	Outdated []Outdated `json:"outdated,omitempty"`
}

// Outdated is an open Approval that shows what was there when it was opened and is another one by now, whatever the status shows.
type Outdated struct {
	Approval string `json:"approval"`
	// OnDrift is what happens once enough have approved it.
	OnDrift v1alpha1.DriftPolicy `json:"onDrift"`
}

// Change is one write, or one call.
type Change struct {
	Step      string   `json:"step,omitempty"`
	Operation string   `json:"operation"`
	Object    string   `json:"object"`
	Fields    []string `json:"fields,omitempty"`
	// Plan tells whether the request shows the same.
	Plan Answer `json:"plan"`
	// Shown is what the request shows where that is not known to be the same. Unset: nothing.
	Shown *v1alpha1.PlannedChange `json:"shown,omitempty"`
}

// Unchecked says why there is nothing to check. Empty: there is. While people are asked there always is, whatever the status says, which they should
// not have to believe.
func Unchecked(request *v1alpha1.ActionRequest, approvals []v1alpha1.Approval) string {
	status := &request.Status
	switch {
	case request.Spec.Requester == nil:
		return "it is not known who asks"
	case len(asking(request, approvals)) > 0:
		return ""
	case status.Outcome != "":
		return "the request is over"
	case status.Execution != nil:
		return "it has begun"
	case status.Digest == "":
		return "the request does not say yet what it would do"
	}
	return ""
}

// asking are the Approvals by which people are asked whether a request may start. A review is about one that has.
func asking(request *v1alpha1.ActionRequest, approvals []v1alpha1.Approval) []v1alpha1.Approval {
	return slices.DeleteFunc(slices.Clone(approvals), func(a v1alpha1.Approval) bool {
		open := a.Status.State == "" || a.Status.State == v1alpha1.ApprovalOpen
		return !open || a.Spec.Review || a.Spec.RequestRef.UID != request.UID
	})
}

// Of checks a request against itself, and against those of its Approvals by which people are asked.
func Of(ctx context.Context, request *v1alpha1.ActionRequest, approvals []v1alpha1.Approval, world World, clk clock.PassiveClock) *Check {
	c := &check{ctx: ctx, request: request, approvals: asking(request, approvals), world: world, out: &Check{Digest: Unknown, Plan: Unknown}}
	rendered, err := c.render(clk)
	switch {
	case err != nil:
		c.miss("%v", err)
	case len(c.out.Missing) == 0:
		c.compare(rendered)
	}
	return c.out
}

// check is one in the making.
type check struct {
	ctx     context.Context //nolint:containedctx // it lives as long as one call of Of
	request *v1alpha1.ActionRequest
	// approvals are those by which people are asked.
	approvals []v1alpha1.Approval
	world     World
	out       *Check

	judgement *gate.Judgement
	planned   []v1alpha1.PlannedStep
}

func (c *check) miss(format string, args ...any) {
	c.out.Missing = append(c.out.Missing, fmt.Sprintf(format, args...))
}

// render fills in the steps of the request. What is missing for it is noted.
func (c *check) render(clk clock.PassiveClock) ([]v1alpha1.RenderedStep, error) {
	action, err := c.world.Action(c.ctx, c.request.Spec.ActionRef)
	if err != nil {
		return nil, err
	}
	g, err := c.gate(action, clk)
	if err != nil {
		return nil, err
	}
	var problems []*gate.Problem
	if c.judgement, problems = g.Filling(c.ctx, gate.SubjectOf(c.request), clk.Now()); len(problems) > 0 {
		for _, problem := range problems {
			c.miss("%s", problem.Message)
		}
		return nil, nil
	}
	earlier, err := c.gave(action)
	if err != nil {
		return nil, err
	}
	in, all := g.Input(c.judgement, c.request), c.judgement.Action.Steps
	_, unread, err := all.Gather(c.ctx, in, func(ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
		return c.world.Read(c.ctx, ref)
	})
	if err != nil {
		return nil, indeterminate(err)
	}
	for i := range unread {
		c.miss("%s", gate.Unread(&unread[i]))
	}
	if len(unread) > 0 {
		return nil, nil
	}
	rendered, err := all.RenderAfter(c.ctx, *in, earlier)
	if err != nil {
		return nil, indeterminate(err)
	}
	return rendered, c.digest(rendered)
}

func indeterminate(err error) error { return fmt.Errorf("cannot tell what would be executed: %w", err) }

// digest computes what stands for all of it.
func (c *check) digest(rendered []v1alpha1.RenderedStep) error {
	first, finally := c.judgement.Action.Steps.Split(rendered)
	sum, err := digest.Of(c.judgement.Covered(c.request, first, finally, c.planned))
	if err != nil {
		return err
	}
	c.out.Computed, c.out.Digest = sum, Differs
	if c.asked(sum) {
		c.out.Digest = Matches
	}
	return nil
}

// asked tells whether people are asked about a digest, and nothing says another one. A status that says none does not.
func (c *check) asked(sum string) bool {
	shown := c.request.Status.Digest
	if shown == "" && len(c.approvals) > 0 {
		shown = sum
	}
	return shown == sum && !slices.ContainsFunc(c.approvals, func(a v1alpha1.Approval) bool { return a.Spec.Digest != sum })
}

// gate makes one that knows nothing but the Action: neither rules of policies nor people have a part in what is executed.
func (c *check) gate(action *v1alpha1.Action, clk clock.PassiveClock) (*gate.Gate, error) {
	rules, err := identity.New(config.Default())
	if err != nil {
		return nil, err
	}
	store := snapshot.NewStore(nil)
	store.Put(action)
	store.MarkSynced()
	store.Rebuild()
	return gate.New(store, rules, facts{c.world}, "", clk), nil
}

// gave is what the plan steps gave, as the request shows it. Whether that is so the digest tells.
func (c *check) gave(action *v1alpha1.Action) (*steps.Earlier, error) {
	plan := action.Spec.Execution.Plan
	if plan == nil {
		return nil, nil //nolint:nilnil // no plan steps is an answer, not an error
	}
	var statuses []v1alpha1.StepStatus
	if planning := c.request.Status.Planning; planning != nil {
		statuses = planning.Steps
	}
	list := make([]v1alpha1.RenderedStep, len(plan.Steps))
	for i := range list {
		list[i] = v1alpha1.RenderedStep{Name: plan.Steps[i].Name, Outputs: plan.Steps[i].Outputs}
		over := func(s v1alpha1.StepStatus) bool {
			return s.Name == list[i].Name && (s.State == v1alpha1.StepDone || s.State == v1alpha1.StepSkipped)
		}
		if !slices.ContainsFunc(statuses, over) {
			return nil, fmt.Errorf("the request does not show what plan step %s gave", list[i].Name)
		}
	}
	c.planned = steps.Planned(list, statuses)
	before, after := steps.AfterPlan(c.planned)
	return steps.NewEarlier(before, after, "")
}
