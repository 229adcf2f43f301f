package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func (p *Program) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this plugin",
		Long:    "Prints the version of this plugin, and the version of the API that it knows.",
		Example: `  kubectl signoff version`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return p.print(outputText, 0, nil, versionText)
		},
	}
}

// moduleVersion is the version of this program.
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func versionText() string {
	version, commit := moduleVersion(), ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				commit = ", commit " + setting.Value
			}
		}
	}
	return fmt.Sprintf("kubectl-signoff %s%s, %s %s/%s\nAPI %s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, v1alpha1.GroupVersion)
}
