package digest

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/httpcall"
)

// version names the encoding. A member that is left out wherever it says nothing can be added, because no document of before has another encoding
// then; anything else needs another version.
const version = "signoff.dev/digest.v1"

// document is what is hashed. It is closed: it holds these members and no others, built one by one.
type document struct {
	Version   string         `json:"version"`
	Request   request        `json:"request"`
	Requester requester      `json:"requester"`
	Inputs    map[string]any `json:"inputs"`
	Action    action         `json:"action"`
	// ServiceAccountName executes, ReadServiceAccountName reads; both are in the namespace of the Action.
	ServiceAccountName     string `json:"serviceAccountName"`
	ReadServiceAccountName string `json:"readServiceAccountName"`
	Steps                  []step `json:"steps"`
	// Finally is there only where the Action has such steps.
	Finally []step `json:"finally,omitempty"`
	// Planned is what the plan steps gave, there only where the Action has such steps.
	Planned []planned `json:"planned,omitempty"`
}

type planned struct {
	Name    string          `json:"name"`
	Outputs json.RawMessage `json:"outputs,omitempty"`
}

type request struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	// BreakGlass is the reason of an emergency.
	BreakGlass string `json:"breakGlass"`
}

type requester struct {
	Username string `json:"username"`
	UID      string `json:"uid"`
}

type action struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Spec      string `json:"spec"`
}

type step struct {
	Name    string  `json:"name"`
	Writes  []write `json:"writes"`
	WaitFor waitFor `json:"waitFor"`
	Timeout string  `json:"timeout"`
	// Those below are there only where the step has them.
	When     string   `json:"when,omitempty"`
	FailWhen string   `json:"failWhen,omitempty"`
	Retries  int32    `json:"retries,omitempty"`
	LogLines int32    `json:"logLines,omitempty"`
	Outputs  []output `json:"outputs,omitempty"`
	// HTTP is the call of the step.
	HTTP *httpcall.Document `json:"http,omitempty"`
}

type output struct {
	Name       string          `json:"name"`
	Expression string          `json:"expression"`
	Schema     json.RawMessage `json:"schema"`
}

type write struct {
	Operation    string          `json:"operation"`
	APIVersion   string          `json:"apiVersion"`
	Kind         string          `json:"kind"`
	Namespace    string          `json:"namespace"`
	Name         string          `json:"name"`
	Body         json.RawMessage `json:"body"`
	FieldManager string          `json:"fieldManager"`
	Conflicts    string          `json:"conflicts"`
	// Late is there only where something is filled in later.
	Late []httpcall.Late `json:"late,omitempty"`
}

type waitFor struct {
	Status     string `json:"status"`
	Expression string `json:"expression"`
}

func (s *Subject) ofAction() (string, error) {
	if s.ActionDigest != "" {
		return s.ActionDigest, nil
	}
	return OfAction(s.Action)
}

func (s Subject) document() (*document, error) {
	if s.Action == nil || s.RequestUID == "" || s.Action.UID == "" || s.Requester.Username == "" || len(s.Steps) == 0 {
		return nil, errors.New("failed to make a digest: the uid of request and Action, the requester and the steps are needed")
	}
	spec, err := s.ofAction()
	if err != nil {
		return nil, err
	}
	exec := s.Action.Spec.Execution
	doc := &document{
		Version:                version,
		Request:                request{s.RequestNamespace, s.RequestName, string(s.RequestUID), s.BreakGlass},
		Requester:              requester{s.Requester.Username, s.Requester.UID},
		Inputs:                 map[string]any{},
		Action:                 action{s.Action.Namespace, s.Action.Name, string(s.Action.UID), spec},
		ServiceAccountName:     exec.ServiceAccountName,
		ReadServiceAccountName: exec.ReadServiceAccountName,
	}
	if len(s.Inputs) > 0 {
		doc.Inputs = s.Inputs
	}
	if doc.ReadServiceAccountName == "" {
		doc.ReadServiceAccountName = exec.ServiceAccountName
	}
	if doc.Steps, err = newSteps(s.Steps); err != nil {
		return nil, err
	}
	doc.Planned = newPlanned(s.Planned)
	doc.Finally, err = newSteps(s.Finally)
	return doc, err
}

func newPlanned(list []v1alpha1.PlannedStep) []planned {
	var out []planned
	for i := range list {
		gave := planned{Name: list[i].Name}
		if list[i].Outputs != nil {
			gave.Outputs = list[i].Outputs.Raw
		}
		out = append(out, gave)
	}
	return out
}

func newSteps(list []v1alpha1.RenderedStep) ([]step, error) {
	var out []step
	for i := range list {
		rendered, err := newStep(&list[i])
		if err != nil {
			return nil, err
		}
		out = append(out, rendered)
	}
	return out, nil
}

func newStep(s *v1alpha1.RenderedStep) (step, error) {
	out := step{
		Name: s.Name, Timeout: string(s.Timeout), Writes: []write{},
		When: s.When, FailWhen: s.FailWhen, Retries: s.Retries, LogLines: s.LogLines, Outputs: outputs(s.Outputs), HTTP: httpcall.Of(s.HTTP),
	}
	if s.WaitFor != nil {
		out.WaitFor = waitFor{string(s.WaitFor.Status), s.WaitFor.Expression}
	}
	for i := range s.Writes {
		w := &s.Writes[i]
		if len(w.Body.Raw) == 0 {
			return out, fmt.Errorf("failed to make a digest: step %q writes %s %q without a body", s.Name, w.Object.Kind, w.Object.Name)
		}
		out.Writes = append(out.Writes, write{
			Operation:    string(w.Operation),
			APIVersion:   w.Object.APIVersion,
			Kind:         w.Object.Kind,
			Namespace:    w.Object.Namespace,
			Name:         w.Object.Name,
			Body:         json.RawMessage(w.Body.Raw),
			FieldManager: w.FieldManager,
			Conflicts:    string(w.Conflicts),
			Late:         httpcall.Lates(w.Late),
		})
	}
	return out, nil
}

func outputs(list []v1alpha1.StepOutput) []output {
	var out []output
	for _, o := range list {
		out = append(out, output{o.Name, o.Expression, json.RawMessage(o.Schema.Raw)})
	}
	return out
}

// withoutTexts is the spec of an Action without what only tells people something.
func withoutTexts(spec *v1alpha1.ActionSpec) *v1alpha1.ActionSpec {
	out := spec.DeepCopy()
	out.Title, out.Description = "", ""
	for i := range out.Rules {
		out.Rules[i].Message = ""
	}
	if out.Default != nil {
		out.Default.Message = ""
	}
	return out
}
