package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/internal/visible"
)

// What -o accepts.
const (
	outputText = "text"
	outputWide = "wide"
	outputJSON = "json"
	outputYAML = "yaml"
	outputName = "name"
)

func checkOutput(output string, accepted ...string) error {
	if slices.Contains(accepted, output) {
		return nil
	}
	return fmt.Errorf("failed to read -o %q: it is one of %s", output, strings.Join(slices.DeleteFunc(accepted, func(s string) bool { return s == "" }), ", "))
}

// answerFlag adds -o to a command that prints an answer of its own. The first format is that for people.
func answerFlag(command *cobra.Command, output *string, first string, others ...string) {
	formats := others
	if first != "" {
		formats = append([]string{first}, others...)
	}
	last := len(formats) - 1
	command.Flags().StringVarP(output, "output", "o", first, strings.Join(formats[:last], ", ")+" or "+formats[last])
	_ = command.RegisterFlagCompletionFunc("output", among(formats...))
}

// safe escapes what a terminal would act on: names and messages are somebody else's.
func safe(text string) string {
	return visible.Lines(strings.ToValidUTF8(text, "\ufffd"))
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
		if out = safe(text()); number > 0 {
			out = "\n" + out
		}
	}
	if _, err := io.WriteString(p.IO.Out, out); err != nil {
		return fmt.Errorf("failed to write the answer: %w", err)
	}
	return nil
}

// printLines prints lines that were escaped before.
func (p *Program) printLines(lines []string) error {
	_, err := io.WriteString(p.IO.Out, strings.Join(lines, "\n")+"\n")
	return written(err)
}
