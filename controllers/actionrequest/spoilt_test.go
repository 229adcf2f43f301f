package actionrequest

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestSeals: what was written last is known, in whichever order two writers say so, and what may have been written is not held against anybody.
func TestSeals(t *testing.T) {
	type step struct{ version, seal string }
	for name, tc := range map[string]struct {
		reason string
		notes  []step
		read   string
		want   bool
	}{
		"Unknown":  {"another process may have written it", nil, "a", true},
		"Same":     {"it is what was written", []step{{"1", "a"}}, "a", true},
		"PutBack":  {"it is what was written before", []step{{"1", "a"}, {"1", ""}, {"2", "b"}}, "a", false},
		"Begun":    {"the write may have been stored", []step{{"1", "a"}, {"1", ""}}, "b", true},
		"BegunNot": {"or not", []step{{"1", "a"}, {"1", ""}}, "a", true},
		"Late":     {"who wrote before says so later", []step{{"1", ""}, {"3", "c"}, {"2", "b"}}, "c", true},
		"LateLost": {"also while nobody knows what came of the other write", []step{{"2", ""}, {"2", "b"}}, "c", true},
		"Odd":      {"versions that cannot be compared", []step{{"1", "a"}, {"x", "b"}}, "b", true},
	} {
		t.Run(name, func(t *testing.T) {
			known := &seals{known: lru.New(8)}
			record := func(version, seal string) *v1alpha1.Record {
				return &v1alpha1.Record{
					ObjectMeta: metav1.ObjectMeta{UID: "r", ResourceVersion: version}, Status: v1alpha1.RecordStatus{Seal: &v1alpha1.Seal{Signature: seal}},
				}
			}
			for _, n := range tc.notes {
				known.note(record(n.version, n.seal), n.seal)
			}
			if got := known.fits(record("9", tc.read)); got != tc.want {
				t.Errorf("%s: got %t", tc.reason, got)
			}
		})
	}
}

// TestAsWritten: a Record that knows less than its request was put back, also where another process wrote it.
func TestAsWritten(t *testing.T) {
	request := &v1alpha1.ActionRequest{Status: v1alpha1.ActionRequestStatus{Steps: make([]v1alpha1.StepStatus, 2)}}
	s := &scope{Reconciler: &Reconciler{lastSeals: seals{known: lru.New(8)}}, request: request}
	for steps, want := range map[int]bool{0: false, 1: false, 2: true, 3: true} {
		record := &v1alpha1.Record{Status: v1alpha1.RecordStatus{Steps: make([]v1alpha1.StepStatus, steps)}}
		if err := s.asWritten(record); (err == nil) != want {
			t.Errorf("a Record of %d steps: %v", steps, err)
		}
	}
}
