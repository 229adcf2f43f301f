package actionrequest

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
)

// TestAsWritten: a Record that knows less than it did, or than its request, was put back; one that somebody went on with since it was read was not.
func TestAsWritten(t *testing.T) {
	record := func(version string, revision int32, steps int) *v1alpha1.Record {
		return &v1alpha1.Record{
			ObjectMeta: metav1.ObjectMeta{Name: "r", UID: "r", ResourceVersion: version},
			Status:     v1alpha1.RecordStatus{Revision: revision, Steps: make([]v1alpha1.StepStatus, steps)},
		}
	}
	again := record("9", 2, 2)
	again.UID = "made again"
	for name, tc := range map[string]struct {
		reason     string
		seen       []int32
		read, live *v1alpha1.Record
		want       string
	}{
		"Unknown":     {"nobody has seen it before", nil, record("9", 1, 2), record("9", 1, 2), ""},
		"Same":        {"it is what was seen", []int32{1, 2}, record("9", 2, 2), record("9", 2, 2), ""},
		"GoneOn":      {"another process went on", []int32{1, 2}, record("9", 4, 3), record("9", 4, 3), ""},
		"PutBack":     {"it was further", []int32{1, 2, 3}, record("9", 2, 2), record("9", 2, 2), v1alpha1.ReasonEvidenceLost},
		"MadeAgain":   {"it was deleted and made again as it was", []int32{1, 2, 3}, again, again, v1alpha1.ReasonEvidenceLost},
		"PutBackLate": {"who saw less says so later", []int32{3, 2}, record("9", 2, 2), record("9", 2, 2), v1alpha1.ReasonEvidenceLost},
		"Overtaken":   {"somebody wrote it since it was read", []int32{3}, record("9", 2, 2), record("10", 3, 2), v1alpha1.ReasonIndeterminate},
		"Less":        {"it knows less than its request", nil, record("9", 2, 1), record("9", 2, 1), v1alpha1.ReasonEvidenceLost},
		"LessThen":    {"it was written since it was read", nil, record("9", 2, 1), record("10", 3, 2), v1alpha1.ReasonIndeterminate},
	} {
		t.Run(name, func(t *testing.T) {
			request := &v1alpha1.ActionRequest{Status: v1alpha1.ActionRequestStatus{Steps: make([]v1alpha1.StepStatus, 2)}}
			reader := interceptor.NewClient(nil, interceptor.Funcs{Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
				tc.live.DeepCopyInto(into.(*v1alpha1.Record))
				return nil
			}})
			s := &scope{Reconciler: &Reconciler{Reader: reader, revisions: revisions{known: lru.New(8)}}, request: request}
			for _, revision := range tc.seen {
				s.revisions.note(record("1", revision, 0))
			}
			got := ""
			if err := s.asWritten(t.Context(), tc.read); err != nil {
				got = evidence.Of(err).Reason
			}
			if got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
