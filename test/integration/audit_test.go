package integration

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// witness receives the audit log over HTTP, and fails at first.
type witness struct {
	*httptest.Server
	mu       sync.Mutex
	failures int
	text     bytes.Buffer
}

var (
	// evidence is the folder of the audit log of all tests, and observer is who receives it as well.
	evidence string
	observer = &witness{failures: 3}
)

func (w *witness) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failures > 0 || err != nil {
		w.failures--
		out.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.text.Write(body)
}

// fails says how many more answers of the receiver are no.
func (w *witness) fails(times int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = times
}

func (w *witness) log() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.text.Bytes())
}

// observe configures an audit log that is looked at in tests.
func observe(cfg *config.Configuration) {
	var err error
	if evidence, err = os.MkdirTemp("", "signoff-audit-"); err != nil {
		panic(err)
	}
	observer.Server = httptest.NewServer(observer)
	cfg.Audit.Checkpoints.Lines = 10
	cfg.Audit.Sinks = []config.AuditSink{
		{File: &config.AuditFile{Path: auditFile()}},
		{HTTP: &config.AuditHTTP{URL: observer.URL, OutboxDir: outboxDir()}},
	}
}

func auditFile() string { return filepath.Join(evidence, "audit.jsonl") }
func outboxDir() string { return filepath.Join(evidence, "outbox") }

// checkEvidence verifies the audit log of all tests, once they have ended.
func checkEvidence() error {
	c, err := client.New(cluster.Admin, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	ring, err := play.PublicKeys(c)
	if err != nil {
		return err
	}
	for name, raw := range map[string][]byte{"the file": nil, "the receiver": observer.log()} {
		if raw == nil {
			if raw, err = os.ReadFile(auditFile()); err != nil {
				return err
			}
		}
		report, err := audit.Verify(bytes.NewReader(raw), ring)
		if err == nil {
			err = report.Err()
		}
		if err != nil {
			return fmt.Errorf("the audit log of %s: %w", name, err)
		}
		if report.Unlinked > 0 || len(report.Unvouched) > 0 || report.Lines < 2 {
			return fmt.Errorf("the audit log of %s: %d lines, %d unlinked votes, unvouched %v", name, report.Lines, report.Unlinked, report.Unvouched)
		}
	}
	return nil
}

// proves expects the file and the receiver to hold exactly these facts about a request.
func proves(t *testing.T, r *v1alpha1.ActionRequest, want ...string) {
	t.Helper()
	ring, err := play.PublicKeys(admin(t))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(auditFile())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, play.FactsOf(t, raw, r)); diff != "" {
		t.Errorf("facts about %s (-want +got):\n%s", r.Name, diff)
	}
	eventually(t, "the receiver has everything", func() (bool, string) {
		got := play.FactsOf(t, observer.log(), r)
		return slices.Equal(want, got), fmt.Sprint(got)
	})
	for name, text := range map[string][]byte{"file": raw, "receiver": observer.log()} {
		report, err := audit.Verify(bytes.NewReader(text), ring)
		if err != nil || report.Gap != nil {
			t.Errorf("%s: %v %v", name, err, report.Gap)
		}
		if bytes.Contains(text, []byte("hunter2")) {
			t.Errorf("%s: it has the value of an input", name)
		}
	}
}

// TestAuditOfApprovedRequest is about a request that is approved and carried out.
func TestAuditOfApprovedRequest(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:hunter2"}`))
	approval := approvalsOf(t, r, 1)[0]
	if err := vote(t, users.Bob, &approval, v1alpha1.DecisionApprove, "fine"); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	proves(t, r, "request.requested", "stage.opened", "stage.voted", "stage.closed Approved",
		"execution.started", "execution.step rollout Started", "execution.step rollout Done", "execution.succeeded")
}

// TestAuditOfDeniedRequest is about a request that is denied.
func TestAuditOfDeniedRequest(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:8"}`))
	approval := approvalsOf(t, r, 1)[0]
	if err := vote(t, users.Dave, &approval, v1alpha1.DecisionDeny, "not today"); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseDenied)
	proves(t, r, "request.requested", "stage.opened", "stage.voted", "stage.closed Denied", "request.denied")
}

// TestAuditOfCancelledRequest is about somebody who cancels, in words that their seal proves.
func TestAuditOfCancelledRequest(t *testing.T) {
	r := ask(t, users.Alice, request("two-stages", `{}`))
	approval := approvalsOf(t, r, 1)[0]
	if err := vote(t, users.Bob, &approval, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the vote is counted", func() (bool, string) {
		live := approvalsOf(t, r, 1)[0]
		return live.Status.Seal != nil && live.Status.Seal.Votes == 1, live.Status.WaitingFor
	})
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"not needed"}}}`); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseCancelled)
	proves(t, r, "request.requested", "stage.opened", "stage.voted", "stage.closed Superseded", "request.cancelled not needed")
}

// TestAuditOfEmergency is about what was done at once, and reviewed afterwards.
func TestAuditOfEmergency(t *testing.T) {
	frozen(t)
	r := ask(t, users.Alice, emergency("em-frozen"))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	open := review(t, r)
	if err := vote(t, users.Erin, open, v1alpha1.DecisionApprove, "was right"); err != nil {
		t.Fatal(err)
	}
	closes(t, open, v1alpha1.ApprovalApproved)
	proves(t, r, "request.requested", "review.opened", "execution.started", "execution.step note Started", "execution.step note Done",
		"execution.succeeded", "stage.voted", "review.done Approved")
}

// TestAuditVerifiedByAuditor is about somebody who may only read: they need no key but the public ones of the cluster.
func TestAuditVerifiedByAuditor(t *testing.T) {
	reaches(t, ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"staging","image":"registry/checkout:1.41"}`)), v1alpha1.PhaseSucceeded)
	config, err := cluster.User("auditor")
	if err == nil {
		err = cluster.Grant(t.Context(), "signoff-auditor", env.SystemNamespace, env.ToUser("auditor"))
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err == nil {
		err = cluster.Kubeconfig(kubeconfig, config)
	}
	raw, readErr := os.ReadFile(auditFile())
	if err != nil || readErr != nil {
		t.Fatal(err, readErr)
	}
	lines := bytes.SplitAfter(raw[:bytes.LastIndexByte(raw, '\n')+1], []byte("\n"))
	for name, tc := range map[string]struct {
		lines [][]byte
		exit  int
		words string
	}{
		"whole":   {lines, 0, "no gap in"},
		"removed": {slices.Delete(slices.Clone(lines), 2, 3), 1, "line 3 ("},
		"changed": {slices.Concat(lines[:2], [][]byte{bytes.Replace(lines[2], []byte("platform"), []byte("platforn"), 1)}, lines[3:]), 1, "line 3 ("},
		"cut":     {slices.Concat(lines[:2], [][]byte{lines[2][:50]}), 1, "Truncated"},
	} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, bytes.Join(tc.lines, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		program := &cli.Program{IO: genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: &out}, Clock: clock.RealClock{}}
		if exit := program.Run(t.Context(), []string{"audit", "verify", "--kubeconfig", kubeconfig, path}); exit != tc.exit || !strings.Contains(out.String(), tc.words) {
			t.Errorf("%s: got %d\n%s", name, exit, out.String())
		}
	}
}

// TestAuditOfForgedRequest is about a request that was written while the webhooks were away.
func TestAuditOfForgedRequest(t *testing.T) {
	evil := as(t, nora(t))
	r := request("deploy", `{"service":"checkout","environment":"staging","image":"registry/checkout:forged"}`)
	unguarded(t, func() { written(t, func() error { return evil.Create(t.Context(), r) }) })
	reaches(t, r, v1alpha1.PhaseFailed)
	proves(t, r, "request.rejected NotStamped")
}

// TestAuditAfterRestart is about a process that goes on: it repeats nothing.
func TestAuditAfterRestart(t *testing.T) {
	r := ask(t, users.Alice, request("two-stages", `{}`))
	first := approvalsOf(t, r, 1)[0]
	if err := vote(t, users.Bob, &first, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the vote is counted", func() (bool, string) {
		live := approvalsOf(t, r, 1)[0]
		return live.Status.Seal != nil && live.Status.Seal.Votes == 1, live.Status.WaitingFor
	})
	if err := signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := vote(t, users.Carol, &first, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	for _, approval := range approvalsOf(t, r, 2) {
		if approval.Spec.Stage.Name == "security" {
			if err := vote(t, users.Erin, &approval, v1alpha1.DecisionApprove, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	proves(t, r, "request.requested", "stage.opened", "stage.voted", "stage.voted", "stage.closed Approved", "stage.opened", "stage.voted", "stage.closed Approved",
		"execution.started", "execution.step note Started", "execution.step note Done", "execution.succeeded")
}

// TestAuditReceiverDown is about a receiver that takes nothing: people ask and vote, votes are counted, and requests run to their end, because what
// happened is on the disk. Once the receiver takes it again, it has everything, in order, also what was written before a restart.
func TestAuditReceiverDown(t *testing.T) {
	observer.fails(math.MaxInt)
	t.Cleanup(func() { observer.fails(0) })
	first := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:10"}`))
	approval := approvalsOf(t, first, 1)[0]
	votes(t, users.Bob, &approval, v1alpha1.DecisionApprove, "fine")
	reaches(t, first, v1alpha1.PhaseSucceeded)
	second := ask(t, users.Alice, request("two-stages", `{}`))
	approval = approvalsOf(t, second, 1)[0]
	votes(t, users.Bob, &approval, v1alpha1.DecisionApprove, "")
	eventually(t, "the vote is counted", func() (bool, string) {
		live := approvalsOf(t, second, 1)[0]
		return live.Status.Seal != nil && live.Status.Seal.Votes == 1, live.Status.WaitingFor
	})
	if waiting, _ := play.Metric(t, "signoff_audit_outbox_lines", nil); waiting < 10 {
		t.Errorf("%v lines wait for the receiver", waiting)
	}
	if err := signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	votes(t, users.Carol, &approval, v1alpha1.DecisionDeny, "not both")
	reaches(t, second, v1alpha1.PhaseDenied)
	for _, r := range []*v1alpha1.ActionRequest{first, second} {
		if got := play.FactsOf(t, observer.log(), r); len(got) > 0 {
			t.Errorf("the receiver took %v although it was down", got)
		}
	}
	observer.fails(0)
	proves(t, first, "request.requested", "stage.opened", "stage.voted", "stage.closed Approved",
		"execution.started", "execution.step rollout Started", "execution.step rollout Done", "execution.succeeded")
	proves(t, second, "request.requested", "stage.opened", "stage.voted", "stage.voted", "stage.closed Denied", "request.denied")
}

// TestAuditOfOrphanedReview votes, while the log cannot be written, on a review that has outlived its request. The vote is taken, nobody is told that it is
// decided before that is written, and then everything is there.
func TestAuditOfOrphanedReview(t *testing.T) {
	r, _, again := world.Orphaned(t, "orphaned")
	away := auditFile() + ".away"
	signoff.Stop()
	for _, step := range []error{os.Rename(auditFile(), away), os.Mkdir(auditFile(), 0o700), signoff.Restart(t.Context())} {
		if step != nil {
			t.Fatal(step)
		}
	}
	votes(t, users.Erin, again, v1alpha1.DecisionDeny, "nobody needed that")
	// What is made later is seen later: the review was looked at before that.
	waits := ask(t, users.Alice, request("deploy", play.StagingInputs))
	live := &v1alpha1.ActionRequest{}
	eventually(t, "the log is missed", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(waits), live)
		return err == nil && strings.Contains(live.Status.WaitingFor, "audit log"), live.Status.WaitingFor
	})
	stored := &v1alpha1.Approval{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(again), stored); err != nil || len(stored.Spec.Votes) != 1 || stored.Status.State != v1alpha1.ApprovalOpen {
		t.Errorf("the vote must be stored, and nothing decided: %v, %+v", err, stored.Status)
	}
	for _, step := range []error{os.Remove(auditFile()), os.Rename(away, auditFile())} {
		if step != nil {
			t.Fatal(step)
		}
	}
	closes(t, again, v1alpha1.ApprovalDenied)
	proves(t, r, "request.requested", "review.opened", "execution.started", "execution.step note Started", "execution.step note Done", "execution.succeeded",
		"review.opened", "stage.voted", "review.done Denied")
	reaches(t, waits, v1alpha1.PhaseSucceeded)
}

// TestAuditUnavailable is about a log that cannot be written: votes are taken and counted, nothing starts, and people are told. When it can
// be written again, everything is there. It is the same where the outbox of a receiver is full or gone as where a file is.
func TestAuditUnavailable(t *testing.T) {
	t.Run("File", func(t *testing.T) { unavailable(t, auditFile(), func() error { return os.Mkdir(auditFile(), 0o700) }) })
	// A file can be no folder of an outbox.
	t.Run("Outbox", func(t *testing.T) {
		unavailable(t, outboxDir(), func() error { return os.WriteFile(outboxDir(), nil, 0o600) })
	})
}

// unavailable puts something else in the place of a log, plays on, and puts the log back.
func unavailable(t *testing.T, path string, spoil func() error) {
	t.Helper()
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:9"}`))
	approval := approvalsOf(t, r, 1)[0]
	deleted := ask(t, users.Alice, request("two-stages", `{}`))
	approvalsOf(t, deleted, 1)
	reaches(t, deleted, v1alpha1.PhaseAwaitingApproval)
	away := path + ".away"
	signoff.Stop()
	for _, step := range []error{os.Rename(path, away), spoil(), signoff.Restart(t.Context())} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if err := vote(t, users.Bob, &approval, v1alpha1.DecisionApprove, "fine"); err != nil {
		t.Errorf("votes wait for no log: %v", err)
	}
	live := &v1alpha1.ActionRequest{}
	eventually(t, "the request waits for the audit log", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		return err == nil && strings.Contains(live.Status.WaitingFor, "audit log"), live.Status.WaitingFor
	})
	if ready := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionReady); live.Status.Outcome != "" || live.Status.Execution != nil || ready.Reason != v1alpha1.ReasonAuditUnavailable {
		t.Errorf("nothing may start: %+v", live.Status)
	}
	counted := approvalsOf(t, r, 1)[0]
	if counted.Status.State != v1alpha1.ApprovalApproved {
		t.Errorf("votes are counted: got %s", counted.Status.State)
	}
	if err := admin(t).Delete(t.Context(), deleted.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deleted request waits for the audit log", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(deleted), live)
		return err == nil && live.DeletionTimestamp != nil && strings.Contains(live.Status.WaitingFor, "audit log") && live.Status.Outcome == "", fmt.Sprintf("%v %s", err, live.Status.WaitingFor)
	})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, path); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	proves(t, r, "request.requested", "stage.opened", "stage.voted", "stage.closed Approved",
		"execution.started", "execution.step rollout Started", "execution.step rollout Done", "execution.succeeded")
	eventually(t, "the deleted request is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(deleted), live)
		return apierrors.IsNotFound(err), fmt.Sprintf("%v %s", err, live.Status.WaitingFor)
	})
	proves(t, deleted, "request.requested", "stage.opened", "stage.closed Superseded", "request.cancelled Deleted")
}
