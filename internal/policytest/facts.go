package policytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
)

// objectID is what one object has alone, in whatever version it is written.
type objectID struct {
	kind            schema.GroupKind
	namespace, name string
}

func idOf(apiVersion, kind, namespace, name string) objectID {
	return objectID{schema.FromAPIVersionAndKind(apiVersion, kind).GroupKind(), namespace, name}
}

func (id objectID) compare(other objectID) int {
	return cmp.Or(cmp.Compare(id.namespace, other.namespace), cmp.Compare(id.name, other.name))
}

// world is a cluster in memory, as far as rules look at it.
type world struct {
	objects map[objectID]*unstructured.Unstructured
	// unreadable are objects that nobody can read, and writable those that the requester could write.
	unreadable, writable []Reference
	// values are what hosts say, by the names of lookups, at a time.
	values map[string]any
	at     time.Time
}

var (
	_ gate.Facts  = (*world)(nil)
	_ gate.Rights = (*world)(nil)
	_ gate.Book   = (*world)(nil)
	_ gate.Hosts  = (*world)(nil)
)

func newWorld() *world { return &world{objects: map[objectID]*unstructured.Unstructured{}} }

func (w *world) clone() *world { return &world{objects: maps.Clone(w.objects)} }

// put adds an object, or replaces the one that is there. It gets what the API server would give every object.
func (w *world) put(content map[string]any) {
	object := &unstructured.Unstructured{Object: content}
	if object.GetResourceVersion() == "" {
		object.SetResourceVersion("1")
	}
	if object.GetAPIVersion() == "v1" && object.GetKind() == "Namespace" {
		named := map[string]string{"kubernetes.io/metadata.name": object.GetName()}
		maps.Copy(named, object.GetLabels())
		object.SetLabels(named)
	}
	w.objects[idOf(object.GetAPIVersion(), object.GetKind(), object.GetNamespace(), object.GetName())] = object
}

func (w *world) remove(ref *Reference) {
	delete(w.objects, idOf(ref.APIVersion, ref.Kind, ref.Namespace, ref.Name))
}

var errSecret = errors.New("a Secret is never read as a fact")

// Object implements gate.Facts.
func (w *world) Object(_ context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	query := gate.Query{ObjectReference: ref}
	if catalog.IsSecret(ref.APIVersion, ref.Kind) {
		return nil, errSecret
	}
	if names(w.unreadable, &query) {
		return nil, w.forbidden("get", namespace+"/"+serviceAccount, &query)
	}
	object := w.objects[idOf(ref.APIVersion, ref.Kind, ref.Namespace, ref.Name)]
	switch {
	case object == nil:
		return nil, fmt.Errorf("failed to read %s: %w", query.String(), apierrors.NewNotFound(resourceOf(&query), ref.Name))
	case object.GetAPIVersion() != ref.APIVersion:
		return nil, otherVersion(&query, object)
	}
	return object, nil
}

// List implements gate.Facts.
func (w *world) List(_ context.Context, namespace, serviceAccount string, query gate.Query) (*unstructured.UnstructuredList, error) {
	if catalog.IsSecret(query.APIVersion, query.Kind) {
		return nil, errSecret
	}
	if names(w.unreadable, &query) {
		return nil, w.forbidden("list", namespace+"/"+serviceAccount, &query)
	}
	selector, err := labels.Parse(query.Selector)
	if err != nil {
		return nil, fmt.Errorf("failed to list %s: %w", query.String(), err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetResourceVersion("1")
	wanted := idOf(query.APIVersion, query.Kind, "", "")
	for _, id := range slices.SortedFunc(maps.Keys(w.objects), objectID.compare) {
		object := w.objects[id]
		if id.kind != wanted.kind || query.Namespace != "" && id.namespace != query.Namespace || !selector.Matches(labels.Set(object.GetLabels())) {
			continue
		}
		if object.GetAPIVersion() != query.APIVersion {
			return nil, otherVersion(&query, object)
		}
		list.Items = append(list.Items, *object)
	}
	if len(list.Items) > int(query.Limit) {
		return nil, gate.TooMany(query)
	}
	return list, nil
}

// Records implements gate.Book. A test writes Records without the labels by which a cluster selects them, so all are given: what counts is said by
// their spec.
func (w *world) Records(ctx context.Context, _ string, query gate.Query) (*unstructured.UnstructuredList, error) {
	query.Selector = ""
	return w.List(ctx, query.Namespace, "signoff", query)
}

// Host implements gate.Hosts. What a test says does not grow old.
func (w *world) Host(_ context.Context, query *gate.HostQuery, _ types.NamespacedName) (gate.HostValue, error) {
	value, known := w.values[query.Name]
	if !known {
		return gate.HostValue{}, fmt.Errorf("the test gives no value: say it as values: {%s: …}", query.Name)
	}
	return gate.HostValue{Value: value, Fetched: w.at}, nil
}

// Namespace implements gate.Facts.
func (w *world) Namespace(_ context.Context, name string, _ types.NamespacedName) (map[string]any, error) {
	query := gate.Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: name}}
	if names(w.unreadable, &query) {
		return nil, w.forbidden("get", "the operator", &query)
	}
	object := w.objects[idOf("v1", "Namespace", "", name)]
	if object == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "Namespace"}, name)
	}
	return gate.NamespaceMetadata(object), nil
}

// Watch implements gate.Facts: nothing changes behind a test.
func (w *world) Watch(string, string, gate.Query, types.NamespacedName) bool { return true }

// MayWrite implements gate.Facts. As in a cluster, a list over all namespaces is what whoever may write one object anywhere makes of it.
func (w *world) MayWrite(_ context.Context, _ *v1alpha1.Identity, _ bool, queries ...gate.Query) (bool, error) {
	return slices.ContainsFunc(queries, func(query gate.Query) bool {
		everywhere := query.IsList() && query.Namespace == "" && w.namespaced(query.APIVersion, query.Kind)
		return everywhere || names(w.writable, &query)
	}), nil
}

// clusterScoped are kinds without namespaces that rules read, for tests that have no object of them.
var clusterScoped = []schema.GroupKind{
	{Kind: "Namespace"}, {Kind: "Node"}, {Kind: "PersistentVolume"},
	{Group: "storage.k8s.io", Kind: "StorageClass"}, {Group: "scheduling.k8s.io", Kind: "PriorityClass"},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}, {Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	{Group: v1alpha1.GroupVersion.Group, Kind: "Team"}, {Group: v1alpha1.GroupVersion.Group, Kind: "ActionPolicy"},
}

// namespaced tells whether objects of a kind are in namespaces, which only a cluster knows for sure: as those of the test are, and else yes,
// because that is the stricter answer.
func (w *world) namespaced(apiVersion, kind string) bool {
	wanted := idOf(apiVersion, kind, "", "").kind
	for id := range w.objects {
		if id.kind == wanted {
			return id.namespace != ""
		}
	}
	return !slices.Contains(clusterScoped, wanted)
}

// MayRead implements gate.Rights: a test is read by who wrote it.
func (w *world) MayRead(context.Context, *v1alpha1.Identity, gate.Query) (bool, error) {
	return true, nil
}

// names tells whether a query is about something that is named.
func names(list []Reference, query *gate.Query) bool {
	return slices.ContainsFunc(list, func(ref Reference) bool { return ref.about(query) })
}

// about tells whether a query gives what is named, or a part of it. One object of a list is a part of it.
func (ref *Reference) about(query *gate.Query) bool {
	one, other := idOf(ref.APIVersion, ref.Kind, ref.Namespace, ref.Name), idOf(query.APIVersion, query.Kind, query.Namespace, query.Name)
	if one.kind != other.kind {
		return false
	}
	anywhere := ref.Namespace == "" && ref.Name == "" || query.IsList() && query.Namespace == ""
	if !anywhere && one.namespace != other.namespace {
		return false
	}
	return one.name == other.name || one.name == "" || query.IsList()
}

func (w *world) forbidden(verb, who string, query *gate.Query) error {
	resource := resourceOf(query)
	why := fmt.Errorf("the test says that %s cannot %s it", who, verb)
	return fmt.Errorf("failed to read %s: %w", query.String(), apierrors.NewForbidden(resource, query.Name, why))
}

// otherVersion says why an object is not found in the version that is asked for: there is no API server that converts it. That it does not exist would
// be a wrong answer.
func otherVersion(query *gate.Query, object *unstructured.Unstructured) error {
	return fmt.Errorf("failed to read %s: the Action asks for %s, and the test has it as %s: nothing converts it offline",
		query.String(), query.APIVersion, object.GetAPIVersion())
}

// resourceOf guesses the resource of a kind, for messages.
func resourceOf(query *gate.Query) schema.GroupResource {
	plural, _ := meta.UnsafeGuessKindToResource(schema.FromAPIVersionAndKind(query.APIVersion, query.Kind))
	return plural.GroupResource()
}
