package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/facts"
)

// factsYAML is what facts are read from.
//
//go:embed testdata/facts.yaml
var factsYAML []byte

// mirror stands for the API server from which facts are read and watched. Nothing changes there, so that a decision is measured and not
// the reading.
type mirror struct {
	objects []unstructured.Unstructured
	// reads counts what was asked.
	reads atomic.Int64
}

var _ facts.Clients = (*mirror)(nil)

func newMirror() (*mirror, error) {
	m := &mirror{}
	for _, text := range bytes.Split(factsYAML, []byte("\n---\n")) {
		object := unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &object.Object); err != nil {
			return nil, fmt.Errorf("failed to decode a fact: %w", err)
		}
		m.objects = append(m.objects, object)
	}
	return m, nil
}

// Resource implements facts.Clients.
func (m *mirror) Resource(_, _ string, ref *v1alpha1.ObjectReference) (dynamic.ResourceInterface, error) {
	view := &mirrored{version: "20", reads: &m.reads}
	for i := range m.objects {
		if object := &m.objects[i]; object.GetKind() == ref.Kind && object.GetNamespace() == ref.Namespace {
			view.objects = append(view.objects, *object)
		}
	}
	return view, nil
}

// ResourceOf implements facts.Clients.
func (m *mirror) ResourceOf(*v1alpha1.ObjectReference) (schema.GroupResource, bool, error) {
	return schema.GroupResource{Resource: "configmaps"}, true, nil
}

// mirrored is the objects of one kind in one namespace.
type mirrored struct {
	dynamic.ResourceInterface

	objects []unstructured.Unstructured
	version string
	reads   *atomic.Int64
}

// Get implements dynamic.ResourceInterface.
func (v *mirrored) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	v.reads.Add(1)
	for i := range v.objects {
		if v.objects[i].GetName() == name {
			return v.objects[i].DeepCopy(), nil
		}
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
}

// List implements dynamic.ResourceInterface. Every object has the labels that are asked for.
func (v *mirrored) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	v.reads.Add(1)
	list := &unstructured.UnstructuredList{Items: v.objects}
	list.SetResourceVersion(v.version)
	return list.DeepCopy(), nil
}

// Watch implements dynamic.ResourceInterface.
func (v *mirrored) Watch(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return watch.NewFake(), nil
}
