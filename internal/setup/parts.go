package setup

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/controllers/action"
	"github.com/signoff-dev/signoff/controllers/actionpolicy"
	"github.com/signoff-dev/signoff/controllers/actionrequest"
	"github.com/signoff-dev/signoff/controllers/calendar"
	"github.com/signoff-dev/signoff/controllers/delegation"
	"github.com/signoff-dev/signoff/controllers/notifier"
	"github.com/signoff-dev/signoff/controllers/role"
	"github.com/signoff-dev/signoff/controllers/team"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/notify"
	"github.com/signoff-dev/signoff/webhooks"
)

// everywhere is a part of the process that runs in every replica, not in the leader only.
type everywhere func(context.Context) error

// Start runs the part.
func (e everywhere) Start(ctx context.Context) error { return e(ctx) }

// NeedLeaderElection says that every replica runs the part.
func (everywhere) NeedLeaderElection() bool { return false }

var _ manager.LeaderElectionRunnable = everywhere(nil)

// deleted gives the object that an informer says is gone, as it knew it last.
func deleted(object any) any {
	if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		return gone.Obj
	}
	return object
}

// operatorName is the user name of the operator: with two processes, that of the controllers.
func (p *Process) operatorName() string {
	return identity.ServiceAccountUsername(p.cfg.Operator.Namespace, p.cfg.Operator.ServiceAccount)
}

// governing fills the snapshot from informers.
func (p *Process) governing() error {
	ctx := context.Background()
	var synced []toolscache.InformerSynced
	for _, kind := range []client.Object{&v1alpha1.Action{}, &v1alpha1.Role{}, &v1alpha1.Team{}, &v1alpha1.Calendar{}, &v1alpha1.ActionPolicy{}, &v1alpha1.Delegation{}} {
		informer, err := p.Manager.GetCache().GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("failed to watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    p.Store.Put,
			UpdateFunc: p.Store.Update,
			DeleteFunc: func(object any) { p.Store.Remove(deleted(object)) },
		})
		if err != nil {
			return fmt.Errorf("failed to watch %T: %w", kind, err)
		}
		synced = append(synced, registration.HasSynced)
	}
	return p.Manager.Add(everywhere(func(ctx context.Context) error {
		go p.Store.Run(ctx)
		if toolscache.WaitForCacheSync(ctx.Done(), synced...) {
			p.Store.MarkSynced()
			// Reading and compiling the catalog takes several times the memory that it needs afterwards.
			debug.FreeOSMemory()
		}
		<-ctx.Done()
		return nil
	}))
}

// kindsPatience is how long the admission of an Action waits to hear whether the API server serves a kind.
const kindsPatience = time.Second

func (p *Process) webhooks() error {
	metrics.ShowCertificate(filepath.Join(p.cfg.Webhook.CertDir, corev1.TLSCertKey), p.wall)
	open, err := p.openRequests()
	if err != nil {
		return err
	}
	webhooks.Register(p.Manager.GetWebhookServer(), &webhooks.Deps{
		Gate: p.Gate, Identity: p.identity, Store: p.Store,
		Reader: p.Manager.GetAPIReader(), Requests: p.Manager.GetClient(), Namespaces: p.Manager.GetClient(), Reviews: p.Manager.GetClient(),
		Open:     open,
		DryRuns:  webhooks.NewDryRuns(p.cfg.Requester.MaxDryRuns),
		Evidence: p.evidence, Clock: p.clock, Wall: p.wall, Canary: proofs{p},
		Kinds:             kinds.NewAsker(p.Manager.GetRESTMapper(), kindsPatience),
		Operator:          p.operatorName(),
		OperatorNamespace: p.cfg.Operator.Namespace,
		CatalogNamespaces: p.cfg.CatalogNamespaces,
		Traces:            p.parts.Traces,
	})
	return nil
}

// byPerson is the index of requests by who stands behind their requester.
const byPerson = "person"

// openRequests counts the requests of a person that are not over: the cache holds no others.
func (p *Process) openRequests() (*webhooks.OpenRequests, error) {
	requests, err := p.cached(&v1alpha1.ActionRequest{})
	if err != nil {
		return nil, err
	}
	if err := requests.AddIndexers(toolscache.Indexers{byPerson: personOf}); err != nil {
		return nil, fmt.Errorf("failed to count requests: %w", err)
	}
	count := func(person string) int {
		found, err := requests.GetIndexer().ByIndex(byPerson, person)
		if err != nil {
			return 0 // there is such an index
		}
		return len(found)
	}
	known := func(request string) bool {
		_, exists, err := requests.GetIndexer().GetByKey(request)
		return exists && err == nil
	}
	return &webhooks.OpenRequests{Count: count, Known: known, Max: p.cfg.Requester.MaxOpen}, nil
}

func personOf(object any) ([]string, error) {
	request, ok := object.(*v1alpha1.ActionRequest)
	if !ok || request.Spec.Requester == nil {
		return nil, nil
	}
	return []string{request.Spec.Requester.Person}, nil
}

// executing makes what executes, beside the workers that reconcile.
func (p *Process) executing() (*execution.Watcher, *execution.Runner, error) {
	watcher := execution.NewWatcher(p.clients, p.clock, p.wakeOne)
	runner := execution.NewRunner(p.clients, p.cfg.Egress.Policy(), p.clock, p.wakeOne, p.Gate.Budget)
	if err := p.Manager.Add(everywhere(func(ctx context.Context) error {
		<-ctx.Done()
		watcher.Stop()
		runner.Stop()
		return nil
	})); err != nil {
		return nil, nil, fmt.Errorf("failed to add what ends watches and calls: %w", err)
	}
	return watcher, runner, nil
}

func (p *Process) controllers() error {
	watcher, runner, err := p.executing()
	if err != nil {
		return err
	}
	if err := p.guard(); err != nil {
		return err
	}
	facts, err := p.auditLog()
	if err != nil {
		return err
	}
	requests := &actionrequest.Reconciler{
		Client: p.Manager.GetClient(), Reader: p.Manager.GetAPIReader(), Gate: p.Gate,
		Clients: p.clients, Runner: runner, Watcher: watcher,
		Rights: p.reviews, Guard: p.Guard, Egress: p.cfg.Egress.Policy(),
		Events: p.Manager.GetEventRecorder("signoff"), Evidence: p.evidence, Clock: p.clock, Wall: p.wall, Keys: p.keysRead,
		Audit: facts, AuditInputs: p.cfg.Audit.InputValues,
		OperatorNamespace: p.cfg.Operator.Namespace,
		Changed:           p.changed, Wake: p.wake, Recount: p.wakeOrphans, Workers: p.cfg.Workers, Traces: p.parts.Traces,
	}
	reviewer := &actionrequest.Reviewer{Reconciler: requests, Again: p.reviewed}
	if err := p.orphans(reviewer); err != nil {
		return err
	}
	operator := types.NamespacedName{Namespace: p.cfg.Operator.Namespace, Name: p.cfg.Operator.ServiceAccount}
	admission := types.NamespacedName{Namespace: p.cfg.Operator.Namespace, Name: p.cfg.Operator.AdmissionServiceAccount}
	for name, reconciler := range map[string]interface{ SetupWithManager(ctrl.Manager) error }{
		"requests": requests,
		"reviews":  reviewer,
		"actions": &action.Reconciler{
			Client: p.Manager.GetClient(), Clock: p.clock, Operator: operator, Admission: admission, Kinds: p.Manager.GetRESTMapper(), Evidence: p.evidence, Audit: facts,
		},
		"roles":     &role.Reconciler{Client: p.Manager.GetClient(), Clock: p.clock},
		"teams":     &team.Reconciler{Client: p.Manager.GetClient(), Clock: p.clock},
		"calendars": &calendar.Reconciler{Client: p.Manager.GetClient(), Clock: p.clock},
		"notifiers": p.notifiers(),
		"delegates": &delegation.Reconciler{Client: p.Manager.GetClient(), Clock: p.clock, Evidence: p.evidence, Audit: facts},
		"policies":  &actionpolicy.Reconciler{Client: p.Manager.GetClient(), Clock: p.clock, OperatorNamespace: p.cfg.Operator.Namespace},
	} {
		if err := reconciler.SetupWithManager(p.Manager); err != nil {
			return fmt.Errorf("failed to set up the controller of %s: %w", name, err)
		}
	}
	resources, err := metadata.NewForConfig(p.Manager.GetConfig())
	if err != nil {
		return fmt.Errorf("failed to create the metadata client: %w", err)
	}
	return p.keepers(resources, facts)
}

// keepers let finished requests go, and remove what has been kept long enough.
func (p *Process) keepers(resources metadata.Interface, facts actionrequest.Audit) error {
	retention := &actionrequest.Retention{
		Details: p.cfg.Retention.Details.Duration, Requests: p.cfg.Retention.Finished.Duration, Records: p.cfg.Retention.Records.Duration,
		Client: p.Manager.GetClient(), Reader: p.Manager.GetAPIReader(), OperatorNamespace: p.cfg.Operator.Namespace, Audit: facts, Clock: p.clock,
	}
	ended := fields.OneTermNotEqualSelector("status.outcome", "")
	for _, keeper := range []*actionrequest.Keeper{
		{
			Name: "finished-requests", Metadata: resources.Resource(v1alpha1.GroupVersion.WithResource("actionrequests")), Selector: ended,
			For: retention.Details, Clock: p.clock, Remove: retention.Request,
		},
		{
			Name: "records", Metadata: resources.Resource(v1alpha1.GroupVersion.WithResource("records")).Namespace(p.cfg.Operator.Namespace), Selector: ended,
			For: retention.Records, Clock: p.clock, Remove: retention.Record,
		},
	} {
		if err := p.Manager.Add(keeper); err != nil {
			return fmt.Errorf("failed to add what removes %s: %w", keeper.Name, err)
		}
	}
	return nil
}

// notifiers tells what happens to requests.
func (p *Process) notifiers() *notifier.Reconciler {
	return &notifier.Reconciler{
		Client: p.Manager.GetClient(), Reader: p.Manager.GetAPIReader(), Clients: p.clients, Store: p.Store, Gate: p.Gate, Clock: p.clock,
		Sender:            &notify.Sender{Egress: p.cfg.Egress.Policy(), Source: "/clusters/" + p.cluster},
		OperatorNamespace: p.cfg.Operator.Namespace,
	}
}

// orphans asks again for reviews that are gone with their namespace: at the start, whenever a review is deleted or overdue, when the guard is back, and
// now and then.
func (p *Process) orphans(reviewer *actionrequest.Reviewer) error {
	for _, kind := range []client.Object{&v1alpha1.Approval{}, &v1alpha1.ActionRequest{}} {
		informer, err := p.Manager.GetCache().GetInformer(context.Background(), kind)
		if err != nil {
			return fmt.Errorf("failed to watch %T: %w", kind, err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
			if leavesWork(object, reviewer.Wrote) {
				p.wakeOrphans()
			}
		}}); err != nil {
			return fmt.Errorf("failed to watch %T: %w", kind, err)
		}
	}
	if err := p.Manager.Add(&actionrequest.Orphans{Reviewer: reviewer, Wake: p.orphaned}); err != nil {
		return fmt.Errorf("failed to add what works for requests that are gone: %w", err)
	}
	return nil
}

// leavesWork tells whether something must still be done for what a cache does not hold any more: a review, or what a request has begun that nobody has brought to
// its end. A request leaves the cache also when it ends, as it was before; ended says that this process has written that.
func leavesWork(object any, ended func(*v1alpha1.ActionRequest) bool) bool {
	switch o := object.(type) {
	case *v1alpha1.Approval:
		return o.Spec.Review
	case *v1alpha1.ActionRequest:
		return o.Status.Outcome == "" && o.Status.Execution != nil && !ended(o)
	}
	return true // nobody saw how it went
}
