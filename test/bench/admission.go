package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/system"
)

const (
	admissionRounds = 5
	admissionPairs  = 240
	admissionWarmUp = 120
)

// measureAdmission creates requests that our webhooks judge, and by turns objects of the same shape that webhooks look at which
// do nothing. No controllers run: what is measured is admission alone.
func measureAdmission(ctx context.Context) ([]Result, error) {
	stage, err := raise(ctx, env.Options{}, system.Options{Parts: setup.Parts{Admission: true}})
	if err != nil {
		return nil, err
	}
	defer stage.lower()
	idle, err := startIdle(ctx, stage.cluster)
	if err != nil {
		return nil, err
	}
	defer idle.stop()
	person, err := as(stage.users.Alice.Config)
	if err != nil {
		return nil, err
	}
	race := &race{
		ours:   &runner{client: person, resource: ours("actionrequests"), pid: stage.pid()},
		theirs: &runner{client: person, resource: theirs("actionrequests"), pid: idle.pid},
	}
	if err := race.ready(ctx); err != nil {
		return nil, err
	}
	stop, err := startProfile("admission")
	if err != nil {
		return nil, err
	}
	defer stop()
	return race.run(ctx)
}

// race is the comparison of two runners.
type race struct{ ours, theirs *runner }

// runner creates requests of one group, which one process judges.
type runner struct {
	client   dynamic.Interface
	resource schema.GroupVersionResource
	pid      int
	created  int
	times    []float64
	atStart  time.Duration
}

// ready waits until both are judged: the snapshot of Signoff may still be without the catalog.
func (r *race) ready(ctx context.Context) error {
	for _, runner := range []*runner{r.ours, r.theirs} {
		err := within(ctx, time.Minute, "requests of "+runner.resource.Group+" are admitted", func() (bool, error) {
			return runner.create(ctx) == nil, nil
		})
		if err != nil {
			return err
		}
	}
	return r.pairs(ctx, admissionWarmUp)
}

// pairs lets both create one request after the other. Who begins changes, so that neither always follows the other.
func (r *race) pairs(ctx context.Context, count int) error {
	for i := range count {
		order := []*runner{r.ours, r.theirs}
		if i%4 >= 2 {
			order = []*runner{r.theirs, r.ours}
		}
		for _, runner := range order {
			if err := runner.create(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// create creates one request. Every second one needs an approval.
func (r *runner) create(ctx context.Context) error {
	environment := allowedAt
	if r.created%2 == 1 {
		environment = approvedAt
	}
	object := newRequest(r.resource.Group, fmt.Sprintf("request-%06d", r.created), "checkout", environment, fmt.Sprintf("1.%06d", r.created))
	begin := time.Now()
	_, err := r.client.Resource(r.resource).Namespace(env.WorkNamespace).Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("failed to create a request of %s: %w", r.resource.Group, err)
	}
	r.times = append(r.times, float64(time.Since(begin).Microseconds()))
	r.created++
	return nil
}

func (r *race) run(ctx context.Context) ([]Result, error) {
	var ratios, mine, other []float64
	for _, runner := range []*runner{r.ours, r.theirs} {
		var err error
		if runner.atStart, err = cpuTime(runner.pid); err != nil {
			return nil, err
		}
	}
	for range admissionRounds {
		r.ours.times, r.theirs.times = nil, nil
		if err := r.pairs(ctx, admissionPairs); err != nil {
			return nil, err
		}
		a, b := median(r.ours.times), median(r.theirs.times)
		ratios, mine, other = append(ratios, a/b), append(mine, a), append(other, b)
	}
	cpu, err := r.ours.cpu()
	if err != nil {
		return nil, err
	}
	idle, err := r.theirs.cpu()
	if err != nil {
		return nil, err
	}
	return []Result{
		{"admission/ratio-p50", median(ratios), ratio},
		{"admission/ratio-cpu", cpu / idle, ratio},
		{"admission/p50", median(mine), microseconds},
		{"admission/p50-idle", median(other), microseconds},
		{"admission/cpu", cpu, microseconds},
		{"admission/cpu-idle", idle, microseconds},
	}, nil
}

// cpu is the CPU time of the process of a runner per request, since the race began.
func (r *runner) cpu() (float64, error) {
	now, err := cpuTime(r.pid)
	if err != nil {
		return 0, err
	}
	return float64((now - r.atStart).Microseconds()) / (admissionRounds * admissionPairs), nil
}
