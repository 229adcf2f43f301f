// Package security tries on a real API server what an attacker, a careless person or a bad day would try. Every test is one case of
// docs/security/threat-model.md, by its number, and acts as the user whom it names, with the rights of that user only.
package security

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

var (
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
	world   = &play.Play{}
)

// As in other packages of tests.
var (
	as, eventually, request, vote, patch, refused = play.As, play.Eventually, play.Request, play.Vote, play.Patch, play.Refused
	emergency, errText, written, object           = play.Emergency, play.ErrText, play.Written, play.Object
	admin, reaches, approvalsOf, namespace, apply = world.Admin, world.Reaches, world.ApprovalsOf, world.Namespace, world.Apply
	protection, without, guarded, unguarded       = world.Protection, world.Without, world.Guarded, world.Unguarded
	notInForce, nora                              = world.NotInForce, world.Nora
	frozen, review, hasReviewed, closes           = world.Frozen, world.Review, world.HasReviewed, world.Closes
)

// What the processes write and where they listen.
var (
	// apiLog is the audit log of the API server, and evidence that of Signoff.
	apiLog, evidence string
	// healthAddress and metricsAddress are where Signoff answers beside its webhooks.
	healthAddress, metricsAddress string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "signoff-security-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	apiLog, evidence = filepath.Join(dir, "apiserver.jsonl"), filepath.Join(dir, "audit.jsonl")
	ctx := context.Background()
	err = world.Start(ctx, &play.Options{
		Env:      env.Options{CRDs: true, ControllerManager: true, AuditLog: apiLog},
		System:   system.Options{Configure: configure, Split: true},
		Accounts: []string{"deployer", "deployer-read", "writer"}, World: play.World,
	})
	if err == nil {
		err = world.Cluster.ApplyFile(ctx, "test/security/testdata/world.yaml")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	cluster, users, signoff = world.Cluster, world.Users, world.Signoff
	return m.Run()
}

// configure maps logins such as alice@laptop to the person alice, and names a login that is an agent.
func configure(cfg *config.Configuration) {
	cfg.Person.Expression = "user.username.split('@')[0]"
	cfg.Requester.Agents.Users = []string{assistant}
	cfg.Approvers.ServiceAccounts = []string{"checks/checker"}
	// A flood shall meet the limit that a test is about.
	cfg.Requester.MaxOpen = 10_000
	cfg.Audit.Sinks = []config.AuditSink{{File: &config.AuditFile{Path: evidence}}}
	healthAddress = cfg.Health.BindAddress
	if metricsAddress == "" {
		ports, err := system.FreePorts(1)
		if err != nil {
			panic(err)
		}
		metricsAddress = fmt.Sprintf("127.0.0.1:%d", ports[0])
	}
	cfg.Metrics.BindAddress = metricsAddress
}
