// Package manifest reads files of YAML documents as kubectl does, and remembers where in the file everything stands.
package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// maxSize is far more than anything that people write by hand.
const maxSize = 16 << 20

// Document is one document of a file.
type Document struct {
	// File is the name of the file, as it is shown to people.
	File string
	// Line is where the document begins, counted from 1.
	Line int
	// JSON is the content, as the API server would receive it.
	JSON []byte

	text []byte
	tree *tree
}

// Problem is something that is wrong in a file.
type Problem struct {
	File string
	// Line is counted from 1. 0: the whole file.
	Line int
	// Err says what is wrong. One of *field.Error begins with the path of the field.
	Err error
}

// Error names the file, the line and what is wrong.
func (p *Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %v", p.File, p.Err)
	}
	return fmt.Sprintf("%s:%d: %v", p.File, p.Line, p.Err)
}

// Unwrap gives what is wrong.
func (p *Problem) Unwrap() error { return p.Err }

// Parse reads the documents of a file that are not empty. The first document that cannot be read ends it.
func Parse(file string, data []byte) ([]*Document, error) {
	if len(data) > maxSize {
		return nil, &Problem{File: file, Err: fmt.Errorf("it has %d bytes: at most %d are accepted", len(data), maxSize)}
	}
	var documents []*Document
	for _, part := range split(data) {
		document := &Document{File: file, Line: part.line, text: part.text}
		content, err := yaml.YAMLToJSONStrict(part.text)
		if err != nil {
			return nil, document.unreadable()
		}
		document.JSON = content
		if !bytes.Equal(content, []byte("null")) {
			documents = append(documents, document)
		}
	}
	return documents, nil
}

type part struct {
	line int
	text []byte
}

// split cuts a file where documents begin.
func split(data []byte) []part {
	parts := []part{{line: 1}}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		begins, content := begin(text)
		switch {
		case begins && content:
			parts = append(parts, part{line: line})
		case begins:
			parts = append(parts, part{line: line + 1})
			continue
		}
		last := &parts[len(parts)-1]
		last.text = append(last.text, text...)
	}
	return parts
}

// begin tells whether a line begins a document, and whether it also holds a part of it.
func begin(line []byte) (begins, content bool) {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	if !ok || len(rest) > 0 && !bytes.ContainsAny(rest[:1], " \t\r\n") {
		return false, false
	}
	rest = bytes.TrimSpace(rest)
	return true, len(rest) > 0 && rest[0] != '#'
}

// unreadable says where the document cannot be read: the parser counts lines from the beginning of what it is given.
func (d *Document) unreadable() error {
	_, err := yaml.YAMLToJSONStrict(append(bytes.Repeat([]byte("\n"), d.Line-1), d.text...))
	text := strings.Join(strings.Fields(fmt.Sprint(err)), " ")
	line := d.Line
	_, rest, found := strings.Cut(text, "line ")
	if at, what, ok := strings.Cut(rest, ": "); found && ok {
		if _, err := fmt.Sscanf(at, "%d", &line); err == nil {
			text = what
		}
	}
	return &Problem{File: d.File, Line: line, Err: fmt.Errorf("failed to parse YAML: %s", text)}
}

// Object gives the content as a map. It is a new one each time.
func (d *Document) Object() (map[string]any, error) {
	var object map[string]any
	if err := unmarshal(d.JSON, &object); err != nil {
		return nil, &Problem{File: d.File, Line: d.Line, Err: fmt.Errorf("fields are accepted, such as apiVersion and kind")}
	}
	return object, nil
}

// At says where something is wrong in the document.
func (d *Document) At(err *field.Error) *Problem {
	return &Problem{File: d.File, Line: d.LineOf(err.Field), Err: err}
}

// Problems says where everything is wrong in the document.
func (d *Document) Problems(errs field.ErrorList) []*Problem {
	problems := make([]*Problem, len(errs))
	for i := range errs {
		problems[i] = d.At(errs[i])
	}
	return problems
}

// IsRaw tells JSON that says something from null and nothing.
func IsRaw(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }
