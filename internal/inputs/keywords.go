package inputs

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/internal/suggest"
)

var (
	schemaKeywords = jsonNames(reflect.TypeFor[apiextensionsv1.JSONSchemaProps]())
	ruleKeywords   = jsonNames(reflect.TypeFor[apiextensionsv1.ValidationRule]())
)

// jsonNames are the keys that a type of the API has in JSON.
func jsonNames(t reflect.Type) []string {
	var out []string
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// checkKeywords refuses keywords that do not exist. Kubernetes would drop them silently, and with "maxLenght: 63" the bound
// would be gone. It cannot be done while decoding: below items and additionalProperties the types decode themselves.
func checkKeywords(schema map[string]any, path *field.Path) field.ErrorList {
	errs := unknown(schema, schemaKeywords, "keyword", path)
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		at := path.Child(keyword)
		switch keyword {
		case "properties", "patternProperties", "definitions":
			errs = append(errs, eachValue(schema[keyword], at)...)
		case "allOf", "anyOf", "oneOf":
			errs = append(errs, eachElement(schema[keyword], at)...)
		case "items", "additionalProperties", "additionalItems", "not":
			// Items may be a list and additionalProperties true or false: the check of Kubernetes judges that.
			if child, ok := schema[keyword].(map[string]any); ok {
				errs = append(errs, checkKeywords(child, at)...)
			}
		case "x-kubernetes-validations":
			errs = append(errs, eachRule(schema[keyword], at)...)
		}
	}
	return errs
}

func eachValue(value any, path *field.Path) field.ErrorList {
	m, ok := value.(map[string]any)
	if !ok {
		return field.ErrorList{field.TypeInvalid(path, field.OmitValueType{}, "must be an object, not "+kindOf(value))}
	}
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if child, ok := m[name].(map[string]any); ok {
			errs = append(errs, checkKeywords(child, path.Key(name))...)
		} else {
			errs = append(errs, field.TypeInvalid(path.Key(name), field.OmitValueType{}, "must be a schema, not "+kindOf(m[name])))
		}
	}
	return errs
}

func eachElement(value any, path *field.Path) field.ErrorList {
	list, ok := value.([]any)
	if !ok {
		return field.ErrorList{field.TypeInvalid(path, field.OmitValueType{}, "must be a list, not "+kindOf(value))}
	}
	var errs field.ErrorList
	for i := range list {
		if child, ok := list[i].(map[string]any); ok {
			errs = append(errs, checkKeywords(child, path.Index(i))...)
		} else {
			errs = append(errs, field.TypeInvalid(path.Index(i), field.OmitValueType{}, "must be a schema, not "+kindOf(list[i])))
		}
	}
	return errs
}

func eachRule(value any, path *field.Path) field.ErrorList {
	list, ok := value.([]any)
	if !ok {
		return field.ErrorList{field.TypeInvalid(path, field.OmitValueType{}, "must be a list, not "+kindOf(value))}
	}
	var errs field.ErrorList
	for i := range list {
		if rule, ok := list[i].(map[string]any); ok {
			errs = append(errs, unknown(rule, ruleKeywords, "field", path.Index(i))...)
		} else {
			errs = append(errs, field.TypeInvalid(path.Index(i), field.OmitValueType{}, "must be an object with a rule, not "+kindOf(list[i])))
		}
	}
	return errs
}

// unknown refuses keys that are not known, and says which was probably meant.
func unknown(m map[string]any, known []string, what string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, key) {
			errs = append(errs, field.Forbidden(path.Child(short(key)), unknownName(what, key, known)))
		}
	}
	return errs
}

func unknownName(what, name string, known []string) string {
	if near := suggest.Nearest(name, known); near != "" {
		return fmt.Sprintf("unknown %s, did you mean %q?", what, near)
	}
	if what == "field" && len(known) > 0 && len(known) <= 12 {
		return fmt.Sprintf("unknown %s, there are: %s", what, strings.Join(known, ", "))
	}
	return "unknown " + what
}
