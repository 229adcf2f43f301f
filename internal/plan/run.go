package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/steps"
)

// Copies tells whether a write makes a Job whose pod is a copy.
func Copies(w *v1alpha1.RenderedWrite) bool {
	var job map[string]any
	return w.Operation == v1alpha1.WriteCreateJob && utiljson.Unmarshal(w.Body.Raw, &job) == nil && podFrom(job) != ""
}

// runFields describes the Job of a step: where its pod comes from and what runs, then the rest of what is sent.
func (d *describer) runFields(job map[string]any, diff *differ) []string {
	from := podFrom(job)
	diff.copied = from != ""
	diff.compare(nil, map[string]any{}, withoutIdentity(job), missing{})
	diff.lines = slices.DeleteFunc(diff.lines, func(l line) bool { return len(l.path) > 0 && l.path[0].name == "metadata" })
	if from == "" {
		return d.most.fields(diff.lines.byRank())
	}
	head := "pod: a copy of that of " + d.most.valueText(from)
	if d.view.Copied != nil {
		if hidden, own := d.view.Copied(d.step); hidden {
			head += " (what is copied is not shown: the requester may not read it)"
			diff.lines = slices.DeleteFunc(diff.lines, func(l line) bool { return !l.sets(own) })
		}
	}
	return d.most.fields(diff.lines.byRank(), head)
}

// podFrom names what the pod of a Job is a copy of. Empty: it is none.
func podFrom(job map[string]any) string {
	from, _, _ := unstructured.NestedString(job, "metadata", "annotations", steps.AnnotationPodFrom)
	return from
}

// ofContainers is where the containers of a Job are.
var ofContainers = []segment{{name: "spec"}, {name: "template"}, {name: "spec"}, {name: "containers"}}

// sets tells whether a line is about one of these fields of the container. What has the same name elsewhere is copied, such as the command of an init
// container or of a probe.
func (l line) sets(fields []string) bool {
	n := len(ofContainers)
	return len(l.path) > n+1 && slices.Equal(l.path[:n], ofContainers) && slices.Contains(fields, l.path[n+1].name)
}
