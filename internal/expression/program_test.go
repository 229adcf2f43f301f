package expression

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEvalBool(t *testing.T) {
	cases := map[string]struct {
		reason string
		place  Place
		source string
		want   bool
	}{
		"Input":            {"an input", ActionRule, "inputs.environment == 'staging'", true},
		"ReservedInput":    {"an input that is a word of CEL needs no escape", ActionRule, "inputs.namespace == 'payments'", true},
		"EscapedReserved":  {"but may have one, as in a CustomResourceDefinition", ActionRule, "inputs.__namespace__ == 'payments'", true},
		"EscapedDash":      {"a dash is escaped as in a CustomResourceDefinition", ActionRule, "inputs.image__dash__tag == '1.42' && has(inputs.image__dash__tag)", true},
		"EscapedOptional":  {"also in an optional selection", ActionRule, "inputs.?image__dash__tag.orValue('x') == '1.42'", true},
		"Number":           {"a whole number is a float where the schema says number", ActionRule, "inputs.ratio * 1.5 == 3.0", true},
		"Date":             {"a date is a time", ActionRule, "inputs.day > now", true},
		"DateTime":         {"a date-time is a time", ActionRule, "inputs.at == timestamp('2026-12-24T09:00:00Z')", true},
		"Duration":         {"a duration is one", ActionRule, "inputs.for == duration('1h30m')", true},
		"WholeInputs":      {"inputs as a whole are converted too", ActionRule, "[inputs][0].day.getFullYear() == 2026 && inputs.environment == 'staging'", true},
		"Bytes":            {"bytes are decoded", ActionRule, "inputs.data == b'hi'", true},
		"ListOfObjects":    {"types inside of lists", ActionRule, "inputs.parts.exists(p, has(p.since) && p.since.getFullYear() == 2026)", true},
		"Map":              {"labels are a map", ActionRule, "inputs.labels['tier'] == 'gold' && inputs.labels[?'x'].orValue('none') == 'none'", true},
		"IntOrString":      {"an int or string is either", ActionRule, "inputs.port == 80", true},
		"CrossNumeric":     {"numbers of different types compare", RoleWhen, "inputs.replicas < 3.5 && inputs.ratio >= 2", true},
		"DynInputs":        {"inputs of a Role are of any type", RoleWhen, "inputs.environment == 'staging' && caller.username == 'bob'", true},
		"Requester":        {"who asked", RoleWhen, "'developers' in requester.groups && requester.extra['example.com/level'] == ['senior'] && !requester.isAgent", true},
		"Policy":           {"the Action of a policy", PolicyRule, "action.namespace + '/' + action.name == request.action", true},
		"AbsentLabels":     {"labels that are absent are empty", PolicyRule, "action.labels.size() == 0 && !('x' in action.labels) && !has(action.labels)", true},
		"AbsentAnnotation": {"annotations too", ActionRule, "namespaceObject.metadata.annotations[?'a'].orValue('none') == 'none'", true},
		"Target":           {"the target is of any type", ActionRule, "target.metadata.labels[?'tier'].orValue('x') == 'critical' && target.?status.orValue({}) == {}", true},
		"DynResult":        {"a result that is known only at run time", WaitFor, "object.status.ready", true},
		"Libraries":        {"the libraries of Kubernetes", ActionRule, "quantity('1Gi').isGreaterThan(quantity('1Mi')) && semver('1.2.3').major() == 1 && url('https://a/b').getHost() == 'a' && ip('192.0.2.1').family() == 4 && [1, 2].sum() == 3 && 'abc'.find('b+') == 'b' && 'abab'.findAll('b') == ['b', 'b']", true},
		"Counted":          {"counted repetitions, on which the limit of cel-go panics", ActionRule, "inputs.environment.matches('^[a-z]{2,10}$') && matches('aa', 'a{2}') && 'aa'.matches(string(dyn('a')) + '{2}')", true},
		"DynamicSearch":    {"a search for a computed pattern", WaitFor, "'abc'.find(string(dyn('b') + '+')) == 'b' && 'abab'.findAll(dyn('b') + '', 1) == ['b']", true},
		"Strings":          {"the functions of strings", ActionRule, "' A,b '.trim().lowerAscii().split(',') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab' && 'a.b'.replace('.', '') == 'ab' && '%s-%d'.format(['a', 1]) == 'a-1'", true},
		"Comprehensions":   {"comprehensions with two variables", ActionRule, "{'a': 1}.all(k, v, k == 'a' && v == 1) && ['x'].exists(i, v, i == 0 && v == 'x')", true},
		"ShortCircuit":     {"what is not needed is not read", ActionRule, "inputs.force || target.missing.field", true},
		"CreatedAt":        {"the request has a time", ActionRule, "now - request.createdAt < duration('1h')", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, tc.place).Bool(tc.source)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			got, err := p.EvalBool(context.Background(), exampleVars(), NewBudget())
			if err != nil || got != tc.want {
				t.Errorf("%s: got %v, %v, want %v", tc.reason, got, err, tc.want)
			}
		})
	}
}

func TestEvalErrors(t *testing.T) {
	lookup := errors.New("deployments.apps is forbidden")
	cases := map[string]struct {
		reason string
		place  Place
		source string
		change func(*Vars)
		want   string
		is     error
	}{
		"MissingInput":    {"a missing input is an error, never false", ActionRule, "inputs.environment == 'x'", func(v *Vars) { v.Values["inputs"] = map[string]any{} }, "no such key: environment", nil},
		"MissingKey":      {"a missing label too", ActionRule, "target.metadata.labels['team'] == 'x'", nil, "no such key: team", nil},
		"Null":            {"null is not false", WaitFor, "object.x", func(v *Vars) { v.Values["object"] = map[string]any{"x": nil} }, "it gave null, but true or false is needed", nil},
		"WrongType":       {"a string is not false", WaitFor, "object.x", func(v *Vars) { v.Values["object"] = map[string]any{"x": "false"} }, "it gave string, but true or false is needed", nil},
		"Overload":        {"types are compared at run time where they are not known before", WaitFor, "object.x > 1", func(v *Vars) { v.Values["object"] = map[string]any{"x": "a"} }, "no such overload", nil},
		"UnknownVariable": {"a variable without value", ActionRule, "target.x == 1", func(v *Vars) { delete(v.Values, "target") }, "target is not known here", nil},
		"UnknownInputs":   {"inputs without value", ActionRule, "inputs.force", func(v *Vars) { delete(v.Values, "inputs") }, "inputs are not known here", nil},
		"ErrorVariable":   {"why a fact is not known stays known", ActionRule, "target.x == 1", func(v *Vars) { v.Values["target"] = lookup }, "deployments.apps is forbidden", lookup},
		"UnknownCalendar": {"an unknown calendar", ActionRule, "calendar('x').contains(now)", nil, errUnknownCalendar.Error(), errUnknownCalendar},
		"NoCalendars":     {"no calendars at all", ActionRule, "!calendar('open').contains(now)", func(v *Vars) { v.Calendars = nil }, `unknown calendar "open"`, nil},
		"NoEnd":           {"a calendar that is closed does not end", ActionRule, "calendar('past').ends(now) > now", nil, `calendar "past" is not open at 2026-11-23T12:00:30Z, or never ends`, nil},
		"NoNext":          {"a calendar that does not open again", ActionRule, "calendar('past').next(now) > now", nil, `calendar "past" does not open again after 2026-11-23T12:00:30Z`, nil},
		"BadDate":         {"a date that is none", ActionRule, "inputs.day > now", func(v *Vars) { v.Values["inputs"] = map[string]any{"day": "soon"} }, `failed to read "soon"`, nil},
		"BadCreatedAt":    {"a time that is none", ActionRule, "request.createdAt < now", func(v *Vars) { v.Values["request"] = map[string]any{"createdAt": "soon"} }, "request.createdAt is no time: soon", nil},
		"BadDuration":     {"a duration that is none", ActionRule, "request.duration > duration('1h')", func(v *Vars) { v.Values["request"] = map[string]any{"duration": "long"} }, "request.duration is no duration: long", nil},
		"Division":        {"arithmetic fails", ActionRule, "1 / (inputs.replicas - 3) == 1", nil, "division by zero", nil},
		"NotAnObject":     {"a built-in that is no object", ActionRule, "'x' in requester.groups", func(v *Vars) { v.Values["requester"] = "alice" }, "no such key: groups", nil},
		"TooMuchText":     {"a function that would fill the memory", WaitFor, "object.a.replace('', object.a).size() > 1", func(v *Vars) { v.Values["object"] = map[string]any{"a": strings.Repeat("a", 4096)} }, "replace() would make a text of more than 1048576 bytes", nil},
		"TooMuchJoin": {"joining could too", WaitFor, "object.l.join(object.a) == ''", func(v *Vars) {
			v.Values["object"] = map[string]any{"l": make2(400, ""), "a": strings.Repeat("a", 4096)}
		}, "join() would make a text", nil},
		"TooMuchFormat":    {"formatting could too", WaitFor, "'%s%s'.format([object.l, object.l]) == ''", func(v *Vars) { v.Values["object"] = map[string]any{"l": make2(400, strings.Repeat("a", 1024))} }, "format() would make a text", nil},
		"TooMuchPrecision": {"and so could a precision", WaitFor, "'%.9000000f'.format([1.0]) == ''", nil, "format() would make a text", nil},
		"Regex":            {"a regular expression that is too large", WaitFor, "'a'.matches(object.a)", func(v *Vars) { v.Values["object"] = map[string]any{"a": strings.Repeat("(a{900})", 10)} }, "the regular expression is too large", nil},
		"RegexSearch":      {"also in a search", WaitFor, "'a'.find(object.a) == ''", func(v *Vars) { v.Values["object"] = map[string]any{"a": strings.Repeat("(a{900})", 10)} }, "the regular expression is too large", nil},
		"RegexInvalid":     {"a regular expression that is none", WaitFor, "'a'.matches(object.a)", func(v *Vars) { v.Values["object"] = map[string]any{"a": "("} }, "the regular expression is invalid", nil},
		"Budget":           {"an expression that is too expensive", ActionRule, "!inputs.force || lists.range(600000).size() + lists.range(600000).size() > 0", nil, "cost budget is used up", ErrBudget},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, tc.place).Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			vars := exampleVars()
			if tc.change != nil {
				tc.change(&vars)
			}
			_, err = p.EvalBool(context.Background(), vars, NewBudget())
			var got *EvalError
			if !errors.As(err, &got) {
				t.Fatalf("%s: got error %v, want an *EvalError", tc.reason, err)
			}
			if !strings.Contains(got.Message, tc.want) || got.Source != tc.source {
				t.Errorf("%s: got %q about %q, want %q", tc.reason, got.Message, got.Source, tc.want)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s: %v is not %v", tc.reason, err, tc.is)
			}
		})
	}
}

func make2(n int, value string) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = value
	}
	return out
}

func TestEvalAny(t *testing.T) {
	cases := map[string]struct {
		reason string
		source string
		want   any
	}{
		"Input":      {"an input keeps its type", "inputs.replicas", int64(3)},
		"Float":      {"a float too", "inputs.ratio", 2.0},
		"Null":       {"null is a value", "null", nil},
		"List":       {"a list", "[dyn(1), dyn('a'), dyn(true), dyn(1.5)]", []any{int64(1), "a", true, 1.5}},
		"Map":        {"a map", "{'a': {'b': []}}", map[string]any{"a": map[string]any{"b": []any{}}}},
		"Object":     {"an object of the inputs", "inputs.parts[0]", map[string]any{"name": "a", "since": "2026-01-01"}},
		"Date":       {"a date in a template is the string that was sent", "inputs.day", "2026-12-24"},
		"DateTime":   {"a time too, in its own zone", "inputs.at", "2026-12-24T10:00:00+01:00"},
		"Timestamp":  {"a time is written as Kubernetes does", "request.createdAt", "2026-11-23T11:59:30Z"},
		"Duration":   {"a duration is written as Kubernetes does", "duration('90m')", "1h30m0s"},
		"Bytes":      {"bytes are base64", "b'hi'", "aGk="},
		"Uint":       {"there is one type of whole numbers", "7u", int64(7)},
		"NoGroups":   {"a template cannot get at groups, whatever type it pretends", "dyn(requester)", map[string]any{"username": "alice", "uid": "u-alice", "person": "alice"}},
		"TargetDyn":  {"the target", "target.spec", map[string]any{"replicas": int64(2)}},
		"Comprehend": {"a computed list", "inputs.parts.map(p, p.name)", []any{"a", "b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, TemplatePlace).Any(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.EvalAny(context.Background(), exampleVars(), nil)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestEvalAnyErrors(t *testing.T) {
	cases := map[string]struct{ reason, source, want string }{
		"NaN":      {"JSON has no NaN", "0.0 / 0.0", "the number NaN"},
		"Uint":     {"nor numbers beyond int64, here", "18446744073709551615u", "is too large"},
		"Key":      {"nor keys that are no strings", "{1: 2}", "it has int as a key"},
		"Type":     {"nor types, even hidden ones", "[dyn(type(1))]", "it gave type, which JSON cannot hold"},
		"Optional": {"nor optional values, even hidden ones", "dyn(optional.of(1))", "it gave optional_type, which JSON cannot hold"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, TemplatePlace).Any(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.EvalAny(context.Background(), exampleVars(), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, %v, want an error with %q", tc.reason, got, err, tc.want)
			}
		})
	}
}

func TestEvalString(t *testing.T) {
	p, err := newCompiler(t, Person).String("user.username.split(':')[0] + '/' + user.extra['example.com/level'][?0].orValue('')")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.EvalString(context.Background(), exampleVars(), nil)
	if err != nil || got != "carol/senior" {
		t.Errorf("got %q, %v", got, err)
	}
	if p, err = newCompiler(t, WaitFor).String("object.status.ready"); err != nil {
		t.Fatal(err)
	}
	if got, err := p.EvalString(context.Background(), exampleVars(), nil); err == nil {
		t.Errorf("true was taken for the string %q", got)
	}
}

func TestCreatedAtAsText(t *testing.T) {
	p, err := newCompiler(t, ActionRule).Bool("request.createdAt == timestamp('2026-11-23T09:00:00Z')")
	if err != nil {
		t.Fatal(err)
	}
	vars := exampleVars()
	request := map[string]any{"createdAt": "2026-11-23T10:00:00+01:00"}
	vars.Values["request"] = request
	got, err := p.EvalBool(context.Background(), vars, nil)
	if err != nil || !got {
		t.Errorf("a time as text is a time: got %v, %v", got, err)
	}
	if diff := cmp.Diff(map[string]any{"createdAt": "2026-11-23T10:00:00+01:00"}, request); diff != "" {
		t.Errorf("the caller's values were changed: -want +got:\n%s", diff)
	}
}

func TestDeadline(t *testing.T) {
	c := newCompiler(t, WaitFor)
	small, err := c.Bool("object.status.ready")
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := small.EvalBool(over, exampleVars(), nil); !errors.Is(err, ErrDeadline) {
		t.Errorf("a small program after the deadline: got %v, want ErrDeadline", err)
	}
	// The first element is slow to compare often enough to cross the deadline; nothing must be absorbed by the ||.
	loop, err := c.Bool("object.l.all(a, object.l.all(b, a == b)) || true")
	if err != nil {
		t.Fatal(err)
	}
	vars := exampleVars()
	vars.Values["object"] = map[string]any{"l": make2(600, "x")}
	soon, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if got, err := loop.EvalBool(soon, vars, nil); !errors.Is(err, ErrDeadline) {
		t.Errorf("a loop beyond the deadline: got %v, %v, want ErrDeadline", got, err)
	}
}
