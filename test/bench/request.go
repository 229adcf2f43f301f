package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// The environments of the Action deploy: staging is allowed at once, production needs one approval.
const (
	allowedAt  = "staging"
	approvedAt = "production"
)

// ours and theirs name a kind of ours, and the kind that it is compared with.
func ours(resource string) schema.GroupVersionResource {
	return v1alpha1.GroupVersion.WithResource(resource)
}

func theirs(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: comparedGroup, Version: v1alpha1.GroupVersion.Version, Resource: resource}
}

// newRequest is what a person would apply, in either group.
func newRequest(group, name, service, environment, tag string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/" + v1alpha1.GroupVersion.Version, "kind": "ActionRequest",
		"metadata": map[string]any{"namespace": env.WorkNamespace, "name": name},
		"spec": map[string]any{
			"actionRef": map[string]any{"namespace": env.CatalogNamespace, "name": "deploy"},
			"inputs":    map[string]any{"service": service, "environment": environment, "image": fmt.Sprintf("registry/%s:%s", service, tag)},
			"reason":    "a new version",
		},
	}}
}
