// Package integration plays the life of requests on a real API server: users with their own rights only, the operator as its
// ServiceAccount, webhooks called by the API server.
package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

var (
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
	scheme  = setup.Scheme()
)

// world is set up by TestMain.
var world = &play.Play{}

// As in other packages of tests.
var (
	as, eventually, request, ask, vote, patch, refused = play.As, play.Eventually, play.Request, play.Ask, play.Vote, play.Patch, play.Refused
	emergency, errText, written                        = play.Emergency, play.ErrText, play.Written
	admin, reaches, approvalsOf, namespace             = world.Admin, world.Reaches, world.ApprovalsOf, world.Namespace
	apply, object                                      = world.Apply, play.Object
	nora, unguarded                                    = world.Nora, world.Unguarded
	frozen, review, hasReviewed, closes                = world.Frozen, world.Review, world.HasReviewed, world.Closes
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	if os.Getenv("SIGNOFF_TEST_LOG") != "" {
		ctrl.SetLogger(zap.New(zap.UseDevMode(true)))
	} else {
		ctrl.SetLogger(logr.Discard())
	}
	err := world.Start(ctx, &play.Options{
		Env: env.Options{CRDs: true, Nodes: true}, System: system.Options{Configure: configure},
		// A Deployment with a sidecar, ServiceAccounts with least rights, Actions.
		Accounts: []string{"deployer", "deployer-read", "planner"}, World: play.World,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	cluster, users, signoff = world.Cluster, world.Users, world.Signoff
	code := m.Run()
	signoff.Stop()
	defer func() { _ = os.RemoveAll(evidence) }()
	if err := checkEvidence(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// maxOpen is how many requests of one person may be open: more than any test needs but the one of the limit.
const maxOpen = 150

// maxDryRuns is how many dry runs of one person are judged at once: more than tests need that wait for an answer.
const maxDryRuns = 300

// configure maps logins such as alice@laptop to the person alice.
func configure(cfg *config.Configuration) {
	cfg.Person.Expression, cfg.Requester.MaxOpen, cfg.Requester.MaxDryRuns = "user.username.split('@')[0]", maxOpen, maxDryRuns
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: []int{host.port(), lossy.Listener.Addr().(*net.TCPAddr).Port}, Networks: []string{"127.0.0.0/8"}}}
	observe(cfg)
}
