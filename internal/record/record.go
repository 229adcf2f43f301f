// Package record finds executions in the operator's own book. A Record carries labels by which the API server can select it; they help to
// read little, and what a Record says is in its spec.
package record

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// hourForm is the form of the label of the hour.
	hourForm = "2006-01-02T15"
	// hashLength is how many hexadecimal digits keep two cut names apart.
	hashLength = 10
	// MaxWithin is how far back executions are looked for. It bounds the hours that a selector names.
	MaxWithin = 7 * 24 * time.Hour
	// skew is how far the clock of an earlier leader may have been ahead.
	skew = time.Hour
)

// Labels are the labels of a Record.
func Labels(spec *v1alpha1.RecordSpec) map[string]string {
	return map[string]string{
		v1alpha1.LabelAction:    actionLabel(spec.ActionRef),
		v1alpha1.LabelRequester: value(personOf(&spec.Requester)),
		v1alpha1.LabelHour:      spec.ClaimedAt.UTC().Format(hourForm),
	}
}

// Query says which executions are looked for.
type Query struct {
	// Actions are those whose executions count.
	Actions []v1alpha1.ActionReference
	// By, where set, is the person whose requests count.
	By *v1alpha1.Identity
	// Within is how far back from Now.
	Within time.Duration
	// Now is the moment of the decision.
	Now time.Time
}

// Selector selects at least the Records that are looked for.
func (q *Query) Selector() (labels.Selector, error) {
	actions := make([]string, len(q.Actions))
	for i := range q.Actions {
		actions[i] = actionLabel(q.Actions[i])
	}
	demands := map[string][]string{v1alpha1.LabelAction: actions, v1alpha1.LabelHour: q.hours()}
	if q.By != nil {
		demands[v1alpha1.LabelRequester] = []string{value(personOf(q.By))}
	}
	selector := labels.NewSelector()
	for _, key := range []string{v1alpha1.LabelAction, v1alpha1.LabelRequester, v1alpha1.LabelHour} {
		if demands[key] == nil {
			continue
		}
		demand, err := labels.NewRequirement(key, selection.In, demands[key])
		if err != nil {
			return nil, fmt.Errorf("failed to select Records: %w", err)
		}
		selector = selector.Add(*demand)
	}
	return selector, nil
}

// hours are the hours in which something that counts can have begun.
func (q *Query) hours() []string {
	var hours []string
	first := q.Now.Add(-q.Within).UTC().Truncate(time.Hour)
	for at := first; !at.After(q.Now.Add(skew)); at = at.Add(time.Hour) {
		hours = append(hours, at.Format(hourForm))
	}
	return hours
}

// Pick keeps of Records those that are looked for, the oldest first, and says when the first of them no longer counts. Zero: none does. A
// Record whose time cannot be read counts: what nobody can tell must not make a budget larger.
func (q *Query) Pick(records []unstructured.Unstructured) (picked []any, ends time.Time) {
	found := make([]claim, 0, len(records))
	for i := range records {
		if c := claimOf(&records[i]); q.counts(&c) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b claim) int {
		if order := a.at.Compare(b.at); order != 0 {
			return order
		}
		return strings.Compare(a.name, b.name)
	})
	picked = make([]any, len(found))
	for i := range found {
		picked[i] = found[i].object
		if at := found[i].at; !at.IsZero() && ends.IsZero() {
			ends = at.Add(q.Within)
		}
	}
	return picked, ends
}

// claim is what a Record says that matters here.
type claim struct {
	name, username, person string
	action                 v1alpha1.ActionReference
	// at is when the execution began. Zero: it cannot be read.
	at     time.Time
	object map[string]any
}

func claimOf(record *unstructured.Unstructured) claim {
	text := func(path ...string) string {
		value, _, _ := unstructured.NestedString(record.Object, append([]string{"spec"}, path...)...)
		return value
	}
	at, err := time.Parse(time.RFC3339Nano, text("claimedAt"))
	if err != nil {
		at = time.Time{}
	}
	return claim{
		name: record.GetName(), at: at, object: record.Object,
		username: text("requester", "username"), person: text("requester", "person"),
		action: v1alpha1.ActionReference{Namespace: text("actionRef", "namespace"), Name: text("actionRef", "name")},
	}
}

func (q *Query) counts(c *claim) bool {
	if !slices.Contains(q.Actions, c.action) {
		return false
	}
	if q.By != nil && c.username != q.By.Username && (c.person == "" || c.person != q.By.Person) {
		return false
	}
	return c.at.IsZero() || c.at.After(q.Now.Add(-q.Within))
}

// personOf names whom a budget is counted for: two logins of one person have one budget.
func personOf(who *v1alpha1.Identity) string {
	if who.Person != "" {
		return who.Person
	}
	return who.Username
}

func actionLabel(ref v1alpha1.ActionReference) string { return value(ref.Namespace + "." + ref.Name) }

// labelCharacters may stand inside the value of a label.
const labelCharacters = "-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// value makes a label of a text: the text itself where that is possible, else what can be shown of it and a hash.
func value(text string) string {
	if len(validation.IsValidLabelValue(text)) == 0 && text != "" {
		return text
	}
	shown := strings.Map(func(r rune) rune {
		if strings.ContainsRune(labelCharacters, r) {
			return r
		}
		return '-'
	}, text)
	if most := validation.LabelValueMaxLength - hashLength - 1; len(shown) > most {
		shown = shown[len(shown)-most:]
	}
	sum := sha256.Sum256([]byte(text))
	return strings.TrimLeft(shown+"-"+hex.EncodeToString(sum[:])[:hashLength], "-_.")
}
