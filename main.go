// Command signoff is the operator: admission webhooks and controllers, in one process or in two. `signoff certificates` makes the serving
// certificate of the webhooks and ends.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	// Calendars need time zones, and the image has none.
	_ "time/tzdata"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	signoffconfig "github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "signoff:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 && os.Args[1] == "certificates" {
		return runCertificates(os.Args[2:])
	}
	file := flag.String("config", "", "the configuration file, see config/signoff/configuration.yaml")
	parts := setup.Parts{}
	flag.BoolVar(&parts.Admission, "admission", true, "serve the admission webhooks")
	flag.BoolVar(&parts.Controllers, "controllers", true, "run the controllers, which take requests through their life")
	options := zap.Options{}
	options.BindFlags(flag.CommandLine)
	flag.Parse()
	if *file == "" {
		return errors.New("--config is missing: name the configuration file")
	}
	if parts == (setup.Parts{}) {
		return errors.New("--admission=false and --controllers=false leave nothing to run: give at most one of them")
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&options)))

	data, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("failed to read the configuration: %w", err)
	}
	cfg, err := signoffconfig.Load(data)
	if err != nil {
		return fmt.Errorf("failed to load the configuration %s: %w", *file, err)
	}
	restConfig, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("failed to find the API server: %w", err)
	}
	// The operator is bounded by its workers; the API server has its own flow control.
	restConfig.QPS = -1
	return setup.Run(ctrl.SetupSignalHandler(), cfg, restConfig, parts)
}
