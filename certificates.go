package main

import (
	"errors"
	"flag"
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/signoff-dev/signoff/internal/certificates"
	"github.com/signoff-dev/signoff/internal/setup"
)

// runCertificates makes the serving certificate of the webhooks, and who signs it, and ends: `signoff certificates`. A Job of the chart runs it, and with
// --renew a CronJob.
func runCertificates(args []string) error {
	flags := flag.NewFlagSet("certificates", flag.ExitOnError)
	options := &certificates.Options{Clock: clock.RealClock{}}
	flags.StringVar(&options.Namespace, "namespace", "", "the namespace of Signoff")
	flags.StringVar(&options.Service, "service", "signoff-webhook", "the Service in front of the webhooks")
	flags.StringVar(&options.Secret, "secret", "signoff-webhook-cert", "the Secret in which the certificate is kept")
	flags.StringVar(&options.Authority, "authority", "signoff-webhook-ca", "the Secret in which its authority is kept")
	renew := flags.Bool("renew", false, "only replace the certificate where it ends soon: make no authority, and touch no webhook configuration")
	config.RegisterFlags(flags)
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("failed to read the flags: %w", err)
	}
	if options.Namespace == "" {
		return errors.New("--namespace is missing: name the namespace of Signoff")
	}
	restConfig, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("failed to find the API server: %w", err)
	}
	if options.Client, err = client.New(restConfig, client.Options{Scheme: setup.Scheme()}); err != nil {
		return fmt.Errorf("failed to create a client: %w", err)
	}
	if *renew {
		return certificates.Renew(ctrl.SetupSignalHandler(), options)
	}
	return certificates.Ensure(ctrl.SetupSignalHandler(), options)
}
