package actionrequest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/plan"
)

// TestDriftIsCompared compares what people saw with what is there now, as far as anybody can look.
func TestDriftIsCompared(t *testing.T) {
	change := func(object, basis string) v1alpha1.PlannedChange {
		return v1alpha1.PlannedChange{Object: object, Basis: basis, Fields: []string{"a: 1 → 2"}}
	}
	list := func(changes ...v1alpha1.PlannedChange) []v1alpha1.PlannedChange { return changes }
	const changed = "Pod b/c is no longer as it was when people were asked: a: 1 → 2."
	for name, tc := range map[string]struct {
		reason      string
		shown       []v1alpha1.PlannedChange
		now         []v1alpha1.PlannedChange
		unread      []string
		lines, away []string
		rekeyed     []string
	}{
		"Same":    {"Nothing has changed.", list(change("Pod b/c", "x")), list(change("Pod b/c", "x")), nil, nil, nil, nil},
		"Changed": {"It is another one.", list(change("Pod b/c", "x")), list(change("Pod b/c", "y")), nil, []string{changed}, nil, nil},
		"Unread":  {"Nobody can tell, so it has not drifted.", list(change("Pod b/c", "x")), list(change("Pod b/c", "")), []string{"Pod b/c"}, nil, []string{"Pod b/c"}, nil},
		"UnreadTwice": {"What a blind write will have made is nothing to compare with.", list(change("Pod b/c", "x"), change("Pod b/c", "y")),
			list(change("Pod b/c", ""), change("Pod b/c", "z")), []string{"Pod b/c"}, nil, []string{"Pod b/c", "Pod b/c"}, nil},
		"Never":       {"What nobody could look at before cannot be compared.", list(change("Pod b/c", "")), list(change("Pod b/c", "y")), nil, nil, nil, nil},
		"Misfit":      {"It could be shown and no longer can, although it is there: it has changed.", list(change("Pod b/c", "x")), list(change("Pod b/c", "")), nil, []string{changed}, nil, nil},
		"UnreadOther": {"Another one has no part in it.", list(change("Pod b/c", "x")), list(change("Pod b/c", "y")), []string{"Pod b/d"}, []string{changed}, nil, nil},
		"Keyed":       {"It is another one, by the same key.", list(change("Pod b/c", "keyed-a:x")), list(change("Pod b/c", "keyed-a:y")), nil, []string{changed}, nil, nil},
		"Rekeyed": {"By another key nobody can tell.", list(change("Pod b/c", "keyed-a:x")), list(change("Pod b/c", "keyed-b:x")), nil, nil, nil,
			[]string{"Nobody can tell whether Pod b/c is still as it was when people were asked: the key of Signoff has changed since."}},
		"KeyedGone": {"What is gone is gone, whatever the key.", list(change("Pod b/c", "keyed-a:x")), list(change("Pod b/c", "sha256:y")), nil, []string{changed}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := drift(tc.shown, &preparation{changes: tc.now, unread: tc.unread})
			if diff := cmp.Diff(compared{tc.lines, tc.away, tc.rekeyed}, got, cmp.AllowUnexported(compared{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestUnreadBeyondThePlan: of what has no room in the plan one that nobody can read now is not drift either.
func TestUnreadBeyondThePlan(t *testing.T) {
	many := func(unread ...string) []v1alpha1.PlannedChange {
		var all []v1alpha1.PlannedChange
		for i := range plan.MaxChanges + 3 {
			all = append(all, v1alpha1.PlannedChange{Object: fmt.Sprintf("Pod b/%d", i), Basis: fmt.Sprint(i)})
		}
		return plan.Stored(all, unread)
	}
	const last = "Pod b/66"
	shown, now := many(), &preparation{changes: many(last), unread: []string{last}}
	if got := drift(shown, now); len(got.drifted) != 0 || len(got.unread) != 1 {
		t.Errorf("got %+v", got)
	}
	if got := drift(shown, &preparation{changes: many()}); len(got.drifted)+len(got.unread) != 0 {
		t.Errorf("got %+v", got)
	}
}
