package security

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

// TestCase45ConfusedDeputy lets an input lead an Action to where its ServiceAccount has no rights, and an author take an account that is not theirs.
func TestCase45ConfusedDeputy(t *testing.T) {
	for _, place := range []string{"kube-system", env.SystemNamespace, env.CatalogNamespace} {
		r := ask(t, users.Alice, request("anywhere", `{"namespace":"`+place+`"}`))
		finished := &metav1.Condition{}
		eventually(t, "it is stopped", func() (bool, string) {
			now := live(t, r)
			finished = meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionFinished)
			return finished != nil && strings.Contains(finished.Message, "forbidden"), fmt.Sprintf("%+v", now.Status)
		})
		key := types.NamespacedName{Namespace: place, Name: string(r.UID)}
		if err := admin(t).Get(t.Context(), key, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
			t.Errorf("something was written to %s: %v", place, err)
		}
	}
	for _, account := range []string{"writer", "default", "signoff", "../signoff-system/signoff"} {
		action := strings.Replace(ruled("stronger", `{}`, ``), "serviceAccountName: deployer", "serviceAccountName: "+account, 1)
		if err := as(t, users.Frank).Create(t.Context(), object(t, action)); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
			t.Errorf("frank may not let Actions run as %s: %v", account, err)
		}
	}
	template := strings.Replace(ruled("stronger", `{a: {type: string, maxLength: 9}}`, ``), "serviceAccountName: deployer", `serviceAccountName: "${inputs.a}"`, 1)
	if err := as(t, users.Ada).Create(t.Context(), object(t, template)); err == nil {
		t.Error("an input must not choose the ServiceAccount")
	}
}

// TestCase45StepWritesNothingOfSignoff: a request that a step makes would be asked by its ServiceAccount, so that whoever asked for the step could
// approve it; a vote, a Role or a Team would be worse. Ada may do everything that RBAC gives.
func TestCase45StepWritesNothingOfSignoff(t *testing.T) {
	const action = `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: laundered}, spec: {title: a, default: {effect: Allow},
  inputs: {openAPIV3Schema: {type: object, properties: {name: {type: string, maxLength: 63}}}}, TARGET execution: {serviceAccountName: deployer, steps: [{name: a, STEP}]}}}`
	const allowed = "apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: a}}]}"
	for name, tc := range map[string]struct{ target, step, where string }{
		"Request": {"", `apply: {manifests: [{apiVersion: signoff.dev/v1alpha1, kind: ActionRequest, metadata: {namespace: payments, name: a}, spec: {actionRef: {namespace: platform, name: b}}}]}`,
			"spec.execution.steps[0].apply.manifests[0]"},
		"Role":   {"", `patch: {target: {apiVersion: signoff.dev/v1alpha1, kind: Role, namespace: platform, name: a}, merge: {spec: {}}}`, "spec.execution.steps[0].patch.target"},
		"Target": {`target: {apiVersion: signoff.dev/v1alpha1, kind: Team, name: "${inputs.name}"},`, `patch: {json: [{op: remove, path: /spec/members}]}`, "spec.execution.steps[0].patch.target"},
		"Delete": {"", `delete: {target: {apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, name: a}}`, "spec.execution.steps[0].delete.target"},
		"Other":  {"", `apply: {manifests: [{apiVersion: config.signoff.dev/v1alpha1, kind: Configuration, metadata: {name: a}}]}`, "spec.execution.steps[0].apply.manifests[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("TARGET", tc.target, "STEP", tc.step).Replace(action)
			refused(t, as(t, users.Ada).Create(t.Context(), object(t, text), client.DryRunAll), metav1.StatusReasonInvalid, tc.where, "a step may not write", "apply them by hand")
		})
	}
	if err := as(t, users.Ada).Create(t.Context(), object(t, strings.NewReplacer("TARGET", "", "STEP", allowed).Replace(action)), client.DryRunAll); err != nil {
		t.Errorf("a step that writes something else is taken: %v", err)
	}
}

// patches counts what was written to an object of staging as somebody whom the operator may act as.
func patches(t *testing.T, name string) (count int, by []string) {
	t.Helper()
	events(t, name, func(e *auditv1.Event) {
		if ref := e.ObjectRef; ref != nil && ref.Namespace == "staging" && ref.Name == name && e.Verb == "patch" && !strings.Contains(e.RequestURI, "dryRun") && e.ImpersonatedUser != nil &&
			e.ResponseStatus.Code < http.StatusBadRequest {
			count++
			by = append(by, e.ImpersonatedUser.Username)
		}
	})
	return count, by
}

// TestCase46AtMostOnce executes with two processes at once that both believe to lead, and through a restart. What happens at a crash between any
// two writes is played by test/faults, and at random moments by test/crash.
func TestCase46AtMostOnce(t *testing.T) {
	stop := secondProcess(t)
	var asked []*v1alpha1.ActionRequest
	for i := range 6 {
		name := fmt.Sprintf("once-%d", i)
		apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: `+name+`}, data: {a: b}}`)
		asked = append(asked, ask(t, users.Alice, request("once", `{"name":"`+name+`"}`)))
	}
	for i, r := range asked {
		eventually(t, "the end", func() (bool, string) {
			now := live(t, r)
			return now.Status.Outcome != "", fmt.Sprintf("%+v", now.Status)
		})
		if count, _ := patches(t, fmt.Sprintf("once-%d", i)); count > 1 || count == 0 && live(t, r).Status.Outcome == v1alpha1.OutcomeSucceeded {
			t.Errorf("%s was sent %d times: %s", r.Name, count, live(t, r).Status.Outcome)
		}
		recordOf(t, r)
	}
	stop()
	unslow(t)
	t.Cleanup(func() { unslow(t) })
	r := ask(t, users.Alice, request("slow", `{}`))
	reaches(t, r, v1alpha1.PhaseExecuting)
	claim := recordOf(t, r)
	if err := signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	guarded(t)
	goOn(t)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if now := recordOf(t, r); now.UID != claim.UID || now.Spec.ClaimedAt != claim.Spec.ClaimedAt {
		t.Errorf("it was claimed again: %+v", now.Spec)
	}
	refused(t, as(t, users.Ada).Create(t.Context(), bareRecord(claim)), metav1.StatusReasonForbidden, "written by Signoff only")
}

func bareRecord(record *v1alpha1.Record) *v1alpha1.Record {
	again := record.DeepCopy()
	bare(again)
	again.Name = "another-claim"
	return again
}

// secondProcess runs the controllers a second time, without asking who leads.
func secondProcess(t *testing.T) (stop func()) {
	t.Helper()
	cfg := config.Default()
	configure(cfg)
	cfg.Metrics.BindAddress, cfg.Health.BindAddress, cfg.Audit.Sinks, cfg.LeaderElection.Enabled = "0", "0", []config.AuditSink{}, false
	cfg.Operator = signoff.Identities()
	process, err := setup.New(cfg, signoff.Operator, clock.RealClock{}, setup.Parts{Controllers: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- process.Manager.Start(ctx) }()
	eventually(t, "the second process leads too", func() (bool, string) {
		err := process.Guard.InForce()
		return err == nil && process.Store.Current().Synced(), fmt.Sprint(err)
	})
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestCase47EachAsItsOwnAccount executes many requests at once for Actions with different ServiceAccounts: every write is made as the one of its Action.
func TestCase47EachAsItsOwnAccount(t *testing.T) {
	accounts := map[string]string{"as-writer": "system:serviceaccount:platform:writer", "as-deployer": "system:serviceaccount:platform:deployer"}
	var all sync.WaitGroup
	var mu sync.Mutex
	asked := map[string]*v1alpha1.ActionRequest{}
	for i := range 24 {
		action := []string{"as-writer", "as-deployer"}[i%2]
		c, r := as(t, []env.Person{users.Alice, users.Bob, users.Agent}[i%3]), request(action, `{}`)
		all.Go(func() {
			if err := c.Create(t.Context(), r); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			asked[r.Name] = r
		})
	}
	all.Wait()
	for _, r := range asked {
		reaches(t, r, v1alpha1.PhaseSucceeded)
	}
	for _, r := range asked {
		want := accounts[r.Spec.ActionRef.Name]
		count, by := patches(t, string(r.UID))
		if count != 1 || by[0] != want {
			t.Errorf("%s was written by %q, want %s once", r.Name, by, want)
		}
	}
}

// TestCase48SameChecksInBothModes plays the cases that matter most again in one process, and with catalogs limited. All others are played with admission and
// controllers as two processes, as the chart installs them.
func TestCase48SameChecksInBothModes(t *testing.T) {
	again := func(options system.Options) {
		signoff.Stop()
		started, err := system.Start(t.Context(), cluster, options)
		if err != nil {
			t.Fatal(err)
		}
		signoff, world.Signoff = started, started
		if err := signoff.Grant(t.Context(), env.CatalogNamespace, "deployer", "deployer-read", "writer"); err != nil {
			t.Fatal(err)
		}
		guarded(t)
	}
	defer again(system.Options{Split: true, Configure: configure})
	again(system.Options{Configure: func(cfg *config.Configuration) {
		configure(cfg)
		cfg.Metrics.BindAddress = "0"
		cfg.CatalogNamespaces = []string{env.CatalogNamespace}
	}})
	for name, test := range map[string]func(*testing.T){
		"01": TestCase01RequesterApprovesOwnRequest, "04": TestCase04ServiceAccountApproves, "10": TestCase10SpecChangedAfterTheFirstVote, "18": TestCase18VoteWithAnotherChange,
		"19": TestCase19VoteForSomebodyElse, "26": TestCase26VoteEditedOrRemoved, "27": TestCase27StatusByHand, "28": TestCase28StatusAtCreation,
		"11": TestCase11ActionEditedBeforeTheStart, "13": TestCase13MadeAgainUnderTheSameName, "22": TestCase22ApproveAndDenyAtOnce, "34": TestCase34WrittenPastTheWebhooks,
		"57": TestCase57BreakGlassRunsAtOnceAndIsReviewed, "64": TestCase64DryRunGivesNoSeal,
	} {
		t.Run(name, test)
	}
	elsewhere := strings.Replace(ruled("elsewhere", `{}`, ``), "namespace: platform", "namespace: staging", 1)
	refused(t, as(t, users.Ada).Create(t.Context(), object(t, elsewhere)), metav1.StatusReasonForbidden, "Actions are published in these namespaces only")
}

// TestCase49StopWhatIsOver cancels what is over, and asks for an end of what has none.
func TestCase49StopWhatIsOver(t *testing.T) {
	r := ask(t, users.Alice, request("note", `{"text":"done"}`))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	refused(t, patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"too late"}}}`), metav1.StatusReasonForbidden, "there is nothing to cancel")
	noted(t, r, "done")
	lasting := request("note", `{"text":"a"}`)
	lasting.Spec.Duration = "1h"
	refused(t, as(t, users.Alice).Create(t.Context(), lasting), metav1.StatusReasonInvalid, "spec.duration", "is not temporary: leave it out")
}

// TestCase49TakenBackIsGone lends something and has it taken back, while somebody holds on to it: it is not over before it is gone.
func TestCase49TakenBackIsGone(t *testing.T) {
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: staging, name: lend}, rules: [{apiGroups: [""], resources: [configmaps], verbs: [delete]}]}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: staging, name: lend}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: lend},
		subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]}`)
	apply(t, strings.Replace(ruled("lends", `{}`, ``), "spec: {title: a,", "spec: {title: a, temporary: {maxDuration: 2h, defaultDuration: 1h},", 1))
	r := ask(t, users.Alice, request("lends", `{}`))
	reaches(t, r, v1alpha1.PhaseActive)
	lent := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: string(r.UID)}}
	administrator := env.Person{Name: "admin", Config: cluster.Admin}
	if err := patch(t, administrator, lent, `{"metadata":{"finalizers":["example.com/hold"]}}`); err != nil {
		t.Fatal(err)
	}
	refused(t, patch(t, users.Alice, r, `{"spec":{"duration":"2h"}}`), metav1.StatusReasonInvalid, "make a new request")
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"done with it"}}}`); err != nil {
		t.Fatal(err)
	}
	if now := reaches(t, r, v1alpha1.PhaseReverting); now.Status.Outcome != "" || !strings.Contains(now.Status.WaitingFor, "is left: it is held by") {
		t.Errorf("it is not over, and says why: %q, %q", now.Status.Outcome, now.Status.WaitingFor)
	}
	if err := patch(t, administrator, lent, `{"metadata":{"finalizers":null}}`); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseReverted)
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(lent), lent); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
	tellsWhoStopped(t, r, "done with it", "alice")
}

// TestCase50StepThatCallsOut publishes steps and lookups that would call an address that nobody allowed: what a cluster of its own cannot reach, nobody does.
func TestCase50StepThatCallsOut(t *testing.T) {
	const action = `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: calls}, spec: {title: a, default: {effect: Allow}, LOOKUPS
		execution: {serviceAccountName: deployer, steps: [STEP]}}}`
	for name, tc := range map[string]struct{ lookups, step, words string }{
		"Step":    {"", `{name: call, http: {url: "http://169.254.169.254/latest/meta-data"}}`, "spec.execution.steps[0]"},
		"Webhook": {"", `{name: call, webhook: {url: "https://kubernetes.default.svc"}}`, "spec.execution.steps[0]"},
		"Lookup":  {`lookups: [{as: meta, http: {url: "http://169.254.169.254"}}], rules: [{name: r, when: "meta != null", effect: Deny}],`, `{name: note, apply: {manifests: [` + someMap + `]}}`, "spec.lookups[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("LOOKUPS", tc.lookups, "STEP", tc.step).Replace(action)
			refused(t, as(t, users.Frank).Create(t.Context(), object(t, text)), metav1.StatusReasonInvalid, tc.words)
		})
	}
	for _, url := range []string{"http.get('http://169.254.169.254')", "url('http://169.254.169.254').getHost() == fetch('a')"} {
		refused(t, as(t, users.Frank).Create(t.Context(), object(t, ruled("calls", `{}`, `{name: r, effect: Deny, when: "`+url+`"}`))), metav1.StatusReasonInvalid, "undefined", "spec.rules[0].when")
	}
}

// TestCase51SecretsStayWhereTheyAre tries to have a Secret read to somebody, and greps what is written for the value of an input.
func TestCase51SecretsStayWhereTheyAre(t *testing.T) {
	const word = "hunter2-5a1f"
	apply(t, `{apiVersion: v1, kind: Secret, metadata: {namespace: staging, name: token}, stringData: {word: `+word+`}}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: staging, name: secrets}, rules: [{apiGroups: [""], resources: [secrets], verbs: [get, list, patch]}]}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: staging, name: secrets}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: secrets},
		subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]}`)
	const action = `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: reads-secrets}, spec: {title: a, FACTS
		execution: {serviceAccountName: deployer, steps: [{name: note, apply: {manifests: [` + someMap + `]}}]}}}`
	for name, tc := range map[string]struct{ facts, words string }{
		"Object": {`lookups: [{as: s, object: {apiVersion: v1, kind: Secret, namespace: staging, name: token}}], rules: [{name: r, when: "s.data.word == 'a'", effect: Allow}],`, "a Secret is never read as a fact"},
		"List":   {`lookups: [{as: s, list: {apiVersion: v1, kind: Secret, namespace: staging}}], rules: [{name: r, when: "size(s) == 0", effect: Allow}],`, "a Secret is never read as a fact"},
		"Target": {`target: {apiVersion: v1, kind: Secret, namespace: staging, name: token}, rules: [{name: r, when: "target.data.word == 'a'", effect: Allow}],`, "Secret"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, as(t, users.Frank).Create(t.Context(), object(t, strings.Replace(action, "FACTS", tc.facts, 1))), metav1.StatusReasonInvalid, tc.words)
		})
	}
	for _, condition := range []string{`waitFor: {expression: "object.data.word > 'a'"}`, `when: "object.data.word > 'a'"`, `waitFor: {status: Current}, failWhen: "object.data.word > 'a'"`} {
		asks := `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: asks-secrets}, spec: {title: a, execution: {serviceAccountName: deployer, steps: [
			{name: note, ` + condition + `, patch: {target: {apiVersion: v1, kind: Secret, namespace: staging, name: token}, merge: {metadata: {labels: {a: b}}}}}]}}}`
		refused(t, as(t, users.Frank).Create(t.Context(), object(t, asks)), metav1.StatusReasonInvalid, "no condition reads what is in one")
	}
	// A step may write a Secret. What stood there is shown to nobody.
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: rotates}, spec: {title: a, default: {effect: RequireApproval, stages: [a]}, stages: [{name: a, approvers: {users: [bob]}}],
		execution: {serviceAccountName: deployer, steps: [{name: rotate, apply: {conflicts: Take, manifests: [{apiVersion: v1, kind: Secret, metadata: {namespace: staging, name: token}, stringData: {word: fresh}}]}}]}}}`)
	r, approval := opened(t, users.Alice, request("rotates", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	// And the value of an input is what people agree to: it stands in the request and its Approval, and nowhere else.
	said := ask(t, users.Alice, request("note", `{"text":"`+word+`"}`))
	reaches(t, said, v1alpha1.PhaseSucceeded)
	log, err := os.ReadFile(evidence)
	if err != nil {
		t.Fatal(err)
	}
	list := &eventsv1.EventList{}
	if err := admin(t).List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	api, err := os.ReadFile(apiLog)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"the Approval": fmt.Sprintf("%+v", live(t, approval)), "the request": fmt.Sprintf("%+v", live(t, r).Status), "the Events": fmt.Sprintf("%+v", list.Items),
		"the audit log": string(log), "the audit log of the API server": string(api),
	} {
		if strings.Contains(text, word) || strings.Contains(text, "aHVudGVyMi01YTFm") {
			t.Errorf("%s has it", name)
		}
	}
	if !bytes.Contains(log, []byte(said.UID)) {
		t.Error("the audit log must tell of the request")
	}
}

// TestCase52TooLarge sends more than anybody could need.
func TestCase52TooLarge(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.ActionRequest)
		words  string
	}{
		"Reason": {func(r *v1alpha1.ActionRequest) { r.Spec.Reason = strings.Repeat("a", 1<<20) }, "spec.reason: Too long"},
		"Input": {func(r *v1alpha1.ActionRequest) {
			r.Spec.Inputs.Raw = []byte(`{"text":"` + strings.Repeat("a", 1<<20) + `"}`)
		}, "spec.inputs"},
		"Labels": {func(r *v1alpha1.ActionRequest) { r.Labels = labelsOf(1000) }, "metadata.labels"},
		// What fills a request until no status fits beside it would be executed, and hide it.
		"Finalizers": {func(r *v1alpha1.ActionRequest) {
			for i := range 6000 {
				r.Finalizers = append(r.Finalizers, fmt.Sprintf("%s.example/x%d", strings.Repeat("a", 60), i))
			}
		}, "metadata.finalizers: Too many: 6001: must have at most 16 items"},
		"Owners": {func(r *v1alpha1.ActionRequest) {
			for i := range 17 {
				r.OwnerReferences = append(r.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: types.UID(fmt.Sprint(i))})
			}
		}, "metadata.ownerReferences: Too many: 17: must have at most 16 items"},
		// As JSON, each of these characters has six bytes.
		"Whole": {func(r *v1alpha1.ActionRequest) {
			r.Annotations = map[string]string{"example.org/a": strings.Repeat("\x01", 200<<10)}
		}, "metadata: Forbidden: the whole request has 12"},
		"BreakGlass": {func(r *v1alpha1.ActionRequest) {
			r.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: strings.Repeat("a", 1<<20)}
		}, "spec.breakGlass.reason: Too long"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("note", `{"text":"a"}`)
			tc.change(r)
			refused(t, as(t, users.Alice).Create(t.Context(), r), metav1.StatusReasonInvalid, tc.words)
		})
	}
	names := make([]string, 10000)
	for i := range names {
		names[i] = fmt.Sprintf("u%d", i)
	}
	crowd := strings.Join(names, ", ")
	refused(t, as(t, users.Frank).Create(t.Context(), object(t, staged("crowded", `{name: a, approvers: {users: [`+crowd+`]}}`))), metav1.StatusReasonInvalid, "must have at most")
	refused(t, as(t, users.Ada).Create(t.Context(), object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: crowded}, spec: {members: {users: [`+crowd+`]}}}`)), metav1.StatusReasonInvalid, "must have at most")
	many := login(t, "manifold", append(slices.Clone(names[:1001]), env.GroupEngineering)...)
	refused(t, as(t, many).Create(t.Context(), request("note", `{"text":"a"}`)), metav1.StatusReasonForbidden, "more than the 1000 that can be recorded")
	_, approval := open(t)
	refused(t, vote(t, users.Bob, approval, v1alpha1.DecisionApprove, strings.Repeat("a", 1<<20)), metav1.StatusReasonInvalid, "spec.vote.comment: Too long")
	reaches(t, ask(t, users.Alice, request("deploy", play.StagingInputs)), v1alpha1.PhaseSucceeded)
}

func labelsOf(count int) map[string]string {
	labels := map[string]string{}
	for i := range count {
		labels[fmt.Sprintf("l%d", i)] = "x"
	}
	return labels
}
