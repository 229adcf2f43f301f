package gate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// MayResolve tells whether somebody may decide how a step of a request ended: a person who holds the verb resolve. Nil means yes. That
// somebody asked for it is no right to decide about it.
func (g *Gate) MayResolve(ctx context.Context, s *Subject, caller *v1alpha1.Identity, now time.Time) *Problem {
	const verb = v1alpha1.VerbResolve
	if why := Barred(ctx, g.rules, verb, caller); why != "" {
		return &Problem{Reason: v1alpha1.ReasonNotAuthorized, Message: "you cannot decide how a step ended: " + why + ".\n  " + g.WhoResolves(s.Spec.ActionRef) + "."}
	}
	return g.run(s, now).mayUse(ctx, verb, CountedAs(verb, caller), "nobody may decide this: Action %s is not there to say who may. Apply it again.")
}

// LeavePatience is how long what could not be taken back for a moment only is tried again after somebody decided that it may stay.
const LeavePatience = 5 * time.Minute

// MayLeave tells whether somebody may decide that what cannot be taken back of a temporary request stays: who may decide how a step ended, and has not
// asked for it. What was lent to somebody would else be theirs for good by their own word.
func (g *Gate) MayLeave(ctx context.Context, s *Subject, caller *v1alpha1.Identity, now time.Time) *Problem {
	if problem := g.MayResolve(ctx, s, caller, now); problem != nil {
		return problem
	}
	same, err := g.rules.SamePerson(ctx, &s.Requester, caller)
	switch {
	case err != nil:
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf("cannot tell whether you are the requester: %v", err)}
	case same:
		return &Problem{Reason: v1alpha1.ReasonSelfApproval, Message: "you cannot decide that what was lent stays: " + askedFor(&s.Requester, caller) + "\n  " + g.WhoResolves(s.Spec.ActionRef) + ". Not you."}
	case s.Spec.OnBehalfOf == nil:
		return nil
	}
	theirs, err := g.isNamed(ctx, s.Spec.OnBehalfOf.Username, caller)
	switch {
	case err != nil:
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf("cannot tell whether it was asked on your behalf: %v", err)}
	case theirs:
		return &Problem{Reason: v1alpha1.ReasonNotIndependent, Message: fmt.Sprintf("you (%s) cannot decide that what was lent stays: it was asked on your behalf, as %s says.", caller.Username, s.Requester.Username)}
	}
	return nil
}

// askedFor says in a sentence to somebody that they have asked for something, perhaps by another login.
func askedFor(requester, caller *v1alpha1.Identity) string {
	text := "you asked for it."
	if requester.Username != caller.Username {
		text += fmt.Sprintf(" You are %s (as %s); it was requested by %s (as %s).", caller.Person, caller.Username, requester.Person, requester.Username)
	}
	return text
}

// mayUse tells whether somebody holds a verb on the Action of a request that is stored. Absent says, with the Action, what it means that it is gone.
func (r *run) mayUse(ctx context.Context, verb v1alpha1.Verb, caller *v1alpha1.Identity, absent string) *Problem {
	snap := r.out.Snapshot
	action, _ := snap.Action(r.subject.Spec.ActionRef)
	if action == nil {
		return &Problem{Reason: v1alpha1.ReasonNotAuthorized, Message: fmt.Sprintf(absent, r.subject.Spec.ActionRef)}
	}
	r.out.Action = action
	misfit := r.inputs(ctx)
	if misfit != nil && !r.out.Votable() {
		return misfit
	}
	access := r.gate.access(ctx, &accessRequest{snapshot: snap, action: action, verb: verb, caller: caller, vars: r.out.Vars, budget: r.budget})
	if access.Permission != nil {
		return nil
	}
	problem := access.problem(caller)
	if misfit != nil && len(access.Unmet) > 0 {
		problem.Message += "\n  " + capital(misfit.Message) + "."
	}
	return problem
}

// WhoResolves says who can decide how a step of an Action ended, such as "Who can: role sre (team sre)", without a full stop.
func (g *Gate) WhoResolves(ref v1alpha1.ActionReference) string {
	snap := g.store.Current()
	action, _ := snap.Action(ref)
	if action == nil {
		return fmt.Sprintf("Who can: nobody, since Action %s is not there", ref)
	}
	return strings.TrimSuffix(whoCan(snap, action, v1alpha1.VerbResolve), ".")
}
