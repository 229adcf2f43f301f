package keyholder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/seal"
)

// Options say which keys a process holds, and where they are.
type Options struct {
	// Client reads live and writes. One with a cache would need the right to list all Secrets.
	Client client.Client
	// Config makes the clients of the watches and of the elections.
	Config *rest.Config
	// Namespace is that of the operator.
	Namespace string
	// Holds are the purposes whose private keys this process holds. It never asks for the others.
	Holds []seal.Purpose
	// Files says where private keys come from files instead of a Secret: a file with one key, or a folder with one <key id>.pem per key.
	Files map[seal.Purpose]string
	// Sealed tells whether anything in the cluster has a seal of the purpose. It is asked only where no public key of the purpose is known.
	Sealed func(ctx context.Context, purpose seal.Purpose) (bool, error)
	// Changed is called when other keys count, or it stands otherwise with those that this process holds: what was verified may be void, and what
	// waited may go on. It must not wait for anything. Nil: nobody wants to know.
	Changed func()
	// Clock gives the time.
	Clock clock.WithTicker
	// Replica is the name of this replica, such as that of the Pod. No two may have the same.
	Replica string
	// MaxKeyAge is how old a key in use may become before it is replaced. Zero: as old as it likes.
	MaxKeyAge time.Duration
	// KeepFor is how long a public key is kept after its end: as long as anything that it sealed may be looked at.
	KeepFor time.Duration
}

func (o *Options) check() error {
	var errs []error
	need := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	need(o.Client != nil && o.Config != nil, "Client and Config are needed")
	need(o.Namespace != "", "Namespace is needed")
	need(len(o.Holds) > 0, "Holds is needed")
	need(o.Sealed != nil, "Sealed is needed: without it a lost key would look like a first start")
	need(o.Clock != nil, "Clock is needed")
	need(o.KeepFor > 0, "KeepFor is needed: without it nothing could be verified after a rotation")
	need(o.MaxKeyAge >= 0, "MaxKeyAge is negative")
	for _, problem := range validation.IsDNS1123Subdomain(replicaPrefix + o.Replica) {
		errs = append(errs, fmt.Errorf("the name %q of the replica cannot be part of the name of a Lease: %s", o.Replica, problem))
	}
	for i, purpose := range o.Holds {
		need(purpose == seal.Admission || purpose == seal.Controller, fmt.Sprintf("Holds has %q, which is no purpose of a key", purpose))
		need(!slices.Contains(o.Holds[:i], purpose), fmt.Sprintf("Holds has %s twice", purpose))
	}
	for purpose, path := range o.Files {
		need(slices.Contains(o.Holds, purpose), fmt.Sprintf("Files has %q, which this process does not hold", purpose))
		need(path != "", fmt.Sprintf("Files has no path for %q", purpose))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("failed to make the holder of keys: %w", err)
	}
	return nil
}
