package inputs

import (
	"math"
	"regexp"
	"unicode/utf8"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// node is one schema inside of a Schema, prepared so that a value is looked at once and nothing of the schema is copied.
type node struct {
	schema     *structuralschema.Structural
	validation *structuralschema.ValueValidation
	properties map[string]*node
	// items is the schema of the items of a list, values that of the values of a map.
	items, values *node
	// pattern and enum are those of a string.
	pattern *regexp.Regexp
	enum    map[string]bool
	// plain says that obvious knows every keyword of the schema.
	plain bool
	// defaults says that there is a default, here or inside.
	defaults bool
}

// nodeOf prepares a schema that was checked before.
func nodeOf(s *structuralschema.Structural) *node {
	n := &node{schema: s, validation: valuesOf(s), properties: make(map[string]*node, len(s.Properties)), defaults: s.Default.Object != nil}
	n.plain = n.isPlain()
	inner := func(s *structuralschema.Structural) *node {
		child := nodeOf(s)
		n.defaults = n.defaults || child.defaults
		return child
	}
	for name := range s.Properties {
		property := s.Properties[name]
		n.properties[name] = inner(&property)
	}
	if s.Items != nil {
		n.items = inner(s.Items)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		n.values = inner(s.AdditionalProperties.Structural)
	}
	return n
}

// isPlain prepares pattern and enum, and tells whether the schema has only keywords that obvious knows. What a keyword means
// for another type than it is for is left to Kubernetes.
func (n *node) isPlain() bool {
	v := n.validation
	logic := len(v.AllOf) > 0 || len(v.AnyOf) > 0 || len(v.OneOf) > 0 || v.Not != nil
	if logic || n.schema.XIntOrString || v.Format != "" {
		return false
	}
	return n.plainNumber() && n.plainPattern() && n.plainEnum()
}

func (n *node) plainNumber() bool {
	v := n.validation
	if v.MultipleOf != nil || v.ExclusiveMinimum || v.ExclusiveMaximum {
		return false
	}
	return n.schema.Type != "integer" || (!fraction(v.Minimum) && !fraction(v.Maximum))
}

func (n *node) plainPattern() bool {
	if n.validation.Pattern == "" {
		return true
	}
	var err error
	n.pattern, err = regexp.Compile(n.validation.Pattern)
	return err == nil
}

func (n *node) plainEnum() bool {
	if len(n.validation.Enum) == 0 {
		return true
	}
	n.enum = make(map[string]bool, len(n.validation.Enum))
	for _, value := range n.validation.Enum {
		text, ok := value.Object.(string)
		if !ok {
			return false
		}
		n.enum[text] = true
	}
	return n.schema.Type == "string"
}

// fraction tells that a bound of integers is none itself. Kubernetes then refuses every value.
func fraction(bound *float64) bool {
	return bound != nil && (*bound != math.Trunc(*bound) || math.Abs(*bound) > mostInteger)
}

// obvious tells that a value is valid and in its normal form, where that is plain to see. Everything else is for the checker and
// the validator of Kubernetes, which cost ten times as much. Where obvious says yes, they do (a fuzz test compares them).
func (n *node) obvious(value any) bool {
	if !n.plain {
		return false
	}
	switch v := value.(type) {
	case bool:
		return n.schema.Type == "boolean"
	case string:
		return n.schema.Type == "string" && n.obviousText(v)
	case int64, float64:
		return n.obviousNumber(v)
	case []any:
		return n.schema.Type == "array" && n.obviousList(v)
	case map[string]any:
		return n.schema.Type == "object" && n.obviousMap(v)
	default:
		return false
	}
}

func (n *node) obviousNumber(value any) bool {
	switch v := value.(type) {
	case int64:
		return n.schema.Type == "integer" && n.within(float64(v)) && v <= mostInteger && v >= -mostInteger
	case float64:
		return n.schema.Type == "number" && n.within(v) && math.Abs(v) <= mostInteger
	default:
		return false
	}
}

func (n *node) obviousText(text string) bool {
	v := n.validation
	if n.enum != nil {
		return n.enum[text] && v.MinLength == nil && v.MaxLength == nil && n.pattern == nil
	}
	return v.MaxLength != nil && between(utf8.RuneCountInString(text), v.MinLength, v.MaxLength) &&
		(n.pattern == nil || n.pattern.MatchString(text))
}

func (n *node) within(number float64) bool {
	v := n.validation
	return (v.Minimum == nil || number >= *v.Minimum) && (v.Maximum == nil || number <= *v.Maximum)
}

func (n *node) obviousList(list []any) bool {
	if n.items == nil || !between(len(list), n.validation.MinItems, n.validation.MaxItems) {
		return false
	}
	for _, item := range list {
		if !n.items.obvious(item) {
			return false
		}
	}
	return true
}

func (n *node) obviousMap(m map[string]any) bool {
	v := n.validation
	if !between(len(m), v.MinProperties, v.MaxProperties) {
		return false
	}
	for _, name := range v.Required {
		if _, ok := m[name]; !ok {
			return false
		}
	}
	for name, value := range m {
		child := n.properties[name]
		if child == nil && len(name) <= impliedKey {
			child = n.values
		}
		if child == nil || !child.obvious(value) {
			return false
		}
	}
	return true
}

func between(count int, least, most *int64) bool {
	return (least == nil || int64(count) >= *least) && (most == nil || int64(count) <= *most)
}
