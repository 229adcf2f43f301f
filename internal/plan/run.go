package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/internal/steps"
)

// runFields describes the Job of a step: where its pod comes from and what runs, then the rest of what is sent.
func runFields(job map[string]any, diff *differ) []string {
	var head []string
	if from, _, _ := unstructured.NestedString(job, "metadata", "annotations", steps.AnnotationPodFrom); from != "" {
		head = []string{"pod: a copy of that of " + valueText(from)}
		diff.copied = true
	}
	diff.compare(nil, map[string]any{}, withoutIdentity(job))
	diff.lines = slices.DeleteFunc(diff.lines, func(l line) bool { return len(l.path) > 0 && l.path[0].name == "metadata" })
	return diff.lines.byRank().fields(head...)
}
