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

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
)

const (
	// floodLives is how many requests another person makes, and has approved, beside each flood.
	floodLives = 40
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

// measureFlood measures how long the life of a request of one person takes, with its approval, while another one floods the API server.
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
	for i := range floods {
		tell("living beside a flood: " + floods[i].name)
		p50, sent, err := t.beside(ctx, &floods[i], carol)
		if err != nil {
			return results, err
		}
		results = append(results, Result{"flood/p50-" + floods[i].name, p50, microseconds}, Result{"flood/sent-" + floods[i].name, sent, perSecond})
	}
	return results, nil
}

// beside lets requests live beside a flood. It gives the median of their lives, and how many a second came with the flood.
func (t *theatre) beside(ctx context.Context, f *flood, who dynamic.Interface) (p50, sent float64, err error) {
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
	var times []float64
	for range floodLives {
		var took time.Duration
		if took, err = t.live(ctx, approvedAt, 0); err != nil {
			break
		}
		times = append(times, float64(took.Microseconds()))
	}
	sent = float64(count.Load()) / time.Since(begin).Seconds()
	stop()
	group.Wait()
	return median(times), sent, err
}
