package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
)

// Fetched begins the version of a fact that a host gave: it is followed by when.
const Fetched = "fetched "

// errNoHosts says that nobody can ask hosts here.
var errNoHosts = errors.New("hosts cannot be asked here")

// readHost reads a value that a host gave before. Who could have made it what it is, nobody can ask: the author of the Action answers for the host.
// For the same reason it is shown to nobody.
func (r *run) readHost(ctx context.Context, lookup *catalog.Lookup) *Problem {
	action := r.out.Action
	call, err := lookup.Host.Render(ctx, r.out.Vars, r.budget)
	if err != nil {
		return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: fmt.Sprintf("cannot tell what lookup %s is: %v", lookup.Name, err)}
	}
	query := &HostQuery{
		Name: lookup.Name, Namespace: action.Object.Namespace, ServiceAccount: action.ReadServiceAccount(), Lookup: lookup.Host, Call: call,
	}
	value, err := HostValue{}, errNoHosts
	if hosts, able := r.gate.facts.(Hosts); able {
		value, err = hosts.Host(ctx, query, r.stored())
	}
	if err != nil {
		return unavailable("lookup "+lookup.Name, query.String(), err)
	}
	if !value.Next.IsZero() {
		// Whole seconds, because no others are stored: what is stored must compare as equal.
		r.trace.NextChange = decision.Earlier(r.trace.NextChange, value.Next.Add(time.Second-1).Truncate(time.Second))
	}
	r.note(fact{name: lookup.Name, query: Query{Title: query.String()}, host: true}, value.Value, Fetched+value.Fetched.UTC().Format(time.RFC3339))
	return nil
}

// stored names the request where it is stored, so that it can be judged again. Empty: it is about to be.
func (r *run) stored() types.NamespacedName {
	if r.subject.UID == "" {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: r.subject.Namespace, Name: r.subject.Name}
}
