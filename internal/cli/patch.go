package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// patchSpec writes one field of a spec, as kubectl patch --type merge does, or tries it.
func patchSpec(ctx context.Context, objects dynamic.Interface, of kind, namespace, name, field string, value any, try bool) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(map[string]any{"spec": map[string]any{field: value}})
	if err != nil {
		return nil, fmt.Errorf("failed to write the %s: %w", field, err)
	}
	options := metav1.PatchOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict}
	if try {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return objects.Resource(resourceOf(of)).Namespace(namespace).Patch(ctx, name, types.MergePatchType, body, options)
}

// printedAs is how an object is printed that was written, or would have been.
func printedAs(try bool) string {
	if try {
		return "%s (server dry run)"
	}
	return "%s"
}

// printRequest prints a request that was written, or says why it was not.
func (s *session) printRequest(ctx context.Context, name *named, after *unstructured.Unstructured, err error, out *outputs, try bool) error {
	s.warn(s.connection)
	switch {
	case isMissing(err):
		return s.unread(ctx, err, requests, name.namespace, name.name)
	case err != nil:
		return refused(err)
	}
	return s.printObject(out, after, printedAs(try))
}

// words are those that a flag gives, or somebody at a terminal. Without any, missing says what to do.
func (p *Program) words(ctx context.Context, given, question, missing string) (string, error) {
	if given == "" && p.asks() {
		var err error
		if given, err = p.ask(ctx, question); err != nil {
			return "", err
		}
	}
	if given == "" {
		return "", errors.New(missing)
	}
	return given, nil
}
