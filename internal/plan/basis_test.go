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
	version := func(change string) string { return of(change, false, nil) }
	asIs := of("{}", false, keyed)
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
		if moved := of(tc.change, false, keyed) != asIs; moved != tc.moves {
			t.Errorf("%s moves the basis: %t", name, moved)
		}
		if of(tc.change, false, keyed) != of(tc.change, true, keyed) {
			t.Errorf("%s: it is the same whoever may read the object", name)
		}
	}
	if gone := of("gone: true", false, keyed); gone == asIs || !IsAbsent(gone) || IsAbsent(asIs) {
		t.Errorf("an object that is gone is another basis: %s", gone)
	}
	if is := version("{}"); is == asIs || version(`status: {readyReplicas: 1}`) != is || version(`spec: {replicas: 9}`) != is ||
		version(`metadata: {namespace: payments, name: checkout, uid: u-1, generation: 4}`) == is {
		t.Error("where nobody has a key the generation counts, and no value, also of what everybody may read")
	}
	if !strings.HasPrefix(asIs, "keyed:") || !strings.Contains(asIs, "app:1") || strings.Contains(asIs, "payments") {
		t.Errorf("it is hashed with a key, and nothing that is not touched: %s", asIs)
	}
}

// TestBasisOfEntries: that a second write finds the same as the first does not show, or it would tell whether the first has guessed what was there.
func TestBasisOfEntries(t *testing.T) {
	w := write(t, v1alpha1.WriteMergePatch, aSecret, `{data: {password: aHVudGVyMg==}}`)
	changes := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{w, w}}}, View{
		Keyed: func(what []byte) string { return "keyed:" + string(what) },
		Live:  func(v1alpha1.ObjectReference) Found { return Found{Object: parse(t, guarded["Secret"])} },
	})
	if changes[0].Basis == changes[1].Basis {
		t.Errorf("both have the basis %s", changes[0].Basis)
	}
}

// TestBasisOfAll: what stands for several changes names their key.
func TestBasisOfAll(t *testing.T) {
	of := func(bases ...string) string {
		var changes []v1alpha1.PlannedChange
		for _, basis := range bases {
			changes = append(changes, v1alpha1.PlannedChange{Basis: basis})
		}
		return BasisOf(changes)
	}
	for name, tc := range map[string]struct{ got, want string }{
		"Keyed":   {of("sha256:a", "keyed-b:c", "", "keyed-b:d"), "keyed-b:"},
		"Plain":   {of("sha256:a", ""), "sha256:"},
		"Nothing": {of(""), "sha256:"},
	} {
		if hash, ok := strings.CutPrefix(tc.got, tc.want); !ok || len(hash) != 64 {
			t.Errorf("%s: %s", name, tc.got)
		}
	}
	if of("keyed-b:c") == of("keyed-b:d") {
		t.Error("other changes have another one")
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
