// Package facts reads what rules are judged on: objects as the ServiceAccount that an Action names, never with the operator's
// own rights, and the metadata of namespaces, which the operator may read itself. It also asks who could have written them.
package facts

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/gate"
)

// Clients act as ServiceAccounts.
type Clients interface {
	// Resource gives the client of a ServiceAccount for the kind of an object, in its namespace.
	Resource(namespace, serviceAccount string, ref *v1alpha1.ObjectReference) (dynamic.ResourceInterface, error)
	// ResourceOf gives the resource under which a kind is served, and tells whether its objects are in namespaces.
	ResourceOf(ref *v1alpha1.ObjectReference) (resource schema.GroupResource, namespaced bool, err error)
}

// Options say with what a Reader works.
type Options struct {
	// Clients act as ServiceAccounts.
	Clients Clients
	// Namespaces reads namespaces from a cache.
	Namespaces client.Reader
	// Reviews asks what people may do.
	Reviews *Reviews
	// Book reads the operator's own Records from the API server, and from no cache.
	Book client.Reader
	// Egress says which hosts may be asked. Nil: none.
	Egress *egress.Policy
	// Budget is for what it costs to find values in answers of hosts, for the Actions of a namespace. Nil: nobody counts it.
	Budget func(namespace string) *expression.Budget
	// Clock tells the time.
	Clock clock.WithTicker
	// Wake makes a request be judged again. It may be called from several goroutines at once.
	Wake func(request types.NamespacedName)
	// Waits tells whether a request is to be judged again once something has changed: it is not over, and it is here that it is judged.
	Waits func(request types.NamespacedName) bool
}

// Reader reads facts. It is safe for concurrent use. What it gives is shared and must not be changed.
type Reader struct {
	Options

	limits     *limits
	watches    *watches
	hosts      *hosts
	namespaces *namespaces
}

var _ gate.Facts = (*Reader)(nil)

// New makes a reader. Stop ends what it watches.
func New(o Options) *Reader {
	if o.Egress == nil {
		o.Egress = egress.New(nil)
	}
	if o.Budget == nil {
		o.Budget = func(string) *expression.Budget { return expression.NewBudget() }
	}
	if o.Waits == nil {
		o.Waits = func(types.NamespacedName) bool { return false }
	}
	r := &Reader{Options: o, limits: newLimits(o.Clock), namespaces: newNamespaces(o.Waits)}
	r.watches, r.hosts = newWatches(o, r.limits), newHosts(o, r.limits)
	return r
}

// account is a ServiceAccount; without a name it is the operator on behalf of the Actions of a namespace.
type account struct{ namespace, name string }

// String shows the account to people, after "as".
func (a account) String() string {
	if a.name == "" {
		return "the operator, for Actions of namespace " + a.namespace
	}
	return "ServiceAccount " + a.namespace + "/" + a.name
}

var errSecret = errors.New("a Secret is never read as a fact")

// Object reads an object as a ServiceAccount. A Secret is never a fact: its content would end up in verdicts and plans.
func (r *Reader) Object(ctx context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	found, err := r.read(ctx, source{account{namespace, serviceAccount}, gate.Query{ObjectReference: ref}})
	if err != nil {
		return nil, err
	}
	return found.object, found.err
}

// List reads objects as a ServiceAccount.
func (r *Reader) List(ctx context.Context, namespace, serviceAccount string, query gate.Query) (*unstructured.UnstructuredList, error) {
	found, err := r.read(ctx, source{account{namespace, serviceAccount}, query})
	if err != nil {
		return nil, err
	}
	return found.list, found.err
}

// Watch makes a request be judged again once what a query gives has changed.
func (r *Reader) Watch(namespace, serviceAccount string, query gate.Query, request types.NamespacedName) bool {
	return r.watches.follow(source{account{namespace, serviceAccount}, query}, request)
}

// Stop ends every watch and every call, and returns when nothing runs any more.
func (r *Reader) Stop() {
	r.watches.stop()
	r.hosts.end()
}

// source is what is read, and as whom.
type source struct {
	as    account
	query gate.Query
}

// found is what a source gave: an object, a list, or the word that the object does not exist.
type found struct {
	object *unstructured.Unstructured
	list   *unstructured.UnstructuredList
	err    error
}

// read gives what a watch knows, or asks the API server.
func (r *Reader) read(ctx context.Context, s source) (found, error) {
	if catalog.IsSecret(s.query.APIVersion, s.query.Kind) {
		return found{}, errSecret
	}
	if known, ok := r.watches.known(s); ok && !gate.IsLive(ctx) {
		return known, nil
	}
	before := r.watches.mark(s)
	out, err := fetch(ctx, r.Clients, r.limits, s)
	if err == nil {
		r.watches.learn(s, before, out)
	}
	return out, err
}

// fetch asks the API server as the ServiceAccount, within the limits of that ServiceAccount. That an object does not exist is an answer.
func fetch(ctx context.Context, clients Clients, limits *limits, s source) (found, error) {
	done, err := limits.begin(ctx, s.as)
	if err != nil {
		return found{}, err
	}
	defer done()
	resource, err := clients.Resource(s.as.namespace, s.as.name, &s.query.ObjectReference)
	if err != nil {
		return found{}, fmt.Errorf("failed to read %s: %w", s.query.String(), err)
	}
	if s.query.IsList() {
		return list(ctx, resource, s.query)
	}
	object, err := resource.Get(ctx, s.query.Name, metav1.GetOptions{})
	switch {
	case gate.Missing(err):
		return found{err: fmt.Errorf("failed to read %s: %w", s.query.String(), err)}, nil
	case err != nil:
		return found{}, fmt.Errorf("failed to read %s: %w", s.query.String(), err)
	}
	return found{object: object}, nil
}

// list reads one object more than there may be, to see whether there are too many.
func list(ctx context.Context, resource dynamic.ResourceInterface, query gate.Query) (found, error) {
	objects, err := resource.List(ctx, metav1.ListOptions{LabelSelector: query.Selector, Limit: int64(query.Limit) + 1})
	if err != nil {
		return found{}, fmt.Errorf("failed to list %s: %w", query.String(), err)
	}
	if len(objects.Items) > int(query.Limit) || objects.GetContinue() != "" {
		return found{err: gate.TooMany(query)}, nil
	}
	return found{list: objects}, nil
}

var _ gate.Book = (*Reader)(nil)

// Records lists the operator's own Records, as they are at this moment: the list is not older than any Record whose creation has been
// answered.
func (r *Reader) Records(ctx context.Context, namespace string, query gate.Query) (*unstructured.UnstructuredList, error) {
	selector, err := labels.Parse(query.Selector)
	if err != nil {
		return nil, fmt.Errorf("failed to read the selector of Records: %w", err)
	}
	done, err := r.limits.begin(ctx, account{namespace: namespace})
	if err != nil {
		return nil, err
	}
	defer done()
	objects := &unstructured.UnstructuredList{}
	objects.SetGroupVersionKind(schema.FromAPIVersionAndKind(query.APIVersion, query.Kind+"List"))
	if err := r.Book.List(ctx, objects, client.InNamespace(query.Namespace), client.MatchingLabelsSelector{Selector: selector}, client.Limit(int64(query.Limit)+1)); err != nil {
		return nil, fmt.Errorf("failed to list Records: %w", err)
	}
	if len(objects.Items) > int(query.Limit) || objects.GetContinue() != "" {
		return nil, gate.TooMany(query)
	}
	return objects, nil
}
