package execution

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// served tells in which version a kind is served, as an apiVersion, the preferred one before others. Empty: in none. It asks the API server, as what a
// mapper remembers can be older than the end of a kind.
func (c *Clients) served(ctx context.Context, kind schema.GroupKind) (string, error) {
	if kind.Group == "" {
		return c.serving(ctx, kind.Kind, "/api/", []string{"v1"})
	}
	group := &metav1.APIGroup{}
	if _, err := c.ask(ctx, "/apis/"+kind.Group, group); err != nil {
		return "", err
	}
	var versions []string
	for _, version := range slices.Concat([]metav1.GroupVersionForDiscovery{group.PreferredVersion}, group.Versions) {
		if version.GroupVersion != "" {
			versions = append(versions, version.GroupVersion)
		}
	}
	return c.serving(ctx, kind.Kind, "/apis/", versions)
}

// serving is the first of these versions in which a kind is served.
func (c *Clients) serving(ctx context.Context, kind, root string, versions []string) (string, error) {
	for _, version := range versions {
		list := &metav1.APIResourceList{}
		if there, err := c.ask(ctx, root+version, list); err != nil {
			return "", err
		} else if there && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
			return version, nil
		}
	}
	return "", nil
}

// ask reads what the API server says of its kinds, as the operator. False: it knows no such path. Anything else that keeps it from an answer is an error:
// a server behind it that is down for a while serves its kinds again.
func (c *Clients) ask(ctx context.Context, path string, into runtime.Object) (bool, error) {
	client, err := discovery.NewDiscoveryClientForConfig(c.base)
	if err != nil {
		return false, fmt.Errorf("failed to make a client: %w", err)
	}
	err = client.RESTClient().Get().AbsPath(path).Do(ctx).Into(into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("failed to find out which kinds are served: %w", err)
	}
	return true, nil
}
