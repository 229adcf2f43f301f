package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var patchTypes = map[v1alpha1.WriteOperation]types.PatchType{
	v1alpha1.WriteApply:          types.ApplyPatchType,
	v1alpha1.WriteStrategicPatch: types.StrategicMergePatchType,
	v1alpha1.WriteMergePatch:     types.MergePatchType,
}

func asStatus(err error, into **apierrors.StatusError) bool { return errors.As(err, into) }

// patchOnce sends a JSON patch at most once. First the version of the object is noted and stored; then the patch is sent with a
// test on it, under a field manager of this request alone. After a crash the two tell whether it was sent.
func (a *attempt) patchOnce(ctx context.Context, resource dynamic.ResourceInterface, w *v1alpha1.RenderedWrite) (bool, error) {
	live, err := resource.Get(ctx, w.Object.Name, metav1.GetOptions{})
	if err != nil {
		return false, a.explain(w, err)
	}
	noted := a.outcome.Status.Basis
	manager := fmt.Sprintf("signoff-%s-%s", a.record.Name, a.step.Name)
	switch {
	case sentBy(live.GetManagedFields(), manager):
		a.outcome.Status.Basis, a.outcome.Intent = basisWritten, true
		return false, nil
	case noted == "" || noted != basisOf(live) && onlyStatusChanged(noted, live):
		a.note(live)
		return false, nil
	case noted != basisOf(live):
		a.failed("the object was changed by somebody else before the JSON patch could be sent, and nobody can tell whether it was: look at the object, then ask again")
		return false, nil
	}
	return a.sendOnce(ctx, resource, w, live.GetResourceVersion(), manager)
}

// sendOnce sends the patch. A rejection is an answer: it was not applied, and where the object has moved on, the next version
// is noted.
func (a *attempt) sendOnce(ctx context.Context, resource dynamic.ResourceInterface, w *v1alpha1.RenderedWrite, version, manager string) (bool, error) {
	body, err := withTest(w.Body.Raw, version)
	if err != nil {
		a.failed(err.Error())
		return false, nil
	}
	_, err = resource.Patch(ctx, w.Object.Name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: manager})
	if err == nil {
		a.outcome.Status.Basis = basisWritten
		return true, nil
	}
	if apierrors.IsInvalid(err) || apierrors.IsConflict(err) {
		live, getErr := resource.Get(ctx, w.Object.Name, metav1.GetOptions{})
		if getErr == nil && live.GetResourceVersion() != version {
			a.note(live)
			return false, nil
		}
	}
	return false, a.explain(w, err)
}

// note makes the version of the object be stored before the patch is sent.
func (a *attempt) note(live *unstructured.Unstructured) {
	a.outcome.Status.Basis, a.outcome.Intent = basisOf(live), true
}

// basisOf is the version of an object, and its generation, which counts changes of spec only.
func basisOf(live *unstructured.Unstructured) string {
	return fmt.Sprintf("%s/%d", live.GetResourceVersion(), live.GetGeneration())
}

// onlyStatusChanged tells whether what was noted differs from the object by writes of its status alone. Kinds that do not count
// generations never tell.
func onlyStatusChanged(noted string, live *unstructured.Unstructured) bool {
	_, generation, _ := strings.Cut(noted, "/")
	return live.GetGeneration() > 0 && generation == strconv.FormatInt(live.GetGeneration(), 10)
}

// sentBy tells whether a field manager has written an object.
func sentBy(entries []metav1.ManagedFieldsEntry, manager string) bool {
	for i := range entries {
		if entries[i].Manager == manager {
			return true
		}
	}
	return false
}

// withTest puts a test of the resource version before a JSON patch.
func withTest(body []byte, resourceVersion string) ([]byte, error) {
	var operations []any
	if err := json.Unmarshal(body, &operations); err != nil {
		return nil, fmt.Errorf("failed to read the JSON patch: %w", err)
	}
	test := map[string]any{"op": "test", "path": "/metadata/resourceVersion", "value": resourceVersion}
	return json.Marshal(append([]any{test}, operations...))
}
