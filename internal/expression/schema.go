package expression

import (
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// inputsType turns the schema of inputs into a type for the type checker. Without a schema there are no fields.
func inputsType(schema *structuralschema.Structural) *apiservercel.DeclType {
	none := object(inputsTypeName, nil)
	if schema == nil {
		return none
	}
	t := model.SchemaDeclType(schema, false)
	if t == nil || !t.IsObject() {
		return none
	}
	return t.MaybeAssignTypeName(inputsTypeName)
}

// asWritten removes the formats of strings, so that a date or a duration stays the string that was sent. Templates use it:
// a date must not come out of a template as a time of day in another zone.
func asWritten(schema *structuralschema.Structural) *structuralschema.Structural {
	if schema == nil {
		return nil
	}
	out := schema.DeepCopy()
	visitor := structuralschema.Visitor{Structural: func(s *structuralschema.Structural) bool {
		if s.ValueValidation == nil || s.ValueValidation.Format == "" {
			return false
		}
		s.ValueValidation.Format = ""
		return true
	}}
	visitor.Visit(out)
	return out
}
