// Package crdschema judges objects of Signoff as the API server does before it asks any webhook: unknown fields, types, bounds, defaults
// and the rules of the CustomResourceDefinitions, without a cluster.
package crdschema

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/config/crd"
	"github.com/signoff-dev/signoff/internal/suggest"
)

// Kind is a kind of Signoff.
type Kind struct {
	// Name is the name of the kind, such as "Action".
	Name string
	// Namespaced tells kinds that live in a namespace from those of the whole cluster.
	Namespaced bool

	definition *apiextensionsv1.JSONSchemaProps
	compiled   func() (*compiled, error)
}

// compiled is what objects of a kind are judged by.
type compiled struct {
	structural *structuralschema.Structural
	validator  schemavalidation.SchemaValidator
	rules      *schemacel.Validator
}

// kinds are all kinds, by name. Each is compiled when somebody first asks, because that takes long and few are needed.
var kinds = sync.OnceValues(func() (map[string]*Kind, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("failed to find the definitions: %w", err)
	}
	all := make(map[string]*Kind, len(names))
	for _, name := range names {
		kind, err := read(name)
		if err != nil {
			return nil, fmt.Errorf("failed to read %s: %w", name, err)
		}
		all[kind.Name] = kind
	}
	return all, nil
})

func read(name string) (*Kind, error) {
	text, err := fs.ReadFile(crd.Files, name)
	if err != nil {
		return nil, err
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, definition); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == v1alpha1.GroupVersion.Version
	})
	if at < 0 {
		return nil, fmt.Errorf("it has no version %s", v1alpha1.GroupVersion.Version)
	}
	kind := &Kind{
		Name: definition.Spec.Names.Kind, Namespaced: definition.Spec.Scope == apiextensionsv1.NamespaceScoped,
		definition: definition.Spec.Versions[at].Schema.OpenAPIV3Schema,
	}
	kind.compiled = sync.OnceValues(kind.compile)
	return kind, nil
}

func (k *Kind) compile() (*compiled, error) {
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(k.definition, props, nil); err != nil {
		return nil, fmt.Errorf("failed to convert the schema of %s: %w", k.Name, err)
	}
	structural, err := structuralschema.NewStructural(props)
	if err != nil {
		return nil, fmt.Errorf("failed to read the schema of %s: %w", k.Name, err)
	}
	validator, _, err := schemavalidation.NewSchemaValidator(props)
	if err != nil {
		return nil, fmt.Errorf("failed to compile the schema of %s: %w", k.Name, err)
	}
	return &compiled{structural: structural, validator: validator, rules: schemacel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// Find finds the kind of an object. A kind that does not exist, or another version, is an error.
func Find(apiVersion, kind string) (*Kind, *field.Error) {
	all, err := kinds()
	if err != nil {
		return nil, field.InternalError(field.NewPath("kind"), err)
	}
	if apiVersion != v1alpha1.GroupVersion.String() {
		return nil, field.NotSupported(field.NewPath("apiVersion"), apiVersion, []string{v1alpha1.GroupVersion.String()})
	}
	if found := all[kind]; found != nil {
		return found, nil
	}
	names := slices.Sorted(maps.Keys(all))
	text := fmt.Sprintf("there is no such kind; there are: %v", names)
	if meant := suggest.Nearest(kind, names); meant != "" {
		text = fmt.Sprintf("there is no such kind, did you mean %q?", meant)
	}
	return nil, field.Invalid(field.NewPath("kind"), kind, text)
}

// Check judges a new object and fills in defaults. Unknown are fields that are not known; a strict client is refused for them, so errs
// holds whatever else is wrong. The object is changed in any case.
func (k *Kind) Check(ctx context.Context, object map[string]any) (unknown, errs field.ErrorList) {
	c, err := k.compiled()
	if err != nil {
		return nil, field.ErrorList{field.InternalError(field.NewPath("kind"), err)}
	}
	unknown, errs = c.coerce(object)
	if len(errs) > 0 {
		return unknown, errs
	}
	return unknown, c.judge(ctx, object, k.Namespaced)
}
