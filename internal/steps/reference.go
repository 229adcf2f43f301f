package steps

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/template"
)

// The patterns of v1alpha1.ObjectReference, which manifests have to follow as well. No template fits them.
var (
	apiVersionPattern = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$`)
	// visibleName keeps people from being deceived by what Kubernetes allows in names of rbac.authorization.k8s.io.
	visibleName = regexp.MustCompile(`^[!-~]{1,253}$`)
	kindPattern = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
)

// reference is a compiled ObjectReference.
type reference struct {
	apiVersion, kind string
	// namespace is nil where the kind is not namespaced.
	namespace *template.Text
	name      *template.Text
}

func (b *builder) reference(ref *v1alpha1.ObjectReference, path *field.Path) *reference {
	b.literalKind(ref.APIVersion, ref.Kind, path)
	if ref.Name == "" {
		b.refuse(field.Required(path.Child("name"), "the name of the object is needed"))
	}
	return &reference{
		apiVersion: ref.APIVersion, kind: ref.Kind,
		namespace: b.text(ref.Namespace, path.Child("namespace")),
		name:      b.text(ref.Name, path.Child("name")),
	}
}

// literalKind demands an apiVersion and a kind that no template can have made.
func (b *builder) literalKind(apiVersion, kind string, path *field.Path) bool {
	before := len(b.errs)
	b.literal(apiVersion, apiVersionPattern, "apps/v1", path.Child("apiVersion"))
	b.literal(kind, kindPattern, "Deployment", path.Child("kind"))
	return len(b.errs) == before
}

func (b *builder) literal(value string, pattern *regexp.Regexp, example string, path *field.Path) {
	switch {
	case value == "":
		b.refuse(field.Required(path, fmt.Sprintf("needed, such as %q", example)))
	case strings.Contains(value, "${"):
		b.refuse(field.Invalid(path, value, "must be literal: rights and plans depend on it; write one step per kind"))
	case !pattern.MatchString(value):
		b.refuse(field.Invalid(path, value, fmt.Sprintf("must be written as %q is", example)))
	}
}

// text parses a template; nil for an empty one.
func (b *builder) text(source string, path *field.Path) *template.Text {
	if source == "" {
		return nil
	}
	text, err := template.Parse(source, b.templates)
	if err != nil {
		b.refuse(field.Invalid(path, source, err.Error()))
		return nil
	}
	return text
}

// written is which object it is, as it is written: two that are written alike are one object in every request. In place of the version is the group.
func (r *reference) written() v1alpha1.ObjectReference {
	out := v1alpha1.ObjectReference{APIVersion: kindOf(r.apiVersion, r.kind).Group, Kind: r.kind, Name: r.name.Source()}
	if r.namespace != nil {
		out.Namespace = r.namespace.Source()
	}
	return out
}

func (r *reference) uses(variable string) bool {
	return (r.namespace != nil && r.namespace.Uses(variable)) || r.name.Uses(variable)
}

// render fills in the templates. An error begins with the name of the field.
func (r *reference) render(ctx context.Context, in Input) (v1alpha1.ObjectReference, error) {
	ref := v1alpha1.ObjectReference{APIVersion: r.apiVersion, Kind: r.kind}
	var err error
	if r.namespace != nil {
		if ref.Namespace, err = renderNamespace(ctx, in, r.namespace); err != nil {
			return ref, err
		}
	}
	if ref.Name, err = r.name.RenderString(ctx, in.Vars, in.Budget); err != nil {
		return ref, fmt.Errorf("name: %w", err)
	}
	return ref, checkName(ref.APIVersion, ref.Kind, ref.Name)
}

func renderNamespace(ctx context.Context, in Input, text *template.Text) (string, error) {
	namespace, err := text.RenderString(ctx, in.Vars, in.Budget)
	if err != nil {
		return "", fmt.Errorf("namespace: %w", err)
	}
	return namespace, checkNamespace(namespace)
}

// checkNamespace refuses what is not the name of a namespace, the empty string above all: it would name a cluster-wide object.
func checkNamespace(namespace string) error {
	if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
		return fmt.Errorf("namespace: %q is not the name of a namespace: at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends", cut(namespace))
	}
	return nil
}

// checkName refuses what cannot be a name, so that a name can never reach into the path of another object.
func checkName(apiVersion, kind, name string) error {
	if kindOf(apiVersion, kind).Group == "rbac.authorization.k8s.io" {
		if problems := content.IsPathSegmentName(name); len(problems) > 0 || !visibleName.MatchString(name) {
			return fmt.Errorf("name: %q is not a name that everybody can read: at most 253 visible ASCII characters without blanks, '/' and '%%'", cut(name))
		}
		return nil
	}
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return fmt.Errorf("name: %q is not a name: at most 253 of a-z, 0-9, '-' and '.', with a letter or digit at both ends", cut(name))
	}
	return nil
}

// cut keeps error messages short, whatever a requester wrote.
func cut(s string) string {
	const most = 80
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
