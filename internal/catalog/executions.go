package catalog

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/record"
)

// Executions says which of the executions that the operator's book holds are read.
type Executions struct {
	// Actions are those whose executions count.
	Actions []v1alpha1.ActionReference
	// Own says that only what the requester asked for counts.
	Own bool
	// Within is how far back.
	Within time.Duration
}

const (
	// recordKind is the kind of the operator's own book.
	recordKind = "Record"
	// maxExecutions is how many Records a decision reads at most.
	maxExecutions = 500
)

// executions compiles a lookup of what was executed lately. Whatever else it counts, it counts the Action itself: a name with a mistake in it
// would otherwise be a budget that is never used up.
func (b *actionBuilder) executions(out *Lookup, in *v1alpha1.ExecutionsLookup, path *field.Path) {
	out.APIVersion, out.Kind, out.Limit = v1alpha1.GroupVersion.String(), recordKind, maxExecutions
	names := in.Actions
	switch {
	case len(names) == 0:
		names = []string{b.object.Name}
	case !slices.Contains(names, b.object.Name):
		b.errs = append(b.errs, field.Required(path.Child("actions"), "name this Action too: "+b.object.Name))
	}
	within, err := in.Within.Value(0)
	if err != nil || within <= 0 || within > record.MaxWithin {
		b.errs = append(b.errs, field.Invalid(path.Child("within"), string(in.Within), "must be a duration such as 1h, longer than zero and at most 168h"))
	}
	out.Executions = &Executions{Own: in.By == v1alpha1.ExecutionsByRequester, Within: within}
	for _, name := range names {
		out.Executions.Actions = append(out.Executions.Actions, v1alpha1.ActionReference{Namespace: b.object.Namespace, Name: name})
	}
}

// counts tells whether a lookup reads the operator's own book, so that every execution can change what it gives.
func (l *Lookup) counts() bool {
	return l.Kind == recordKind && schema.FromAPIVersionAndKind(l.APIVersion, l.Kind).Group == v1alpha1.GroupVersion.Group
}
