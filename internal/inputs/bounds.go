package inputs

import (
	"fmt"
	"maps"
	"slices"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const (
	mostLength     = 64 * 1024
	mostItems      = 1024
	mostProperties = 256
	// mostName is how long the name of a property may be; it is shown in tables and commands.
	mostName = 63
	// impliedLength bounds strings that need no maxLength because their format or their enum is short.
	impliedLength = 64
	// impliedKey bounds the keys of maps, which no schema can describe.
	impliedKey = 253
)

// shortFormats are formats whose values are short by nature.
var shortFormats = []string{
	"bsonobjectid", "cidr", "date", "date-time", "datetime", "duration", "hexcolor", "ipv4", "ipv6", "isbn", "isbn10", "isbn13",
	"k8s-short-name", "mac", "rgbcolor", "uuid", "uuid3", "uuid4", "uuid5",
}

// formatVersion is the version of Kubernetes whose formats exist.
var formatVersion = version.MajorMinor(1, 37)

// checkBounds demands what Signoff wants beyond Kubernetes: everything bounded, everything known, every name usable.
// Unbounded inputs would be carried through approvals, notifications and audit records, and make every rule expensive.
func checkBounds(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	errs := checkNode(s, path)
	if s.XPreserveUnknownFields {
		errs = append(errs, field.Forbidden(path.Child("x-kubernetes-preserve-unknown-fields"),
			"an approver must see what every input means: list the inputs in properties"))
	}
	if s.XEmbeddedResource {
		errs = append(errs, field.Forbidden(path.Child("x-kubernetes-embedded-resource"), "inputs cannot be whole Kubernetes objects"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		errs = append(errs, checkBounds(&property, path.Child("properties").Key(short(name)))...)
	}
	if s.Items != nil {
		errs = append(errs, checkBounds(s.Items, path.Child("items"))...)
	}
	if s.AdditionalProperties != nil {
		errs = append(errs, checkMapValues(s.AdditionalProperties, path.Child("additionalProperties"))...)
	}
	return errs
}

func checkMapValues(values *structuralschema.StructuralOrBool, path *field.Path) field.ErrorList {
	if values.Structural != nil {
		return checkBounds(values.Structural, path)
	}
	return field.ErrorList{field.Forbidden(path, "the values of a map need a schema")}
}

// checkNode judges one schema without those inside of it.
func checkNode(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case s.Type == "string":
		errs = append(errs, checkString(s, path)...)
	case s.Type == "array":
		errs = append(errs, checkCount(valuesOf(s).MaxItems, mostItems, path.Child("maxItems"), "a list")...)
	case s.Type == "object" && s.AdditionalProperties != nil:
		errs = append(errs, checkCount(valuesOf(s).MaxProperties, mostProperties, path.Child("maxProperties"), "a map")...)
	case s.Type == "object":
		errs = append(errs, checkProperties(s, path)...)
	}
	return append(errs, checkFormat(s, path)...)
}

func checkString(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	v, at := valuesOf(s), path.Child("maxLength")
	switch {
	case v.MaxLength != nil && *v.MaxLength > mostLength:
		return field.ErrorList{field.Invalid(at, *v.MaxLength, fmt.Sprintf("must be at most %d", mostLength))}
	case v.MaxLength == nil && len(v.Enum) == 0 && !slices.Contains(shortFormats, v.Format):
		return field.ErrorList{field.Required(at, fmt.Sprintf(
			"a string needs a bound: maxLength (at most %d), enum, or a short format such as date, date-time, duration or uuid", mostLength))}
	default:
		return nil
	}
}

func checkCount(bound *int64, most int64, path *field.Path, what string) field.ErrorList {
	switch {
	case bound == nil:
		return field.ErrorList{field.Required(path, fmt.Sprintf("%s needs a bound, at most %d", what, most))}
	case *bound > most:
		return field.ErrorList{field.Invalid(path, *bound, fmt.Sprintf("must be at most %d", most))}
	default:
		return nil
	}
}

func checkProperties(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	at := path.Child("properties")
	if len(s.Properties) > mostProperties {
		errs = append(errs, field.TooMany(at, len(s.Properties), mostProperties))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if _, ok := apiservercel.Escape(name); !ok || len(name) > mostName {
			errs = append(errs, field.Invalid(at.Key(short(name)), name, fmt.Sprintf(
				"must be usable in expressions: a letter first, then letters, digits, '_', '-', '.' or '/', at most %d characters", mostName)))
		}
	}
	for i, name := range valuesOf(s).Required {
		if _, ok := s.Properties[name]; !ok {
			errs = append(errs, field.Invalid(path.Child("required").Index(i), name, "must be one of properties, or no request could ever be valid"))
		}
	}
	return errs
}

// secretFormat says that a value is for nobody to see.
const secretFormat = "password"

// checkFormat refuses formats that do not exist, which Kubernetes ignores, and the one that promises what nobody keeps.
func checkFormat(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	format := valuesOf(s).Format
	if format == "" {
		return nil
	}
	if format == secretFormat {
		return field.ErrorList{field.Forbidden(path.Child("format"), "what is given here is stored, and shown to everybody who may read the request: let it name a Secret instead")}
	}
	node := &spec.Schema{SchemaProps: spec.SchemaProps{Type: spec.StringOrArray{s.Type}, Format: format}}
	if s.Type == "" {
		node.Type = nil
	}
	if len(schemavalidation.GetUnrecognizedFormats(node, formatVersion)) == 0 {
		return nil
	}
	return field.ErrorList{field.NotSupported(path.Child("format"), format, formatsOf(s.Type))}
}

func formatsOf(kind string) []string {
	switch kind {
	case "integer":
		return []string{"int32", "int64"}
	case "number":
		return []string{"double", "float"}
	case "string":
		return append([]string{"byte", "email", "hostname", "k8s-long-name", "uri"}, shortFormats...)
	default:
		return nil
	}
}

// valuesOf never gives nil.
func valuesOf(s *structuralschema.Structural) *structuralschema.ValueValidation {
	if s.ValueValidation == nil {
		return &structuralschema.ValueValidation{}
	}
	return s.ValueValidation
}
