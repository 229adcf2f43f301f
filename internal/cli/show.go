package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/replan"
	"github.com/signoff-dev/signoff/internal/cli/story"
)

func (p *Program) show() *cobra.Command {
	o := &showOptions{}
	command := &cobra.Command{
		Use:   "show REQUEST|approval/APPROVAL",
		Short: "Tell the story of a request",
		Long: `Tells the story of a request: who asked, why, which rules apply, what will be done, whether each Approval is about exactly that, who
voted, how far each step is, and what to do next. What people wrote is in quotes or behind a bar, and escaped.

What a request that has not started would do is put together anew, with your own rights, and shown in full: the Action and what its steps read
and write is read. If it has another digest than the request or an open Approval shows, or would change something else, that is said; if
something cannot be read, it is said what. Values of Secrets, and those that variables of containers have had or that come with a copied pod, are
never shown, also where you may read them. With --check=false the plan is as the request shows it.

With approval/NAME it is the story of the request that the Approval belongs to. -o json and -o yaml print the request and its Approvals in a
list; what was found out about the plan is its field "check".`,
		Example: `  kubectl signoff show -n payments checkout-1-42
  kubectl signoff show -n payments approval/checkout-1-42-a81f`,
		Args: takes(1, 1),
	}
	c := p.connect(command)
	command.ValidArgsFunction = p.completes(c, (*session).showable)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runShow(cmd, c, args[0], o) }
	command.Flags().BoolVar(&o.check, "check", true, "put the plan together anew, with your own rights, and compare it with what the request shows")
	o.outputs = outputFlags(command, "")
	return command
}

// showOptions are the flags of `show`.
type showOptions struct {
	check   bool
	outputs *outputs
}

func (p *Program) runShow(command *cobra.Command, c *connection, word string, o *showOptions) error {
	if err := o.outputs.check(true); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	ctx := command.Context()
	name, err := s.requestNamed(ctx, word)
	if err != nil {
		return err
	}
	request, err := s.get(ctx, requests, name.namespace, name.name)
	if err != nil {
		return err
	}
	found, err := s.list(ctx, approvals, name.namespace, fields.OneTermEqualSelector("spec.requestRef.name", name.name).String())
	if err != nil {
		return err
	}
	all, err := approvalsIn(found)
	if err != nil {
		return err
	}
	check, err := s.check(ctx, request, all, o)
	if err != nil {
		return err
	}
	if !o.outputs.forPeople() {
		return p.printAll(o.outputs, request, found, check)
	}
	return p.tell(request, all, check)
}

func approvalsIn(found *table) ([]v1alpha1.Approval, error) {
	var all []v1alpha1.Approval
	for i := range found.Rows {
		approval, err := typedAs[v1alpha1.Approval](found.object(i))
		if err != nil {
			return nil, err
		}
		all = append(all, *approval)
	}
	return all, nil
}

// check puts together anew what a request would do. Nil: it is not asked for, or there is nothing to check.
func (s *session) check(ctx context.Context, object *unstructured.Unstructured, approvals []v1alpha1.Approval, o *showOptions) (*replan.Check, error) {
	if !o.check || o.outputs.format() == outputName {
		return nil, nil //nolint:nilnil // nobody asked
	}
	request, err := typedAs[v1alpha1.ActionRequest](object)
	if err != nil || replan.Unchecked(request, approvals) != "" {
		return nil, err
	}
	world, err := s.sight()
	if err != nil {
		return nil, err
	}
	return replan.Of(ctx, request, approvals, world, s.Clock), nil
}

// requestNamed gives the request that a word is about.
func (s *session) requestNamed(ctx context.Context, word string) (*named, error) {
	name, err := s.named(word, requests, approvals)
	if err != nil || name.kind == requests {
		return name, err
	}
	object, err := s.get(ctx, approvals, name.namespace, name.name)
	if err != nil {
		return nil, err
	}
	request, _, _ := unstructured.NestedString(object.Object, "spec", "requestRef", "name")
	return &named{kind: requests, namespace: name.namespace, name: request}, nil
}

// printAll prints a request with its Approvals, and what was found out about its plan.
func (p *Program) printAll(o *outputs, request *unstructured.Unstructured, found *table, check *replan.Check) error {
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}}}
	list.Items = append(list.Items, *request)
	for i := range found.Rows {
		list.Items = append(list.Items, *found.object(i))
	}
	if check != nil {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(check)
		if err != nil {
			return fmt.Errorf("failed to write what was found out about the plan: %w", err)
		}
		list.Object["check"] = content
	}
	return p.printObject(o, list, "%s")
}

// tell prints the story.
func (p *Program) tell(object *unstructured.Unstructured, all []v1alpha1.Approval, check *replan.Check) error {
	request, err := typedAs[v1alpha1.ActionRequest](object)
	if err != nil {
		return err
	}
	lines := story.Of(request, all, check, p.Clock.Now())
	phase := string(story.Phase(request))
	lines[0] = strings.TrimSuffix(lines[0], phase) + p.paint(colourOf[story.Phase(request)], phase)
	return p.printLines(lines)
}

// colourOf are the colours of ends, good and bad; all else is open.
var colourOf = map[v1alpha1.Phase]string{
	v1alpha1.PhaseSucceeded: colourGood, v1alpha1.PhaseReverted: colourGood, v1alpha1.PhaseActive: colourGood, v1alpha1.PhaseApproved: colourGood,
	v1alpha1.PhaseFailed: colourBad, v1alpha1.PhaseDenied: colourBad, v1alpha1.PhaseExpired: colourBad, v1alpha1.PhaseCancelled: colourBad,
	v1alpha1.PhaseOutcomeUnknown: colourBad, v1alpha1.PhasePending: colourOpen, v1alpha1.PhaseAwaitingApproval: colourOpen, v1alpha1.PhaseHeld: colourOpen,
	v1alpha1.PhaseExecuting: colourOpen, v1alpha1.PhaseReverting: colourOpen,
}
