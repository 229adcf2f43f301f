package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/story"
)

// resolveOptions are the flags of `resolve`.
type resolveOptions struct {
	step, outcome, comment string
	dryRun                 bool
	outputs                *outputs
}

func (p *Program) resolve() *cobra.Command {
	o := &resolveOptions{}
	command := &cobra.Command{
		Use:   "resolve REQUEST --outcome succeeded|failed",
		Short: "Decide how a step ended of which nobody knows it, or end what cannot be taken back",
		Long: `Decides how a step ended of which nobody knows it: a call was made, and its answer was lost. Look at the host first; the request says by
which Idempotency-Key. After "succeeded" the next steps run; after "failed" the request fails, as after any step that failed. That is final.

Of a temporary request that is Reverting, "succeeded" says that what is left is taken back by hand or may stay: the request ends.

Say with --comment how you know; on a terminal you are asked.

The exit code is 0 if the decision was recorded, 1 if it was refused, and 2 if there is no answer.`,
		Example: `  kubectl signoff resolve -n payments checkout-1-42 --outcome succeeded --comment "CHG0042 is there"`,
		Args:    takes(1, 1),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runResolve(cmd, c, args[0], o) }
	command.ValidArgsFunction = p.completes(c, (*session).openRequests)
	flags := command.Flags()
	flags.StringVar(&o.step, "step", "", "the step (default: the one of which nobody knows how it ended; revert for what could not be taken back)")
	flags.StringVar(&o.outcome, "outcome", "", "succeeded or failed")
	_ = command.RegisterFlagCompletionFunc("outcome", among("succeeded", "failed"))
	flags.StringVarP(&o.comment, "comment", "m", "", "how you know")
	dryRunFlag(command, &o.dryRun)
	o.outputs = outputFlags(command, "resolved")
	return command
}

// stepOutcomes are what can be decided, as people type it.
var stepOutcomes = map[string]v1alpha1.StepOutcome{"succeeded": v1alpha1.StepSucceeded, "failed": v1alpha1.StepDidFail}

func (p *Program) runResolve(command *cobra.Command, c *connection, word string, o *resolveOptions) error {
	if err := o.outputs.check(false); err != nil {
		return err
	}
	outcome, known := stepOutcomes[strings.ToLower(o.outcome)]
	if !known {
		return fmt.Errorf("--outcome is %q: say succeeded or failed", o.outcome)
	}
	comment, err := p.words(command.Context(), o.comment, "how do you know? ", "say with --comment how you know: others will rely on it")
	if err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	name, err := s.named(word, requests)
	if err != nil {
		return err
	}
	return s.resolveOne(command.Context(), name, v1alpha1.NewResolution{Step: o.step, Outcome: outcome, Comment: comment}, o)
}

func (s *session) resolveOne(ctx context.Context, name *named, given v1alpha1.NewResolution, o *resolveOptions) error {
	if given.Step == "" {
		object, err := s.get(ctx, requests, name.namespace, name.name)
		if err != nil {
			return err
		}
		if given.Step, err = s.undecided(object); err != nil {
			return err
		}
	}
	after, err := patchSpec(ctx, s.objects, requests, name.namespace, name.name, "resolution", given, o.dryRun)
	return s.printRequest(ctx, name, after, err, o.outputs, o.dryRun)
}

// undecided is the step of which nobody knows how it ended, or what stands for all that could not be taken back, shown to who decides.
func (s *session) undecided(object *unstructured.Unstructured) (string, error) {
	request, err := typedAs[v1alpha1.ActionRequest](object)
	if err != nil {
		return "", err
	}
	step := story.Unknown(request)
	switch {
	case step == nil && story.Reverting(request):
		s.say("%s", request.Status.WaitingFor)
		return v1alpha1.StepRevert, nil
	case step == nil:
		return "", &ending{exitNo, fmt.Sprintf("there is nothing to decide about %s/%s: it is %s", request.Namespace, request.Name, story.Phase(request))}
	}
	s.say("step %s: %s", step.Name, step.Message)
	return step.Name, nil
}
