package actionrequest

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/gate"
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
	digest    string
	// approvedBy is set once every stage has approved.
	approvedBy []v1alpha1.RecordedApproval
}

// prepare renders the steps, compares them with the live objects, and computes what stands for all of it. Objects are read
// as the executing ServiceAccount.
func (s *scope) prepare(ctx context.Context) *gate.Problem {
	j := s.judgement
	action := j.Action
	input := steps.Input{
		Namespace: action.Object.Namespace, Action: action.Object.Name,
		RequestName: s.request.Name, RequestUID: string(s.request.UID), Temporary: s.duration() != "",
		Vars: j.Vars, Budget: s.Gate.Budget(action.Object.Namespace),
		Objects: map[v1alpha1.ObjectReference]*unstructured.Unstructured{},
		Needed:  []string{s.request.Namespace, s.OperatorNamespace},
	}
	for _, find := range []func(context.Context, *steps.Input) *gate.Problem{s.findDeleted, s.findSecrets} {
		if problem := find(ctx, &input); problem != nil {
			return problem
		}
	}
	sources, err := action.Steps.PodSources(ctx, input)
	if err != nil {
		return s.indeterminate(ctx, err)
	}
	for _, ref := range sources {
		object, err := s.read(ctx, ref)
		if err != nil {
			return &gate.Problem{Reason: v1alpha1.ReasonFactsUnavailable, Transient: true,
				Message: fmt.Sprintf("Cannot read %s, whose pod is to be copied: %v", gate.Name(&ref), err)}
		}
		input.Objects[ref] = object
	}
	rendered, err := action.Steps.Render(ctx, input)
	if err != nil {
		return s.indeterminate(ctx, err)
	}
	if problem := s.mayCall(rendered, &input); problem != nil {
		return problem
	}
	s.plan = &preparation{}
	s.plan.steps, s.plan.finally = action.Steps.Split(rendered)
	if s.plan.variables, err = action.Steps.Variables(input); err != nil {
		return s.indeterminate(ctx, err)
	}
	if s.plan.changes, err = s.compare(ctx, rendered, sources); err != nil {
		return &gate.Problem{Reason: v1alpha1.ReasonFactsUnavailable, Transient: true, Message: "Cannot tell what would change: " + s.judgement.ErrorText(ctx, err)}
	}
	s.plan.digest, err = digest.Of(s.digestSubject())
	if err != nil {
		return s.indeterminate(ctx, err)
	}
	return nil
}

// findDeleted finds the objects that are to be deleted, whose uids people agree to.
func (s *scope) findDeleted(ctx context.Context, input *steps.Input) *gate.Problem {
	refs, err := s.judgement.Action.Steps.Deleted(ctx, *input)
	if err != nil {
		return s.indeterminate(ctx, err)
	}
	for _, ref := range refs {
		object, err := s.read(ctx, ref)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return &gate.Problem{Reason: v1alpha1.ReasonFactsUnavailable, Transient: true,
				Message: fmt.Sprintf("Cannot read %s, which is to be deleted: %v", gate.Name(&ref), err)}
		default:
			input.Objects[ref] = object
		}
	}
	return nil
}

// maxPlan is how many changes the API stores. The digest covers all of them all the same.
const maxPlan = 64

// maxPlanFields is how many fields all changes together show.
const maxPlanFields = 512

func boundedPlan(changes []v1alpha1.PlannedChange) []v1alpha1.PlannedChange {
	if more := len(changes) - maxPlan + 1; more > 1 {
		rest := v1alpha1.PlannedChange{Operation: "more", Object: fmt.Sprintf("… and %d objects more, see the Action", more)}
		rest.Basis = plan.BasisOf(changes[maxPlan-1:])
		changes = append(changes[:maxPlan-1:maxPlan-1], rest)
	}
	// Everything is stored in the request, in each Approval and in the Record, which the API server bounds.
	share := max(maxPlanFields/max(len(changes), 1), 4)
	for i := range changes {
		changes[i].Fields = bounded(changes[i].Fields, min(share, maxPlan), 500)
	}
	return changes
}

func (s *scope) indeterminate(ctx context.Context, err error) *gate.Problem {
	return &gate.Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: gate.Later(err),
		Message: "Cannot tell what would be executed: " + s.judgement.ErrorText(ctx, err)}
}

func (s *scope) read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	action := s.judgement.Action.Object
	return s.Clients.Get(ctx, action.Namespace, action.Spec.Execution.ServiceAccountName, ref)
}

func (s *scope) digestSubject() digest.Subject {
	action := s.judgement.Action.Object
	emergency := ""
	if s.request.Spec.BreakGlass != nil {
		emergency = s.request.Spec.BreakGlass.Reason
	}
	return digest.Subject{
		BreakGlass:       emergency,
		RequestNamespace: s.request.Namespace, RequestName: s.request.Name, RequestUID: s.request.UID,
		Requester: *s.request.Spec.Requester, Inputs: s.judgement.Inputs,
		Action: action, Steps: s.plan.steps, Finally: s.plan.finally,
	}
}
