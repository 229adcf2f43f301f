package schema

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const typesDirectory = "../../api/v1alpha1"

// parseTypes reads the Go files of the API, but not the generated ones.
func parseTypes(t *testing.T) []*ast.File {
	t.Helper()
	var out []*ast.File
	for _, name := range fileNames(t, typesDirectory) {
		if !strings.HasSuffix(name, ".go") || strings.HasPrefix(name, "zz_generated") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), typesDirectory+"/"+name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}

// inspect calls visit for every node of the API of type N.
func inspect[N ast.Node](t *testing.T, visit func(N)) {
	t.Helper()
	for _, file := range parseTypes(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			if found, ok := n.(N); ok {
				visit(found)
			}
			return true
		})
	}
}

// sentence tells whether a comment is at least one sentence that begins with a name. Markers for generators do not count.
func sentence(comment *ast.CommentGroup, name string) bool {
	text := strings.TrimSpace(comment.Text())
	if at := strings.Index(text, "\n+"); at >= 0 {
		text = strings.TrimSpace(text[:at])
	}
	return strings.HasPrefix(text, name+" ") && strings.HasSuffix(text, ".")
}

// TestEveryFieldIsExplained demands that the comment of a field begins with the name that users write.
func TestEveryFieldIsExplained(t *testing.T) {
	t.Parallel()
	inspect(t, func(s *ast.StructType) {
		for _, field := range s.Fields.List {
			if field.Tag == nil {
				continue
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if name != "" && !sentence(field.Doc, name) {
				t.Errorf("field %s has no comment that begins with its name and ends as a sentence: %q", name, field.Doc.Text())
			}
		}
	})
}

// constants gives, per type, the values of its constants, and calls visit for every constant with its comment.
func constants(t *testing.T, visit func(name string, comment *ast.CommentGroup)) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	inspect(t, func(d *ast.GenDecl) {
		if d.Tok != token.CONST {
			return
		}
		for _, spec := range d.Specs {
			value := as[*ast.ValueSpec](spec)
			comment := value.Doc
			if comment == nil && len(d.Specs) == 1 {
				comment = d.Doc
			}
			visit(value.Names[0].Name, comment)
			kind := ""
			if named, ok := value.Type.(*ast.Ident); ok {
				kind = named.Name
			}
			text, err := strconv.Unquote(as[*ast.BasicLit](value.Values[0]).Value)
			if err != nil {
				t.Fatal(err)
			}
			out[kind] = append(out[kind], text)
		}
	})
	return out
}

// TestEveryConstantIsExplained demands a sentence for each value of an enum, each condition and each reason.
func TestEveryConstantIsExplained(t *testing.T) {
	t.Parallel()
	constants(t, func(name string, comment *ast.CommentGroup) {
		if !sentence(comment, name) {
			t.Errorf("constant %s has no comment that begins with its name and ends as a sentence: %q", name, comment.Text())
		}
	})
}

// TestEveryEnumHasItsConstants compares the values that the CRD allows with the constants of the Go type.
func TestEveryEnumHasItsConstants(t *testing.T) {
	t.Parallel()
	const marker = "+kubebuilder:validation:Enum="
	values := constants(t, func(string, *ast.CommentGroup) {})
	found := 0
	inspect(t, func(d *ast.GenDecl) {
		for _, line := range strings.Split(d.Doc.Text(), "\n") {
			allowed, ok := strings.CutPrefix(strings.TrimSpace(line), marker)
			if !ok || d.Tok != token.TYPE {
				continue
			}
			found++
			name := as[*ast.TypeSpec](d.Specs[0]).Name.Name
			sameSet(t, "values of "+name, values[name], strings.Split(allowed, ";"))
		}
	})
	if found < 10 {
		t.Errorf("want all enums of the API to be found, but only %d were", found)
	}
}

// TestNoReasonIsNamedTwice demands that conditions and reasons can be told apart by their value.
func TestNoReasonIsNamedTwice(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	inspect(t, func(v *ast.ValueSpec) {
		name := v.Names[0].Name
		group, _, _ := strings.Cut(name, "eason")
		if group != "R" && !strings.HasPrefix(name, "Condition") {
			return
		}
		key := group[:1] + as[*ast.BasicLit](v.Values[0]).Value
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have the same value %s", other, name, key)
		}
		seen[key] = name
	})
	if len(seen) < 20 {
		t.Errorf("want all reasons to be found, but only %d were", len(seen))
	}
}
