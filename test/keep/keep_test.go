// Package keep plays how long what is finished is kept, with a clock that the test moves, and with a receiver of the audit log that fails when the
// test says so.
package keep

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

var (
	world    = &play.Play{}
	clock    = clocktesting.NewFakeClock(time.Now())
	receiver = newReceiver()
	outbox   string
)

// stuck is a receiver of the audit log that takes nothing while the test says so.
type stuck struct {
	*httptest.Server
	stuck atomic.Bool
}

func newReceiver() *stuck {
	out := &stuck{}
	out.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if out.stuck.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	return out
}

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if outbox, err = os.MkdirTemp("", "signoff-keep-"); err == nil {
		defer func() { _ = os.RemoveAll(outbox) }()
		err = world.Start(context.Background(), &play.Options{
			Env: env.Options{CRDs: true, ControllerManager: true}, System: system.Options{Clock: clock, Configure: configure},
			Accounts: []string{"deployer"}, World: "test/timing/testdata/world.yaml",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	return m.Run()
}

func configure(cfg *config.Configuration) {
	cfg.Retention.Details.Duration = 20 * time.Minute
	cfg.Retention.Finished.Duration, cfg.Retention.Records.Duration = time.Hour, 192*time.Hour
	cfg.Audit.Sinks = []config.AuditSink{{HTTP: &config.AuditHTTP{URL: receiver.URL, OutboxDir: filepath.Join(outbox, "outbox")}}}
}

func ask(t *testing.T, action string, change func(*v1alpha1.ActionRequestSpec)) *v1alpha1.ActionRequest {
	t.Helper()
	r := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: action + "-"},
		Spec:       v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: action}, Reason: "a test"},
	}
	if change != nil {
		change(&r.Spec)
	}
	return play.Ask(t, world.Users.Alice, r)
}

func there(t *testing.T, object client.Object) bool {
	t.Helper()
	uid := object.GetUID()
	err := world.Admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err == nil && object.GetUID() == uid
}

func goes(t *testing.T, object client.Object) {
	t.Helper()
	play.Eventually(t, fmt.Sprintf("%T %s goes", object, object.GetName()), func() (bool, string) {
		return !there(t, object), fmt.Sprintf("%s, %v", object.GetResourceVersion(), object.GetDeletionTimestamp())
	})
}

// stays looks, after everything that was due has been done, whether something is still there: what was due has been done once something whose
// time ended at the same moment is gone.
func stays(t *testing.T, object client.Object) {
	t.Helper()
	if !there(t, object) || object.GetDeletionTimestamp() != nil {
		t.Fatalf("%T %s must still be there", object, object.GetName())
	}
}

func record(t *testing.T, r *v1alpha1.ActionRequest) *v1alpha1.Record {
	t.Helper()
	found := &v1alpha1.Record{}
	if err := world.Admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: r.Status.Execution.ID}, found); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestKeptWhileOpen never removes what is not over.
func TestKeptWhileOpen(t *testing.T) {
	r := world.Reaches(t, ask(t, "two-hours", nil), v1alpha1.PhaseAwaitingApproval)
	other := world.Reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	clock.Step(90 * time.Minute)
	goes(t, other)
	stays(t, r)
}

// shrinks waits until a request shows only what matters.
func shrinks(t *testing.T, r *v1alpha1.ActionRequest) *v1alpha1.ActionRequest {
	t.Helper()
	live := &v1alpha1.ActionRequest{}
	play.Eventually(t, r.Name+" shrinks", func() (bool, string) {
		if err := world.Admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			return false, err.Error()
		}
		plan := live.Status.Plan
		return len(plan) == 1 && plan[0].Object != "" && len(plan[0].Fields) == 0 && plan[0].Basis == "", fmt.Sprintf("%+v", plan)
	})
	for _, rule := range live.Status.Verdict.Rules {
		if rule.Answer == v1alpha1.RuleNotApplicable || len(rule.Differ) > 0 {
			t.Errorf("what no rule said is of no use any more: %+v", rule)
		}
	}
	return live
}

// TestKept keeps a finished request for an hour, without what the Record holds, and then removes it with its Approval, and leaves the Record.
func TestKept(t *testing.T) {
	early := world.Reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	clock.Step(10 * time.Minute)
	r := world.Reaches(t, ask(t, "one-hour", nil), v1alpha1.PhaseAwaitingApproval)
	if plan := r.Status.Plan; len(plan) != 1 || len(plan[0].Fields) == 0 {
		t.Fatalf("the plan shows every field while somebody must agree: %+v", plan)
	}
	approval := &world.ApprovalsOf(t, r, 1)[0]
	if err := play.Vote(t, world.Users.Bob, approval, v1alpha1.DecisionApprove, "go on"); err != nil {
		t.Fatal(err)
	}
	r = world.Reaches(t, r, v1alpha1.PhaseSucceeded)
	book := record(t, r)
	if len(r.Status.Plan[0].Fields) == 0 || len(book.Spec.Plan[0].Fields) == 0 {
		t.Errorf("the Record has the whole plan, and the request still shows it: %+v %+v", book.Spec.Plan, r.Status.Plan)
	}
	clock.Step(10*time.Minute + time.Second)
	shrinks(t, early)
	if live := world.Reaches(t, r, v1alpha1.PhaseSucceeded); len(live.Status.Plan[0].Fields) == 0 {
		t.Error("the other one shows everything for some time yet")
	}
	clock.Step(10 * time.Minute)
	r = shrinks(t, r)
	summary := strings.Join(r.Status.Summary, "\n")
	if !strings.Contains(summary, `approved by bob at `) || !strings.Contains(summary, `("go on")`) || r.Spec.Requester.Username != "alice" || r.Status.Approvals != "1/1" || r.Status.Digest == "" {
		t.Errorf("it must tell who asked and who agreed: %s", summary)
	}
	clock.Step(30*time.Minute - 2*time.Second)
	stays(t, early)
	clock.Step(2 * time.Second)
	goes(t, early)
	stays(t, r)
	clock.Step(10 * time.Minute)
	goes(t, r)
	goes(t, approval)
	stays(t, book)
}

// TestKeptForTheAudit keeps what the receiver of the audit log does not have.
func TestKeptForTheAudit(t *testing.T) {
	before := failures(t)
	receiver.stuck.Store(true)
	defer receiver.stuck.Store(false)
	// The log goes on with what it has begun to send.
	r := world.Reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	clock.Step(66 * time.Minute)
	// Another one is not removed either: nothing is while nobody takes the log.
	other := world.Reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	play.Eventually(t, "it was tried", func() (bool, string) {
		clock.Step(time.Second)
		return failures(t) > before, "not yet"
	})
	stays(t, r)
	stays(t, other)
	receiver.stuck.Store(false)
	play.Eventually(t, "it goes once the receiver has all", func() (bool, string) {
		clock.Step(time.Minute)
		return !there(t, r), "still there"
	})
}

// failures counts the attempts to remove something that came to nothing.
func failures(t *testing.T) float64 {
	t.Helper()
	sum, _ := play.Metric(t, "signoff_finished_removed_total", map[string]string{"result": "failed"})
	return sum
}

// TestKeptUntilItExpires keeps a request that says until when it may run: whoever applies it again finds it.
func TestKeptUntilItExpires(t *testing.T) {
	at := metav1.NewTime(clock.Now().Add(3 * time.Hour).Truncate(time.Second))
	r := world.Reaches(t, ask(t, "free", func(s *v1alpha1.ActionRequestSpec) { s.ExpiresAt = &at }), v1alpha1.PhaseSucceeded)
	other := world.Reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	clock.Step(2 * time.Hour)
	goes(t, other)
	stays(t, r)
	book := record(t, r)
	if book.Name == string(r.UID) || !strings.HasPrefix(book.Name, "content-") || !book.Spec.Until.Equal(new(metav1.NewTime(at.Add(evidence.Grace)))) {
		t.Errorf("its Record is named by what it asks: %s %v", book.Name, book.Spec.Until)
	}
	clock.Step(61 * time.Minute)
	goes(t, r)
	stays(t, book)
}

// TestRecordsKept removes Records when their own time is over. It moves the clock so far that no request could be made after it.
func TestRecordsKept(t *testing.T) {
	r := world.Reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	book := record(t, r)
	clock.Step(61 * time.Minute)
	goes(t, r)
	clock.Step(192 * time.Hour)
	stays(t, book)
	// The seal of its request counts for 168 hours longer than the request, which is 168 hours too.
	clock.Step(140 * time.Hour)
	stays(t, book)
	clock.Step(4 * time.Hour)
	goes(t, book)
}

// TestRecordsKeptForTTL keeps the Record of a request that could have run for longer than Records are kept: put back into etcd, it must find it.
func TestRecordsKeptForTTL(t *testing.T) {
	// A request is as old as the API server says, and other tests have moved the clock.
	ahead := time.Until(clock.Now()).Truncate(time.Hour) + time.Hour
	for name, ttl := range map[string]time.Duration{"long-lived": 400 * time.Hour, "short-lived": 24 * time.Hour} {
		world.Apply(t, fmt.Sprintf(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: %[1]s}
spec:
  title: Lives for a while
  default: {effect: Allow}
  requestTTL: %[2]dh
  execution:
    serviceAccountName: deployer
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: %[1]s}}]}}
`, name, int((ahead+ttl).Hours())))
	}
	long := world.Reaches(t, ask(t, "long-lived", nil), v1alpha1.PhaseSucceeded)
	short := world.Reaches(t, ask(t, "short-lived", nil), v1alpha1.PhaseSucceeded)
	kept, gone := record(t, long), record(t, short)
	clock.Step(61 * time.Minute)
	goes(t, long)
	goes(t, short)
	clock.Step(194 * time.Hour)
	goes(t, gone)
	stays(t, kept)
	clock.Step(400 * time.Hour)
	goes(t, kept)
}
