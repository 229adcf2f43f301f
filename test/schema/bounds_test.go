package schema

import (
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// TestEveryCRDIsKnown fails where a kind was added without a sample and a table.
func TestEveryCRDIsKnown(t *testing.T) {
	t.Parallel()
	var want []string
	for _, plural := range kinds {
		want = append(want, "signoff.dev_"+plural+".yaml")
	}
	got := slices.DeleteFunc(fileNames(t, crdDirectory), func(name string) bool { return !strings.HasPrefix(name, "signoff.dev_") })
	sameSet(t, "files of CRDs", got, want)
	sameSet(t, "kinds with a table", sortedKeys(tables()), sortedKeys(kinds))
}

// TestEveryPropertyIsDescribed demands a sentence for every property, since kubectl explain shows nothing else.
func TestEveryPropertyIsDescribed(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		for _, n := range walk(node{schema: loadSchema(t, kind)}) {
			if n.property == "" || n.path == "apiVersion" || n.path == "kind" || n.path == "metadata" {
				continue // controller-gen describes these, or leaves them to Kubernetes.
			}
			if !strings.HasSuffix(strings.TrimSpace(n.schema.Description), ".") {
				t.Errorf("%s: %s has no description that is a sentence: %q", kind, n.path, n.schema.Description)
			}
		}
	}
}

// TestEverythingIsBounded demands an upper bound for every string, list and map, so that no object can grow without end and
// the API server can tell what a CEL rule costs.
func TestEverythingIsBounded(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		for _, n := range walk(node{schema: loadSchema(t, kind)}) {
			if problem := unbounded(n); problem != "" {
				t.Errorf("%s: %s %s", kind, n.path, problem)
			}
		}
	}
}

func unbounded(n node) string {
	if preserves(n.schema) || n.path == "apiVersion" || n.path == "kind" || n.path == "metadata" {
		return "" // Somebody else's, or bounded by the API server itself.
	}
	switch n.schema.Type {
	case "string":
		if !boundedString(n.schema) {
			return "is a string without maxLength, enum or format of a time"
		}
	case "array":
		if n.schema.MaxItems == nil {
			return "is a list without maxItems"
		}
	case "object":
		if n.schema.AdditionalProperties != nil && n.schema.MaxProperties == nil {
			return "is a map without maxProperties"
		}
	case "":
		return "has no type"
	}
	return ""
}

func boundedString(schema *apiextensionsv1.JSONSchemaProps) bool {
	return schema.MaxLength != nil || len(schema.Enum) > 0 || schema.Format == "date-time" || schema.Format == "date"
}

// TestTheDesignNoteNamesEveryField keeps docs/design/api.md complete.
func TestTheDesignNoteNamesEveryField(t *testing.T) {
	t.Parallel()
	words := wordsInCode(readFile(t, "../../docs/design/api.md"))
	for kind := range kinds {
		for _, n := range walk(node{schema: loadSchema(t, kind)}) {
			if n.property != "" && !words[n.property] {
				t.Errorf("docs/design/api.md does not name %s of %s", n.path, kind)
			}
		}
	}
}

// wordsInCode are the names inside backticks of a text in Markdown.
func wordsInCode(text string) map[string]bool {
	out := map[string]bool{}
	for i, code := range strings.Split(text, "`") {
		if i%2 == 0 {
			continue
		}
		for _, word := range strings.FieldsFunc(code, func(r rune) bool { return strings.ContainsRune(".[] ", r) }) {
			out[word] = true
		}
	}
	return out
}

// TestTheIndexListsEveryDesignNote keeps docs/design/README.md complete.
func TestTheIndexListsEveryDesignNote(t *testing.T) {
	t.Parallel()
	index := readFile(t, "../../docs/design/README.md")
	for _, name := range fileNames(t, "../../docs/design") {
		if name != "README.md" && !strings.Contains(index, "("+name) {
			t.Errorf("docs/design/README.md does not list %s", name)
		}
	}
}
