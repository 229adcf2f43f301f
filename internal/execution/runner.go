package execution

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/steps"
)

// remembered bounds what a Runner keeps in memory. Forgetting makes it more careful, or slower, and nothing else.
const remembered = 1024

// Runner does the steps of Records, one thing at a time. It is safe for concurrent use, but not for one Record at a time.
type Runner struct {
	clients *Clients
	egress  *egress.Policy
	clock   clock.PassiveClock
	// programs are compiled expressions by their source.
	programs *lru.Cache
	// unsent are the JSON patches and calls that this process has announced and certainly not sent.
	unsent *lru.Cache
	// noted are the versions of objects to which writes are about to be sent, since it was stored how they are taken back.
	noted *lru.Cache
	// doubts are, by Record, the attempt of which nobody here can tell whether it has sent something, as long as the Record says nothing of it.
	doubts *lru.Cache
	// hindrances are what kept attempts from being done when they were tried last.
	hindrances *lru.Cache
	// calls are those that are made beside the workers, and wake tells that one has come to an end.
	calls *calls
	wake  func(client.Object)
	// budget is for what expressions cost that belong to an Action of a namespace.
	budget func(namespace string) *expression.Budget
}

// NewRunner returns a Runner that writes by these clients, and calls hosts as the policy allows. It calls wake with a request when something has
// come to an end that its step waits for, from any goroutine. What conditions and outputs cost counts towards the budget of the namespace of the
// Action.
func NewRunner(clients *Clients, policy *egress.Policy, clk clock.PassiveClock, wake func(client.Object), budget func(namespace string) *expression.Budget) *Runner {
	return &Runner{
		clients: clients, egress: policy, clock: clk, programs: lru.New(remembered), unsent: lru.New(remembered), noted: lru.New(remembered),
		doubts: lru.New(remembered), hindrances: lru.New(remembered), calls: newCalls(), wake: wake, budget: budget,
	}
}

// Forget ends what runs for a request that is over.
func (r *Runner) Forget(request types.UID) { r.calls.dropOthers(request, "") }

// Withdraw takes back what a step has announced and not sent, and tells whether it could: then nothing is cut in two where the request ends here.
func (r *Runner) Withdraw(record *v1alpha1.Record, step *v1alpha1.RenderedStep, status *v1alpha1.StepStatus) bool {
	if !OnlyAnnounced(status) {
		return false
	}
	t := r.newTask(record, step, *status)
	t.takeBack()
	return t.isUnsent()
}

// Stop ends everything, and returns when nothing runs any more.
func (r *Runner) Stop() { r.calls.end() }

// Outcome is what Step did.
type Outcome struct {
	// Status is the new state of the step.
	Status v1alpha1.StepStatus
	// Waiting are the objects on which the step waits: watch them, and call Step again when one changes.
	Waiting []v1alpha1.ObjectReference
	// At is when to call Step again, where the step is tried again after a pause. Zero: there is no pause.
	At time.Time
	// Intent says that Status must be stored before Step is called again. If it cannot be stored, do not call.
	Intent bool
}

// Step does the next thing for one step of a claimed Record and returns the new state of the step. It never sleeps or polls.
// Status is what is stored about the step; a zero State for a step that has not begun.
//
// An error is transient: call again after a while. The Outcome beside it holds startedAt, from which the timeout of the step counts
// if it is stored. A final failure is no error, but a Status that is Failed, with a message for people.
func (r *Runner) Step(ctx context.Context, record *v1alpha1.Record, step *v1alpha1.RenderedStep, status v1alpha1.StepStatus) (Outcome, error) {
	if status.State != "" && status.State != v1alpha1.StepStarted {
		return Outcome{Status: status}, nil
	}
	t := r.newTask(record, step, status)
	r.calls.dropOthers(t.uid(), step.Name)
	if len(step.Writes) == 0 && step.HTTP == nil {
		return t.fail("the step writes nothing"), nil
	}
	if t.temporary() && !undoable(step) {
		return t.fail("what the step does cannot be taken back, and the request is temporary"), nil
	}
	for _, before := range []func(context.Context) (*Outcome, error){t.noSecret, t.pause, t.reached, t.fillIn} {
		if out, err := before(ctx); out != nil || err != nil {
			return t.orStatus(out), err
		}
	}
	return t.do(ctx)
}

// do does the next thing for a step that has begun.
func (t *task) do(ctx context.Context) (Outcome, error) {
	if t.step.HTTP != nil {
		return t.call(ctx)
	}
	switch kind := t.step.Writes[0].Operation; kind {
	case v1alpha1.WriteApply, v1alpha1.WriteStrategicPatch, v1alpha1.WriteMergePatch:
		return t.repeatable(ctx)
	case v1alpha1.WriteJSONPatch:
		return t.jsonPatch(ctx)
	case v1alpha1.WriteCreateJob:
		return t.job(ctx)
	case v1alpha1.WriteDelete:
		return t.remove(ctx)
	default:
		return t.fail("operation %q is not known to this version of Signoff", kind), nil
	}
}

// announcement names what is about to be done, as it is stored. What this process remembers of it counts only while the Record says the very
// same: where it could not be stored, or another process has announced its own since, nothing may rest on it.
type announcement struct{ uid, step, basis string }

// announces notes that something is about to be done. It must be stored first.
func (t *task) announces(basis string) {
	t.status.Basis, t.status.Message = basis+"/"+string(uuid.NewUUID()), ""
}

func (t *task) announcement() announcement {
	return announcement{string(t.uid()), t.step.Name, t.status.Basis}
}

// task is one call of Step.
type task struct {
	*Runner
	record *v1alpha1.Record
	step   *v1alpha1.RenderedStep
	status v1alpha1.StepStatus
	now    time.Time
	limit  limit
	// repeat says that the step may be tried again where it fails: nothing was done, what was done can be done again, or it is known how it
	// ended.
	repeat bool
	// notBefore is when a host wants to be called again. Zero: it does not say.
	notBefore time.Time
	// earlier is what the steps before gave, once something asked.
	earlier *steps.Earlier
	// unseen says what could not be looked at of how a Job ended.
	unseen string
	// later says that an expression had no turn: what it says is to be asked again in a while, although nothing changes.
	later bool
}

func (r *Runner) newTask(record *v1alpha1.Record, step *v1alpha1.RenderedStep, status v1alpha1.StepStatus) *task {
	t := &task{Runner: r, record: record, step: step, status: status, now: r.clock.Now()}
	t.status.Name, t.status.State = step.Name, v1alpha1.StepStarted
	if t.status.StartedAt == nil {
		t.status.StartedAt = &metav1.Time{Time: t.now.Truncate(time.Second)}
	}
	t.limit = limitOf(record, step, t.status.StartedAt)
	t.firstSight()
	return t
}

// evaluate evaluates a condition. Where there is no turn for it, it is to be asked again.
func (t *task) evaluate(ctx context.Context, program *expression.Program, values map[string]any) (bool, error) {
	holds, err := program.EvalBool(ctx, expression.Vars{Values: values, Now: t.now}, t.share())
	t.later = t.later || expression.Later(err)
	return holds, err
}

// share is what expressions may cost.
func (t *task) share() *expression.Budget { return t.budget(t.record.Spec.ActionRef.Namespace) }

// get reads an object as the executing ServiceAccount.
func (t *task) get(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	return t.clients.Get(ctx, t.record.Spec.ActionRef.Namespace, t.record.Spec.ServiceAccountName, ref)
}

// resource is the client of the executing ServiceAccount for an object.
func (t *task) resource(ref v1alpha1.ObjectReference) (dynamic.ResourceInterface, error) {
	return t.clients.Resource(t.record.Spec.ActionRef.Namespace, t.record.Spec.ServiceAccountName, &ref)
}

func (t *task) expired() bool { return !t.now.Before(t.limit.end) }

// fail ends the step.
func (t *task) fail(format string, args ...any) Outcome {
	return t.end(v1alpha1.StepFailed, oneLine(fmt.Sprintf(format, args...)))
}

// done ends the step well, with what could not be looked at.
func (t *task) done() Outcome { return t.end(v1alpha1.StepDone, t.unseen) }

// doneAs ends the step well, with a word about how.
func (t *task) doneAs(format string, args ...any) Outcome {
	return t.end(v1alpha1.StepDone, oneLine(fmt.Sprintf(format, args...)))
}

func (t *task) end(state v1alpha1.StepState, message string) Outcome {
	t.status.State, t.status.Message = state, message
	t.status.FinishedAt = &metav1.Time{Time: t.now.Truncate(time.Second)}
	return Outcome{Status: t.status}
}

// failed judges an error: final ones end the step, transient ones are for the caller to repeat, until the time is over.
func (t *task) failed(doing string, err error) (Outcome, error) {
	if steps.OnSecret(t.step) {
		err = discreet(err)
	}
	if !isTransient(err) && !t.kindComes(err) {
		return t.giveUp("%s", explain(doing, err)), nil
	}
	if t.expired() {
		return t.fail("%s; %s is over", explain(doing, err), t.limit.name), nil
	}
	return t.again(doing, err)
}

// kindComes tells whether an error says no more than that the API server does not serve a kind yet that an earlier step has defined.
func (t *task) kindComes(err error) bool {
	if !unserved(err) {
		return false
	}
	coming := kinds.Coming(slices.Concat(t.record.Spec.Steps, t.record.Spec.Finally))
	return slices.ContainsFunc(t.step.Writes, func(w v1alpha1.RenderedWrite) bool { return coming[w.Object] != "" })
}

// again is about an error after which it is tried again, whatever the time.
func (t *task) again(doing string, err error) (Outcome, error) {
	t.status.Message = t.hindered(explain(doing, err))
	if apierrors.IsConflict(err) {
		err = raced{err}
	}
	return Outcome{Status: t.status}, fmt.Errorf("failed to %s: %w", doing, err)
}

// hindered says what keeps a step from being done at the moment. Others word that anew each time, so that it changes now and then only: what is shown is
// written, and each write would bring the next try.
func (t *task) hindered(why string) string {
	until := "tried until " + moment(t.limit.end)
	if t.expired() {
		until = t.limit.name + " is over, and it is tried until that is known" // of what may run
	}
	return t.steady(t.attempt(), why, oneLine(fmt.Sprintf("cannot be done at the moment: %s; %s", why, until)))
}

// steady gives what is shown of a hindrance: the words of the first try, for a while.
func (t *task) steady(of attempt, why, message string) string {
	key := hindranceKey{keyOf(t.record), of}
	if found, known := t.hindrances.Get(key); known {
		if last := found.(hindrance); t.now.Before(last.until) { //nolint:forcetypeassert // nothing else is stored
			last.why = why
			t.hindrances.Add(key, last)
			return last.message
		}
	}
	t.hindrances.Add(key, hindrance{why, message, t.now.Add(sameWords)})
	return message
}

// sameWords is how long a hindrance is shown in the same words.
const sameWords = 30 * time.Second

type hindranceKey struct {
	doubtKey
	attempt
}

// hindrance is why an attempt could not be done, how that is shown, and until when it is shown so.
type hindrance struct {
	why, message string
	until        time.Time
}

// waiting says what the step waits for.
func (t *task) waiting(message string) Outcome {
	t.status.Message = oneLine(message)
	out := Outcome{Status: t.status}
	if t.later {
		out.At = t.now.Add(lookAgain)
	}
	for i := range t.step.Writes {
		out.Waiting = append(out.Waiting, t.step.Writes[i].Object)
	}
	return out
}
