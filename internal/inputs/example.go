package inputs

import (
	"math"
	"regexp"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/runtime"
)

// formatExamples are values of the formats of strings.
var formatExamples = map[string]string{
	"bsonobjectid": "507f1f77bcf86cd799439011", "byte": "ZXhhbXBsZQ==", "cidr": "192.0.2.0/24", "date": "2027-01-31",
	"date-time": "2027-01-31T09:00:00Z", "datetime": "2027-01-31T09:00:00Z", "duration": "1h", "email": "alice@example.com",
	"hexcolor": "#336699", "hostname": "host.example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "isbn": "0321751043",
	"isbn10": "0321751043", "isbn13": "978-0321751041", "mac": "00:00:5e:00:53:01", "rgbcolor": "rgb(51,102,153)",
	"uri": "https://example.com/", "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "uuid3": "3f2504e0-4f89-31d3-9a0c-0305e82c3301",
	"uuid4": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "uuid5": "3f2504e0-4f89-51d3-9a0c-0305e82c3301",
}

// Example returns a small example of inputs: the required ones only. Where the schema gives neither a default nor an
// example nor an enum, it is a placeholder of the right shape.
func (s *Schema) Example() map[string]any {
	if s == nil {
		return map[string]any{}
	}
	return exampleObject(s.structural)
}

func exampleObject(s *structuralschema.Structural) map[string]any {
	out := map[string]any{}
	for _, name := range valuesOf(s).Required {
		if property, ok := s.Properties[name]; ok {
			out[name] = exampleOf(&property)
		}
	}
	return out
}

func exampleOf(s *structuralschema.Structural) any {
	v := valuesOf(s)
	switch {
	case s.Example.Object != nil:
		return runtime.DeepCopyJSONValue(s.Example.Object)
	case s.Default.Object != nil:
		return runtime.DeepCopyJSONValue(s.Default.Object)
	case len(v.Enum) > 0:
		return runtime.DeepCopyJSONValue(v.Enum[0].Object)
	case s.XIntOrString:
		return int64(1)
	}
	switch s.Type {
	case "object":
		return exampleObject(s)
	case "array":
		return exampleList(s)
	case "string":
		return exampleText(v)
	case "integer":
		return int64(math.Ceil(exampleNumber(v)))
	case "number":
		return exampleNumber(v)
	case "boolean":
		return false
	}
	return nil
}

func exampleList(s *structuralschema.Structural) any {
	out := []any{}
	if least := valuesOf(s).MinItems; least != nil && s.Items != nil {
		for range min(*least, mostItems) {
			out = append(out, exampleOf(s.Items))
		}
	}
	return out
}

func exampleText(v *structuralschema.ValueValidation) string {
	if text, ok := formatExamples[v.Format]; ok {
		return text
	}
	text := "example"
	if v.Pattern != "" {
		if re, err := regexp.Compile(v.Pattern); err == nil && !re.MatchString(text) {
			return matching(v.Pattern)
		}
	}
	if v.MaxLength != nil && *v.MaxLength < int64(len(text)) {
		text = text[:max(*v.MaxLength, 0)]
	}
	if v.MinLength != nil && *v.MinLength > int64(len(text)) {
		text += strings.Repeat("x", int(min(*v.MinLength, mostLength))-len(text))
	}
	return text
}

// exampleNumber is 1, or the nearest bound.
func exampleNumber(v *structuralschema.ValueValidation) float64 {
	n := 1.0
	if v.MultipleOf != nil {
		n = *v.MultipleOf
	}
	if v.Maximum != nil && n >= *v.Maximum {
		n = *v.Maximum
		if v.ExclusiveMaximum {
			n--
		}
	}
	if v.Minimum != nil && n <= *v.Minimum {
		n = *v.Minimum
		if v.ExclusiveMinimum {
			n++
		}
	}
	return n
}
