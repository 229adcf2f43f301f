package execution

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestFaults answers every call with an error, and asks what comes of it at once, and once the time is over.
func TestFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		reason    string
		status    metav1.Status
		transient bool
	}{
		"TooMany":       {"the API server is busy", metav1.Status{Code: 429, Reason: metav1.StatusReasonTooManyRequests}, true},
		"Internal":      {"a webhook is not there", metav1.Status{Code: 500, Reason: metav1.StatusReasonInternalError}, true},
		"Unavailable":   {"it is starting", metav1.Status{Code: 503, Reason: metav1.StatusReasonServiceUnavailable}, true},
		"ServerTimeout": {"it took too long", metav1.Status{Code: 504, Reason: metav1.StatusReasonTimeout}, true},
		"Unauthorized":  {"the operator's own token has expired", metav1.Status{Code: 401, Reason: metav1.StatusReasonUnauthorized}, true},
		"Conflict":      {"somebody wrote at the same moment", metav1.Status{Code: 409, Reason: metav1.StatusReasonConflict}, true},
		"FieldConflict": {"somebody owns the field", metav1.Status{Code: 409, Reason: metav1.StatusReasonConflict, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Field: ".a", Message: `conflict with "b"`}}}}, false},
		"Forbidden":     {"it may not", metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden}, false},
		"NotFound":      {"there is none", metav1.Status{Code: 404, Reason: metav1.StatusReasonNotFound}, false},
		"Invalid":       {"it does not fit", metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid}, false},
		"BadRequest":    {"it cannot be read", metav1.Status{Code: 400, Reason: metav1.StatusReasonBadRequest}, false},
		"MediaType":     {"no strategic patch for custom resources", metav1.Status{Code: 415, Reason: metav1.StatusReasonUnsupportedMediaType}, false},
	} {
		for _, operation := range []v1alpha1.WriteOperation{v1alpha1.WriteApply, v1alpha1.WriteMergePatch, v1alpha1.WriteJSONPatch, v1alpha1.WriteCreateJob} {
			t.Run(name+"/"+string(operation), func(t *testing.T) {
				p := newFaultyPlay(t, operation, tc.status)
				out, err := p.call()
				if (err != nil) != tc.transient || (out.Status.State == v1alpha1.StepFailed) == tc.transient {
					t.Fatalf("%s: got %+v, error %v", tc.reason, out.Status, err)
				}
				if message := out.Status.Message; !tc.transient && (!strings.Contains(message, "failed to ") || utf8.RuneCountInString(message) > maxMessage) {
					t.Errorf("the message is %q", message)
				}
				if apierrors.IsConflict(err) {
					t.Error("the caller would take it for a race that it has lost itself, and try again at once")
				}
				if err != nil && out.Status.StartedAt == nil {
					t.Error("nothing to store from which the timeout could count")
				}
				p.status, p.step.Timeout = out.Status, "1m"
				p.clock.SetTime(p.clock.Now().Add(time.Minute))
				if late, err := p.call(); err != nil || late.Status.State != v1alpha1.StepFailed {
					t.Errorf("after the timeout: got %+v, error %v", late.Status, err)
				}
			})
		}
	}
}

// newFaultyPlay makes a play against a server that knows one answer.
func newFaultyPlay(t *testing.T, operation v1alpha1.WriteOperation, answer metav1.Status) *play {
	t.Helper()
	answer.Status, answer.APIVersion, answer.Kind = metav1.StatusFailure, "v1", "Status"
	answer.Message = cmp.Or(answer.Message, "the server says no\nin "+strings.Repeat("many ", 500)+"words")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(answer.Code))
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace)
	p := &play{t: t, clock: clocktesting.NewFakePassiveClock(time.Now())}
	p.runs(NewRunner(NewClients(&rest.Config{Host: server.URL}, mapper), nil, p.clock, p.wake, p.budget))
	p.record = &v1alpha1.Record{Spec: v1alpha1.RecordSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "a"}, ServiceAccountName: "deployer",
		ClaimedAt: metav1.NewMicroTime(p.clock.Now()), Timeout: "30m",
	}}
	write := v1alpha1.RenderedWrite{Operation: operation, Object: configMapRef("a", "c"), FieldManager: "m"}
	write.Body.Raw = []byte(`{"apiVersion":"v1","kind":"ConfigMap"}`)
	p.step = &v1alpha1.RenderedStep{Name: "s", Writes: []v1alpha1.RenderedWrite{write}}
	return p
}

// TestLimits is about the two timeouts.
func TestLimits(t *testing.T) {
	claimed := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		reason  string
		whole   v1alpha1.Duration
		own     v1alpha1.Duration
		started time.Duration
		want    time.Duration
	}{
		"Whole":      {"only the execution has one", "20m", "", time.Minute, 20 * time.Minute},
		"Default":    {"neither has", "", "", time.Minute, 30 * time.Minute},
		"Own":        {"it counts from when the step began", "20m", "5m", time.Minute, 6 * time.Minute},
		"WholeFirst": {"the execution ends first", "20m", "15m", 10 * time.Minute, 20 * time.Minute},
		"Unreadable": {"never without an end", "20x", "5x", time.Minute, 30 * time.Minute},
		"Zero":       {"no timeout of the step", "20m", "0s", time.Minute, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			record := &v1alpha1.Record{Spec: v1alpha1.RecordSpec{ClaimedAt: metav1.NewMicroTime(claimed), Timeout: tc.whole}}
			step := &v1alpha1.RenderedStep{Name: "s", Timeout: tc.own}
			record.Status.Steps = []v1alpha1.StepStatus{{Name: "r"}, {Name: "s", StartedAt: &metav1.Time{Time: claimed.Add(tc.started)}}}
			r := NewRunner(nil, nil, nil, nil, nil)
			if got := r.Deadline(record, step).Sub(claimed); got != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}
