package action

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/conditions"
)

// withoutKinds says in a status that an Action reads kinds that the API server does not serve. Nothing else that is wrong is hidden by it.
func (r *Reconciler) withoutKinds(action *v1alpha1.Action, now time.Time) {
	unserved := r.unserved(&action.Spec)
	if len(unserved) == 0 || !meta.IsStatusConditionTrue(action.Status.Conditions, v1alpha1.ConditionReady) {
		return
	}
	text := fmt.Sprintf("The API server serves no %s. Install its CustomResourceDefinition, or correct the kind. It is looked for again until it is there.",
		strings.Join(unserved, " and no "))
	action.Status.Conditions = conditions.With(action.Status.Conditions, now, conditions.NotReady(action.Generation, v1alpha1.ReasonFactsUnavailable, text))
}

// unserved names the kinds of facts that do not exist, each with the field that names it.
func (r *Reconciler) unserved(spec *v1alpha1.ActionSpec) []string {
	var names []string
	add := func(apiVersion, kind, field string) {
		gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
		if _, err := r.Kinds.RESTMapping(gvk.GroupKind(), gvk.Version); meta.IsNoMatchError(err) {
			names = append(names, fmt.Sprintf("%s %s (%s)", apiVersion, kind, field))
		}
	}
	if spec.Target != nil {
		add(spec.Target.APIVersion, spec.Target.Kind, "spec.target")
	}
	for i := range spec.Lookups {
		lookup := &spec.Lookups[i]
		switch field := "spec.lookups[" + lookup.As + "]"; {
		case lookup.Object != nil:
			add(lookup.Object.APIVersion, lookup.Object.Kind, field+".object")
		case lookup.List != nil:
			add(lookup.List.APIVersion, lookup.List.Kind, field+".list")
		}
	}
	slices.Sort(names)
	return names
}
