package setup

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

// namespaces makes every open request be judged again when a namespace comes or goes, or its labels or annotations change: rules, policies and
// approvers may rest on them.
func (p *Process) namespaces() error {
	informer, err := p.Manager.GetCache().GetInformer(context.Background(), &corev1.Namespace{})
	if err != nil {
		return fmt.Errorf("failed to watch namespaces: %w", err)
	}
	if _, err = informer.AddEventHandler(namespaceHandler(p.wakeAll)); err != nil {
		return fmt.Errorf("failed to watch namespaces: %w", err)
	}
	return nil
}

// namespaceHandler wakes for what rules can see of namespaces. Those that are there at the start are no news.
func namespaceHandler(wake func()) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(_ any, initial bool) {
			if !initial {
				wake()
			}
		},
		UpdateFunc: func(before, after any) {
			old, wasNamespace := before.(*corev1.Namespace)
			now, isNamespace := after.(*corev1.Namespace)
			if !wasNamespace || !isNamespace || !maps.Equal(old.Labels, now.Labels) || !maps.Equal(old.Annotations, now.Annotations) {
				wake()
			}
		},
		DeleteFunc: func(any) { wake() },
	}
}
