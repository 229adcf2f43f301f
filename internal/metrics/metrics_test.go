package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

func TestHealth(t *testing.T) {
	store := snapshot.NewStore(nil)
	Show(store, "signoff-system")
	expect := func(reason, want string) {
		t.Helper()
		if err := testutil.CollectAndCompare(shown, strings.NewReader(want)); err != nil {
			t.Errorf("%s\n%v", reason, err)
		}
	}
	const heads = `# HELP signoff_snapshot_synced 1 where the process knows all governing objects; at 0 nothing is decided.
# TYPE signoff_snapshot_synced gauge
`
	const invalidHeads = `# HELP signoff_snapshot_invalid_objects Governing objects that do not compile, by kind. Requests that they are about are refused or wait.
# TYPE signoff_snapshot_invalid_objects gauge
`
	const missingHeads = `# HELP signoff_snapshot_missing_calendars Calendars that rules of Actions and policies name, and that are not there or not valid. Requests that they are about are refused or wait.
# TYPE signoff_snapshot_missing_calendars gauge
signoff_snapshot_missing_calendars `
	expect("Before everything has been read, nothing is decided.", heads+"signoff_snapshot_synced 0\n"+missingHeads+"0\n"+invalidHeads+
		`signoff_snapshot_invalid_objects{kind="Action"} 0
signoff_snapshot_invalid_objects{kind="ActionPolicy"} 0
signoff_snapshot_invalid_objects{kind="Calendar"} 0
signoff_snapshot_invalid_objects{kind="Role"} 0
signoff_snapshot_invalid_objects{kind="Team"} 0
`)
	store.Put(&v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "broken"},
		Spec:       v1alpha1.ActionPolicySpec{Rules: []v1alpha1.PolicyRule{{Name: "r", Effect: v1alpha1.PolicyDeny, When: "nonsense"}}},
	})
	store.MarkSynced()
	store.Rebuild()
	expect("A policy that does not compile is counted.", heads+"signoff_snapshot_synced 1\n"+missingHeads+"0\n"+invalidHeads+
		`signoff_snapshot_invalid_objects{kind="Action"} 0
signoff_snapshot_invalid_objects{kind="ActionPolicy"} 1
signoff_snapshot_invalid_objects{kind="Calendar"} 0
signoff_snapshot_invalid_objects{kind="Role"} 0
signoff_snapshot_invalid_objects{kind="Team"} 0
`)
	store.Put(&v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "timed"},
		Spec: v1alpha1.ActionPolicySpec{Rules: []v1alpha1.PolicyRule{
			{Name: "r", Effect: v1alpha1.PolicyDeny, During: &v1alpha1.During{Calendar: "gone"}, When: "!calendar('elsewhere').contains(now)"},
			{Name: "s", Effect: v1alpha1.PolicyDeny, When: "calendar('elsewhere').contains(now) || calendar('here').contains(now)"},
		}},
	})
	hours := func(namespace, name string) *v1alpha1.Calendar {
		return &v1alpha1.Calendar{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       v1alpha1.CalendarSpec{TimeZone: "UTC", Windows: []v1alpha1.Window{{Dates: &v1alpha1.DatesWindow{From: "2026-12-24", Through: "2026-12-26"}}}},
		}
	}
	store.Put(hours("signoff-system", "here"))
	store.Put(hours("platform", "elsewhere"))
	store.Rebuild()
	expect("A Calendar that is not where it is looked for is missing, and counted once.", heads+"signoff_snapshot_synced 1\n"+missingHeads+"2\n"+invalidHeads+
		`signoff_snapshot_invalid_objects{kind="Action"} 0
signoff_snapshot_invalid_objects{kind="ActionPolicy"} 1
signoff_snapshot_invalid_objects{kind="Calendar"} 0
signoff_snapshot_invalid_objects{kind="Role"} 0
signoff_snapshot_invalid_objects{kind="Team"} 0
`)
}

func TestJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		reason       string
		judgement    gate.Judgement
		effect, code string
	}{
		"Allowed": {"What may run is counted by its effect.",
			gate.Judgement{Verdict: &decision.Verdict{Effect: v1alpha1.EffectAllow}}, "Allow", ""},
		"Indeterminate": {"A rule that could not be judged gives no verdict, whatever its effect would have been.",
			gate.Judgement{
				Verdict: &decision.Verdict{Effect: v1alpha1.EffectDeny, Errors: []decision.RuleError{{Rule: "r"}}},
				Problem: &gate.Problem{Reason: v1alpha1.ReasonIndeterminate},
			}, "Unknown", "Indeterminate"},
		"NoVerdict": {"Who may not ask gets no verdict.",
			gate.Judgement{Problem: &gate.Problem{Reason: v1alpha1.ReasonNotAuthorized}}, "Unknown", "NotAuthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			counter := judgements.WithLabelValues(string(Admission), tc.effect, tc.code)
			before := testutil.ToFloat64(counter)
			Judged(Admission, &tc.judgement)
			if got := testutil.ToFloat64(counter) - before; got != 1 {
				t.Errorf("%s Counted %v times as %s, %q.", tc.reason, got, tc.effect, tc.code)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, why := range []Refusal{NoCertificate, ForeignCertificate, UnknownPath} {
		before := testutil.ToFloat64(refusals.WithLabelValues(string(why)))
		Refused(why)
		if after := testutil.ToFloat64(refusals.WithLabelValues(string(why))); after != before+1 {
			t.Errorf("%s: counted %v, then %v", why, before, after)
		}
	}
}

func TestForged(t *testing.T) {
	for _, tc := range []struct {
		reason, code string
		want         float64
	}{
		{"It was stored past the webhook.", v1alpha1.ReasonNotStamped, 1},
		{"Its seal is that of something else.", v1alpha1.ReasonSealInvalid, 1},
		{"It is a copy.", v1alpha1.ReasonReplayed, 1},
		{"A part of it is gone.", v1alpha1.ReasonEvidenceLost, 1},
		{"A request that failed for another reason is nobody's forgery.", v1alpha1.ReasonFailed, 0},
	} {
		sum := func() (all float64) {
			for _, reason := range forgeries {
				all += testutil.ToFloat64(forged.WithLabelValues(reason))
			}
			return all
		}
		before := sum()
		Forged(tc.code)
		if got := sum() - before; got != tc.want {
			t.Errorf("%s Counted %v times, want %v.", tc.reason, got, tc.want)
		}
	}
}

// TestFirstOnesCount: what alerts ask to have grown is there before the first one.
func TestFirstOnesCount(t *testing.T) {
	for name, want := range map[string]int{"signoff_webhook_refused_total": 3, "signoff_finished_removed_total": 4, "signoff_forged_total": 4} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(refusals, removed, forged)
		if got, err := testutil.GatherAndCount(registry, name); err != nil || got < want {
			t.Errorf("%s has %d series before anything happened, want %d: %v", name, got, want, err)
		}
	}
}
