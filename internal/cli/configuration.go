package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
)

// configuration is the file with the configuration of Signoff, which lies in no object. Empty: nobody has named one.
type configuration string

// flag lets the caller name it.
func (c *configuration) flag(command *cobra.Command) {
	command.Flags().StringVar((*string)(c), "configuration", "", "the file with the configuration of Signoff, which says who is which person, and who is none")
}

// rules are what it says about logins; without it, what holds where nothing is configured.
func (c configuration) rules() (*identity.Rules, error) {
	if c == "" {
		return identity.New(config.Default())
	}
	text, err := os.ReadFile(string(c))
	if err != nil {
		return nil, fmt.Errorf("failed to read the configuration: %w", err)
	}
	cfg, err := config.Load(text)
	if err != nil {
		return nil, fmt.Errorf("failed to load the configuration %s: %w", c, err)
	}
	return identity.New(cfg)
}
