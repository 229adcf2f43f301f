package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/record"
)

// errNoBook says that nobody can count executions here.
var errNoBook = errors.New("the Records of what was executed cannot be read here")

// readExecutions reads from the operator's book what was executed lately. It is read as it is at this moment, always: a Record that was
// created just now counts. When the oldest of them no longer counts, time alone may change the judgement.
func (r *run) readExecutions(ctx context.Context, lookup *catalog.Lookup) *Problem {
	wanted := record.Query{Actions: lookup.Executions.Actions, Within: lookup.Executions.Within, Now: r.out.Now}
	if lookup.Executions.Own {
		wanted.By = &r.subject.Requester
	}
	query := Query{
		ObjectReference: v1alpha1.ObjectReference{APIVersion: lookup.APIVersion, Kind: lookup.Kind, Namespace: r.gate.operatorNamespace},
		Limit:           lookup.Limit, Title: executionsText(&wanted),
	}
	book, able := r.gate.facts.(Book)
	selector, err := wanted.Selector()
	if err == nil && !able {
		err = errNoBook
	}
	if err != nil {
		return unavailable("lookup "+lookup.Name, query.Title, err)
	}
	query.Selector = selector.String()
	list, err := book.Records(ctx, r.out.Action.Object.Namespace, query)
	if err == nil && len(list.Items) > int(query.Limit) {
		err = TooMany(query)
	}
	if err != nil {
		return unavailable("lookup "+lookup.Name, query.Title, err)
	}
	items, ends := wanted.Pick(list.Items)
	if !ends.IsZero() {
		// Whole seconds, because no others are stored: what is stored must compare as equal.
		ends = ends.Add(time.Second - 1).Truncate(time.Second)
		r.trace.NextChange = decision.Earlier(r.trace.NextChange, ends)
	}
	// Nobody tells of further executions.
	r.out.Volatile = true
	r.note(fact{name: lookup.Name, query: query, trusted: lookup.Trusted, own: lookup.Executions.Own, ends: ends}, items, listVersion(items))
	r.readByOperator()
	return nil
}

// executionsText shows to people which executions count.
func executionsText(q *record.Query) string {
	names := make([]string, len(q.Actions))
	for i := range q.Actions {
		names[i] = q.Actions[i].String()
	}
	text := "every execution of " + strings.Join(names, " and ")
	if q.By != nil {
		text += " for " + q.By.Username
	}
	return fmt.Sprintf("%s in the last %s", text, hours(q.Within))
}
