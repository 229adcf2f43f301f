package catalog

// InputValues lists the values that the schema lists for an input; none where it lists none.
func (a *Action) InputValues(name string) []any {
	schema := a.Inputs.Structural()
	if schema == nil {
		return nil
	}
	property, ok := schema.Properties[name]
	if !ok || property.ValueValidation == nil {
		return nil
	}
	values := make([]any, len(property.ValueValidation.Enum))
	for i := range property.ValueValidation.Enum {
		values[i] = property.ValueValidation.Enum[i].Object
	}
	return values
}
