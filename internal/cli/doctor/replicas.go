package doctor

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/internal/keyholder"
)

// silence is how old the last report of a replica may be.
const silence = 2 * time.Minute

// replicas looks at the Leases that each replica of the operator renews while it is ready to seal, by its own clock.
func (d *Doctor) replicas(ctx context.Context) ([]Finding, error) {
	const about = "readiness"
	leases, err := list[coordinationv1.Lease](ctx, d, coordinationv1.SchemeGroupVersion.WithResource("leases"), d.Namespace,
		metav1.ListOptions{LabelSelector: keyholder.LabelReplica})
	if err != nil {
		return unread(about, "Leases in namespace "+d.Namespace, "list leases.coordination.k8s.io there", err)
	}
	return ready(leases, d.server(), d.Namespace), nil
}

func ready(leases []coordinationv1.Lease, now time.Time, namespace string) []Finding {
	const about = "readiness"
	live, newest := 0, time.Time{}
	for i := range leases {
		if renewed := leases[i].Spec.RenewTime; renewed != nil {
			if now.Sub(renewed.Time) <= silence {
				live++
			}
			if renewed.After(newest) {
				newest = renewed.Time
			}
		}
	}
	var all []Finding
	switch {
	case live > 0:
		all = append(all, Finding{Good, about, fmt.Sprintf("replicas of Signoff that have reported within %s: %d", silence, live)})
	case newest.IsZero():
		all = append(all, Finding{Wrong, about, fmt.Sprintf("no replica of Signoff reports in namespace %s: is it running, and is that its namespace (--operator-namespace)?", namespace)})
	default:
		all = append(all, Finding{Wrong, about, fmt.Sprintf("no replica of Signoff has reported since %s: look at its log", newest.UTC().Format(time.RFC3339))})
	}
	if ahead := newest.Sub(now); ahead > maxSkew {
		all = append(all, Finding{Wrong, "clock", fmt.Sprintf("the clock of a replica of Signoff is %s ahead of that of the API server: set the clocks by NTP", ahead.Round(time.Second))})
	}
	return all
}
