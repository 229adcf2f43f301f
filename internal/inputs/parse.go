package inputs

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/json"
)

const (
	// maxDepth is how deep inputs and their schema may nest.
	maxDepth = 32
	// maxBytes is how large inputs, or their schema, may be as JSON.
	maxBytes = 512 * 1024
)

// parse reads one JSON object strictly: no key twice, nothing behind it, only valid UTF-8. Whole numbers become int64.
func parse(raw []byte, path *field.Path) (map[string]any, field.ErrorList) {
	switch {
	case len(raw) > maxBytes:
		return nil, field.ErrorList{field.TooLong(path, field.OmitValueType{}, maxBytes)}
	case !utf8.Valid(raw):
		return nil, field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be valid UTF-8")}
	}
	var value any
	strict, err := json.UnmarshalStrict(raw, &value, json.DisallowDuplicateFields)
	if err != nil {
		return nil, field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be JSON: "+cut(err.Error(), maxReason))}
	}
	if len(strict) > 0 {
		return nil, duplicates(strict, path)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, field.ErrorList{field.TypeInvalid(path, field.OmitValueType{}, fmt.Sprintf("must be an object, not %s", kindOf(value)))}
	}
	if !shallow(value, maxDepth) {
		return nil, field.ErrorList{field.Invalid(path, field.OmitValueType{}, fmt.Sprintf("must not nest deeper than %d levels", maxDepth))}
	}
	return object, nil
}

func duplicates(strict []error, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, err := range strict {
		at := path
		var named json.FieldError
		if errors.As(err, &named) {
			at = path.Child(short(named.FieldPath()))
		}
		errs = append(errs, field.Duplicate(at, field.OmitValueType{}))
	}
	return errs
}

// shallow reports whether a value nests at most so many levels.
func shallow(value any, levels int) bool {
	if levels < 0 {
		return false
	}
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			if !shallow(child, levels-1) {
				return false
			}
		}
	case []any:
		for _, child := range v {
			if !shallow(child, levels-1) {
				return false
			}
		}
	}
	return true
}

// decode reads a schema whose keywords were checked before.
func decode(raw []byte, path *field.Path) (*apiextensions.JSONSchemaProps, field.ErrorList) {
	var external apiextensionsv1.JSONSchemaProps
	if err := json.UnmarshalCaseSensitivePreserveInts(raw, &external); err != nil {
		return nil, field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be a schema: "+cut(err.Error(), maxReason))}
	}
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&external, &internal, nil); err != nil {
		return nil, field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be a schema: "+cut(err.Error(), maxReason))}
	}
	return &internal, nil
}

// kindOf names the JSON type of a value.
func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case float64:
		if v != math.Trunc(v) {
			return "a number with a fraction"
		}
	}
	return "a number"
}
