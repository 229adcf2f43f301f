package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/record"
)

const budgetWorld = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: scale}
spec:
  title: Scale
  lookups: [{as: recent, executions: {within: 1h, by: Requester}}]
  rules:
  - {name: within, when: "size(recent) < 2", effect: Allow}
  - {name: over, when: "size(recent) >= 2", effect: RequireApproval, message: two an hour are the budget}
  - {name: morning, when: "request.reason == 'hold' && now.getHours() < 17 && size(recent) > 0", effect: Hold}
  - {name: dated, when: "request.reason == 'date' && now < timestamp('2026-11-23T18:00:00Z') && size(recent) > 0", effect: Hold}
  execution:
    serviceAccountName: scaler
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}]
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: everybody}
spec:
  members: {users: [bot, bot@laptop, alice, bob]}
  permissions: [{verbs: [request, approve], actions: {names: ["*"]}}]
`

// book is the operator's book as facts see it.
type book struct {
	fakeFacts
	entries  []*v1alpha1.Record
	err      error
	writable bool
	asked    *Query
}

func (b *book) Records(_ context.Context, namespace string, query Query) (*unstructured.UnstructuredList, error) {
	if namespace != "platform" || query.Namespace != "signoff-system" || query.Kind != "Record" || !query.IsList() {
		return nil, fmt.Errorf("asked for %s and %+v", namespace, query)
	}
	b.asked = &query
	selector, err := labels.Parse(query.Selector)
	if err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	for _, entry := range b.entries {
		if selector.Matches(labels.Set(entry.Labels)) {
			list.Items = append(list.Items, unstructured.Unstructured{Object: map[string]any{
				"metadata": map[string]any{"name": entry.Name, "resourceVersion": fmt.Sprint(100 + len(list.Items))},
				"spec": map[string]any{
					"actionRef": map[string]any{"namespace": entry.Spec.ActionRef.Namespace, "name": entry.Spec.ActionRef.Name},
					"requester": map[string]any{"username": entry.Spec.Requester.Username, "person": entry.Spec.Requester.Person},
					"claimedAt": entry.Spec.ClaimedAt.UTC().Format(metav1.RFC3339Micro),
				},
			}})
		}
	}
	return list, b.err
}

func (b *book) MayWrite(context.Context, *v1alpha1.Identity, bool, ...Query) (bool, error) {
	return b.writable, nil
}

func (*book) MayRead(context.Context, *v1alpha1.Identity, Query) (bool, error) { return false, nil }

// ran is an entry in the book.
func ran(who, action string, at time.Time) *v1alpha1.Record {
	entry := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(at.Unix())}, Spec: v1alpha1.RecordSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: action},
		Requester: v1alpha1.Identity{Username: who, Person: strings.Split(who, "@")[0]}, ClaimedAt: metav1.NewMicroTime(at),
	}}
	entry.Labels = record.Labels(&entry.Spec)
	return entry
}

func budgetGate(t *testing.T, facts Facts) *Gate {
	t.Helper()
	return gateOver(t, budgetWorld, config.Default(), facts, clock.RealClock{})
}

func TestBudget(t *testing.T) {
	ago := func(minutes int) time.Time { return monday.Add(-time.Duration(minutes) * time.Minute) }
	for name, tc := range map[string]struct {
		reason string
		book   *book
		effect v1alpha1.Effect
		next   time.Time
	}{
		"Fresh":      {"Nothing was executed yet.", &book{}, v1alpha1.EffectAllow, time.Time{}},
		"Within":     {"One of two is used up, and comes back.", &book{entries: []*v1alpha1.Record{ran("bot", "scale", ago(20))}}, v1alpha1.EffectAllow, ago(20).Add(time.Hour)},
		"Over":       {"Both are used up. The older comes back first.", &book{entries: []*v1alpha1.Record{ran("bot", "scale", ago(20)), ran("bot", "scale", ago(50))}}, v1alpha1.EffectRequireApproval, ago(50).Add(time.Hour)},
		"OtherLogin": {"Another login of the same person does not help.", &book{entries: []*v1alpha1.Record{ran("bot@laptop", "scale", ago(20)), ran("bot", "scale", ago(50))}}, v1alpha1.EffectRequireApproval, ago(50).Add(time.Hour)},
		"Old":        {"What is an hour old does not count.", &book{entries: []*v1alpha1.Record{ran("bot", "scale", ago(60)), ran("bot", "scale", ago(1))}}, v1alpha1.EffectAllow, ago(1).Add(time.Hour)},
		"Others":     {"What others did does not either.", &book{entries: []*v1alpha1.Record{ran("alice", "scale", ago(1)), ran("bob", "scale", ago(1))}}, v1alpha1.EffectAllow, time.Time{}},
		"Fraction":   {"A budget comes back with the next whole second.", &book{entries: []*v1alpha1.Record{ran("bot", "scale", ago(20).Add(time.Millisecond))}}, v1alpha1.EffectAllow, ago(20).Add(time.Hour + time.Second)},
		"OtherKinds": {"Nor other Actions.", &book{entries: []*v1alpha1.Record{ran("bot", "restart", ago(1)), ran("bot", "restart", ago(2))}}, v1alpha1.EffectAllow, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			j := budgetGate(t, tc.book).Judge(t.Context(), asking("bot", "scale", ""), monday)
			if j.Problem != nil {
				t.Fatal(j.Problem.Message)
			}
			if j.Verdict.Effect != tc.effect || !j.NextChange.Equal(tc.next) {
				t.Errorf("%s\nwant %s until %s, got %s until %s", tc.reason, tc.effect, tc.next, j.Verdict.Effect, j.NextChange)
			}
		})
	}
}

func TestBudgetCannotBeTold(t *testing.T) {
	many := &book{}
	for i := range 501 {
		many.entries = append(many.entries, ran("bot", "scale", monday.Add(-time.Duration(i)*time.Second)))
	}
	for name, tc := range map[string]struct {
		reason string
		facts  Facts
		words  string
	}{
		"Error":    {"A book that cannot be read is no budget.", &book{err: errors.New("etcd is away")}, "cannot read lookup recent, every execution of platform/scale for bot in the last 1 h: etcd is away"},
		"NoBook":   {"Nor is none.", fakeFacts{}, "the Records of what was executed cannot be read here"},
		"TooMany":  {"Nor one that is too thick.", many, "there are more than 500, the most that can be read: choose a shorter time, or by: Requester"},
		"Writable": {"Nor one in which the requester could write.", &book{writable: true}, "every execution of platform/scale for bot in the last 1 h can be changed by you (bot), so recent cannot decide this."},
	} {
		t.Run(name, func(t *testing.T) {
			j := budgetGate(t, tc.facts).Judge(t.Context(), asking("bot", "scale", ""), monday)
			if j.Problem == nil || !strings.Contains(j.Problem.Message, tc.words) {
				t.Errorf("%s\nwant a problem with %q, got %+v", tc.reason, tc.words, j.Problem)
			}
		})
	}
}

// What the requester did themself is shown to them, although they may not read the book.
func TestBudgetExplained(t *testing.T) {
	facts := &book{entries: []*v1alpha1.Record{ran("bot", "scale", monday.Add(-time.Minute)), ran("bot", "scale", monday.Add(-2*time.Minute))}}
	j := budgetGate(t, facts).Judge(t.Context(), asking("bot", "scale", ""), monday)
	j.Explain(t.Context())
	got := VerdictStatus(j)
	if text := strings.Join(got.Rules[0].Because, "; "); text != "size(recent) is 2, which is at least 2" {
		t.Errorf("the requester reads how much of the budget is used up; got %q", text)
	}
	want := v1alpha1.Fact{Name: "recent", Object: "every execution of platform/scale for bot in the last 1 h", Version: "101 (2)"}
	if len(got.Facts) != 1 || got.Facts[0] != want {
		t.Errorf("want %+v, got %+v", want, got.Facts)
	}
}

// Who waits because of time reads when to expect another answer, and nobody else does.
func TestJudgedAgain(t *testing.T) {
	over := &book{entries: []*v1alpha1.Record{ran("bot", "scale", monday.Add(-time.Minute)), ran("bot", "scale", monday.Add(-2*time.Minute))}}
	gate, subject := budgetGate(t, over), asking("bot", "scale", "")
	j := gate.Judge(t.Context(), subject, monday)
	const again = "without an approval it is judged again on Mon 23 Nov 12:58 UTC, when time may change what is needed."
	if warnings := gate.Warnings(j, subject); len(warnings) != 3 || warnings[1] != again {
		t.Errorf("want %q second, got %q", again, warnings)
	}
	simple := newGate(t, fakeFacts{})
	if text := simple.Judge(t.Context(), asking("alice", "simple", ""), monday).JudgedAgain(); text != "" {
		t.Errorf("what always needs an approval is not changed by time: %q", text)
	}
}

// A rule that counts executions and reads the hour of now ends at a time that nobody can tell: no end of the budget is one. A comparison with an
// instant is foreseen, and whichever comes first counts.
func TestBudgetAndTheHour(t *testing.T) {
	gate := budgetGate(t, &book{entries: []*v1alpha1.Record{ran("bot", "scale", monday.Add(-time.Minute))}})
	for reason, want := range map[string]string{
		"hold": "rule morning of Action platform/scale",
		"date": "rule dated of Action platform/scale until Mon 23 Nov 12:59 UTC",
	} {
		subject := asking("bot", "scale", "")
		subject.Spec.Reason = reason
		held := gate.Judge(t.Context(), subject, monday)
		if held.Problem != nil {
			t.Fatal(held.Problem.Message)
		}
		if got := HeldBy(held, false); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}
