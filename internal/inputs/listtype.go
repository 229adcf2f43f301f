package inputs

import (
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkMapType judges x-kubernetes-map-type.
func checkMapType(s *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	if s.XMapType == nil {
		return nil
	}
	known := []string{"atomic", "granular"}
	var errs field.ErrorList
	if s.Type != "object" {
		errs = append(errs, field.Invalid(path.Child("type"), s.Type, "must be object if x-kubernetes-map-type is specified"))
	}
	if !slices.Contains(known, *s.XMapType) {
		errs = append(errs, field.NotSupported(path.Child("x-kubernetes-map-type"), *s.XMapType, known))
	}
	return errs
}

// checkListType judges x-kubernetes-list-type and x-kubernetes-list-map-keys.
func checkListType(s *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	at := path.Child("x-kubernetes-list-type")
	if s.XListType == nil {
		if len(s.XListMapKeys) > 0 {
			return field.ErrorList{field.Required(at, "must be map if x-kubernetes-list-map-keys is non-empty")}
		}
		return nil
	}
	var errs field.ErrorList
	if s.Type != "array" {
		errs = append(errs, field.Invalid(path.Child("type"), s.Type, "must be array if x-kubernetes-list-type is specified"))
	}
	kind := *s.XListType
	if kind != "map" && len(s.XListMapKeys) > 0 {
		errs = append(errs, field.Invalid(at, kind, "must be map if x-kubernetes-list-map-keys is non-empty"))
	}
	switch kind {
	case "atomic":
	case "set":
		errs = append(append(errs, checkSet(s, path.Child("items"))...), checkNoNull(s, path, kind)...)
	case "map":
		errs = append(append(errs, checkMapList(s, path)...), checkNoNull(s, path, kind)...)
	default:
		errs = append(errs, field.NotSupported(at, kind, []string{"atomic", "set", "map"}))
	}
	return errs
}

// checkNoNull demands that no item is null.
func checkNoNull(s *apiextensions.JSONSchemaProps, path *field.Path, kind string) field.ErrorList {
	if s.Items == nil || s.Items.Schema == nil || !s.Items.Schema.Nullable {
		return nil
	}
	return field.ErrorList{field.Forbidden(path.Child("items", "nullable"), "cannot be nullable when x-kubernetes-list-type is "+kind)}
}

// checkSet demands that the items of a set are compared as a whole.
func checkSet(s *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	if s.Items == nil || s.Items.Schema == nil {
		return nil
	}
	const message = "must be atomic as item of a list with x-kubernetes-list-type=set"
	items := s.Items.Schema
	switch {
	case items.Type == "array" && items.XListType != nil && *items.XListType != "atomic":
		return field.ErrorList{field.Invalid(path.Child("x-kubernetes-list-type"), *items.XListType, message)}
	case items.Type == "object" && (items.XMapType == nil || *items.XMapType != "atomic"):
		return field.ErrorList{field.Invalid(path.Child("x-kubernetes-map-type"), field.OmitValueType{}, message)}
	}
	return nil
}

// checkMapList demands that every item of a list of type map has its keys.
func checkMapList(s *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	at := path.Child("x-kubernetes-list-map-keys")
	var errs field.ErrorList
	if len(s.XListMapKeys) == 0 {
		errs = append(errs, field.Required(at, "must not be empty if x-kubernetes-list-type is map"))
	}
	if s.Items == nil || s.Items.Schema == nil {
		return append(errs, field.Required(path.Child("items"), "must have a schema if x-kubernetes-list-type is map"))
	}
	if s.Items.Schema.Type != "object" {
		return append(errs, field.Invalid(path.Child("items", "type"), s.Items.Schema.Type, "must be object if parent array's x-kubernetes-list-type is map"))
	}
	for i, key := range s.XListMapKeys {
		if slices.Contains(s.XListMapKeys[:i], key) {
			errs = append(errs, field.Duplicate(at.Index(i), key))
		}
		errs = append(errs, checkMapKey(s.Items.Schema, key, at.Index(i), path.Child("items", "properties").Key(key))...)
	}
	return errs
}

func checkMapKey(item *apiextensions.JSONSchemaProps, key string, at, path *field.Path) field.ErrorList {
	property, ok := item.Properties[key]
	if !ok {
		return field.ErrorList{field.Invalid(at, key, "entries must all be names of item properties")}
	}
	var errs field.ErrorList
	if property.Type == "array" || property.Type == "object" {
		errs = append(errs, field.Invalid(path.Child("type"), property.Type, "must be a scalar type if parent array's x-kubernetes-list-type is map"))
	}
	if property.Default == nil && !slices.Contains(item.Required, key) {
		errs = append(errs, field.Required(path.Child("default"), "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"))
	}
	if property.Nullable {
		errs = append(errs, field.Forbidden(path.Child("nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))
	}
	return errs
}
