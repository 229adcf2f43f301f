package manifest

import (
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/json"
)

func unmarshal(document []byte, into any) error {
	return json.UnmarshalCaseSensitivePreserveInts(document, into)
}

// tree is a document with its positions.
type tree struct{ root *yamlv3.Node }

// LineOf gives the line of a field, such as "spec.rules[0].when"; where it is missing, that of what should hold it.
func (d *Document) LineOf(path string) int {
	line, _ := d.find(path)
	return line
}

// Holds tells whether a field is written.
func (d *Document) Holds(path string) bool {
	_, found := d.find(path)
	return found
}

func (d *Document) find(path string) (line int, found bool) {
	if d.tree == nil {
		d.tree = &tree{}
		var document yamlv3.Node
		if err := yamlv3.Unmarshal(d.text, &document); err == nil && len(document.Content) > 0 {
			d.tree.root = document.Content[0]
		}
	}
	if d.tree.root == nil {
		return d.Line, false
	}
	node, line := d.tree.root, d.tree.root.Line
	for _, segment := range segments(path) {
		next, at := child(node, segment)
		if next == nil {
			return d.Line + line - 1, false
		}
		node, line = next, at
	}
	return d.Line + line - 1, true
}

// child finds what a segment names, and the line where it begins.
func child(node *yamlv3.Node, segment string) (*yamlv3.Node, int) {
	if node.Kind == yamlv3.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == segment {
				return node.Content[i+1], node.Content[i].Line
			}
		}
	case yamlv3.SequenceNode:
		if i, err := strconv.Atoi(segment); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i].Line
		}
	}
	return nil, 0
}

// segments takes a path apart: names are between dots, and whatever is in brackets is an index or a key.
func segments(path string) []string {
	var out []string
	for path != "" {
		if rest, ok := strings.CutPrefix(path, "["); ok {
			inside, after, _ := strings.Cut(rest, "]")
			out, path = append(out, inside), after
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		if end > 0 {
			out = append(out, path[:end])
		}
		path = path[end:]
	}
	return out
}
