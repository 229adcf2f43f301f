package expression

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPartialMatches: what holds for prod-test although somebody wrote prod.
func TestPartialMatches(t *testing.T) {
	compiler, err := NewCompiler(PolicyRule, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason, source string
		want           []string
	}{
		"Bare":        {"It holds wherever the text is a part.", "request.name.matches('prod')", []string{"prod"}},
		"Beginning":   {"team-a is the beginning of team-a-evil.", "request.name.matches('^team-a')", []string{"^team-a"}},
		"End":         {"And prod is the end of non-prod.", "request.name.matches('prod$')", []string{"prod$"}},
		"Whole":       {"This is all of it.", "request.name.matches('^prod$')", nil},
		"Ways":        {"So is each of these.", "request.name.matches('^(prod|live-[0-9]+)$')", nil},
		"EachWay":     {"And each of these, which says so for itself.", "request.name.matches('^prod$|^live$')", nil},
		"Precedence":  {"Here the beginning belongs to one, and the end to the other.", "request.name.matches('^prod|live$')", []string{"^prod|live$"}},
		"Anything":    {"Who writes that anything may be there means it.", "request.name.matches('.*prod.*')", nil},
		"Rest":        {"Also on one side.", "request.name.matches('^prod-.*')", nil},
		"Some":        {"Some letters of a kind are not anything.", "request.name.matches('^prod-[a-z]*')", []string{"^prod-[a-z]*"}},
		"Lines":       {"The end of a line is not that of the text.", "request.name.matches('(?m)^prod$')", []string{"(?m)^prod$"}},
		"Computed":    {"What is put together is not known.", "request.name.matches('prod' + request.namespace)", nil},
		"Search":      {"A search looks for a part.", "request.name.find('prod') != ''", nil},
		"Empty":       {"Nothing is a part of everything.", "request.name.matches('')", []string{""}},
		"SeveralOnes": {"Each is named.", "request.name.matches('a') || request.name.matches('^b$') || request.namespace.matches('c')", []string{"a", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := compiler.Bool(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, program.PartialMatches()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
