package actionpolicy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var noon = time.Date(2026, 12, 23, 12, 0, 0, 0, time.UTC)

func calendarOf(name, zone string, window v1alpha1.Window) *v1alpha1.Calendar {
	return &v1alpha1.Calendar{
		ObjectMeta: metav1.ObjectMeta{Namespace: "signoff-system", Name: name},
		Spec:       v1alpha1.CalendarSpec{TimeZone: zone, Windows: []v1alpha1.Window{window}},
	}
}

// dates is a Calendar that is open from one day through another one.
func dates(name, zone, from, through string) *v1alpha1.Calendar {
	return calendarOf(name, zone, v1alpha1.Window{Dates: &v1alpha1.DatesWindow{From: from, Through: through}})
}

// daily is a Calendar that is open at these hours of every day.
func daily(name, from, to string) *v1alpha1.Calendar {
	return calendarOf(name, "UTC", v1alpha1.Window{Weekly: &v1alpha1.WeeklyWindow{
		Days: []v1alpha1.Weekday{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, From: from, To: to,
	}})
}

func within(name string, effect v1alpha1.PolicyEffect, calendar string) v1alpha1.PolicyRule {
	return v1alpha1.PolicyRule{Name: name, Effect: effect, During: &v1alpha1.During{Calendar: calendar}}
}

// world makes a reconciler over objects.
func world(t *testing.T, funcs interceptor.Funcs, clk *clocktesting.FakeClock, objects ...client.Object) *Reconciler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(funcs).
		WithStatusSubresource(&v1alpha1.ActionPolicy{}).
		WithIndex(&v1alpha1.ActionRequest{}, heldBy, holderNames).Build()
	return &Reconciler{Client: c, Clock: clk, OperatorNamespace: "signoff-system"}
}

func freezeOf(rules ...v1alpha1.PolicyRule) *v1alpha1.ActionPolicy {
	return &v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "freeze", Generation: 5},
		Spec: v1alpha1.ActionPolicySpec{
			Rules:  rules,
			Stages: []v1alpha1.Stage{{Name: "security", Approvers: &v1alpha1.Approvers{Groups: []string{"security"}}}},
		},
	}
}

func TestStatus(t *testing.T) {
	ask := v1alpha1.PolicyRule{Name: "ask", Effect: v1alpha1.PolicyRequireApproval, Stages: []string{"security"}}
	christmas := dates("christmas", "Europe/London", "2026-12-24", "2027-01-04")
	type want struct {
		Effect, Active, Until  string
		Ready, Reason, Message string
		Next                   time.Duration
	}
	for name, tc := range map[string]struct {
		reason    string
		rules     []v1alpha1.PolicyRule
		calendars []client.Object
		now       time.Time
		want      want
	}{
		"Always": {
			reason: "A rule without a calendar can apply at any time.", rules: []v1alpha1.PolicyRule{ask, within("hold", v1alpha1.PolicyHold, "christmas")},
			calendars: []client.Object{christmas}, now: noon, want: want{"Hold", "True", "", "True", "Ready", "in force", 0},
		},
		"Before": {
			reason: "A freeze that begins tomorrow says when.", rules: []v1alpha1.PolicyRule{within("deny", v1alpha1.PolicyDeny, "christmas")},
			calendars: []client.Object{christmas}, now: noon, want: want{"Deny", "False", "Thu 24 Dec 2026 00:00", "True", "Ready", "in force", 12 * time.Hour},
		},
		"Inside": {
			reason: "One that is on says until when, by the last minute of its last day.", rules: []v1alpha1.PolicyRule{within("deny", v1alpha1.PolicyDeny, "christmas")},
			calendars: []client.Object{christmas}, now: time.Date(2027, 1, 4, 23, 59, 59, 0, time.UTC),
			want: want{"Deny", "True", "Mon 4 Jan 2027 23:59", "True", "Ready", "in force", time.Second},
		},
		"After": {
			reason: "One that is over never begins again.", rules: []v1alpha1.PolicyRule{within("deny", v1alpha1.PolicyDeny, "christmas")},
			calendars: []client.Object{christmas}, now: time.Date(2027, 1, 5, 0, 0, 0, 0, time.UTC),
			want: want{"Deny", "False", "", "True", "Ready", "in force", 0},
		},
		"OwnZone": {
			reason: "Times are those of the calendar's own zone.", rules: []v1alpha1.PolicyRule{within("deny", v1alpha1.PolicyDeny, "christmas")},
			calendars: []client.Object{dates("christmas", "Asia/Tokyo", "2026-12-24", "2027-01-04")}, now: noon,
			want: want{"Deny", "False", "Thu 24 Dec 2026 00:00", "True", "Ready", "in force", 3 * time.Hour},
		},
		"Together": {
			reason: "Where one calendar takes over from another one, nothing changes.", now: noon,
			rules:     []v1alpha1.PolicyRule{within("a", v1alpha1.PolicyHold, "day"), within("b", v1alpha1.PolicyDeny, "evening")},
			calendars: []client.Object{daily("day", "08:00", "16:00"), daily("evening", "15:00", "22:00")},
			want:      want{"Deny", "True", "Wed 23 Dec 2026 22:00", "True", "Ready", "in force", 10 * time.Hour},
		},
		"RoundTheClock": {
			reason: "Calendars that relieve each other for ever never change it.", now: noon,
			rules:     []v1alpha1.PolicyRule{within("a", v1alpha1.PolicyHold, "day"), within("b", v1alpha1.PolicyDeny, "night")},
			calendars: []client.Object{daily("day", "08:00", "16:00"), daily("night", "16:00", "08:00")},
			want:      want{"Deny", "True", "", "True", "Ready", "in force", 0},
		},
		"NoCalendar": {
			reason: "A Calendar that is not there stops requests, and the policy says so.", rules: []v1alpha1.PolicyRule{within("deny", v1alpha1.PolicyDeny, "christmas")}, now: noon,
			want: want{"Deny", "Unknown", "", "False", "CalendarMissing", stops + `there is no Calendar "christmas" in namespace signoff-system`, 0},
		},
		"NoCalendarInWhen": {
			reason: "So does one that an expression names.", now: noon,
			rules: []v1alpha1.PolicyRule{{Name: "deny", Effect: v1alpha1.PolicyDeny, When: "calendar('christmas').contains(now)"}},
			want:  want{"Deny", "True", "", "False", "CalendarMissing", stops + `there is no Calendar "christmas" in namespace signoff-system`, 0},
		},
		"BadCalendar": {
			reason: "So does one that is not valid.", rules: []v1alpha1.PolicyRule{within("deny", v1alpha1.PolicyDeny, "christmas")}, now: noon,
			calendars: []client.Object{dates("christmas", "Europe/Atlantis", "2026-12-24", "2027-01-04")},
			want:      want{"Deny", "Unknown", "", "False", "CalendarMissing", stops + "Calendar signoff-system/christmas is not valid", 0},
		},
		"Invalid": {
			reason: "A policy that does not compile stops what it is about, and must say so.",
			rules:  []v1alpha1.PolicyRule{ask, {Name: "typo", Effect: v1alpha1.PolicyDeny, When: "requster.username == 'eve'"}}, now: noon,
			want: want{"Deny", "True", "", "False", "Invalid",
				stops + `spec.rules[1].when: Invalid value: "requster.username == 'eve'": line 1, column 1: undefined variable 'requster' (did you mean "requester"?)`, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			clk := clocktesting.NewFakeClock(tc.now)
			r := world(t, interceptor.Funcs{}, clk, append(tc.calendars, freezeOf(tc.rules...))...)
			result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "freeze"}})
			if err != nil {
				t.Fatal(err)
			}
			stored := &v1alpha1.ActionPolicy{}
			if err := r.Client.Get(t.Context(), types.NamespacedName{Name: "freeze"}, stored); err != nil {
				t.Fatal(err)
			}
			ready := stored.Status.Conditions[0]
			got := want{
				stored.Status.Effect, stored.Status.Active, stored.Status.Until,
				string(ready.Status), ready.Reason, ready.Message, result.RequeueAfter,
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if stored.Status.ObservedGeneration != 5 {
				t.Errorf("the status speaks of generation 5, not %d", stored.Status.ObservedGeneration)
			}
			clk.Step(result.RequeueAfter)
			if result, err = r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "freeze"}}); err != nil {
				t.Fatal(err)
			}
			if err := r.Client.Get(t.Context(), types.NamespacedName{Name: "freeze"}, stored); err != nil {
				t.Fatal(err)
			}
			if changed := stored.Status.Active != got.Active; changed != (got.Until != "") {
				t.Errorf("at the instant that it named, and only there, the policy changes: %s, then %s", got.Active, stored.Status.Active)
			}
		})
	}
}

// TestCalendarUnread: a Calendar that cannot be read just now is no missing Calendar.
func TestCalendarUnread(t *testing.T) {
	broken := errors.New("the cache is broken")
	r := world(t, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if _, ok := o.(*v1alpha1.Calendar); ok {
			return broken
		}
		return c.Get(ctx, key, o, opts...)
	}}, clocktesting.NewFakeClock(noon), freezeOf(within("deny", v1alpha1.PolicyDeny, "christmas")))
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "freeze"}}); !errors.Is(err, broken) {
		t.Errorf("the error comes back, and with it the policy: got %v", err)
	}
}

func requestOf(change func(*v1alpha1.ActionRequestStatus), rules ...v1alpha1.RuleResult) *v1alpha1.ActionRequest {
	request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "a"}}
	request.Status.Verdict = &v1alpha1.Verdict{Rules: rules}
	if change != nil {
		change(&request.Status)
	}
	return request
}

func result(name string, effect v1alpha1.Effect, answer v1alpha1.RuleAnswer) v1alpha1.RuleResult {
	return v1alpha1.RuleResult{Name: name, Effect: effect, Answer: answer}
}

func TestHolding(t *testing.T) {
	applies := v1alpha1.RuleApplies
	approved := func(s *v1alpha1.ActionRequestStatus) {
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionApproved, Status: metav1.ConditionTrue}}
	}
	for name, tc := range map[string]struct {
		reason  string
		request *v1alpha1.ActionRequest
		want    int32
	}{
		"Deny":      {"A rule that denies holds.", requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, applies)), 1},
		"Hold":      {"So does one that holds, approved or not.", requestOf(approved, result("policy/freeze/r", v1alpha1.EffectHold, applies)), 1},
		"Ask":       {"So does an approval that is not given.", requestOf(nil, result("policy/freeze/r", v1alpha1.EffectRequireApproval, applies)), 1},
		"Approved":  {"One that is given does not.", requestOf(approved, result("policy/freeze/r", v1alpha1.EffectRequireApproval, applies)), 0},
		"Twice":     {"Two rules hold one request.", requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, applies), result("policy/freeze/s", v1alpha1.EffectHold, applies)), 1},
		"Other":     {"Another policy is another one.", requestOf(nil, result("policy/freeze-2/r", v1alpha1.EffectDeny, applies), result("freeze", v1alpha1.EffectDeny, applies)), 0},
		"Idle":      {"A rule that does not apply holds nothing.", requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, v1alpha1.RuleNotApplicable)), 0},
		"Passed":    {"Nor does one that was passed.", requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, v1alpha1.RuleOverridden)), 0},
		"Over":      {"Nor is a request held that is over.", requestOf(func(s *v1alpha1.ActionRequestStatus) { s.Outcome = "Expired" }, result("policy/freeze/r", v1alpha1.EffectDeny, applies)), 0},
		"Executing": {"Or that runs.", requestOf(func(s *v1alpha1.ActionRequestStatus) { s.Execution = &v1alpha1.ExecutionClaim{} }, result("policy/freeze/r", v1alpha1.EffectDeny, applies)), 0},
		"Unknown":   {"A rule that cannot be judged holds, because no error means yes.", requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, v1alpha1.RuleUnknown)), 1},
		"Still":     {"It does although everybody agreed.", requestOf(approved, result("policy/freeze/r", v1alpha1.EffectRequireApproval, v1alpha1.RuleUnknown)), 1},
		"Whole":     {"So does a policy that cannot be judged as a whole.", requestOf(nil, result("policy/freeze", v1alpha1.EffectDeny, v1alpha1.RuleUnknown)), 1},
		"Both":      {"A request is counted once.", requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, applies), result("policy/freeze/s", v1alpha1.EffectHold, v1alpha1.RuleUnknown)), 1},
		"Unjudged":  {"Or that nobody has judged.", requestOf(func(s *v1alpha1.ActionRequestStatus) { s.Verdict = nil }), 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := world(t, interceptor.Funcs{}, clocktesting.NewFakeClock(noon), tc.request, freezeOf(v1alpha1.PolicyRule{Name: "r", Effect: v1alpha1.PolicyDeny}))
			if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "freeze"}}); err != nil {
				t.Fatal(err)
			}
			stored := &v1alpha1.ActionPolicy{}
			if err := r.Client.Get(t.Context(), types.NamespacedName{Name: "freeze"}, stored); err != nil {
				t.Fatal(err)
			}
			if stored.Status.Holding != tc.want {
				t.Errorf("%s\nwant %d, got %d", tc.reason, tc.want, stored.Status.Holding)
			}
		})
	}
}

// TestUnjudged: whoever looks at READY learns that a rule of the policy fails.
func TestUnjudged(t *testing.T) {
	unknown := func(name string) client.Object {
		request := requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, v1alpha1.RuleUnknown))
		request.Name = name
		return request
	}
	other := requestOf(nil, result("policy/freeze/r", v1alpha1.EffectDeny, v1alpha1.RuleApplies))
	other.Name = "held"
	for name, tc := range map[string]struct {
		reason         string
		requests       []client.Object
		holding        int32
		status, prefix string
	}{
		"None": {"A policy that holds what it should is ready.", []client.Object{other}, 1, "True", "in force"},
		"One":  {"One request that it cannot judge is told apart from one that it holds.", []client.Object{other, unknown("a")}, 2, "False", "in force, but 1 request waits because a rule"},
		"Two":  {"So are two.", []client.Object{unknown("a"), unknown("b")}, 2, "False", "in force, but 2 requests wait because a rule"},
	} {
		t.Run(name, func(t *testing.T) {
			r := world(t, interceptor.Funcs{}, clocktesting.NewFakeClock(noon), append(tc.requests, freezeOf(v1alpha1.PolicyRule{Name: "r", Effect: v1alpha1.PolicyDeny}))...)
			if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "freeze"}}); err != nil {
				t.Fatal(err)
			}
			stored := &v1alpha1.ActionPolicy{}
			if err := r.Client.Get(t.Context(), types.NamespacedName{Name: "freeze"}, stored); err != nil {
				t.Fatal(err)
			}
			ready := stored.Status.Conditions[0]
			if stored.Status.Holding != tc.holding || string(ready.Status) != tc.status || !strings.HasPrefix(ready.Message, tc.prefix) {
				t.Errorf("%s\ngot holding %d, READY %s: %s", tc.reason, stored.Status.Holding, ready.Status, ready.Message)
			}
		})
	}
}

func TestChanged(t *testing.T) {
	a, b, c := holder{policy: "a"}, holder{policy: "b"}, holder{policy: "c"}
	if diff := cmp.Diff([]holder{a, c}, changed([]holder{a, b}, []holder{b, c}), cmp.AllowUnexported(holder{})); diff != "" {
		t.Errorf("only policies that begin or cease to hold a request are woken: -want, +got:\n%s", diff)
	}
	failing := holder{policy: "b", unjudged: true}
	if diff := cmp.Diff([]holder{b, failing}, changed([]holder{b}, []holder{failing}), cmp.AllowUnexported(holder{})); diff != "" {
		t.Errorf("so is one that holds it for another reason: -want, +got:\n%s", diff)
	}
}
