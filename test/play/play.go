// Package play sets up what most packages of tests act on: a control plane with its standard users, and a Signoff that runs on it.
package play

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/system"
)

// Patience bounds how long a test waits for something that must happen.
const Patience = 20 * time.Second

// Options say what is set up.
type Options struct {
	Env    env.Options
	System system.Options
	// Accounts are ServiceAccounts in the catalog namespace that the operator may act as.
	Accounts []string
	// World is a file of objects that is applied last.
	World string
}

// Play is what was set up.
type Play struct {
	Cluster *env.Cluster
	Users   *env.Users
	Signoff *system.System
}

// Start sets everything up. Stop ends it.
func Start(ctx context.Context, options *Options) (*Play, error) {
	p := &Play{}
	return p, p.Start(ctx, options)
}

// Start sets everything up. Stop ends it.
func (p *Play) Start(ctx context.Context, options *Options) error {
	if err := p.start(ctx, options); err != nil {
		p.Stop()
		return fmt.Errorf("failed to set up the tests: %w", err)
	}
	return nil
}

func (p *Play) start(ctx context.Context, options *Options) (err error) {
	if p.Cluster, err = env.Start(ctx, options.Env); err != nil {
		return err
	}
	if p.Users, err = p.Cluster.StandardUsers(ctx); err != nil {
		return err
	}
	if p.Signoff, err = system.Start(ctx, p.Cluster, options.System); err != nil {
		return err
	}
	for _, account := range options.Accounts {
		if _, err := p.Cluster.ServiceAccount(ctx, env.CatalogNamespace, account); err != nil {
			return err
		}
	}
	if err := p.Signoff.Grant(ctx, env.CatalogNamespace, options.Accounts...); err != nil {
		return err
	}
	return p.Cluster.ApplyFile(ctx, options.World)
}

// Stop ends what was started.
func (p *Play) Stop() {
	if p.Signoff != nil {
		p.Signoff.Stop()
	}
	if p.Cluster != nil {
		p.Cluster.Stop()
	}
}

var (
	scheme = setup.Scheme()
	// clients are made once for each login, by its credentials.
	clients sync.Map
	// mappers know what an API server serves, by its address. To find that out is most of what a new client costs.
	mappers sync.Map
)

// As gives a client that acts as a user.
func As(t testing.TB, who env.Person) client.WithWatch {
	t.Helper()
	if known, ok := clients.Load(who.Config); ok {
		return known.(client.WithWatch) //nolint:forcetypeassert // nothing else is put in
	}
	mapper, err := mapperOf(who.Config)
	if err != nil {
		t.Fatalf("failed to find out what the API server serves: %v", err)
	}
	c, err := client.NewWithWatch(who.Config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatalf("failed to make a client for %s: %v", who.Name, err)
	}
	clients.Store(who.Config, c)
	return c
}

// mapperOf gives what is known of the API server, which whoever asked first has found out.
func mapperOf(config *rest.Config) (meta.RESTMapper, error) {
	if known, ok := mappers.Load(config.Host); ok {
		return known.(meta.RESTMapper), nil //nolint:forcetypeassert // nothing else is put in
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, transport)
	if err != nil {
		return nil, fmt.Errorf("failed to make a mapper: %w", err)
	}
	known, _ := mappers.LoadOrStore(config.Host, mapper)
	return known.(meta.RESTMapper), nil //nolint:forcetypeassert // nothing else is put in
}

// Eventually waits until a check says that it holds. The check says what it saw.
func Eventually(t testing.TB, what string, check func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		ok, saw := check()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %s; last seen: %s", what, Patience, saw)
		}
		<-time.After(20 * time.Millisecond)
	}
}
