package integration

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestFinallyOfEveryKind plays steps of every kind that clean up: a Job, a deletion and a patch by outcome. How they end changes nothing of how the request ended,
// and one that fails keeps the next from nothing.
func TestFinallyOfEveryKind(t *testing.T) {
	someSteps(t)
	for name, tc := range map[string]struct {
		reason string
		// well is how the Job of the steps ends, and tidied that of finally.
		well, tidied bool
		phase        v1alpha1.Phase
		tidy         v1alpha1.StepState
	}{
		"succeeded":  {"What succeeded is cleaned up after.", true, true, v1alpha1.PhaseSucceeded, v1alpha1.StepDone},
		"failed":     {"What failed is, too.", false, true, v1alpha1.PhaseFailed, v1alpha1.StepDone},
		"not-tidied": {"A Job of finally that fails is told of, and the rest is cleaned up.", true, false, v1alpha1.PhaseSucceeded, v1alpha1.StepFailed},
	} {
		t.Run(name, func(t *testing.T) {
			action := "finally-" + name
			object, lock := configMap(t, action), configMap(t, action+"-lock")
			apply(t, strings.ReplaceAll(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Clean up, default: {effect: Allow}, execution: {serviceAccountName: deployer,
				steps: [{name: run, `+runs+`}],
				finally: [{name: tidy, `+runs+`}, {name: unlock, `+strings.ReplaceAll(deletes, "NAME", "NAME-lock")+`}, {name: note, patch: {`+target+`, merge: {data: {outcome: "${outcome}"}}}}]}}}`, "NAME", action))
			r := ask(t, users.Alice, request(action, `{}`))
			stepSays(t, r, "waiting for Job")
			endJob(t, r, "run", tc.well)
			eventually(t, "the Job of finally", func() (bool, string) { return len(jobsOf(t, r, "tidy")) == 1, "no Job" })
			endJob(t, r, "tidy", tc.tidied)
			done := reaches(t, r, tc.phase)
			states := map[string]v1alpha1.StepState{}
			for _, step := range done.Status.Steps {
				states[step.Name] = step.State
			}
			if states["tidy"] != tc.tidy || states["unlock"] != v1alpha1.StepDone || states["note"] != v1alpha1.StepDone {
				t.Errorf("%s: the steps: %v", tc.reason, states)
			}
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(lock), &corev1.ConfigMap{})
			if !apierrors.IsNotFound(err) || dataOf(t, object.Name)["outcome"] != string(tc.phase) {
				t.Errorf("%s: the lock: %v, the note: %v", tc.reason, err, dataOf(t, object.Name))
			}
		})
	}
}

// TestFinallyDeletesNothingUnseen deletes at the end what did not exist when the request was planned, and was made meanwhile: nobody agreed to that, so it
// stays, and people are told.
func TestFinallyDeletesNothingUnseen(t *testing.T) {
	someSteps(t)
	apply(t, strings.ReplaceAll(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Clean up, default: {effect: Allow}, execution: {serviceAccountName: deployer,
		steps: [{name: run, `+runs+`}], finally: [{name: drop, `+deletes+`}]}}}`, "NAME", "unseen"))
	for name, made := range map[string]bool{"made": true, "not-made": false} {
		t.Run(name, func(t *testing.T) {
			r := ask(t, users.Alice, request("unseen", `{}`))
			stepSays(t, r, "waiting for Job")
			state, words := v1alpha1.StepDone, "nothing was deleted"
			var object *corev1.ConfigMap
			if made {
				object = configMap(t, "unseen")
				state, words = v1alpha1.StepFailed, "ConfigMap staging/unseen stays"
			}
			endJob(t, r, "run", true)
			done := reaches(t, r, v1alpha1.PhaseSucceeded)
			if last := done.Status.Steps[len(done.Status.Steps)-1]; last.State != state || !strings.Contains(last.Message, words) {
				t.Errorf("want %s with %q, got %+v", state, words, last)
			}
			if !made {
				return
			}
			if text := strings.Join(done.Status.Summary, "\n"); !strings.Contains(text, "At the end, step drop failed: "+words) {
				t.Errorf("nobody is told that it stays:\n%s", text)
			}
			if err := admin(t).Delete(t.Context(), object); err != nil {
				t.Errorf("it is to be there: %v", err)
			}
		})
	}
}
