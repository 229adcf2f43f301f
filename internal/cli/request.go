package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/typed"
	"github.com/signoff-dev/signoff/internal/inputs"
)

// requestOptions are the flags of `request`.
type requestOptions struct {
	askedFor

	wait, dryRun bool
	timeout      time.Duration
	outputs      *outputs
}

func (p *Program) request() *cobra.Command {
	o := &requestOptions{}
	command := &cobra.Command{
		Use:   "request ACTION [KEY=VALUE...]",
		Short: "Ask for an Action",
		Long: `Asks for an Action: makes an ActionRequest, as kubectl create would, and says what happens next. Values are read by the types that the
Action gives its inputs; a key in an object is written as outer.inner, and a list takes its key several times. What is missing is asked for on
a terminal; elsewhere the cluster says what is missing.

ACTION is NAMESPACE/NAME, or the name alone where only one Action that you may see has it. --from repeats an earlier request, with the inputs
that are given anew.

A temporary Action is over when what it did has been taken back, so --wait lasts until then: see "wait --until-active".

The exit code is 0 if the request was admitted, 1 if it was refused, and 2 if there is no answer. With --wait it is that of "wait".`,
		Example: `  kubectl signoff request deploy-service service=checkout environment=staging --reason "fixes the rounding error"

  # Only find out what would be needed
  kubectl signoff request platform/restart namespace=web name=frontend --dry-run

  # At night, or not at all
  kubectl signoff request platform/restart namespace=web name=frontend --not-before 2026-12-24T22:00:00Z --expires-at 2026-12-25T04:00:00Z

  # Repeat an earlier one, and wait until it is over
  kubectl signoff request --from checkout-1-41 image=registry/checkout:1.42 --wait

  # In an emergency
  kubectl signoff request restart namespace=web name=frontend --break-glass "the shop is down"`,
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runRequest(cmd, c, args, o) }
	command.ValidArgsFunction = p.completes(c, (*session).inputsLeft)
	o.flags(p, c, command)
	flags := command.Flags()
	flags.BoolVar(&o.wait, "wait", false, "wait until the request is over")
	timeoutFlag(command, &o.timeout, "how long to wait at most")
	dryRunFlag(command, &o.dryRun)
	o.outputs = outputFlags(command, "created")
	return command
}

func (p *Program) runRequest(command *cobra.Command, c *connection, args []string, o *requestOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	ctx := command.Context()
	request, err := s.compose(ctx, args, &o.askedFor)
	if err != nil {
		return err
	}
	created, err := s.create(ctx, request, o.dryRun)
	if err != nil {
		return err
	}
	if !o.wait || o.dryRun {
		return p.printObject(o.outputs, created, printedAs(o.dryRun))
	}
	if o.outputs.forPeople() {
		if err := p.printObject(o.outputs, created, printedAs(o.dryRun)); err != nil {
			return err
		}
	}
	return s.await(ctx, created.GetNamespace(), created.GetName(), &waitOptions{timeout: o.timeout, once: looksOnce(command, o.timeout), outputs: o.outputs})
}

func (o *requestOptions) check() error {
	if o.outputs.format() == outputWide {
		return errors.New(`failed to read -o "wide": there is no table of one request; see kubectl signoff show`)
	}
	return o.outputs.check(false)
}

// compose makes the request of what was written, of an earlier request, and of what a person answers.
func (s *session) compose(ctx context.Context, args []string, o *askedFor) (*unstructured.Unstructured, error) {
	words, spec, values := args, map[string]any{}, map[string]any{}
	if o.from != "" {
		earlier, err := s.earlier(ctx, o.from)
		if err != nil {
			return nil, err
		}
		spec, values = repeated(earlier)
	}
	ref, words, err := s.actionOf(ctx, words, spec)
	if err != nil {
		return nil, err
	}
	known, err := s.inputsOf(ctx, ref)
	if err != nil {
		return nil, err
	}
	if err := typed.Set(values, words, known.Structural()); err != nil {
		return nil, err
	}
	if err := s.askMissing(ctx, values, known); err != nil {
		return nil, err
	}
	spec["actionRef"] = map[string]any{"namespace": ref.Namespace, "name": ref.Name}
	if len(values) > 0 {
		spec["inputs"] = values
	}
	if err := o.fill(spec, s.Clock.Now()); err != nil {
		return nil, err
	}
	return s.newRequest(ref, spec, o.name), nil
}

// earlier reads a request that was made before.
func (s *session) earlier(ctx context.Context, word string) (*unstructured.Unstructured, error) {
	name, err := s.elsewhere(word, requests) // -n says where the new one is made
	if err != nil {
		return nil, err
	}
	return s.get(ctx, requests, name.namespace, name.name)
}

func (s *session) newRequest(ref v1alpha1.ActionReference, spec map[string]any, name string) *unstructured.Unstructured {
	request := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	request.SetAPIVersion(v1alpha1.GroupVersion.String())
	request.SetKind(requests.name)
	request.SetNamespace(s.namespace)
	if request.SetName(name); name == "" {
		request.SetGenerateName(cut(ref.Name, maxPrefix) + "-")
	}
	return request
}

// repeated is what another request takes over from an earlier one: what was asked and for whom, not when, and no emergency. Without the person for whom
// it was asked, that person could approve what they asked for themself.
func repeated(earlier *unstructured.Unstructured) (spec, values map[string]any) {
	spec, values = map[string]any{}, map[string]any{}
	for _, key := range []string{"actionRef", "reason", "duration", "onBehalfOf"} {
		if value, ok, _ := unstructured.NestedFieldCopy(earlier.Object, "spec", key); ok {
			spec[key] = value
		}
	}
	if given, ok, _ := unstructured.NestedMap(earlier.Object, "spec", "inputs"); ok {
		values = given
	}
	return spec, values
}

// actionOf finds the Action that is asked for: the first word, unless it is an input and an earlier request names the Action.
func (s *session) actionOf(ctx context.Context, words []string, spec map[string]any) (v1alpha1.ActionReference, []string, error) {
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		ref, err := s.find(ctx, words[0])
		return ref, words[1:], err
	}
	ref := v1alpha1.ActionReference{}
	ref.Namespace, _, _ = unstructured.NestedString(spec, "actionRef", "namespace")
	ref.Name, _, _ = unstructured.NestedString(spec, "actionRef", "name")
	if ref.Name == "" {
		return ref, nil, errors.New("name the Action, or an earlier request with --from; see what there is: kubectl signoff actions")
	}
	return ref, words, nil
}

// inputsOf reads the types of inputs. Who may not read the Action, or names one that does not exist, is answered by the webhook.
func (s *session) inputsOf(ctx context.Context, ref v1alpha1.ActionReference) (*inputs.Schema, error) {
	object, err := s.objects.Resource(resourceOf(actions)).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		if answered := refused(err); !isRefusal(answered) && !isMissing(err) {
			return nil, s.unread(ctx, err, actions, ref.Namespace, ref.Name)
		}
		s.say("note: Action %s cannot be read, so values are read as in YAML", ref)
		return nil, nil
	}
	action, err := typedAs[v1alpha1.Action](object)
	if err != nil {
		return nil, err
	}
	return schemaOf(action), nil
}

// schemaOf compiles the schema of an Action. Nil: it has none, or one that is not valid, which the webhook says.
func schemaOf(action *v1alpha1.Action) *inputs.Schema {
	if action.Spec.Inputs == nil {
		return nil
	}
	schema, errs := inputs.Compile(action.Spec.Inputs.OpenAPIV3Schema.Raw, nil)
	if len(errs) > 0 {
		return nil
	}
	return schema
}

// askMissing asks a person for inputs that must be given and were not.
func (s *session) askMissing(ctx context.Context, values map[string]any, schema *inputs.Schema) error {
	if !s.asks() {
		return nil
	}
	for _, input := range typed.Inputs(schema.Structural()) {
		if _, given := values[input.Name]; given || !input.Required {
			continue
		}
		if input.Description != "" {
			s.say("%s", input.Description)
		}
		if err := s.askFor(ctx, &input, values, schema); err != nil {
			return err
		}
	}
	return nil
}

// attempts is how often a person is asked for one input. After that the cluster says what is wrong.
const attempts = 3

// askFor asks for one input, again where the schema does not take the answer.
func (s *session) askFor(ctx context.Context, input *typed.Input, values map[string]any, schema *inputs.Schema) error {
	for range attempts {
		delete(values, input.Name)
		text, err := s.ask(ctx, promptFor(input))
		if err != nil {
			return err
		}
		if err := typed.Set(values, input.Words(text), schema.Structural()); err != nil {
			return err
		}
		raw, err := json.Marshal(values)
		if err != nil {
			return fmt.Errorf("failed to write the inputs: %w", err)
		}
		_, errs := schema.Resolve(raw, nil)
		wrong := false
		for _, problem := range errs {
			if problem.Field == input.Name || strings.HasPrefix(problem.Field, input.Name+".") || strings.HasPrefix(problem.Field, input.Name+"[") {
				s.say("%v", problem)
				wrong = true
			}
		}
		if !wrong {
			return nil
		}
	}
	return nil
}

// promptFor says what is asked for, and how a list is typed.
func promptFor(input *typed.Input) string {
	if input.List {
		return fmt.Sprintf("%s (%s; several with commas between, or JSON such as [\"a\"]): ", input.Name, input.Kind)
	}
	return fmt.Sprintf("%s (%s): ", input.Name, input.Kind)
}

// create stores a request, or asks what would be answered.
func (s *session) create(ctx context.Context, request *unstructured.Unstructured, dryRun bool) (*unstructured.Unstructured, error) {
	options := metav1.CreateOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	created, err := s.objects.Resource(resourceOf(requests)).Namespace(request.GetNamespace()).Create(ctx, request, options)
	s.warn(s.connection)
	if err != nil {
		return nil, refused(err)
	}
	return created, nil
}
