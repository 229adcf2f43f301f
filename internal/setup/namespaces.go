package setup

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

// namespaces makes every open request be judged again when the labels or annotations of a namespace change: rules, policies and approvers may
// rest on them.
func (p *Process) namespaces() error {
	informer, err := p.Manager.GetCache().GetInformer(context.Background(), &corev1.Namespace{})
	if err != nil {
		return fmt.Errorf("failed to watch namespaces: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{UpdateFunc: func(before, after any) {
		old, wasNamespace := before.(*corev1.Namespace)
		now, isNamespace := after.(*corev1.Namespace)
		if !wasNamespace || !isNamespace || !maps.Equal(old.Labels, now.Labels) || !maps.Equal(old.Annotations, now.Annotations) {
			p.wakeAll()
		}
	}})
	if err != nil {
		return fmt.Errorf("failed to watch namespaces: %w", err)
	}
	return nil
}
