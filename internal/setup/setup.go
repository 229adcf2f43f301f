// Package setup puts the parts together: caches, snapshot, gate, webhooks and controllers, as one process runs them.
package setup

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/clockskew"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/facts"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/heartbeat"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/keyholder"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/snapshot"
	"github.com/signoff-dev/signoff/internal/tracing"
)

// startTimeout bounds what is read before anything runs.
const startTimeout = 30 * time.Second

// Scheme knows every kind that the process reads or writes with types.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // a programming error: kinds are registered twice
		}
	}
	return scheme
}

// Parts say what a process runs. Admission and the controllers may run as two processes with two identities.
type Parts struct {
	// Admission serves the webhooks.
	Admission bool
	// Controllers takes requests through their life.
	Controllers bool
	// Traces traces both, and the calls that they make. Nil: nothing is traced.
	Traces *tracing.Tracer
}

// Everything runs both parts in one process.
func Everything() Parts { return Parts{Admission: true, Controllers: true} }

// Process is everything that one process is made of.
type Process struct {
	// Manager runs it.
	Manager ctrl.Manager
	// Store has the governing objects.
	Store *snapshot.Store
	// Gate judges.
	Gate *gate.Gate
	// Guard knows whether anything may be started. Nil in a process without controllers.
	Guard *guard.Guard

	cfg   *config.Configuration
	parts Parts
	clock clock.WithTicker
	// wall is the time by which the API server dates objects: the clock may run faster in tests, the API server does not.
	wall     clock.PassiveClock
	keys     *keyholder.Holder
	evidence *evidence.Book
	// cluster is the uid of the namespace kube-system.
	cluster  string
	identity *identity.Rules
	clients  *execution.Clients
	reviews  *facts.Reviews
	// restsOn tells whether a request was judged on what a namespace says.
	restsOn func(request types.NamespacedName, namespace string) bool
	// changed says that every open request must be judged again, wake names one. Nobody reads wake after stopping is closed.
	changed, wake chan event.GenericEvent
	stopping      chan struct{}
	// reviewed says that every open review must be looked at again, and orphaned that something must be done for what is gone.
	reviewed chan event.GenericEvent
	orphaned chan struct{}
}

// New puts a process together. Nothing runs before Manager.Start.
func New(cfg *config.Configuration, restConfig *rest.Config, clk clock.WithTicker, parts Parts) (*Process, error) {
	rules, err := identity.New(cfg)
	if err != nil {
		return nil, err
	}
	restConfig = watched(restConfig, parts.Traces)
	manager, err := ctrl.NewManager(restConfig, options(cfg, parts))
	if err != nil {
		return nil, fmt.Errorf("failed to create the manager: %w", err)
	}
	p := &Process{
		Manager: manager, cfg: cfg, parts: parts, clock: clk, wall: clock.RealClock{}, identity: rules,
		changed: make(chan event.GenericEvent, 1), wake: make(chan event.GenericEvent, 64), stopping: make(chan struct{}),
		reviewed: make(chan event.GenericEvent, 1), orphaned: make(chan struct{}, 1),
	}
	if err := p.seals(); err != nil {
		return nil, err
	}
	p.Store = snapshot.NewStore(p.wakeAll)
	metrics.Show(p.Store, cfg.Operator.Namespace)
	p.clients = execution.NewClients(restConfig, manager.GetRESTMapper())
	reader, err := p.facts()
	if err != nil {
		return nil, err
	}
	if err := manager.Add(everywhere(func(ctx context.Context) error {
		<-ctx.Done()
		close(p.stopping)
		reader.Stop()
		return nil
	})); err != nil {
		return nil, fmt.Errorf("failed to add the reader of facts: %w", err)
	}
	p.restsOn = reader.RestsOn
	p.Gate = gate.New(p.Store, rules, reader, cfg.Operator.Namespace, p.clock).Asks(&hands{p.reviews, p.evidence})
	for _, part := range p.chosen() {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// watched makes whatever uses the configuration compare the clock of the API server with that by which seals are dated, and traces the calls.
func watched(restConfig *rest.Config, traces *tracing.Tracer) *rest.Config {
	meter, restConfig := clockskew.NewMeter(clock.RealClock{}), rest.CopyConfig(restConfig)
	restConfig.Wrap(meter.Wrap)
	clockskew.Show(meter)
	if traces != nil {
		restConfig.Wrap(traces.Transport)
	}
	return restConfig
}

// facts reads facts as ServiceAccounts, and asks with the operator's own right who could have written them.
func (p *Process) facts() (*facts.Reader, error) {
	requests, err := p.cached(&v1alpha1.ActionRequest{})
	if err != nil {
		return nil, err
	}
	p.reviews = facts.NewReviews(func(ctx context.Context, review *authorizationv1.SubjectAccessReview) error {
		return p.Manager.GetClient().Create(ctx, review)
	}, p.clock)
	return facts.New(facts.Options{
		Clients: p.clients, Namespaces: p.Manager.GetClient(), Reviews: p.reviews, Clock: p.clock,
		Book: p.Manager.GetAPIReader(), Egress: p.cfg.Egress.Policy(),
		Budget: func(namespace string) *expression.Budget { return p.Gate.Budget(namespace) },
		Wake: func(request types.NamespacedName) {
			p.wakeOne(&v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: request.Namespace, Name: request.Name}})
		},
		Waits: func(request types.NamespacedName) bool {
			return p.parts.Controllers && waits(requests.GetIndexer(), request)
		},
	}), nil
}

// waits tells whether a request, of those that are not over, has not begun: what is executed is judged no more.
func waits(open toolscache.Store, request types.NamespacedName) bool {
	object, _, err := open.GetByKey(request.String())
	found, ok := object.(*v1alpha1.ActionRequest)
	return err == nil && ok && found.Status.Execution == nil
}

// wakeOne makes one request be judged again, in the process that takes requests through their life. One that does not lead judges all of them once it does,
// and until then nobody reads what it would be told: what follows a fact must not wait for that.
func (p *Process) wakeOne(request client.Object) {
	if !p.parts.Controllers {
		return
	}
	select {
	case <-p.Manager.Elected():
	default:
		return
	}
	select {
	case p.wake <- event.GenericEvent{Object: request}:
	case <-p.stopping:
	}
}

// chosen are the parts in the order in which they are put together.
func (p *Process) chosen() []func() error {
	chosen := []func() error{p.governing, p.namespaces}
	if p.parts.Admission {
		chosen = append(chosen, p.webhooks)
	}
	if p.parts.Controllers {
		chosen = append(chosen, p.controllers, p.shown)
	}
	return append(chosen, p.health)
}

// Run puts a process together and runs it until the context ends.
func Run(ctx context.Context, cfg *config.Configuration, restConfig *rest.Config, parts Parts) error {
	process, err := New(cfg, restConfig, clock.RealClock{}, parts)
	if err != nil {
		return err
	}
	ctx = process.drains(ctx)
	// What runs beside reconcilers takes its logger from the context, and the manager gives it none.
	return process.Manager.Start(logr.NewContext(ctx, process.Manager.GetLogger()))
}

// wakeAll makes every open request be judged again, and the votes on every open review. One such event that has not been read yet is enough.
func (p *Process) wakeAll() {
	select {
	case p.changed <- event.GenericEvent{Object: &v1alpha1.ActionRequest{}}:
	default:
	}
	select {
	case p.reviewed <- event.GenericEvent{Object: &v1alpha1.Approval{}}:
	default:
	}
}

// guardChanged makes everything be looked at again that waits for the guard.
func (p *Process) guardChanged() {
	p.wakeAll()
	p.wakeOrphans()
}

// wakeOrphans makes what is gone be looked at now.
func (p *Process) wakeOrphans() {
	select {
	case p.orphaned <- struct{}{}:
	default:
	}
}

func options(cfg *config.Configuration, parts Parts) ctrl.Options {
	return ctrl.Options{
		Scheme: Scheme(),
		// Names of controllers are for metrics; a process that is started anew in a test may use them again.
		Controller:                    ctrlconfig.Controller{SkipNameValidation: new(true)},
		Cache:                         cacheOptions(),
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&v1alpha1.Record{}}}},
		Metrics:                       server.Options{BindAddress: cfg.Metrics.BindAddress},
		HealthProbeBindAddress:        cfg.Health.BindAddress,
		LeaderElection:                cfg.LeaderElection.Enabled && parts.Controllers, // every replica serves the webhooks
		LeaderElectionID:              "signoff.dev",
		LeaderElectionNamespace:       cfg.Operator.Namespace,
		LeaderElectionReleaseOnCancel: true,
		WebhookServer: &drained{Server: webhook.NewServer(webhook.Options{
			Host: cfg.Webhook.BindAddress, Port: cfg.Webhook.Port, CertDir: cfg.Webhook.CertDir,
			TLSOpts: []func(*tls.Config){clientAuth(clientCAs(cfg))},
		})},
	}
}

// cacheOptions keep finished requests and closed Approvals out of memory: there may be very many.
func cacheOptions() cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.ActionRequest{}: {Field: fields.OneTermEqualSelector("status.outcome", "")},
			&v1alpha1.Approval{}:      {Field: fields.OneTermEqualSelector("status.state", string(v1alpha1.ApprovalOpen))},
			&corev1.Namespace{}:       {Transform: cache.TransformStripManagedFields()},
		},
	}
}

// hangsAfter is how long a turn of a loop may last before nobody believes any more that it ends: a look of the guard gives up after a quarter of
// a minute, and a snapshot of all that a cluster can hold takes seconds.
const hangsAfter = 5 * time.Minute

// alive says what hangs, so that the kubelet starts the process anew: nothing else than a deadlock is mended by that. So nothing counts here that
// is not the process's own fault: where the API server is away, turns fail, but they end. A leader that cannot renew its lease is not looked for
// either: the manager ends the process by itself then.
func (p *Process) alive(*http.Request) error {
	loops := map[string]*heartbeat.Turn{"what reads the governing objects": p.Store.Turn()}
	if p.Guard != nil {
		loops["the guard"] = p.Guard.Turn()
	}
	for what, turn := range loops {
		if lasts := turn.Lasts(p.wall.Now()); lasts > hangsAfter {
			err := fmt.Errorf("%s has hung for %s", what, lasts.Truncate(time.Second))
			ctrl.Log.WithName("health").Error(err, "the process has to be started anew")
			return err
		}
	}
	return nil
}

func (p *Process) health() error {
	if err := p.Manager.AddHealthzCheck("alive", p.alive); err != nil {
		return fmt.Errorf("failed to add the health check: %w", err)
	}
	err := p.Manager.AddReadyzCheck("snapshot", func(*http.Request) error {
		if !p.Store.Current().Synced() {
			return fmt.Errorf("the governing objects have not all been read yet")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("failed to add the readiness check: %w", err)
	}
	if !p.parts.Admission {
		return nil
	}
	if err := p.Manager.AddReadyzCheck("webhook", once(p.Manager.GetWebhookServer().StartedChecker())); err != nil {
		return fmt.Errorf("failed to add the readiness check: %w", err)
	}
	return nil
}

// once asks a check until it has succeeded. The check of the webhook server is a caller without a certificate, which the
// server cuts off and logs.
func once(check healthz.Checker) healthz.Checker {
	var succeeded atomic.Bool
	return func(request *http.Request) error {
		if succeeded.Load() {
			return nil
		}
		err := check(request)
		succeeded.Store(err == nil)
		return err
	}
}
