package inputs

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// mostInteger is the largest whole number that every reader of JSON keeps: 2^53-1.
const mostInteger = 1<<53 - 1

// checker finds what the validator of Kubernetes would let through: unknown fields, numbers that lose digits, and strings
// without a bound of their own that are far too long. It judges types too, only to say it better.
type checker struct {
	errs field.ErrorList
	// more says that there may be more to find: whoever sends thousands of wrong values is told of some.
	more bool
}

// mostErrors is how many are told of at once.
const mostErrors = 20

// mayBeMore is said after so many.
const mayBeMore = "there may be more that is wrong; correct these first"

// enough tells whether no more need be found.
func (c *checker) enough() bool {
	c.more = c.more || len(c.errs) >= mostErrors
	return c.more
}

// tooMany refuses what has more entries than the schema lets it have, before one of them is looked at.
func (c *checker) tooMany(have int, most *int64, path *field.Path) bool {
	if most == nil || int64(have) <= *most {
		return false
	}
	c.errs, c.more = append(c.errs, field.TooMany(path, have, int(*most))), true
	return true
}

func (c *checker) value(value any, s *structuralschema.Structural, path *field.Path) {
	if c.enough() {
		return
	}
	if !fits(value, s) {
		c.errs = append(c.errs, field.TypeInvalid(path, value, fmt.Sprintf("must be %s, not %s", wanted(s), kindOf(value))))
		return
	}
	switch v := value.(type) {
	case map[string]any:
		c.object(v, s, path)
	case []any:
		c.list(v, s, path)
	case string:
		c.text(v, s, path)
	case int64:
		c.number(v, v > mostInteger || v < -mostInteger, path)
	case float64:
		c.number(v, math.Abs(v) > mostInteger, path)
	}
}

// fits reports whether a value has the type of the schema. Null stands for the default, where there is one.
func fits(value any, s *structuralschema.Structural) bool {
	switch v := value.(type) {
	case nil:
		return s.Nullable || s.Default.Object != nil
	case bool:
		return s.Type == "boolean"
	case string:
		return s.Type == "string" || s.XIntOrString
	case []any:
		return s.Type == "array"
	case map[string]any:
		return s.Type == "object"
	case float64:
		return fitsNumber(s, v == math.Trunc(v))
	default:
		return fitsNumber(s, true)
	}
}

func fitsNumber(s *structuralschema.Structural, whole bool) bool {
	return s.Type == "number" || (whole && (s.Type == "integer" || s.XIntOrString))
}

// wanted names the type of a schema.
func wanted(s *structuralschema.Structural) string {
	switch {
	case s.XIntOrString:
		return "an integer or a string"
	case s.Type == "array":
		return "a list"
	case s.Type == "object", s.Type == "integer":
		return "an " + s.Type
	default:
		return "a " + s.Type
	}
}

func (c *checker) list(l []any, s *structuralschema.Structural, path *field.Path) {
	if s.Items == nil || c.tooMany(len(l), valuesOf(s).MaxItems, path) {
		return
	}
	for i := range l {
		c.value(l[i], s.Items, path.Index(i))
	}
}

func (c *checker) object(m map[string]any, s *structuralschema.Structural, path *field.Path) {
	if c.tooMany(len(m), valuesOf(s).MaxProperties, path) {
		return
	}
	known := slices.Sorted(maps.Keys(s.Properties))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if c.enough() {
			return
		}
		property, ok := s.Properties[name]
		switch {
		case ok:
			c.value(m[name], &property, path.Child(name))
		case s.AdditionalProperties == nil || s.AdditionalProperties.Structural == nil:
			c.errs = append(c.errs, field.Forbidden(path.Child(short(name)), unknownName("field", name, known)))
		case utf8.RuneCountInString(name) > impliedKey:
			c.errs = append(c.errs, field.Invalid(path.Key(short(name)), name, fmt.Sprintf("must be at most %d characters", impliedKey)))
		default:
			c.value(m[name], s.AdditionalProperties.Structural, path.Key(short(name)))
		}
	}
}

func (c *checker) text(text string, s *structuralschema.Structural, path *field.Path) {
	v := valuesOf(s)
	if v.MaxLength != nil || len(v.Enum) > 0 {
		return
	}
	if utf8.RuneCountInString(text) > impliedLength {
		c.errs = append(c.errs, field.TooLongMaxLength(path, text, impliedLength))
	}
}

func (c *checker) number(value any, lossy bool, path *field.Path) {
	if lossy {
		c.errs = append(c.errs, field.Invalid(path, value, fmt.Sprintf("must be between -%d and %d; write larger numbers as strings", mostInteger, mostInteger)))
	}
}

// normalize gives numbers the Go type that the schema says, whatever way they were written: 3.0 is an integer, 3 a number.
func normalize(value any, s *structuralschema.Structural) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			if child := childOf(s, name); child != nil {
				v[name] = normalize(v[name], child)
			}
		}
	case []any:
		for i := range v {
			v[i] = normalize(v[i], s.Items)
		}
	default:
		return normalNumber(value, s)
	}
	return value
}

func normalNumber(value any, s *structuralschema.Structural) any {
	switch v := value.(type) {
	case int64:
		if s.Type == "number" {
			return float64(v)
		}
	case float64:
		if s.Type != "number" {
			return int64(v)
		}
	}
	return value
}

func childOf(s *structuralschema.Structural, name string) *structuralschema.Structural {
	if property, ok := s.Properties[name]; ok {
		return &property
	}
	if s.AdditionalProperties != nil {
		return s.AdditionalProperties.Structural
	}
	return nil
}
