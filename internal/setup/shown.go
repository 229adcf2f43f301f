package setup

import (
	"context"
	"fmt"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/metrics"
)

// shown shows what requests there are, and what keeps them.
func (p *Process) shown() error {
	requests, err := p.known(&v1alpha1.ActionRequest{})
	if err != nil {
		return err
	}
	actions, err := p.known(&v1alpha1.Action{})
	if err != nil {
		return err
	}
	metrics.ShowRequests(requests, actions)
	return nil
}

// known gives what the cache holds of a kind, without a copy.
func (p *Process) known(kind client.Object) (metrics.Known, error) {
	cached, err := p.cached(kind)
	if err != nil {
		return nil, err
	}
	return func() ([]any, bool) {
		if !cached.HasSynced() {
			return nil, false
		}
		return cached.GetIndexer().List(), true
	}, nil
}

// cached is the cache of a kind itself: a client would copy what it reads.
func (p *Process) cached(kind client.Object) (toolscache.SharedIndexInformer, error) {
	informer, err := p.Manager.GetCache().GetInformer(context.Background(), kind)
	if err != nil {
		return nil, fmt.Errorf("failed to watch %T: %w", kind, err)
	}
	shared, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return nil, fmt.Errorf("failed to look into the cache of %T: %T has no index", kind, informer)
	}
	return shared, nil
}
