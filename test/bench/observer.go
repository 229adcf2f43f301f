package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// version is one state of one object: what one write left behind.
type version struct {
	resource schema.GroupVersionResource
	object   *unstructured.Unstructured
	added    bool
	revision uint64
}

// life is what becomes of one request.
type life struct {
	approval chan string
	finished chan ending
}

type ending struct {
	at      time.Time
	outcome string
}

// observer watches everything that the life of a request writes, as an administrator.
type observer struct {
	mu        sync.Mutex
	lives     map[string]*life
	recording bool
	recorded  []version
}

// observe begins to watch. The context ends it.
func observe(ctx context.Context, admin dynamic.Interface) (*observer, error) {
	o := &observer{lives: map[string]*life{}}
	for _, resource := range []schema.GroupVersionResource{ours("actionrequests"), ours("approvals"), ours("records"), deployments} {
		list, err := admin.Resource(resource).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("failed to list %s: %w", resource.Resource, err)
		}
		events, err := admin.Resource(resource).Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
		if err != nil {
			return nil, fmt.Errorf("failed to watch %s: %w", resource.Resource, err)
		}
		go o.follow(resource, events)
	}
	return o, nil
}

func (o *observer) follow(resource schema.GroupVersionResource, events watch.Interface) {
	for event := range events.ResultChan() {
		at := time.Now()
		object, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type == watch.Error {
			continue
		}
		revision, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
		if err == nil {
			o.see(&version{resource, object, event.Type == watch.Added, revision}, at)
		}
	}
}

func (o *observer) see(v *version, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.recording {
		o.recorded = append(o.recorded, *v)
	}
	switch v.resource {
	case ours("approvals"):
		if life := o.lives[v.object.GetLabels()[v1alpha1.LabelRequest]]; life != nil && v.added {
			life.approval <- v.object.GetName()
		}
	case ours("actionrequests"):
		outcome, _, _ := unstructured.NestedString(v.object.Object, "status", "outcome")
		if life := o.lives[v.object.GetName()]; life != nil && outcome != "" {
			life.finished <- ending{at, outcome}
			delete(o.lives, v.object.GetName())
		}
	}
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

// record keeps every version from now on.
func (o *observer) record() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recording, o.recorded = true, nil
}

// versions gives what was recorded.
func (o *observer) versions() []version {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recording = false
	return o.recorded
}
