package expression

import (
	"fmt"

	"github.com/google/cel-go/common/types"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// lenientProvider reads the fields of the built-in variables when programs run: a list or a map that is absent is an empty
// one, because Kubernetes leaves empty labels out. An absent field of any other type is an error.
type lenientProvider struct{ types.Provider }

// lenient are those fields with their empty values, by the name of the type and of the field.
var lenient = emptyFields(requestType(), personType(), namespaceType(), actionType(), plannedType(), teamType(),
	object(userTypeName, loginFields()))

func emptyFields(of ...*apiservercel.DeclType) map[string]map[string]any {
	out := make(map[string]map[string]any)
	for _, root := range of {
		for name, t := range apiservercel.FieldTypeMap(root.TypeName(), root) {
			fields := make(map[string]any)
			for field, f := range t.Fields {
				if f.Type.IsList() {
					fields[field] = []string{}
				} else if f.Type.IsMap() {
					fields[field] = map[string]string{}
				}
			}
			out[name] = fields
		}
	}
	return out
}

// FindStructFieldType implements types.Provider.
func (p *lenientProvider) FindStructFieldType(typeName, field string) (*types.FieldType, bool) {
	empty, ok := lenient[typeName][field]
	if !ok {
		return p.Provider.FindStructFieldType(typeName, field)
	}
	return &types.FieldType{
		Type: types.DynType,
		IsSet: func(of any) bool {
			m, ok := of.(map[string]any)
			return ok && m[field] != nil
		},
		GetFrom: func(of any) (any, error) {
			m, ok := of.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("no such key: %s", field)
			}
			v, ok := m[field]
			if unknown, failed := v.(error); failed {
				return nil, unknown
			}
			if ok && v != nil {
				return v, nil
			}
			return empty, nil
		},
	}, true
}
