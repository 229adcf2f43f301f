package guard

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/config/crd"
)

// The kinds of what protects our objects.
const (
	kindMutating   = "MutatingWebhookConfiguration"
	kindValidating = "ValidatingWebhookConfiguration"
	kindPolicy     = "ValidatingAdmissionPolicy"
	kindBinding    = "ValidatingAdmissionPolicyBinding"
	kindCRD        = "CustomResourceDefinition"
)

// resources says where the API serves each kind.
var resources = map[string]schema.GroupVersionResource{
	kindMutating:   {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
	kindValidating: {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"},
	kindPolicy:     {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
	kindBinding:    {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"},
	kindCRD:        {Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
}

// Protected is one object at the API server that protects ours, as it must be.
type Protected struct {
	kind, name string
	want       map[string]any
}

func (p *Protected) String() string { return p.kind + " " + p.name }

// Resource is what rights to it are granted on, such as "customresourcedefinitions.apiextensions.k8s.io".
func (p *Protected) Resource() string { return resources[p.kind].GroupResource().String() }

// Expect says how objects must be: webhook configurations, admission policies and their bindings.
func Expect(objects ...client.Object) ([]*Protected, error) {
	all := make([]*Protected, 0, len(objects))
	for _, object := range objects {
		fields, err := plain(object)
		if err != nil {
			return nil, err
		}
		p, err := protected(fields)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// CRDs says how the definitions of our kinds must be: as this binary has been built with them.
func CRDs() ([]*Protected, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("failed to list the definitions of our kinds: %w", err)
	}
	all := make([]*Protected, 0, len(names))
	for _, name := range names {
		content, err := crd.Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("failed to read %s: %w", name, err)
		}
		fields := map[string]any{}
		if err := yaml.Unmarshal(content, &fields); err != nil {
			return nil, fmt.Errorf("failed to decode %s: %w", name, err)
		}
		p, err := protected(fields)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func protected(fields map[string]any) (*Protected, error) {
	kind, name := field[string](fields, "kind"), field[string](field[map[string]any](fields, "metadata"), "name")
	if _, known := resources[kind]; !known || name == "" {
		return nil, fmt.Errorf("%s %q protects nothing of ours", kind, name)
	}
	return &Protected{kind: kind, name: name, want: normal(kind, fields)}, nil
}

// plain makes an object of maps and lists, with the numbers of JSON.
func plain(object any) (map[string]any, error) {
	encoded, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("failed to encode %T: %w", object, err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, fmt.Errorf("failed to decode %T: %w", object, err)
	}
	return fields, nil
}

// compare says how a live object differs.
func (p *Protected) compare(live map[string]any) []string {
	have := normal(p.kind, live)
	if p.isWebhooks() {
		samePaths(p.want, have)
		return prefixed(p.passName()+" ", differences("", p.want, have))
	}
	return prefixed(p.String()+": ", differences("", p.want, have))
}

func prefixed(prefix string, lines []string) []string {
	for i := range lines {
		lines[i] = prefix + lines[i]
	}
	return lines
}

// normal keeps of an object what protects, with what the API server fills in.
func normal(kind string, fields map[string]any) map[string]any {
	fields = clone(fields)
	spec := field[map[string]any](fields, "spec")
	switch kind {
	case kindMutating, kindValidating:
		return map[string]any{"webhooks": each(field[[]any](fields, "webhooks"), func(webhook map[string]any) { normalWebhook(kind, webhook) })}
	case kindPolicy:
		fill(spec, "failurePolicy", "Fail")
		constraints := field[map[string]any](spec, "matchConstraints")
		normalMatch(constraints)
		each(field[[]any](constraints, "resourceRules"), normalRule)
	case kindBinding:
		if match, ok := spec["matchResources"].(map[string]any); ok {
			normalMatch(match)
		}
	case kindCRD:
		spec = normalCRD(spec)
	}
	return spec
}

func normalWebhook(kind string, webhook map[string]any) {
	normalMatch(webhook)
	fill(webhook, "failurePolicy", "Fail")
	if kind == kindMutating {
		fill(webhook, "reinvocationPolicy", "Never")
	}
	// A shorter or longer patience protects as well.
	delete(webhook, "timeoutSeconds")
	each(field[[]any](webhook, "rules"), normalRule)
	webhook["clientConfig"] = normalClient(field[map[string]any](webhook, "clientConfig"))
}

func normalMatch(match map[string]any) {
	if match == nil {
		return
	}
	fill(match, "matchPolicy", "Equivalent")
	fill(match, "namespaceSelector", map[string]any{})
	fill(match, "objectSelector", map[string]any{})
}

func normalRule(rule map[string]any) { fill(rule, "scope", "*") }

// normalCRD keeps what decides which objects can be stored and by which versions, and drops what is only shown.
func normalCRD(spec map[string]any) map[string]any {
	fill(spec, "conversion", map[string]any{"strategy": "None"})
	each(field[[]any](spec, "versions"), func(version map[string]any) {
		delete(version, "additionalPrinterColumns")
		withoutDescriptions(version["schema"], false)
	})
	names := field[map[string]any](spec, "names")
	return map[string]any{
		"group": spec["group"], "scope": spec["scope"], "conversion": spec["conversion"], "versions": spec["versions"],
		"preserveUnknownFields": spec["preserveUnknownFields"] == true,
		"names":                 map[string]any{"kind": names["kind"], "plural": names["plural"]},
	}
}

// withoutDescriptions drops the descriptions of a schema, and not a property of that name.
func withoutDescriptions(schema any, names bool) {
	switch part := schema.(type) {
	case map[string]any:
		if !names {
			delete(part, "description")
		}
		for key, value := range part {
			withoutDescriptions(value, key == "properties" && !names)
		}
	case []any:
		for _, value := range part {
			withoutDescriptions(value, false)
		}
	}
}

// each changes every member of a list of objects, and gives the list.
func each(list []any, change func(map[string]any)) []any {
	for _, item := range list {
		if fields, ok := item.(map[string]any); ok {
			change(fields)
		}
	}
	return list
}

// fill sets what the API server sets where nothing is given.
func fill(fields map[string]any, key string, value any) {
	if fields[key] == nil {
		fields[key] = value
	}
}

// field gives a field of a type. The zero value: there is none.
func field[T any](fields map[string]any, key string) T {
	value, _ := fields[key].(T)
	return value
}

// clone copies what is made of maps and lists, without fields that are null.
func clone(fields map[string]any) map[string]any {
	out := make(map[string]any, len(fields))
	for key, value := range fields {
		if value != nil {
			out[key] = cloned(value)
		}
	}
	return out
}

func cloned(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return clone(v)
	case []any:
		out := slices.Clone(v)
		for i := range out {
			out[i] = cloned(out[i])
		}
		return out
	case int64:
		return float64(v)
	case int:
		return float64(v)
	}
	return value
}
