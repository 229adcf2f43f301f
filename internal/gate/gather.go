package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/template"
)

// The variables of the facts that are no lookups.
const (
	varTarget    = "target"
	varNamespace = "namespaceObject"
)

// fact is something that was read for the judgement.
type fact struct {
	name  string
	query Query
	// missing says that the object does not exist, trusted that the Action accepts that the requester can change it.
	missing, trusted bool
	// ends says when time alone changes what it gives. Zero: never.
	ends time.Time
	// own says that it is about nobody but the requester, who may see it whatever else they may read.
	own bool
	// host says that a host gave it.
	host bool
	// items are the names and namespaces of what a list has.
	items []types.NamespacedName
	// written is what is known of whether the requester could have written it.
	written *answer
}

// maxFacts is how many facts the API stores.
const maxFacts = 64

// gather reads the facts that the rules of the Action and of the matching policies need.
func (r *run) gather(ctx context.Context) *Problem {
	r.candidates = r.out.Snapshot.Policies(r.out.Action.Object, r.subject.Namespace)
	r.policies = r.candidates.Entries
	if problem := r.aboutTarget(ctx); problem != nil {
		return problem
	}
	return r.lookUp(ctx, func(l *catalog.Lookup) bool { return l.InRules })
}

// gatherRest reads what only the stages that must approve, and the steps, need.
func (r *run) gatherRest(ctx context.Context) *Problem {
	return r.lookUp(ctx, func(l *catalog.Lookup) bool {
		return l.InSteps || slices.ContainsFunc(l.Stages, func(s *catalog.Stage) bool { return slices.Contains(r.out.Verdict.Stages, s) })
	})
}

// aboutTarget reads the target and its namespace, where something needs them.
func (r *run) aboutTarget(ctx context.Context) *Problem { return r.readTarget(ctx, r.needs()) }

func (r *run) readTarget(ctx context.Context, needs factsOfTarget) *Problem {
	action := r.out.Action
	if action.Target == nil || (!needs.target && !needs.namespace) {
		return nil
	}
	query, problem := r.targetQuery(ctx)
	if problem != nil {
		return problem
	}
	if needs.namespace && query.Namespace != "" {
		if problem := r.readNamespace(ctx, query.Namespace); problem != nil {
			return problem
		}
	}
	if !needs.target {
		return nil
	}
	r.watch(query, action.Target.Literal)
	object, err := r.gate.facts.Object(ctx, action.Object.Namespace, action.ReadServiceAccount(), query.ObjectReference)
	if err != nil {
		return unavailable("the target", query.String(), err)
	}
	r.out.Target = object
	r.note(fact{name: varTarget, query: query, trusted: action.Target.Trusted}, object.Object, object.GetResourceVersion())
	return nil
}

// readNamespace reads the namespace of the target. The operator watches all namespaces, and is told of changes.
func (r *run) readNamespace(ctx context.Context, name string) *Problem {
	metadata, err := r.gate.facts.Namespace(ctx, name, r.stored())
	if err != nil {
		return unavailable("the namespace of the target", "Namespace "+name, err)
	}
	version, _ := metadata["resourceVersion"].(string)
	delete(metadata, "resourceVersion")
	query := Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: name}}
	r.note(fact{name: varNamespace, query: query, trusted: r.out.Action.Target.Trusted}, map[string]any{"metadata": metadata}, version)
	r.readByOperator()
	return nil
}

// factsOfTarget tells which facts are read of the target: itself, and its namespace.
type factsOfTarget struct{ target, namespace bool }

// NamespaceMetadata is what facts tell of a namespace, with the JSON names of its fields.
func NamespaceMetadata(namespace metav1.Object) map[string]any {
	return map[string]any{
		"name": namespace.GetName(), "labels": toMap(namespace.GetLabels()), "annotations": toMap(namespace.GetAnnotations()),
		"resourceVersion": namespace.GetResourceVersion(),
	}
}

// needs tells which facts the Action and the matching policies read.
func (r *run) needs() factsOfTarget {
	out := factsOfTarget{r.out.Action.NeedsTarget, r.out.Action.NeedsNamespace}
	for _, entry := range r.policies {
		out.target = out.target || entry.Policy.NeedsTarget
		out.namespace = out.namespace || entry.Policy.NeedsNamespace
	}
	return out
}

// watch asks to be told of changes of a fact. What a request decides about is not watched: everybody could fill the watches.
func (r *run) watch(query Query, literal bool) {
	action := r.out.Action
	request := types.NamespacedName{Namespace: r.subject.Namespace, Name: r.subject.Name}
	if !literal || !r.gate.facts.Watch(action.Object.Namespace, action.ReadServiceAccount(), query, request) {
		r.out.Volatile = true
	}
}

// note makes a fact a variable, and records it.
func (r *run) note(f fact, value any, version string) {
	action := r.out.Action
	recorded := v1alpha1.Fact{
		Name: f.name, Object: Cut(f.query.String(), 700), Version: version,
		ReadAs: action.Object.Namespace + "/" + action.ReadServiceAccount(),
	}
	if f.trusted {
		recorded.Trust = v1alpha1.TrustRequesterWritable
	}
	r.out.Vars.Values[f.name] = value
	if r.facts == nil {
		most := len(action.Lookups) + 2
		r.facts, r.out.Facts = make([]fact, 0, most), slices.Grow(r.out.Facts, most)
	}
	r.facts = append(r.facts, f)
	r.out.Facts = append(r.out.Facts, recorded)
}

// readByOperator says that the last fact was read by the operator itself.
func (r *run) readByOperator() { r.out.Facts[len(r.out.Facts)-1].ReadAs = "" }

func (r *run) known(name string) bool {
	return slices.ContainsFunc(r.facts, func(f fact) bool { return f.name == name })
}

// lookUp reads the lookups that are wanted, each once.
func (r *run) lookUp(ctx context.Context, wanted func(*catalog.Lookup) bool) *Problem {
	for _, lookup := range r.out.Action.Lookups {
		if !wanted(lookup) || r.known(lookup.Name) {
			continue
		}
		if problem := r.readLookup(ctx, lookup); problem != nil {
			return problem
		}
	}
	return nil
}

func (r *run) readLookup(ctx context.Context, lookup *catalog.Lookup) *Problem {
	if lookup.Executions != nil {
		return r.readExecutions(ctx, lookup)
	}
	if lookup.Host != nil {
		return r.readHost(ctx, lookup)
	}
	query, err := r.lookupQuery(ctx, lookup)
	if err != nil {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf("cannot tell what lookup %s is: %v", lookup.Name, err)}
	}
	r.watch(query, lookup.Literal)
	f := fact{name: lookup.Name, query: query, trusted: lookup.Trusted}
	if query.IsList() {
		return r.readList(ctx, f)
	}
	action := r.out.Action
	object, err := r.gate.facts.Object(ctx, action.Object.Namespace, action.ReadServiceAccount(), query.ObjectReference)
	switch {
	case err == nil:
		r.note(f, object.Object, object.GetResourceVersion())
	case Missing(err) && lookup.Optional:
		f.missing = true
		r.note(f, nil, "")
	case Missing(err):
		return unavailable("lookup "+lookup.Name, query.String(),
			fmt.Errorf("it does not exist; the Action's author may say optional: true, and what then: %w", err))
	default:
		return unavailable("lookup "+lookup.Name, query.String(), err)
	}
	return nil
}

func (r *run) readList(ctx context.Context, f fact) *Problem {
	action := r.out.Action
	list, err := r.gate.facts.List(ctx, action.Object.Namespace, action.ReadServiceAccount(), f.query)
	if err == nil && len(list.Items) > int(f.query.Limit) {
		err = TooMany(f.query)
	}
	if err != nil {
		return unavailable("lookup "+f.name, f.query.String(), err)
	}
	items := make([]any, len(list.Items))
	for i := range list.Items {
		items[i] = list.Items[i].Object
		f.items = append(f.items, types.NamespacedName{Namespace: list.Items[i].GetNamespace(), Name: list.Items[i].GetName()})
	}
	r.note(f, items, listVersion(items))
	return nil
}

// listVersion stands for the objects of a list: that of the newest, and how many there are. The version that the API server gives a list grows
// with every write to anything, our own included: a verdict that named it would never be twice the same.
func listVersion(items []any) string {
	newest := "0"
	for _, item := range items {
		object, _ := item.(map[string]any)
		version, _, _ := unstructured.NestedString(object, "metadata", "resourceVersion")
		// They are numbers that grow, see KEP-5504.
		if cmp.Or(cmp.Compare(len(version), len(newest)), cmp.Compare(version, newest)) > 0 {
			newest = version
		}
	}
	return fmt.Sprintf("%s (%d)", newest, len(items))
}

// Missing tells that an object does not exist. An API server that no longer serves the kind also answers "not found", and says nothing
// about the object.
func Missing(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details == nil || !slices.ContainsFunc(details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

func (r *run) targetQuery(ctx context.Context) (Query, *Problem) {
	target := r.out.Action.Target
	query := Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: target.APIVersion, Kind: target.Kind}}
	var err error
	if query.Namespace, err = r.segment(ctx, "namespace", target.Namespace); err == nil {
		query.Name, err = r.segment(ctx, "name", target.Name)
	}
	if err != nil {
		return query, &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf("cannot tell what the target is: %v", err)}
	}
	return query, nil
}

func (r *run) lookupQuery(ctx context.Context, lookup *catalog.Lookup) (Query, error) {
	query := Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: lookup.APIVersion, Kind: lookup.Kind}, Limit: lookup.Limit}
	var err error
	if query.Namespace, err = r.segment(ctx, "namespace", lookup.Namespace); err != nil {
		return query, err
	}
	if query.Name, err = r.segment(ctx, "name", lookup.Object); err != nil {
		return query, err
	}
	selected := make(labels.Set, len(lookup.Labels))
	for _, label := range lookup.Labels {
		value, err := label.Value.RenderString(ctx, r.out.Vars, r.budget)
		if err != nil {
			return query, err
		}
		selected[label.Key] = value
	}
	selector, err := labels.ValidatedSelectorFromSet(selected)
	if err != nil {
		return query, err
	}
	query.Selector = selector.String()
	return query, nil
}

// segment renders the name of something. What is written must not become nothing, which would mean something else: every object, or every
// namespace; nor a path to another object.
func (r *run) segment(ctx context.Context, what string, text *template.Text) (string, error) {
	if text == nil {
		return "", nil
	}
	value, err := text.RenderString(ctx, r.out.Vars, r.budget)
	switch {
	case err != nil:
		return "", err
	case value == "":
		return "", fmt.Errorf("the %s %s is empty", what, text.Source())
	case value == "." || value == ".." || strings.ContainsAny(value, "/%"):
		return "", fmt.Errorf("the %s %s gives %q, which no object can have", what, text.Source(), Cut(value, 100))
	}
	return value, nil
}

// Name shows an object to people, as "Deployment production/checkout".
func Name(ref *v1alpha1.ObjectReference) string {
	if ref.Namespace == "" {
		return ref.Kind + " " + ref.Name
	}
	return ref.Kind + " " + ref.Namespace + "/" + ref.Name
}

// Unread says that an object could not be read without which steps cannot be filled in.
func Unread(u *steps.Unread) string {
	return fmt.Sprintf("Cannot read %s, %s: %v", Name(&u.Object), u.Use, u.Err)
}

func unavailable(what, name string, err error) *Problem {
	return &Problem{Reason: v1alpha1.ReasonFactsUnavailable, Transient: true,
		Message: fmt.Sprintf("cannot read %s, %s: %v", what, name, err)}
}
