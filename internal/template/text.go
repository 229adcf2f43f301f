package template

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/internal/expression"
)

// MaxSize is how many bytes all rendered strings of a Text or an Object may have together. An object of Kubernetes cannot
// be much larger.
const MaxSize = 512 * 1024

// ErrTooLarge says that a rendered text or object would be larger than MaxSize.
var ErrTooLarge = fmt.Errorf("the result is larger than %d bytes", MaxSize)

// Text is a parsed string with templates. It is safe for concurrent use.
type Text struct {
	source string
	parts  []part
}

// part is a literal text, or an expression.
type part struct {
	literal string
	program *expression.Program
}

// Option changes how a Text is rendered.
type Option func(*options)

type options struct{ escape func(string) string }

// WithEscape passes every substituted part through escape. Literal parts stay as they are.
func WithEscape(escape func(string) string) Option {
	return func(o *options) { o.escape = escape }
}

// Parse reads a string with templates. $${ stands for a literal ${. An error is an *expression.CompileError, with its position in the
// string.
func Parse(source string, c *expression.Compiler) (*Text, error) {
	pieces, err := scan(source)
	if err != nil {
		return nil, err
	}
	t := &Text{source: source}
	compile := c.Text
	if len(pieces) == 1 {
		compile = c.Any
	}
	for _, p := range pieces {
		if !p.expression {
			t.parts = append(t.parts, part{literal: p.text})
			continue
		}
		if strings.TrimSpace(p.text) == "" {
			return nil, problem(source, p.at, "${} is empty; write $${ for a literal ${")
		}
		program, err := compile(p.text)
		if err != nil {
			return nil, moved(source, p.at, err)
		}
		t.parts = append(t.parts, part{program: program})
	}
	return t, nil
}

// moved gives an error of an expression its position in the whole string.
func moved(source string, at int, err error) error {
	compile, ok := errors.AsType[*expression.CompileError](err)
	if !ok {
		return fmt.Errorf("failed to compile a template: %w", err)
	}
	line, column := position(source, at)
	out := &expression.CompileError{Line: line + compile.Line - 1, Column: compile.Column, Message: compile.Message, Source: source}
	if compile.Line == 1 {
		out.Column += column - 1
	}
	return out
}

// Source returns the string as it was written.
func (t *Text) Source() string { return t.source }

// IsLiteral reports whether there is no template in the string.
func (t *Text) IsLiteral() bool {
	for i := range t.parts {
		if t.parts[i].program != nil {
			return false
		}
	}
	return true
}

// IsWhole reports whether the string is one template and nothing else, so that Render keeps the type of its value.
func (t *Text) IsWhole() bool { return len(t.parts) == 1 && t.parts[0].program != nil }

// Uses reports whether a template reads the variable.
func (t *Text) Uses(variable string) bool {
	for i := range t.parts {
		if p := t.parts[i].program; p != nil && p.Uses(variable) {
			return true
		}
	}
	return false
}

// Render fills in the templates. A string that is one template as a whole gives the value with its type.
func (t *Text) Render(ctx context.Context, vars expression.Vars, budget *expression.Budget) (any, error) {
	return t.render(ctx, &renderer{vars: vars, budget: budget, left: MaxSize})
}

// RenderString fills in the templates and gives text.
func (t *Text) RenderString(ctx context.Context, vars expression.Vars, budget *expression.Budget, opts ...Option) (string, error) {
	o := options{}
	for _, opt := range opts {
		opt(&o)
	}
	return t.renderString(ctx, &renderer{vars: vars, budget: budget, left: MaxSize, escape: o.escape})
}

func (t *Text) render(ctx context.Context, r *renderer) (any, error) {
	if !t.IsWhole() {
		return t.renderString(ctx, r)
	}
	value, err := t.parts[0].program.EvalAny(ctx, r.vars, r.budget)
	if err != nil {
		return nil, err
	}
	return value, r.spendTree(value)
}

func (t *Text) renderString(ctx context.Context, r *renderer) (string, error) {
	var out strings.Builder
	for i := range t.parts {
		text := t.parts[i].literal
		if program := t.parts[i].program; program != nil {
			value, err := program.EvalAny(ctx, r.vars, r.budget)
			if err != nil {
				return "", err
			}
			if text, err = AsText(value); err != nil {
				return "", fmt.Errorf("${%s}: %w", program.Source(), err)
			}
			if r.escape != nil {
				text = r.escape(text)
			}
		}
		if err := r.spend(len(text)); err != nil {
			return "", err
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

// Part is a piece of a text of which some is known later: either text that is known, or an expression that is not evaluated yet.
type Part struct {
	Text, Expression string
	// GivesText says that the expression gives text whatever it reads.
	GivesText bool
}

// Mixed gives an expression that reads one of the variables and others, which can be evaluated neither now nor later; empty where there is none.
func (t *Text) Mixed(variables ...string) string {
	for i := range t.parts {
		if p := t.parts[i].program; p != nil && p.UsesAny(variables...) && !p.ReadsOnly(variables...) {
			return p.Source()
		}
	}
	return ""
}

// UsesAny reports whether a template reads one of the variables.
func (t *Text) UsesAny(variables ...string) bool { return slices.ContainsFunc(variables, t.Uses) }

// RenderAround fills in all templates but those that read one of the variables.
func (t *Text) RenderAround(ctx context.Context, variables []string, vars expression.Vars, budget *expression.Budget, opts ...Option) ([]Part, error) {
	return t.around(variables, func(one *Text) (string, error) { return one.RenderString(ctx, vars, budget, opts...) })
}

// Around gives the parts that RenderAround gives where no other template turns out empty, with a mark in the place of each of those.
func (t *Text) Around(variables ...string) []Part {
	parts, _ := t.around(variables, func(one *Text) (string, error) {
		if p := &one.parts[0]; p.program == nil {
			return p.literal, nil
		}
		return "?", nil
	})
	return parts
}

// around puts what is known, each part by itself, together with what is not.
func (t *Text) around(variables []string, known func(one *Text) (string, error)) ([]Part, error) {
	var out []Part
	for i := range t.parts {
		if p := t.parts[i].program; p != nil && p.UsesAny(variables...) {
			out = append(out, Part{Expression: p.Source(), GivesText: p.GivesText()})
			continue
		}
		text, err := known(&Text{source: t.source, parts: t.parts[i : i+1]})
		if err != nil {
			return nil, err
		}
		if last := len(out) - 1; last >= 0 && out[last].Expression == "" {
			out[last].Text += text
		} else if text != "" {
			out = append(out, Part{Text: text})
		}
	}
	return out, nil
}
