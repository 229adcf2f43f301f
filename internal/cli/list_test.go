package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// TestSelectedAction reads --action as "request" takes an Action.
func TestSelectedAction(t *testing.T) {
	cases := map[string]struct {
		reason, word, namespace, name, wrong string
	}{
		"Name":    {"of any catalog", "restart", "", "restart", ""},
		"Full":    {"of one", "platform/restart", "platform", "restart", ""},
		"Printed": {"as -o name prints it", "action.signoff.dev/platform/restart", "platform", "restart", ""},
		"None":    {"no Action is selected", "", "", "", ""},
		"Half":    {"half of a name", "platform/", "", "", `failed to read --action "platform/": name the Action as NAMESPACE/NAME or NAME`},
		"Much":    {"too much of one", "a/b/c", "", "", `failed to read --action "a/b/c": name the Action as NAMESPACE/NAME or NAME`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			namespace, action, err := (&listOptions{action: tc.word}).asked()
			wrong := ""
			if err != nil {
				wrong = err.Error()
			}
			if diff := cmp.Diff([]string{tc.namespace, tc.name, tc.wrong}, []string{namespace, action, wrong}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestFormats: -o takes what help promises, and help promises nothing else.
func TestFormats(t *testing.T) {
	cases := map[string]struct {
		reason, format string
		// written says that the command writes an object, and prints no table.
		written, taken bool
	}{
		"JSON":     {"for programs", "json", false, true},
		"YAML":     {"for people", "yaml", true, true},
		"Name":     {"for scripts", "name", true, true},
		"Path":     {"one field", "jsonpath={.metadata.name}", true, true},
		"PathJSON": {"one field as JSON", "jsonpath-as-json={.metadata}", true, true},
		"Template": {"a template", "go-template={{.kind}}", true, true},
		"Wide":     {"more columns", "wide", false, true},
		"WideOne":  {"there is no table of what was written", "wide", true, false},
		"Columns":  {"only kubectl itself has it", "custom-columns=A:.kind", false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			done := ""
			if tc.written {
				done = "created"
			}
			o := outputFlags(&cobra.Command{}, done)
			*o.flags.OutputFormat = tc.format
			if err := o.check(!tc.written); (err == nil) != tc.taken {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}
