package setup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/plan"
)

// namespaces makes the requests be judged again that a namespace concerns, when it comes or goes, or its labels or annotations change: rules,
// policies and approvers may rest on them. It is the leader that judges; what changes before there is one, it finds in its cache.
func (p *Process) namespaces() error {
	informer, err := p.Manager.GetCache().GetInformer(context.Background(), &corev1.Namespace{})
	if err != nil {
		return fmt.Errorf("failed to watch namespaces: %w", err)
	}
	if !p.parts.Controllers {
		return nil
	}
	requests, err := p.cached(&v1alpha1.ActionRequest{})
	if err != nil {
		return err
	}
	changed := workqueue.NewTyped[string]()
	if _, err = informer.AddEventHandler(namespaceHandler(changed.Add)); err != nil {
		return fmt.Errorf("failed to watch namespaces: %w", err)
	}
	if err := p.Manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		defer context.AfterFunc(ctx, changed.ShutDown)()
		for {
			name, over := changed.Get()
			if over {
				return nil
			}
			for _, request := range concerned(requests.GetIndexer().List(), name, p.restsOn) {
				p.wakeOne(request)
			}
			changed.Done(name)
		}
	})); err != nil {
		return fmt.Errorf("failed to add what tells requests of namespaces: %w", err)
	}
	return nil
}

// concerned are those of the open requests that a namespace concerns: they were judged on what it says, would write into it, or nobody knows yet.
func concerned(open []any, namespace string, restsOn func(request types.NamespacedName, namespace string) bool) []client.Object {
	var out []client.Object
	for _, object := range open {
		request, ok := object.(*v1alpha1.ActionRequest)
		if !ok || request.Status.Execution != nil {
			continue // what is executed is judged no more
		}
		if restsOn(client.ObjectKeyFromObject(request), namespace) || writesInto(request, namespace) {
			out = append(out, request)
		}
	}
	return out
}

// writesInto tells whether a request may write into a namespace, or that namespace itself, as its plan says. One that is kept from going on for another
// reason than that rules hold it may have no plan because of the namespace.
func writesInto(request *v1alpha1.ActionRequest, namespace string) bool {
	if phase := request.Status.Phase; phase == "" || phase == v1alpha1.PhasePending {
		return true
	}
	return slices.ContainsFunc(request.Status.Plan, func(c v1alpha1.PlannedChange) bool {
		return c.Operation == plan.OperationRest || strings.Contains(c.Object+"/", " "+namespace+"/")
	})
}

// namespaceHandler tells of what rules can see of namespaces. Those that are there at the start are no news.
func namespaceHandler(tell func(name string)) toolscache.ResourceEventHandler {
	about := func(object any) {
		if namespace, ok := deleted(object).(*corev1.Namespace); ok {
			tell(namespace.Name)
		}
	}
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			if !initial {
				about(object)
			}
		},
		UpdateFunc: func(before, after any) {
			old, wasNamespace := before.(*corev1.Namespace)
			now, isNamespace := after.(*corev1.Namespace)
			if !wasNamespace || !isNamespace || !maps.Equal(old.Labels, now.Labels) || !maps.Equal(old.Annotations, now.Annotations) {
				about(after)
			}
		},
		DeleteFunc: about,
	}
}
