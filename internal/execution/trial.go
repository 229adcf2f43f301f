package execution

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/steps"
)

// trialTime is how long it is tried: webhooks can take theirs.
const trialTime = 10 * time.Second

// Refusal is what the API server would refuse.
type Refusal struct {
	// Object is what would be written, and Step by which step.
	Object v1alpha1.ObjectReference
	Step   string
	// Doing says what would be done, Reason in one word why not, and Message what the API server says.
	Doing, Reason, Message string
	// Right says that it is for want of a right, of which the message tells nothing else.
	Right bool
}

// Try sends what the steps of a Record write as dry runs, as its ServiceAccount, and says what the API server would refuse now: for want of a right, by
// a schema, a quota or a webhook. Nothing is stored. What depends on an earlier write cannot be tried before that is done, and neither can what holds
// a value that is not known yet. What cannot be told at the moment is left out: it is a warning for people, and no decision rests on it.
func (r *Runner) Try(ctx context.Context, record *v1alpha1.Record) []Refusal {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	var refusals []Refusal
	var earlier []v1alpha1.ObjectReference
	for i := range record.Spec.Steps {
		t := &task{Runner: r, record: record, step: &record.Spec.Steps[i], now: r.clock.Now()}
		for j := range t.step.Writes {
			w := &t.step.Writes[j]
			if len(w.Late) == 0 && t.step.When == "" && !slices.Contains(earlier, w.Object) {
				if err := t.try(ctx, w); t.refused(w, err, earlier) {
					refusals = append(refusals, t.refusal(w, err))
				}
			}
			earlier = append(earlier, w.Object)
		}
	}
	return refusals
}

// try sends one write as a dry run.
func (t *task) try(ctx context.Context, w *v1alpha1.RenderedWrite) error {
	switch w.Operation {
	case v1alpha1.WriteCreateJob:
		return t.tryJob(ctx, w)
	case v1alpha1.WriteDelete:
		return t.tryDelete(ctx, w)
	default:
		_, err := t.sendAs(ctx, w, metav1.DryRunAll)
		return err
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

func (t *task) tryJob(ctx context.Context, w *v1alpha1.RenderedWrite) error {
	job := &unstructured.Unstructured{}
	if err := job.UnmarshalJSON(w.Body.Raw); err != nil {
		return err
	}
	_, err := t.createAs(ctx, w, job, metav1.DryRunAll)
	if apierrors.IsAlreadyExists(err) {
		return nil // of an earlier plan
	}
	return err
}

// refused tells whether an error says that a write would be refused, and not only that it cannot be tried yet, or now.
func (t *task) refused(w *v1alpha1.RenderedWrite, err error, earlier []v1alpha1.ObjectReference) bool {
	if err == nil || isTransient(err) {
		return false
	}
	comes := slices.ContainsFunc(earlier, func(ref v1alpha1.ObjectReference) bool {
		return ref.Kind == "Namespace" && ref.Name == w.Object.Namespace || ref.Kind == "CustomResourceDefinition"
	})
	return !comes || !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err)
}

func (t *task) refusal(w *v1alpha1.RenderedWrite, err error) Refusal {
	reason, account := string(apierrors.ReasonForError(err)), identity.ServiceAccountUsername(t.record.Spec.ActionRef.Namespace, t.record.Spec.ServiceAccountName)
	if reason == "" {
		reason = string(metav1.StatusReasonInvalid) // the API server has no word for what does not fit a schema
	}
	right := apierrors.IsForbidden(err) && strings.Contains(err.Error(), fmt.Sprintf("User %q cannot ", account))
	if steps.OnSecret(t.step) {
		err = discreet(err)
	}
	return Refusal{Object: w.Object, Step: t.step.Name, Doing: doing(w), Reason: reason, Message: explain(doing(w), err), Right: right}
}
