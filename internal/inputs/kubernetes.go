package inputs

import (
	"context"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// wrapper is the property in the invented CustomResourceDefinition below which the schema stands. So the rules for the
// root of a resource, with its apiVersion, kind and metadata, do not apply.
const wrapper = "inputs"

// checkLikeKubernetes runs the API server's own checks: structural, defaults valid, rules compile and are not too expensive.
// They are public for whole CustomResourceDefinitions only, so one is invented.
func checkLikeKubernetes(props *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	crd := invented(props)
	inside := field.NewPath("spec", "validation", "openAPIV3Schema", "properties").Key(wrapper).String()
	var errs field.ErrorList
	for _, err := range validation.ValidateCustomResourceDefinition(context.Background(), crd) {
		at := path.String()
		if rest, ok := strings.CutPrefix(err.Field, inside); ok {
			at += rest
		}
		moved := *err
		moved.Field = at
		moved.Detail = strings.ReplaceAll(moved.Detail, inside, path.String())
		errs = append(errs, &moved)
	}
	return errs
}

func invented(props *apiextensions.JSONSchemaProps) *apiextensions.CustomResourceDefinition {
	keep := false
	names := apiextensions.CustomResourceDefinitionNames{Plural: "actions", Singular: "action", Kind: "Action", ListKind: "ActionList"}
	return &apiextensions.CustomResourceDefinition{
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
	}
}

// checkRoot demands an object with named properties.
func checkRoot(props *apiextensions.JSONSchemaProps, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if props.Type != "object" {
		errs = append(errs, field.NotSupported(path.Child("type"), props.Type, []string{"object"}))
	}
	if props.AdditionalProperties != nil {
		errs = append(errs, field.Forbidden(path.Child("additionalProperties"), "every input has a name: list them in properties"))
	}
	if props.Nullable {
		errs = append(errs, field.Forbidden(path.Child("nullable"), "inputs cannot be null"))
	}
	if props.Default != nil {
		errs = append(errs, field.Forbidden(path.Child("default"), "give each property its default instead"))
	}
	return errs
}
