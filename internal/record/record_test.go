package record

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var (
	noon    = time.Date(2026, 12, 24, 12, 30, 0, 0, time.UTC)
	scale   = v1alpha1.ActionReference{Namespace: "platform", Name: "scale"}
	restart = v1alpha1.ActionReference{Namespace: "platform", Name: "restart"}
)

// executed is a Record of what somebody had executed at a time.
func executed(who, person string, action v1alpha1.ActionReference, at time.Time) *v1alpha1.Record {
	record := &v1alpha1.Record{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Record"},
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%s-%d", strings.ReplaceAll(who, ":", "-"), action.Name, at.UnixMicro())},
		Spec:       v1alpha1.RecordSpec{ActionRef: action, Requester: v1alpha1.Identity{Username: who, Person: person}, ClaimedAt: metav1.NewMicroTime(at)},
	}
	record.Labels = Labels(&record.Spec)
	return record
}

func stored(t *testing.T, record *v1alpha1.Record) unstructured.Unstructured {
	t.Helper()
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(record)
	if err != nil {
		t.Fatal(err)
	}
	return unstructured.Unstructured{Object: object}
}

func TestPick(t *testing.T) {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	alice, bob := v1alpha1.Identity{Username: "alice", Person: "alice"}, v1alpha1.Identity{Username: "bob", Person: "bob"}
	for name, tc := range map[string]struct {
		reason string
		query  Query
		record *v1alpha1.Record
		want   bool
	}{
		"Recent":      {"What was executed a minute ago counts.", Query{}, executed("alice", "alice", scale, ago(time.Minute)), true},
		"LastInstant": {"So does what is not an hour ago.", Query{}, executed("alice", "alice", scale, ago(time.Hour-time.Microsecond)), true},
		"AnHourAgo":   {"What was executed an hour ago does not.", Query{}, executed("alice", "alice", scale, ago(time.Hour)), false},
		"Now":         {"What is started now counts.", Query{}, executed("alice", "alice", scale, noon), true},
		"Ahead":       {"So does what a clock that is ahead has written.", Query{}, executed("alice", "alice", scale, noon.Add(30*time.Minute)), true},
		"Elsewhere":   {"Other Actions do not.", Query{}, executed("alice", "alice", v1alpha1.ActionReference{Namespace: "other", Name: "scale"}, noon), false},
		"Second":      {"Several Actions can be counted together.", Query{}, executed("alice", "alice", restart, noon), true},
		"Own":         {"Own requests count.", Query{By: &alice}, executed("alice", "alice", scale, noon), true},
		"OtherLogin":  {"With whichever login.", Query{By: &alice}, executed("alice@laptop", "alice", scale, noon), true},
		"Others":      {"Those of others do not.", Query{By: &bob}, executed("alice", "alice", scale, noon), false},
		"NoPerson":    {"Nobody is the same person as nobody.", Query{By: &v1alpha1.Identity{Username: "bob"}}, executed("alice", "", scale, noon), false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.query.Actions, tc.query.Within, tc.query.Now = []v1alpha1.ActionReference{scale, restart}, time.Hour, noon
			picked, _ := tc.query.Pick([]unstructured.Unstructured{stored(t, tc.record)})
			if got := len(picked) == 1; got != tc.want {
				t.Errorf("%s\nPick(...): want %t, got %t", tc.reason, tc.want, got)
			}
			selector, err := tc.query.Selector()
			if err != nil {
				t.Fatal(err)
			}
			if tc.want && !selector.Matches(labels.Set(tc.record.Labels)) {
				t.Errorf("what counts must be selected: %s does not select %v", selector, tc.record.Labels)
			}
			if tc.query.By == &bob && selector.Matches(labels.Set(tc.record.Labels)) {
				t.Errorf("what does not count should not be read: %s selects %v", selector, tc.record.Labels)
			}
		})
	}
}

func TestPickUnreadable(t *testing.T) {
	record := stored(t, executed("alice", "alice", scale, noon))
	if err := unstructured.SetNestedField(record.Object, "yesterday", "spec", "claimedAt"); err != nil {
		t.Fatal(err)
	}
	query := Query{Actions: []v1alpha1.ActionReference{scale}, Within: time.Hour, Now: noon}
	if picked, ends := query.Pick([]unstructured.Unstructured{record}); len(picked) != 1 || !ends.IsZero() {
		t.Errorf("a time that nobody can read must not make a budget larger; got %d, %s", len(picked), ends)
	}
}

func TestPickOrder(t *testing.T) {
	first, second, third := noon.Add(-50*time.Minute), noon.Add(-20*time.Minute), noon.Add(-time.Minute)
	query := Query{Actions: []v1alpha1.ActionReference{scale}, Within: time.Hour, Now: noon}
	picked, ends := query.Pick([]unstructured.Unstructured{
		stored(t, executed("bob", "bob", scale, third)), stored(t, executed("alice", "alice", scale, first)), stored(t, executed("carol", "carol", scale, second)),
	})
	var who []string
	for _, record := range picked {
		name, _, _ := unstructured.NestedString(record.(map[string]any), "spec", "requester", "username")
		who = append(who, name)
	}
	if diff := cmp.Diff([]string{"alice", "carol", "bob"}, who); diff != "" {
		t.Errorf("the oldest comes first: -want, +got:\n%s", diff)
	}
	if want := first.Add(time.Hour); !ends.Equal(want) {
		t.Errorf("the budget changes when the oldest no longer counts: want %s, got %s", want, ends)
	}
}

// Whatever is picked is selected, at every minute and for every span.
func TestSelectorAndPickAgree(t *testing.T) {
	for minute := range 180 {
		now := noon.Add(time.Duration(minute) * 7 * time.Minute)
		for _, within := range []time.Duration{time.Minute, 59 * time.Minute, time.Hour, 61 * time.Minute, 25 * time.Hour, MaxWithin} {
			query := Query{Actions: []v1alpha1.ActionReference{scale}, Within: within, Now: now}
			selector, err := query.Selector()
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []time.Time{now, now.Add(-within), now.Add(-within + time.Microsecond), now.Add(-within / 2), now.Add(59 * time.Minute)} {
				record := executed("alice", "alice", scale, at)
				if query.counts(&claim{username: "alice", action: scale, at: at}) && !selector.Matches(labels.Set(record.Labels)) {
					t.Fatalf("at %s, %s of the last %s counts and is not selected", now, at, within)
				}
			}
		}
	}
}

func TestLabels(t *testing.T) {
	long := strings.Repeat("a", 200)
	for name, tc := range map[string]struct{ reason, text, want string }{
		"Plain":   {"A name that fits is shown.", "platform.scale", "platform.scale"},
		"Account": {"What a label cannot hold is replaced, and told apart by a hash.", "system:serviceaccount:agents:bot", "system-serviceaccount-agents-bot-d1fa0f9460"},
		"Empty":   {"Nobody has a label too.", "", "e3b0c44298"},
		"Hostile": {"No text is too strange.", "../\x00\u202e!", ""},
		"Long":    {"Nor too long.", long, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := value(tc.text)
			if errs := validation.IsValidLabelValue(got); len(errs) > 0 || got == "" {
				t.Errorf("%s\nvalue(%q) is %q: %v", tc.reason, tc.text, got, errs)
			}
			if tc.want != "" && got != tc.want {
				t.Errorf("%s\nvalue(%q): want %q, got %q", tc.reason, tc.text, tc.want, got)
			}
		})
	}
	if value(long) == value(long+"a") || value("a:b") == value("a/b") {
		t.Error("different texts must have different labels")
	}
}

func FuzzValue(f *testing.F) {
	for _, seed := range []string{"", "a", "system:serviceaccount:a:b", "Ünïcode", strings.Repeat("-", 80), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if errs := validation.IsValidLabelValue(value(text)); len(errs) > 0 {
			t.Errorf("value(%q) is no label: %v", text, errs)
		}
	})
}
