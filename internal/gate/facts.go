package gate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// Facts reads what rules are judged on, and tells who could have written it.
type Facts interface {
	// Object reads an object as a ServiceAccount, with its rights only.
	Object(ctx context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error)
	// List reads objects as a ServiceAccount. More than the limit of the query are an error.
	List(ctx context.Context, namespace, serviceAccount string, query Query) (*unstructured.UnstructuredList, error)
	// Namespace reads the metadata of a namespace, with the JSON names of its fields. Request, where it is not empty, is judged again once they have
	// changed, or the namespace has come or gone.
	Namespace(ctx context.Context, name string, request types.NamespacedName) (map[string]any, error)
	// Watch asks that a request be judged again once what a query gives has changed. False: nobody will tell.
	Watch(namespace, serviceAccount string, query Query, request types.NamespacedName) bool
	// MayWrite tells whether somebody could have made what one of some queries gives what it is. Missing says that the objects do not exist.
	MayWrite(ctx context.Context, who *v1alpha1.Identity, missing bool, queries ...Query) (bool, error)
}

// Book is what Facts can read besides: the Records of what was executed. Where Facts cannot, nothing that counts executions can be decided.
type Book interface {
	// Records lists what a query selects, as it is at this moment, with the operator's own right. It is for Actions of a namespace, whose share
	// of reads it takes. More than the limit of the query are an error.
	Records(ctx context.Context, namespace string, query Query) (*unstructured.UnstructuredList, error)
}

// Hosts is what Facts can read besides: values that hosts give. Where Facts cannot, nothing that rests on one can be decided.
type Hosts interface {
	// Host gives the value that a host gave before, and that is not too old. It never waits for a host: where there is no such value, the error
	// says so, and the host is asked beside. Request, where it is not empty, is judged again when it has answered.
	Host(ctx context.Context, query *HostQuery, request types.NamespacedName) (HostValue, error)
}

// HostQuery says what a host is asked for.
type HostQuery struct {
	// Name is the name of the lookup.
	Name string
	// Namespace is that of the Action, and ServiceAccount as who Secrets are read there.
	Namespace, ServiceAccount string
	// Lookup says what an answer gives, and Call what is called.
	Lookup *catalog.Host
	Call   *v1alpha1.RenderedHTTP
}

// String shows to people what is asked. The query of a URL is no name, and can be long.
func (q *HostQuery) String() string {
	url, _, _ := strings.Cut(q.Call.URL, "?")
	return url
}

// HostValue is what a host gave.
type HostValue struct {
	Value any
	// Fetched is when, and Next when to ask again: then it is fetched anew, or is too old. Zero: it does not grow old.
	Fetched, Next time.Time
}

type liveKey struct{}

// Live makes facts be read as they are at this moment: not what was read before and is still watched.
func Live(ctx context.Context) context.Context { return context.WithValue(ctx, liveKey{}, true) }

// IsLive tells whether facts are to be read as they are at this moment.
func IsLive(ctx context.Context) bool { return ctx.Value(liveKey{}) != nil }

// Query says what is read: one object, or, where no name is given, the objects of a kind that carry the labels.
type Query struct {
	v1alpha1.ObjectReference
	// Selector selects the objects of a list by their labels, as "a=b,c=d". Empty: all.
	Selector string
	// Limit is how many objects a list may have.
	Limit int32
	// Title, where set, is how people read it.
	Title string
}

// IsList tells a list from an object.
func (q *Query) IsList() bool { return q.Name == "" }

// String shows to people what is read.
func (q *Query) String() string {
	if q.Title != "" {
		return q.Title
	}
	if !q.IsList() {
		return Name(&q.ObjectReference)
	}
	text := "every " + q.Kind
	if q.Namespace != "" {
		text += " in namespace " + q.Namespace
	}
	if q.Selector != "" {
		text += " with " + q.Selector
	}
	return text
}

// TooMany says that a list has more objects than its limit.
func TooMany(query Query) error {
	if query.Title != "" {
		return fmt.Errorf("there are more than %d, the most that can be read: choose a shorter time, or by: Requester", query.Limit)
	}
	return fmt.Errorf("there are more than %d objects, the limit of this lookup: select fewer by namespace or labels, or raise list.limit (up to 500)", query.Limit)
}
