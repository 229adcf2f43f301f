package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/story"
)

// settleTimeout is how long what was accepted may take to its end.
const settleTimeout = 90 * time.Second

// count is the last scene: what became of everything that was asked.
func (t *theatre) count(ctx context.Context, s *stream) error {
	t.narrator.Scene(0, &story.Scene{
		Title: "Nothing is lost, and nothing is done twice",
		About: "Everything that was accepted has ended well and is recorded, each step of it was done once, and what was refused left nothing.",
	})
	// Bob still owes an answer to what was asked last.
	ended := s.settle(ctx)
	errs := errors.Join(ended, s.check(ctx), s.tallies.asked())
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("stopped in the last scene: %w", err)
	}
	t.narrator.Output(&story.Step{}, &story.Answer{Stdout: s.tallies.table()})
	t.result.Scenes++
	if errs != nil {
		t.narrator.Difference(errs)
		return nil
	}
	t.result.AsExpected++
	return nil
}

// settle waits until everything that was accepted has ended.
func (s *stream) settle(ctx context.Context) error {
	var open []string
	err := wait.PollUntilContextTimeout(ctx, often, settleTimeout, true, func(ctx context.Context) (bool, error) {
		s.agree(ctx)
		requests := &v1alpha1.ActionRequestList{}
		if err := s.admin.List(ctx, requests, client.InNamespace(streamNamespace)); err != nil {
			return false, err
		}
		open = nil
		for i := range requests.Items {
			if requests.Items[i].Status.Outcome == "" {
				open = append(open, requests.Items[i].Name)
			}
		}
		return len(open) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("not everything ended within %s: %w: %v", settleTimeout, err, open)
	}
	return nil
}

// check looks at each request, and at what is there of none.
func (s *stream) check(ctx context.Context) error {
	requests, jobs := &v1alpha1.ActionRequestList{}, &batchv1.JobList{}
	if err := errors.Join(
		s.admin.List(ctx, requests, client.InNamespace(streamNamespace)), s.admin.List(ctx, jobs, client.InNamespace(targetNamespace)),
	); err != nil {
		return fmt.Errorf("failed to see what is there: %w", err)
	}
	runs := map[string][]batchv1.Job{}
	for _, job := range jobs.Items {
		uid := job.Labels[v1alpha1.LabelRequestUID]
		runs[uid] = append(runs[uid], job)
	}
	var errs []error
	stored := map[string]bool{}
	for i := range requests.Items {
		request := &requests.Items[i]
		stored[request.Name] = true
		action, accepted := s.requests[request.Name]
		if !accepted {
			errs = append(errs, fmt.Errorf("%s was refused, and is stored", request.Name))
		}
		errs = append(errs, ranAsOften(request, action, runs[string(request.UID)]), s.checkRequest(ctx, request))
	}
	for _, name := range slices.Sorted(maps.Keys(s.requests)) {
		if !stored[name] {
			errs = append(errs, fmt.Errorf("%s was accepted, and is lost", name))
		}
	}
	return errors.Join(errs...)
}

// ranAsOften looks at the real Pods of a request.
func ranAsOften(request *v1alpha1.ActionRequest, action string, jobs []batchv1.Job) error {
	want := 0
	if action == withPod {
		want = 1
	}
	if len(jobs) != want {
		return fmt.Errorf("%s: %d Jobs were made, want %d", request.Name, len(jobs), want)
	}
	for _, job := range jobs {
		if job.Status.Succeeded != 1 || job.Status.Failed != 0 {
			return fmt.Errorf("%s: of its Pods %d succeeded and %d failed, want one and none", request.Name, job.Status.Succeeded, job.Status.Failed)
		}
	}
	return nil
}

// checkRequest looks at what a request has done, and at what is recorded of it.
func (s *stream) checkRequest(ctx context.Context, request *v1alpha1.ActionRequest) error {
	written, record := &appsv1.Deployment{}, &v1alpha1.Record{}
	if err := errors.Join(
		s.admin.Get(ctx, types.NamespacedName{Namespace: targetNamespace, Name: request.Name}, written),
		s.admin.Get(ctx, types.NamespacedName{Namespace: "signoff-system", Name: string(request.UID)}, record),
	); err != nil {
		return fmt.Errorf("failed to see what %s did: %w", request.Name, err)
	}
	return doneOnce(request, written, record)
}

// doneOnce tells whether a request ended well, was done once, and is recorded.
func doneOnce(request *v1alpha1.ActionRequest, written *appsv1.Deployment, record *v1alpha1.Record) error {
	if request.Status.Outcome != v1alpha1.OutcomeSucceeded {
		return fmt.Errorf("%s ended as %q: %+v", request.Name, request.Status.Outcome, request.Status.Steps)
	}
	if args := written.Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, []string{"first", string(request.UID)}) {
		return fmt.Errorf("%s must have written its uid once: %v", request.Name, args)
	}
	if record.Status.Outcome != v1alpha1.OutcomeSucceeded {
		return fmt.Errorf("%s: the Record says %q", request.Name, record.Status.Outcome)
	}
	return nil
}
