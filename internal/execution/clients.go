// Package execution runs rendered steps, reads facts and watches objects as the ServiceAccounts that an Action names, never as the
// operator itself.
package execution

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
)

// maxClients is how many clients are kept. One is made quickly; connections are shared by all of them.
const maxClients = 256

// Clients gives a client for each ServiceAccount. It is safe for concurrent use.
type Clients struct {
	base   *rest.Config
	mapper meta.RESTMapper
	cache  *lru.Cache
}

// NewClients returns clients that authenticate by cfg, the operator's own, and impersonate. The mapper finds resources by kind, as
// the operator, since a ServiceAccount may not be allowed to.
func NewClients(cfg *rest.Config, mapper meta.RESTMapper) *Clients {
	return &Clients{base: rest.CopyConfig(cfg), mapper: mapper, cache: lru.New(maxClients)}
}

// account is a ServiceAccount.
type account struct{ namespace, name string }

// For returns the client of a ServiceAccount. It impersonates by the user name alone: the API server adds the groups, and
// constrained impersonation of ServiceAccounts admits nothing else.
func (c *Clients) For(namespace, serviceAccount string) (dynamic.Interface, error) {
	key, username := account{namespace, serviceAccount}, identity.ServiceAccountUsername(namespace, serviceAccount)
	if namespace == "" || serviceAccount == "" {
		return nil, errors.New("failed to make a client: namespace and name of the ServiceAccount are needed")
	}
	if client, ok := c.cache.Get(key); ok {
		return client.(dynamic.Interface), nil //nolint:forcetypeassert // nothing else is stored below
	}
	client, err := dynamic.NewForConfig(c.as(username))
	if err != nil {
		return nil, fmt.Errorf("failed to make a client for %s: %w", username, err)
	}
	c.cache.Add(key, client)
	return client, nil
}

// as gives the operator's credentials with which it acts as somebody.
func (c *Clients) as(username string) *rest.Config {
	cfg := rest.CopyConfig(c.base)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: username}
	return cfg
}

// metadata gives the client of a ServiceAccount for the metadata of a kind, in the namespace of an object.
func (c *Clients) metadata(as account, ref *v1alpha1.ObjectReference) (metadata.ResourceInterface, error) {
	client, err := metadata.NewForConfig(c.as(identity.ServiceAccountUsername(as.namespace, as.name)))
	if err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	mapping, err := mappingOf(c.mapper, ref)
	if err != nil {
		return nil, err
	}
	switch namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace; {
	case namespaced && ref.Namespace == "":
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s is namespaced, but no namespace is given", ref.Kind))
	case namespaced:
		return client.Resource(mapping.Resource).Namespace(ref.Namespace), nil
	}
	return client.Resource(mapping.Resource), nil
}

// LogQuery names the end of a log.
type LogQuery struct {
	Namespace, Pod, Container string
	// Lines is how many lines are read.
	Lines int64
}

const (
	// maxLog is how many bytes of the end of a log are kept at most.
	maxLog = 256 * 1024
	// maxLogRead is how many bytes of a log are read at most. A kubelet keeps less in one file, unless it is told otherwise.
	maxLogRead = 32 << 20
)

// errLongLog is about a log of which nobody has come to the end.
const errLongLog = final("its last lines are more than 32 MiB")

// Log reads the end of the log of a container as the ServiceAccount. The kubelet is not asked for so many bytes: it would give the first ones of the last lines.
func (c *Clients) Log(ctx context.Context, namespace, serviceAccount string, q *LogQuery) (string, error) {
	client, err := corev1client.NewForConfig(c.as(identity.ServiceAccountUsername(namespace, serviceAccount)))
	if err != nil {
		return "", fmt.Errorf("failed to make a client: %w", err)
	}
	stream, err := client.Pods(q.Namespace).GetLogs(q.Pod, &corev1.PodLogOptions{Container: q.Container, TailLines: &q.Lines}).Stream(ctx)
	if err != nil {
		return "", fmt.Errorf("failed to read the log of pod %s/%s: %w", q.Namespace, q.Pod, err)
	}
	defer func() { _ = stream.Close() }()
	var end tail
	read, err := io.Copy(&end, io.LimitReader(stream, maxLogRead+1))
	if err == nil && read > maxLogRead {
		err = errLongLog
	}
	if err != nil {
		return "", fmt.Errorf("failed to read the log of pod %s/%s: %w", q.Namespace, q.Pod, err)
	}
	return string(end), nil
}

// tail keeps the last bytes of what is written to it, maxLog of them.
type tail []byte

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	*t = append((*t)[:0], (*t)[max(len(*t)-maxLog, 0):]...)
	return len(p), nil
}

// Get reads an object as the ServiceAccount. The error keeps what the API server said for the functions of apierrors.
func (c *Clients) Get(ctx context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	resource, err := c.Resource(namespace, serviceAccount, &ref)
	if err != nil {
		return nil, fmt.Errorf("failed to read %s: %w", describe(ref), err)
	}
	object, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("failed to read %s: %w", describe(ref), err)
	}
	return object, nil
}

// mappingOf finds under which resource the kind of an object is served.
func mappingOf(mapper meta.RESTMapper, ref *v1alpha1.ObjectReference) (*meta.RESTMapping, error) {
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	return mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}

// ResourceOf gives the resource under which a kind is served, and tells whether its objects are in namespaces.
func (c *Clients) ResourceOf(ref *v1alpha1.ObjectReference) (resource schema.GroupResource, namespaced bool, err error) {
	mapping, err := mappingOf(c.mapper, ref)
	if err != nil {
		return schema.GroupResource{}, false, err
	}
	return mapping.Resource.GroupResource(), mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// Resource gives the client of a ServiceAccount for the kind of an object, in its namespace; without a name and a namespace for all of the kind.
func (c *Clients) Resource(namespace, serviceAccount string, ref *v1alpha1.ObjectReference) (dynamic.ResourceInterface, error) {
	client, err := c.For(namespace, serviceAccount)
	if err != nil {
		return nil, err
	}
	return Resource(client, c.mapper, ref)
}

// Resource gives a client for the kind of an object, in its namespace; without a name and a namespace for all of the kind. Whether the kind has
// namespaces is the API server's to say: an object that seems to be in one when it is not, or the reverse, is refused as a bad request.
func Resource(client dynamic.Interface, mapper meta.RESTMapper, ref *v1alpha1.ObjectReference) (dynamic.ResourceInterface, error) {
	mapping, err := mappingOf(mapper, ref)
	if err != nil {
		return nil, err
	}
	resource := client.Resource(mapping.Resource)
	namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace
	switch {
	case namespaced && ref.Namespace == "" && ref.Name == "":
		return resource, nil
	case namespaced && ref.Namespace == "":
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s is namespaced, but no namespace is given", ref.Kind))
	case !namespaced && ref.Namespace != "":
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s is not namespaced, but namespace %q is given", ref.Kind, ref.Namespace))
	case namespaced:
		return resource.Namespace(ref.Namespace), nil
	}
	return resource, nil
}

// describe writes a reference as people do.
func describe(ref v1alpha1.ObjectReference) string {
	if ref.Namespace == "" {
		return ref.Kind + " " + ref.Name
	}
	return ref.Kind + " " + ref.Namespace + "/" + ref.Name
}
