package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

const (
	// waitingRequests wait for approval at the same time, and waitingWriters ask at once.
	waitingRequests = 5000
	waitingWriters  = 8
	// waitingWatched is for how long it is looked what they cost.
	waitingWatched = 30 * time.Second
	// waitingPatience bounds how long they may take to get there, and to be judged again.
	waitingPatience = 15 * time.Minute
	// waitingPolicy is the name of the policy that holds all of them.
	waitingPolicy = "waiting"
)

// measureWaiting lets requests wait for approval, which a policy holds beside, looks what that costs while nothing happens, what one request more costs, and what
// a change of a Role costs, after which each is judged again.
func measureWaiting(ctx context.Context) ([]Result, error) {
	t, err := openTheatre(ctx, everybody)
	if err != nil {
		return nil, err
	}
	defer t.close()
	heap, err := liveHeap(ctx, t.metrics)
	if err != nil {
		return nil, err
	}
	if err := t.policy(ctx); err != nil {
		return nil, err
	}
	if err := t.askAll(ctx); err != nil {
		return nil, errors.Join(err, tail(t.log))
	}
	if err := t.atRest(ctx); err != nil {
		return nil, err
	}
	idle, err := t.spends(ctx, func() error { return pause(ctx, waitingWatched) })
	if err != nil {
		return nil, err
	}
	after, err := liveHeap(ctx, t.metrics)
	if err != nil {
		return nil, err
	}
	more, err := t.spends(ctx, func() error { return errors.Join(t.wait(ctx, waitingRequests), t.atRest(ctx)) })
	if err != nil {
		return nil, err
	}
	judged, err := t.spends(ctx, func() error { return t.changeRole(ctx) })
	if err != nil {
		return nil, err
	}
	return []Result{
		{fmt.Sprintf("waiting/cpu=%d", waitingRequests), float64(idle.cpu.Milliseconds()) / waitingWatched.Minutes(), "ms/min"},
		{fmt.Sprintf("waiting/calls=%d", waitingRequests), float64(idle.asked) / waitingWatched.Minutes(), "1/min"},
		{fmt.Sprintf("waiting/heap=%d", waitingRequests), (after - heap) / waitingRequests, bytesEach},
		{fmt.Sprintf("waiting/one-more=%d", waitingRequests), float64(more.asked), count},
		{"waiting/judged-again", float64(judged.cpu.Microseconds()) / waitingRequests, microseconds},
		{"waiting/judged-again-writes", float64(judged.writes) / waitingRequests, count},
	}, nil
}

// askAll asks for what needs an approval, until so many wait for one.
func (t *theatre) askAll(ctx context.Context) error {
	tell(fmt.Sprintf("letting %d requests wait for approval", waitingRequests))
	numbers, errs := make(chan int), make([]error, waitingWriters)
	var group sync.WaitGroup
	for w := range waitingWriters {
		group.Go(func() {
			for n := range numbers {
				if errs[w] != nil {
					continue
				}
				errs[w] = t.wait(ctx, n)
			}
		})
	}
	for n := range waitingRequests {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	return errors.Join(errs...)
}

// policy makes the policy that holds every request that waits.
func (t *theatre) policy(ctx context.Context) error {
	admin, err := as(t.cluster.Admin)
	if err != nil {
		return err
	}
	policy := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ActionPolicy", "metadata": map[string]any{"name": waitingPolicy},
		"spec": map[string]any{
			"match": map[string]any{"requestNamespaces": map[string]any{"names": []any{env.WorkNamespace}}},
			"rules": []any{map[string]any{"name": "hold", "effect": string(v1alpha1.PolicyHold)}},
		},
	}}
	if _, err := admin.Resource(ours("actionpolicies")).Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("failed to create the policy: %w", err)
	}
	return nil
}

// wait asks for what needs an approval.
func (t *theatre) wait(ctx context.Context, n int) error {
	request := newRequest(v1alpha1.GroupVersion.Group, fmt.Sprintf("waiting-%06d", n), serviceName(n%throughputAtOnce), approvedAt, fmt.Sprintf("2.%06d", n))
	if _, err := t.requester.Resource(ours("actionrequests")).Namespace(env.WorkNamespace).Create(ctx, request, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("failed to ask: %w", err)
	}
	return nil
}

// spent is what something cost: time of the processor, and calls of the API server by Signoff and by whoever asked meanwhile.
type spent struct {
	cpu           time.Duration
	asked, writes int
}

// spends measures what something costs.
func (t *theatre) spends(ctx context.Context, do func() error) (*spent, error) {
	if _, err := t.audit.between(ctx); err != nil {
		return nil, err
	}
	before, err := cpuTime(t.pid())
	if err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, err
	}
	after, err := cpuTime(t.pid())
	if err != nil {
		return nil, err
	}
	asked, err := t.audit.between(ctx)
	if err != nil {
		return nil, err
	}
	return &spent{after - before, asked.writes + asked.reads + asked.lists, asked.writes}, nil
}

// atRest waits until Signoff has done everything: it computes nothing for some seconds.
func (t *theatre) atRest(ctx context.Context) error {
	const span, little = 3 * time.Second, 60 * time.Millisecond
	return within(ctx, waitingPatience, "Signoff is at rest", func() (bool, error) {
		before, err := cpuTime(t.pid())
		if err != nil {
			return false, err
		}
		if err := pause(ctx, span); err != nil {
			return false, err
		}
		after, err := cpuTime(t.pid())
		return after-before < little, err
	})
}

// changeRole changes something on which every request may depend, and waits until each was judged again.
func (t *theatre) changeRole(ctx context.Context) error {
	admin, err := as(t.cluster.Admin)
	if err != nil {
		return err
	}
	roles := admin.Resource(ours("roles")).Namespace(env.CatalogNamespace)
	list, err := roles.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil || len(list.Items) == 0 {
		return fmt.Errorf("failed to find a Role: %w", err)
	}
	body := []byte(`{"spec":{"members":{"users":["alice","bob","somebody-new"]}}}`)
	if _, err := roles.Patch(ctx, list.Items[0].GetName(), types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("failed to change a Role: %w", err)
	}
	return t.atRest(ctx)
}
