package steps

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/kinds"
	"github.com/signoff-dev/signoff/internal/template"
)

// applyWriter applies manifests by server-side apply.
type applyWriter struct {
	manifests []*manifest
	conflicts v1alpha1.ConflictPolicy
}

// manifest is one object that is applied.
type manifest struct {
	apiVersion, kind string
	// namespaced says that the manifest names a namespace.
	namespaced bool
	body       *body
	// metadata is what says which object it is, and its labels.
	metadata *template.Object
	// written is which object it is, as it is written, with its group in place of the version.
	written v1alpha1.ObjectReference
	path    string
}

func (b *builder) apply(s *v1alpha1.ApplyStep, path *field.Path) writer {
	out := &applyWriter{conflicts: s.Conflicts}
	switch s.Conflicts {
	case "":
		out.conflicts = v1alpha1.ConflictsFail
	case v1alpha1.ConflictsFail, v1alpha1.ConflictsTake:
	default:
		b.refuse(field.NotSupported(path.Child("conflicts"), s.Conflicts, []v1alpha1.ConflictPolicy{v1alpha1.ConflictsFail, v1alpha1.ConflictsTake}))
	}
	if len(s.Manifests) == 0 {
		b.refuse(field.Required(path.Child("manifests"), "at least one manifest is needed"))
	}
	seen := map[v1alpha1.ObjectReference]bool{}
	for i := range s.Manifests {
		at := path.Child("manifests").Index(i)
		object, ok := b.decode(&s.Manifests[i].RawExtension, at)
		if !ok {
			continue
		}
		m := b.manifest(object, at)
		m.path = fmt.Sprintf("apply.manifests[%d]", i)
		if seen[m.written] {
			b.refuse(field.Duplicate(at, fmt.Sprintf("%s %s", m.written.Kind, m.written.Name)))
		}
		seen[m.written] = true
		out.manifests = append(out.manifests, m)
	}
	return out
}

// manifest compiles one object.
func (b *builder) manifest(object map[string]any, path *field.Path) *manifest {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	m := &manifest{apiVersion: apiVersion, kind: kind, body: &body{}}
	if b.literalKind(apiVersion, kind, path) {
		b.kind(apiVersion, kind, path)
		if apiVersion == "v1" && kind == "List" {
			b.refuse(field.Invalid(path.Child("kind"), kind, "must be an object, not a list: write each object as a manifest of its own"))
		}
	}
	namespace, name := b.manifestMetadata(object, path.Child("metadata"))
	m.namespaced = namespace != ""
	b.noStatus(object, kindOf(apiVersion, kind).Group, path.Child("status"))
	b.lates = 0
	m.body = b.body(object, path)
	b.notLate(m.body, path, identity...)
	m.metadata = b.metadata(object, path)
	m.written = v1alpha1.ObjectReference{APIVersion: kindOf(apiVersion, kind).Group, Kind: kind, Namespace: namespace, Name: name}
	return m
}

// manifestMetadata demands a name and refuses what makes an apply something else than an apply.
func (b *builder) manifestMetadata(object map[string]any, path *field.Path) (namespace, name string) {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		b.refuse(field.Required(path.Child("name"), "the name of the object is needed; metadata must be an object"))
		return "", ""
	}
	name, _ = metadata["name"].(string)
	if _, generated := metadata["generateName"]; generated {
		b.refuse(field.Forbidden(path.Child("generateName"), "a repeated apply would create another object each time: use name, which may hold ${request.uid}"))
	} else if name == "" {
		b.refuse(field.Required(path.Child("name"), "the name of the object is needed, as text"))
	}
	if value, set := metadata["namespace"]; set {
		if namespace, ok = value.(string); !ok || namespace == "" {
			b.refuse(field.Invalid(path.Child("namespace"), value, "must be text and not empty; leave it out for a kind that is not namespaced"))
		}
	}
	b.serverFields(metadata, path)
	return namespace, name
}

// serverFields refuses metadata that belongs to the API server, because it would make a repeated write fail.
func (b *builder) serverFields(metadata map[string]any, path *field.Path) {
	for _, name := range []string{"managedFields", "resourceVersion"} {
		if _, set := metadata[name]; set {
			b.refuse(field.Forbidden(path.Child(name), "belongs to the API server: leave it out"))
		}
	}
}

// noStatus refuses a status: a step writes the object, and the API server drops what belongs to the subresource. Of the kinds of others nobody knows whether
// they have one. An empty status is what kubectl prints.
func (b *builder) noStatus(object map[string]any, group string, path *field.Path) {
	status, set := object["status"]
	if fields, is := status.(map[string]any); !set || is && len(fields) == 0 {
		return
	}
	b.writesStatus(group, path)
}

// writesStatus refuses or warns of what writes to a status.
func (b *builder) writesStatus(group string, path *field.Path) {
	if isBuiltIn(group) {
		b.refuse(field.Forbidden(path, "belongs to controllers: the API server would drop it, and the step would not do what people agree to. Leave it out"))
		return
	}
	b.warn(path, "where this kind has the subresource status, the API server drops it, and the step does nothing by it")
}

func (w *applyWriter) uses(variable string) bool {
	for _, m := range w.manifests {
		if m.body.uses(variable) {
			return true
		}
	}
	return false
}

func (w *applyWriter) render(ctx context.Context, r rendering) ([]v1alpha1.RenderedWrite, error) {
	writes := make([]v1alpha1.RenderedWrite, 0, len(w.manifests))
	seen := map[kinds.Place]bool{}
	for _, m := range w.manifests {
		object, late, ref, err := m.render(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		key := kinds.PlaceOf(&ref)
		if seen[key] {
			return nil, fmt.Errorf("%s: %s %s is applied twice in one step: the second apply would take back what the first one set", m.path, ref.Kind, ref.Name)
		}
		seen[key] = true
		raw, err := encode(object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		writes = append(writes, v1alpha1.RenderedWrite{
			Operation: v1alpha1.WriteApply, Object: ref, Body: raw, FieldManager: r.fieldManager(), Conflicts: w.conflicts, Late: late,
		})
	}
	return writes, nil
}

// render fills in the templates of a manifest and checks what they made of its identity.
func (m *manifest) render(ctx context.Context, r rendering) (map[string]any, []v1alpha1.LateValue, v1alpha1.ObjectReference, error) {
	ref := v1alpha1.ObjectReference{APIVersion: m.apiVersion, Kind: m.kind}
	object, late, err := m.body.render(ctx, r.Input)
	if err != nil {
		return nil, nil, ref, err
	}
	if object["apiVersion"] != m.apiVersion || object["kind"] != m.kind {
		return nil, nil, ref, fmt.Errorf("apiVersion and kind must stay %s and %s", m.apiVersion, m.kind)
	}
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		return nil, nil, ref, fmt.Errorf("metadata must be an object")
	}
	ref, err = m.identity(metadata)
	return object, late, ref, err
}

// identity says which object rendered metadata is of.
func (m *manifest) identity(metadata map[string]any) (v1alpha1.ObjectReference, error) {
	ref := v1alpha1.ObjectReference{APIVersion: m.apiVersion, Kind: m.kind}
	var ok bool
	if ref.Name, ok = metadata["name"].(string); !ok {
		return ref, fmt.Errorf("metadata.name: must be text")
	}
	if err := checkName(ref.APIVersion, ref.Kind, ref.Name); err != nil {
		return ref, fmt.Errorf("metadata.%w", err)
	}
	if m.namespaced {
		ref.Namespace, _ = metadata["namespace"].(string)
		if err := checkNamespace(ref.Namespace); err != nil {
			return ref, fmt.Errorf("metadata.%w", err)
		}
	}
	return ref, checkOwn(ref)
}
