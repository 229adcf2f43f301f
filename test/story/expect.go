package story

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Expectation is what a command must answer.
type Expectation struct {
	// Exit is how it ends. Unset: with 0.
	Exit Exit `yaml:"exit,omitempty"`
	// Stdout must all hold of the standard output.
	Stdout []Matcher `yaml:"stdout,omitempty"`
	// Stderr must all hold of the standard error.
	Stderr []Matcher `yaml:"stderr,omitempty"`
}

// Exit is an expected exit code: "0", "1" or "nonzero".
type Exit string

// The expected exit codes.
const (
	ExitZero    Exit = "0"
	ExitOne     Exit = "1"
	ExitNonzero Exit = "nonzero"
)

// UnmarshalYAML refuses other words.
func (e *Exit) UnmarshalYAML(node *yaml.Node) error {
	switch value := Exit(node.Value); {
	case node.Kind == yaml.ScalarNode && (value == ExitZero || value == ExitOne || value == ExitNonzero):
		*e = value
		return nil
	}
	return fmt.Errorf("line %d: exit must be 0, 1 or nonzero", node.Line)
}

func (e Exit) fits(code int) bool {
	switch e {
	case "", ExitZero:
		return code == 0
	case ExitOne:
		return code == 1
	case ExitNonzero:
		return code != 0
	}
	return false
}

// Duration is how long to try, such as "30s".
type Duration time.Duration

// UnmarshalYAML refuses what is not a duration longer than zero.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	value, err := time.ParseDuration(node.Value)
	if err != nil || value <= 0 || node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: %q must be a duration such as 30s", node.Line, node.Value)
	}
	*d = Duration(value)
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// Capture is a regular expression with one group.
type Capture struct{ *regexp.Regexp }

// UnmarshalYAML compiles the expression.
func (c *Capture) UnmarshalYAML(node *yaml.Node) error {
	compiled, err := compile(node)
	if err != nil {
		return err
	}
	if compiled.NumSubexp() != 1 {
		return fmt.Errorf("line %d: %q must have exactly one group in parentheses", node.Line, node.Value)
	}
	c.Regexp = compiled
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (c Capture) MarshalYAML() (any, error) { return strings.TrimPrefix(c.String(), multiline), nil }

// Matcher is something that must hold of an output. As plain text in YAML it is Contains.
type Matcher struct {
	// Contains is a part of the output. Runs of blanks count as one, because columns are as wide as they need to be.
	Contains string `yaml:"contains,omitempty"`
	// Lacks is no part of the output.
	Lacks string `yaml:"lacks,omitempty"`
	// Matches is a regular expression that fits somewhere; ^ and $ are the ends of lines.
	Matches string `yaml:"matches,omitempty"`
}

// UnmarshalYAML reads text or exactly one of the fields.
func (m *Matcher) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		m.Contains = node.Value
		return m.check(node.Line)
	}
	if node.Kind != yaml.MappingNode || len(node.Content) != 2 || node.Content[1].Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a matcher is text, or one of contains, lacks, matches", node.Line)
	}
	value := node.Content[1]
	switch key := node.Content[0].Value; key {
	case "contains":
		m.Contains = value.Value
	case "lacks":
		m.Lacks = value.Value
	case "matches":
		if _, err := compile(value); err != nil {
			return err
		}
		m.Matches = value.Value
	default:
		return fmt.Errorf("line %d: unknown matcher %q: accepted are contains, lacks, matches", node.Line, key)
	}
	return m.check(node.Line)
}

// check refuses a matcher that nothing could fail.
func (m *Matcher) check(line int) error {
	if strings.TrimSpace(m.text()) == "" {
		return fmt.Errorf("line %d: a matcher is not empty", line)
	}
	return nil
}

// multiline makes ^ and $ the ends of lines.
const multiline = "(?m)"

func compile(node *yaml.Node) (*regexp.Regexp, error) {
	if node.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("line %d: must be a regular expression", node.Line)
	}
	compiled, err := regexp.Compile(multiline + node.Value)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", node.Line, err)
	}
	return compiled, nil
}

func (m *Matcher) text() string { return m.Contains + m.Lacks + m.Matches }

// problem says what is wrong with an output. Fill puts saved values into text.
func (m *Matcher) problem(output string, fill func(string) string) error {
	switch {
	case m.Contains != "":
		if want := fill(m.Contains); !strings.Contains(squeeze(output), squeeze(want)) {
			return fmt.Errorf("does not contain %q", want)
		}
	case m.Lacks != "":
		if bad := fill(m.Lacks); strings.Contains(squeeze(output), squeeze(bad)) {
			return fmt.Errorf("contains %q", bad)
		}
	case m.Matches != "":
		expression, err := regexp.Compile(multiline + fill(m.Matches))
		if err != nil {
			return fmt.Errorf("failed to compile %q: %w", m.Matches, err)
		}
		if !expression.MatchString(output) {
			return fmt.Errorf("does not match %q", m.Matches)
		}
	default:
		return errors.New("cannot be judged: the matcher is empty")
	}
	return nil
}

var blanks = regexp.MustCompile(`[ \t]+`)

// squeeze makes runs of blanks one blank.
func squeeze(text string) string { return blanks.ReplaceAllString(text, " ") }
