package execution

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
)

// maxClients bounds how many clients are kept. One that was dropped is made again.
const maxClients = 256

// Clients act as ServiceAccounts. What they may do is what RBAC gives those.
type Clients struct {
	config *rest.Config
	mapper meta.RESTMapper

	mu    sync.Mutex
	cache *lru.Cache
}

// NewClients makes clients that impersonate with the credentials of a configuration. Kinds are looked up in a mapper that
// uses the operator's own rights, because discovery is denied to impersonated ServiceAccounts in constrained mode.
func NewClients(config *rest.Config, mapper meta.RESTMapper) *Clients {
	return &Clients{config: rest.CopyConfig(config), mapper: mapper, cache: lru.New(maxClients)}
}

// For gives the client of a ServiceAccount. Only the user name is impersonated: the API server adds the groups, and constrained
// impersonation allows nothing else.
func (c *Clients) For(namespace, serviceAccount string) (dynamic.Interface, error) {
	username := identity.ServiceAccountUsername(namespace, serviceAccount)
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.cache.Get(username); ok {
		return found.(dynamic.Interface), nil //nolint:forcetypeassert // nothing else is put in
	}
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: username}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client for ServiceAccount %s/%s: %w", namespace, serviceAccount, err)
	}
	c.cache.Add(username, client)
	return client, nil
}

// Resource gives the client of a ServiceAccount for the kind of an object, in its namespace.
func (c *Clients) Resource(namespace, serviceAccount string, ref *v1alpha1.ObjectReference) (dynamic.ResourceInterface, error) {
	version, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("failed to parse apiVersion %q: %w", ref.APIVersion, err)
	}
	mapping, err := c.mapper.RESTMapping(schema.GroupKind{Group: version.Group, Kind: ref.Kind}, version.Version)
	if err != nil {
		return nil, fmt.Errorf("failed to find kind %s in %s: %w", ref.Kind, ref.APIVersion, err)
	}
	client, err := c.For(namespace, serviceAccount)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return client.Resource(mapping.Resource), nil
	}
	return client.Resource(mapping.Resource).Namespace(ref.Namespace), nil
}

// Get reads an object as a ServiceAccount.
func (c *Clients) Get(ctx context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	resource, err := c.Resource(namespace, serviceAccount, &ref)
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, ref.Name, metav1.GetOptions{})
}
