package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func (p *Program) version() *cobra.Command {
	output := ""
	command := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this plugin",
		Long:    "Prints the version of this plugin, and the version of the API that it knows.",
		Example: `  kubectl signoff version`,
		Args:    takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if err := checkOutput(output, outputText, outputJSON, outputYAML); err != nil {
				return err
			}
			is := versionOf()
			return p.print(output, 0, is, is.text)
		},
	}
	answerFlag(command, &output, outputText, outputJSON, outputYAML)
	return command
}

// Version says which plugin this is, for programs.
type Version struct {
	// Version is that of the plugin, and Commit the one that it was built from, if that is known.
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	// Go is the version of the compiler, and Platform the system that it was built for.
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// API is the API of Signoff that it knows.
	API string `json:"api"`
}

// moduleVersion is the version of this program.
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func versionOf() *Version {
	out := &Version{Version: moduleVersion(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, API: v1alpha1.GroupVersion.String()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				out.Commit = setting.Value
			}
		}
	}
	return out
}

func (v *Version) text() string {
	commit := ""
	if v.Commit != "" {
		commit = ", commit " + v.Commit
	}
	return fmt.Sprintf("kubectl-signoff %s%s, %s %s\nAPI %s\n", v.Version, commit, v.Go, v.Platform, v.API)
}
