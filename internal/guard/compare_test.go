package guard_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/config/crd"
	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/setup"
)

const operator = "system:serviceaccount:signoff-system:signoff"

// expected is everything that must be there.
func expected(t *testing.T) map[string]*guard.Protected {
	t.Helper()
	protected, err := guard.Expect(setup.Protection(&setup.WebhookOptions{URL: "https://here", CABundle: []byte("ca"), Operator: operator})...)
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := guard.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*guard.Protected{}
	for _, p := range append(protected, definitions...) {
		byName[p.String()] = p
	}
	return byName
}

// live is everything as the API server would give it, where the webhooks are served elsewhere.
func live(t *testing.T) map[string]map[string]any {
	t.Helper()
	byName := map[string]map[string]any{}
	add := func(text []byte) {
		object := map[string]any{}
		if err := yaml.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		byName[object["kind"].(string)+" "+at(object, "metadata", "name").(string)] = object
	}
	for _, object := range setup.Protection(&setup.WebhookOptions{URL: "https://there", CABundle: []byte("other"), Operator: operator}) {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		add(text)
	}
	files, err := crd.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := crd.Files.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		add(text)
	}
	return byName
}

// at follows a path of names and of indexes.
func at(object any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object = object.(map[string]any)[key]
		case int:
			object = object.([]any)[key]
		}
	}
	return object
}

func set(object map[string]any, value any, path ...any) {
	parent, last := at(object, path[:len(path)-1]...).(map[string]any), path[len(path)-1].(string)
	if value == nil {
		delete(parent, last)
		return
	}
	parent[last] = value
}

func TestSameIsNoDifference(t *testing.T) {
	objects := live(t)
	for name, p := range expected(t) {
		if diff := cmp.Diff([]string(nil), p.Compare(objects[name])); diff != "" {
			t.Errorf("%s served elsewhere is still the same: -want, +got:\n%s", name, diff)
		}
	}
}

func TestDifferences(t *testing.T) {
	const (
		mutating   = "MutatingWebhookConfiguration signoff"
		validating = "ValidatingWebhookConfiguration signoff"
		policy     = "ValidatingAdmissionPolicy approvals.signoff.dev"
		binding    = "ValidatingAdmissionPolicyBinding approvals.signoff.dev"
		approvals  = "CustomResourceDefinition approvals.signoff.dev"
	)
	schema := []any{"spec", "versions", 0, "schema", "openAPIV3Schema"}
	in := func(path ...any) []any { return append(append([]any{}, schema...), path...) }
	for name, tc := range map[string]struct {
		reason string
		object string
		value  any
		path   []any
		want   string
	}{
		"Ignored": {"A webhook that may fail protects nothing.", mutating, "Ignore", []any{"webhooks", 0, "failurePolicy"},
			"webhook requests.signoff.dev: failurePolicy is Ignore, expected Fail"},
		"Exempted": {"A label on a namespace must exempt nobody.", validating, map[string]any{"matchLabels": map[string]any{"a": "b"}}, []any{"webhooks", 0, "namespaceSelector"},
			`webhook requests.signoff.dev: namespaceSelector.matchLabels is {"a":"b"}, expected none`},
		"Conditioned": {"Nor must an expression.", validating, []any{map[string]any{"name": "x", "expression": "false"}}, []any{"webhooks", 0, "matchConditions"},
			`webhook requests.signoff.dev: matchConditions is [{"expression":"false","name":"x"}], expected none`},
		"OtherOperator": {"Whoever the condition names writes unseen.", validating, "!(request.userInfo.username == 'eve')", []any{"webhooks", 1, "matchConditions", 0, "expression"},
			`webhook status.requests.signoff.dev: matchConditions[own-status].expression is !(request.userInfo.username == 'eve'), expected`},
		"Exact": {"Another version would pass.", validating, "Exact", []any{"webhooks", 2, "matchPolicy"},
			"webhook approvals.signoff.dev: matchPolicy is Exact, expected Equivalent"},
		"FewerOperations": {"Deletion would not be seen.", validating, []any{"CREATE", "UPDATE"}, []any{"webhooks", 0, "rules", 0, "operations"},
			"webhook requests.signoff.dev: rules is "},
		"NoWebhooks": {"A configuration without webhooks is there and protects nothing.", validating, nil, []any{"webhooks"},
			"validating webhook approvals.signoff.dev is missing"},
		"NoAuthority": {"Somebody else could answer.", mutating, nil, []any{"webhooks", 1, "clientConfig", "caBundle"},
			"webhook actions.signoff.dev: clientConfig.caBundle is none, expected given"},
		"OtherPath": {"What answers about requests lets every Role and Team pass.", validating, "https://there/mutate/approvals", []any{"webhooks", 3, "clientConfig", "url"},
			"webhook governing.signoff.dev: clientConfig.path is /mutate/approvals, expected /validate/governing"},
		"NoPath": {"Nor does it matter who it is that answers.", validating, map[string]any{"service": map[string]any{"namespace": "a", "name": "b"}, "caBundle": "b3RoZXI="},
			[]any{"webhooks", 3, "clientConfig"}, "webhook governing.signoff.dev: clientConfig.path is missing, expected /validate/governing"},
		"SideEffects": {"An answer that depends on dry run is none of ours.", mutating, "NoneOnDryRun", []any{"webhooks", 0, "sideEffects"},
			"webhook requests.signoff.dev: sideEffects is NoneOnDryRun, expected None"},
		"Audited": {"A policy that only notes refuses nothing.", binding, []any{"Audit"}, []any{"spec", "validationActions"},
			`ValidatingAdmissionPolicyBinding approvals.signoff.dev: validationActions is ["Audit"], expected ["Deny"]`},
		"Bound": {"A binding may exempt too.", binding, map[string]any{"excludeResourceRules": []any{}}, []any{"spec", "matchResources"},
			"ValidatingAdmissionPolicyBinding approvals.signoff.dev: matchResources is "},
		"PolicyIgnored": {"A policy that may fail protects nothing.", policy, "Ignore", []any{"spec", "failurePolicy"},
			"ValidatingAdmissionPolicy approvals.signoff.dev: failurePolicy is Ignore, expected Fail"},
		"PolicyVariable": {"What a variable says decides.", policy, "true", []any{"spec", "variables", 0, "expression"},
			"ValidatingAdmissionPolicy approvals.signoff.dev: variables[operator].expression is true, expected"},
		"RuleGone": {"Votes could be removed.", approvals, nil, in("properties", "spec", "properties", "votes", "x-kubernetes-validations"),
			"CustomResourceDefinition approvals.signoff.dev: versions[v1alpha1].schema.openAPIV3Schema.properties.spec.properties.votes.x-kubernetes-validations is missing, expected"},
		"DefaultGone": {"Without its default a list can be removed past its rule.", approvals, nil, in("properties", "spec", "properties", "votes", "default"),
			".properties.votes.default is missing, expected []"},
		"Anything": {"Unknown fields would be stored.", approvals, true, in("properties", "spec", "x-kubernetes-preserve-unknown-fields"),
			".properties.spec.x-kubernetes-preserve-unknown-fields is true, expected none"},
		"NoStatus": {"Without the subresource everybody who may patch writes status.", approvals, nil, []any{"spec", "versions", 0, "subresources"},
			"versions[v1alpha1].subresources is missing"},
		"NotSelectable": {"Closed Approvals would come to caches.", approvals, nil, []any{"spec", "versions", 0, "selectableFields"},
			"versions[v1alpha1].selectableFields is missing"},
		"Converted": {"A conversion webhook rewrites what is stored.", approvals, map[string]any{"strategy": "Webhook"}, []any{"spec", "conversion"},
			"CustomResourceDefinition approvals.signoff.dev: conversion.strategy is Webhook, expected None"},
		"NotServed": {"It is still to be said.", approvals, false, []any{"spec", "versions", 0, "served"},
			"versions[v1alpha1].served is false, expected true"},
	} {
		t.Run(name, func(t *testing.T) {
			object := live(t)[tc.object]
			set(object, tc.value, tc.path...)
			got := expected(t)[tc.object].Compare(object)
			if len(got) == 0 || !strings.Contains(got[0], tc.want) {
				t.Errorf("%s\nwant %q\ngot  %q", tc.reason, tc.want, got)
			}
		})
	}
}

// TestOneAddress: what the canary proves of the webhooks that it passes must be true of all of them.
func TestOneAddress(t *testing.T) {
	const mutating, validating = "MutatingWebhookConfiguration signoff", "ValidatingWebhookConfiguration signoff"
	url := func(webhook int) []any { return []any{"webhooks", webhook, "clientConfig", "url"} }
	for name, tc := range map[string]struct {
		reason string
		change func(objects map[string]map[string]any)
		want   string
	}{
		"Same": {"All are where the canary is answered.", func(map[string]map[string]any) {}, ""},
		"Behind": {"A path that nobody can guess is before that of each.", func(objects map[string]map[string]any) {
			for _, kind := range []string{mutating, validating} {
				for i := range objects[kind]["webhooks"].([]any) {
					set(objects[kind], strings.Replace(at(objects[kind], url(i)...).(string), "https://there", "https://there/Xq7", 1), url(i)...)
				}
			}
		}, ""},
		"BehindAnother": {"One of them has another path before it.", func(objects map[string]map[string]any) {
			set(objects[validating], "https://there/evil/validate/governing", url(3)...)
		}, "validating webhook governing.signoff.dev: clientConfig names https://there/evil, expected https://there as in the mutating webhook requests.signoff.dev"},
		"Host": {"Votes are stamped by somebody else.", func(objects map[string]map[string]any) {
			set(objects[mutating], "https://evil/mutate/approvals", url(3)...)
		}, "mutating webhook approvals.signoff.dev: clientConfig names https://evil, expected https://there"},
		"Service": {"Roles are judged by another Service.", func(objects map[string]map[string]any) {
			set(objects[validating], map[string]any{"service": map[string]any{"namespace": "evil", "name": "yes", "path": "/validate/governing"}, "caBundle": "b3RoZXI="}, "webhooks", 3, "clientConfig")
		}, "validating webhook governing.signoff.dev: clientConfig names Service evil/yes:443, expected https://there"},
		"Authority": {"Whoever has that one's key can answer in the place of ours.", func(objects map[string]map[string]any) {
			set(objects[validating], "ZXZpbA==", "webhooks", 2, "clientConfig", "caBundle")
		}, "validating webhook approvals.signoff.dev: clientConfig.caBundle is not that of the mutating webhook requests.signoff.dev"},
	} {
		t.Run(name, func(t *testing.T) {
			objects, wanted := live(t), expected(t)
			tc.change(objects)
			one, two := wanted[mutating].See(objects[mutating]), wanted[validating].See(objects[validating])
			got := strings.Join(append(append(one.Wrong, two.Wrong...), guard.Apart(one, two)...), "\n")
			if tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) || strings.Contains(got, "\n") {
				t.Errorf("%s\nwant %q\ngot  %q", tc.reason, tc.want, got)
			}
		})
	}
}

// TestShownOnly changes what is only shown: it protects nothing.
func TestShownOnly(t *testing.T) {
	const name = "CustomResourceDefinition approvals.signoff.dev"
	object := live(t)[name]
	version := []any{"spec", "versions", 0}
	set(object, nil, append(version, "additionalPrinterColumns")...)
	set(object, "other words", append(version, "schema", "openAPIV3Schema", "description")...)
	set(object, []any{"all"}, "spec", "names", "categories")
	set(object, map[string]any{"conditions": []any{}}, "status")
	if got := expected(t)[name].Compare(object); got != nil {
		t.Errorf("columns and descriptions protect nothing: %q", got)
	}
}

// TestAnotherWebhook adds a webhook to our own configuration, and one version more to a definition.
func TestAnotherWebhook(t *testing.T) {
	object := live(t)["ValidatingWebhookConfiguration signoff"]
	object["webhooks"] = append(object["webhooks"].([]any), map[string]any{"name": "eve.example.org"})
	got := expected(t)["ValidatingWebhookConfiguration signoff"].Compare(object)
	if len(got) != 1 || !strings.Contains(got[0], "webhook eve.example.org is ") {
		t.Errorf("a webhook that nobody expects is a difference: %q", got)
	}
}
