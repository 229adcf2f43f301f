package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/internal/expression"
)

// maxDepth is how deep an object may nest.
const maxDepth = 64

// Object is a parsed JSON tree with templates in its strings. It is safe for concurrent use.
type Object struct {
	root *node
	path *field.Path
}

// node is one value of the tree: a text, a list, a map, or a value that stays as it is.
type node struct {
	text   *Text
	list   []*node
	fields []namedNode
	scalar any
	kind   kind
}

type namedNode struct {
	name string
	node *node
}

type kind int

const (
	kindScalar kind = iota
	kindText
	kindList
	kindMap
)

// ParseObject reads a JSON-native tree. Templates may stand in the strings, not in the keys of maps, where only the escape $${ is
// read. Path is where the tree stands.
func ParseObject(value any, c *expression.Compiler, path *field.Path) (*Object, field.ErrorList) {
	p := &parser{compiler: c}
	root := p.parse(value, path, maxDepth)
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	return &Object{root: root, path: path}, nil
}

type parser struct {
	compiler *expression.Compiler
	errs     field.ErrorList
}

func (p *parser) parse(value any, path *field.Path, depth int) *node {
	if depth == 0 {
		p.errs = append(p.errs, field.Forbidden(path, fmt.Sprintf("nests deeper than %d levels", maxDepth)))
		return nil
	}
	switch v := value.(type) {
	case string:
		return p.parseText(v, path)
	case []any:
		out := &node{kind: kindList, list: make([]*node, 0, len(v))}
		for i := range v {
			out.list = append(out.list, p.parse(v[i], path.Index(i), depth-1))
		}
		return out
	case map[string]any:
		return p.parseMap(v, path, depth)
	case nil, bool, int, int32, int64, float32, float64:
		return &node{scalar: value}
	default:
		p.errs = append(p.errs, field.Forbidden(path, fmt.Sprintf("a %T is no JSON value", value)))
		return nil
	}
}

func (p *parser) parseText(source string, path *field.Path) *node {
	text, err := Parse(source, p.compiler)
	if err != nil {
		p.errs = append(p.errs, field.Invalid(path, short(source), err.Error()))
		return nil
	}
	if text.IsLiteral() {
		return &node{scalar: literal(text)}
	}
	return &node{kind: kindText, text: text}
}

func (p *parser) parseMap(m map[string]any, path *field.Path, depth int) *node {
	out := &node{kind: kindMap}
	seen := make(map[string]bool, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		at := child(path, key)
		name, err := plainKey(key)
		if err == nil && seen[name] {
			err = errors.New("another key is the same once $${ is read as ${")
		}
		if err != nil {
			p.errs = append(p.errs, field.Invalid(at, short(key), err.Error()))
			continue
		}
		seen[name] = true
		out.fields = append(out.fields, namedNode{name, p.parse(m[key], at, depth-1)})
	}
	return out
}

// plainKey reads the escapes of a key and refuses templates in it.
func plainKey(key string) (string, error) {
	pieces, err := scan(key)
	if err != nil || len(pieces) > 1 || (len(pieces) == 1 && pieces[0].expression) {
		return "", errors.New("a key cannot hold a template, only a value can; write $${ for a literal ${")
	}
	if len(pieces) == 0 {
		return key, nil
	}
	return pieces[0].text, nil
}

func literal(t *Text) string {
	if len(t.parts) == 0 {
		return ""
	}
	return t.parts[0].literal
}

// Uses reports whether a template reads the variable.
func (o *Object) Uses(variable string) bool { return o.root.uses(variable) }

func (n *node) uses(variable string) bool {
	switch n.kind {
	case kindText:
		return n.text.Uses(variable)
	case kindList:
		return slices.ContainsFunc(n.list, func(e *node) bool { return e.uses(variable) })
	case kindMap:
		return slices.ContainsFunc(n.fields, func(f namedNode) bool { return f.node.uses(variable) })
	default:
		return false
	}
}

// Render gives a copy of the tree with all templates filled in. An error names the path inside the tree.
func (o *Object) Render(ctx context.Context, vars expression.Vars, budget *expression.Budget) (any, error) {
	r := &renderer{vars: vars, budget: budget, left: MaxSize}
	return o.root.render(ctx, r, o.path)
}

func (n *node) render(ctx context.Context, r *renderer, path *field.Path) (any, error) {
	switch n.kind {
	case kindText:
		value, err := n.text.render(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("failed to render %s: %w", path, err)
		}
		return value, nil
	case kindList:
		return n.renderList(ctx, r, path)
	case kindMap:
		return n.renderMap(ctx, r, path)
	default:
		if err := r.spendTree(n.scalar); err != nil {
			return nil, fmt.Errorf("failed to render %s: %w", path, err)
		}
		return n.scalar, nil
	}
}

func (n *node) renderList(ctx context.Context, r *renderer, path *field.Path) (any, error) {
	out := make([]any, 0, len(n.list))
	for i, element := range n.list {
		value, err := element.render(ctx, r, path.Index(i))
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

func (n *node) renderMap(ctx context.Context, r *renderer, path *field.Path) (any, error) {
	out := make(map[string]any, len(n.fields))
	for _, f := range n.fields {
		if err := r.spend(len(f.name)); err != nil {
			return nil, fmt.Errorf("failed to render %s: %w", path, err)
		}
		value, err := f.node.render(ctx, r, child(path, f.name))
		if err != nil {
			return nil, err
		}
		out[f.name] = value
	}
	return out, nil
}

var fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// child writes keys that look like fields as fields, and others, such as names of labels, in brackets.
func child(path *field.Path, key string) *field.Path {
	if fieldName.MatchString(key) {
		return path.Child(key)
	}
	return path.Key(short(key))
}

// short cuts a text for use inside an error.
func short(s string) string {
	const most = 64
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
