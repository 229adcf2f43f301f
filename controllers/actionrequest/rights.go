package actionrequest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// rightsFor is how long an answer is believed. It decides only what is shown, never what is done.
	rightsFor = 30 * time.Second
	maxRights = 4096
)

// Reviews asks the API server, and remembers answers for a short time.
type Reviews struct {
	client  client.Client
	answers *cache.LRUExpireCache
}

// NewReviews makes Reviews.
func NewReviews(c client.Client) *Reviews {
	return &Reviews{client: c, answers: cache.NewLRUExpireCache(maxRights)}
}

// MayGet implements Rights.
func (r *Reviews) MayGet(ctx context.Context, who *v1alpha1.Identity, resource schema.GroupResource, namespace, name string) (bool, error) {
	key := strings.Join([]string{who.Username, who.UID, fmt.Sprint(who.Groups, who.Extra), resource.String(), namespace, name}, "\x00")
	if answer, ok := r.answers.Get(key); ok {
		return answer.(bool), nil //nolint:forcetypeassert // nothing else is put in
	}
	review := reviewOf(who, resource, namespace, name)
	if err := r.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("failed to ask whether %s may get %s %s/%s: %w", who.Username, resource, namespace, name, err)
	}
	r.answers.Add(key, review.Status.Allowed, rightsFor)
	return review.Status.Allowed, nil
}
