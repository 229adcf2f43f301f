package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

// dryRun is the flag --dry-run. It is given alone, or with the words that kubectl takes.
type dryRun bool

// The words of kubectl.
const (
	dryRunServer = "server"
	dryRunClient = "client"
	dryRunNone   = "none"
)

func dryRunFlag(command *cobra.Command, to *bool) {
	flag := command.Flags().VarPF((*dryRun)(to), "dry-run", "", "only find out what the cluster would answer: nothing is stored")
	flag.NoOptDefVal = dryRunServer
	_ = command.RegisterFlagCompletionFunc("dry-run", among(dryRunServer, dryRunNone))
}

// Set implements pflag.Value.
func (d *dryRun) Set(text string) error {
	switch text {
	case dryRunServer:
		*d = true
		return nil
	case dryRunNone:
		*d = false
		return nil
	case dryRunClient:
		return errors.New("only the cluster can tell what it would answer: say --dry-run or --dry-run=server")
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("say --dry-run, --dry-run=%s or --dry-run=%s", dryRunServer, dryRunNone)
	}
	*d = dryRun(on)
	return nil
}

// String implements pflag.Value.
func (d *dryRun) String() string { return strconv.FormatBool(bool(*d)) }

// Type implements pflag.Value. Help shows no word for what a flag of this type takes, but the one that it has by itself.
func (d *dryRun) Type() string { return "bool" }
