package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/internal/suggest"
)

// maxSize is far more than any configuration needs.
const maxSize = 1 << 20

// Load reads a file: YAML or JSON, one document. What is not written has its default. What is not known is refused, so that a
// misspelt field is not silently ignored. The error names every field that is wrong.
func Load(data []byte) (*Configuration, error) {
	cfg, errs, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("failed to read the configuration: %w", err)
	}
	if cfg != nil {
		errs = append(errs, cfg.Validate()...)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("failed to accept the configuration: %w", errs.ToAggregate())
	}
	return cfg, nil
}

// decode gives the configuration, where it could be read, and the fields that are unknown or of another type.
func decode(data []byte) (*Configuration, field.ErrorList, error) {
	if len(data) > maxSize {
		return nil, nil, fmt.Errorf("it has %d bytes: at most %d are accepted", len(data), maxSize)
	}
	if err := oneDocument(data); err != nil {
		return nil, nil, err
	}
	document, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to parse YAML: %w", err)
	}
	cfg := Default()
	cfg.TypeMeta = metav1.TypeMeta{}
	unknown, err := strictjson.UnmarshalStrict(document, cfg)
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return nil, field.ErrorList{typeError(wrongType)}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("failed to decode: %w", err)
	}
	return cfg, unknownFields(unknown), nil
}

// oneDocument refuses further documents, because only the first would be read.
func oneDocument(data []byte) error {
	decoder := yamlv3.NewDecoder(bytes.NewReader(data))
	for documents := 0; ; documents++ {
		var node yamlv3.Node
		switch err := decoder.Decode(&node); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("failed to parse YAML: %w", err)
		case documents > 0:
			return fmt.Errorf("line %d begins another YAML document: one document is accepted", node.Line)
		}
	}
}

// typeError says which field has a value of another type than it takes.
func typeError(err *json.UnmarshalTypeError) *field.Error {
	path := err.Field
	if path == "" {
		path = "configuration"
	}
	accepted := map[reflect.Kind]string{
		reflect.String: "a text is accepted, in quotes where it looks like a number or a truth value", reflect.Bool: "true or false is accepted",
		reflect.Int: "a whole number is accepted", reflect.Slice: "a list is accepted", reflect.Struct: "fields are accepted",
	}[err.Type.Kind()]
	return field.TypeInvalid(field.NewPath(path), err.Value, accepted)
}

// unknownFields says which fields are unknown, and which were probably meant.
func unknownFields(unknown []error) field.ErrorList {
	var errs field.ErrorList
	for _, err := range unknown {
		var at strictjson.FieldError
		if !errors.As(err, &at) {
			errs = append(errs, field.InternalError(field.NewPath("configuration"), err))
			continue
		}
		parents := strings.Split(at.FieldPath(), ".")
		name := parents[len(parents)-1]
		text := "unknown field"
		if meant := suggest.Nearest(name, fieldsOf(reflect.TypeFor[Configuration](), parents[:len(parents)-1])); meant != "" {
			text += fmt.Sprintf(", did you mean %q?", meant)
		}
		errs = append(errs, field.Forbidden(field.NewPath(at.FieldPath()), text))
	}
	return errs
}

// fieldsOf gives the names of the fields at a place in the file, of a type or of what the parents name in it.
func fieldsOf(t reflect.Type, parents []string) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "":
		case len(parents) == 0:
			names = append(names, name)
		case name == parents[0] && f.Type.Kind() == reflect.Struct:
			return fieldsOf(f.Type, parents[1:])
		}
	}
	return names
}
