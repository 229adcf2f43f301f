package policytest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	strictjson "sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/crdschema"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/manifest"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

func unmarshal(document []byte, into any) error {
	return strictjson.UnmarshalCaseSensitivePreserveInts(document, into)
}

// Policies are the objects of a test file: the governing ones compiled, the others as facts.
type Policies struct {
	// Refusals are the governing objects that would be refused when they are applied. They are not in force.
	Refusals []Refusal

	store             *snapshot.Store
	rules             *identity.Rules
	operatorNamespace string
	catalogNamespaces []string
	world             *world
	governing         []governing
}

// Refusal says why an object would be refused.
type Refusal struct {
	// Object is "Kind/namespace/name", or "Kind/name".
	Object string
	// Problems are everything that is wrong.
	Problems []*manifest.Problem
}

// governing is an object that is in force, and where it stands.
type governing struct {
	object   client.Object
	name     string
	document *manifest.Document
	prefix   string
}

// NewPolicies reads and compiles objects as the API server and the webhook would. Problems are documents that are no objects.
func NewPolicies(ctx context.Context, documents []*manifest.Document, cfg *config.Configuration) (*Policies, []*manifest.Problem) {
	rules, err := identity.New(cfg)
	if err != nil {
		return nil, []*manifest.Problem{{File: "configuration", Err: err}}
	}
	p := &Policies{
		store: snapshot.NewStore(nil), rules: rules, world: newWorld(),
		operatorNamespace: cfg.Operator.Namespace, catalogNamespaces: cfg.CatalogNamespaces,
	}
	var problems []*manifest.Problem
	for _, document := range documents {
		problems = append(problems, p.add(ctx, document)...)
	}
	p.store.MarkSynced()
	p.store.Rebuild()
	p.checkTogether()
	return p, problems
}

// add takes a document: an object, or a list of objects.
func (p *Policies) add(ctx context.Context, document *manifest.Document) []*manifest.Problem {
	content, err := document.Object()
	if err != nil {
		return []*manifest.Problem{{File: document.File, Line: document.Line, Err: field.TypeInvalid(nil, field.OmitValueType{}, "an object is accepted")}}
	}
	list := &unstructured.UnstructuredList{Object: content}
	items, isList := content["items"].([]any)
	if !isList || list.GetKind() != "List" {
		return p.addObject(ctx, document, content, "")
	}
	var problems []*manifest.Problem
	for i, item := range items {
		if object, ok := item.(map[string]any); ok {
			problems = append(problems, p.addObject(ctx, document, object, fmt.Sprintf("items[%d]", i))...)
		}
	}
	return problems
}

// addObject takes an object. Prefix is where it stands in the document.
func (p *Policies) addObject(ctx context.Context, document *manifest.Document, content map[string]any, prefix string) []*manifest.Problem {
	object := &unstructured.Unstructured{Object: content}
	apiVersion, kind := object.GetAPIVersion(), object.GetKind()
	if apiVersion == "" || kind == "" {
		return document.Problems(field.ErrorList{field.Required(at(prefix, "kind"), "an object has apiVersion and kind")})
	}
	group := schema.FromAPIVersionAndKind(apiVersion, kind).Group
	if group != v1alpha1.GroupVersion.Group || slices.Contains(factKinds, kind) {
		p.world.put(content)
		return nil
	}
	found, err := crdschema.Find(apiVersion, kind)
	if err != nil {
		err.Field = at(prefix, err.Field).String()
		return document.Problems(field.ErrorList{err})
	}
	g := governing{document: document, prefix: prefix}
	errs := g.decode(ctx, found, content)
	if len(errs) == 0 {
		errs = p.compile(&g)
	}
	if len(errs) > 0 {
		p.refuse(&g, errs)
		return nil
	}
	p.governing = append(p.governing, g)
	p.store.Put(g.object)
	return nil
}

// factKinds are the kinds of Signoff that say nothing about verdicts, so that they are facts as other objects are.
var factKinds = []string{"ActionRequest", "Approval", "Record", "Notifier", "Delegation"}

func at(prefix, name string) *field.Path {
	if prefix == "" {
		return field.NewPath(name)
	}
	return field.NewPath(prefix).Child(name)
}

// decode judges an object by its schema, with defaults filled in.
func (g *governing) decode(ctx context.Context, kind *crdschema.Kind, content map[string]any) field.ErrorList {
	untyped := &unstructured.Unstructured{Object: content}
	parts := []string{kind.Name, untyped.GetNamespace(), untyped.GetName()}
	g.name = strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "/")
	unknown, errs := kind.Check(ctx, content)
	switch {
	case len(unknown) > 0:
		// The rest may be wrong only because of them; the API server does not look at it either.
		return unknown
	case len(errs) > 0:
		return errs
	}
	if g.object = newObject(kind.Name); g.object == nil {
		return field.ErrorList{field.Invalid(field.NewPath("kind"), kind.Name, "it is written by Signoff only")}
	}
	text, err := json.Marshal(content)
	if err == nil {
		err = unmarshal(text, g.object)
	}
	if err != nil {
		return field.ErrorList{field.InternalError(field.NewPath("spec"), err)}
	}
	return nil
}

func newObject(kind string) client.Object {
	switch kind {
	case "Action":
		return &v1alpha1.Action{}
	case "Role":
		return &v1alpha1.Role{}
	case "Team":
		return &v1alpha1.Team{}
	case "Calendar":
		return &v1alpha1.Calendar{}
	case "ActionPolicy":
		return &v1alpha1.ActionPolicy{}
	}
	return nil
}

// compile says what the webhook would refuse about an object by itself.
func (p *Policies) compile(g *governing) (errs field.ErrorList) {
	if slices.ContainsFunc(p.governing, func(other governing) bool { return other.name == g.name }) {
		return field.ErrorList{field.Duplicate(field.NewPath("metadata", "name"), g.name)}
	}
	switch o := g.object.(type) {
	case *v1alpha1.Action:
		if len(p.catalogNamespaces) > 0 && !slices.Contains(p.catalogNamespaces, o.Namespace) {
			errs = append(errs, field.NotSupported(field.NewPath("metadata", "namespace"), o.Namespace, p.catalogNamespaces))
		}
		_, more := catalog.CompileAction(o)
		return append(errs, more...)
	case *v1alpha1.Role:
		_, errs = catalog.CompileRole(o)
	case *v1alpha1.Calendar:
		_, errs = calendar.Compile(&o.Spec, field.NewPath("spec"))
	case *v1alpha1.ActionPolicy:
		_, errs = catalog.CompilePolicy(o)
	}
	return errs
}

// checkTogether says what the webhook would refuse about objects beside each other, and takes out of force what it refuses.
func (p *Policies) checkTogether() {
	snap := p.store.Current()
	for i := range p.governing {
		g := &p.governing[i]
		var errs field.ErrorList
		switch o := g.object.(type) {
		case *v1alpha1.Role:
			errs = snap.Lineage(snap.Role(o.Namespace, o.Name)).Errs
		case *v1alpha1.Team:
			errs = snap.CheckTeam(o)
		}
		if len(errs) > 0 {
			p.refuse(g, errs)
			p.store.Remove(g.object)
		}
	}
	p.store.Rebuild()
}

func (p *Policies) refuse(g *governing, errs field.ErrorList) {
	for _, err := range errs {
		if g.prefix != "" {
			err.Field = g.prefix + "." + err.Field
		}
	}
	p.Refusals = append(p.Refusals, Refusal{Object: g.name, Problems: g.document.Problems(errs)})
}
