package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	lifecycleWarmUp   = 10
	lifecycleCounted  = 20
	lifecycleRounds   = 5
	lifecyclePairs    = 30
	lifecycleApproved = 15
	throughputRounds  = 3
	throughputAtOnce  = 200
)

// measureLifecycle lets requests live from their creation to their execution, and makes the same writes by hand by turns.
func measureLifecycle(ctx context.Context) ([]Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, err := openTheatre(ctx, everybody)
	if err != nil {
		return nil, err
	}
	defer t.close()
	results, err := t.fresh(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.warmUp(ctx); err != nil {
		return nil, err
	}
	stop, err := startProfile("lifecycle")
	if err != nil {
		return nil, err
	}
	defer stop()
	for _, part := range []func(context.Context) ([]Result, error){t.counts, t.steps, t.latency, t.throughput, t.retained} {
		found, err := part(ctx)
		if err != nil {
			return nil, errors.Join(err, tail(t.log))
		}
		results = append(results, found...)
	}
	return results, nil
}

// fresh counts what the API server is asked for a request right after the start.
func (t *theatre) fresh(ctx context.Context) ([]Result, error) {
	asked, err := t.count(ctx, t.deploys(allowedAt))
	if err != nil {
		return nil, err
	}
	return asked.results("started", lifecycleCounted)[:3], t.settle(ctx)
}

// warmUp learns the scripts, and lets everything run a few times.
func (t *theatre) warmUp(ctx context.Context) error {
	for _, environment := range []string{allowedAt, approvedAt} {
		if err := t.rehearse(ctx, environment); err != nil {
			return err
		}
		if _, _, err := t.pairs(ctx, environment, lifecycleWarmUp); err != nil {
			return err
		}
	}
	t.executed.Store(0)
	var err error
	t.atStart, err = liveHeap(ctx, t.metrics)
	return err
}

// counts counts what the API server is asked for one request after the other.
func (t *theatre) counts(ctx context.Context) ([]Result, error) {
	var results []Result
	for _, kind := range []struct{ name, environment string }{{"allowed", allowedAt}, {"approved", approvedAt}} {
		asked, err := t.count(ctx, t.deploys(kind.environment))
		if err != nil {
			return nil, err
		}
		if writes := len(t.scripts[kind.environment].script); writes*lifecycleCounted != asked.writes {
			tell(fmt.Sprintf("%d requests made %d writes, but the script that is played by hand has %d each", lifecycleCounted, asked.writes, writes))
		}
		results = append(results, asked.results(kind.name, lifecycleCounted)...)
	}
	return results, nil
}

// deploys plays one request to deploy.
func (t *theatre) deploys(environment string) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		_, err := t.live(ctx, environment, i)
		return err
	}
}

// count counts what the API server is asked while requests live one after the other.
func (t *theatre) count(ctx context.Context, play func(context.Context, int) error) (calls, error) {
	if _, err := t.audit.between(ctx); err != nil {
		return calls{}, err
	}
	for i := range lifecycleCounted {
		if err := play(ctx, i); err != nil {
			return calls{}, err
		}
	}
	return t.audit.between(ctx)
}

// pairs plays requests and makes the same writes by hand, by turns.
func (t *theatre) pairs(ctx context.Context, environment string, count int) (ours, byHand []float64, err error) {
	for i := range count {
		took, err := t.live(ctx, environment, i)
		if err != nil {
			return nil, nil, err
		}
		ours = append(ours, float64(took.Microseconds()))
		if took, err = t.byHand(ctx, environment, i); err != nil {
			return nil, nil, err
		}
		byHand = append(byHand, float64(took.Microseconds()))
	}
	return ours, byHand, nil
}

// latency compares how long a request takes from its creation to its execution with the same writes by hand.
func (t *theatre) latency(ctx context.Context) ([]Result, error) {
	var results []Result
	for _, kind := range []struct {
		suffix, environment string
		pairs               int
	}{{"", allowedAt, lifecyclePairs}, {"-approved", approvedAt, lifecycleApproved}} {
		var ratios, mine, other []float64
		for range lifecycleRounds {
			ours, byHand, err := t.pairs(ctx, kind.environment, kind.pairs)
			if err != nil {
				return nil, err
			}
			a, b := median(ours), median(byHand)
			ratios, mine, other = append(ratios, a/b), append(mine, a), append(other, b)
		}
		results = append(results,
			Result{"lifecycle/ratio-p50" + kind.suffix, median(ratios), ratio},
			Result{"lifecycle/p50" + kind.suffix, median(mine), microseconds},
			Result{"lifecycle/p50-by-hand" + kind.suffix, median(other), microseconds})
	}
	return results, nil
}

// throughput compares how long many requests at once take with the same writes by hand, all at once too.
func (t *theatre) throughput(ctx context.Context) ([]Result, error) {
	var ratios, mine, other []float64
	for range throughputRounds {
		a, err := atOnce(ctx, t.live)
		if err != nil {
			return nil, err
		}
		b, err := atOnce(ctx, t.byHand)
		if err != nil {
			return nil, err
		}
		ratios, mine, other = append(ratios, a/b), append(mine, a), append(other, b)
	}
	return []Result{
		{"lifecycle/ratio-throughput", median(ratios), ratio},
		{"lifecycle/throughput", median(mine), perSecond},
		{"lifecycle/throughput-by-hand", median(other), perSecond},
	}, nil
}

// atOnce does something many times at once and gives how often it was done per second.
func atOnce(ctx context.Context, do func(context.Context, string, int) (time.Duration, error)) (float64, error) {
	errs := make([]error, throughputAtOnce)
	var group sync.WaitGroup
	begin := time.Now()
	for i := range throughputAtOnce {
		group.Go(func() { _, errs[i] = do(ctx, allowedAt, i) })
	}
	group.Wait()
	took := time.Since(begin).Seconds()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) > 0 {
		return 0, fmt.Errorf("%d of %d failed, the first: %w", len(failed), throughputAtOnce, failed[0])
	}
	return throughputAtOnce / took, nil
}

// retained is what the running process keeps of every request that it has executed.
func (t *theatre) retained(ctx context.Context) ([]Result, error) {
	heap, err := liveHeap(ctx, t.metrics)
	if err != nil {
		return nil, err
	}
	return []Result{{"memory/executed", (heap - t.atStart) / float64(t.executed.Load()), bytesEach}}, nil
}
