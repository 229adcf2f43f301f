package expression

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// Place says where an expression stands, and with that, which variables and functions it may use.
type Place int

const (
	// ActionRule is the when of a rule of an Action: inputs (with the types of the Action's schema), request, requester, target,
	// namespaceObject, now, calendar(name), team(name).
	ActionRule Place = iota
	// RoleWhen is the when of a permission of a Role: inputs (of any type), request, requester, caller, now, calendar(name), team(name).
	RoleWhen
	// PolicyRule is the when of a rule of an ActionPolicy: inputs (of any type), request, requester, action, target,
	// namespaceObject, objects (that the request would write), now, calendar(name), team(name).
	PolicyRule
	// TemplatePlace is the inside of a ${…} template of an Action: inputs (with the types of the schema, but dates and
	// durations as the strings that were sent), request, requester (username, uid and person only), target, namespaceObject. It
	// knows neither the time nor groups, because what is rendered must be the same whenever it is rendered again.
	TemplatePlace
	// WaitFor is the expression of a waitFor or a failWhen: object.
	WaitFor
	// StepWhen is the when of a step: inputs (with the types of the schema), request, requester (username, uid and person only), object (what
	// the step writes, as it is when the step is reached, or null), steps (those before).
	StepWhen
	// RecordedWhen is the when of a step that is executed from a Record that does not say of what types the inputs are: it reads none, or an
	// earlier version wrote it.
	RecordedWhen
	// LateValue is the inside of a ${…} template that is filled in while the steps run: steps (those before).
	LateValue
	// StepOutput is an output of a step that writes an object: object.
	StepOutput
	// Response is a condition on an answer of a host, or an output of it: response.
	Response
	// JobOutput is an output of a step that runs a Job: object (the Job), job (exitCode, message, log).
	JobOutput
	// Notification is the inside of a ${…} template of a Notifier: event, request, requester, action, inputs (of any type), recipient.
	Notification
	// Person is the expression of the configuration that says which person stands behind a login: user.
	Person
)

// Names of variables that the evaluation treats specially.
const (
	varInputs    = "inputs"
	varRequest   = "request"
	varRequester = "requester"
	varCaller    = "caller"
	varNow       = "now"
	varObjects   = "objects"
	varSteps     = "steps"
	// The hidden ones cannot be written in an expression, because of the @.
	varExactNow  = "@now"
	varClock     = "@clock"
	varCalendars = "@calendars"
	varTeams     = "@teams"
)

// scope is what an expression may use at a place.
type scope struct {
	// typed are the variables with known fields; inputs is among them only where the place does not know the schema.
	typed map[string]*apiservercel.DeclType
	// hints say why a variable that exists elsewhere does not exist here.
	hints map[string]string
	// time says that now, calendar and team exist.
	time bool
	// schema says that inputs has the types of the Action's schema.
	schema bool
}

var (
	noTime    = "what is rendered must not depend on the moment; request.createdAt does exist"
	noTeams   = "Teams change, and what is rendered must not; name people in approvers"
	noSteps   = "only steps before this one that have outputs can be read, as steps.<name>.outputs.<output>; and what they give may stand in values, not in names, namespaces, labels and targets"
	noOutcome = "only the steps of finally know how the others ended"
	noGroups  = "groups differ from login to login, and what is rendered must not; use username or person"
)

func scopeOf(place Place) (*scope, error) {
	dyn := apiservercel.DynType
	switch place {
	case ActionRule:
		return &scope{schema: true, time: true, typed: map[string]*apiservercel.DeclType{
			varRequest: requestType(), varRequester: personType(), "target": dyn, "namespaceObject": namespaceType(),
		}}, nil
	case RoleWhen:
		return &scope{time: true, typed: map[string]*apiservercel.DeclType{
			varInputs: dyn, varRequest: requestType(), varRequester: personType(), "caller": personType(),
		}}, nil
	case PolicyRule:
		return &scope{time: true, typed: map[string]*apiservercel.DeclType{
			varInputs: dyn, varRequest: requestType(), varRequester: personType(), "action": actionType(), "target": dyn,
			"namespaceObject": namespaceType(), varObjects: objectsType(),
		}}, nil
	case TemplatePlace:
		return &scope{schema: true, hints: map[string]string{
			"now": noTime, "calendar": noTime, "team": noTeams, "groups": noGroups, "teams": noGroups, "roles": noGroups, "leads": noGroups,
			varSteps: noSteps, "outcome": noOutcome,
		},
			typed: map[string]*apiservercel.DeclType{
				varRequest: requestType(), varRequester: namedPersonType(), "target": dyn, "namespaceObject": namespaceType(),
			}}, nil
	case Notification:
		return &scope{typed: map[string]*apiservercel.DeclType{
			varInputs: dyn, varRequest: toldRequestType(), varRequester: namedPersonType(), "action": actionType(),
			"event": toldEventType(), "recipient": recipientType(),
		}}, nil
	case Person:
		return &scope{typed: map[string]*apiservercel.DeclType{"user": object(userTypeName, loginFields())}}, nil
	default:
		return stepScope(place)
	}
}

// stepScope is what an expression may use in a step.
func stepScope(place Place) (*scope, error) {
	dyn := apiservercel.DynType
	switch place {
	case WaitFor, StepOutput:
		return &scope{typed: map[string]*apiservercel.DeclType{"object": dyn}}, nil
	case StepWhen:
		return &scope{schema: true, hints: map[string]string{varSteps: noSteps, "outcome": noOutcome}, typed: map[string]*apiservercel.DeclType{
			varRequest: requestType(), varRequester: namedPersonType(), "object": dyn,
		}}, nil
	case RecordedWhen:
		return &scope{typed: map[string]*apiservercel.DeclType{
			varInputs: dyn, varRequest: requestType(), varRequester: namedPersonType(), "object": dyn,
		}}, nil
	case LateValue:
		return &scope{}, nil
	case Response:
		return &scope{typed: map[string]*apiservercel.DeclType{"response": responseType()}}, nil
	case JobOutput:
		return &scope{typed: map[string]*apiservercel.DeclType{"object": dyn, "job": jobType()}}, nil
	default:
		return nil, fmt.Errorf("failed to find place %d: there is no such place", place)
	}
}

// ours are the variables and functions of all places, and what may become one.
const ours = " inputs request requester caller target namespaceObject objects action now object user calendar team outcome steps outputs self "

// words are the words and types of CEL.
const words = " as bool break bytes const continue double dyn else false for function if import in int let list loop map namespace" +
	" null optional package return string timestamp duration true type uint var void while has all exists map filter "

// Reserved says why a name cannot be the name of a lookup. Empty: it can.
func Reserved(name string) string {
	word := " " + name + " "
	switch {
	case strings.Contains(ours, word):
		return "this name means something else in expressions already"
	case strings.Contains(words, word):
		return "this is a word of CEL"
	}
	return ""
}

// options declare the variables and functions of the scope.
func (s *scope) options() []cel.EnvOption {
	var out []cel.EnvOption
	for name, t := range s.typed {
		out = append(out, cel.Variable(name, t.CelType()))
	}
	if s.time {
		out = append(out, cel.Variable(varNow, cel.TimestampType))
		out = append(append(out, calendarFunctions()...), teamFunctions()...)
	}
	return out
}

// objects are the types with fields, for the type checker.
func (s *scope) objects() []*apiservercel.DeclType {
	var out []*apiservercel.DeclType
	if s.time {
		out = append(out, teamType())
	}
	for _, t := range s.typed {
		if t.IsList() {
			t = t.ElemType
		}
		if t.IsObject() {
			out = append(out, t)
		}
	}
	return out
}
