package inputs

import (
	"context"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// wrapper is the property of an invented resource at which the schema stands. So the rules for the root of a resource, with its
// apiVersion, kind and metadata, do not apply.
const wrapper = "inputs"

// checkLikeKubernetes demands what the API server demands of the schema of a custom resource: keywords that it knows, a structural
// schema, defaults that are valid, rules that compile and are not too expensive. The function of the API server brings half of an API
// server into the program, its egress proxy, gRPC and tracing: 13 MB of memory. So only its parts are used, and a test compares what
// they say with what that function says.
func checkLikeKubernetes(props *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	errs := checkKeywordUse(props, path)
	structural, err := structuralschema.NewStructural(props)
	if err != nil {
		if len(errs) == 0 {
			errs = field.ErrorList{field.Invalid(path, field.OmitValueType{}, err.Error())}
		}
		return errs
	}
	if more := checkStructure(structural, path); len(more) > 0 || len(errs) > 0 {
		return append(errs, more...)
	}
	return checkAllRules(structural, path)
}

// checkStructure runs the checks of the API server on a whole resource with the schema inside of it.
func checkStructure(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	resource := &structuralschema.Structural{
		Generic:    structuralschema.Generic{Type: "object"},
		Properties: map[string]structuralschema.Structural{wrapper: *s},
	}
	root := field.NewPath("resource")
	errs := structuralschema.ValidateStructural(root, resource)
	if len(errs) == 0 {
		var err error
		if errs, err = defaulting.ValidateDefaults(context.Background(), root, resource, true, true); err != nil {
			errs = append(errs, field.InternalError(root, err))
		}
	}
	return moved(errs, root.Child("properties").Key(wrapper).String(), path)
}

// moved changes where errors say that something is wrong.
func moved(errs field.ErrorList, from string, to *field.Path) field.ErrorList {
	var out field.ErrorList
	for _, err := range errs {
		at := *err
		at.Field = to.String() + strings.TrimPrefix(err.Field, from)
		at.Detail = strings.ReplaceAll(err.Detail, from, to.String())
		out = append(out, &at)
	}
	return out
}

// checkRoot demands an object with named properties.
func checkRoot(props *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if props.Type != "object" {
		errs = append(errs, field.NotSupported(path.Child("type"), props.Type, []string{"object"}))
	}
	if props.AdditionalProperties != nil {
		errs = append(errs, field.Forbidden(path.Child("additionalProperties"), "every input has a name: list them in properties"))
	}
	if props.Nullable {
		errs = append(errs, field.Forbidden(path.Child("nullable"), "inputs cannot be null"))
	}
	if props.Default != nil {
		errs = append(errs, field.Forbidden(path.Child("default"), "give each property its default instead"))
	}
	return errs
}
