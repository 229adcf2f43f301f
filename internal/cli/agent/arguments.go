package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	kjson "sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/internal/suggest"
)

// ListActions are the arguments of list_actions.
type ListActions struct {
	Namespace string `json:"namespace,omitempty" jsonschema:"only Actions in this namespace (default: all that you may see)"`
	All       bool   `json:"all,omitempty" jsonschema:"also Actions that you may not ask for (default false)"`
}

// DescribeAction are the arguments of describe_action.
type DescribeAction struct {
	Action string `json:"action" jsonschema:"the Action, as NAMESPACE/NAME"`
}

// Ask is what is asked for.
type Ask struct {
	Action    string         `json:"action" jsonschema:"the Action, as NAMESPACE/NAME"`
	Inputs    map[string]any `json:"inputs,omitempty" jsonschema:"the inputs, by the inputSchema that describe_action shows"`
	Reason    string         `json:"reason,omitempty" jsonschema:"why, for those who must approve: at most 4096 characters"`
	Duration  string         `json:"duration,omitempty" jsonschema:"how long what is done stays, such as 2h; only where the Action has a maxDuration"`
	Namespace string         `json:"namespace,omitempty" jsonschema:"the namespace of the request (default: that of your kubeconfig)"`

	NotBefore  string `json:"notBefore,omitempty" jsonschema:"the time before which nothing is executed, such as 2026-12-24T09:00:00Z; people approve meanwhile"`
	ExpiresAt  string `json:"expiresAt,omitempty" jsonschema:"the time at which the request ends if it has not been finished, such as 2026-12-24T18:00:00Z"`
	OnBehalfOf string `json:"onBehalfOf,omitempty" jsonschema:"the user name of the person for whom you ask, who then cannot approve; it gives no right, and needs one of its own"`
}

// Explain are the arguments of explain_request.
type Explain struct {
	Ask

	At string `json:"at,omitempty" jsonschema:"the time at which it is judged, such as 2026-12-24T09:00:00Z (default now)"`
}

// NewRequest are the arguments of request_action.
type NewRequest struct {
	Ask

	Token string `json:"token" jsonschema:"a text of your own for this one request, hard to guess, such as a UUID: from 8 to 128 characters. The same token with the same content gives the same request, however often you call"`
}

// Look are the arguments of get_request.
type Look struct {
	Name      string `json:"name" jsonschema:"the name of the request"`
	Namespace string `json:"namespace,omitempty" jsonschema:"its namespace (default: that of your kubeconfig)"`
}

// Wait are the arguments of wait_for_request.
type Wait struct {
	Look

	TimeoutSeconds int `json:"timeoutSeconds,omitempty" jsonschema:"how long to wait at most, from 1 to 600 (default 50)"`
}

// Cancel are the arguments of cancel_request.
type Cancel struct {
	Look

	Reason string `json:"reason" jsonschema:"why, for those who read it: from 1 to 1024 characters"`
}

const (
	defaultTimeout = 50
	name           = `[a-z0-9]([-a-z0-9.]*[a-z0-9])?`
)

// bounds are what texts and numbers in arguments may be, by the name of the argument, or of its type and the argument where it differs.
var bounds = map[string]func(*jsonschema.Schema){
	"namespace":     func(s *jsonschema.Schema) { s.Pattern, s.MaxLength = `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, new(63) },
	"action":        func(s *jsonschema.Schema) { s.Pattern, s.MaxLength = `^`+name+`/`+name+`$`, new(317) },
	"name":          func(s *jsonschema.Schema) { s.Pattern, s.MaxLength = `^`+name+`$`, new(253) },
	"reason":        func(s *jsonschema.Schema) { s.MinLength, s.MaxLength = new(1), new(4096) },
	"Cancel.reason": func(s *jsonschema.Schema) { s.MinLength, s.MaxLength, s.Pattern = new(1), new(1024), `\S` },
	"duration":      func(s *jsonschema.Schema) { s.Pattern, s.MaxLength = `^([0-9]+(h|m|s))+$`, new(32) },
	"token":         func(s *jsonschema.Schema) { s.MinLength, s.MaxLength = new(8), new(128) },
	"at":            moment,
	"notBefore":     moment,
	"expiresAt":     moment,
	"onBehalfOf":    func(s *jsonschema.Schema) { s.MinLength, s.MaxLength = new(1), new(256) },
	"timeoutSeconds": func(s *jsonschema.Schema) {
		s.Minimum, s.Maximum, s.Default = new(1.0), new(600.0), json.RawMessage(fmt.Sprint(defaultTimeout))
	},
}

// moment is a time in full. Whether there is such a day is judged apart: no pattern can tell.
func moment(s *jsonschema.Schema) {
	s.Pattern, s.MaxLength = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$`, new(25)
}

// moments are the arguments that are times.
var moments = []string{"at", "notBefore", "expiresAt"}

// parameters are what a tool takes.
type parameters struct {
	schema *jsonschema.Schema
	// each judges one argument.
	each map[string]*jsonschema.Resolved
}

// parametersOf are those of a type of arguments.
func parametersOf[In any]() (*parameters, error) {
	schema, err := jsonschema.For[In](nil)
	if err != nil {
		return nil, fmt.Errorf("failed to make the schema of arguments: %w", err)
	}
	p := &parameters{schema: schema, each: map[string]*jsonschema.Resolved{}}
	for name, property := range schema.Properties {
		bound, ok := bounds[reflect.TypeFor[In]().Name()+"."+name]
		if !ok {
			bound, ok = bounds[name]
		}
		if ok {
			bound(property)
		}
		if name == "inputs" {
			property.Types, property.Type = nil, "object"
		}
		if p.each[name], err = property.Resolve(nil); err != nil {
			return nil, fmt.Errorf("failed to prepare the argument %s: %w", name, err)
		}
	}
	return p, nil
}

// read reads arguments. The answer says which one is wrong, and what would be right.
func (p *parameters) read(raw json.RawMessage, into any) *Answer {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	given := map[string]any{}
	if err := json.Unmarshal(raw, &given); err != nil {
		return Fail(CodeInvalidArgument, "The arguments are no object.")
	}
	if wrong := p.judge(given); wrong != nil {
		return wrong
	}
	strict, err := kjson.UnmarshalStrict(raw, into)
	switch {
	case err != nil:
		return Fail(CodeInvalidArgument, "The arguments cannot be read.").With("error", "", err.Error())
	case len(strict) > 0:
		return Fail(CodeInvalidArgument, "The arguments cannot be read: something is written twice, or in other letters.").With("error", "", strict[0].Error())
	}
	return nil
}

func (p *parameters) judge(given map[string]any) *Answer {
	known := slices.Sorted(maps.Keys(p.schema.Properties))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		property, ok := p.schema.Properties[name]
		if !ok {
			hint := ""
			if near := suggest.Nearest(name, known); near != "" {
				hint = fmt.Sprintf(" Did you mean %q?", near)
			}
			return WrongArgument(cut(name), "The tool does not take it; it takes: "+strings.Join(known, ", ")+"."+hint)
		}
		if err := p.fits(name, given[name]); err != nil {
			return WrongArgument(name, "Its value does not fit. It is "+property.Description+".").With("error", "", err.Error())
		}
	}
	for _, name := range p.schema.Required {
		if _, ok := given[name]; !ok {
			return WrongArgument(name, "It is missing. It is "+p.schema.Properties[name].Description+".")
		}
	}
	return nil
}

// fits finds out whether a value is one that an argument can have.
func (p *parameters) fits(name string, value any) error {
	if err := p.each[name].Validate(value); err != nil {
		return err
	}
	if text, ok := value.(string); ok && slices.Contains(moments, name) {
		_, err := time.Parse(time.RFC3339, text)
		return err
	}
	return nil
}

// WrongArgument says which argument is wrong, and what would be right.
func WrongArgument(name, text string) *Answer {
	answer := Fail(CodeInvalidArgument, "Argument %q: %s", name, text)
	answer.Argument = name
	return answer
}

// cut keeps a name that nobody knows short.
func cut(text string) string {
	const most = 64
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
