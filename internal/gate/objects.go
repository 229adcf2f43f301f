package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/snapshot"
	"github.com/signoff-dev/signoff/internal/steps"
)

// varObjects is the variable by which policies read what the request would write.
const varObjects = "objects"

// noUID stands for the uid of a request that is not stored yet, so that names with the uid are names already.
const noUID = "00000000-0000-0000-0000-000000000000"

// errUnread says that something could not be read just now.
var errUnread = errors.New("it could not be read")

// touch finds out which policies are about what the request would write. Nothing is rendered where no policy asks. A policy for which it
// cannot be found out stays, with an error, so that the request does not pass it by.
func (r *run) touch(ctx context.Context) *Problem {
	if !r.candidates.AskForObjects {
		return nil
	}
	if problem := r.lookUpSteps(ctx); problem != nil {
		return problem
	}
	p := newPlanned(r)
	var about []snapshot.PolicyEntry
	for _, entry := range p.candidates(ctx) {
		matches, err := p.about(ctx, entry.Policy)
		if err != nil && entry.Err == nil {
			entry.Err = fmt.Errorf("nobody can tell whether this policy is about the request: %w", err)
		}
		if matches || err != nil {
			about = append(about, entry)
		}
	}
	r.policies, r.planned = about, p
	p.needs(about)
	p.value = sync.OnceValue(func() any { return p.objects(ctx) })
	return nil
}

// fit stops a request that could never be executed as it is: it would delete a namespace without which it could not say how it ended, or call what
// is no URL.
func (r *run) fit(ctx context.Context) *Problem {
	if !r.out.Action.Steps.DeletesNamespaces() && !r.out.Action.Steps.CallsByTemplate() {
		return nil
	}
	if problem := r.lookUpSteps(ctx); problem != nil {
		return problem
	}
	if _, err := newPlanned(r).render(ctx); err != nil {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: Later(err), Message: "cannot tell what would be executed: " + err.Error()}
	}
	return nil
}

// candidates gives the policies that can be about what the request would write, by its namespaces; all of them where nobody can tell.
func (p *planned) candidates(ctx context.Context) []snapshot.PolicyEntry {
	touched, err := p.render(ctx)
	if err != nil {
		return p.run.candidates.Entries
	}
	namespaces := make([]string, len(touched))
	for i := range touched {
		namespaces[i] = namespaceOf(&touched[i])
	}
	return p.run.candidates.Writing(namespaces)
}

// About tells whether a policy is about a request, whatever the policy then demands. What cannot be found out is an error.
func (g *Gate) About(ctx context.Context, policy *catalog.Policy, subject *Subject, now time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	r := g.run(subject, now)
	if problem := r.action(ctx); problem != nil {
		return false, errors.New(problem.Message)
	}
	if !policy.Matches(r.out.Action.Object, subject.Namespace) || !policy.Writes(r.out.Action.Steps.Kinds()) {
		return false, nil
	}
	if len(policy.Objects) == 0 {
		return true, nil
	}
	for _, part := range []func(context.Context) *Problem{r.inputs, r.aboutTarget, r.lookUpSteps} {
		if problem := part(ctx); problem != nil {
			return false, errors.New(problem.Message)
		}
	}
	return newPlanned(r).about(ctx, policy)
}

// lookUpSteps reads what names and labels of what is written may rest on.
func (r *run) lookUpSteps(ctx context.Context) *Problem {
	return r.lookUp(ctx, func(l *catalog.Lookup) bool { return l.InSteps })
}

func newPlanned(r *run) *planned {
	return &planned{run: r, namespaces: map[string]metadataResult{}, live: map[v1alpha1.ObjectReference]metadataResult{}}
}

// planned is what the request would write, found out as far as somebody asks.
type planned struct {
	run *run
	// touched and err are the outcome once rendered.
	touched  []steps.Touched
	err      error
	rendered bool
	// namespaces and live are what was read.
	namespaces map[string]metadataResult
	live       map[v1alpha1.ObjectReference]metadataResult
	// labels and namespaced say what rules read of objects.
	labels, namespaced bool
	value              expression.Lazy
}

// metadataResult is the metadata of something that was read. What does not exist has none.
type metadataResult struct {
	name                string
	labels, annotations map[string]any
	missing             bool
	err                 error
}

func (p *planned) needs(policies []snapshot.PolicyEntry) {
	for _, entry := range policies {
		p.labels = p.labels || entry.Policy.NeedsObjectLabels
		p.namespaced = p.namespaced || entry.Policy.NeedsObjectNamespaces
	}
}

// render names the objects, once.
func (p *planned) render(ctx context.Context) ([]steps.Touched, error) {
	if p.rendered {
		return p.touched, p.err
	}
	p.rendered = true
	r := p.run
	input := steps.Input{
		Namespace: r.out.Action.Object.Namespace, Action: r.out.Action.Object.Name,
		RequestName: r.subject.Name, RequestUID: r.subject.UID, Vars: r.out.Vars, Budget: r.budget,
		Needed: []string{r.subject.Namespace, r.gate.operatorNamespace},
	}
	if input.RequestUID == "" {
		input.RequestUID, input.Vars.Values = noUID, maps.Clone(r.out.Vars.Values)
		request, _ := r.requestVar().(map[string]any)
		request["uid"] = noUID
		input.Vars.Values["request"] = request
	}
	p.touched, p.err = r.out.Action.Steps.Touched(ctx, input)
	if p.err != nil {
		p.err = r.stepsError(p.err, r.listener(ctx, true))
	}
	return p.touched, p.err
}

// about tells whether a policy selects one of the objects.
func (p *planned) about(ctx context.Context, policy *catalog.Policy) (bool, error) {
	if len(policy.Objects) == 0 {
		return true, nil
	}
	touched, err := p.render(ctx)
	if err != nil {
		return false, err
	}
	var unknown error
	for i := range touched {
		for j := range policy.Objects {
			selected, err := p.selects(ctx, &policy.Objects[j], &touched[i])
			if selected && err == nil {
				return true, nil
			}
			unknown = cmp.Or(unknown, err)
		}
	}
	return false, unknown
}

// selects tells whether everything in an entry holds of an object. What certainly does not hold outweighs what nobody knows.
func (p *planned) selects(ctx context.Context, m *catalog.ObjectMatch, t *steps.Touched) (bool, error) {
	namespace := namespaceOf(t)
	if !m.In(namespace) || m.Namespace != nil && namespace == "" || !m.Kind(groupKind(t)) {
		return false, nil
	}
	inNamespace, err := p.inNamespace(ctx, m.Namespace, namespace)
	if !inNamespace && err == nil {
		return false, nil
	}
	labelled, labelErr := p.labelled(ctx, m.Labels, t)
	if !labelled && labelErr == nil {
		return false, nil
	}
	err = cmp.Or(err, labelErr)
	return err == nil, err
}

func groupKind(t *steps.Touched) schema.GroupKind {
	return schema.FromAPIVersionAndKind(t.Object.APIVersion, t.Object.Kind).GroupKind()
}

// namespaceOf gives the namespace of an object. That of a Namespace is itself.
func namespaceOf(t *steps.Touched) string {
	if isNamespace(&t.Object) {
		return t.Object.Name
	}
	return t.Object.Namespace
}

func isNamespace(ref *v1alpha1.ObjectReference) bool {
	return ref.APIVersion == "v1" && ref.Kind == "Namespace"
}

func (p *planned) inNamespace(ctx context.Context, selector labels.Selector, namespace string) (bool, error) {
	if selector == nil {
		return true, nil
	}
	found := p.namespace(ctx, namespace)
	if found.err != nil {
		return false, found.err
	}
	if selector.Matches(textsOf(found.labels)) {
		return true, nil
	}
	for labels, err := range p.become(ctx, found) {
		if err != nil || selector.Matches(textsOf(labels)) {
			return err == nil, err
		}
	}
	return false, p.doubt(ctx, namespaceRef(namespace), found.missing)
}

// labelled tells whether an object has the labels as it is, or as the request would make it.
func (p *planned) labelled(ctx context.Context, selector labels.Selector, t *steps.Touched) (bool, error) {
	if selector == nil {
		return true, nil
	}
	found := p.liveLabels(ctx, t.Object)
	if found.err == nil && !found.missing && selector.Matches(textsOf(found.labels)) {
		return true, nil
	}
	if t.Unclear == nil && selector.Matches(textsOf(written(found.labels, t.Labels))) && found.err == nil {
		return true, nil
	}
	if err := cmp.Or(found.err, t.Unclear); err != nil {
		return false, err
	}
	return false, p.doubt(ctx, t.Object, found.missing)
}

// written are labels as they would be after a write.
func written(labels, change map[string]any) map[string]any {
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]any{}
	}
	for key, value := range change {
		if value == nil {
			delete(out, key)
		} else {
			out[key] = value
		}
	}
	return out
}

// doubt says why labels cannot keep a policy away: the requester can change them.
func (p *planned) doubt(ctx context.Context, ref v1alpha1.ObjectReference, missing bool) error {
	r := p.run
	query := Query{ObjectReference: ref}
	may, err := r.gate.facts.MayWrite(ctx, &r.subject.Requester, missing, query)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errNoAnswer, query.String(), err)
	}
	if may {
		return fmt.Errorf("%s can be changed by you (%s), so its labels cannot keep the policy away", query.String(), r.subject.Requester.Username)
	}
	return nil
}

// namespace reads the metadata of a namespace, once. One that does not exist has no labels.
func (p *planned) namespace(ctx context.Context, name string) metadataResult {
	if found, ok := p.namespaces[name]; ok {
		return found
	}
	out := metadataResult{name: name}
	metadata, err := p.run.gate.facts.Namespace(ctx, name, p.run.stored())
	version, _ := metadata["resourceVersion"].(string)
	switch {
	case apierrors.IsNotFound(err):
		out.missing = true
	case err != nil:
		out.err = fmt.Errorf("%w: Namespace %s: %w", errUnread, name, err)
	default:
		out.labels, _ = metadata["labels"].(map[string]any)
		out.annotations, _ = metadata["annotations"].(map[string]any)
	}
	p.record(namespaceRef(name), out, version, "")
	p.namespaces[name] = out
	return out
}

func namespaceRef(name string) v1alpha1.ObjectReference {
	return v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: name}
}

// liveLabels reads the labels of an object, once: as the ServiceAccount that reads facts or else as the one that will write it.
func (p *planned) liveLabels(ctx context.Context, ref v1alpha1.ObjectReference) metadataResult {
	if isNamespace(&ref) {
		return p.namespace(ctx, ref.Name)
	}
	if found, ok := p.live[ref]; ok {
		return found
	}
	action := p.run.out.Action
	account, out, version := action.ReadServiceAccount(), metadataResult{name: ref.Name}, ""
	object, err := p.run.gate.facts.Object(ctx, action.Object.Namespace, account, ref)
	if executing := action.Object.Spec.Execution.ServiceAccountName; apierrors.IsForbidden(err) && executing != account {
		account = executing
		object, err = p.run.gate.facts.Object(ctx, action.Object.Namespace, account, ref)
	}
	switch {
	case err == nil:
		metadata, _ := object.Object["metadata"].(map[string]any)
		out.labels, _ = metadata["labels"].(map[string]any)
		version = object.GetResourceVersion()
	case Missing(err):
		out.missing = true
	default:
		out.err = fmt.Errorf("%w: the labels of %s: %w", errUnread, Name(&ref), err)
	}
	p.record(ref, out, version, action.Object.Namespace+"/"+account)
	p.live[ref] = out
	return out
}

// record notes what the judgement rests on. Nobody tells when it changes.
func (p *planned) record(ref v1alpha1.ObjectReference, found metadataResult, version, readAs string) {
	r := p.run
	r.out.Volatile = true
	if found.err != nil {
		return
	}
	query := Query{ObjectReference: ref}
	if len(r.out.Facts) < maxFacts {
		r.out.Facts = append(r.out.Facts, v1alpha1.Fact{Name: varObjects, Object: Cut(query.String(), 700), Version: version, ReadAs: readAs})
	}
}

// use makes something that was read a part of the variable, so that its provenance counts.
func (p *planned) use(ref v1alpha1.ObjectReference, found metadataResult) {
	if found.err == nil {
		p.run.facts = append(p.run.facts, fact{name: varObjects, query: Query{ObjectReference: ref}, missing: found.missing})
	}
}

// objects is the value of the variable, or why it is not known.
func (p *planned) objects(ctx context.Context) any {
	touched, err := p.render(ctx)
	if err != nil {
		return fmt.Errorf("nobody can tell what would be written: %w", err)
	}
	list := make([]any, len(touched))
	for i := range touched {
		t := &touched[i]
		list[i] = map[string]any{
			"apiVersion": t.Object.APIVersion, "group": groupKind(t).Group, "kind": t.Object.Kind,
			"namespace": t.Object.Namespace, "name": t.Object.Name, "operation": t.Operation,
			"labels": p.labelsVar(ctx, t), "namespaceObject": p.namespaceVar(ctx, namespaceOf(t)),
		}
	}
	return list
}

var errNotAsked = errors.New("it was not read, because the rule seemed not to ask for it: write it as objects.exists(o, o.labels… or o.namespaceObject…)")

// labelsVar are the labels of an object as they are; those of an object that does not exist yet are as the request would make them.
func (p *planned) labelsVar(ctx context.Context, t *steps.Touched) any {
	if !p.labels {
		return expression.Unknown(errNotAsked)
	}
	found := p.liveLabels(ctx, t.Object)
	p.use(t.Object, found)
	switch {
	case found.err != nil:
		return expression.Unknown(found.err)
	case !found.missing:
		return written(found.labels, nil)
	case t.Unclear != nil:
		return expression.Unknown(t.Unclear)
	}
	return written(nil, t.Labels)
}

func (p *planned) namespaceVar(ctx context.Context, name string) any {
	if !p.namespaced {
		return expression.Unknown(errNotAsked)
	}
	found := metadataResult{}
	if name != "" {
		found = p.namespace(ctx, name)
		p.use(namespaceRef(name), found)
	}
	if found.missing {
		for labels, err := range p.become(ctx, found) {
			found.labels, found.err = labels, err
		}
	}
	if found.err != nil {
		return expression.Unknown(found.err)
	}
	return map[string]any{"metadata": map[string]any{
		"name": name, "labels": written(found.labels, nil), "annotations": written(found.annotations, nil),
	}}
}

// textsOf makes labels of what was read or rendered.
func textsOf(values map[string]any) labels.Set {
	out := make(labels.Set, len(values))
	for key, value := range values {
		if text, ok := value.(string); ok {
			out[key] = text
		}
	}
	return out
}
