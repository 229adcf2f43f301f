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
	if ok, why := g.rules.MayVote(ctx, caller); !ok {
		return &Problem{Reason: v1alpha1.ReasonNotAuthorized, Message: "you cannot decide how a step ended: " + why + ".\n  " + g.WhoResolves(s.Spec.ActionRef) + "."}
	}
	return g.run(s, now).mayUse(ctx, v1alpha1.VerbResolve, InPerson(caller), "nobody may decide this: Action %s is not there to say who may. Apply it again.")
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
