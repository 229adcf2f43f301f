package expression

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestCompileErrors(t *testing.T) {
	bools := (*Compiler).Bool
	cases := map[string]struct {
		reason  string
		place   Place
		compile func(*Compiler, string) (*Program, error)
		source  string
		want    string
	}{
		"MisspeltField":      {"the field is named, with its position and what was meant", ActionRule, bools, "inputs.enviroment == 'x'", `line 1, column 8: undefined field 'enviroment' (did you mean "environment"?)`},
		"SecondLine":         {"lines are counted", ActionRule, bools, "true &&\n  inputs.enviroment == 'x'", `line 2, column 10: undefined field 'enviroment' (did you mean "environment"?)`},
		"Reserved":           {"a word of CEL is suggested without escapes", ActionRule, bools, "request.namspace == 'x'", `line 1, column 9: undefined field 'namspace' (did you mean "namespace"?)`},
		"Nested":             {"fields below fields are known", ActionRule, bools, "namespaceObject.metadata.label['a'] == 'b'", `line 1, column 26: undefined field 'label' (did you mean "labels"?)`},
		"InHas":              {"has() is checked too", ActionRule, bools, "has(inputs.forse)", `line 1, column 12: undefined field 'forse' (did you mean "force"?)`},
		"NothingNear":        {"a short list of what there is, when nothing is near", TemplatePlace, bools, "request.zzzzzz == 'x'", `line 1, column 9: undefined field 'zzzzzz' (there are: action, createdAt, duration, name, namespace, reason, uid)`},
		"Variable":           {"a misspelt variable", RoleWhen, bools, "calller.username == 'x'", `line 1, column 1: undefined variable 'calller' (did you mean "caller"?)`},
		"CallerElsewhere":    {"caller exists in Roles only", ActionRule, bools, "caller.username == 'x'", `line 1, column 1: undefined variable 'caller' (there are: inputs, namespaceObject, now, request, requester, target)`},
		"Function":           {"a misspelt function", ActionRule, bools, "calender('x').contains(now)", `line 1, column 1: undefined function 'calender' (did you mean "calendar"?)`},
		"NowInTemplate":      {"templates know no time, and the error says why", TemplatePlace, bools, "now == now", "line 1, column 1: undefined variable 'now': " + noTime},
		"CalendarInTemplate": {"nor calendars", TemplatePlace, bools, "calendar('x').contains(request.createdAt)", "line 1, column 1: undefined function 'calendar': " + noTime},
		"GroupsInTemplate":   {"nor groups", TemplatePlace, bools, "'x' in requester.groups", "line 1, column 18: undefined field 'groups': " + noGroups},
		"NotBool":            {"a rule gives true or false", ActionRule, bools, "inputs.environment", "line 1, column 1: this gives string, but true or false is needed"},
		"NotString":          {"a text needs a string", Person, (*Compiler).String, "size(user.groups)", "line 1, column 1: this gives int, but a string is needed; string(…) makes one of numbers and times"},
		"NotJSON":            {"an object of a library has no JSON form", TemplatePlace, (*Compiler).Any, "quantity('1Gi')", "line 1, column 1: this gives kubernetes.Quantity, which JSON cannot hold"},
		"Optional":           {"an optional must be ended", TemplatePlace, (*Compiler).Any, "inputs.?environment", "line 1, column 1: this gives a value that may be missing; say with .orValue(…) what then"},
		"TypeValue":          {"a type is no value", TemplatePlace, (*Compiler).Any, "type(1)", "line 1, column 1: this gives type(int), which JSON cannot hold"},
		"ListInText":         {"a list cannot stand inside text", TemplatePlace, (*Compiler).Text, "[1, 2]", "line 1, column 1: this gives list(int), which cannot stand inside text"},
		"Types":              {"types are compared", ActionRule, bools, "inputs.replicas == 'three'", "line 1, column 17: found no matching overload for '_==_' applied to '(int, string)'"},
		"Empty":              {"nothing is no expression", ActionRule, bools, "", "line 1, column 1: Syntax error: mismatched input '<EOF>'"},
		"Syntax":             {"the parser's list of tokens is cut", ActionRule, bools, "inputs.force &&", "line 1, column 16: Syntax error: mismatched input '<EOF>'"},
		"Shadow":             {"an element with the name of a variable would be read as the variable", ActionRule, bools, "[request.createdAt].all(now, calendar('x').contains(now))", "line 1, column 24: 'now' is a variable already; give the element another name"},
		"TooLong":            {"a bound on the source", ActionRule, bools, strings.Repeat(" ", maxSource+1), "line 1, column 1: the expression is longer than 16384 bytes"},
		"NotUTF8":            {"broken text is refused", ActionRule, bools, "'\xff' == 'a'", "line 1, column 1: the expression is not valid UTF-8"},
		"BadRegex":           {"literal patterns are compiled", ActionRule, bools, "inputs.environment.matches('(')", "line 1, column 28: invalid matches argument"},
		"BadSearch":          {"also of searches", ActionRule, bools, "inputs.environment.find('(') == ''", "line 1, column 25: the regular expression is invalid: error parsing regexp: missing closing ): `(`"},
		"LargeRegex":         {"and they are bounded", ActionRule, bools, "matches(inputs.environment, '(a{900}){1}(b{900}){1}(c{900}){1}(d{900}){1}(e{900}){1}(f{900}){1}')", "line 1, column 29: the regular expression is too large: it has 5414 instructions, 5000 are possible"},
		"LongRegex":          {"in every way", ActionRule, bools, "inputs.environment.matches('" + strings.Repeat("a", maxPattern+1) + "')", "line 1, column 28: the regular expression is longer than 4096 bytes"},
		"HiddenName":         {"hidden variables cannot be written", ActionRule, bools, "@now == now", "line 1, column 1: Syntax error: token recognition error at: '@'"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := tc.compile(newCompiler(t, tc.place), tc.source)
			var got *CompileError
			if !errors.As(err, &got) {
				t.Fatalf("%s: got error %v, want a *CompileError", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got.Error()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if got.Source != tc.source {
				t.Errorf("%s: source is %q, want %q", tc.reason, got.Source, tc.source)
			}
		})
	}
}

func TestNoInputs(t *testing.T) {
	c, err := NewCompiler(ActionRule, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Bool("inputs.x == 'y'")
	if err == nil || err.Error() != "line 1, column 8: undefined field 'x'" {
		t.Errorf("without a schema there are no inputs: got error %v", err)
	}
}

func TestUnknownPlace(t *testing.T) {
	if _, err := NewCompiler(Place(99), nil); err == nil {
		t.Error("a place that does not exist was accepted")
	}
}

func TestUses(t *testing.T) {
	cases := map[string]struct {
		reason        string
		place         Place
		source        string
		want          []string
		wantCalendars []string
	}{
		"Some":     {"variables that are read, wherever they stand", ActionRule, "inputs.force || [1].exists(x, target.a == x)", []string{"inputs", "target"}, nil},
		"Calendar": {"now is read by a calendar too, and literal names are known", ActionRule, "calendar('b').contains(now) || calendar('a').contains(request.createdAt)", []string{"now", "request"}, []string{"a", "b"}},
		"Computed": {"a computed name of a calendar is not known", ActionRule, "calendar(inputs.environment).contains(now)", []string{"inputs", "now"}, nil},
		"None":     {"a constant reads nothing", ActionRule, "true", nil, nil},
		"Has":      {"has() reads", RoleWhen, "has(caller.person)", []string{"caller"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, tc.place).Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range []string{"action", "caller", "inputs", "namespaceObject", "now", "object", "request", "requester", "target", "user"} {
				if p.Uses(v) {
					got = append(got, v)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.wantCalendars, p.Calendars(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: calendars: -want +got:\n%s", tc.reason, diff)
			}
			if p.Source() != tc.source {
				t.Errorf("%s: source is %q", tc.reason, p.Source())
			}
		})
	}
}
