package expression

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var errUnknownTeam = errors.New(`there is no Team "x"`)

// fakeTeams are Teams by name.
type fakeTeams map[string]map[string]any

func (f fakeTeams) Team(name string) (map[string]any, error) {
	if team, ok := f[name]; ok {
		return team, nil
	}
	return nil, errUnknownTeam
}

func teamVars() Vars {
	vars := exampleVars()
	vars.Teams = fakeTeams{
		"payments": {
			"name": "payments", "parent": "engineering", "ancestors": []any{"engineering", "company"},
			"leads": []any{"dave"}, "members": []any{"alice", "bob", "dave"}, "groups": []any{"oidc:payments"},
		},
		"company": {"name": "company", "parent": "", "ancestors": []any{}, "leads": []any{}, "members": []any{}, "groups": []any{}},
	}
	return vars
}

func TestTeam(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		place  Place
		source string
		want   bool
		err    string
		is     error
	}{
		"Members":   {reason: "who is in it", place: ActionRule, source: "requester.username in team('payments').members", want: true},
		"NotMember": {reason: "who is not", place: RoleWhen, source: "'mallory' in team('payments').members", want: false},
		"Fields": {
			reason: "every field", place: PolicyRule, want: true,
			source: "team('payments').name == 'payments' && team('payments').parent == 'engineering' && team('payments').leads == ['dave'] && " +
				"'oidc:payments' in team('payments').groups && 'company' in team('payments').ancestors && team('payments').ancestors.size() == 2",
		},
		"Top":        {reason: "a Team without parent has an empty one", place: ActionRule, source: "team('company').parent == '' && team('company').ancestors.size() == 0", want: true},
		"Computed":   {reason: "the name may be a fact", place: RoleWhen, source: "caller.teams.exists(t, caller.username in team(t).members)", want: true},
		"AsVariable": {reason: "an element may be called team", place: ActionRule, source: "requester.teams.all(team, team == 'payments')", want: true},
		"Unknown":    {reason: "a Team that is not there is an error, never false", place: ActionRule, source: "!('a' in team('x').members)", err: `there is no Team "x"`, is: errUnknownTeam},
		"Dynamic":    {reason: "a name that is no text is an error", place: RoleWhen, source: "team(inputs.replicas).name == 'x'", err: "no such overload"},
		"Untyped":    {reason: "nobody finds a field that there is not by hiding the type", place: ActionRule, source: "dyn(team('payments')).memebrs.size() == 0", err: "no such key: memebrs"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newCompiler(t, tc.place).Bool(tc.source)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			got, err := p.EvalBool(t.Context(), teamVars(), NewBudget())
			if tc.err == "" && (err != nil || got != tc.want) {
				t.Errorf("%s: got %v, %v, want %v", tc.reason, got, err, tc.want)
			}
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%s: got %v, %v, want error %q", tc.reason, got, err, tc.err)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s: %v is not %v", tc.reason, err, tc.is)
			}
		})
	}
}

func TestTeamWithoutTeams(t *testing.T) {
	p, err := newCompiler(t, ActionRule).Bool("team('payments').members == []")
	if err != nil {
		t.Fatal(err)
	}
	vars := teamVars()
	vars.Teams = nil
	if _, err := p.EvalBool(t.Context(), vars, nil); err == nil || !strings.Contains(err.Error(), `there is no Team "payments"`) {
		t.Errorf("without Teams every name is unknown, got %v", err)
	}
	if diff := cmp.Diff([]string{"payments"}, p.Teams()); diff != "" {
		t.Errorf("literal names are known: -want, +got:\n%s", diff)
	}
}

func TestTeamCompileErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		place  Place
		source string
		want   string
	}{
		"Field":      {"a misspelt field is refused before it can matter", ActionRule, "'a' in team('x').memebrs", `line 1, column 18: undefined field 'memebrs' (did you mean "members"?)`},
		"Argument":   {"a name is a text", RoleWhen, "team(1).name == 'x'", "line 1, column 5: found no matching overload for 'team' applied to '(int)'"},
		"InTemplate": {"templates know no Teams, and the error says why", TemplatePlace, "team('x').name == 'x'", "line 1, column 1: undefined function 'team': " + noTeams},
		"InPerson":   {"nor does the configuration", Person, "team('x').name == 'x'", "line 1, column 1: undefined function 'team'"},
		"Roles":      {"Roles are no more in templates than groups are", TemplatePlace, "'x' in requester.roles", "line 1, column 18: undefined field 'roles': " + noGroups},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newCompiler(t, tc.place).Bool(tc.source)
			if err == nil {
				t.Fatalf("%s: it compiles", tc.reason)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMemberships(t *testing.T) {
	p, err := newCompiler(t, RoleWhen).Bool("'approver' in caller.roles && caller.leads.size() == 1 && requester.roles.size() == 0 && !('x' in requester.leads)")
	if err != nil {
		t.Fatal(err)
	}
	vars := teamVars()
	caller, _ := vars.Values["caller"].(map[string]any)
	caller["roles"], caller["leads"] = []any{"approver"}, []any{"payments"}
	if got, err := p.EvalBool(t.Context(), vars, nil); err != nil || !got {
		t.Errorf("roles and leads are read as teams are, empty where absent: got %v, %v", got, err)
	}
}
