package replan

import (
	"cmp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/plan"
)

// you is how whoever looks is called.
const you = "you"

// compare describes in full what the steps would change, and says where the request shows something else.
func (c *check) compare(rendered []v1alpha1.RenderedStep) {
	unread := map[v1alpha1.ObjectReference]bool{}
	live := c.reads(rendered, unread)
	whole := c.describe(rendered, plan.View{Live: live, Reader: you, Whole: true})
	known := c.asStored(rendered, live)
	c.out.Plan = Matches
	shown, refs := c.request.Status.Plan, written(rendered)
	for i := range whole {
		change := Change{Step: whole[i].Step, Operation: whole[i].Operation, Object: whole[i].Object, Fields: whole[i].Fields}
		// What has no room is one entry.
		at := min(i, len(known[0])-1)
		change.Plan = compared(shown, known, at)
		if change.Plan != Matches && unread[refs[i]] {
			change.Plan = Unknown
		}
		if change.Plan != Matches && at == i && i < len(shown) {
			change.Shown = withoutBasis(shown[i])
		}
		c.out.Plan = worse(c.out.Plan, change.Plan)
		c.out.Changes = append(c.out.Changes, change)
	}
	for i := len(known[0]); i < len(shown); i++ {
		c.out.Surplus = append(c.out.Surplus, *withoutBasis(shown[i]))
		c.out.Plan = Differs
	}
	c.judge(known, func(at int) bool { return unread[refs[at]] })
}

// judge names the Approvals whose votes will be found to be about something that has changed. One that has another digest is said to be about something else.
func (c *check) judge(known [][]v1alpha1.PlannedChange, unread func(at int) bool) {
	onDrift := cmp.Or(c.judgement.Action.Object.Spec.Execution.OnDrift, v1alpha1.DriftReapprove)
	for i := range c.approvals {
		if a := &c.approvals[i]; a.Spec.Digest == c.out.Computed && c.drifted(a.Spec.Plan, known, unread) {
			c.out.Outdated = append(c.out.Outdated, Outdated{Approval: a.Name, OnDrift: onDrift})
		}
	}
}

// drifted tells whether something has changed that an Approval shows: as it may be shown now, or, of what its requester may not read, by what stands for it
// in the status, if that shows what is there. What has no basis is not judged when votes are counted either.
func (c *check) drifted(shown []v1alpha1.PlannedChange, known [][]v1alpha1.PlannedChange, unread func(at int) bool) bool {
	for i := range min(len(shown), len(known[0])) {
		switch now := c.request.Status.Plan; {
		case shown[i].Basis == "":
		case compared(shown, known, i) == Differs && !unread(i),
			i < len(now) && (unread(i) || compared(now, known, i) == Matches) && another(shown[i].Basis, now[i].Basis):
			return true
		}
	}
	return false
}

// another tells whether two bases stand for something else. By different keys nobody knows, but for whether something is there.
func another(a, b string) bool {
	key, was, _ := strings.Cut(a, ":")
	other, is, known := strings.Cut(b, ":")
	return known && (key == other && was != is || plan.IsAbsent(a) != plan.IsAbsent(b))
}

// reads gives what reads objects as they are, and notes which cannot be read.
func (c *check) reads(rendered []v1alpha1.RenderedStep, unread map[v1alpha1.ObjectReference]bool) func(ref v1alpha1.ObjectReference) plan.Found {
	coming := kinds.Coming(rendered)
	return func(ref v1alpha1.ObjectReference) plan.Found {
		found, err := c.live(ref)
		if _, comes := coming[ref]; comes && (meta.IsNoMatchError(err) || apierrors.IsNotFound(err)) {
			return plan.Found{} // the kind comes with an earlier step, so none of its objects can be there
		}
		if err != nil && !unread[ref] {
			unread[ref] = true
			c.miss("Cannot tell what %s is now: %v", plan.Name(ref), err)
		}
		return found
	}
}

// written are the objects of the changes, one for each. That of a call is empty.
func written(rendered []v1alpha1.RenderedStep) []v1alpha1.ObjectReference {
	var refs []v1alpha1.ObjectReference
	for i := range rendered {
		if rendered[i].HTTP != nil {
			refs = append(refs, v1alpha1.ObjectReference{})
		}
		for j := range rendered[i].Writes {
			refs = append(refs, rendered[i].Writes[j].Object)
		}
	}
	return refs
}

func withoutBasis(change v1alpha1.PlannedChange) *v1alpha1.PlannedChange {
	change.Basis = ""
	return &change
}

// live reads one object. Only NotFound means that it is not there.
func (c *check) live(ref v1alpha1.ObjectReference) (plan.Found, error) {
	object, err := c.world.Read(c.ctx, ref)
	switch {
	case gate.Missing(err):
		return plan.Found{}, nil
	case err != nil:
		return plan.Found{Unread: true}, err
	}
	return plan.Found{Object: object}, nil
}

// asStored gives what the request may show, in the order of the changes: to a requester who may read what would be written and copied, to one who may not,
// and where the ServiceAccount may not. Which of them it is whoever looks cannot find out.
func (c *check) asStored(rendered []v1alpha1.RenderedStep, live func(v1alpha1.ObjectReference) plan.Found) [][]v1alpha1.PlannedChange {
	hidden := func(ref v1alpha1.ObjectReference) plan.Found {
		found := live(ref)
		found.Hidden = found.Object != nil
		return found
	}
	unread := func(v1alpha1.ObjectReference) plan.Found { return plan.Found{Unread: true} }
	copied := func(step string) (bool, []string) {
		return true, plan.OwnFields(&c.judgement.Action.Object.Spec.Execution, step)
	}
	var all [][]v1alpha1.PlannedChange
	for _, view := range []plan.View{{Live: live}, {Live: hidden, Copied: copied}, {Live: unread}} {
		all = append(all, plan.Stored(c.describe(rendered, view), nil))
	}
	return all
}

func (c *check) describe(rendered []v1alpha1.RenderedStep, view plan.View) []v1alpha1.PlannedChange {
	_, view.Finally = c.judgement.Action.Steps.Split(rendered)
	return plan.Describe(rendered, view)
}

// compared tells whether what is shown at a place is one of what may be shown there.
func compared(shown []v1alpha1.PlannedChange, known [][]v1alpha1.PlannedChange, at int) Answer {
	if at < len(shown) && slices.ContainsFunc(known, func(changes []v1alpha1.PlannedChange) bool { return same(&changes[at], &shown[at]) }) {
		return Matches
	}
	return Differs
}

func same(a, b *v1alpha1.PlannedChange) bool {
	return a.Step == b.Step && a.Operation == b.Operation && a.Object == b.Object && slices.Equal(a.Fields, b.Fields)
}

// worse gives the answer of two that matters more.
func worse(a, b Answer) Answer {
	for _, answer := range []Answer{Differs, Unknown} {
		if a == answer || b == answer {
			return answer
		}
	}
	return Matches
}
