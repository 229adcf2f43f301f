package expression

import (
	"fmt"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// Names of the types of steps.
const (
	stepsTypeName = "signoff.Steps"
	stepTypeName  = "signoff.Step"
)

// WithSteps returns a compiler that also knows the variable steps: of each step its state, and its outputs with the types of their schema.
func (c *Compiler) WithSteps(outputs map[string]*structuralschema.Structural) (*Compiler, error) {
	fields := map[string]*apiservercel.DeclType{}
	for name, schema := range outputs {
		fields[name] = object(stepTypeName+"."+name, map[string]*apiservercel.DeclType{
			"state": text(maxName), "outputs": outputsType(name, schema),
		})
	}
	return c.with(varSteps, object(stepsTypeName, fields))
}

func outputsType(step string, schema *structuralschema.Structural) *apiservercel.DeclType {
	name := stepTypeName + "." + step + ".Outputs"
	if schema == nil {
		return object(name, nil)
	}
	if t := model.SchemaDeclType(asWritten(schema), false); t != nil && t.IsObject() {
		return t.MaybeAssignTypeName(name)
	}
	return object(name, nil)
}

// Steps makes the value of the variable steps of outputs as they were stored.
func Steps(schemas map[string]*structuralschema.Structural, states map[string]string, outputs map[string]map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for name, schema := range schemas {
		values := any(outputs[name])
		if outputs[name] == nil {
			values = map[string]any{}
		}
		if convert := converterFor(asWritten(schema)); convert != nil {
			var err error
			if values, err = convert(values); err != nil {
				return nil, fmt.Errorf("failed to read the outputs of step %s: %w", name, err)
			}
		}
		out[name] = map[string]any{"state": states[name], "outputs": values}
	}
	return out, nil
}
