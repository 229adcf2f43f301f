package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/signoff-dev/signoff/internal/cli/doctor"
	"github.com/signoff-dev/signoff/internal/config"
)

func (p *Program) doctor() *cobra.Command {
	output, options := outputText, doctor.Options{Clock: p.Clock}
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Examine what Signoff relies on in this cluster",
		Long: `Examines what Signoff relies on: its definitions, webhook configurations and admission policies, as this version of the plugin has them;
whether the API server asks the webhooks, and which of others could change what people write; until when it trusts their certificate; whether
replicas report; who can read its keys, run something beside it, or act as any user; whether Approvals and votes are sealed; and whether clocks
agree. It looks with your own rights, and says plainly what you may not read.

"ok" is as it must be, "WRONG" is not, "judge" is for you to judge, and "unknown" could not be looked at. Rights are those that RBAC gives;
other authorizers of the cluster are not seen. The exit code is 0 if nothing is wrong, 1 if something is, and 2 if there is no answer.`,
		Example: `  kubectl signoff doctor
  kubectl signoff doctor -n payments -o json`,
		Args: takes(0, 0),
	}
	c := p.connect(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error { return p.runDoctor(cmd, c, options, output) }
	command.Flags().StringVar(&options.Namespace, "operator-namespace", config.DefaultNamespace, "the namespace of the operator")
	command.Flags().StringVar(&options.ServiceAccount, "operator-service-account", "", "the ServiceAccount of the operator, or of its controllers (default: signoff-controller or signoff)")
	answerFlag(command, &output, outputText, outputJSON, outputYAML)
	return command
}

func (p *Program) runDoctor(command *cobra.Command, c *connection, options doctor.Options, output string) error {
	if err := checkOutput(output, outputText, outputJSON, outputYAML); err != nil {
		return err
	}
	namespace, err := c.namespace()
	if err != nil {
		return err
	}
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("failed to find the cluster: %w", err)
	}
	options.RequestNamespace = namespace
	d, err := doctor.New(config, options)
	if err != nil {
		return err
	}
	findings, err := d.Examine(command.Context())
	if err != nil {
		return err
	}
	if err := p.print(output, 0, findings, func() string { return findingsText(findings) }); err != nil {
		return err
	}
	if slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.State == doctor.Wrong }) {
		return errNo
	}
	return nil
}

func findingsText(findings []doctor.Finding) string {
	text := &strings.Builder{}
	table := printers.GetNewTabWriter(text)
	for _, f := range findings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", f.State, f.About, f.Message)
	}
	// The writer below cannot fail.
	_ = table.Flush()
	return text.String()
}
