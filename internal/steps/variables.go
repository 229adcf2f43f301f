package steps

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/internal/expression"
)

const (
	varInputs = "inputs"
	// varTypes stands in a Record beside the variables: of what types the inputs are. No condition reads it.
	varTypes = "types"
)

// recorded are the variables of the request that a condition can read while the steps run, with their fields; nil: all of them.
var recorded = map[string][]string{
	varInputs: nil, "request": nil, "requester": {"username", "uid", "person"},
}

// Variables are what the conditions of the steps read of the request, for the Record, and of what types the inputs among it are. Nil: they read
// nothing of it.
func (s *Steps) Variables(in Input) (*runtime.RawExtension, error) {
	out := map[string]any{}
	for name, fields := range recorded {
		if !s.conditionsUse(name) {
			continue
		}
		value := in.Vars.Values[name]
		if lazy, ok := value.(expression.Lazy); ok {
			value = lazy()
		}
		object, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("failed to record %s, which a step reads: it is not known", name)
		}
		if fields != nil {
			object = keep(object, fields)
		}
		out[name] = withTexts(object)
	}
	if len(out) == 0 {
		return nil, nil
	}
	if types := s.inputTypes(); types != nil {
		out[varTypes] = types
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("failed to record what steps read: %w", err)
	}
	return &runtime.RawExtension{Raw: raw}, nil
}

// withTexts writes durations as a request does: JSON would make numbers of them.
func withTexts(object map[string]any) map[string]any {
	out := maps.Clone(object)
	for name, value := range out {
		if d, ok := value.(time.Duration); ok {
			out[name] = d.String()
		}
	}
	return out
}

func (s *Steps) conditionsUse(name string) bool {
	for i := range s.steps {
		if when := s.steps[i].when; when != nil && when.Uses(name) {
			return true
		}
	}
	return false
}

// inputTypes says of what types the inputs are that conditions read. Nil: they read none.
func (s *Steps) inputTypes() *apiextensionsv1.JSONSchemaProps {
	var out *apiextensionsv1.JSONSchemaProps
	for i := range s.steps {
		types := typesIn(s.steps[i].when)
		switch {
		case out == nil:
			out = types
		case types != nil:
			maps.Copy(out.Properties, types.Properties)
		}
	}
	return out
}

// typesIn says of what types the inputs are that a condition reads. Nil: it reads none.
func typesIn(when *expression.Program) *apiextensionsv1.JSONSchemaProps {
	if when == nil || !when.Uses(varInputs) || when.Inputs() == nil {
		return nil
	}
	return typesOf(when.Inputs())
}

// typesOf keeps of a schema what says of which types values are, and in which format their text is. Bounds and texts have no part in it, and would
// make Records large.
func typesOf(s *structuralschema.Structural) *apiextensionsv1.JSONSchemaProps {
	out := &apiextensionsv1.JSONSchemaProps{Type: s.Type, XIntOrString: s.XIntOrString, Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
	if s.ValueValidation != nil {
		out.Format = s.ValueValidation.Format
	}
	if s.Items != nil {
		out.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: typesOf(s.Items)}
	}
	if values := s.AdditionalProperties; values != nil && values.Structural != nil {
		out.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: typesOf(values.Structural)}
	}
	for name := range s.Properties {
		property := s.Properties[name]
		out.Properties[name] = *typesOf(&property)
	}
	return out
}

// recordedCompiler compiles conditions as they are compiled from a Record that says these types of the inputs. Nil: it says none.
func recordedCompiler(types *apiextensionsv1.JSONSchemaProps) (*expression.Compiler, error) {
	if types == nil {
		return expression.NewCompiler(expression.RecordedWhen, nil)
	}
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(types, props, nil); err != nil {
		return nil, fmt.Errorf("failed to read the types of the inputs: %w", err)
	}
	schema, err := structuralschema.NewStructural(props)
	if err != nil {
		return nil, fmt.Errorf("failed to read the types of the inputs: %w", err)
	}
	return expression.NewCompiler(expression.StepWhen, schema)
}

// readVariables gives back what Variables made: the variables, and of what types the inputs are.
func readVariables(raw *runtime.RawExtension) (map[string]any, *apiextensionsv1.JSONSchemaProps, error) {
	values := map[string]any{}
	if raw == nil {
		return values, nil, nil
	}
	var with struct {
		Types *apiextensionsv1.JSONSchemaProps `json:"types"`
	}
	err := utiljson.Unmarshal(raw.Raw, &values)
	if err == nil {
		err = json.Unmarshal(raw.Raw, &with)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("failed to read the variables of the Record: %w", err)
	}
	delete(values, varTypes)
	return values, with.Types, nil
}

// When compiles a condition as it stands in a Record, and gives what it reads: the variables of the Record, and the steps before.
func (e *Earlier) When(source string, variables *runtime.RawExtension) (*expression.Program, map[string]any, error) {
	values, types, err := readVariables(variables)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(values, e.Values())
	compiler, err := recordedCompiler(types)
	if err == nil {
		compiler, err = e.knowing(compiler)
	}
	if err != nil {
		return nil, nil, err
	}
	program, err := compiler.Bool(source)
	return program, values, err
}
