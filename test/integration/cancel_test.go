package integration

import (
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestCancelDuringJob cancels while a Job runs: it runs to its end, nothing is begun after it, and what is to run at the end does.
func TestCancelDuringJob(t *testing.T) {
	someSteps(t)
	well, badly := true, false
	for name, tc := range map[string]struct {
		reason string
		// fields stand beside the Job. Before and after are how the Job ends, before it is cancelled or then; nil: it does not.
		fields        string
		before, after *bool
		phase         v1alpha1.Phase
		// state is how the step is left, and summary what people read.
		state   v1alpha1.StepState
		summary string
	}{
		"runs":    {"The end of the Job is the safe point.", "", nil, &well, v1alpha1.PhaseCancelled, v1alpha1.StepDone, "It stopped before step after; earlier steps stay."},
		"fails":   {"That it failed is more than that it was cancelled.", "", nil, &badly, v1alpha1.PhaseFailed, v1alpha1.StepFailed, "BackoffLimitExceeded"},
		"retries": {"No second Job begins.", "retries: 1, ", nil, &badly, v1alpha1.PhaseCancelled, v1alpha1.StepStarted, "Cancelled by alice"},
		"waits":   {"The Job has ended, and what comes of it is only waited for.", goodJob + ", ", &well, nil, v1alpha1.PhaseCancelled, v1alpha1.StepStarted, "Step run had written its objects and was waiting; what it wrote stays."},
	} {
		t.Run(name, func(t *testing.T) {
			action := "cancel-" + name
			object := configMap(t, action)
			note := func(field string) string {
				return strings.ReplaceAll(`patch: {`+target+`, merge: {data: {FIELD: "${request.name}"}}}`, "FIELD", field)
			}
			apply(t, strings.ReplaceAll(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Cancel a Job, default: {effect: Allow}, execution: {serviceAccountName: deployer,
				steps: [{name: run, `+tc.fields+runs+`}, {name: after, `+note("after")+`}],
				finally: [{name: last, when: "outcome == '`+string(tc.phase)+`'", `+note("last")+`}]}}}`, "NAME", action))
			r := ask(t, users.Alice, request(action, `{}`))
			stepSays(t, r, "waiting for Job")
			if tc.before != nil {
				endJob(t, r, "run", *tc.before)
				stepSays(t, r, "does not hold yet")
			}
			if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"enough"}}}`); err != nil {
				t.Fatal(err)
			}
			if tc.after != nil {
				runsOn(t, r)
				endJob(t, r, "run", *tc.after)
			}
			done := reaches(t, r, tc.phase)
			if steps := done.Status.Steps; len(steps) != 2 || steps[0].State != tc.state || steps[1].Name != "last" || steps[1].State != v1alpha1.StepDone {
				t.Errorf("%s: the steps: %+v", tc.reason, steps)
			}
			if text := strings.Join(done.Status.Summary, "\n"); !strings.Contains(text, tc.summary) {
				t.Errorf("%s: the summary does not say %q:\n%s", tc.reason, tc.summary, text)
			}
			if data := dataOf(t, object.Name); data["last"] != r.Name || data["after"] != "" {
				t.Errorf("what runs at the end runs, and nothing before it: %v", data)
			}
			if jobs := jobsOf(t, r, "run"); len(jobs) != 1 || jobs[0].DeletionTimestamp != nil {
				t.Errorf("%s: %d Jobs", tc.reason, len(jobs))
			}
		})
	}
}

// stepSays waits until the last step that has begun says something.
func stepSays(t *testing.T, r *v1alpha1.ActionRequest, words string) {
	t.Helper()
	eventually(t, words, func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), r)
		steps := r.Status.Steps
		return err == nil && len(steps) > 0 && strings.Contains(steps[len(steps)-1].Message, words), fmt.Sprintf("%v %s %+v", err, r.Status.Phase, steps)
	})
}

// runsOn waits until Signoff has seen a cancellation, and demands that the Job runs nevertheless.
func runsOn(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	eventually(t, "a look at the cancellation", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), r)
		return err == nil && r.Spec.Cancellation != nil && r.Status.ObservedGeneration == r.Generation, fmt.Sprintf("%v %+v", err, r.Status)
	})
	job := lastJob(t, r, "run")
	if want := "cancelled; waits for Job staging/" + job.Name + " to end"; r.Status.WaitingFor != want || !strings.Contains(fmt.Sprint(r.Status.Conditions), "It waits for Job staging/"+job.Name+" to end") {
		t.Errorf("it does not say what it waits for: %q, %+v", r.Status.WaitingFor, r.Status.Conditions)
	}
	refused(t, as(t, users.Ada).Delete(t.Context(), r.DeepCopy()), metav1.StatusReasonForbidden, "was cancelled by alice and has not come to its end", "waits for Job staging/"+job.Name)
	if r.Status.Phase != v1alpha1.PhaseExecuting || job.DeletionTimestamp != nil || job.Status.Active != 1 || job.Spec.Suspend != nil && *job.Spec.Suspend {
		t.Errorf("a Job that runs is not stopped: %s, %+v", r.Status.Phase, job.Status)
	}
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobFailed || c.Type == batchv1.JobComplete {
			t.Errorf("the Job has ended: %+v", c)
		}
	}
}
