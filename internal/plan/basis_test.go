package plan

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestBasis says what moves the basis of a change: only what the write changes, and which object there is.
func TestBasis(t *testing.T) {
	const live = `
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: payments, name: checkout, uid: u-1, resourceVersion: "7", generation: 3, labels: {team: payments}}
spec: {replicas: 2, paused: false, template: {spec: {containers: [{name: app, image: "app:1"}]}}}
status: {readyReplicas: 2}
`
	ref := v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "payments", Name: "checkout"}
	write := v1alpha1.RenderedWrite{
		Operation: v1alpha1.WriteStrategicPatch, Object: ref,
		Body: runtime.RawExtension{Raw: []byte(`{"spec":{"paused":false,"template":{"spec":{"containers":[{"name":"app","image":"app:2"}]}}}}`)},
	}
	keyed := func(what []byte) string { return "keyed:" + string(what) }
	of := func(change string, hidden bool, keyed func([]byte) string) string {
		t.Helper()
		object := map[string]any{}
		for _, text := range []string{live, change} {
			if err := yaml.Unmarshal([]byte(text), &object); err != nil {
				t.Fatal(err)
			}
		}
		found := Found{Object: &unstructured.Unstructured{Object: runtime.DeepCopyJSON(numbers(object))}, Hidden: hidden}
		if object["gone"] == true {
			found = Found{}
		}
		changes := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{write}}}, View{Keyed: keyed, Live: func(v1alpha1.ObjectReference) Found { return found }})
		return changes[0].Basis
	}
	basis := func(change string, hidden bool) string { return of(change, hidden, nil) }
	asIs, secret := basis("{}", false), of("{}", true, keyed)
	for name, tc := range map[string]struct {
		change string
		moves  bool
	}{
		"Status":      {`status: {readyReplicas: 1}`, false},
		"Autoscaler":  {`spec: {replicas: 9, paused: false, template: {spec: {containers: [{name: app, image: "app:1"}]}}}`, false},
		"Touched":     {`spec: {replicas: 2, paused: false, template: {spec: {containers: [{name: app, image: "app:1.5"}]}}}`, true},
		"WasTheSame":  {`spec: {replicas: 2, paused: true, template: {spec: {containers: [{name: app, image: "app:1"}]}}}`, true},
		"DoneAlready": {`spec: {replicas: 2, paused: false, template: {spec: {containers: [{name: app, image: "app:2"}]}}}`, true},
		"Another":     {`metadata: {namespace: payments, name: checkout, uid: u-2}`, true},
		"Labels":      {`metadata: {namespace: payments, name: checkout, uid: u-1, labels: {team: other}, resourceVersion: "9"}`, false},
	} {
		if moved := basis(tc.change, false) != asIs; moved != tc.moves {
			t.Errorf("%s moves the basis: %t", name, moved)
		}
		if moved := of(tc.change, true, keyed) != secret; moved != tc.moves {
			t.Errorf("%s moves the basis of what is hidden: %t", name, moved)
		}
		if of(tc.change, false, keyed) != basis(tc.change, false) {
			t.Errorf("%s: what everybody may know takes no key", name)
		}
	}
	if gone := basis("gone: true", false); gone == asIs || gone != absent {
		t.Errorf("an object that is gone is another basis: %s", gone)
	}
	hidden := basis("{}", true)
	if hidden == asIs || basis(`status: {readyReplicas: 1}`, true) != hidden ||
		basis(`metadata: {namespace: payments, name: checkout, uid: u-1, generation: 4}`, true) == hidden {
		t.Error("of what is hidden, the generation counts where nobody has a key, and no value")
	}
	if !strings.HasPrefix(secret, "keyed:") || !strings.Contains(secret, "app:1") || strings.Contains(secret, "payments") {
		t.Errorf("what is hidden is hashed with a key, and nothing that is not touched: %s", secret)
	}
}

// numbers makes integers of what YAML reads as fractions, as the API machinery has them.
func numbers(object map[string]any) map[string]any {
	for key, value := range object {
		switch v := value.(type) {
		case float64:
			object[key] = int64(v)
		case map[string]any:
			numbers(v)
		}
	}
	return object
}
