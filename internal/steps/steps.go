// Package steps compiles the steps of an Action and renders them into the writes that are sent to the API server.
//
// Compile refuses what can be known to be wrong when the Action is written. Render fills in the templates of one request and
// checks the result, because a template may give anything: what it returns is what people agree to and what is executed.
package steps

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// Steps are the compiled steps of an Action. They never change and are safe for concurrent use.
type Steps struct {
	// steps are all of them; those of finally begin at finally.
	steps    []step
	finally  int
	warnings []string
	// serviceAccount is the name of the executing ServiceAccount, in the namespace of the Action.
	serviceAccount string
	// kinds are the kinds of objects that are written, each once.
	kinds []schema.GroupKind
	// plan are the steps that run before anybody is asked. Nil: none.
	plan *Steps
}

// Plan gives the steps that run before anybody is asked. Nil: there are none.
func (s *Steps) Plan() *Steps { return s.plan }

// Input is what the templates of one request are filled in with.
type Input struct {
	// Namespace is the namespace of the Action.
	Namespace string
	// Action is the name of the Action.
	Action string
	// RequestName is the name of the request.
	RequestName string
	// RequestUID is the uid of the request.
	RequestUID string
	// Round counts the runs of the plan steps.
	Round int32
	// Temporary says that what the steps do is taken back later.
	Temporary bool
	// Vars are the values that templates read.
	Vars expression.Vars
	// Budget bounds the cost of all templates together. Nil: each has a budget of its own.
	Budget *expression.Budget
	// Needed are namespaces that the request cannot lose: its own, and that of the operator. That of the Action is always one of them.
	Needed []string
	// Objects are the objects that PodSources, Deleted and Secrets named, as they now are.
	Objects map[v1alpha1.ObjectReference]*unstructured.Unstructured
}

// step is one compiled step.
type step struct {
	name    string
	waitFor *v1alpha1.WaitFor
	timeout v1alpha1.Duration
	writer  writer
	// when is nil where the step always runs.
	when     *expression.Program
	failWhen string
	retries  int32
	logLines int32
	outputs  []v1alpha1.StepOutput
}

// condition is when the step runs, as it is written.
func (s *step) condition() string {
	if s.when == nil {
		return ""
	}
	return s.when.Source()
}

// writer is one kind of step.
type writer interface {
	// uses reports whether a template reads the variable.
	uses(variable string) bool
	// render fills in the templates.
	render(ctx context.Context, r rendering) ([]v1alpha1.RenderedWrite, error)
	// kinds are the kinds of objects that are written.
	kinds() []schema.GroupKind
	// touched renders which objects would be written, and no more.
	touched(ctx context.Context, r rendering) ([]Touched, error)
}

// rendering is the rendering of one step.
type rendering struct {
	Input
	step           string
	serviceAccount string
}

func (s *Steps) rendering(in Input, step string) rendering {
	return rendering{Input: in, step: step, serviceAccount: s.serviceAccount}
}

// needs tells whether the request cannot lose a namespace.
func (r rendering) needs(namespace string) bool {
	return namespace == r.Namespace || slices.Contains(r.Needed, namespace)
}

// Warnings are sentences about what is allowed and yet seldom meant.
func (s *Steps) Warnings() []string { return slices.Clone(s.warnings) }

// Uses reports whether a template of any step reads the variable.
func (s *Steps) Uses(variable string) bool { return s.ReaderOf(variable) != "" }

// ReaderOf names the first step of which a template reads the variable. Empty: none does.
func (s *Steps) ReaderOf(variable string) string {
	if s.plan != nil {
		if name := s.plan.ReaderOf(variable); name != "" {
			return name
		}
	}
	for i := range s.steps {
		if s.steps[i].writer.uses(variable) {
			return s.steps[i].name
		}
	}
	return ""
}

// Fixed tells whether a step writes what its author has written, whatever somebody asks for: nobody can try a guess by it.
func (s *Steps) Fixed(name string) bool {
	i := slices.IndexFunc(s.steps, func(step step) bool { return step.name == name })
	if i < 0 {
		return false
	}
	switch w := s.steps[i].writer.(type) {
	case *applyWriter:
		return !slices.ContainsFunc(w.manifests, func(m *manifest) bool { return !m.body.fixed() })
	case *patchWriter:
		return w.body.fixed()
	case *jsonWriter:
		return !slices.ContainsFunc(w.operations, func(o *operation) bool { return !o.fixed() })
	}
	return false
}

// PodSources names the objects whose pods are copied, each once. Render needs them in Input.Objects.
func (s *Steps) PodSources(ctx context.Context, in Input) ([]v1alpha1.ObjectReference, error) {
	var refs []v1alpha1.ObjectReference
	for _, step := range s.steps {
		job, ok := step.writer.(*jobWriter)
		if !ok || job.podFrom == nil {
			continue
		}
		ref, err := job.podFrom.render(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("failed to render step %q: job.podFrom.%w", step.name, err)
		}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// maxRendered is how much all steps of a request may write together: everything is recorded in one object before it is executed.
const maxRendered = 512 * 1024

func callSize(call *v1alpha1.RenderedHTTP) int {
	size := len(call.URL) + len(call.Text) + len(call.CABundle)
	if call.Body != nil {
		size += len(call.Body.Raw)
	}
	return size
}

// Split parts what Render gave into the steps and those of finally.
func (s *Steps) Split(rendered []v1alpha1.RenderedStep) (steps, finally []v1alpha1.RenderedStep) {
	return rendered[:s.finally:s.finally], rendered[s.finally:]
}

// Render fills in the templates of all steps, those of finally last, and checks what comes out.
func (s *Steps) Render(ctx context.Context, in Input) ([]v1alpha1.RenderedStep, error) {
	rendered := make([]v1alpha1.RenderedStep, 0, len(s.steps))
	size := 0
	for _, step := range s.steps {
		writes, err := step.writer.render(ctx, s.rendering(in, step.name))
		if err != nil {
			return nil, fmt.Errorf("failed to render step %q: %w", step.name, err)
		}
		for i := range writes {
			size += len(writes[i].Body.Raw)
			if err := recordableAll(writes[i].Late); err != nil {
				return nil, fmt.Errorf("failed to render step %q: %w", step.name, err)
			}
		}
		var call *v1alpha1.RenderedHTTP
		if caller, ok := step.writer.(*httpWriter); ok {
			if call, err = caller.call(ctx, s.rendering(in, step.name)); err != nil {
				return nil, fmt.Errorf("failed to render step %q: %w", step.name, err)
			}
			size += callSize(call)
		}
		if size > maxRendered {
			return nil, fmt.Errorf("failed to render step %q: with it, the steps write more than %d bytes together, which cannot be recorded: shorten the inputs, or write less", step.name, maxRendered)
		}
		rendered = append(rendered, v1alpha1.RenderedStep{
			Name:    step.name,
			Writes:  writes,
			HTTP:    call,
			WaitFor: step.waitFor.DeepCopy(),
			Timeout: step.timeout,
			When:    step.condition(), FailWhen: step.failWhen, Retries: step.retries, LogLines: step.logLines,
			Outputs: slices.Clone(step.outputs),
		})
	}
	return rendered, orphaned(rendered)
}
