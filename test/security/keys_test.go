package security

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

var bothKeys = []seal.Purpose{seal.Admission, seal.Controller}

// keyOf is the key by which something was sealed.
func keyOf(t *testing.T, text string) string {
	t.Helper()
	parsed, err := seal.ParseSeal(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.KeyID
}

// publicKeys is the ConfigMap of the public keys, and what it says.
func publicKeys(t *testing.T, c client.Client) (*corev1.ConfigMap, *keys.Document) {
	t.Helper()
	found := &corev1.ConfigMap{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: env.SystemNamespace, Name: keys.DocumentName}, found); err != nil {
		t.Fatal(err)
	}
	document, err := keys.ParseDocument([]byte(found.Data[keys.DocumentKey]))
	if err != nil {
		t.Fatal(err)
	}
	return found, document
}

// signs gives the keys that every replica signs with, once it is other ones than before.
func signs(t *testing.T, c client.Client, before map[seal.Purpose]string) map[seal.Purpose]string {
	t.Helper()
	now := map[seal.Purpose]string{}
	eventually(t, "keys are signed with", func() (bool, string) {
		leases := &coordinationv1.LeaseList{}
		if err := c.List(t.Context(), leases, client.InNamespace(env.SystemNamespace), client.HasLabels{"keys.signoff.dev/replica"}); err != nil {
			return false, err.Error()
		}
		ok := len(leases.Items) > 0
		for _, purpose := range bothKeys {
			for i := range leases.Items {
				now[purpose] = leases.Items[i].Annotations["keys.signoff.dev/signs-"+string(purpose)]
				ok = ok && now[purpose] != "" && now[purpose] != before[purpose]
			}
		}
		return ok, fmt.Sprint(now)
	})
	return now
}

// asksForKeys asks for new keys as docs/security/seals.md says.
func asksForKeys(t *testing.T, c client.Client, purposes ...seal.Purpose) {
	t.Helper()
	for _, purpose := range purposes {
		found := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: keys.DocumentName}}
		body := fmt.Sprintf(`{"metadata":{"annotations":{"keys.signoff.dev/new-%s":%q}}}`, purpose, time.Now().UTC().Format(time.RFC3339))
		if err := c.Patch(t.Context(), found, client.RawPatch("application/merge-patch+json", []byte(body))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCase77KeysReplacedWithOpenRequests asks for new keys while people vote: nobody has to do anything again, and everything is proved.
func TestCase77KeysReplacedWithOpenRequests(t *testing.T) {
	guarded(t)
	r, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	kept, keptApproval := opened(t, users.Alice, request("two-engineers", `{}`))
	votes(t, users.Bob, keptApproval, v1alpha1.DecisionApprove)
	before := signs(t, admin(t), nil)
	// The wish is of whole seconds, and must be later than the key.
	eventually(t, "the next second", func() (bool, string) {
		_, document := publicKeys(t, admin(t))
		return !slices.ContainsFunc(document.Keys, func(k seal.PublicKey) bool { return time.Since(k.NotBefore) < seal.MaxSkew+time.Second }), "not yet"
	})
	asksForKeys(t, admin(t), bothKeys...)
	after := signs(t, admin(t), before)

	votes(t, users.Carol, approval, v1alpha1.DecisionApprove)
	r = reaches(t, r, v1alpha1.PhaseSucceeded)
	sealedBy(t, r, live(t, approval), map[string]string{
		"request": before[seal.Admission], "approval": before[seal.Controller], "first": before[seal.Admission], "second": after[seal.Admission], "record": after[seal.Controller],
	})
	later, laterApproval := opened(t, users.Alice, request("two-engineers", `{}`))
	votes(t, users.Bob, laterApproval, v1alpha1.DecisionApprove)
	votes(t, users.Dave, laterApproval, v1alpha1.DecisionApprove)
	later = reaches(t, later, v1alpha1.PhaseSucceeded)
	sealedBy(t, later, live(t, laterApproval), map[string]string{
		"request": after[seal.Admission], "approval": after[seal.Controller], "first": after[seal.Admission], "second": after[seal.Admission], "record": after[seal.Controller],
	})
	// A process that starts knows both.
	if err := signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	guarded(t)
	votes(t, users.Carol, keptApproval, v1alpha1.DecisionApprove)
	reaches(t, kept, v1alpha1.PhaseSucceeded)
	proved(t, r, later, kept)
}

// sealedBy compares the keys by which everything of a request with two votes was sealed.
func sealedBy(t *testing.T, r *v1alpha1.ActionRequest, approval *v1alpha1.Approval, want map[string]string) {
	t.Helper()
	record := recordOf(t, r)
	if got := record.Spec.Approvals[0].ApprovedBy; len(got) != 2 || len(approval.Spec.Votes) != 2 {
		t.Fatalf("both votes count: %v of %d", got, len(approval.Spec.Votes))
	}
	for what, text := range map[string]string{
		"request": r.Spec.Seal.Signature, "approval": approval.Spec.Seal.Signature, "record": record.Status.Seal.Signature,
		"first": approval.Spec.Votes[0].Seal, "second": approval.Spec.Votes[1].Seal,
	} {
		if got := keyOf(t, text); got != want[what] {
			t.Errorf("the %s was sealed by %s, want %s", what, got, want[what])
		}
	}
}

// proved verifies the audit log as an auditor would, and looks whether it has two votes on each of some requests.
func proved(t *testing.T, requests ...*v1alpha1.ActionRequest) {
	t.Helper()
	if exit, out := audited(t, world, evidence); exit != 0 || !strings.Contains(out, "no gap in") {
		t.Errorf("the audit log is broken: %d\n%s", exit, out)
	}
	raw, err := os.ReadFile(evidence)
	if err != nil {
		t.Fatal(err)
	}
	voted := map[string]int{}
	if err := audit.Read(bytes.NewReader(raw), func(f *audit.Fact) error {
		if f.Data.Request != nil && strings.Contains(f.Type, "stage.voted") {
			voted[f.Data.Request.UID]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		if voted[string(r.UID)] != 2 {
			t.Errorf("the audit log has %d votes on %s, want 2", voted[string(r.UID)], r.Name)
		}
	}
}

// audited verifies an audit log by the public keys of a cluster, as `kubectl signoff audit verify` does. It gives the exit code, and what is said.
func audited(t *testing.T, of *play.Play, log string) (int, string) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := of.Cluster.Kubeconfig(kubeconfig, of.Users.Ada.Config); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	program := &cli.Program{IO: genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: &out}, Clock: clock.RealClock{}}
	return program.Run(t.Context(), []string{"audit", "verify", "--kubeconfig", kubeconfig, log}), out.String()
}

// losesKey deletes the Secret of a key, starts Signoff anew, and gives what restores the Secret.
func losesKey(t *testing.T, purpose seal.Purpose) (restore func()) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: keys.SecretName(purpose)}}
	secret = live(t, secret)
	c := admin(t)
	if err := c.Delete(t.Context(), secret.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	restored := false
	restore = func() {
		if restored {
			return
		}
		restored = true
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(secret), &corev1.Secret{}); !apierrors.IsNotFound(err) {
			t.Errorf("a key was made silently: %v", err)
		}
		again := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}, Data: secret.Data}
		if err := c.Create(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	if err := signoff.Restart(t.Context()); err != nil {
		restore()
		t.Fatal(err)
	}
	return restore
}

// keyLost waits until the metric says that a key is lost, and of the other that it is not.
func keyLost(t *testing.T, lost seal.Purpose) {
	t.Helper()
	eventually(t, "the metric says KeyLost", func() (bool, string) {
		_, text := answer(t, http.DefaultClient, http.MethodGet, "http://"+metricsAddress+"/metrics", "")
		ok := true
		for _, purpose := range bothKeys {
			value := 0
			if purpose == lost {
				value = 1
			}
			ok = ok && strings.Contains(text, fmt.Sprintf("signoff_keys_state{purpose=%q,state=\"KeyLost\"} %d\n", purpose, value))
		}
		return ok, "it does not"
	})
}

// keysRing waits until the alert on the keys would ring, or not any more.
func keysRing(t *testing.T, want bool) {
	t.Helper()
	const alert = "SignoffKeysUnusable"
	eventually(t, fmt.Sprintf("%s rings: %t", alert, want), func() (bool, string) {
		got := play.Rings(t, alert)
		return got == want, fmt.Sprint(got)
	})
}

// TestCase78AdmissionKeyLost loses the key that stands for what people did.
func TestCase78AdmissionKeyLost(t *testing.T) {
	guarded(t)
	r, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	ready, _, release := agreed(t, request("two-engineers", `{}`), users.Bob, users.Carol)
	keysRing(t, false)
	restore := losesKey(t, seal.Admission)
	defer restore()
	keyLost(t, seal.Admission)
	keysRing(t, true)

	refused(t, as(t, users.Alice).Create(t.Context(), request("deploy", play.StagingInputs)), metav1.StatusReasonForbidden,
		"Signoff cannot seal anything", "bring signoff-admission-key back from a backup, or ask for a new key", "Nothing was stored", "docs/guides/operate.md#signoffkeysunusable")
	refused(t, vote(t, users.Carol, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden,
		"bring signoff-admission-key back from a backup, or ask for a new key", "Your vote was not recorded", "docs/guides/operate.md#signoffkeysunusable")
	release()
	for _, each := range []*v1alpha1.ActionRequest{r, ready} {
		showsMissing(t, each, v1alpha1.PhaseHeld, "bring signoff-admission-key back from a backup")
		if executed(t, each) {
			t.Errorf("%s was executed without a key of admission", each.Name)
		}
	}
	restore()
	guarded(t)
	keysRing(t, false)
	reaches(t, ready, v1alpha1.PhaseSucceeded)
	votes(t, users.Carol, approval, v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestCase78ControllerKeyLost loses the key that stands for what Signoff did: people may go on, and nothing comes of it until it is back.
func TestCase78ControllerKeyLost(t *testing.T) {
	guarded(t)
	r, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	ready, _, release := agreed(t, request("two-engineers", `{}`), users.Bob, users.Carol)
	keysRing(t, false)
	restore := losesKey(t, seal.Controller)
	defer restore()
	keyLost(t, seal.Controller)
	keysRing(t, true)
	guarded(t)

	votes(t, users.Carol, approval, v1alpha1.DecisionApprove)
	fresh := ask(t, users.Alice, request("deploy", play.StagingInputs))
	release()
	for _, each := range []*v1alpha1.ActionRequest{r, ready, fresh} {
		saysKeyLost(t, each)
		if executed(t, each) {
			t.Errorf("%s was executed without a key of the controllers", each.Name)
		}
	}
	restore()
	for _, each := range []*v1alpha1.ActionRequest{r, ready, fresh} {
		reaches(t, each, v1alpha1.PhaseSucceeded)
	}
}

// saysKeyLost waits until a request says that a key is lost, and what to do.
func saysKeyLost(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	eventually(t, r.Name+" says KeyLost", func() (bool, string) {
		now := live(t, r)
		condition := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionExecuted)
		return condition != nil && condition.Reason == v1alpha1.ReasonKeyLost && strings.Contains(condition.Message, "bring signoff-controller-key back from a backup") &&
			strings.Contains(condition.Message, "docs/guides/operate.md#signoffkeysunusable"), fmt.Sprintf("%s, %q, %+v", now.Status.Phase, now.Status.WaitingFor, condition)
	})
}

// TestCase79RevokedKeys says that keys were stolen some time ago. It has a cluster of its own: what was sealed since is void for good.
func TestCase79RevokedKeys(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	own, err := play.Start(t.Context(), &play.Options{
		Env: env.Options{CRDs: true}, System: system.Options{Configure: func(cfg *config.Configuration) {
			cfg.Audit.Sinks = []config.AuditSink{{File: &config.AuditFile{Path: log}}}
		}}, Accounts: []string{"deployer", "deployer-read", "writer"}, World: play.World,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Stop)
	if err := own.Cluster.ApplyFile(t.Context(), "test/security/testdata/world.yaml"); err != nil {
		t.Fatal(err)
	}
	t.Run("admission", func(t *testing.T) {
		at, late := revokedAdmission(t, own)
		distrusted(t, own, log, seal.Admission, at, late)
		if exit, out := audited(t, own, log); exit == 0 || !strings.Contains(out, "was revoked") {
			t.Errorf("an auditor must be told what a stolen key has sealed: %d\n%s", exit, out)
		}
	})
	t.Run("controller", func(t *testing.T) {
		at, late := revokedController(t, own)
		distrusted(t, own, log, seal.Controller, at, late)
	})
}

// asksIn asks for something that waits for two votes, in a cluster of its own.
func asksIn(t *testing.T, own *play.Play) (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
	t.Helper()
	own.Guarded(t)
	r := own.Reaches(t, play.Ask(t, own.Users.Alice, request("two-engineers", `{}`)), v1alpha1.PhaseAwaitingApproval)
	return r, &own.ApprovalsOf(t, r, 1)[0]
}

// theft is the time at which a key is stolen, after all that was sealed before it.
func theft(t *testing.T) time.Time {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Second).Add(time.Second)
	eventually(t, "the theft", func() (bool, string) { return time.Now().After(at.Add(10 * time.Millisecond)), "not yet" })
	return at
}

// revoke says that a key was stolen, asks for a new one, and waits until that signs.
func revoke(t *testing.T, own *play.Play, purpose seal.Purpose, at time.Time) {
	t.Helper()
	c := own.Admin(t)
	found, document := publicKeys(t, c)
	before := map[seal.Purpose]string{}
	for i := range document.Keys {
		if document.Keys[i].Purpose == purpose {
			document.Keys[i].RevokedAt, before[purpose] = at, document.Keys[i].ID()
		}
	}
	text, err := document.Encode()
	if err != nil {
		t.Fatal(err)
	}
	found.Data[keys.DocumentKey] = string(text)
	if err := c.Update(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	asksForKeys(t, c, purpose)
	signs(t, c, before)
	eventually(t, "the stolen key is removed", func() (bool, string) {
		secret := &corev1.Secret{}
		err := c.Get(t.Context(), client.ObjectKey{Namespace: env.SystemNamespace, Name: keys.SecretName(purpose)}, secret)
		_, there := secret.Data[keys.EntryName(before[purpose])]
		return err == nil && !there, fmt.Sprint(err)
	})
}

// isVoid waits until a request has ended because of a key that was revoked, and says so.
func isVoid(t *testing.T, own *play.Play, r *v1alpha1.ActionRequest) {
	t.Helper()
	now := &v1alpha1.ActionRequest{}
	eventually(t, "the end of "+r.Name, func() (bool, string) {
		err := own.Admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), now)
		return err == nil && now.Status.Outcome != "", fmt.Sprintf("%v: %s %+v", err, now.Status.Phase, now.Status.Conditions)
	})
	finished := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionFinished)
	if now.Status.Outcome != v1alpha1.OutcomeFailed || finished.Reason != v1alpha1.ReasonSealInvalid || !strings.Contains(finished.Message, "was revoked") {
		t.Errorf("%s ended as %s: %+v; want that it failed because the key was revoked", r.Name, now.Status.Outcome, finished)
	}
}

// goesOn lets people agree to what was asked before the theft, and waits until it is done.
func goesOn(t *testing.T, own *play.Play, r *v1alpha1.ActionRequest, approval *v1alpha1.Approval) {
	t.Helper()
	own.Guarded(t)
	for _, who := range []env.Person{own.Users.Bob, own.Users.Carol} {
		if err := play.Vote(t, who, approval, v1alpha1.DecisionApprove, ""); err != nil {
			t.Fatal(err)
		}
	}
	own.Reaches(t, r, v1alpha1.PhaseSucceeded)
}

// distrusted verifies the audit log of a theft by the public keys as they are. It holds as far as nothing was sealed with the stolen key after the theft, and
// no further: what was asked first after it cannot be believed. That the other key was stolen as well is left out.
func distrusted(t *testing.T, own *play.Play, log string, stolen seal.Purpose, at time.Time, late *v1alpha1.ActionRequest) {
	t.Helper()
	_, document := publicKeys(t, own.Admin(t))
	for i := range document.Keys {
		if document.Keys[i].Purpose != stolen {
			document.Keys[i].RevokedAt = time.Time{}
		}
	}
	ring, err := document.Keyring()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	raw = raw[:bytes.LastIndexByte(raw, '\n')+1]
	report, err := audit.Verify(bytes.NewReader(raw), ring)
	if err != nil || len(report.Revoked) == 0 || report.Gap != nil || !strings.Contains(report.Revoked[0].Message, "was revoked") {
		t.Fatalf("what the stolen key has sealed must be named: %v, %+v", err, report)
	}
	first := report.Revoked[0]
	line, last := int64(0), int64(0)
	err = audit.Read(bytes.NewReader(raw), func(f *audit.Fact) error {
		if line++; line == first.Line && f.Time.Before(at) {
			t.Errorf("what was sealed before the theft counts: %v", first)
		}
		if f.Data.Request != nil && f.Data.Request.UID == string(late.UID) {
			last = line
		}
		return nil
	})
	if err != nil || first.Line > last {
		t.Errorf("the gap comes after line %d, the last about what was asked after the theft: %v, %v", last, first, err)
	}
}

func revokedAdmission(t *testing.T, own *play.Play) (time.Time, *v1alpha1.ActionRequest) {
	t.Helper()
	early, earlyApproval := asksIn(t, own)
	voted, votedApproval := asksIn(t, own)
	at := theft(t)
	late, _ := asksIn(t, own)
	if err := play.Vote(t, own.Users.Bob, votedApproval, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	slow := own.Reaches(t, play.Ask(t, own.Users.Alice, request("slow", `{}`)), v1alpha1.PhaseExecuting)
	revoke(t, own, seal.Admission, at)
	isVoid(t, own, late)
	isVoid(t, own, voted)
	stops(t, own, slow)
	goesOn(t, own, early, earlyApproval)
	return at, late
}

// stops waits until an execution has ended at a safe point, because its request was sealed with a key that was revoked: it goes no further.
func stops(t *testing.T, own *play.Play, r *v1alpha1.ActionRequest) {
	t.Helper()
	ended := own.Reaches(t, r, v1alpha1.PhaseFailed)
	finished := meta.FindStatusCondition(ended.Status.Conditions, v1alpha1.ConditionFinished)
	if !strings.Contains(finished.Message, "It goes no further") || !strings.Contains(finished.Message, "was revoked") {
		t.Errorf("%s does not say why it has stopped: %s", r.Name, finished.Message)
	}
	if err := own.Admin(t).Get(t.Context(), client.ObjectKey{Namespace: "staging", Name: "slow-more"}, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("a step was started with a request that is void: %v", err)
	}
	first := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: "slow"}}
	if err := own.Admin(t).Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
}

func revokedController(t *testing.T, own *play.Play) (time.Time, *v1alpha1.ActionRequest) {
	t.Helper()
	early, earlyApproval := asksIn(t, own)
	at := theft(t)
	late, _ := asksIn(t, own)
	slow := own.Reaches(t, play.Ask(t, own.Users.Alice, request("slow", `{}`)), v1alpha1.PhaseExecuting)
	revoke(t, own, seal.Controller, at)
	isVoid(t, own, late)
	isVoid(t, own, slow)
	goesOn(t, own, early, earlyApproval)
	return at, late
}
