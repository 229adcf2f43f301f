package plan

import (
	"encoding/json"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// result is what the write makes of the object, by the rules of the API server. Neither argument is changed.
func result(w *v1alpha1.RenderedWrite, before, body map[string]any) (map[string]any, error) {
	switch w.Operation {
	case v1alpha1.WriteApply:
		return applied(before, body, w), nil
	case v1alpha1.WriteStrategicPatch:
		return strategic(before, body, w.Object)
	case v1alpha1.WriteMergePatch:
		return merged(before, body)
	default:
		return nil, fmt.Errorf("operation %q is not known", w.Operation)
	}
}

func strategic(before, body map[string]any, ref v1alpha1.ObjectReference) (map[string]any, error) {
	tags, ok := tagsOf(ref)
	if !ok {
		return nil, fmt.Errorf("how %s %s merges lists is not known; use apply, or a stable version of the kind", ref.APIVersion, ref.Kind)
	}
	after, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(runtime.DeepCopyJSON(before), runtime.DeepCopyJSON(body), tags)
	if err != nil {
		return nil, fmt.Errorf("failed to merge: %w", err)
	}
	return after, nil
}

func merged(before, body map[string]any) (map[string]any, error) {
	return throughJSON(before, body, jsonpatch.MergePatch)
}

// throughJSON gives an object to a library that works on bytes.
func throughJSON(before map[string]any, patch any, change func(before, patch []byte) ([]byte, error)) (map[string]any, error) {
	doc, err := json.Marshal(before)
	if err != nil {
		return nil, fmt.Errorf("failed to read the object: %w", err)
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("failed to read the patch: %w", err)
	}
	out, err := change(doc, raw)
	if err != nil {
		return nil, err
	}
	var after map[string]any
	if err := utiljson.Unmarshal(out, &after); err != nil {
		return nil, fmt.Errorf("failed to read the result: %w", err)
	}
	return after, nil
}
