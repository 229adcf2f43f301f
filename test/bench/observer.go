package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// version is one state of one object: what one write left behind.
type version struct {
	resource schema.GroupVersionResource
	object   *unstructured.Unstructured
	added    bool
	revision uint64
	at       time.Time
}

// life is what becomes of one request.
type life struct {
	approval chan string
	finished chan ending
}

type ending struct {
	at      time.Time
	outcome v1alpha1.Outcome
}

// observer watches requests as an administrator.
type observer struct {
	admin dynamic.Interface
	mu    sync.Mutex
	lives map[string]*life
	kept  []version
}

// observe begins to watch what everybody waits for: finished requests and Approvals. The context ends it.
func observe(ctx context.Context, admin dynamic.Interface) (*observer, error) {
	o := &observer{admin: admin, lives: map[string]*life{}}
	over := fields.OneTermNotEqualSelector("status.outcome", "")
	return o, errors.Join(
		o.watch(ctx, ours("actionrequests"), over, o.finished),
		o.watch(ctx, ours("approvals"), fields.Everything(), o.opened),
	)
}

// watch calls see with every version from now on. The API server ends the watch of a client that cannot follow, which the
// watcher takes up again where it was.
func (o *observer) watch(ctx context.Context, resource schema.GroupVersionResource, selector fields.Selector, see func(*version)) error {
	client, options := o.admin.Resource(resource), metav1.ListOptions{FieldSelector: selector.String()}
	// Only the version is wanted, and there may be very many.
	options.Limit = 1
	list, err := client.List(ctx, options)
	if err != nil {
		return fmt.Errorf("failed to list %s: %w", resource.Resource, err)
	}
	source := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		options.FieldSelector = selector.String()
		return client.Watch(ctx, options)
	}}
	events, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), source)
	if err != nil {
		return fmt.Errorf("failed to watch %s: %w", resource.Resource, err)
	}
	go func() {
		for event := range events.ResultChan() {
			at := time.Now()
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				continue
			}
			revision, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
			if err == nil {
				see(&version{resource, object, event.Type == watch.Added, revision, at})
			}
		}
	}()
	return nil
}

func (o *observer) opened(v *version) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if life := o.lives[v.object.GetLabels()[v1alpha1.LabelRequest]]; life != nil && v.added {
		life.approval <- v.object.GetName()
	}
}

func (o *observer) finished(v *version) {
	o.mu.Lock()
	defer o.mu.Unlock()
	life := o.lives[v.object.GetName()]
	if life == nil {
		return
	}
	outcome, _, _ := unstructured.NestedString(v.object.Object, "status", "outcome")
	life.finished <- ending{v.at, v1alpha1.Outcome(outcome)}
	delete(o.lives, v.object.GetName())
}

// expect must be called before the request is created.
func (o *observer) expect(request string) *life {
	o.mu.Lock()
	defer o.mu.Unlock()
	// Room for more than there can be, so that the observer never waits.
	life := &life{approval: make(chan string, 8), finished: make(chan ending, 1)}
	o.lives[request] = life
	return life
}

// record gives every version that is written while something runs.
func (o *observer) record(ctx context.Context, run func() error) ([]version, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.kept = nil
	for _, resource := range []schema.GroupVersionResource{ours("actionrequests"), ours("approvals"), ours("records"), deployments} {
		if err := o.watch(ctx, resource, fields.Everything(), o.keep); err != nil {
			return nil, err
		}
	}
	// The versions come over several watches.
	err := errors.Join(run(), pause(ctx, 500*time.Millisecond))
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept, err
}

func (o *observer) keep(v *version) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, *v)
}
