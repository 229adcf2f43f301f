package template

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	"github.com/signoff-dev/signoff/internal/expression"
)

func compiler(t testing.TB) *expression.Compiler {
	t.Helper()
	property := func(kind string) structuralschema.Structural {
		return structuralschema.Structural{Generic: structuralschema.Generic{Type: kind, Nullable: true}}
	}
	list := property("array")
	item := property("string")
	list.Items = &item
	c, err := expression.NewCompiler(expression.TemplatePlace, &structuralschema.Structural{
		Generic: structuralschema.Generic{Type: "object"},
		Properties: map[string]structuralschema.Structural{
			"name": property("string"), "replicas": property("integer"), "ratio": property("number"), "force": property("boolean"),
			"list": list, "text": property("string"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func vars() expression.Vars {
	return expression.Vars{Values: map[string]any{
		"inputs": map[string]any{
			"name": "checkout", "replicas": int64(3), "ratio": 0.25, "force": true, "list": []any{"a", "b"},
			"text": `${inputs.name} $${x} $(HOME) '}`,
		},
		"request": map[string]any{"uid": "r-1"},
		"target":  map[string]any{"a": nil, "m": map[string]any{"k": "v"}, "n": 1e30, "s": 1e-9, "big": strings.Repeat("a", 400*1024)},
	}}
}

func TestRender(t *testing.T) {
	cases := map[string]struct {
		reason string
		source string
		want   any
	}{
		"Literal":         {"text without a template stays as it is", "a $HOME {} } $", "a $HOME {} } $"},
		"Empty":           {"nothing is nothing", "", ""},
		"Whole":           {"a whole value keeps its type", "${inputs.replicas}", int64(3)},
		"WholeList":       {"also a list", "${inputs.list}", []any{"a", "b"}},
		"WholeMap":        {"also a map", "${target.m}", map[string]any{"k": "v"}},
		"WholeNull":       {"also null", "${target.a}", nil},
		"WholeBool":       {"also true", "${inputs.force}", true},
		"Blanks":          {"blanks inside of the braces do not matter", "${ inputs.replicas }", int64(3)},
		"Mixed":           {"beside text it is text", "n=${inputs.name} r=${inputs.replicas} f=${inputs.force}", "n=checkout r=3 f=true"},
		"BlankBeside":     {"a blank beside it is text", " ${inputs.replicas}", " 3"},
		"Two":             {"two templates are text", "${inputs.replicas}${inputs.replicas}", "33"},
		"Float":           {"a float is written plainly", "${inputs.ratio}%", "0.25%"},
		"HugeFloat":       {"unless nobody could read it", "x${target.n}", "x1e+30"},
		"TinyFloat":       {"also when it is tiny", "x${target.s}", "x1e-09"},
		"Escape":          {"an escaped opening is literal", "$${inputs.name} ${inputs.name}", "${inputs.name} checkout"},
		"EscapeTwice":     {"a dollar in front of it is one", "$$${inputs.name}", "$${inputs.name}"},
		"InputIsData":     {"what an input holds is never evaluated", "<${inputs.text}>", "<${inputs.name} $${x} $(HOME) '}>"},
		"WholeIsData":     {"also as a whole", "${inputs.text}", "${inputs.name} $${x} $(HOME) '}"},
		"BraceInString":   {"a brace inside of a string does not close", "${'}' + \"}\" + inputs.name}!", "}}checkout!"},
		"EscapedQuote":    {"nor does one behind an escaped quote", `${'\'}' + "\"}"}!`, `'}"}!`},
		"RawString":       {"in a raw string a backslash is no escape", `${r'\' + R"\" + inputs.name}!`, `\\checkout!`},
		"RawBytes":        {"nor in raw bytes", `${string(br'\}')}!`, `\}!`},
		"TripleQuotes":    {"triple quotes may hold quotes and lines", "${'''}'\n\"''' + \"\"\"}\"'\"\"\"}!", "}'\n\"}\"'!"},
		"NestedBraces":    {"braces nest", "${{'a': {'b': 'c'}}['a'].b}!", "c!"},
		"Comment":         {"a comment may hold braces and quotes", "${inputs.name // } it's\n}!", "checkout!"},
		"DivisionNotNote": {"one slash is a division", "${6 / 2}!", "3!"},
		"Lines":           {"lines are kept", "a\n${inputs.name}\nb", "a\ncheckout\nb"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := Parse(tc.source, compiler(t))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			got, err := text.Render(context.Background(), vars(), nil)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if text.Source() != tc.source {
				t.Errorf("%s: source is %q", tc.reason, text.Source())
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	cases := map[string]struct{ reason, source, want string }{
		"Unterminated":   {"an expression that does not end", "a\nb ${inputs.name", "line 2, column 3: ${ is not closed; write $${ for a literal ${"},
		"OpenString":     {"a string that does not end", "x ${'abc}", "line 1, column 5: the string that begins here is not closed"},
		"OpenTriple":     {"a long string that does not end", "x ${'''abc'}", "line 1, column 5: the string that begins here is not closed"},
		"LineInString":   {"a line break in a short string", "x ${'abc\n'}", "line 1, column 5: the string that begins here is not closed"},
		"OpenComment":    {"a comment swallows the brace", "${inputs.name // }", "line 1, column 1: ${ is not closed; write $${ for a literal ${"},
		"Empty":          {"an empty expression", "a ${ }", "line 1, column 5: ${} is empty; write $${ for a literal ${"},
		"Field":          {"positions count from the start of the string", "äb ${inputs.nme}", `line 1, column 13: undefined field 'nme' (did you mean "name"?)`},
		"FieldLineTwo":   {"also over lines", "a\n${\n inputs.nme}", `line 3, column 9: undefined field 'nme' (did you mean "name"?)`},
		"ListBesideText": {"a list beside text", "x ${inputs.list}", "line 1, column 5: this gives list(string), which cannot stand inside text"},
		"Now":            {"time does not exist", "${now}", "line 1, column 3: undefined variable 'now': what is rendered must not depend on the moment; request.createdAt does exist"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tc.source, compiler(t))
			var got *expression.CompileError
			if !errors.As(err, &got) {
				t.Fatalf("%s: got error %v, want a *CompileError", tc.reason, err)
			}
			if got.Error() != tc.want || got.Source != tc.source {
				t.Errorf("%s: got %q, want %q", tc.reason, got.Error(), tc.want)
			}
		})
	}
}

func TestRenderErrors(t *testing.T) {
	cases := map[string]struct {
		reason string
		source string
		want   string
		is     error
	}{
		"Null":    {"null beside text, known only when rendering", "x ${target.a}", "${target.a}: null cannot stand inside text", nil},
		"Map":     {"a map beside text", "x ${target.m}", "${target.m}: a map cannot stand inside text", nil},
		"List":    {"a list beside text", "x ${dyn(inputs.list)}", "${dyn(inputs.list)}: a list cannot stand inside text", nil},
		"Missing": {"a missing fact", "x ${target.missing}", `failed to evaluate "target.missing": no such key: missing`, nil},
		"TooLong": {"too much text", "${target.big}${target.big}", ErrTooLarge.Error(), ErrTooLarge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := Parse(tc.source, compiler(t))
			if err != nil {
				t.Fatal(err)
			}
			got, err := text.Render(context.Background(), vars(), nil)
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s: got %v, %v, want error %q", tc.reason, got, err, tc.want)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s: %v is not %v", tc.reason, err, tc.is)
			}
		})
	}
}

func TestRenderString(t *testing.T) {
	c := compiler(t)
	text, err := Parse("<b>${inputs.name + '<'}</b>", c)
	if err != nil {
		t.Fatal(err)
	}
	escape := WithEscape(func(s string) string { return strings.ReplaceAll(s, "<", "&lt;") })
	got, err := text.RenderString(context.Background(), vars(), nil, escape)
	if err != nil || got != "<b>checkout&lt;</b>" {
		t.Errorf("only substituted parts are escaped: got %q, %v", got, err)
	}
	if text, err = Parse("${inputs.replicas}", c); err != nil {
		t.Fatal(err)
	}
	if got, err := text.RenderString(context.Background(), vars(), nil); err != nil || got != "3" {
		t.Errorf("a whole value as text: got %q, %v", got, err)
	}
	if text, err = Parse("${inputs.list}", c); err != nil {
		t.Fatal(err)
	}
	if got, err := text.RenderString(context.Background(), vars(), nil); err == nil {
		t.Errorf("a list became the text %q", got)
	}
}

func TestUsesAndLiteral(t *testing.T) {
	cases := map[string]struct {
		reason  string
		source  string
		literal bool
		target  bool
	}{
		"Literal": {"no template", "a", true, false},
		"Escaped": {"an escaped one is none", "$${target}", true, false},
		"Inputs":  {"a template", "${inputs.name}", false, false},
		"Target":  {"the second of two", "${inputs.name}-${target.x}", false, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := Parse(tc.source, compiler(t))
			if err != nil {
				t.Fatal(err)
			}
			if text.IsLiteral() != tc.literal || text.Uses("target") != tc.target {
				t.Errorf("%s: literal %v, target %v", tc.reason, text.IsLiteral(), text.Uses("target"))
			}
		})
	}
}

// TestRenderAround fills in what is known, and leaves what reads one variable.
func TestRenderAround(t *testing.T) {
	c := compiler(t)
	text, err := Parse("<${inputs.name}>$${x} ${target.s}${target.n}${inputs.text}", c)
	if err != nil {
		t.Fatal(err)
	}
	double := WithEscape(func(s string) string { return strings.ReplaceAll(s, "$", "$$") })
	got, err := text.RenderAround(context.Background(), []string{"target"}, vars(), nil, double)
	want := []Part{{Text: "<checkout>${x} "}, {Expression: "target.s"}, {Expression: "target.n"}, {Text: "$${inputs.name} $$$${x} $$(HOME) '}"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	for source, mixed := range map[string]string{"a${inputs.name + target.s}": "inputs.name + target.s", "${inputs.name}${target.s}": "", "a": ""} {
		if text, err = Parse(source, c); err != nil || text.Mixed("target") != mixed {
			t.Errorf("%s: %v, mixed is %q", source, err, text.Mixed("target"))
		}
	}
}

// FuzzParse: the pieces of a string are the string, and no string makes the parser panic.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "a", "${inputs.name}", "$${", "$$${x}", "${", "${'}'}", `${r'\'}`, "${'''}'''}", "${{'a':1}}", "${a // }\n}", "${\"\\\"}\"}", "a${inputs.replicas}b",
		"$", "$$", "${${}}", "ä${'ö'}", "${'a\nb'}",
	} {
		f.Add(seed)
	}
	c := compiler(f)
	f.Fuzz(func(t *testing.T, source string) {
		pieces, err := scan(source)
		if err == nil {
			var again strings.Builder
			for _, p := range pieces {
				if p.expression {
					again.WriteString("${" + p.text + "}")
				} else {
					again.WriteString(strings.ReplaceAll(p.text, "${", "$${"))
				}
			}
			if again.String() != source {
				t.Fatalf("the pieces of %q make %q", source, again.String())
			}
		}
		text, err := Parse(source, c)
		if err != nil {
			if compile := (*expression.CompileError)(nil); !errors.As(err, &compile) || compile.Line < 1 || compile.Column < 1 {
				t.Fatalf("parsing %q: %v is no proper error", source, err)
			}
			return
		}
		got, err := text.Render(context.Background(), vars(), expression.NewBudgetOf(100_000))
		if err == nil && text.IsLiteral() && got != strings.ReplaceAll(source, "$${", "${") {
			t.Fatalf("the literal %q became %q", source, got)
		}
	})
}
