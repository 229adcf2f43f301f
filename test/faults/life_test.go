package faults

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// patience bounds one life, on a machine that is busy with other tests. While the API server is killed again and again, a life waits for watches that come
// back after up to half a minute each time: two to three minutes on a machine that does nothing else.
const patience = 10 * time.Minute

// shape is a kind of life.
type shape struct {
	action string
	// prepare makes what must be there before, and check says what is wrong at the end.
	prepare func(context.Context, *world, string) error
	check   func(context.Context, *world, *v1alpha1.ActionRequest) []string
}

var shapes = []shape{
	{"everything", prepareDeployment, checkEverything},
	{"unrepeatable", nil, checkUnrepeatable},
	{"lend", prepareLoan, checkReturned},
}

// live plays the life of one request, and checks at its end what was done.
func (w *world) live(t *testing.T, s shape, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begun := time.Now()
	defer func() { t.Logf("%s %s took %s, fired %d", name, s.action, time.Since(begun), w.script.fired()) }()
	if s.prepare != nil {
		if err := w.calmly(func() error { return s.prepare(ctx, w, name) }); err != nil {
			t.Errorf("%s: failed to prepare: %v", name, err)
			return
		}
	}
	r := play.Request(s.action, fmt.Sprintf(`{"name":%q}`, name))
	r.GenerateName, r.Name = "", name
	if err := w.ask(ctx, r); err != nil {
		t.Errorf("%s: failed to ask: %v", name, err)
		return
	}
	for r.Status.Outcome == "" {
		_ = w.calmly(func() error { w.people(ctx, t, r); return nil })
		select {
		case <-ctx.Done():
			t.Errorf("%s did not end within %s: %s, %+v", name, patience, r.Status.Phase, r.Status.Conditions)
			return
		case <-time.After(20 * time.Millisecond):
		}
		if err := w.calmly(func() error { return w.Admin(w).Get(ctx, client.ObjectKeyFromObject(r), r) }); err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
	_ = w.calmly(func() error {
		if problems := s.check(ctx, w, r); len(problems) > 0 {
			t.Errorf("%s: %s\n%s", name, strings.Join(problems, "; "), w.describe(ctx, r))
		}
		return nil
	})
}

// describe shows what a failed life looks like.
func (w *world) describe(ctx context.Context, r *v1alpha1.ActionRequest) string {
	record := &v1alpha1.Record{}
	err := w.Admin(w).Get(ctx, types.NamespacedName{Namespace: env.SystemNamespace, Name: string(r.UID)}, record)
	record.ManagedFields = nil
	text, err := yaml.Marshal(map[string]any{"request": r.Status, "record": record, "error": fmt.Sprint(err)})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// ask asks until the webhook knows the Action.
func (w *world) ask(ctx context.Context, r *v1alpha1.ActionRequest) error {
	for {
		err := w.calmly(func() error { return play.As(w, w.Users.Alice).Create(ctx, r) })
		if err == nil || ctx.Err() != nil {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// people do what the request waits for.
func (w *world) people(ctx context.Context, t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	switch r.Status.Phase {
	case v1alpha1.PhaseAwaitingApproval:
		w.approve(ctx, r)
	case v1alpha1.PhaseOutcomeUnknown:
		w.resolve(r)
	case v1alpha1.PhaseActive:
		if r.Spec.Cancellation == nil {
			w.patch(w.Users.Alice, r, `{"spec":{"cancellation":{"reason":"early"}}}`)
		}
	}
}

// approve agrees once to each Approval.
func (w *world) approve(ctx context.Context, r *v1alpha1.ActionRequest) {
	list, err := w.approvals(ctx, r)
	if err != nil {
		return
	}
	for i := range list {
		if a := &list[i]; a.Status.State == v1alpha1.ApprovalOpen && len(a.Spec.Votes) == 0 {
			w.patch(w.Users.Bob, a, `{"spec":{"vote":{"decision":"Approve"}}}`)
		}
	}
}

func (w *world) approvals(ctx context.Context, r *v1alpha1.ActionRequest) ([]v1alpha1.Approval, error) {
	list := &v1alpha1.ApprovalList{}
	err := w.Admin(w).List(ctx, list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)})
	return list.Items, err
}

// resolve says what somebody found who looked at the host.
func (w *world) resolve(r *v1alpha1.ActionRequest) {
	found := v1alpha1.StepDidFail
	if w.peer.made("/unrepeatable/"+r.Name) > 0 {
		found = v1alpha1.StepSucceeded
	}
	w.patch(w.Users.Carol, r, fmt.Sprintf(`{"spec":{"resolution":{"step":"call","outcome":%q,"comment":"looked at the host"}}}`, found))
}

// patch tries to write; what did not come through is tried again by whoever looks next.
func (w *world) patch(who env.Person, object client.Object, body string) {
	_ = play.Patch(w, who, object, body)
}

func (w *world) get(ctx context.Context, name string, into client.Object) error {
	return w.Admin(w).Get(ctx, types.NamespacedName{Namespace: "target", Name: name}, into)
}

// rolled ends the names of Deployments that are rolled out by the node.
const rolled = "-roll"

// prepareDeployment makes what is patched, and what is deleted.
func prepareDeployment(ctx context.Context, w *world, name string) error {
	old := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "target", Name: name + "-old"}}
	return errors.Join(w.Admin(w).Create(ctx, play.AppendTo("target", name)), w.Admin(w).Create(ctx, play.AppendTo("target", name+rolled)), w.Admin(w).Create(ctx, old))
}

// checkEverything counts what was done: each thing exactly once, and one agreement asked for.
func checkEverything(ctx context.Context, w *world, r *v1alpha1.ActionRequest) []string {
	var problems []string
	wrong := func(format string, values ...any) { problems = append(problems, fmt.Sprintf(format, values...)) }
	if r.Status.Outcome != v1alpha1.OutcomeSucceeded {
		wrong("it ended as %s: %+v", r.Status.Outcome, r.Status.Steps)
	}
	if list, err := w.approvals(ctx, r); err != nil || len(list) != 1 {
		wrong("people must be asked once; there are %d Approvals, %v", len(list), err)
	}
	object, note, jobs := &appsv1.Deployment{}, &corev1.ConfigMap{}, &batchv1.JobList{}
	if err := w.get(ctx, r.Name, object); err != nil || len(object.Spec.Template.Spec.Containers[0].Args) != 2 {
		wrong("the JSON patch must have been sent once: %v, %v", object.Spec.Template.Spec.Containers, err)
	}
	if err := w.Admin(w).List(ctx, jobs, client.InNamespace("target"), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)}); err != nil || len(jobs.Items) != 2 {
		wrong("one Job must have been made, and another one after it failed: %d, %v", len(jobs.Items), err)
	}
	if got, err := w.rolledOut(ctx, r.Name); err != nil || got != fmt.Sprint("registry/app:1", []string{"first"}, []string{"BY=" + string(r.UID)}) {
		wrong("the strategic patch must have been sent, and its end been waited for: %s, %v", got, err)
	}
	for _, path := range []string{"/plan/", "/again/", "/askable/"} {
		if made := w.peer.made(path + r.Name); made != 1 {
			wrong("the host did %s %d times", path, made)
		}
	}
	if err := w.get(ctx, r.Name+"-old", note); !apierrors.IsNotFound(err) {
		wrong("what was to be deleted is there: %v", err)
	}
	if refused := w.peer.refusedFirst(r.Name); !refused {
		wrong("the host was to refuse once, so that a retry is needed")
	}
	for _, name := range []string{r.Name, r.Name + "-too"} {
		if err := w.get(ctx, name, note); err != nil || note.Data["outcome"] != string(v1alpha1.OutcomeSucceeded) {
			wrong("the last step must have written the outcome to %s: %v, %v", name, note.Data, err)
		}
	}
	return problems
}

// rolledOut is what a Deployment runs that the node has rolled out.
func (w *world) rolledOut(ctx context.Context, name string) (string, error) {
	object := &appsv1.Deployment{}
	if err := w.get(ctx, name+rolled, object); err != nil {
		return "", err
	}
	app := object.Spec.Template.Spec.Containers[0]
	var env []string
	for _, v := range app.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	return fmt.Sprint(app.Image, app.Args, env), nil
}

// checkUnrepeatable compares what the request says with what the host has done.
func checkUnrepeatable(_ context.Context, w *world, r *v1alpha1.ActionRequest) []string {
	made, want := w.peer.made("/unrepeatable/"+r.Name), v1alpha1.OutcomeFailed
	if made == 1 {
		want = v1alpha1.OutcomeSucceeded
	}
	if made > 1 || r.Status.Outcome != want {
		return []string{fmt.Sprintf("the host did it %d times, and the request ended as %s: %+v", made, r.Status.Outcome, r.Status.Steps)}
	}
	return nil
}

func prepareLoan(ctx context.Context, w *world, name string) error {
	return errors.Join(w.Admin(w).Create(ctx, play.AppendTo("target", name+rolled)), w.Admin(w).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "target", Name: name + "-shared", Labels: map[string]string{"owner": "them"}},
		Data:       map[string]string{"mode": "normal", "gone": "comes back", "taken": "comes back", "other": "1"},
	}))
}

// checkReturned looks for anything that is left of what was lent.
func checkReturned(ctx context.Context, w *world, r *v1alpha1.ActionRequest) []string {
	var problems []string
	if r.Status.Outcome != v1alpha1.OutcomeReverted {
		problems = append(problems, fmt.Sprintf("it ended as %s: %+v", r.Status.Outcome, r.Status.Conditions))
	}
	for _, name := range []string{r.Name, r.Name + "-too", r.Name + "-bare"} {
		if err := w.get(ctx, name, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
			problems = append(problems, fmt.Sprintf("what was made is left: %s, %v", name, err))
		}
	}
	if got, err := w.rolledOut(ctx, r.Name); err != nil || got != fmt.Sprint("registry/app:1", []string{"first"}, []string(nil)) {
		problems = append(problems, fmt.Sprintf("what was rolled out is not as it was: %s, %v", got, err))
	}
	shared := &corev1.ConfigMap{}
	err := w.get(ctx, r.Name+"-shared", shared)
	want := map[string]string{"mode": "normal", "gone": "comes back", "taken": "comes back", "other": "1"}
	if err != nil || !reflect.DeepEqual(shared.Data, want) || !reflect.DeepEqual(shared.Labels, map[string]string{"owner": "them"}) {
		problems = append(problems, fmt.Sprintf("what was changed is not as it was: %v %v, %v", shared.Data, shared.Labels, err))
	}
	return problems
}
