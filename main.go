// Command signoff is the operator: admission webhooks and controllers, in one process or in two. `signoff certificates` makes the serving
// certificate of the webhooks and ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	// Calendars need time zones, and the image has none.
	_ "time/tzdata"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	signoffconfig "github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/internal/tracing"
)

// tracingPatience is how long the end waits for a collector of traces.
const tracingPatience = 2 * time.Second

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
	traces := tracing.Options{}
	flag.StringVar(&traces.Endpoint, "tracing-endpoint", "", "the URL of a collector of OpenTelemetry that takes OTLP over HTTP, such as http://localhost:4318; empty: no traces")
	flag.Float64Var(&traces.Ratio, "tracing-ratio", 1, "how much is traced, from 0 to 1")
	options := zap.Options{}
	options.BindFlags(flag.CommandLine)
	flag.Parse()
	if *file == "" {
		return errors.New("--config is missing: name the configuration file")
	}
	if !parts.Admission && !parts.Controllers {
		return errors.New("--admission=false and --controllers=false leave nothing to run: give at most one of them")
	}
	logTo(zap.New(zap.UseFlagOptions(&options)))

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
	ctx := ctrl.SetupSignalHandler()
	if parts.Traces, err = startTracing(ctx, traces, parts); err != nil {
		return err
	}
	defer stopTracing(context.WithoutCancel(ctx), parts.Traces)
	return setup.Run(ctx, cfg, restConfig, parts)
}

// startTracing starts what sends traces, where there is somewhere to send them.
func startTracing(ctx context.Context, o tracing.Options, parts setup.Parts) (*tracing.Tracer, error) {
	if o.Endpoint == "" {
		return nil, nil //nolint:nilnil // no Tracer makes no traces
	}
	switch o.Service = "signoff"; {
	case !parts.Controllers:
		o.Service = "signoff-admission"
	case !parts.Admission:
		o.Service = "signoff-controller"
	}
	tracer, err := tracing.Start(ctx, o, ctrl.Log)
	if err != nil {
		return nil, fmt.Errorf("failed to start tracing: %w", err)
	}
	return tracer, nil
}

// stopTracing sends what was not sent yet. An end is orderly also where there is no collector any more.
func stopTracing(ctx context.Context, tracer *tracing.Tracer) {
	ctx, cancel := context.WithTimeout(ctx, tracingPatience)
	defer cancel()
	if err := tracer.Stop(ctx); err != nil {
		ctrl.Log.Error(err, "failed to send the last traces")
	}
}
