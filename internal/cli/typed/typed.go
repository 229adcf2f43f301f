// Package typed makes of the words of a command line the values that the inputs of an Action take. It judges nothing: what does not fit its
// type is sent as it was written, so that the cluster says what is wrong, as it does to everybody.
package typed

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// The types of a schema.
const (
	typeString  = "string"
	typeInteger = "integer"
	typeNumber  = "number"
	typeBoolean = "boolean"
	typeArray   = "array"
	typeObject  = "object"
)

// Set adds inputs that were written as key=value. A key in an object is written as outer.inner; a list takes its key several times, or JSON.
// Without a schema, values are read as in YAML.
func Set(values map[string]any, words []string, schema *structuralschema.Structural) error {
	given := map[string]bool{}
	for _, word := range words {
		key, text, ok := strings.Cut(word, "=")
		if !ok || key == "" {
			return fmt.Errorf("failed to read %q: write inputs as key=value", word)
		}
		if err := set(values, key, text, schema, given[key]); err != nil {
			return err
		}
		given[key] = true
	}
	return nil
}

func set(values map[string]any, key, text string, schema *structuralschema.Structural, again bool) error {
	name, known := key, schema
	for {
		below, isProperty := property(known, name)
		outer, inner, dotted := strings.Cut(name, ".")
		holder, isObject := property(known, outer)
		if isProperty || !dotted || !isObject || holder.Type != typeObject {
			return assign(values, place{key: key, name: name, schema: below, known: schema != nil, again: again}, text)
		}
		inside, ok := values[outer].(map[string]any)
		if !ok {
			inside = map[string]any{}
			values[outer] = inside
		}
		values, name, known = inside, inner, holder
	}
}

// place is where a value goes.
type place struct {
	// key is what was written, and name the last part of it.
	key, name string
	// schema is that of the value. Nil: there is none.
	schema *structuralschema.Structural
	// known says that there is a schema of all inputs.
	known bool
	// again says that the key was given before.
	again bool
}

func assign(values map[string]any, at place, text string) error {
	switch {
	case at.schema != nil && at.schema.Type == typeArray:
		values[at.name] = list(values[at.name], text, at)
	case at.again:
		return fmt.Errorf("%s is given twice, and is no list", at.key)
	case at.schema == nil && !at.known:
		values[at.name] = plain(text)
	default:
		values[at.name] = Value(text, at.schema)
	}
	return nil
}

// list takes a whole list as JSON, or one item more.
func list(before any, text string, at place) any {
	if !at.again {
		if whole, ok := fromJSON(text).([]any); ok {
			return whole
		}
		before = nil
	}
	items, _ := before.([]any)
	var schema *structuralschema.Structural
	if at.schema.Items != nil {
		schema = at.schema.Items
	}
	return append(items, Value(text, schema))
}

// property gives the schema of a property.
func property(schema *structuralschema.Structural, name string) (*structuralschema.Structural, bool) {
	if schema == nil {
		return nil, false
	}
	if found, ok := schema.Properties[name]; ok {
		return &found, true
	}
	if extra := schema.AdditionalProperties; extra != nil && extra.Structural != nil {
		return extra.Structural, true
	}
	return nil, false
}

// Value reads a text as a value of a type. What is no such value stays a text.
func Value(text string, schema *structuralschema.Structural) any {
	if schema == nil {
		return text
	}
	value := any(nil)
	switch {
	case schema.XIntOrString:
		value = integer(text)
	case schema.Type == typeInteger:
		value = integer(text)
	case schema.Type == typeNumber:
		value = number(text)
	case schema.Type == typeBoolean:
		value = boolean(text)
	case schema.Type == typeObject || schema.Type == typeArray:
		value = fromJSON(text)
	}
	if value == nil {
		return text
	}
	return value
}

func integer(text string) any {
	if value, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(value, 10) == text {
		return value
	}
	return nil
}

func number(text string) any {
	switch value := fromJSON(text).(type) {
	case int64, float64:
		return value
	}
	return nil
}

func boolean(text string) any {
	switch text {
	case "true":
		return true
	case "false":
		return false
	}
	return nil
}

// fromJSON reads JSON. Nil: it is none, or null.
func fromJSON(text string) any {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return nil
	}
	return value
}

// plain reads a text as a manifest would be read.
func plain(text string) any {
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return text
	}
	if value := fromJSON(string(raw)); value != nil {
		return value
	}
	return text
}

// Words are the words by which Set takes what somebody typed as a whole: of a list, JSON or several values with commas between them.
func (i *Input) Words(text string) []string {
	if _, isJSON := fromJSON(text).([]any); !i.List || isJSON {
		return []string{i.Name + "=" + text}
	}
	var words []string
	for part := range strings.SplitSeq(text, ",") {
		words = append(words, i.Name+"="+strings.TrimSpace(part))
	}
	return words
}

// Missing names the inputs that must be given, have no default, and were not given, in alphabetical order.
func Missing(values map[string]any, schema *structuralschema.Structural) []string {
	if schema == nil || schema.ValueValidation == nil {
		return nil
	}
	var missing []string
	for _, name := range schema.ValueValidation.Required {
		found, _ := property(schema, name)
		if _, given := values[name]; !given && (found == nil || found.Default.Object == nil) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// Names are the names of all inputs, in alphabetical order.
func Names(schema *structuralschema.Structural) []string {
	if schema == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(schema.Properties))
}

// Choices are the values that an input takes, where the schema lists them. Empty: it does not.
func Choices(name string, schema *structuralschema.Structural) []string {
	found, _ := property(schema, name)
	switch {
	case found == nil:
		return nil
	case found.Type == typeArray && found.Items != nil:
		found = found.Items
	case found.Type == typeBoolean:
		return []string{"true", "false"}
	}
	if found.ValueValidation == nil {
		return nil
	}
	var choices []string
	for _, value := range found.ValueValidation.Enum {
		choices = append(choices, Text(value.Object))
	}
	return choices
}

// Text shows a value as one would write it.
func Text(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(raw)
}

// Kind says in a few words what an input takes.
func Kind(name string, schema *structuralschema.Structural) string {
	found, _ := property(schema, name)
	if found == nil {
		return typeString
	}
	choices := Choices(name, schema)
	kind := found.Type
	switch {
	case found.XIntOrString:
		kind = "integer or string"
	case kind == typeArray && found.Items != nil && found.Items.Type != "":
		kind = "list of " + found.Items.Type
	case kind == "":
		kind = "any"
	}
	if len(choices) > 0 && found.Type != typeBoolean {
		kind += ": " + strings.Join(choices, ", ")
	}
	return kind
}

// Input is what is known of one input.
type Input struct {
	Name, Kind, Description string
	Required                bool
	// List says that it takes several values.
	List bool
	// Default is the default as one would write it; empty where there is none.
	Default string
}

// Inputs are all inputs, those that must be given first.
func Inputs(schema *structuralschema.Structural) []Input {
	missing := Missing(nil, schema)
	var first, rest []Input
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(Names(schema), missing...)))) {
		found, known := property(schema, name)
		if !known {
			first = append(first, Input{Name: name, Kind: Kind(name, schema), Required: true})
			continue
		}
		input := Input{Name: name, Kind: Kind(name, schema), Description: found.Description, Required: slices.Contains(missing, name), List: found.Type == typeArray}
		if value := found.Default.Object; value != nil {
			input.Default = Text(value)
		}
		if input.Required {
			first = append(first, input)
			continue
		}
		rest = append(rest, input)
	}
	return append(first, rest...)
}
