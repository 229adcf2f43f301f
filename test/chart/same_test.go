package chart

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/internal/setup"
)

// content is an object without what the chart adds: labels and annotations.
func content(object *unstructured.Unstructured) map[string]any {
	fields := object.DeepCopy()
	unstructured.RemoveNestedField(fields.Object, "metadata", "labels")
	unstructured.RemoveNestedField(fields.Object, "metadata", "annotations")
	// As YAML or Go writes numbers makes no difference.
	plain, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&fields.Object)
	if err != nil {
		panic(err) // maps are maps
	}
	delete(plain, "status")
	return plain
}

// TestSame compares what is rendered with what config has, and what the code makes: definitions, rights, webhooks, policies.
func TestSame(t *testing.T) {
	rendered := render(t)
	want := append(append(append(files(t, "config/crd/*.yaml"), files(t, "config/rbac/admission/*.yaml")...), files(t, "config/rbac/controller/*.yaml")...),
		files(t, "config/rbac/user-roles.yaml")...)
	for _, object := range setup.Protection(&setup.WebhookOptions{
		Service:  &admissionregistrationv1.ServiceReference{Namespace: namespace, Name: "signoff-webhook", Port: new(int32(443))},
		Operator: "system:serviceaccount:" + namespace + ":signoff-controller",
	}) {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, &unstructured.Unstructured{Object: fields})
	}
	if len(want) < 35 {
		t.Fatalf("only %d objects are compared", len(want))
	}
	for _, object := range want {
		got := rendered.named(t, object.GetKind(), object.GetName())
		if diff := cmp.Diff(content(object), content(got)); diff != "" {
			t.Errorf("%s %s (-want +rendered):\n%s", object.GetKind(), object.GetName(), diff)
		}
		for key, value := range object.GetAnnotations() {
			if got.GetAnnotations()[key] != value {
				t.Errorf("%s %s lost the annotation %s", object.GetKind(), object.GetName(), key)
			}
		}
	}
}

// TestWebhooksTrust looks at who tells the API server whom to trust, by mode.
func TestWebhooksTrust(t *testing.T) {
	for name, want := range map[string]struct {
		reason, caBundle, inject string
		job                      bool
	}{
		"Default":     {"The Job does, afterwards.", "", "", true},
		"CertManager": {"Its injector does.", "", namespace + "/signoff-webhook", false},
		"Issuer":      {"Its injector does.", "", namespace + "/signoff-webhook", false},
		"Secret":      {"The value does.", strings.ReplaceAll(authority, "AAAA", "BBBB"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			rendered := render(t, combinations[name])
			if got := len(rendered.of("Job")) == 1; got != want.job {
				t.Errorf("%s There is a Job: %t", want.reason, got)
			}
			mutating := into[admissionregistrationv1.MutatingWebhookConfiguration](t, rendered.named(t, "MutatingWebhookConfiguration", "signoff"))
			validating := into[admissionregistrationv1.ValidatingWebhookConfiguration](t, rendered.named(t, "ValidatingWebhookConfiguration", "signoff"))
			bundles := map[string]int{}
			for _, w := range mutating.Webhooks {
				bundles[string(w.ClientConfig.CABundle)]++
			}
			for _, w := range validating.Webhooks {
				bundles[string(w.ClientConfig.CABundle)]++
			}
			all := len(mutating.Webhooks) + len(validating.Webhooks)
			if diff := cmp.Diff(map[string]int{want.caBundle: all}, bundles); diff != "" {
				t.Errorf("%s -want +got:\n%s", want.reason, diff)
			}
			for _, annotations := range []map[string]string{mutating.Annotations, validating.Annotations} {
				if got := annotations["cert-manager.io/inject-ca-from"]; got != want.inject {
					t.Errorf("%s The injector is told %q", want.reason, got)
				}
			}
		})
	}
}

// TestKeepsWhatIsEvidence looks at what helm may remove, and that no key is in a release.
func TestKeepsWhatIsEvidence(t *testing.T) {
	for name, values := range combinations {
		for _, object := range render(t, values) {
			text, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if object.GetKind() == "Secret" || strings.Contains(string(text), "PRIVATE KEY") {
				t.Errorf("%s: %s %s has a key", name, object.GetKind(), object.GetName())
			}
			keeps := object.GetAnnotations()["helm.sh/resource-policy"] == "keep"
			if definition := object.GetKind() == "CustomResourceDefinition"; keeps != definition {
				t.Errorf("%s: %s %s is kept: %t", name, object.GetKind(), object.GetName(), keeps)
			}
		}
	}
}

// TestLabels looks for the labels by which people find things.
func TestLabels(t *testing.T) {
	want := map[string]string{"app.kubernetes.io/name": "signoff", "app.kubernetes.io/instance": release, "app.kubernetes.io/managed-by": "Helm"}
	for _, object := range render(t, combinations["Constrained"]) {
		got := maps.Clone(object.GetLabels())
		maps.DeleteFunc(got, func(key, _ string) bool { return want[key] == "" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", object.GetKind(), object.GetName(), diff)
		}
	}
}
