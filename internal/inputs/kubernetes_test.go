package inputs

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// byTheAPIServer is what the API server says of a custom resource with the schema inside of it. It panics for some schemas, and then
// refuses the request.
func byTheAPIServer(props *apiextensions.JSONSchemaProps) (errs field.ErrorList) {
	defer func() {
		if why := recover(); why != nil {
			errs = field.ErrorList{field.InternalError(nil, fmt.Errorf("panic: %v", why))}
		}
	}()
	keep := false
	names := apiextensions.CustomResourceDefinitionNames{Plural: "actions", Singular: "action", Kind: "Action", ListKind: "ActionList"}
	return validation.ValidateCustomResourceDefinition(context.Background(), &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "actions.signoff.dev"},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: "signoff.dev", Scope: apiextensions.NamespaceScoped, Names: names, PreserveUnknownFields: &keep,
			Conversion: &apiextensions.CustomResourceConversion{Strategy: apiextensions.NoneConverter},
			Validation: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{wrapper: *props},
			}},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true}},
		},
		Status: apiextensions.CustomResourceDefinitionStatus{StoredVersions: []string{"v1"}},
	})
}

// compare gives what we say and what the API server says of a schema. It is not comparable where it cannot be decoded.
func compare(raw string) (ours, theirs field.ErrorList, can bool) {
	tree, errs := parse([]byte(raw), schemaPath)
	if len(errs) > 0 || len(checkKeywords(tree, schemaPath)) > 0 {
		return nil, nil, false
	}
	props, errs := decode([]byte(raw), schemaPath)
	if len(errs) > 0 {
		return nil, nil, false
	}
	// Both sides may change what they are given.
	return checkLikeKubernetes(props.DeepCopy(), schemaPath), byTheAPIServer(props), true
}

// moreStrict tells whether we refuse on purpose what the API server accepts: rules that look at the value before.
func moreStrict(errs field.ErrorList) bool {
	for _, err := range errs {
		if !strings.Contains(err.Detail, "must not use oldSelf") {
			return false
		}
	}
	return len(errs) > 0
}

func TestLikeKubernetes(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, schema string
		refused        bool
	}{
		"ID":                {"ids are not supported", `{"type": "object", "id": "x"}`, true},
		"Schema":            {"nor are schemas of schemas", `{"type": "object", "$schema": "x"}`, true},
		"Ref":               {"nor references", `{"$ref": "#/x"}`, true},
		"EmptyRef":          {"also where they are empty", `{"type": "object", "$ref": ""}`, true},
		"PatternProperties": {"nor properties by pattern", `{"type": "object", "patternProperties": {"a": {"type": "string"}}}`, true},
		"Definitions":       {"nor definitions", `{"type": "object", "definitions": {"a": {"type": "string"}}}`, true},
		"Dependencies":      {"nor dependencies", `{"type": "object", "dependencies": {"a": ["b"]}}`, true},
		"AdditionalItems":   {"nor further items", `{"type": "array", "items": {"type": "string"}, "additionalItems": true}`, true},
		"ItemsList":         {"nor items by position", `{"type": "array", "items": [{"type": "string"}]}`, true},
		"Unique":            {"nor the search for duplicates", `{"type": "array", "items": {"type": "string"}, "uniqueItems": true}`, true},
		"Both":              {"an object is a struct or a map", `{"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}}`, true},
		"BothTrue":          {"but may say that it is not closed", `{"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true}`, false},
		"Preserve":          {"pruning is not turned off by false", `{"type": "object", "x-kubernetes-preserve-unknown-fields": false}`, true},
		"NullType":          {"null is no type", `{"type": "null"}`, true},
		"NotType":           {"a type inside not", `{"type": "string", "not": {"type": "string"}}`, true},
		"DeepType":          {"a type that does not exist, deep inside", `{"type": "object", "additionalProperties": {"type": "array", "items": {"type": "any"}}}`, true},
		"MapType":           {"a map type", `{"type": "object", "x-kubernetes-map-type": "atomic"}`, false},
		"MapTypeUnknown":    {"a map type that does not exist", `{"type": "object", "x-kubernetes-map-type": "x"}`, true},
		"MapTypeOfString":   {"a map type of what is no map", `{"type": "string", "x-kubernetes-map-type": "atomic"}`, true},
		"Set":               {"a set of texts", `{"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}`, false},
		"SetOfObjects":      {"a set of objects that are merged", `{"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}`, true},
		"SetOfAtoms":        {"a set of objects that are not", `{"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object", "x-kubernetes-map-type": "atomic"}}`, false},
		"SetOfSets":         {"a set of sets", `{"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}`, true},
		"SetOfNulls":        {"a set of what may be null", `{"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string", "nullable": true}}`, true},
		"ListTypeUnknown":   {"a list type that does not exist", `{"type": "array", "x-kubernetes-list-type": "x", "items": {"type": "string"}}`, true},
		"ListTypeOfString":  {"a list type of what is no list", `{"type": "string", "x-kubernetes-list-type": "set"}`, true},
		"KeysAlone":         {"keys without the list type", `{"type": "array", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}}`, true},
		"NoKeys":            {"a keyed list without keys", `{"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}`, true},
		"KeyUnknown":        {"a key that is no property", `{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["b"], "items": {"type": "object"}}`, true},
		"KeyTwice":          {"a key twice", `{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "a"], "items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}}`, true},
		"KeyOptional":       {"a key that may be absent", `{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object", "properties": {"a": {"type": "string"}}}}`, true},
		"KeyDefault":        {"a key with a default", `{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}}}`, false},
		"KeyNull":           {"a key that may be null", `{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "nullable": true}}}}`, true},
		"KeyObject":         {"a key that is an object", `{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "object"}}}}`, true},
		"KeyedTexts":        {"a keyed list of texts", `{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"], "items": {"type": "string"}}`, true},
		"UnprunedDefault":   {"a default with a field that would be dropped", `{"type": "object", "properties": {"a": {"type": "object", "default": {"b": 1}, "properties": {"c": {"type": "integer"}}}}}`, true},
		"RuleDefault":       {"a default that its own rule refuses", `{"type": "object", "properties": {"a": {"type": "integer", "default": 3, "x-kubernetes-validations": [{"rule": "self > 3"}]}}}`, true},
		"Metadata":          {"an input may be called metadata, and be what it likes", `{"type": "object", "properties": {"metadata": {"type": "integer"}}}`, false},
		"BlankRule":         {"a rule of blanks", `{"type": "object", "x-kubernetes-validations": [{"rule": " "}]}`, true},
		"BlankMessage":      {"a message of blanks", `{"type": "object", "x-kubernetes-validations": [{"rule": "true", "message": " "}]}`, true},
		"LongMessage":       {"a message of two lines", `{"type": "object", "x-kubernetes-validations": [{"rule": "true", "message": "a\nb"}]}`, true},
		"LongRule":          {"a rule of two lines needs a message", `{"type": "object", "x-kubernetes-validations": [{"rule": "true &&\ntrue"}]}`, true},
		"LongRuleMessage":   {"and may have one", `{"type": "object", "x-kubernetes-validations": [{"rule": "true &&\ntrue", "message": "x"}]}`, false},
		"Reason":            {"a reason that there is not", `{"type": "object", "x-kubernetes-validations": [{"rule": "true", "reason": "x"}]}`, true},
		"FieldPath":         {"the path of a field", `{"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".a"}]}`, false},
		"FieldPathUnknown":  {"the path of a field that there is not", `{"type": "object", "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".a"}]}`, true},
		"NoBool":            {"a rule that gives a number", `{"type": "object", "x-kubernetes-validations": [{"rule": "1"}]}`, true},
		"MessageNoText":     {"a message that is a number", `{"type": "object", "x-kubernetes-validations": [{"rule": "true", "messageExpression": "1"}]}`, true},
		"Dear":              {"a rule that could take long", `{"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, a == b || a.contains(b)))"}]}`, true},
		"DearTogether":      {"many rules that could take long together", manyRules(12), true},
		"Cheap":             {"a rule with bounds", `{"type": "array", "maxItems": 8, "items": {"type": "string", "maxLength": 8}, "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, a == b || a.contains(b)))"}]}`, false},
		"OftenDear":         {"a rule that runs often", `{"type": "array", "maxItems": 100000, "items": {"type": "string", "maxLength": 5000, "x-kubernetes-validations": [{"rule": "self.contains('x')"}]}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs, can := compare(tc.schema)
			if !can {
				t.Fatalf("%s: the schema cannot be compared", tc.reason)
			}
			if len(ours) > 0 != tc.refused || len(theirs) > 0 != tc.refused {
				t.Errorf("%s: want refused: %v, we say %v, the API server says %v", tc.reason, tc.refused, messages(ours), messages(theirs))
			}
		})
	}
}

// manyRules is a schema whose rules are each cheap enough, but not together.
func manyRules(count int) string {
	properties := make([]string, count)
	for i := range properties {
		properties[i] = fmt.Sprintf(`"a%d": {"type": "array", "maxItems": 900, "items": {"type": "string", "maxLength": 200}, "x-kubernetes-validations": [{"rule": "self.all(a, self.exists(b, a.contains('x')))"}]}`, i)
	}
	return `{"type": "object", "properties": {` + strings.Join(properties, ", ") + `}}`
}

// TestNothingThatKubernetesRefuses compares what is said of schemas that are made by chance.
func TestNothingThatKubernetesRefuses(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 7))
	accepted, refused := 0, 0
	for range 4000 {
		text, err := json.Marshal(someSchema(random, 3))
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs, can := compare(string(text))
		switch {
		case !can:
			t.Fatalf("%s cannot be compared", text)
		case len(ours) > 0 && len(theirs) == 0 && moreStrict(ours):
		case len(ours) > 0 != (len(theirs) > 0):
			t.Fatalf("%s: we say %v, the API server says %v", text, messages(ours), messages(theirs))
		case len(ours) > 0:
			refused++
		default:
			accepted++
		}
	}
	if accepted < 400 || refused < 400 {
		t.Errorf("too few were accepted or refused to mean something: %d and %d", accepted, refused)
	}
}

// FuzzLikeKubernetes: nothing is accepted that the API server would refuse.
func FuzzLikeKubernetes(f *testing.F) {
	for _, seed := range []string{deploy, `{"type": "object"}`, `{"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		ours, theirs, can := compare(raw)
		if can && len(ours) == 0 && len(theirs) > 0 {
			t.Fatalf("%q: we accept it, the API server says %v", raw, messages(theirs))
		}
	})
}
