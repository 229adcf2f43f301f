package inputs

import (
	"maps"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// schemaTypes are the types that there are.
var schemaTypes = []string{"array", "boolean", "integer", "number", "object", "string"}

// checkKeywordUse refuses keywords that the API server does not support, or not together, in a schema and in all inside of it.
func checkKeywordUse(s *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	errs := unsupported(s, path)
	if s.Type != "" && !slices.Contains(schemaTypes, s.Type) {
		errs = append(errs, field.NotSupported(path.Child("type"), s.Type, schemaTypes))
	}
	if values := s.AdditionalProperties; values != nil && len(s.Properties) > 0 && (!values.Allows || values.Schema != nil) {
		errs = append(errs, field.Forbidden(path.Child("additionalProperties"), "additionalProperties and properties are mutual exclusive"))
	}
	if s.XPreserveUnknownFields != nil && !*s.XPreserveUnknownFields {
		errs = append(errs, field.Invalid(path.Child("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined"))
	}
	errs = append(errs, checkMapType(s, path)...)
	errs = append(errs, checkListType(s, path)...)
	errs = append(errs, checkRuleTexts(s, path)...)
	for _, child := range inside(s, path) {
		errs = append(errs, checkKeywordUse(child.schema, child.path)...)
	}
	return errs
}

// unsupported refuses the keywords that the API server does not support at all.
func unsupported(s *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, keyword := range []struct {
		name string
		set  bool
	}{
		{"id", s.ID != ""}, {"$schema", s.Schema != ""}, {"$ref", s.Ref != nil}, {"additionalItems", s.AdditionalItems != nil},
		{"patternProperties", len(s.PatternProperties) > 0}, {"definitions", len(s.Definitions) > 0}, {"dependencies", s.Dependencies != nil},
	} {
		if keyword.set {
			errs = append(errs, field.Forbidden(path.Child(keyword.name), keyword.name+" is not supported"))
		}
	}
	if s.UniqueItems {
		errs = append(errs, field.Forbidden(path.Child("uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"))
	}
	if s.Items != nil && len(s.Items.JSONSchemas) > 0 {
		errs = append(errs, field.Forbidden(path.Child("items"), "items must be a schema object and not an array"))
	}
	return errs
}

// placed is a schema and where it stands.
type placed struct {
	schema *apiextensions.JSONSchemaProps
	path   *field.Path
}

// inside gives every schema directly inside of one, in a stable order.
func inside(s *apiextensions.JSONSchemaProps, path *field.Path) []placed {
	var all []placed
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		all = append(all, placed{new(s.Properties[name]), path.Child("properties").Key(name)})
	}
	if s.Items != nil {
		all = append(all, placed{s.Items.Schema, path.Child("items")})
	}
	if s.AdditionalProperties != nil {
		all = append(all, placed{s.AdditionalProperties.Schema, path.Child("additionalProperties")})
	}
	all = append(all, placed{s.Not, path.Child("not")})
	for _, junction := range []struct {
		name    string
		schemas []apiextensions.JSONSchemaProps
	}{{"allOf", s.AllOf}, {"anyOf", s.AnyOf}, {"oneOf", s.OneOf}} {
		for i := range junction.schemas {
			all = append(all, placed{&junction.schemas[i], path.Child(junction.name).Index(i)})
		}
	}
	return slices.DeleteFunc(all, func(p placed) bool { return p.schema == nil })
}
