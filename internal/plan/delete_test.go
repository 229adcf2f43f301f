package plan

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestDelete(t *testing.T) {
	const object = "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}}"
	held := Found{Object: parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits, finalizers: [b.example.com/x, a.example.com/x], deletionTimestamp: "2026-01-01T00:00:00Z"}}`)}
	hidden := held
	hidden.Hidden = true
	for name, tc := range map[string]struct {
		reason, object, options string
		found                   Found
		want                    []string
	}{
		"Absent": {"nothing will be done", object, `{}`, Found{}, []string{"does not exist now: there is nothing to delete"}},
		"Held": {"why it may take long", object, `{preconditions: {uid: u}, propagationPolicy: Background}`, held,
			[]string{"deletes it, and then what it owns", "somebody is deleting it already", "waits for those who hold it back: a.example.com/x,b.example.com/x"}},
		"Hidden": {"the requester may not read it", object, `{preconditions: {uid: u}, propagationPolicy: Orphan}`, hidden, []string{"deletes it, and leaves what it owns"}},
		"Namespace": {"people must see how much that is", "{apiVersion: v1, kind: Namespace, metadata: {name: old}}", `{preconditions: {uid: u}, propagationPolicy: Foreground}`, Found{},
			[]string{"deletes it, after what it owns", "with everything that is in the namespace"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := write(t, v1alpha1.WriteDelete, tc.object, tc.options)
			got := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{w}}}, View{Live: func(v1alpha1.ObjectReference) Found { return tc.found }})
			if diff := cmp.Diff(tc.want, got[0].Fields); diff != "" || got[0].Operation != "delete" {
				t.Errorf("%s: %s, -want +got:\n%s", tc.reason, got[0].Operation, diff)
			}
		})
	}
}

// TestDeleteThenApply compares a later write with what the deletion leaves: nothing.
func TestDeleteThenApply(t *testing.T) {
	const object = "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}}"
	live := parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}, data: {a: b}}`)
	got := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{
		write(t, v1alpha1.WriteDelete, object, `{preconditions: {uid: u}, propagationPolicy: Background}`),
		write(t, v1alpha1.WriteApply, object, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: limits}, data: {a: c}}`),
	}}}, View{Live: func(v1alpha1.ObjectReference) Found {
		return Found{Object: (&unstructured.Unstructured{Object: live.Object}).DeepCopy()}
	}})
	if diff := cmp.Diff([]string{"creates it", "data.a: (new) c"}, got[1].Fields); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestGoneIsNotCompared: what goes with an earlier deletion, in whichever version it is named and with its namespace, is not what a later write finds.
func TestGoneIsNotCompared(t *testing.T) {
	const (
		namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: x}}"
		limits    = "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: x, name: y}, data: {a: b}}"
		old       = "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {namespace: x, name: y}}"
		scaler    = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {namespace: x, name: y}, spec: {maxReplicas: 3}}"
		options   = "{preconditions: {uid: u}, propagationPolicy: Background}"
		supposed  = "compared with what is there if these steps have run, which may be skipped: 0"
	)
	deletes := func(object string) v1alpha1.RenderedWrite { return write(t, v1alpha1.WriteDelete, object, options) }
	applies := func(object string) v1alpha1.RenderedWrite { return write(t, v1alpha1.WriteApply, object, object) }
	patches := write(t, v1alpha1.WriteMergePatch, limits, "{data: {a: c}}")
	creates, fails := []string{"creates it", "data.a: (new) b"}, []string{"does not exist now: the step fails unless something else creates it first; then it gets:", "data.a: (new) c"}
	for name, tc := range map[string]struct {
		reason string
		when   string
		writes []v1alpha1.RenderedWrite
		want   []string
		// absent says that nothing which is there now has a part in it.
		absent bool
	}{
		"Namespace": {"it goes with its namespace", "", []v1alpha1.RenderedWrite{deletes(namespace), applies(namespace), applies(limits)}, creates, true},
		"Version":   {"it is the same by another version", "", []v1alpha1.RenderedWrite{deletes(old), applies(scaler)}, []string{"creates it", "spec.maxReplicas: (new) 3"}, true},
		"Written":   {"what a step has written goes as well", "", []v1alpha1.RenderedWrite{patches, deletes(namespace), applies(namespace), patches}, fails, true},
		"Again":     {"what is made in its place is there", "", []v1alpha1.RenderedWrite{deletes(namespace), applies(limits), patches}, []string{"data.a: b → c"}, false},
		"Perhaps":   {"the deletion may be skipped", "true", []v1alpha1.RenderedWrite{deletes(namespace), applies(limits)}, append([]string{supposed}, creates...), true},
		"Other":     {"another namespace does not count", "", []v1alpha1.RenderedWrite{deletes("{apiVersion: v1, kind: Namespace, metadata: {name: z}}"), applies(limits)}, []string{"nothing changes"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var steps []v1alpha1.RenderedStep
			for i, w := range tc.writes {
				steps = append(steps, v1alpha1.RenderedStep{Name: strconv.Itoa(i), Writes: []v1alpha1.RenderedWrite{w}})
			}
			steps[0].When = tc.when
			changes := Describe(steps, View{Live: func(ref v1alpha1.ObjectReference) Found {
				return Found{Object: parse(t, map[string]string{"Namespace": namespace, "ConfigMap": limits, "HorizontalPodAutoscaler": scaler}[ref.Kind])}
			}})
			last := changes[len(changes)-1]
			if diff := cmp.Diff(tc.want, last.Fields); diff != "" || IsAbsent(last.Basis) != tc.absent {
				t.Errorf("%s: basis %s, -want +got:\n%s", tc.reason, last.Basis, diff)
			}
		})
	}
}
