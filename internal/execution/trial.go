package execution

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/steps"
)

// trialTime is how long it is tried: webhooks can take theirs.
const trialTime = 10 * time.Second

// Refusal is what the API server would refuse.
type Refusal struct {
	// Write is what would be sent, and Step by which step.
	Write *v1alpha1.RenderedWrite
	Step  string
	// Doing says what would be done, Reason in one word why not, and Message what the API server says.
	Doing, Reason, Message string
	// Right says that it is for want of a right, of which the message tells nothing else.
	Right bool
}

// Untried is a write that could not be tried, and why.
type Untried struct {
	Object v1alpha1.ObjectReference
	Step   string
	Why    string
}

// Answered is a write that would be accepted, and what the object would be after it.
type Answered struct {
	Write *v1alpha1.RenderedWrite
	Step  string
	Got   map[string]any
}

// Trial is what dry runs have told.
type Trial struct {
	Refusals []Refusal
	Untried  []Untried
	// Answered are the writes that were tried, but for deletions.
	Answered []Answered
}

// comes is an object that an earlier step writes, or deletes. Without an object it can be any: nobody knows what a Job or a call does.
type comes struct {
	object  v1alpha1.ObjectReference
	step    string
	deletes bool
}

// decides tells whether an object will be another one by then: the same was written, in whichever version, or what it is in deleted.
func (e comes) decides(ref v1alpha1.ObjectReference) bool {
	here, at := kinds.PlaceOf(&e.object), kinds.PlaceOf(&ref)
	return here == at || e.deletes && here.Holds(at)
}

// Try sends what the steps of a Record write as dry runs, as its ServiceAccount, and says what the API server would refuse now: for want of a right, by
// a schema, a quota or a webhook. Nothing is stored. What depends on an earlier write cannot be tried before that is done, and neither can what holds
// a value that is not known yet, of which the plan tells already. What cannot be told at the moment is named, and no decision rests on any of it.
//
// Hides tells of which writes the answer could give away values that are not shown. Of those it is told that a right is missing, and nothing else.
func (r *Runner) Try(ctx context.Context, record *v1alpha1.Record, hides func(step string, w *v1alpha1.RenderedWrite) bool) Trial {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	var out Trial
	var earlier []comes
	all := slices.Concat(record.Spec.Steps, record.Spec.Finally)
	for i := range all {
		t := &task{Runner: r, record: record, step: &all[i], now: r.clock.Now()}
		for j := range t.step.Writes {
			w := &t.step.Writes[j]
			if len(w.Late) == 0 {
				t.tryInto(ctx, w, hides, earlier, &out)
			}
			earlier = append(earlier, t.makes(w))
		}
		if t.step.HTTP != nil && !t.isSafe() {
			earlier = append(earlier, comes{step: t.step.Name})
		}
	}
	return out
}

// makes is what a write of the step leaves to later ones.
func (t *task) makes(w *v1alpha1.RenderedWrite) comes {
	if w.Operation == v1alpha1.WriteCreateJob {
		return comes{step: t.step.Name}
	}
	return comes{w.Object, t.step.Name, w.Operation == v1alpha1.WriteDelete}
}

// untold is said of every write to an object with values that are hidden, whatever the API server answers: by a test in a patch, a conflict, or a field
// that may not change, whoever writes a guess would learn whether it is right.
const untold = "what the API server would answer is not told before it runs, since that could give away what is hidden"

// tryInto tries one write, and notes what that has told.
func (t *task) tryInto(ctx context.Context, w *v1alpha1.RenderedWrite, hides func(step string, w *v1alpha1.RenderedWrite) bool, earlier []comes, out *Trial) {
	why := ""
	before := func(e comes) bool { return e.decides(w.Object) }
	if i := slices.IndexFunc(earlier, before); t.step.When != "" {
		why = "it runs only when its condition holds then"
	} else if i >= 0 {
		why = untilThen(earlier[i])
	} else if got, err := t.try(ctx, w); !unauthorized(err) && hides(t.step.Name, w) {
		why = untold
	} else if err != nil {
		if why = tellsNothing(w, err, earlier); why == "" {
			out.Refusals = append(out.Refusals, t.refusal(w, err))
		}
	} else if got != nil {
		out.Answered = append(out.Answered, Answered{Write: w, Step: t.step.Name, Got: got.Object})
	}
	if why != "" {
		out.Untried = append(out.Untried, Untried{Object: w.Object, Step: t.step.Name, Why: why})
	}
}

func untilThen(e comes) string { return "it cannot be tried before step " + e.step + " has run" }

// try sends one write as a dry run, and gives what the object would be then. Nil: there would be none, or it is there already.
func (t *task) try(ctx context.Context, w *v1alpha1.RenderedWrite) (*unstructured.Unstructured, error) {
	switch w.Operation {
	case v1alpha1.WriteCreateJob:
		return t.tryJob(ctx, w)
	case v1alpha1.WriteDelete:
		return nil, t.tryDelete(ctx, w)
	default:
		return t.sendAs(ctx, w, metav1.DryRunAll)
	}
}

func (t *task) tryDelete(ctx context.Context, w *v1alpha1.RenderedWrite) error {
	options, err := deletion(w)
	if err != nil || options == nil {
		return err
	}
	resource, err := t.resource(w.Object)
	if err != nil {
		return err
	}
	options.DryRun = []string{metav1.DryRunAll}
	return resource.Delete(ctx, w.Object.Name, *options)
}

func (t *task) tryJob(ctx context.Context, w *v1alpha1.RenderedWrite) (*unstructured.Unstructured, error) {
	job := &unstructured.Unstructured{}
	if err := job.UnmarshalJSON(w.Body.Raw); err != nil {
		return nil, err
	}
	got, err := t.createAs(ctx, w, job, metav1.DryRunAll)
	if apierrors.IsAlreadyExists(err) {
		return nil, nil //nolint:nilnil // of an earlier plan
	}
	return got, err
}

// tellsNothing says why an error does not tell whether a write would be refused. Empty: it would be.
func tellsNothing(w *v1alpha1.RenderedWrite, err error, earlier []comes) string {
	if isTransient(err) {
		if answeredWithError(err) {
			return "" // a webhook that is down now says in its words why nothing could be written now
		}
		return "the API server gave no answer in time"
	}
	if i := slices.IndexFunc(earlier, func(e comes) bool { return e.mends(w, err) }); i >= 0 {
		return untilThen(earlier[i])
	}
	return ""
}

// mends tells whether what is refused now may not be any more once the earlier step has run: what is missing may be there, and a right be given.
func (e comes) mends(w *v1alpha1.RenderedWrite, err error) bool {
	anything := e.object == v1alpha1.ObjectReference{}
	switch {
	case unauthorized(err):
		reaches := e.object.Namespace == "" || e.object.Namespace == w.Object.Namespace
		return anything || !e.deletes && reaches && strings.HasPrefix(e.object.APIVersion, rbacv1.GroupName+"/")
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return anything || e.object.Kind == "Namespace" && e.object.Name == w.Object.Namespace || e.object.Kind == "CustomResourceDefinition"
	}
	return false
}

// answeredWithError tells whether the API server has said in words what keeps it from doing something at the moment.
func answeredWithError(err error) bool {
	status, ok := statusOf(err)
	return ok && status.Code >= http.StatusInternalServerError && status.Message != ""
}

func (t *task) refusal(w *v1alpha1.RenderedWrite, err error) Refusal {
	reason, right := string(apierrors.ReasonForError(err)), unauthorized(err)
	if reason == "" {
		reason = string(metav1.StatusReasonInvalid) // the API server has no word for what does not fit a schema
	}
	if steps.OnSecret(t.step) {
		err = discreet(err)
	}
	message := explain(doing(w), err)
	if isTransient(err) {
		message = oneLine("at the moment: " + message + ". When it runs, it is tried again until its time is over")
	}
	return Refusal{Write: w, Step: t.step.Name, Doing: doing(w), Reason: reason, Message: message, Right: right}
}
