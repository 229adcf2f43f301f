package steps

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Reading reads an object as it now is. Only NotFound means that it is not there.
type Reading func(v1alpha1.ObjectReference) (*unstructured.Unstructured, error)

// Unread is an object without which steps cannot be filled in, and that could not be read.
type Unread struct {
	Object v1alpha1.ObjectReference
	// Use is what it is needed for, after its name: "which is to be deleted".
	Use string
	Err error
}

// Gather reads into the input the objects that Render needs: those that are deleted, whose uids people agree to, the Secrets that calls carry, and those whose pods are
// copied, which are the sources. An error means that nobody can tell which objects these are.
func (s *Steps) Gather(ctx context.Context, in *Input, read Reading) (sources []v1alpha1.ObjectReference, unread []Unread, err error) {
	deleted, err := s.Deleted(ctx, *in)
	if err != nil {
		return nil, nil, err
	}
	if sources, err = s.PodSources(ctx, *in); err != nil {
		return nil, nil, err
	}
	var secrets []v1alpha1.ObjectReference
	for _, name := range s.Secrets() {
		secrets = append(secrets, SecretRef(in.Namespace, name))
	}
	for _, group := range []struct {
		use      string
		optional bool
		refs     []v1alpha1.ObjectReference
	}{{"which is to be deleted", true, deleted}, {"which a call is to carry", false, secrets}, {"whose pod is to be copied", false, sources}} {
		for _, ref := range group.refs {
			object, err := read(ref)
			switch {
			case err == nil:
				in.Objects[ref] = withoutContent(ref, object)
			case !group.optional || !apierrors.IsNotFound(err):
				unread = append(unread, Unread{Object: ref, Use: group.use, Err: err})
			}
		}
	}
	return sources, unread, nil
}

// withoutContent gives an object without what is in it if it is a Secret: nobody looks at that. Which keys have a value stays, for HasKey.
func withoutContent(ref v1alpha1.ObjectReference, object *unstructured.Unstructured) *unstructured.Unstructured {
	if !isSecretKind(ref.APIVersion, ref.Kind) {
		return object
	}
	out := &unstructured.Unstructured{Object: maps.Clone(object.Object)}
	keys := map[string]any{}
	data, _ := object.Object["data"].(map[string]any)
	for key, value := range data {
		if encoded, _ := value.(string); hasValue(encoded) {
			keys[key] = ""
		}
	}
	out.Object["data"] = keys
	return out
}

// hasValue tells whether anything would be sent of what the API server gives under a key.
func hasValue(encoded string) bool {
	data, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && SecretValue(data) != ""
}

// SecretValue is what is sent of what is in a Secret under a key: editors and shells end a file with a line break. Empty: there is nothing to send.
func SecretValue(data []byte) string { return strings.TrimRight(string(data), "\r\n") }

// HasKey tells whether a Secret that Gather has read has a value under a key. It is for the keys that an Action names: nobody is told of others.
func HasKey(secret *unstructured.Unstructured, key string) bool {
	_, has, err := unstructured.NestedFieldNoCopy(secret.Object, "data", key)
	return has && err == nil
}

// RenderAfter renders steps, and fills in what is known of earlier ones: the plan steps. Nil: nothing is.
func (s *Steps) RenderAfter(ctx context.Context, in Input, earlier *Earlier) ([]v1alpha1.RenderedStep, error) {
	rendered, err := s.Render(ctx, in)
	if err != nil {
		return nil, err
	}
	for i := range rendered {
		if earlier == nil || !IsLate(&rendered[i]) {
			continue
		}
		early, err := earlier.FillEarly(ctx, &rendered[i], in.Budget)
		if err != nil {
			return nil, fmt.Errorf("failed to fill in step %q with what the plan steps gave: %w", rendered[i].Name, err)
		}
		rendered[i] = *early
	}
	return rendered, nil
}
