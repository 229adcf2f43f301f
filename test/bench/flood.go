package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
)

const (
	// floodLives is how many requests another person makes, and has approved, beside each flood.
	floodLives = 40
	// floodAdmissions is how often they ask, in a dry run, beside each.
	floodAdmissions = 300
	// floodWriters send at the same time, each as fast as it is answered.
	floodWriters = 4
)

// flood is what one person sends without end.
type flood struct {
	name     string
	resource schema.GroupVersionResource
	dryRun   []string
}

// floods are: none, objects of the same shape that nothing of ours looks at, dry runs of requests, and requests, most of which are refused because
// too many of one person are open.
var floods = []flood{
	{name: "quiet"},
	{"others", theirs("actionrequests"), []string{metav1.DryRunAll}},
	{"dry-runs", ours("actionrequests"), []string{metav1.DryRunAll}},
	{"requests", ours("actionrequests"), nil},
}

// measureFlood measures how long the life of a request of one person takes, with its approval, and how long until one is judged, while another one
// floods the API server. That is measured by dry runs, so their limit is lifted: the flood of them is what they would do if all were judged.
func measureFlood(ctx context.Context) ([]Result, error) {
	t, err := openTheatre(ctx, config.Default().Requester.MaxOpen)
	if err != nil {
		return nil, err
	}
	defer t.close()
	carol, err := as(t.users.Carol.Config)
	if err != nil {
		return nil, err
	}
	if err := t.settle(ctx); err != nil {
		return nil, err
	}
	var results []Result
	admission := map[string][]float64{}
	for i := range floods {
		f := &floods[i]
		tell("living beside a flood: " + f.name)
		found, err := t.beside(ctx, f, carol)
		if err != nil {
			return results, err
		}
		admission[f.name] = found.admissions
		results = append(results, found.results(f.name)...)
	}
	at := func(rank float64) float64 {
		return percentile(admission["requests"], rank) / percentile(admission["others"], rank)
	}
	return append(results, Result{"flood/admission-ratio-p50", at(0.5), ratio}, Result{"flood/admission-ratio-p99", at(0.99), ratio}), nil
}

// neighbour is what somebody else has of a flood.
type neighbour struct {
	// lives and admissions are how long lives of requests, and dry runs of them, took, in microseconds.
	lives, admissions []float64
	// sent is how many a second came with the flood.
	sent float64
}

func (n *neighbour) results(name string) []Result {
	return []Result{
		{"flood/p50-" + name, median(n.lives), microseconds},
		{"flood/admission-p50-" + name, percentile(n.admissions, 0.5), microseconds},
		{"flood/admission-p99-" + name, percentile(n.admissions, 0.99), microseconds},
		{"flood/sent-" + name, n.sent, perSecond},
	}
}

// beside lets requests live, and be judged, beside a flood.
func (t *theatre) beside(ctx context.Context, f *flood, who dynamic.Interface) (*neighbour, error) {
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	var count atomic.Int64
	for w := range floodWriters {
		if f.name == floods[0].name {
			break
		}
		group.Go(func() {
			for n := 0; flooding.Err() == nil; n++ {
				name := fmt.Sprintf("flood-%s-%d-%06d", f.name, w, n)
				request := newRequest(f.resource.Group, name, serviceName(throughputAtOnce-1), approvedAt, fmt.Sprintf("3.%06d", n))
				// What is refused was sent as well.
				_, _ = who.Resource(f.resource).Namespace(env.WorkNamespace).Create(flooding, request, metav1.CreateOptions{DryRun: f.dryRun})
				count.Add(1)
			}
		})
	}
	begin := time.Now()
	found, err := t.neighbour(ctx)
	found.sent = float64(count.Load()) / time.Since(begin).Seconds()
	stop()
	group.Wait()
	return found, err
}

// neighbour lets requests of somebody live, and others be judged.
func (t *theatre) neighbour(ctx context.Context) (*neighbour, error) {
	n := &neighbour{}
	for range floodLives {
		took, err := t.live(ctx, approvedAt, 0)
		if err != nil {
			return n, err
		}
		n.lives = append(n.lives, float64(took.Microseconds()))
	}
	for range floodAdmissions {
		name, tag := t.next("judged")
		request := newRequest(v1alpha1.GroupVersion.Group, name, serviceName(0), approvedAt, tag)
		begin := time.Now()
		if _, err := t.requester.Resource(ours("actionrequests")).Namespace(env.WorkNamespace).Create(ctx, request, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			return n, fmt.Errorf("failed to have request %s judged: %w", name, err)
		}
		n.admissions = append(n.admissions, float64(time.Since(begin).Microseconds()))
	}
	return n, nil
}
