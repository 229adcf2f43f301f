// Package strict decodes files that people write by hand, and says which fields are unknown, or of another type, and what was
// probably meant: a misspelt field is not silently ignored.
package strict

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	strictjson "sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/internal/suggest"
)

// Root is the path of an error that is about the whole file.
const Root = "document"

// Decode reads JSON into a value of a struct type, and gives the fields that are unknown or of another type. Path is where the JSON stands;
// nil: it is the whole file. Where a type does not fit, no unknown fields are given.
func Decode(document []byte, into any, path *field.Path) (field.ErrorList, error) {
	unknown, err := strictjson.UnmarshalStrict(document, into)
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return field.ErrorList{typeError(wrongType, path)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("failed to decode: %w", err)
	}
	return unknownFields(unknown, reflect.TypeOf(into), path), nil
}

// typeError says which field has a value of another type than it takes.
func typeError(err *json.UnmarshalTypeError, path *field.Path) *field.Error {
	accepted := map[reflect.Kind]string{
		reflect.String: "a text is accepted, in quotes where it looks like a number or a truth value", reflect.Bool: "true or false is accepted",
		reflect.Int: "a whole number is accepted", reflect.Int32: "a whole number is accepted", reflect.Slice: "a list is accepted",
		reflect.Struct: "fields are accepted", reflect.Map: "fields are accepted",
	}[err.Type.Kind()]
	return field.TypeInvalid(under(path, err.Field), err.Value, accepted)
}

// under gives the path of something that is written as a.b[0].c.
func under(path *field.Path, name string) *field.Path {
	switch {
	case path == nil && name == "":
		return field.NewPath(Root)
	case path == nil:
		return field.NewPath(name)
	case name == "":
		return path
	}
	return path.Child(name)
}

// unknownFields says which fields are unknown, and which were probably meant.
func unknownFields(unknown []error, t reflect.Type, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, err := range unknown {
		var at strictjson.FieldError
		if !errors.As(err, &at) {
			errs = append(errs, field.InternalError(path, err))
			continue
		}
		parents := strings.Split(at.FieldPath(), ".")
		name := parents[len(parents)-1]
		known := FieldsOf(t, parents[:len(parents)-1])
		errs = append(errs, field.Forbidden(under(path, at.FieldPath()), Unknown(name, known)))
	}
	return errs
}

// Unknown says that a field is unknown, and which one was probably meant.
func Unknown(name string, known []string) string {
	if meant := suggest.Nearest(name, known); meant != "" {
		return fmt.Sprintf("unknown field, did you mean %q?", meant)
	}
	return "unknown field"
}

// FieldsOf gives the names of the fields of a type, or of what the parents name in it.
func FieldsOf(t reflect.Type, parents []string) []string {
	t = elementOf(t)
	if t.Kind() != reflect.Struct {
		if len(parents) > 0 && t.Kind() == reflect.Map {
			return FieldsOf(t.Elem(), parents[1:])
		}
		return nil
	}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" || name == "-":
		case len(parents) == 0:
			names = append(names, name)
		case name == withoutIndex(parents[0]):
			return FieldsOf(f.Type, parents[1:])
		}
	}
	return names
}

// elementOf gives what a pointer points to and a list holds.
func elementOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

func withoutIndex(segment string) string {
	name, _, _ := strings.Cut(segment, "[")
	return name
}
