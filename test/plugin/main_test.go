// Package plugin plays `kubectl signoff` on a real API server, as users with their own rights, and compares what it says without a cluster
// with what the webhook says.
package plugin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/system"
)

// patience bounds how long a test waits for something that must happen.
const patience = 20 * time.Second

const (
	world         = "testdata/world.yaml"
	configuration = "testdata/configuration.yaml"
)

var (
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	ctx := context.Background()
	if err := start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		return 1
	}
	defer stop()
	return m.Run()
}

func stop() {
	if signoff != nil {
		signoff.Stop()
	}
	if cluster != nil {
		cluster.Stop()
	}
}

func start(ctx context.Context) (err error) {
	if cluster, err = env.Start(ctx, env.Options{CRDs: true}); err != nil {
		return err
	}
	if users, err = cluster.StandardUsers(ctx); err != nil {
		return err
	}
	configure, err := configured()
	if err != nil {
		return err
	}
	// Nothing is stored here that a controller would act on.
	options := system.Options{Configure: configure, Parts: setup.Parts{Admission: true}}
	if signoff, err = system.Start(ctx, cluster, options); err != nil {
		return err
	}
	if _, err = cluster.ServiceAccount(ctx, env.CatalogNamespace, "deployer"); err != nil {
		return err
	}
	if err := signoff.Grant(ctx, env.CatalogNamespace, "deployer"); err != nil {
		return err
	}
	return cluster.ApplyFile(ctx, "test/plugin/"+world)
}

// configured takes from the file what `kubectl signoff test` reads too.
func configured() (func(*config.Configuration), error) {
	text, err := os.ReadFile(configuration)
	if err != nil {
		return nil, err
	}
	loaded, err := config.Load(text)
	return func(cfg *config.Configuration) { cfg.Person = loaded.Person }, err
}

// result is what a command did.
type result struct {
	stdout, stderr string
	exit           int
}

// kubectl runs `kubectl signoff` as somebody.
func kubectl(t *testing.T, who env.Person, stdin string, args ...string) result {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, who.Config); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	program := &cli.Program{
		IO:    genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &stdout, ErrOut: &stderr},
		Clock: clock.RealClock{},
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	exit := program.Run(t.Context(), args)
	return result{stdout.String(), stderr.String(), exit}
}

// says checks the exit code, and that the command printed some texts.
func (r *result) says(t *testing.T, exit int, words ...string) {
	t.Helper()
	if r.exit != exit {
		t.Errorf("the exit code is %d, want %d", r.exit, exit)
	}
	for _, word := range words {
		if !strings.Contains(r.stdout+r.stderr, word) {
			t.Errorf("it does not say %q", word)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
	}
}

// as gives a client that acts as somebody.
func as(t *testing.T, who env.Person) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(who.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits until a check says that it holds. The check says what it saw.
func eventually(t *testing.T, what string, check func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, saw := check()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %s; last seen: %s", what, patience, saw)
		}
		<-time.After(20 * time.Millisecond)
	}
}
