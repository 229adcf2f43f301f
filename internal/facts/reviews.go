package facts

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

const (
	// answersFor is how long an answer is believed.
	answersFor = 30 * time.Second
	maxAnswers = 8192
)

// Ask creates a review at the API server, which fills in its status.
type Ask func(ctx context.Context, review *authorizationv1.SubjectAccessReview) error

// Reviews asks the API server what people may do, and remembers answers for a short time. It is safe for concurrent use.
type Reviews struct {
	ask     Ask
	clock   clock.PassiveClock
	answers *cache.LRUExpireCache
	asked   atomic.Int64
}

// NewReviews makes Reviews.
func NewReviews(ask Ask, clk clock.PassiveClock) *Reviews {
	return &Reviews{ask: ask, clock: clk, answers: cache.NewLRUExpireCacheWithClock(maxAnswers, clk)}
}

// Asked tells how many questions the API server was asked.
func (r *Reviews) Asked() int64 { return r.asked.Load() }

// MayGet tells whether somebody may get an object.
func (r *Reviews) MayGet(ctx context.Context, who *v1alpha1.Identity, resource schema.GroupResource, namespace, name string) (bool, error) {
	return r.mayAny(ctx, who, authorizationv1.ResourceAttributes{
		Group: resource.Group, Resource: resource.Resource, Namespace: namespace, Name: name,
	}, []right{{verb: "get"}})
}

// right is a verb, on the object itself or on a subresource.
type right struct{ verb, subresource string }

// The rights by which somebody makes an object, or a list, what it is. Deleting is among them where nothing was found: what is missing can have
// been removed. What exists can have been created with any content.
var (
	// changing are the rights by which an object that exists got its content.
	changing = []right{
		{"update", ""}, {"patch", ""}, {"create", ""},
		{"update", "status"}, {"patch", "status"}, {"update", "scale"}, {"patch", "scale"},
	}
	// more are further rights by which objects of some kinds get their content: the labels of a namespace by finalize, the conditions of a
	// CertificateSigningRequest by approval, and so on.
	more = map[schema.GroupResource][]right{
		{Resource: "namespaces"}: {{"update", "finalize"}},
		{Resource: "pods"}: {
			{"update", "ephemeralcontainers"}, {"patch", "ephemeralcontainers"}, {"update", "resize"}, {"patch", "resize"}, {"create", "binding"},
		},
		{Group: "certificates.k8s.io", Resource: "certificatesigningrequests"}: {{"update", "approval"}, {"patch", "approval"}},
	}
	// removing are the rights by which an object can have gone, or can come at any time.
	removing = []right{{"delete", ""}, {"deletecollection", ""}, {"create", ""}}
)

// mayAny tells whether somebody has at least one right. The questions are asked together. One that has no answer counts only where
// no other is answered by yes.
func (r *Reviews) mayAny(ctx context.Context, who *v1alpha1.Identity, on authorizationv1.ResourceAttributes, rights []right) (bool, error) {
	key := keyOf(who, &on, rights)
	if answer, ok := r.answers.Get(key); ok {
		return answer.(bool), nil //nolint:forcetypeassert // nothing else is put in
	}
	answers, errs := make([]bool, len(rights)), make([]error, len(rights))
	var asking sync.WaitGroup
	for i, right := range rights {
		asking.Go(func() { answers[i], errs[i] = r.may(ctx, who, on, right) })
	}
	asking.Wait()
	yes := slices.Contains(answers, true)
	if at := slices.IndexFunc(errs, func(err error) bool { return err != nil }); at >= 0 && !yes {
		return false, errs[at]
	}
	r.answers.Add(key, yes, answersFor)
	return yes, nil
}

func (r *Reviews) may(ctx context.Context, who *v1alpha1.Identity, on authorizationv1.ResourceAttributes, right right) (bool, error) {
	on.Verb, on.Subresource = right.verb, right.subresource
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: &on, User: who.Username, UID: who.UID, Groups: who.Groups, Extra: extraOf(who),
	}}
	r.asked.Add(1)
	if err := r.ask(ctx, review); err != nil {
		return false, fmt.Errorf("failed to ask whether %s may %s %s %s/%s: %w", who.Username, right.verb, on.Resource, on.Namespace, on.Name, err)
	}
	return review.Status.Allowed, nil
}

func extraOf(who *v1alpha1.Identity) map[string]authorizationv1.ExtraValue {
	extra := make(map[string]authorizationv1.ExtraValue, len(who.Extra))
	for key, values := range who.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return extra
}

// keyOf is one text for one question. Every part is written with its length, so that no two questions have the same text.
func keyOf(who *v1alpha1.Identity, on *authorizationv1.ResourceAttributes, rights []right) string {
	var key strings.Builder
	add := func(parts ...string) {
		for _, part := range parts {
			key.WriteString(strconv.Itoa(len(part)))
			key.WriteByte(':')
			key.WriteString(part)
		}
	}
	add(rights[0].verb, strconv.Itoa(len(rights)), on.Group, on.Resource, on.Namespace, on.Name, who.Username, who.UID)
	add(strconv.Itoa(len(who.Groups)))
	add(who.Groups...)
	names := make([]string, 0, len(who.Extra))
	for name := range who.Extra {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		add(name, strconv.Itoa(len(who.Extra[name])))
		add(who.Extra[name]...)
	}
	return key.String()
}

// MayWrite tells whether somebody could have made what a query gives what it is.
func (r *Reader) MayWrite(ctx context.Context, who *v1alpha1.Identity, query gate.Query, missing bool) (bool, error) {
	resource, err := r.resourceOf(&query.ObjectReference)
	if err != nil {
		return false, err
	}
	on := authorizationv1.ResourceAttributes{Group: resource.Group, Resource: resource.Resource, Namespace: query.Namespace, Name: query.Name}
	if resource == (schema.GroupResource{Resource: "namespaces"}) {
		// The API server asks for rights on a namespace inside of it.
		on.Namespace = query.Name
	}
	rights := slices.Concat(changing, more[resource])
	switch {
	case query.IsList():
		rights = append(rights, removing[:2]...)
	case missing:
		rights = removing
	}
	return r.Reviews.mayAny(ctx, who, on, rights)
}

func (r *Reader) resourceOf(ref *v1alpha1.ObjectReference) (schema.GroupResource, error) {
	if ref.APIVersion == "v1" && ref.Kind == "Namespace" {
		return schema.GroupResource{Resource: "namespaces"}, nil
	}
	resource, err := r.Clients.ResourceOf(ref)
	if err != nil {
		return resource, fmt.Errorf("failed to find the resource of %s: %w", gate.Name(ref), err)
	}
	return resource, nil
}
