package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// settle is how long Signoff may read what is there before its memory is looked at. While it lists 100,000 objects, it holds them all.
const settle = 15 * time.Second

// measureMemory starts Signoff beside none, 1,000, 10,000 and 100,000 finished requests with their Records, and looks each time at how long it takes and
// what it keeps.
func measureMemory(ctx context.Context) ([]Result, error) {
	t, err := openTheatre(ctx, everybody)
	if err != nil {
		return nil, err
	}
	defer t.close()
	original, err := t.exemplar(ctx)
	if err != nil {
		return nil, err
	}
	var results []Result
	var empty float64
	have := 0
	for _, total := range []int{0, 1000, 10_000, 100_000} {
		t.signoff.Stop()
		if err := original.copies(ctx, have, total); err != nil {
			return nil, err
		}
		have = total
		found, err := t.startBeside(ctx, total)
		if err != nil {
			return results, errors.Join(err, tail(t.log))
		}
		if total == 0 {
			empty = found.heap
			results = append(results, Result{"memory/empty", found.resident / 1e6, megabytes}, Result{"memory/empty-heap", found.heap / 1e6, megabytes})
		} else {
			results = append(results,
				Result{fmt.Sprintf("memory/finished=%d", total), (found.heap - empty) / float64(total), bytesEach},
				Result{fmt.Sprintf("memory/heap-finished=%d", total), found.heap / 1e6, megabytes},
				Result{fmt.Sprintf("memory/resident-finished=%d", total), found.resident / 1e6, megabytes})
		}
		results = append(results,
			Result{fmt.Sprintf("start/ready-finished=%d", total), float64(found.ready.Milliseconds()), milliseconds},
			Result{fmt.Sprintf("start/executed-finished=%d", total), float64(found.executed.Milliseconds()), milliseconds})
	}
	return results, nil
}

// started is what a start cost.
type started struct {
	// ready is until it answered, and executed until a request that was made then was done.
	ready, executed time.Duration
	// heap and resident are bytes of memory.
	heap, resident float64
}

// startBeside starts Signoff beside so many finished requests.
func (t *theatre) startBeside(ctx context.Context, total int) (*started, error) {
	tell(fmt.Sprintf("starting beside %d finished requests", total))
	// A new observer: one that had watched the copies being written would be busy with them.
	watching, stop := context.WithCancel(ctx)
	defer stop()
	admin, err := as(t.cluster.Admin)
	if err != nil {
		return nil, err
	}
	if t.observer, err = observe(watching, admin); err != nil {
		return nil, err
	}
	out, begin := &started{}, time.Now()
	if err := t.signoff.Restart(ctx); err != nil {
		return nil, err
	}
	out.ready = time.Since(begin)
	if _, err := t.live(ctx, allowedAt, 0); err != nil {
		return nil, err
	}
	out.executed = time.Since(begin)
	// Being asked for metrics takes memory of its own, so that what is resident is read first.
	err = pause(ctx, settle)
	if err == nil {
		out.resident, err = residentBytes(t.pid())
	}
	if err == nil {
		out.heap, err = liveHeap(ctx, t.metrics)
	}
	return out, err
}

// exemplar is a finished request with its Record as etcd holds them, which are copied.
type exemplar struct {
	store
	admin             dynamic.Interface
	name, uid, record string
	pairs             []pair
}

// exemplar lets one request be approved and executed.
func (t *theatre) exemplar(ctx context.Context) (*exemplar, error) {
	if _, err := t.live(ctx, approvedAt, 0); err != nil {
		return nil, err
	}
	out := &exemplar{store: store{t.cluster.Etcd()}, name: fmt.Sprintf("request-%06d", t.played.Load())}
	admin, err := as(t.cluster.Admin)
	if err != nil {
		return nil, err
	}
	out.admin = admin
	request, err := admin.Resource(ours("actionrequests")).Namespace(env.WorkNamespace).Get(ctx, out.name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to read the finished request: %w", err)
	}
	out.uid = string(request.GetUID())
	record, err := admin.Resource(ours("records")).Namespace(env.SystemNamespace).Get(ctx, out.uid, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to read its Record: %w", err)
	}
	out.record = string(record.GetUID())
	for _, name := range []string{"actionrequests/" + env.WorkNamespace + "/" + out.name, "records/" + env.SystemNamespace + "/" + out.uid} {
		key := "/registry/" + v1alpha1.GroupVersion.Group + "/" + name
		value, err := out.get(ctx, key)
		if err != nil {
			return nil, err
		}
		out.pairs = append(out.pairs, pair{[]byte(key), value})
	}
	return out, nil
}

// copies writes copies until there are so many.
func (e *exemplar) copies(ctx context.Context, have, total int) error {
	tell(fmt.Sprintf("writing %d finished requests to etcd", total-have))
	var batch []pair
	var name, uid string
	for n := have; n < total; n++ {
		name, uid = fmt.Sprintf("finished-%06d", n), string(uuid.NewUUID())
		names := strings.NewReplacer(e.name, name, e.uid, uid, e.record, string(uuid.NewUUID()))
		for _, p := range e.pairs {
			batch = append(batch, pair{[]byte(names.Replace(string(p.Key))), []byte(names.Replace(string(p.Value)))})
		}
		if len(batch) >= atOnceInStore || n == total-1 {
			if err := e.put(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if have == total {
		return nil
	}
	return errors.Join(e.seen(ctx, "actionrequests", env.WorkNamespace, name), e.seen(ctx, "records", env.SystemNamespace, uid))
}

// seen waits until the API server's cache has an object: it takes a while to read what came past it, and no start is measured meanwhile.
func (e *exemplar) seen(ctx context.Context, resource, namespace, name string) error {
	for {
		_, err := e.admin.Resource(ours(resource)).Namespace(namespace).Get(ctx, name, metav1.GetOptions{ResourceVersion: "0"})
		if err == nil || !apierrors.IsNotFound(err) && !apierrors.IsTimeout(err) && !apierrors.IsTooManyRequests(err) {
			return err
		}
		if err := pause(ctx, settle); err != nil {
			return err
		}
	}
}
