package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/signoff-dev/signoff/internal/config"

	"github.com/signoff-dev/signoff/test/system"
)

// The metrics that tell what is alive: the bytes that the last garbage collection found in use, and how many there were.
const (
	metricLive   = "go_gc_heap_live_bytes"
	metricCycles = "go_gc_cycles_total_gc_cycles_total"
)

// withMetrics makes Signoff serve its metrics, and gives their address.
func withMetrics() (configure func(*config.Configuration), url string, err error) {
	ports, err := system.FreePorts(1)
	if err != nil {
		return nil, "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	return func(cfg *config.Configuration) { cfg.Metrics.BindAddress = address }, "http://" + address + "/metrics", nil
}

// collections is how many garbage collections are waited for.
const collections = 6

// liveHeap is how many bytes of the heap of Signoff are in use. Serving metrics makes garbage, so that asking often enough makes
// Go collect. What is allocated during a collection counts as alive, so the lowest of several is what really is.
func liveHeap(ctx context.Context, url string) (float64, error) {
	first, err := scrape(ctx, url)
	if err != nil {
		return 0, err
	}
	lowest := math.Inf(1)
	err = within(ctx, 2*time.Minute, "Go has collected garbage several times", func() (bool, error) {
		for range 50 {
			latest, err := scrape(ctx, url)
			if err != nil {
				return false, err
			}
			done := latest[metricCycles] - first[metricCycles]
			// What the collection found that ran at the beginning may be about what was dropped before.
			if done >= 2 {
				lowest = min(lowest, latest[metricLive])
			}
			if done >= collections {
				return true, nil
			}
		}
		return false, nil
	})
	return lowest, err
}

func scrape(ctx context.Context, url string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("failed to make a request for metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("failed to get metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("failed to read metrics: %w", err)
	}
	values := metrics(text)
	for _, name := range []string{metricLive, metricCycles} {
		if _, ok := values[name]; !ok {
			return nil, fmt.Errorf("the metrics have no %s", name)
		}
	}
	return values, nil
}
