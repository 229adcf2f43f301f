package actionrequest

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/plan"
	"github.com/signoff-dev/signoff/internal/steps"
)

// preparation is what will be executed, and what people are shown of it.
type preparation struct {
	steps []v1alpha1.RenderedStep
	// finally are the steps that run once the others have ended.
	finally []v1alpha1.RenderedStep
	// variables are what conditions of the steps read of the request. Nil: nothing.
	variables *runtime.RawExtension
	changes   []v1alpha1.PlannedChange
	// unread are the objects that nobody could look at, and absent those that are not there.
	unread []string
	absent map[v1alpha1.ObjectReference]bool
	// copiesHidden says that a pod is copied that the requester may not read.
	copiesHidden bool
	digest       string
	// planned is what the plan steps gave.
	planned []v1alpha1.PlannedStep
	// refusals say what the API server would refuse now. Nil: nobody has tried.
	refusals []string
	// overridden say which values something in the cluster would store otherwise.
	overridden []string
	// untried are the writes that could not be tried, and why.
	untried []execution.Untried
	// approvedBy is set once every stage has approved.
	approvedBy []v1alpha1.RecordedApproval
}

// prepare renders the steps, compares them with the live objects, and computes what stands for all of it. Objects are read
// as the executing ServiceAccount.
func (s *scope) prepare(ctx context.Context) *gate.Problem {
	action := s.judgement.Action
	input, sources, problem := s.gather(ctx, action.Steps, action.Object.Spec.Execution.ServiceAccountName)
	if problem != nil {
		return problem
	}
	rendered, problem := s.render(ctx, action.Steps, input)
	if problem != nil {
		return problem
	}
	s.plan = &preparation{planned: s.plannedSteps}
	s.plan.steps, s.plan.finally = action.Steps.Split(rendered)
	var err error
	if s.plan.variables, err = action.Steps.Variables(*input); err != nil {
		return s.indeterminate(ctx, err)
	}
	if s.plan.changes, s.plan.unread, err = s.compare(ctx, rendered, sources); err != nil {
		return &gate.Problem{Reason: v1alpha1.ReasonFactsUnavailable, Transient: true, Message: "Cannot tell what would change: " + s.judgement.ErrorText(ctx, err)}
	}
	s.plan.digest, err = digest.Of(s.judgement.Covered(s.request, s.plan.steps, s.plan.finally, s.plan.planned))
	if err != nil {
		return s.indeterminate(ctx, err)
	}
	return nil
}

// tryOut finds out, before people are asked, what of the plan the API server would refuse now. What is refused today may not be tomorrow, and what is
// not may be then, so that it is told and nothing more.
func (s *scope) tryOut(ctx context.Context) {
	if s.plan.refusals != nil {
		return
	}
	action, reader := s.judgement.Action.Object, &comparison{scope: s, ctx: ctx}
	s.plan.refusals = []string{}
	trial := s.Runner.Try(ctx, &v1alpha1.Record{Spec: v1alpha1.RecordSpec{
		RequestRef: v1alpha1.RecordRequestReference{Namespace: s.request.Namespace, Name: s.request.Name, UID: s.request.UID},
		ActionRef:  s.request.Spec.ActionRef, ServiceAccountName: action.Spec.Execution.ServiceAccountName, Steps: s.plan.steps, Finally: s.plan.finally,
	}}, reader.hides)
	s.plan.untried = trial.Untried
	for _, refusal := range trial.Refusals {
		s.plan.refusals = append(s.plan.refusals, "step "+refusal.Step+": "+reader.refusalText(&refusal))
	}
	for i := range trial.Answered {
		s.plan.overridden = append(s.plan.overridden, reader.overridden(&trial.Answered[i])...)
	}
}

// hides tells whether what the API server answers to a write could give away what is not shown: what is in a Secret, or in an object that the requester
// may not read. In what is not there is nothing, and neither a deletion nor what the Action's author has fixed can hold a guess.
func (c *comparison) hides(step string, w *v1alpha1.RenderedWrite) bool {
	if c.judgement.Action.Steps.Fixed(step) || w.Operation == v1alpha1.WriteCreateJob || w.Operation == v1alpha1.WriteDelete || c.plan.absent[w.Object] {
		return false
	}
	return kinds.IsSecret(&w.Object) || !c.readable(&w.Object)
}

// readable tells whether the requester is known to be able to read an object.
func (c *comparison) readable(ref *v1alpha1.ObjectReference) bool {
	may, err := c.requesterMayRead(ref)
	return err == nil && may
}

// hidesCopy tells whether a write holds the copy of a pod that the requester may not read.
func (c *comparison) hidesCopy(w *v1alpha1.RenderedWrite) bool {
	return c.plan.copiesHidden && plan.Copies(w)
}

// overridden says which values of a write that was tried would be stored otherwise.
func (c *comparison) overridden(a *execution.Answered) []string {
	var sent map[string]any
	if utiljson.Unmarshal(a.Write.Body.Raw, &sent) != nil {
		return nil // a JSON patch sends operations
	}
	lines := plan.Overridden(a.Write, sent, a.Got, !c.readable(&a.Write.Object))
	if len(lines) > 0 && c.hidesCopy(a.Write) {
		lines = []string{"it is not shown what, since the requester may not read what is copied"}
	}
	for i := range lines {
		lines[i] = fmt.Sprintf("step %s: %s: %s", a.Step, plan.Name(a.Write.Object), lines[i])
	}
	return lines
}

// refusalText is what the API server says about a write that it would refuse. That can repeat what is in the object, or what is sent.
func (c *comparison) refusalText(refusal *execution.Refusal) string {
	what := "the object"
	switch {
	case refusal.Right:
		return refusal.Message
	case c.hidesCopy(refusal.Write):
		what = "what is copied"
	case c.readable(&refusal.Write.Object):
		return refusal.Message
	}
	return fmt.Sprintf("%s: %s. What the API server says is not shown, since the requester may not read %s", refusal.Doing, refusal.Reason, what)
}

// gather reads, as a ServiceAccount, what steps are rendered with. Sources are the objects whose pods are copied.
func (s *scope) gather(ctx context.Context, of *steps.Steps, account string) (in *steps.Input, sources []v1alpha1.ObjectReference, problem *gate.Problem) {
	action := s.judgement.Action
	in = s.Gate.Input(s.judgement, s.request, s.OperatorNamespace)
	read := func(ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
		return s.Clients.Get(ctx, action.Object.Namespace, account, ref)
	}
	sources, unread, err := of.Gather(ctx, in, read)
	switch {
	case err != nil:
		return nil, nil, s.indeterminate(ctx, err)
	case len(unread) > 0:
		return nil, nil, &gate.Problem{Reason: v1alpha1.ReasonFactsUnavailable, Transient: true, Message: gate.Unread(&unread[0])}
	}
	return in, sources, nil
}

// render fills in steps, as far as it is known by now what they read, and checks what they call.
func (s *scope) render(ctx context.Context, of *steps.Steps, in *steps.Input) ([]v1alpha1.RenderedStep, *gate.Problem) {
	rendered, err := of.RenderAfter(ctx, *in, s.afterPlan)
	if err != nil {
		return nil, s.indeterminate(ctx, err)
	}
	return rendered, s.mayCall(rendered, in)
}

func (s *scope) indeterminate(ctx context.Context, err error) *gate.Problem {
	return &gate.Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: gate.Later(err),
		Message: "Cannot tell what would be executed: " + s.judgement.ErrorText(ctx, err)}
}

func (s *scope) read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	action := s.judgement.Action.Object
	return s.Clients.Get(ctx, action.Namespace, action.Spec.Execution.ServiceAccountName, ref)
}
