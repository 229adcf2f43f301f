package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Apply applies the objects of a YAML stream, server-side and as Admin.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	objects, err := decode(manifests)
	if err != nil {
		return err
	}
	admin, err := client.New(c.Admin, client.Options{})
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	for _, object := range objects {
		apply := client.ApplyConfigurationFromUnstructured(object)
		if err := admin.Apply(ctx, apply, client.FieldOwner("signoff-test-env"), client.ForceOwnership); err != nil {
			return fmt.Errorf("failed to apply %s %q: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// ApplyFile applies the objects of a YAML file, server-side and as Admin. A relative path starts at the root of the repository.
func (c *Cluster) ApplyFile(ctx context.Context, path string) error {
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.root, path)
	}
	manifests, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("failed to read manifests: %w", err)
	}
	if err := c.Apply(ctx, manifests); err != nil {
		return fmt.Errorf("failed to apply %s: %w", path, err)
	}
	return nil
}

func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("failed to decode manifests: %w", err)
		case len(object.Object) > 0: // a stream may hold documents of comments only
			objects = append(objects, object)
		}
	}
}
