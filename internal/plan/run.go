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
	return w.Operation == v1alpha1.WriteCreateJob && utiljson.Unmarshal(w.Body.Raw, &job) == nil && copiedFrom(job) != ""
}

// copiedFrom names the object whose pod a Job holds. Empty: it is no copy.
func copiedFrom(job map[string]any) string {
	from, _, _ := unstructured.NestedString(job, "metadata", "annotations", steps.AnnotationPodFrom)
	return from
}

// runFields describes the Job of a step: where its pod comes from and what runs, then the rest of what is sent.
func (d *describer) runFields(job map[string]any, diff *differ) []string {
	from := copiedFrom(job)
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
			diff.lines = slices.DeleteFunc(diff.lines, func(l line) bool { return !l.names(own) })
		}
	}
	return d.most.fields(diff.lines.byRank(), head)
}

// names tells whether a line is about one of these fields.
func (l line) names(fields []string) bool {
	return slices.ContainsFunc(l.path, func(s segment) bool { return !s.item && slices.Contains(fields, s.name) })
}
