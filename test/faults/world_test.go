package faults

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

// world is a control plane, a host, webhooks that nobody kills, and operators that die.
type world struct {
	*testing.T
	*play.Play
	peer   *peer
	script *script
	clock  *fast
	names  atomic.Int64
	// started is how many operators have been started.
	started atomic.Int64
	// back is when the API server can be reached again.
	back atomic.Int64
	// calm is held for reading by people, who know better than to ask an API server that is being started: only the operators and the webhooks must bear it.
	calm  sync.RWMutex
	kills sync.WaitGroup

	mu    sync.Mutex
	alive map[*process]bool
	end   context.CancelFunc
	all   sync.WaitGroup
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, script: newScript(), clock: &fast{start: time.Now()}, alive: map[*process]bool{}}
	w.peer = newPeer(w)
	t.Cleanup(w.peer.Close)
	var err error
	w.Play, err = play.Start(t.Context(), &play.Options{
		Env:      env.Options{CRDs: true},
		System:   system.Options{Parts: setup.Parts{Admission: true}, Configure: w.reachable, Clock: w.clock},
		Accounts: []string{"deployer", "planner"}, World: w.actions(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	if err := w.Cluster.Grant(t.Context(), "signoff-resolver", env.WorkNamespace, env.ToUser(w.Users.Carol.Name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.operators(0); w.kills.Wait() })
	ctx, cancel := context.WithCancel(context.Background())
	node := make(chan struct{})
	go func() { defer close(node); w.node(ctx) }()
	t.Cleanup(func() { cancel(); <-node })
	return w
}

// reachable lets steps call the host.
func (w *world) reachable(cfg *config.Configuration) {
	port := w.peer.Listener.Addr().(*net.TCPAddr).Port
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: []int{port}, Networks: []string{"127.0.0.0/8"}}}
}

// actions writes the world with the address of the host.
func (w *world) actions() string {
	w.Helper()
	text, err := os.ReadFile("testdata/world.yaml")
	if err != nil {
		w.Fatal(err)
	}
	bundle := strings.ReplaceAll(play.Certificate(w.peer.Server), "\n", `\n`)
	filled := strings.NewReplacer("URL", w.peer.URL, "BUNDLE", bundle).Replace(string(text))
	path := filepath.Join(w.TempDir(), "world.yaml")
	if err := os.WriteFile(path, []byte(filled), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}

// operators makes so many operators run from now on.
func (w *world) operators(count int) {
	if w.end != nil {
		w.end()
		w.all.Wait()
	}
	ctx, end := context.WithCancel(context.Background())
	w.end = end
	for range count {
		w.all.Go(func() { w.keep(ctx) })
	}
}

func (w *world) add(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alive[p] = true
}

func (w *world) remove(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.alive, p)
}

// killAll kills every operator at the same instant.
func (w *world) killAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.alive {
		p.die()
	}
}

// leave makes the API server be away for a moment.
func (w *world) leave() { w.back.Store(time.Now().Add(outage).UnixNano()) }

// killServer kills the API server and starts it again, as soon as no person is asking it something.
func (w *world) killServer() {
	w.back.Store(math.MaxInt64)
	w.kills.Go(func() {
		w.calm.Lock()
		defer w.calm.Unlock()
		if err := w.Cluster.KillAPIServer(context.Background()); err != nil {
			w.Errorf("the API server did not come back: %v", err)
		}
		w.back.Store(0)
	})
}

// calmly does something while the API server is there.
func (w *world) calmly(do func() error) error {
	w.calm.RLock()
	defer w.calm.RUnlock()
	return do()
}

func (w *world) away() bool { return time.Now().UnixNano() < w.back.Load() }

// node does the work of Jobs and of Deployments, at once.
func (w *world) node(ctx context.Context) {
	for ctx.Err() == nil {
		jobs, deployments := &batchv1.JobList{}, &appsv1.DeploymentList{}
		if err := errors.Join(w.Admin(w).List(ctx, jobs, client.InNamespace("target")), w.Admin(w).List(ctx, deployments, client.InNamespace("target"))); err == nil {
			for i := range jobs.Items {
				if len(jobs.Items[i].Status.Conditions) == 0 {
					w.finish(ctx, &jobs.Items[i])
				}
			}
			for i := range deployments.Items {
				if d := &deployments.Items[i]; strings.HasSuffix(d.Name, rolled) && d.Status.ObservedGeneration != d.Generation {
					w.rollOut(ctx, d)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// finish ends a Job: the first one of a step fails, and the second does not.
func (w *world) finish(ctx context.Context, job *batchv1.Job) {
	now := metav1.Now()
	job.Status = batchv1.JobStatus{StartTime: &now}
	because, is := batchv1.JobFailureTarget, batchv1.JobFailed
	if strings.HasSuffix(job.Name, "-2") {
		job.Status.CompletionTime, job.Status.Succeeded = &now, 1
		because, is = batchv1.JobSuccessCriteriaMet, batchv1.JobComplete
	}
	for _, kind := range []batchv1.JobConditionType{because, is} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now, Reason: "Simulated"})
	}
	if err := w.Admin(w).Status().Update(ctx, job); err != nil && ctx.Err() == nil {
		w.Logf("a Job was not ended: %v", err)
	}
}

// rollOut says that a Deployment is rolled out.
func (w *world) rollOut(ctx context.Context, deployment *appsv1.Deployment) {
	deployment.Status.ObservedGeneration = deployment.Generation
	deployment.Status.Conditions = []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
	}
	if err := w.Admin(w).Status().Update(ctx, deployment); err != nil && ctx.Err() == nil {
		w.Logf("a Deployment was not rolled out: %v", err)
	}
}
