package crdschema

import (
	"context"
	"maps"
	"slices"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/signoff-dev/signoff/internal/strict"
)

// coerce removes what the API server would not store, and names the fields that are not known.
func (c *compiled) coerce(object map[string]any) (unknown, errs field.ErrorList) {
	// A new object has no status, whatever a client sends; what it sends must be well-formed all the same.
	paths := pruning.PruneWithOptions(object, c.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range paths {
		unknown = append(unknown, field.Forbidden(field.NewPath(path), c.unknown(path)))
	}
	_, _, metadata, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return unknown, field.ErrorList{field.Invalid(field.NewPath("metadata"), field.OmitValueType{}, err.Error())}
	}
	for _, path := range metadata {
		unknown = append(unknown, field.Forbidden(field.NewPath(path), "unknown field"))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, c.structural)
	delete(object, "status")
	defaulting.Default(object, c.structural)
	return unknown, nil
}

// judge says everything that is wrong with an object. The rules rely on a value that fits the schema.
func (c *compiled) judge(ctx context.Context, object map[string]any, namespaced bool) field.ErrorList {
	metadata, _, err := objectmeta.GetObjectMeta(object, false)
	if err != nil || metadata == nil {
		metadata = &metav1.ObjectMeta{}
	}
	errs := metavalidation.ValidateObjectMeta(metadata, namespaced, metavalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, schemavalidation.ValidateCustomResource(nil, object, c.validator)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, object)...)
	if len(errs) > 0 || c.rules == nil {
		return errs
	}
	errs, _ = c.rules.Validate(ctx, nil, c.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return errs
}

// unknown says that there is no such field, and which one was probably meant.
func (c *compiled) unknown(path string) string {
	segments := strings.Split(path, ".")
	at := c.structural
	for _, segment := range segments[:len(segments)-1] {
		if at = step(at, segment); at == nil {
			return strict.Unknown("", nil)
		}
	}
	return strict.Unknown(segments[len(segments)-1], slices.Collect(maps.Keys(at.Properties)))
}

// step follows one segment of a path, such as "rules[0]"; nil where the schema does not.
func step(s *structuralschema.Structural, segment string) *structuralschema.Structural {
	name, indices, _ := strings.Cut(segment, "[")
	property, ok := s.Properties[name]
	if !ok {
		return nil
	}
	at := &property
	for ; indices != "" && at != nil; _, indices, _ = strings.Cut(indices, "[") {
		at = at.Items
	}
	return at
}
