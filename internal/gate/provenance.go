package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// policyPrefix begins the names of the rules of policies.
const policyPrefix = "policy/"

// errNoAnswer says that nobody could tell whether a fact can be relied on.
var errNoAnswer = errors.New("nobody could tell who can change it")

// doubt tells why the answer of a rule cannot be relied on: it rests on a fact that the requester could have written. It is nil
// where nothing was read, so that nothing is asked.
func (r *run) doubt(ctx context.Context) func(*catalog.Rule) error {
	if len(r.facts) == 0 && r.planned == nil {
		return nil
	}
	return func(rule *catalog.Rule) error {
		if rule.When == nil {
			return nil
		}
		return r.untrusted(ctx, rule.When.Uses, strings.HasPrefix(rule.Name, policyPrefix))
	}
}

// doubtStage tells why nobody can rely on a template or an expression that names approvers.
func (r *run) doubtStage(ctx context.Context, stage *catalog.Stage, uses func(string) bool, source string) *Problem {
	err := r.untrusted(ctx, uses, stage.Ref.Policy != "")
	if err == nil {
		return nil
	}
	return &Problem{Reason: v1alpha1.ReasonIndeterminate, Transient: errors.Is(err, errNoAnswer), Message: fmt.Sprintf(
		"cannot tell who must approve: stage %q asks for %s, and %v", stage.Ref.Name, source, err)}
}

// untrusted finds a fact that something uses and that the requester could have written. The Action's word for a fact does not count for a
// policy: a policy stands above the Action.
func (r *run) untrusted(ctx context.Context, uses func(string) bool, policy bool) error {
	for i := range r.facts {
		f := &r.facts[i]
		if !uses(f.name) || f.host || f.trusted && !policy {
			continue
		}
		may, err := r.mayWrite(ctx, f)
		if err != nil {
			return fmt.Errorf("%w: %s (%s): %w", errNoAnswer, f.name, f.query.String(), err)
		}
		if may {
			// Rights change, and nobody tells.
			r.out.Volatile = true
			return r.writable(f, policy)
		}
	}
	return nil
}

// answer is what somebody was told.
type answer struct {
	yes bool
	err error
}

// mayWrite asks, once, whether the requester could have made a fact what it is. A right can be given on one object by its name, so each
// object of a list is asked about as well as the list.
func (r *run) mayWrite(ctx context.Context, f *fact) (bool, error) {
	if f.written == nil {
		queries := append(make([]Query, 0, len(f.items)+1), f.query)
		for _, item := range f.items {
			one := Query{ObjectReference: f.query.ObjectReference}
			one.Namespace, one.Name = item.Namespace, item.Name
			queries = append(queries, one)
		}
		may, err := r.gate.facts.MayWrite(ctx, &r.subject.Requester, f.missing, queries...)
		f.written = &answer{may, err}
	}
	return f.written.yes, f.written.err
}

func (r *run) writable(f *fact, policy bool) error {
	text := fmt.Sprintf("%s can be changed by you (%s), so %s cannot decide this.", f.query.String(), r.subject.Requester.Username, f.name)
	if f.query.IsList() && f.query.Namespace == "" {
		text = fmt.Sprintf("%s can be changed by whoever may write one anywhere, perhaps by you (%s), so %s cannot decide this.", f.query.String(), r.subject.Requester.Username, f.name)
	}
	switch {
	case policy:
		return errors.New(text + " A policy can rely only on what the requester cannot change.")
	case f.name == varTarget || f.name == varNamespace:
		return errors.New(text + " The Action's author may say target.trust: RequesterWritable.")
	}
	return errors.New(text + " The Action's author may say trust: RequesterWritable in the lookup.")
}
