package expression

import (
	"errors"
	"testing"
	"time"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// noon is when the tests happen: not on a full minute.
var noon = time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)

var errUnknownCalendar = errors.New("unknown calendar in namespace platform")

// fakeCalendars are open between two times.
type fakeCalendars map[string]fakeCalendar

type fakeCalendar struct{ from, to time.Time }

func (c fakeCalendars) Calendar(name string) (Calendar, error) {
	found, ok := c[name]
	if !ok {
		return nil, errUnknownCalendar
	}
	return found, nil
}

func (c fakeCalendar) Contains(t time.Time) bool { return !t.Before(c.from) && t.Before(c.to) }

func (c fakeCalendar) Ends(t time.Time) (time.Time, bool) { return c.to, c.Contains(t) }

func (c fakeCalendar) Next(t time.Time) (time.Time, bool) { return c.from, t.Before(c.from) }

func (c fakeCalendar) NextChange(t time.Time) (time.Time, bool) {
	switch {
	case t.Before(c.from):
		return c.from, true
	case t.Before(c.to):
		return c.to, true
	default:
		return time.Time{}, false
	}
}

var calendars = fakeCalendars{
	"open":   {from: noon.Add(-time.Hour), to: noon.Add(5 * time.Hour)},
	"soon":   {from: noon.Add(time.Hour), to: noon.Add(2 * time.Hour)},
	"past":   {from: noon.Add(-2 * time.Hour), to: noon.Add(-time.Hour)},
	"second": {from: noon.Add(-10 * time.Second), to: noon.Add(10 * time.Second)},
}

// exampleSchema has one input of every kind.
func exampleSchema() *structuralschema.Structural {
	kind := func(t, format string) structuralschema.Structural {
		s := structuralschema.Structural{Generic: structuralschema.Generic{Type: t}}
		s.ValueValidation = &structuralschema.ValueValidation{Format: format}
		if t == "string" && format == "" {
			most := int64(63)
			s.ValueValidation.MaxLength = &most
		}
		return s
	}
	list := kind("array", "")
	most := int64(10)
	list.ValueValidation.MaxItems = &most
	item := kind("object", "")
	item.Properties = map[string]structuralschema.Structural{"name": kind("string", ""), "since": kind("string", "date")}
	list.Items = &item
	labels := kind("object", "")
	value := kind("string", "")
	labels.AdditionalProperties = &structuralschema.StructuralOrBool{Structural: &value}
	port := structuralschema.Structural{}
	port.XIntOrString = true
	return &structuralschema.Structural{
		Generic: structuralschema.Generic{Type: "object"},
		Properties: map[string]structuralschema.Structural{
			"environment": kind("string", ""), "namespace": kind("string", ""), "image-tag": kind("string", ""),
			"replicas": kind("integer", ""), "ratio": kind("number", ""), "force": kind("boolean", ""),
			"day": kind("string", "date"), "at": kind("string", "date-time"), "for": kind("string", "duration"),
			"data": kind("string", "byte"), "parts": list, "labels": labels, "port": port,
		},
	}
}

// exampleVars are the values of every variable.
func exampleVars() Vars {
	person := func(name string) map[string]any {
		return map[string]any{
			"username": name, "uid": "u-" + name, "groups": []any{"developers", "oidc:web"}, "person": name,
			"extra": map[string]any{"example.com/level": []any{"senior"}}, "teams": []any{"payments"},
			"isServiceAccount": false, "isAgent": false,
		}
	}
	return Vars{
		Now: noon, Calendars: calendars, Trace: &Trace{},
		Values: map[string]any{
			"inputs": map[string]any{
				"environment": "staging", "namespace": "payments", "image-tag": "1.42", "replicas": int64(3), "ratio": int64(2),
				"force": true, "day": "2026-12-24", "at": "2026-12-24T10:00:00+01:00", "for": "90m", "data": "aGk=",
				"parts":  []any{map[string]any{"name": "a", "since": "2026-01-01"}, map[string]any{"name": "b"}},
				"labels": map[string]any{"tier": "gold"}, "port": int64(80),
			},
			"request": map[string]any{
				"name": "checkout-1", "namespace": "payments", "uid": "r-1", "reason": "fix", "action": "platform/deploy",
				"createdAt": noon.Add(-time.Minute),
			},
			"requester": person("alice"), "caller": person("bob"), "user": person("carol"),
			"action":          map[string]any{"namespace": "platform", "name": "deploy"},
			"namespaceObject": map[string]any{"metadata": map[string]any{"name": "payments", "labels": map[string]any{"team": "payments"}}},
			"target":          map[string]any{"metadata": map[string]any{"labels": map[string]any{"tier": "critical"}}, "spec": map[string]any{"replicas": int64(2)}},
			"object":          map[string]any{"status": map[string]any{"ready": true}},
		},
	}
}

func newCompiler(t testing.TB, place Place) *Compiler {
	t.Helper()
	c, err := NewCompiler(place, exampleSchema())
	if err != nil {
		t.Fatalf("NewCompiler(%d): %v", place, err)
	}
	return c
}
