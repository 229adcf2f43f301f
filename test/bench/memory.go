package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/system"
)

const (
	// memoryWriters is how many requests are written at once.
	memoryWriters = 8
	// settle is how long Signoff may read what is there before its memory is looked at.
	settle = 3 * time.Second
)

// measureMemory starts Signoff with no requests, with 1,000 and with 10,000 finished ones, and looks at its memory each time.
func measureMemory(ctx context.Context) ([]Result, error) {
	configure, url, err := withMetrics()
	if err != nil {
		return nil, err
	}
	stage, err := raise(ctx, env.Options{}, system.Options{Configure: configure})
	if err != nil {
		return nil, err
	}
	defer stage.lower()
	// A second start is measured, as those with requests are.
	stage.signoff.Stop()
	if err := withoutWebhooks(ctx, stage); err != nil {
		return nil, err
	}
	var results []Result
	var empty float64
	for _, total := range []int{0, 1000, 10_000} {
		if err := finishedRequests(ctx, stage, total); err != nil {
			return nil, err
		}
		heap, resident, err := memoryOf(ctx, stage, url)
		if err != nil {
			return nil, err
		}
		if total == 0 {
			empty = heap
			results = append(results, Result{"memory/empty", resident / 1e6, megabytes}, Result{"memory/empty-heap", heap / 1e6, megabytes})
			continue
		}
		results = append(results,
			Result{fmt.Sprintf("memory/finished=%d", total), (heap - empty) / float64(total), bytesEach},
			Result{fmt.Sprintf("memory/resident-finished=%d", total), resident / 1e6, megabytes})
	}
	return results, nil
}

// withoutWebhooks lets requests be written while Signoff does not run, as if it had stamped and finished them before.
func withoutWebhooks(ctx context.Context, s *stage) error {
	admin, err := client.New(s.cluster.Admin, client.Options{})
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	meta := metav1.ObjectMeta{Name: "signoff"}
	return errors.Join(
		admin.Delete(ctx, &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: meta}),
		admin.Delete(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: meta}),
	)
}

// memoryOf starts Signoff, waits until it has read everything, and stops it again.
func memoryOf(ctx context.Context, s *stage, url string) (heap, resident float64, err error) {
	if err := s.signoff.Restart(ctx); err != nil {
		return 0, 0, errors.Join(err, tail(s.log))
	}
	defer s.signoff.Stop()
	// Being asked for metrics takes memory of its own, so that what is resident is read first.
	if err := pause(ctx, settle); err != nil {
		return 0, 0, err
	}
	if resident, err = residentBytes(s.pid()); err != nil {
		return 0, 0, err
	}
	heap, err = liveHeap(ctx, url)
	return heap, resident, err
}

// finishedRequests writes finished requests until there are so many.
func finishedRequests(ctx context.Context, s *stage, total int) error {
	admin, err := as(s.cluster.Admin)
	if err != nil {
		return err
	}
	operator, err := as(s.signoff.Operator)
	if err != nil {
		return err
	}
	list, err := admin.Resource(ours("actionrequests")).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("failed to list requests: %w", err)
	}
	have := len(list.Items)
	if rest := list.GetRemainingItemCount(); rest != nil {
		have += int(*rest)
	}
	tell(fmt.Sprintf("writing %d finished requests", total-have))
	numbers, errs := make(chan int), make([]error, memoryWriters)
	var group sync.WaitGroup
	for w := range memoryWriters {
		group.Go(func() {
			for n := range numbers {
				if errs[w] == nil {
					errs[w] = writeFinished(ctx, admin, operator, n)
				}
			}
		})
	}
	for n := have; n < total; n++ {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	return errors.Join(errs...)
}

// writeFinished writes a request as it is when it is over.
func writeFinished(ctx context.Context, admin, operator dynamic.Interface, n int) error {
	request := newRequest(v1alpha1.GroupVersion.Group, fmt.Sprintf("request-%06d", n), "checkout", allowedAt, "1.42")
	request.SetFinalizers([]string{v1alpha1.RequestFinalizer})
	requester := map[string]any{"username": "alice", "groups": []any{"engineering", "payments", "system:authenticated"}, "person": "alice"}
	if err := unstructured.SetNestedMap(request.Object, requester, "spec", "requester"); err != nil {
		return fmt.Errorf("failed to make a request: %w", err)
	}
	stored, err := admin.Resource(ours("actionrequests")).Namespace(env.WorkNamespace).Create(ctx, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("failed to create a request: %w", err)
	}
	stored.Object["status"] = finishedStatus(time.Now().UTC().Format(time.RFC3339))
	if _, err := operator.Resource(ours("actionrequests")).Namespace(env.WorkNamespace).UpdateStatus(ctx, stored, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("failed to finish a request: %w", err)
	}
	return nil
}

// finishedStatus is the status of a request that was allowed at once and executed.
func finishedStatus(at string) map[string]any {
	condition := func(kind, reason, message string) any {
		return map[string]any{"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at, "observedGeneration": int64(1)}
	}
	return map[string]any{
		"observedGeneration": int64(1), "phase": string(v1alpha1.PhaseSucceeded), "outcome": string(v1alpha1.OutcomeSucceeded),
		"digest": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"summary": []any{
			"Succeeded in 0s (12:00:00 to 12:00:00 UTC), as platform/deployer.", "Ran digest 01234567.",
			`alice asks to run "Deploy a service" (platform/deploy).`, "  patch Deployment staging/checkout",
			"    spec.template.spec.containers[app].image: registry/checkout:1.41 → registry/checkout:1.42",
		},
		"verdict": map[string]any{
			"effect": "Allow", "evaluatedAt": at, "rules": []any{map[string]any{"name": "staging-in-hours", "effect": "Allow", "answer": string(v1alpha1.RuleApplies)}},
		},
		"steps": []any{map[string]any{"name": "rollout", "state": "Done", "startedAt": at, "finishedAt": at, "basis": "written"}},
		"conditions": []any{
			condition(v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "All steps are done."),
			condition(v1alpha1.ConditionFinished, v1alpha1.ReasonSucceeded, "All steps are done."),
			condition(v1alpha1.ConditionExecuted, v1alpha1.ReasonSucceeded, "All steps are done."),
			condition(v1alpha1.ConditionAuthorized, v1alpha1.ReasonAllowed, "The requester may ask, and no rule denies it."),
			condition(v1alpha1.ConditionApproved, v1alpha1.ReasonNotRequired, "No rule demands an approval."),
		},
	}
}
