package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// What -o accepts.
const (
	outputText = "text"
	outputWide = "wide"
	outputJSON = "json"
	outputYAML = "yaml"
)

func checkOutput(output string, accepted ...string) error {
	if slices.Contains(accepted, output) {
		return nil
	}
	return fmt.Errorf("failed to read -o %q: it is one of %s", output, strings.Join(slices.DeleteFunc(accepted, func(s string) bool { return s == "" }), ", "))
}

// print prints the answer with this number, for people or for programs.
func (p *Program) print(output string, number int, value any, text func() string) error {
	out := ""
	switch output {
	case outputJSON:
		content, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return fmt.Errorf("failed to write the answer: %w", err)
		}
		out = string(content) + "\n"
	case outputYAML:
		content, err := yaml.Marshal(value)
		if err != nil {
			return fmt.Errorf("failed to write the answer: %w", err)
		}
		if out = string(content); number > 0 {
			out = "---\n" + out
		}
	default:
		if out = text(); number > 0 {
			out = "\n" + out
		}
	}
	if _, err := io.WriteString(p.IO.Out, out); err != nil {
		return fmt.Errorf("failed to write the answer: %w", err)
	}
	return nil
}
