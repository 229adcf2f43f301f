package execution

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/expression"
)

// requestUID is the uid of the request of every test.
const requestUID = types.UID("6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002")

// play is one step of one Record that is executed.
type play struct {
	t         testing.TB
	cfg       *rest.Config
	egress    *egress.Policy
	clock     *clocktesting.FakePassiveClock
	runner    *Runner
	record    *v1alpha1.Record
	step      *v1alpha1.RenderedStep
	status    v1alpha1.StepStatus
	namespace string
	woken     chan struct{}
	meter     expression.Meter
}

// newPlay makes a play of the step, which is YAML, in which NS stands for a namespace of its own.
func newPlay(t testing.TB, step string) *play {
	t.Helper()
	p := &play{t: t, cfg: operator, woken: make(chan struct{}, 64), namespace: newNamespace(t), clock: clocktesting.NewFakePassiveClock(time.Now())}
	p.record = &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: "signoff-system", Name: string(requestUID)}}
	p.record.Spec = v1alpha1.RecordSpec{
		RequestRef:         v1alpha1.RecordRequestReference{Namespace: "payments", Name: "checkout-1", UID: requestUID},
		ActionRef:          v1alpha1.ActionReference{Namespace: "platform", Name: "deploy"},
		ServiceAccountName: "deployer", ClaimedAt: metav1.NewMicroTime(p.clock.Now()), Timeout: "30m",
	}
	p.step = &v1alpha1.RenderedStep{}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(step, "NS", p.namespace)), p.step); err != nil {
		t.Fatal(err)
	}
	p.restart()
	return p
}

// restart is what a crash of the operator, or a change of the leader, does: everything that was in memory is gone.
func (p *play) restart() {
	p.runs(NewRunner(newClients(p.t, p.cfg), p.egress, p.clock, p.wake, p.budget))
}

func (p *play) runs(runner *Runner) {
	p.runner = runner
	p.t.Cleanup(runner.Stop)
}

// budget is for what expressions cost. The tests of a play can bound it.
func (p *play) budget(string) *expression.Budget {
	if p.meter == nil {
		return expression.NewBudget()
	}
	return expression.NewBudget().Under(p.meter)
}

// wake is called when something has come to an end that the step waits for.
func (p *play) wake(client.Object) { p.woken <- struct{}{} }

// call calls Step without storing what it returns, and again once a host that it calls has answered.
func (p *play) call() (Outcome, error) {
	p.t.Helper()
	for {
		before := p.runner.calls.of(requestUID)
		out, err := p.runner.Step(p.t.Context(), p.record, p.step, p.status)
		if err != nil || !slices.ContainsFunc(p.runner.calls.of(requestUID), func(r *running) bool { return r.do != nil && !slices.Contains(before, r) }) {
			return out, err
		}
		select {
		case <-p.woken:
		case <-time.After(patience):
			p.t.Fatalf("nobody was told of an answer: %+v", out)
		}
	}
}

// of gives the calls of a request.
func (c *calls) of(request types.UID) []*running {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.known[request]))
}

// next calls Step and stores what it returns.
func (p *play) next() Outcome {
	p.t.Helper()
	out, err := p.call()
	if err != nil {
		p.t.Fatal(err)
	}
	p.status = out.Status
	return out
}

// want calls Step and demands this state, with these words in the message.
func (p *play) want(state v1alpha1.StepState, words ...string) Outcome {
	p.t.Helper()
	out := p.next()
	p.check(out, state, words...)
	return out
}

func (p *play) check(out Outcome, state v1alpha1.StepState, words ...string) {
	p.t.Helper()
	ended := state != v1alpha1.StepStarted && state != v1alpha1.StepUnknown
	if out.Status.State != state || out.Status.StartedAt == nil || (out.Status.FinishedAt != nil) != ended {
		p.t.Fatalf("want %s, got %+v", state, out.Status)
	}
	for _, word := range words {
		if !strings.Contains(out.Status.Message, word) {
			p.t.Errorf("want %q in the message, got %q", word, out.Status.Message)
		}
	}
}

// apply makes objects as an administrator.
func (p *play) apply(manifests string) {
	p.t.Helper()
	if err := cluster.Apply(p.t.Context(), []byte(strings.ReplaceAll(manifests, "NS", p.namespace))); err != nil {
		p.t.Fatal(err)
	}
}

// data reads the ConfigMap of the tests.
func (p *play) data() map[string]string {
	p.t.Helper()
	got, err := admin.CoreV1().ConfigMaps(p.namespace).Get(p.t.Context(), "c", metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Data
}
