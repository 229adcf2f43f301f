package gate

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/steps"
)

// Filling finds what the steps of a request are filled in with, without judging it: the Action, the inputs, and the facts that steps read. The problems
// are all that keeps the steps from being filled in.
func (g *Gate) Filling(ctx context.Context, subject *Subject, now time.Time) (*Judgement, []*Problem) {
	run := g.run(subject, now)
	for _, part := range []func(context.Context) *Problem{run.action, run.inputs, run.duration} {
		if problem := part(ctx); problem != nil {
			return run.out, []*Problem{problem}
		}
	}
	var problems []*Problem
	all := run.out.Action.Steps
	if problem := run.readTarget(ctx, factsOfTarget{all.Uses(varTarget), all.Uses(varNamespace)}); problem != nil {
		problems = append(problems, problem)
	}
	for _, lookup := range run.out.Action.Lookups {
		if !lookup.InSteps {
			continue
		}
		if problem := run.readLookup(ctx, lookup); problem != nil {
			problems = append(problems, problem)
		}
	}
	return run.out, problems
}

// Input is what the steps of a request are filled in with, but for the objects that they name. Needed are namespaces that the request cannot lose
// besides its own.
func (g *Gate) Input(j *Judgement, request *v1alpha1.ActionRequest, needed ...string) *steps.Input {
	action := j.Action.Object
	return &steps.Input{
		Namespace: action.Namespace, Action: action.Name,
		RequestName: request.Name, RequestUID: string(request.UID), Temporary: Duration(action, &request.Spec) != "",
		Vars: j.Vars, Budget: g.Budget(action.Namespace),
		Objects: map[v1alpha1.ObjectReference]*unstructured.Unstructured{},
		Needed:  append([]string{request.Namespace}, needed...),
	}
}

// Covered is what people agree to: a request, with steps in which everything is filled in, and what plan steps gave.
func (j *Judgement) Covered(request *v1alpha1.ActionRequest, first, finally []v1alpha1.RenderedStep, planned []v1alpha1.PlannedStep) digest.Subject {
	emergency := ""
	if request.Spec.BreakGlass != nil {
		emergency = request.Spec.BreakGlass.Reason
	}
	// Where it cannot be told, digest.Of says so.
	known, _ := j.Action.Digest()
	return digest.Subject{
		BreakGlass:       emergency,
		RequestNamespace: request.Namespace, RequestName: request.Name, RequestUID: request.UID,
		Requester: *request.Spec.Requester, Inputs: j.Inputs,
		Action: j.Action.Object, ActionDigest: known, Steps: first, Finally: finally, Planned: planned,
	}
}
