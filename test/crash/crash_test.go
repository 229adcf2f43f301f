// Package crash kills the operator at random moments and counts what was done: nothing lost, nothing doubled.
package crash

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

const (
	requests = 50
	kills    = 25
	// patience bounds the whole test, on a machine that is busy with other tests.
	patience = 4 * time.Minute
)

// world is a control plane with a Signoff that runs as a process of its own.
type world struct {
	*testing.T
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
	scheme  *runtime.Scheme
	// evidence is the folder of the audit log, and observer receives it as well.
	evidence string
	// log is what the processes log.
	log      string
	observer *httptest.Server
	mu       sync.Mutex
	received bytes.Buffer
}

func start(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{T: t, scheme: setup.Scheme(), evidence: t.TempDir()}
	w.observer = httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(w.observer.Close)
	var err error
	if w.cluster, err = env.Start(ctx, env.Options{CRDs: true, Nodes: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cluster.Stop)
	if w.users, err = w.cluster.StandardUsers(ctx); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "signoff")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/signoff-dev/signoff")
	// The same setting as for the control plane and the demo, so that their build cache serves this too.
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("failed to build Signoff: %v\n%s", err, out)
	}
	w.log = filepath.Join(t.TempDir(), "signoff.log")
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(w.log)
			t.Logf("the log of Signoff ends with:\n%s", text[max(0, len(text)-8000):])
		}
	})
	if w.signoff, err = system.Start(ctx, w.cluster, system.Options{Binary: binary, Log: w.log, Configure: w.observed}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.signoff.Stop)
	if err := w.signoff.Grant(ctx, env.CatalogNamespace, "deployer"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.cluster.ServiceAccount(ctx, env.CatalogNamespace, "deployer"); err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.ApplyFile(ctx, "test/crash/testdata/world.yaml"); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) as(who env.Person) client.Client {
	c, err := client.New(who.Config, client.Options{Scheme: w.scheme})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) admin() client.Client {
	return w.as(env.Person{Name: "admin", Config: w.cluster.Admin})
}

// TestKilledAtRandom asks for 50 executions of a step that must not be repeated and a Job, half of them with an approval, and
// kills the operator 25 times meanwhile.
func TestKilledAtRandom(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range requests {
		w.deployment(ctx, i)
	}
	var people sync.WaitGroup
	people.Go(func() {
		for i := range requests {
			w.ask(ctx, i)
		}
	})
	people.Go(func() { w.approve(ctx) })

	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range kills {
		// This waits for a moment that nothing marks: the point is to be killed anywhere.
		pause(ctx, time.Duration(20+random.IntN(700))*time.Millisecond)
		w.signoff.Kill()
		if err := w.signoff.Restart(ctx); err != nil {
			t.Fatalf("Signoff did not come back: %v", err)
		}
	}
	w.finished(ctx)
	cancel()
	people.Wait()
	w.check()
	w.checkEvidence()
	w.checkLogged()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func name(i int) string { return fmt.Sprintf("crash-%02d", i) }

func (w *world) deployment(ctx context.Context, i int) {
	if err := w.admin().Create(ctx, play.AppendTo("target", name(i))); err != nil {
		w.Fatal(err)
	}
}

// ask asks until the request is stored: while the operator is down, nothing is.
func (w *world) ask(ctx context.Context, i int) {
	action := "append"
	if i%2 == 1 {
		action = "append-approved"
	}
	for ctx.Err() == nil {
		err := w.as(w.users.Alice).Create(ctx, &v1alpha1.ActionRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: name(i)},
			Spec: v1alpha1.ActionRequestSpec{
				ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: action}, Reason: reason,
				Inputs: &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"name":%q}`, name(i))},
			},
		})
		if err == nil || apierrors.IsAlreadyExists(err) {
			return
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// approve votes once for each request, until the end. Nobody is asked again about something that has begun.
func (w *world) approve(ctx context.Context) {
	voted := map[string]bool{}
	for ctx.Err() == nil {
		list := &v1alpha1.ApprovalList{}
		if err := w.as(w.users.Bob).List(ctx, list, client.InNamespace(env.WorkNamespace)); err == nil {
			for i := range list.Items {
				if approval := &list.Items[i]; approval.Status.State == v1alpha1.ApprovalOpen && len(approval.Spec.Votes) == 0 && !voted[approval.Spec.RequestRef.Name] {
					vote := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Approve"}}}`))
					err := w.as(w.users.Bob).Patch(ctx, approval, vote) // refused while the operator is down; tried again
					voted[approval.Spec.RequestRef.Name] = err == nil
				}
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func (w *world) finished(ctx context.Context) {
	for {
		list := &v1alpha1.ActionRequestList{}
		if err := w.admin().List(ctx, list, client.InNamespace(env.WorkNamespace)); err != nil {
			w.Fatal(err)
		}
		done := 0
		for i := range list.Items {
			if list.Items[i].Status.Outcome != "" {
				done++
			}
		}
		if done == requests {
			return
		}
		if ctx.Err() != nil {
			w.Fatalf("%d of %d requests ended within %s", done, requests, patience)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// check counts what was done.
func (w *world) check() {
	ctx := context.Background()
	jobs := &batchv1.JobList{}
	if err := w.admin().List(ctx, jobs, client.InNamespace("target")); err != nil {
		w.Fatal(err)
	}
	perRequest := map[string]int{}
	for i := range jobs.Items {
		perRequest[jobs.Items[i].Labels[v1alpha1.LabelRequestUID]]++
	}
	for i := range requests {
		request, object, record := &v1alpha1.ActionRequest{}, &appsv1.Deployment{}, &v1alpha1.Record{}
		w.get(env.WorkNamespace, name(i), request)
		w.get("target", name(i), object)
		if request.Status.Outcome != v1alpha1.OutcomeSucceeded {
			w.Errorf("%s ended as %s: %+v", name(i), request.Status.Outcome, request.Status.Steps)
			continue
		}
		if args := object.Spec.Template.Spec.Containers[0].Args; len(args) != 2 || args[1] != string(request.UID) {
			w.Errorf("%s: the JSON patch must have been sent exactly once; args are %v", name(i), args)
		}
		if count := perRequest[string(request.UID)]; count != 1 {
			w.Errorf("%s: exactly one Job must have been created; there are %d", name(i), count)
		}
		w.get(env.SystemNamespace, string(request.UID), record)
		if record.Status.Outcome != v1alpha1.OutcomeSucceeded {
			w.Errorf("%s: the Record says %q", name(i), record.Status.Outcome)
		}
	}
}

func (w *world) get(namespace, name string, into client.Object) {
	if err := w.admin().Get(context.Background(), types.NamespacedName{Namespace: namespace, Name: name}, into); err != nil {
		w.Fatal(err)
	}
}
