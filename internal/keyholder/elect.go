package keyholder

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

// Who leads a purpose, how long that counts, and how often it is renewed. Two leaders at once do no harm, since each write is refused
// where somebody else wrote; one suffices.
const (
	leaseDuration = 30 * time.Second
	renewDeadline = 20 * time.Second
	retryPeriod   = 5 * time.Second
)

// campaigns elect one replica per purpose to take the steps.
func (h *Holder) campaigns() ([]func(context.Context), error) {
	var out []func(context.Context)
	for _, purpose := range h.options.Holds {
		elector, err := h.elector(purpose)
		if err != nil {
			return nil, fmt.Errorf("failed to elect who changes the %s key: %w", purpose, err)
		}
		out = append(out, func(ctx context.Context) {
			// Otherwise the elector writes its own format past the log of the process.
			ctx = log.IntoContext(ctx, log.FromContext(ctx).WithName("keys"))
			for ctx.Err() == nil {
				elector.Run(ctx)
			}
		})
	}
	return out, nil
}

func (h *Holder) elector(purpose seal.Purpose) (*leaderelection.LeaderElector, error) {
	name := keys.SecretName(purpose)
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: h.options.Namespace, Name: name}, Client: h.leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: h.options.Replica},
		},
		Name: name, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				h.leading[purpose].Add(1)
				h.rouse()
				<-ctx.Done()
				h.leading[purpose].Add(-1)
			},
			OnStoppedLeading: func() {},
		},
	})
}
