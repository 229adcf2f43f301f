package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// budget is the namespace of the Actions that count executions.
const budget = "budget"

// budgets installs what the tests of budgets act on, and the Actions, all with one lookup.
func budgets(t *testing.T, lookup string, actions ...string) {
	t.Helper()
	namespace(t, budget)
	if _, err := cluster.ServiceAccount(t.Context(), budget, "writer"); err != nil {
		t.Fatal(err)
	}
	if err := signoff.Grant(t.Context(), budget, "writer"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.ApplyFile(t.Context(), "test/integration/testdata/budget.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, name := range actions {
		if err := cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: budget, name: %s}
spec:
  title: Counted
  lookups: [%s]
  rules:
  - {name: within, when: "size(recent) < 4", effect: Allow}
  - {name: over, when: "size(recent) >= 4", effect: RequireApproval, message: four an hour are the budget}
  execution:
    serviceAccountName: writer
    steps: [{name: note, apply: {conflicts: Take, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: budget, name: "note-${request.uid}"}}]}}]
`, name, lookup)); err != nil {
			t.Fatal(err)
		}
	}
	inForce(t, actions...)
}

// inForce waits until the snapshot has the Actions.
func inForce(t *testing.T, actions ...string) {
	t.Helper()
	for _, name := range actions {
		eventually(t, "Action "+name+" is in force", func() (bool, string) {
			action, errs := signoff.Process.Store.Current().Action(v1alpha1.ActionReference{Namespace: budget, Name: name})
			return action != nil && action.Counts, fmt.Sprint(errs)
		})
	}
}

// atOnce makes so many requests at the same instant, for the Actions in turn.
func atOnce(t *testing.T, who env.Person, count int, actions ...string) []*v1alpha1.ActionRequest {
	t.Helper()
	c, start := as(t, who), make(chan struct{})
	made, errs := make([]*v1alpha1.ActionRequest, count), make([]error, count)
	var asking sync.WaitGroup
	for i := range count {
		made[i] = request(actions[i%len(actions)], `{}`)
		made[i].Spec.ActionRef.Namespace = budget
		asking.Go(func() { <-start; errs[i] = insist(t, c, made[i]) })
	}
	close(start)
	asking.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return made
}

// insist makes a request, again where the API server was too busy to say what was executed: then nothing is decided, and nothing stored.
func insist(t *testing.T, c client.Client, r *v1alpha1.ActionRequest) error {
	t.Helper()
	for until := time.Now().Add(play.Patience); ; {
		attempt := r.DeepCopy()
		err := c.Create(t.Context(), attempt)
		if err == nil {
			*r = *attempt
		}
		if err == nil || !strings.Contains(err.Error(), "cannot read lookup recent") || time.Now().After(until) {
			return err
		}
	}
}

// settles waits until every request has run or waits for a person, and counts both.
func settles(t *testing.T, requests []*v1alpha1.ActionRequest) (ran, wait int) {
	t.Helper()
	eventually(t, "every request runs or waits", func() (bool, string) {
		ran, wait = 0, 0
		var other []string
		for _, r := range requests {
			live := &v1alpha1.ActionRequest{}
			if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
				return false, err.Error()
			}
			switch live.Status.Phase {
			case v1alpha1.PhaseSucceeded:
				ran++
			case v1alpha1.PhaseAwaitingApproval:
				wait++
			default:
				other = append(other, string(live.Status.Phase))
			}
		}
		return ran+wait == len(requests), fmt.Sprintf("%d ran, %d wait, others: %v", ran, wait, other)
	})
	return ran, wait
}

// rounds is how often a race is tried.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SIGNOFF_TEST_ROUNDS")
	if text == "" {
		return 3
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

const ownHour = "{as: recent, executions: {within: 1h, by: Requester}}"

// TestBudgetAtOneInstant asks ten times at the same instant: exactly the budget runs.
func TestBudgetAtOneInstant(t *testing.T) {
	run := time.Now().UnixNano()
	for round := range rounds(t) {
		name := fmt.Sprintf("counted-%d-%d", run, round)
		budgets(t, ownHour, name)
		requests := atOnce(t, users.Agent, 10, name)
		if ran, wait := settles(t, requests); ran != 4 || wait != 6 {
			t.Fatalf("round %d: want 4 to run and 6 to wait, got %d and %d", round, ran, wait)
		}
		// Somebody else has a budget of their own.
		reaches(t, atOnce(t, users.Alice, 1, name)[0], v1alpha1.PhaseSucceeded)
	}
}

// TestBudgetOfSeveralActions asks for two Actions at the same instant that have one budget.
func TestBudgetOfSeveralActions(t *testing.T) {
	run := time.Now().UnixNano()
	for round := range rounds(t) {
		first, second := fmt.Sprintf("first-%d-%d", run, round), fmt.Sprintf("second-%d-%d", run, round)
		budgets(t, fmt.Sprintf("{as: recent, executions: {within: 1h, actions: [%s, %s]}}", first, second), first, second)
		if ran, wait := settles(t, atOnce(t, users.Agent, 10, first, second)); ran != 4 || wait != 6 {
			t.Fatalf("round %d: want 4 to run and 6 to wait, got %d and %d", round, ran, wait)
		}
	}
}

// TestBudgetOver lets a person agree to what is over the budget, and shows what people read meanwhile.
func TestBudgetOver(t *testing.T) {
	name := fmt.Sprintf("over-%d", time.Now().UnixNano())
	budgets(t, ownHour, name)
	for _, r := range atOnce(t, users.Agent, 4, name) {
		reaches(t, r, v1alpha1.PhaseSucceeded)
	}
	over := reaches(t, atOnce(t, users.Agent, 1, name)[0], v1alpha1.PhaseAwaitingApproval)
	rule := over.Status.Verdict.Rules[0]
	if text := strings.Join(rule.Because, " "); rule.Message != "four an hour are the budget" || text != "size(recent) is 4, which is at least 4" {
		t.Errorf("the agent reads how much is used up: %q, %q", rule.Message, text)
	}
	// The instant is rounded up to a whole second.
	if next := over.Status.Verdict.NextChange; next == nil || time.Until(next.Time) > time.Hour+time.Second || time.Until(next.Time) < 58*time.Minute {
		t.Errorf("it is judged again when the first no longer counts, in about an hour: %v", next)
	}
	still(t, over)
	if err := vote(t, users.Bob, &approvalsOf(t, over, 1)[0], "Approve", ""); err != nil {
		t.Fatal(err)
	}
	reaches(t, over, v1alpha1.PhaseSucceeded)
}

// still demands that nothing is written to a request that waits.
func still(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	// Something else is written meanwhile, which must not make the verdict another one.
	before := &v1alpha1.ActionRequest{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), before); err != nil {
		t.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	changes, err := admin(t).Watch(deadline, &v1alpha1.ActionRequestList{}, client.InNamespace(r.Namespace), &client.ListOptions{
		Raw: &metav1.ListOptions{ResourceVersion: before.ResourceVersion, FieldSelector: "metadata.name=" + r.Name},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Stop()
	for change := range changes.ResultChan() {
		if object, err := meta.Accessor(change.Object); err == nil {
			t.Errorf("nothing has changed, and it was written again: %s %s", change.Type, object.GetResourceVersion())
		}
	}
}

// TestListsDoNotStorm lets a request wait whose lookup is a list that is not watched: nothing is judged or written again and again.
func TestListsDoNotStorm(t *testing.T) {
	name := fmt.Sprintf("listing-%d", time.Now().UnixNano())
	budgets(t, ownHour)
	if err := cluster.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: budget, name: %s}
spec:
  title: Lists
  lookups: [{as: maps, list: {apiVersion: v1, kind: ConfigMap, namespace: budget, selector: {matchLabels: {of: "${requester.username}"}}}}]
  rules: [{name: none, when: "size(maps) == 0", effect: RequireApproval}]
  execution:
    serviceAccountName: writer
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: budget, name: "note-${request.uid}"}}]}}]
`, name)); err != nil {
		t.Fatal(err)
	}
	r := request(name, `{}`)
	r.Spec.ActionRef.Namespace = budget
	still(t, reaches(t, ask(t, users.Alice, r), v1alpha1.PhaseAwaitingApproval))
}

// TestBudgetThatTheRequesterCanChange refuses who could remove Records.
func TestBudgetThatTheRequesterCanChange(t *testing.T) {
	name := fmt.Sprintf("own-%d", time.Now().UnixNano())
	budgets(t, ownHour, name)
	r := request(name, `{}`)
	r.Spec.ActionRef.Namespace = budget
	refusedFor(t, users.Ada, r, "can be changed by you (ada), so recent cannot decide this.")
}
