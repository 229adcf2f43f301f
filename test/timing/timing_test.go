// Package timing plays what time alone does to a request, with a clock that the test moves.
package timing

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/system"
)

var (
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
	world   *play.Play
	clock   = clocktesting.NewFakeClock(time.Now())
)

// As in other packages of tests.
var as, eventually = play.As, play.Eventually

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	var err error
	world, err = play.Start(ctx, &play.Options{
		Env: env.Options{CRDs: true}, System: system.Options{Clock: clock, Configure: callPeer}, Accounts: []string{"deployer", "planner"}, World: "test/timing/testdata/world.yaml",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	cluster, users, signoff = world.Cluster, world.Users, world.Signoff
	if err := calendars(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// calendars makes one that opens tomorrow and one that is open today only, whatever day it is.
func calendars(ctx context.Context) error {
	day := func(offset int) string { return clock.Now().UTC().AddDate(0, 0, offset).Format(time.DateOnly) }
	for name, window := range map[string][2]string{"from-tomorrow": {day(1), day(30)}, "today": {day(0), day(0)}} {
		text := fmt.Sprintf(`{"apiVersion":"signoff.dev/v1alpha1","kind":"Calendar","metadata":{"namespace":"platform","name":%q},
			"spec":{"timeZone":"UTC","windows":[{"dates":{"from":%q,"through":%q}}]}}`, name, window[0], window[1])
		if err := cluster.Apply(ctx, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// today makes the calendars anew, because other tests may have moved the clock to another day.
func today(t *testing.T) {
	t.Helper()
	if err := calendars(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the calendars are in force", func() (bool, string) {
		snapshot := signoff.Process.Store.Current()
		is, err := snapshot.CalendarOf(env.CatalogNamespace, "today")
		if err != nil {
			return false, err.Error()
		}
		tomorrow, err := snapshot.CalendarOf(env.CatalogNamespace, "from-tomorrow")
		return err == nil && is.Contains(clock.Now()) && !tomorrow.Contains(clock.Now()), "those of another day"
	})
}

func admin(t *testing.T) client.Client {
	t.Helper()
	return as(t, env.Person{Config: cluster.Admin})
}

// step moves the clock on.
func step(t *testing.T, by time.Duration) {
	t.Helper()
	moveTo(t, clock.Now().Add(by))
}

// moveTo sets the clock once every worker is at rest. A worker that is at work has read the time already and asks to be woken
// after a while that counts from then: the queue would count it from the new time.
func moveTo(t *testing.T, at time.Time) {
	t.Helper()
	eventually(t, "rest", func() (bool, string) {
		busy, shown := play.Metric(t, "controller_runtime_active_workers", nil)
		return shown && busy == 0, fmt.Sprintf("%v workers are busy, %t", busy, shown)
	})
	clock.SetTime(at)
}

func ask(t *testing.T, action string, change func(*v1alpha1.ActionRequestSpec)) *v1alpha1.ActionRequest {
	t.Helper()
	r := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: action + "-"},
		Spec:       v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: action}},
	}
	if change != nil {
		change(&r.Spec)
	}
	eventually(t, "the request", func() (bool, string) {
		attempt := r.DeepCopy()
		err := as(t, users.Alice).Create(t.Context(), attempt)
		if err != nil {
			return false, err.Error()
		}
		r = attempt
		return true, ""
	})
	return r
}

func reaches(t *testing.T, r *v1alpha1.ActionRequest, phase v1alpha1.Phase) *v1alpha1.ActionRequest {
	t.Helper()
	live := &v1alpha1.ActionRequest{}
	eventually(t, fmt.Sprintf("phase %s of %s", phase, r.Name), func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		return err == nil && live.Status.Phase == phase, fmt.Sprintf("%v %s %+v", err, live.Status.Phase, live.Status.Conditions)
	})
	return live
}

// stays checks, after everything that was due has been done, that a request is still in a phase. What was due has been done once
// a request that is asked now has come to its end.
func stays(t *testing.T, r *v1alpha1.ActionRequest, phase v1alpha1.Phase) {
	t.Helper()
	reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	live := &v1alpha1.ActionRequest{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil || live.Status.Phase != phase {
		t.Fatalf("%s must still be %s: is %s, %v", r.Name, phase, live.Status.Phase, err)
	}
}

func approval(t *testing.T, r *v1alpha1.ActionRequest, state v1alpha1.ApprovalState) *v1alpha1.Approval {
	t.Helper()
	var found *v1alpha1.Approval
	eventually(t, fmt.Sprintf("an Approval of %s that is %s", r.Name, state), func() (bool, string) {
		list := &v1alpha1.ApprovalList{}
		err := admin(t).List(t.Context(), list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)})
		for i := range list.Items {
			if list.Items[i].Status.State == state {
				found = &list.Items[i]
			}
		}
		return found != nil, fmt.Sprintf("%d Approvals, %v", len(list.Items), err)
	})
	return found
}

func approve(t *testing.T, who env.Person, a *v1alpha1.Approval) error {
	t.Helper()
	return as(t, who).Patch(t.Context(), a.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Approve"}}}`)))
}

func TestStageExpires(t *testing.T) {
	r := reaches(t, ask(t, "one-hour", nil), v1alpha1.PhaseAwaitingApproval)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	step(t, 50*time.Minute)
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	step(t, 11*time.Minute)
	reaches(t, r, v1alpha1.PhaseExpired)
	approval(t, r, v1alpha1.ApprovalExpired)
	if err := approve(t, users.Bob, open); err == nil || !strings.Contains(err.Error(), "Nothing more can be decided here") {
		t.Errorf("a vote after the end must be refused: %v", err)
	}
}

// deniedFor makes a policy that denies an Action, once the request was let in, and gives what takes it back.
func deniedFor(t *testing.T, action string) (lift func()) {
	t.Helper()
	denial := &v1alpha1.ActionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "deny-" + action}}
	text := fmt.Sprintf(`{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: %s}, spec: {match: {actions: {names: [%s]}}, rules: [{name: closed, effect: Deny}]}}`, denial.Name, action)
	if err := cluster.Apply(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := client.IgnoreNotFound(admin(t).Delete(context.WithoutCancel(t.Context()), denial)); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(lift)
	return lift
}

// TestAgreedInTime: who agreed in time has agreed, also where something kept their votes from being counted until after the end.
func TestAgreedInTime(t *testing.T) {
	r := reaches(t, ask(t, "one-hour", nil), v1alpha1.PhaseAwaitingApproval)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	lift := deniedFor(t, "one-hour")
	reaches(t, r, v1alpha1.PhaseHeld)
	if err := approve(t, users.Bob, open); err != nil {
		t.Fatal(err)
	}
	step(t, 61*time.Minute)
	stays(t, r, v1alpha1.PhaseHeld)
	lift()
	reaches(t, r, v1alpha1.PhaseSucceeded)
	approval(t, r, v1alpha1.ApprovalApproved)
}

// TestStageExpiresWhileHeld: time goes on for approvers while something else keeps a request, since nobody may agree after it.
func TestStageExpiresWhileHeld(t *testing.T) {
	r := reaches(t, ask(t, "one-hour", nil), v1alpha1.PhaseAwaitingApproval)
	deniedFor(t, "one-hour")
	reaches(t, r, v1alpha1.PhaseHeld)
	step(t, 59*time.Minute)
	stays(t, r, v1alpha1.PhaseHeld)
	step(t, time.Minute)
	reaches(t, r, v1alpha1.PhaseExpired)
	approval(t, r, v1alpha1.ApprovalExpired)
}

func TestRequestExpires(t *testing.T) {
	// Other tests may have moved the clock, and the time of a request counts from when the API server says that it was made.
	ttl := time.Until(clock.Now()).Truncate(time.Minute) + 2*time.Hour
	if err := cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: expires}
spec:
  title: expires
  default: {effect: RequireApproval}
  requestTTL: %dm
  execution:
    serviceAccountName: deployer
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: expires}}]}}
`, int(ttl.Minutes()))); err != nil {
		t.Fatal(err)
	}
	r := reaches(t, ask(t, "expires", nil), v1alpha1.PhaseAwaitingApproval)
	step(t, 121*time.Minute)
	reaches(t, r, v1alpha1.PhaseExpired)
}

func TestNotBefore(t *testing.T) {
	at := metav1.NewTime(clock.Now().Add(30 * time.Minute))
	r := ask(t, "free", func(s *v1alpha1.ActionRequestSpec) { s.NotBefore = &at })
	held := reaches(t, r, v1alpha1.PhaseHeld)
	if !strings.HasPrefix(held.Status.WaitingFor, "notBefore ") {
		t.Errorf("waitingFor: %q", held.Status.WaitingFor)
	}
	step(t, 31*time.Minute)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	// One that will be over by then says so.
	late := metav1.NewTime(clock.Now().Add(400 * 24 * time.Hour))
	held = reaches(t, ask(t, "free", func(s *v1alpha1.ActionRequestSpec) { s.NotBefore = &late }), v1alpha1.PhaseHeld)
	if !slices.ContainsFunc(held.Status.Conditions, func(c metav1.Condition) bool { return strings.Contains(c.Message, "; expires before that, ") }) {
		t.Errorf("it looks as if it would run: %+v", held.Status.Conditions)
	}
}

// TestApprovalOutlivesItsNeed plays an Action that needs an approval today only: tomorrow the request runs by itself.
func TestApprovalOutlivesItsNeed(t *testing.T) {
	today(t)
	r := reaches(t, ask(t, "free-from-tomorrow", nil), v1alpha1.PhaseAwaitingApproval)
	if r.Status.Verdict == nil || r.Status.Verdict.NextChange == nil {
		t.Fatalf("the verdict must say when time changes it: %+v", r.Status.Verdict)
	}
	moveTo(t, r.Status.Verdict.NextChange.Time)
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestHoldCollectsVotes plays a hold that ends by itself: votes are collected meanwhile, and the start comes at the right time.
func TestHoldCollectsVotes(t *testing.T) {
	today(t)
	r := reaches(t, ask(t, "held-today", nil), v1alpha1.PhaseAwaitingApproval)
	if err := approve(t, users.Bob, approval(t, r, v1alpha1.ApprovalOpen)); err != nil {
		t.Fatal(err)
	}
	held := reaches(t, r, v1alpha1.PhaseHeld)
	if !strings.Contains(held.Status.WaitingFor, "rule today") || !strings.Contains(held.Status.WaitingFor, "until") {
		t.Errorf("waitingFor: %q", held.Status.WaitingFor)
	}
	moveTo(t, held.Status.Verdict.NextChange.Add(-time.Second))
	stays(t, r, v1alpha1.PhaseHeld)
	step(t, time.Second)
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestApprovalIsValidFor plays an approval that is too old when the start is possible: the stage opens again.
func TestApprovalIsValidFor(t *testing.T) {
	at := metav1.NewTime(clock.Now().Add(3 * time.Hour))
	r := ask(t, "valid-for-an-hour", func(s *v1alpha1.ActionRequestSpec) { s.NotBefore = &at })
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	first := approval(t, r, v1alpha1.ApprovalOpen)
	if err := approve(t, users.Bob, first); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseHeld)
	step(t, 61*time.Minute)
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	if approval(t, r, v1alpha1.ApprovalSuperseded).Name != first.Name {
		t.Error("the approval that is too old must be superseded")
	}
	second := approval(t, r, v1alpha1.ApprovalOpen)
	moveTo(t, at.Add(time.Minute))
	if err := approve(t, users.Carol, second); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestVoterLosesTheRole plays somebody who may no longer approve when the start is possible: the vote does not count any more.
func TestVoterLosesTheRole(t *testing.T) {
	ctx := t.Context()
	at := metav1.NewTime(clock.Now().Add(time.Hour))
	r := ask(t, "free-after-approval", func(s *v1alpha1.ActionRequestSpec) { s.NotBefore = &at })
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	eventually(t, "the vote of dave", func() (bool, string) {
		err := approve(t, users.Dave, open)
		return err == nil, fmt.Sprint(err)
	})
	reaches(t, r, v1alpha1.PhaseHeld)
	role := &v1alpha1.Role{}
	if err := admin(t).Get(ctx, types.NamespacedName{Namespace: env.CatalogNamespace, Name: "dave"}, role); err != nil {
		t.Fatal(err)
	}
	if err := as(t, users.Ada).Delete(ctx, role.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		role.ObjectMeta = metav1.ObjectMeta{Namespace: role.Namespace, Name: role.Name}
		_ = admin(t).Create(context.Background(), role)
	})
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval(t, r, v1alpha1.ApprovalSuperseded)
	moveTo(t, at.Add(time.Minute))
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
}
