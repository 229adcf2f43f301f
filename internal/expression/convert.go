package expression

import (
	"encoding/base64"
	"fmt"
	"time"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
)

// converter turns a JSON-native value into what the type checker believes it is: a string of format date-time into a time,
// a number without fraction into a float. Nil: nothing to do.
type converter func(v any) (any, error)

// converterFor walks the schema once, so that an evaluation touches only the values that need it.
func converterFor(s *structuralschema.Structural) converter {
	if s == nil || s.XIntOrString {
		return nil
	}
	switch s.Type {
	case "number":
		return toFloat
	case "string":
		return stringConverter(s)
	case "array":
		return listConverter(s)
	case "object":
		return mapConverter(s)
	}
	return nil
}

func stringConverter(s *structuralschema.Structural) converter {
	if s.ValueValidation == nil {
		return nil
	}
	switch s.ValueValidation.Format {
	case "date":
		return fromText(func(v string) (any, error) { return time.Parse(strfmt.RFC3339FullDate, v) })
	case "date-time":
		return fromText(func(v string) (any, error) {
			t, err := strfmt.ParseDateTime(v)
			return time.Time(t), err
		})
	case "duration":
		return fromText(func(v string) (any, error) { return strfmt.ParseDuration(v) })
	case "byte":
		return fromText(func(v string) (any, error) { return base64.StdEncoding.DecodeString(v) })
	}
	return nil
}

func fromText(parse func(string) (any, error)) converter {
	return func(v any) (any, error) {
		text, ok := v.(string)
		if !ok {
			return v, nil
		}
		out, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("failed to read %q: %w", short(text), err)
		}
		return out, nil
	}
}

func toFloat(v any) (any, error) {
	switch n := v.(type) {
	case int64:
		return float64(n), nil
	case int:
		return float64(n), nil
	default:
		return v, nil
	}
}

func listConverter(s *structuralschema.Structural) converter {
	item := converterFor(s.Items)
	if item == nil {
		return nil
	}
	return func(v any) (any, error) {
		list, ok := v.([]any)
		if !ok {
			return v, nil
		}
		out := make([]any, len(list))
		for i := range list {
			var err error
			if out[i], err = item(list[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

func mapConverter(s *structuralschema.Structural) converter {
	fields := make(map[string]converter)
	for name := range s.Properties {
		property := s.Properties[name]
		if c := converterFor(&property); c != nil {
			fields[name] = c
		}
	}
	var rest converter
	if s.AdditionalProperties != nil {
		rest = converterFor(s.AdditionalProperties.Structural)
	}
	if len(fields) == 0 && rest == nil {
		return nil
	}
	return func(v any) (any, error) { return convertMap(v, fields, rest) }
}

func convertMap(v any, fields map[string]converter, rest converter) (any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return v, nil
	}
	out := make(map[string]any, len(m))
	for key, value := range m {
		c, known := fields[key]
		if !known {
			c = rest
		}
		if c != nil {
			var err error
			if value, err = c(value); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		out[key] = value
	}
	return out, nil
}
