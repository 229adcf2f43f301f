package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/internal/policytest"
)

// testOptions are the flags of `test`.
type testOptions struct {
	verbose bool
	junit   string
	only    string
	output  string
}

func (p *Program) test() *cobra.Command {
	o := &testOptions{}
	command := &cobra.Command{
		Use:   "test DIR...",
		Short: "Check policies against test cases, without a cluster",
		Long: `Checks policies against test cases, without a cluster: Actions, Roles, Teams, Calendars and ActionPolicies from files, and for each
case a request, who asks, when, and what is then expected. The verdict comes from the functions that the admission webhook uses, and
the objects are first judged as the API server would, so that a misspelt field is found too.

Every file below DIR that is called *_test.yaml is a test file. The exit code is 0 if all cases passed, 1 if one failed, and 2 if a file
could not be read.`,
		Example: `  # All tests of a repository
  kubectl signoff test .

  # Show every case, with the reason of every rule
  kubectl signoff test -v examples/deploy-service

  # In CI
  kubectl signoff test --junit report.xml policies`,
		Args: takes(1, many),
		RunE: func(cmd *cobra.Command, args []string) error { return p.runTests(cmd.Context(), o, args) },
	}
	command.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show every case, with an explanation of the verdict")
	command.Flags().StringVar(&o.junit, "junit", "", "the file to which a report is written as JUnit XML")
	answerFlag(command, &o.output, outputText, outputJSON, outputYAML)
	command.Flags().StringVar(&o.only, "run", "", "run only cases whose name matches this regular expression")
	return command
}

func (p *Program) runTests(ctx context.Context, o *testOptions, paths []string) error {
	if err := checkOutput(o.output, outputText, outputJSON, outputYAML); err != nil {
		return err
	}
	runner := &policytest.Runner{Clock: p.Clock}
	if o.only != "" {
		only, err := regexp.Compile(o.only)
		if err != nil {
			return fmt.Errorf("failed to read --run: %w", err)
		}
		runner.Only = only
	}
	files, err := policytest.Find(paths)
	if err != nil {
		return err
	}
	report, err := runner.Run(ctx, files)
	if err != nil {
		return err
	}
	if err := p.print(o.output, 0, testedOf(report, o.verbose), func() string { return o.text(report) }); err != nil {
		return err
	}
	if o.junit != "" {
		if err := writeFile(o.junit, report.JUnit); err != nil {
			return err
		}
	}
	return outcome(report, o)
}

// text shows a report to people.
func (o *testOptions) text(report *policytest.Report) string {
	if o.verbose {
		return report.Text(observedText)
	}
	return report.Text(nil)
}

// outcome is how the command ends.
func outcome(report *policytest.Report, o *testOptions) error {
	passed, failed, unreadable := report.Count()
	switch {
	case unreadable > 0:
		return errors.New("not everything could be tested")
	case failed > 0:
		return errNo
	case passed == 0:
		return fmt.Errorf("no case was run: --run %q matches none", o.only)
	}
	return nil
}

func writeFile(name string, write func(io.Writer) error) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("failed to write %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}
