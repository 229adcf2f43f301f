package execution

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
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
}

// newPlay makes a play of the step, which is YAML, in which NS stands for a namespace of its own.
func newPlay(t testing.TB, step string) *play {
	t.Helper()
	p := &play{t: t, cfg: operator, namespace: newNamespace(t), clock: clocktesting.NewFakePassiveClock(time.Now())}
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
func (p *play) restart() { p.runner = NewRunner(newClients(p.t, p.cfg), p.egress, p.clock) }

// call calls Step without storing what it returns.
func (p *play) call() (Outcome, error) {
	p.t.Helper()
	return p.runner.Step(p.t.Context(), p.record, p.step, p.status)
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
