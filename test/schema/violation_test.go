package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// violation is a value that breaks exactly one rule of the schema of its place. Value nil: the property is left out.
type violation struct {
	rule  string
	at    []any
	value any
	want  string
}

// violations lists, for a place in a good object, one bad value per rule that the schema has there.
func violations(p place) []violation {
	if preserves(p.node.schema) && p.node.schema.Type == "" {
		return nil
	}
	out := append(badForRules(p), wrongType(p))
	switch p.node.schema.Type {
	case "string":
		out = append(out, badStrings(p)...)
	case "integer":
		out = append(out, badNumbers(p)...)
	case "array":
		out = append(out, badLists(p)...)
	case "object":
		out = append(out, badObjects(p)...)
	}
	return out
}

func wrongType(p place) violation {
	value := any(int64(7))
	if p.node.schema.Type == "integer" {
		value = "seven"
	}
	want := p.node.schema.Type
	if strings.HasPrefix(p.node.schema.Format, "date") {
		want = p.node.schema.Format
	}
	return violation{"type", p.at, value, "must be of type " + want}
}

func badStrings(p place) []violation {
	var out []violation
	s := p.node.schema
	if s.MaxLength != nil {
		out = append(out, violation{"maxLength", p.at, strings.Repeat("a", int(*s.MaxLength)+1), "Too long"})
	}
	if s.MinLength != nil && *s.MinLength > 0 {
		out = append(out, violation{"minLength", p.at, strings.Repeat("a", int(*s.MinLength)-1), "should be at least"})
	}
	if s.Pattern != "" {
		out = append(out, violation{"pattern", p.at, breaks(s.Pattern), "should match"})
	}
	if len(s.Enum) > 0 {
		out = append(out, violation{"enum", p.at, "Nonsense", "Unsupported value"})
	}
	if s.Format == "date-time" || s.Format == "date" {
		out = append(out, violation{"format", p.at, strings.ReplaceAll(fmt.Sprint(p.value), "1", "9"), "must be of type " + s.Format})
	}
	return out
}

// breaks finds a string that a pattern refuses.
func breaks(pattern string) string {
	compiled := regexp.MustCompile(pattern)
	for _, candidate := range []string{"!", "A_!", " "} {
		if !compiled.MatchString(candidate) {
			return candidate
		}
	}
	panic("no candidate breaks " + pattern)
}

func badNumbers(p place) []violation {
	var out []violation
	if p.node.schema.Minimum != nil {
		out = append(out, violation{"minimum", p.at, int64(*p.node.schema.Minimum) - 1, "should be greater than or equal to"})
	}
	if p.node.schema.Maximum != nil {
		out = append(out, violation{"maximum", p.at, int64(*p.node.schema.Maximum) + 1, "should be less than or equal to"})
	}
	return out
}

func badLists(p place) []violation {
	var out []violation
	s, list := p.node.schema, as[[]any](p.value)
	if s.MaxItems != nil {
		out = append(out, violation{"maxItems", p.at, slices.Repeat(list[:1], int(*s.MaxItems)+1), "Too many"})
	}
	if s.MinItems != nil && *s.MinItems > 0 {
		out = append(out, violation{"minItems", p.at, []any{}, "should have at least"})
	}
	if s.XListType != nil && *s.XListType != "atomic" {
		duplicate := append(slices.Clone(list), runtime.DeepCopyJSONValue(list[0]))
		out = append(out, violation{"list type " + *s.XListType, p.at, duplicate, "Duplicate value"})
	}
	return out
}

func badObjects(p place) []violation {
	var out []violation
	s, fields := p.node.schema, as[map[string]any](p.value)
	for _, name := range s.Required {
		at := append(slices.Clone(p.at), name)
		out = append(out, violation{"required " + name, at, nil, "Required value"})
	}
	if s.MinProperties != nil {
		out = append(out, violation{"minProperties", p.at, map[string]any{}, "should have at least"})
	}
	if s.MaxProperties != nil {
		value := maps.Clone(fields)
		for i := range *s.MaxProperties {
			value[fmt.Sprintf("more-%d", i)] = anyValue(fields)
		}
		out = append(out, violation{"maxProperties", p.at, value, "must have at most"})
	}
	return out
}

// anyValue gives one of the values of a map, so that further entries are as good as those.
func anyValue(fields map[string]any) any {
	return fields[sortedKeys(fields)[0]]
}

// limits lists the rules of a schema that violations does not know how to break. None may be in use.
func limits(s *apiextensionsv1.JSONSchemaProps) []string {
	known := apiextensionsv1.JSONSchemaProps{
		Type: s.Type, Description: s.Description, Default: s.Default, Format: s.Format, Enum: s.Enum, Pattern: s.Pattern,
		MaxLength: s.MaxLength, MinLength: s.MinLength, Minimum: s.Minimum, Maximum: s.Maximum, MaxItems: s.MaxItems,
		MinItems: s.MinItems, MaxProperties: s.MaxProperties, MinProperties: s.MinProperties, Required: s.Required,
		Properties: s.Properties, AdditionalProperties: s.AdditionalProperties, Items: s.Items,
		XListType: s.XListType, XListMapKeys: s.XListMapKeys, XMapType: s.XMapType, XValidations: s.XValidations,
		XPreserveUnknownFields: s.XPreserveUnknownFields,
	}
	all, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	some, err := json.Marshal(known)
	if err != nil {
		panic(err)
	}
	if string(all) == string(some) {
		return nil
	}
	return []string{string(all)}
}
