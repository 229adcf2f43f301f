package plan

import (
	"slices"

	"github.com/signoff-dev/signoff/internal/compare"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// applied is what a server-side apply makes of the object. How a list is merged is known from the field managers of the object,
// who own its elements by key where it is a map; and for the kinds of Kubernetes from their types.
func applied(before, body map[string]any, w *v1alpha1.RenderedWrite) map[string]any {
	owners := ownersOf(before, w.FieldManager)
	tags, _ := tagsOf(w.Object)
	out, _ := merge(runtime.DeepCopyJSON(before), runtime.DeepCopyJSON(body), owners.all, tags).(map[string]any)
	return owners.takeBack(out, body)
}

// merge lays the applied value over the one that is there. Managed are the fields of the value that have an owner.
func merge(before, body any, managed *fieldpath.Set, tags strategicpatch.LookupPatchMeta) any {
	switch b := body.(type) {
	case map[string]any:
		if old, ok := before.(map[string]any); ok {
			return mergeMaps(old, b, managed, tags)
		}
	case []any:
		if old, ok := before.([]any); ok {
			return mergeLists(old, b, managed, tags)
		}
	}
	return body
}

func mergeMaps(before, body map[string]any, managed *fieldpath.Set, tags strategicpatch.LookupPatchMeta) any {
	for key, value := range body {
		if value == nil {
			delete(before, key)
			continue
		}
		before[key] = merge(before[key], value, below(managed, fieldpath.FieldNameElement(key)), under(tags, key, value))
	}
	return before
}

// below are the fields that are owned under an element.
func below(managed *fieldpath.Set, element fieldpath.PathElement) *fieldpath.Set {
	if managed == nil {
		return nil
	}
	return managed.WithPrefix(element)
}

// listTags carries what the types say of a list: the tags of its elements, and the key by which they are merged.
type listTags struct {
	strategicpatch.LookupPatchMeta
	key   string
	merge bool
}

// under gives the tags of a field. Those of a list say how it is merged.
func under(tags strategicpatch.LookupPatchMeta, key string, value any) strategicpatch.LookupPatchMeta {
	if tags == nil {
		return nil
	}
	switch value.(type) {
	case map[string]any:
		next, _, err := tags.LookupPatchMetadataForStruct(key)
		if err != nil {
			return nil
		}
		return next
	case []any:
	default:
		// There is nothing below, and finding out what the types say of it costs more than comparing it.
		return nil
	}
	next, meta, err := tags.LookupPatchMetadataForSlice(key)
	if err != nil {
		return nil
	}
	return &listTags{LookupPatchMeta: next, key: meta.GetPatchMergeKey(), merge: slices.Contains(meta.GetPatchStrategies(), "merge")}
}

func mergeLists(before, body []any, managed *fieldpath.Set, tags strategicpatch.LookupPatchMeta) any {
	keys, isSet := listKeys(managed)
	known, _ := tags.(*listTags)
	if len(keys) == 0 && !isSet && known != nil && known.merge {
		isSet = known.key == ""
		if keys = []string{known.key}; known.key == "port" || known.key == "containerPort" {
			keys = append(keys, protocol) // which only apply merges by
		}
	}
	switch {
	case isSet:
		return union(before, body)
	case len(keys) == 0:
		return body
	}
	var items strategicpatch.LookupPatchMeta
	if known != nil {
		items = known.LookupPatchMeta
	}
	return mergeItems(before, body, keys, managed, items)
}

func mergeItems(before, body []any, keys []string, managed *fieldpath.Set, tags strategicpatch.LookupPatchMeta) any {
	for _, item := range body {
		i := slices.IndexFunc(before, func(old any) bool { return sameItem(old, item, keys) })
		if i < 0 {
			before = append(before, item)
			continue
		}
		before[i] = merge(before[i], item, ownedItem(managed, before[i]), tags)
	}
	return before
}

// sameItem compares two elements by their keys. A key that is not written has its default; where that is not known, it fits any value.
func sameItem(old, item any, keys []string) bool {
	a, isMap := old.(map[string]any)
	b, both := item.(map[string]any)
	if !isMap || !both {
		return false
	}
	found := false
	for _, key := range keys {
		_, written := b[key]
		found = found || written
		if value := keyOf(b, key); value != nil && !compare.Same(keyOf(a, key), value) {
			return false
		}
	}
	return found
}

// keyOf is what an element has for a key of its list. Nil: nobody knows. Of the keys of the lists of Kubernetes, that of the ports of a Service or a
// container alone has a default.
func keyOf(item map[string]any, key string) any {
	if value, written := item[key]; written || key != protocol {
		return value
	}
	return "TCP"
}

const protocol = "protocol"

func union(before, body []any) []any {
	for _, item := range body {
		if !slices.ContainsFunc(before, func(old any) bool { return compare.Same(old, item) }) {
			before = append(before, item)
		}
	}
	return before
}
