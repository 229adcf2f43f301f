// Package plugin plays `kubectl signoff` on a real API server, as users with their own rights, and compares what it says without a cluster
// with what the webhook says.
package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

const (
	world         = "testdata/world.yaml"
	configuration = "testdata/configuration.yaml"
)

var (
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
)

// As in other packages of tests.
var as, eventually = play.As, play.Eventually

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	started, err := start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer started.Stop()
	cluster, users, signoff = started.Cluster, started.Users, started.Signoff
	return m.Run()
}

func start(ctx context.Context) (*play.Play, error) {
	configure, err := configured()
	if err != nil {
		return nil, err
	}
	return play.Start(ctx, &play.Options{
		Env:      env.Options{CRDs: true},
		System:   system.Options{Configure: configure, Parts: setup.Everything()},
		Accounts: []string{"deployer", "planner"}, World: "test/plugin/" + world,
	})
}

// configured takes from the file what `kubectl signoff test` reads too.
func configured() (func(*config.Configuration), error) {
	text, err := os.ReadFile(configuration)
	if err != nil {
		return nil, err
	}
	loaded, err := config.Load(text)
	return func(cfg *config.Configuration) {
		cfg.Person = loaded.Person
		callDying(cfg)
		callEstimating(cfg)
	}, err
}

// result is what a command did.
type result struct {
	stdout, stderr string
	exit           int
}

// login writes the kubeconfig of somebody, and makes it the one that is used.
func login(t *testing.T, who env.Person) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, who.Config); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
}

// plain runs kubectl itself as somebody.
func plain(t *testing.T, who env.Person, stdin string, args ...string) result {
	t.Helper()
	login(t, who)
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), cluster.Kubectl(), args...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := command.Run()
	if exited := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// kubectl runs `kubectl signoff` as somebody.
func kubectl(t *testing.T, who env.Person, stdin string, args ...string) result {
	t.Helper()
	login(t, who)
	return typed(t, stdin, args...)
}

// typed runs `kubectl signoff` as whoever is logged in.
func typed(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	program := &cli.Program{
		IO:    genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &stdout, ErrOut: &stderr},
		Clock: clock.RealClock{},
	}
	exit := program.Run(t.Context(), args)
	return result{stdout.String(), stderr.String(), exit}
}

// says checks the exit code, and that the command printed some texts.
func (r result) says(t *testing.T, exit int, words ...string) {
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
