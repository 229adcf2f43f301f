package inputs

import (
	"maps"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// Schema is a compiled schema of inputs, safe for concurrent use. A nil Schema belongs to an Action without inputs.
type Schema struct {
	structural *structuralschema.Structural
	root       *node
	validator  schemavalidation.SchemaValidator
	// rules are the x-kubernetes-validations; nil without any.
	rules *schemacel.Validator
}

// Compile checks and compiles a schema. Path is where it stands, such as spec.inputs.openAPIV3Schema.
func Compile(raw []byte, path *field.Path) (*Schema, field.ErrorList) {
	tree, errs := parse(raw, path)
	if len(errs) > 0 {
		return nil, errs
	}
	if errs := checkKeywords(tree, path); len(errs) > 0 {
		return nil, present(errs)
	}
	props, errs := decode(raw, path)
	if len(errs) > 0 {
		return nil, errs
	}
	if errs := checkRoot(props, path); len(errs) > 0 {
		return nil, present(errs)
	}
	if errs := checkLikeKubernetes(props, path); len(errs) > 0 {
		return nil, present(errs)
	}
	return build(props, path)
}

// build makes the parts of a Schema, once Kubernetes would accept the schema.
func build(props *apiextensions.JSONSchemaProps, path *field.Path) (*Schema, field.ErrorList) {
	structural, err := structuralschema.NewStructural(props)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(path, err)}
	}
	if errs := checkBounds(structural, path); len(errs) > 0 {
		return nil, present(errs)
	}
	if errs := checkPatterns(structural, path); len(errs) > 0 {
		return nil, errs
	}
	validator, _, err := schemavalidation.NewSchemaValidator(props)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(path, err)}
	}
	return &Schema{
		structural: structural, root: nodeOf(structural), validator: validator,
		rules: schemacel.NewValidator(structural, false, celconfig.PerCallLimit),
	}, nil
}

// Structural returns the schema for the type checker of expressions; nil without inputs.
func (s *Schema) Structural() *structuralschema.Structural {
	if s == nil {
		return nil
	}
	return s.structural
}

// Names returns the names of all inputs in alphabetical order.
func (s *Schema) Names() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.structural.Properties))
}
