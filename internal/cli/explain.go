package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/manifest"
)

// explainOptions are the flags of `explain`.
type explainOptions struct {
	askedFor

	files  []string
	stored []string
	at     string
	output string
}

func (p *Program) explain() *cobra.Command {
	o := &explainOptions{}
	command := &cobra.Command{
		Use:   "explain [ACTION [KEY=VALUE...]]",
		Short: "Ask the cluster what it would answer to a request, and why",
		Long: `Asks the cluster what it would answer to a request, and why: every rule with its answer, what the answer rests on, what would have to be
otherwise, the facts that were read, and who would have to approve. It is a server-side dry run: nothing is stored, and nobody is told.

ACTION, KEY=VALUE and the flags that say what is asked for are those of "request". -f reads requests from files, and --request takes what a
request that is there asks for: the answer is that to you, asking now.

The exit code is 0 if the request would be allowed or needs approval, 1 if it would be refused, and 2 if there is no answer. With several
requests it is the highest.`,
		Example: `  # What would happen, and why
  kubectl signoff explain deploy-service service=checkout environment=staging
  kubectl signoff explain -f request.yaml

  # What is there, asked again
  kubectl signoff explain -n payments --request checkout-1-42

  # What would be answered to somebody else, at Christmas
  kubectl signoff explain -f request.yaml --as bob --as-group developers --at 2026-12-25T09:00:00Z

  # For programs
  kubectl signoff explain -f - -o json < request.yaml`,
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, args []string) error { return p.runExplain(cmd, c, args, o) }
	command.ValidArgsFunction = p.completes(c, (*session).inputsLeft)
	o.flags(p, c, command)
	command.Flags().StringArrayVar(&o.stored, "request", nil, "a request that is there, whose content is asked for; may be given several times")
	_ = command.RegisterFlagCompletionFunc("request", p.completes(c, (*session).allRequests))
	command.Flags().StringArrayVarP(&o.files, "filename", "f", nil, `a file of ActionRequests, or "-" for standard input; may be given several times`)
	command.Flags().StringVar(&o.at, "at", "", "the time at which it is judged, such as 2026-12-24T09:00:00Z (default now)")
	answerFlag(command, &o.output, outputText, outputJSON, outputYAML)
	return command
}

// Explained is the answer to one request, for programs.
type Explained struct {
	// Request is the request, as "namespace/name".
	Request string `json:"request"`
	// Requester is who would ask.
	Requester Requester `json:"requester"`
	gate.Explanation
	// Warnings are what the requester would be told of an admitted request.
	Warnings []string `json:"warnings,omitempty"`
	// Note says what was judged instead of exactly the request.
	Note string `json:"note,omitempty"`
}

// Requester is a login, without what may be about its credentials.
type Requester struct {
	Username string   `json:"username"`
	Groups   []string `json:"groups,omitempty"`
}

func (p *Program) runExplain(command *cobra.Command, c *connection, args []string, o *explainOptions) error {
	if err := o.check(args); err != nil {
		return err
	}
	s, err := p.session(command, c)
	if err != nil {
		return err
	}
	ctx := command.Context()
	requests, err := s.toExplain(ctx, args, o)
	if err != nil {
		return err
	}
	who, err := c.whoAmI(ctx)
	if err != nil {
		return err
	}
	client, err := c.client(v1alpha1.GroupVersion)
	if err != nil {
		return err
	}
	return p.explainAll(ctx, &asker{client: client, connection: c, at: o.at}, Requester{who.Username, who.Groups}, requests, o.output)
}

// explainAll asks for each request, and prints the answers.
func (p *Program) explainAll(ctx context.Context, asker *asker, who Requester, requests []*unstructured.Unstructured, output string) error {
	refused, failed := false, false
	for i, request := range requests {
		out := &Explained{Request: request.GetNamespace() + "/" + nameOf(request), Requester: who}
		if err := asker.ask(ctx, request, out); err != nil {
			failed = true
			_, _ = fmt.Fprintf(p.IO.ErrOut, "error: %s: %v\n", out.Request, err)
			continue
		}
		refused = refused || !out.Allowed
		if err := p.print(output, i, out, out.text); err != nil {
			return err
		}
	}
	switch {
	case failed:
		return errSaid
	case refused:
		return errNo
	}
	return nil
}

// check finds out what is wrong with the flags.
func (o *explainOptions) check(args []string) error {
	if err := checkOutput(o.output, outputText, outputJSON, outputYAML); err != nil {
		return err
	}
	if !o.composed(args) && len(o.files)+len(o.stored) == 0 {
		return errors.New(`name what is to be explained: an Action with its inputs, a file with -f ("-" is the standard input), or a request that is there with --request`)
	}
	if _, err := time.Parse(time.RFC3339, o.at); o.at != "" && err != nil {
		return fmt.Errorf("failed to read --at %q: write the time as 2026-12-24T09:00:00Z or 2026-12-24T10:00:00+01:00", o.at)
	}
	return nil
}

// composed tells whether a request is put together from words and flags.
func (o *explainOptions) composed(args []string) bool {
	return len(args) > 0 || o.askedFor != askedFor{}
}

// toExplain gives all requests. Nothing is asked before everything has been read.
func (s *session) toExplain(ctx context.Context, args []string, o *explainOptions) ([]*unstructured.Unstructured, error) {
	all, err := s.inFiles(o.files)
	if err != nil {
		return nil, err
	}
	for _, word := range o.stored {
		request, err := s.asked(ctx, word, o.moment(s.Clock.Now()))
		if err != nil {
			return nil, err
		}
		all = append(all, request)
	}
	if o.composed(args) {
		request, err := s.compose(ctx, args, &o.askedFor)
		if err != nil {
			return nil, err
		}
		all = append(all, request)
	}
	return all, nil
}

// moment is the time at which it is judged.
func (o *explainOptions) moment(now time.Time) time.Time {
	if at, err := time.Parse(time.RFC3339, o.at); err == nil {
		return at
	}
	return now
}

// asked is what a request that is there asks for, without what Signoff wrote into it, and what was decided about it.
func (s *session) asked(ctx context.Context, word string, at time.Time) (*unstructured.Unstructured, error) {
	name, err := s.named(word, requests)
	if err != nil {
		return nil, err
	}
	stored, err := s.get(ctx, requests, name.namespace, name.name)
	if err != nil {
		return nil, err
	}
	for _, key := range withoutPast(stored, at) {
		s.say("note: spec.%s of %s is past, so it is judged without it", key, name)
	}
	request := &unstructured.Unstructured{Object: map[string]any{}}
	request.SetGroupVersionKind(stored.GroupVersionKind())
	request.SetNamespace(stored.GetNamespace())
	request.SetName(stored.GetName())
	for _, key := range content {
		if value, ok, _ := unstructured.NestedFieldCopy(stored.Object, "spec", key); ok {
			if err := unstructured.SetNestedField(request.Object, value, "spec", key); err != nil {
				return nil, fmt.Errorf("failed to read %s %s/%s: %w", stored.GetKind(), stored.GetNamespace(), stored.GetName(), err)
			}
		}
	}
	return request, nil
}

// withoutPast leaves out the times of a request that are over: who asked now would name others, and is told nothing of interest by a refusal for these. It
// names them.
func withoutPast(request *unstructured.Unstructured, at time.Time) []string {
	var past []string
	for _, key := range []string{"notBefore", "expiresAt"} {
		text, _, _ := unstructured.NestedString(request.Object, "spec", key)
		if when, err := time.Parse(time.RFC3339, text); err == nil && !when.After(at) {
			unstructured.RemoveNestedField(request.Object, "spec", key)
			past = append(past, key)
		}
	}
	return past
}

// inFiles reads the requests of files.
func (s *session) inFiles(files []string) ([]*unstructured.Unstructured, error) {
	var requests []*unstructured.Unstructured
	for _, name := range files {
		documents, err := s.read(name)
		if err != nil {
			return nil, err
		}
		for _, document := range documents {
			request, err := requestOf(document, s.namespace)
			if err != nil {
				return nil, err
			}
			requests = append(requests, request)
		}
	}
	if len(files) > 0 && len(requests) == 0 {
		return nil, errors.New("there is no request in what -f names")
	}
	return requests, nil
}

func (p *Program) read(name string) ([]*manifest.Document, error) {
	if name == "-" {
		data, err := io.ReadAll(p.IO.In)
		if err != nil {
			return nil, fmt.Errorf("failed to read standard input: %w", err)
		}
		return manifest.Parse("standard input", data)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("failed to read the request: %w", err)
	}
	return manifest.Parse(name, data)
}

// requestOf gives the request of a document.
func requestOf(document *manifest.Document, namespace string) (*unstructured.Unstructured, error) {
	content, err := document.Object()
	if err != nil {
		return nil, err
	}
	request := &unstructured.Unstructured{Object: content}
	if request.GetAPIVersion() != v1alpha1.GroupVersion.String() || request.GetKind() != "ActionRequest" {
		return nil, &manifest.Problem{File: document.File, Line: document.Line, Err: fmt.Errorf(
			"explain takes ActionRequests of %s only, and this is %s of %q", v1alpha1.GroupVersion, orNothing(request.GetKind()), request.GetAPIVersion())}
	}
	if request.GetNamespace() == "" {
		request.SetNamespace(namespace)
	}
	return request, nil
}

func orNothing(kind string) string {
	if kind == "" {
		return "no kind"
	}
	return kind
}

func nameOf(request *unstructured.Unstructured) string {
	if name := request.GetName(); name != "" {
		return name
	}
	return request.GetGenerateName() + "…"
}
