package keyholder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	// replicaPrefix begins the name of the Lease of a replica.
	replicaPrefix = "signoff-replica-"
	// LabelReplica is on the Lease of each replica.
	LabelReplica = "keys.signoff.dev/replica"
	// annotationKnows says which public keys a replica verifies with.
	annotationKnows = "keys.signoff.dev/knows"
	// annotationSigns says which key a replica signs with; the purpose ends it.
	annotationSigns = "keys.signoff.dev/signs-"

	// renewEvery is how often a replica renews its Lease.
	renewEvery = period - period/3
	// deadAfter is how long after its last renewal a replica no longer counts. Its clock may be behind, and it may sign for some time yet.
	deadAfter = 4*period + seal.MaxSkew
	// forgottenAfter is how long after its last renewal the Lease of a replica is removed.
	forgottenAfter = time.Hour
)

// replicas are all that reported.
type replicas struct {
	leases []coordinationv1.Lease
}

func (h *Holder) readReplicas(ctx context.Context) (*replicas, error) {
	list := &coordinationv1.LeaseList{}
	if err := h.options.Client.List(ctx, list, client.InNamespace(h.options.Namespace), client.HasLabels{LabelReplica}); err != nil {
		return nil, fmt.Errorf("failed to list the Leases of replicas: %w", err)
	}
	return &replicas{leases: list.Items}, nil
}

// live are the replicas that live, as they reported about a purpose. About itself, this one knows better than its Lease.
func (h *Holder) live(purpose seal.Purpose) []keys.Replica {
	out := []keys.Replica{{Name: h.options.Replica, Knows: h.knows(), Signs: h.signs(purpose)}}
	if h.readings.replicas.value == nil {
		return out
	}
	for i := range h.readings.replicas.value.leases {
		lease := &h.readings.replicas.value.leases[i]
		if lease.Name == h.leaseName() || h.silent(lease) > deadAfter {
			continue
		}
		out = append(out, keys.Replica{
			Name:  strings.TrimPrefix(lease.Name, replicaPrefix),
			Knows: strings.Split(lease.Annotations[annotationKnows], ","), Signs: lease.Annotations[annotationSigns+string(purpose)],
		})
	}
	return out
}

func (h *Holder) leaseName() string { return replicaPrefix + h.options.Replica }

// silent is how long a replica has not renewed its Lease.
func (h *Holder) silent(lease *coordinationv1.Lease) time.Duration {
	last := lease.CreationTimestamp.Time
	if lease.Spec.RenewTime != nil {
		last = lease.Spec.RenewTime.Time
	}
	return h.options.Clock.Now().Sub(last)
}

// knows are the public keys that this replica verifies with from now on.
func (h *Holder) knows() []string {
	var out []string
	if p := h.readings.public.value; p != nil {
		for _, key := range p.ring.Keys() {
			out = append(out, key.ID())
		}
	}
	return out
}

// signs is the key that this replica signs with.
func (h *Holder) signs(purpose seal.Purpose) string {
	if s := h.current.Load().standings[purpose]; s != nil {
		return s.signs()
	}
	return ""
}

// report writes the Lease of this replica, where what it says has changed or gets old.
func (h *Holder) report(ctx context.Context) error {
	if !h.readings.replicas.fresh() {
		return nil
	}
	says := map[string]string{annotationKnows: strings.Join(h.knows(), ",")}
	for _, purpose := range h.options.Holds {
		says[annotationSigns+string(purpose)] = h.signs(purpose)
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: h.options.Namespace, Name: h.leaseName()}}
	write := func() error { return h.options.Client.Create(ctx, lease) }
	all := h.readings.replicas.value.leases
	if i := slices.IndexFunc(all, func(l coordinationv1.Lease) bool { return l.Name == h.leaseName() }); i >= 0 {
		lease = all[i].DeepCopy()
		if age := h.silent(lease); age >= 0 && age < renewEvery && includes(lease.Annotations, says) {
			return nil
		}
		write = func() error { return h.options.Client.Update(ctx, lease) }
	}
	h.fill(lease, says)
	if err := write(); err != nil {
		return fmt.Errorf("failed to write Lease %s: %w", lease.Name, err)
	}
	return nil
}

func (h *Holder) fill(lease *coordinationv1.Lease, says map[string]string) {
	metav1.SetMetaDataLabel(&lease.ObjectMeta, LabelReplica, "true")
	for name, value := range says {
		metav1.SetMetaDataAnnotation(&lease.ObjectMeta, name, value)
	}
	lease.Spec.HolderIdentity = new(h.options.Replica)
	lease.Spec.LeaseDurationSeconds = new(int32(deadAfter / time.Second))
	lease.Spec.RenewTime = &metav1.MicroTime{Time: h.options.Clock.Now()}
}

func includes(all, some map[string]string) bool {
	for name, value := range maps.All(some) {
		if all[name] != value {
			return false
		}
	}
	return true
}

// sweep removes the Leases of replicas that died long ago.
func (h *Holder) sweep(ctx context.Context) error {
	if !h.readings.replicas.fresh() {
		return nil
	}
	var errs []error
	for i := range h.readings.replicas.value.leases {
		lease := &h.readings.replicas.value.leases[i]
		if lease.Name == h.leaseName() || h.silent(lease) <= forgottenAfter {
			continue
		}
		err := h.options.Client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			errs = append(errs, fmt.Errorf("failed to remove Lease %s: %w", lease.Name, err))
		}
	}
	return errors.Join(errs...)
}

// leave removes the Lease of this replica, so that nobody waits for it.
func (h *Holder) leave(ctx context.Context) {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: h.options.Namespace, Name: h.leaseName()}}
	// Where it fails, the Lease gets old.
	_ = h.options.Client.Delete(ctx, lease)
}
