package security

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// freeze denies an Action from yesterday until tomorrow, and gives what ends it.
func freeze(t *testing.T, action string) (end func()) {
	t.Helper()
	day := func(offset int) string { return time.Now().UTC().AddDate(0, 0, offset).Format(time.DateOnly) }
	apply(t, fmt.Sprintf(`{apiVersion: signoff.dev/v1alpha1, kind: Calendar, metadata: {namespace: signoff-system, name: these-days}, spec: {timeZone: UTC, windows: [{dates: {from: %q, through: %q}}]}}`, day(-1), day(1)))
	return policy(t, "freeze-"+action, `{match: {actions: {names: [`+action+`]}}, rules: [{name: frozen, during: {calendar: these-days}, effect: Deny, message: frozen these days}]}`)
}

// TestCase40ApprovedBeforeAFreeze lets everybody agree before a freeze begins, and the start come inside it.
func TestCase40ApprovedBeforeAFreeze(t *testing.T) {
	r, approval, release := agreed(t, request("two-engineers", `{}`), users.Bob, users.Carol)
	end := freeze(t, "two-engineers")
	release()
	eventually(t, "the freeze holds it", func() (bool, string) {
		ready := meta.FindStatusCondition(live(t, r).Status.Conditions, v1alpha1.ConditionReady)
		return ready.Reason == v1alpha1.ReasonDeniedByRule && strings.Contains(ready.Message, "frozen these days"), fmt.Sprintf("%+v", ready)
	})
	neverStarts(t, r, v1alpha1.PhaseHeld)
	if now := live(t, approval); len(now.Spec.Votes) != 2 || now.Status.State == v1alpha1.ApprovalSuperseded {
		t.Errorf("what was agreed to stays agreed to: %+v", now.Status)
	}
	end()
	reaches(t, r, v1alpha1.PhaseSucceeded)
	approvalsOf(t, r, 1)
}

// TestCase41CalendarsAtAnyTime asks, without storing anything, what would be answered at an hour that clocks do not have, or have twice.
// internal/calendar has the tables.
func TestCase41CalendarsAtAnyTime(t *testing.T) {
	for name, spec := range map[string]string{
		"spring":   `{timeZone: Europe/London, windows: [{weekly: {days: [Sun], from: "01:00", to: "02:00"}}]}`,
		"midnight": `{timeZone: Europe/London, windows: [{weekly: {days: [Fri], from: "22:00", to: "02:00"}}]}`,
		"leap-day": `{timeZone: UTC, windows: [{dates: {from: "2028-02-29", through: "2028-02-29"}}]}`,
		"zones":    `{timeZone: UTC, windows: [{timeZone: Pacific/Kiritimati, dates: {from: "2027-06-01", through: "2027-06-01"}}]}`,
		"except":   `{timeZone: UTC, windows: [{dates: {from: "2027-06-01", through: "2027-06-30"}}], except: [{dates: {from: "2027-06-10", through: "2027-06-10"}}]}`,
	} {
		apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Calendar, metadata: {namespace: platform, name: `+name+`}, spec: `+spec+`}`)
		apply(t, strings.Replace(ruled("at-"+name, `{}`, `{name: open, when: "calendar('`+name+`').contains(now)", effect: Allow}`), "default: {effect: Allow}", "default: {effect: Deny, message: closed}", 1))
	}
	apply(t, ruled("at-both", `{}`, `{name: open, when: "calendar('except').contains(now)", effect: Allow}, {name: closed, when: "calendar('zones').contains(now)", effect: Deny}`))
	for _, tc := range []struct {
		calendar, at string
		open         bool
	}{
		{"spring", "2027-03-21T01:30:00Z", true},  // an ordinary Sunday
		{"spring", "2027-03-28T00:59:59Z", false}, // before the clock goes from 01:00 to 02:00
		{"spring", "2027-03-28T01:00:00Z", false}, // and after: that hour is missing
		{"spring", "2027-10-31T00:30:00Z", true},  // 01:30, for the first time
		{"spring", "2027-10-31T01:30:00Z", true},  // 01:30, again
		{"spring", "2027-10-31T02:00:00Z", false},
		{"midnight", "2027-06-18T21:30:00Z", true}, // Friday 22:30 there
		{"midnight", "2027-06-19T00:59:59Z", true}, // Saturday 01:59 there
		{"midnight", "2027-06-19T01:00:00Z", false},
		{"midnight", "2027-06-18T00:30:00Z", false}, // early on Friday
		{"leap-day", "2028-02-29T23:59:59Z", true},
		{"leap-day", "2028-02-28T23:59:59Z", false},
		{"leap-day", "2028-03-01T00:00:00Z", false},
		{"zones", "2027-05-31T10:00:00Z", true}, // already the first of June there
		{"zones", "2027-06-01T10:00:00Z", false},
		{"except", "2027-06-09T23:59:59Z", true},
		{"except", "2027-06-10T12:00:00Z", false},
		{"both", "2027-06-01T05:00:00Z", false}, // both apply, and the denial wins
		{"both", "2027-06-02T05:00:00Z", true},
	} {
		r := request("at-"+tc.calendar, `{}`)
		r.Annotations = map[string]string{v1alpha1.AnnotationAt: tc.at}
		eventually(t, fmt.Sprintf("%s at %s: open %t", tc.calendar, tc.at, tc.open), func() (bool, string) {
			err := as(t, users.Alice).Create(t.Context(), r.DeepCopy(), client.DryRunAll)
			return (err == nil) == tc.open && (err == nil || !strings.Contains(err.Error(), "there is no")), errText(err)
		})
	}
	refused(t, as(t, users.Frank).Create(t.Context(), object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Calendar, metadata: {namespace: platform, name: mars}, spec: {timeZone: Mars/Olympus,
		windows: [{dates: {from: "2027-06-01", through: "2027-06-01"}}]}}`)), metav1.StatusReasonInvalid, "spec.timeZone")
}

// TestCase42FreezeDuringAnExecution begins a freeze while an Action runs: what began is finished as it was agreed to, and nothing new begins.
// Whoever wants it stopped cancels it; see case 49.
func TestCase42FreezeDuringAnExecution(t *testing.T) {
	unslow(t)
	r := ask(t, users.Alice, request("slow", `{}`))
	reaches(t, r, v1alpha1.PhaseExecuting)
	t.Cleanup(func() { unslow(t) })
	freeze(t, "slow")
	refusedFor(t, request("slow", `{}`), "frozen these days")
	now := live(t, r)
	if now.Status.Phase != v1alpha1.PhaseExecuting || recordOf(t, r).Status.Outcome != "" {
		t.Errorf("it goes on: %+v", now.Status)
	}
	goOn(t)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: "slow-more"}, &corev1.ConfigMap{}); err != nil {
		t.Errorf("half of it was left undone: %v", err)
	}
}

// goOn gives the Action slow what it waits for.
func goOn(t *testing.T) {
	t.Helper()
	waited := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: "slow"}}
	if err := patch(t, env.Person{Name: "admin", Config: cluster.Admin}, waited, `{"data":{"never":"at last"}}`); err != nil {
		t.Fatal(err)
	}
}

// TestCase43TimesOfAClient writes times that are not for a client to write, and such as can never be kept.
func TestCase43TimesOfAClient(t *testing.T) {
	long := metav1.NewTime(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	past := metav1.NewTime(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	r := request("deploy", play.ProductionInputs)
	r.CreationTimestamp, r.UID, r.Generation = past, "11111111-1111-1111-1111-111111111111", 99
	r.Spec.ExpiresAt, r.Spec.NotBefore = &long, new(metav1.NewTime(long.Add(-time.Hour)))
	before := time.Now()
	r, approval := opened(t, users.Alice, r)
	if age := r.CreationTimestamp.Sub(before).Abs(); age > time.Minute || r.Generation != 1 || r.UID == "11111111-1111-1111-1111-111111111111" {
		t.Errorf("the API server says when it was made: %s, %d, %s", r.CreationTimestamp, r.Generation, r.UID)
	}
	if ends := approval.Spec.ExpiresAt.Sub(before); ends > 169*time.Hour {
		t.Errorf("it lives as long as its Action says, a week: %s", ends)
	}
	if err := patch(t, users.Bob, approval, `{"spec":{"vote":{"decision":"Approve","at":"2020-01-01T00:00:00.000000Z"}}}`); err != nil {
		t.Fatal(err)
	}
	if at := live(t, approval).Spec.Votes[0].At; at.Sub(before).Abs() > time.Minute {
		t.Errorf("the time of a vote is the server's: %s", at)
	}
	neverStarts(t, r, v1alpha1.PhaseHeld)
	for words, change := range map[string]func(*v1alpha1.ActionRequest){
		"is in the past":          func(r *v1alpha1.ActionRequest) { r.Spec.ExpiresAt = &past },
		"is not before expiresAt": func(r *v1alpha1.ActionRequest) { r.Spec.ExpiresAt, r.Spec.NotBefore = &long, &long },
		"can be tried in a dry run only": func(r *v1alpha1.ActionRequest) {
			r.Annotations = map[string]string{v1alpha1.AnnotationAt: "2020-01-01T00:00:00Z"}
		},
		"an emergency does not wait": func(r *v1alpha1.ActionRequest) {
			r.Spec.NotBefore, r.Spec.BreakGlass = &long, &v1alpha1.BreakGlass{Reason: "now"}
		},
		"say what the emergency is": func(r *v1alpha1.ActionRequest) { r.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: " \t "} },
	} {
		wrong := request("deploy", play.ProductionInputs)
		change(wrong)
		refused(t, as(t, users.Alice).Create(t.Context(), wrong), metav1.StatusReasonInvalid, words)
	}
}

// TestCase44FreezeChangedByWhoWaits plays people whose requests a freeze stops, and who would rather have it changed.
func TestCase44FreezeChangedByWhoWaits(t *testing.T) {
	ctx := t.Context()
	freeze(t, "prod-freeze")
	stops := &v1alpha1.ActionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "freeze-prod-freeze"}}
	days := &v1alpha1.Calendar{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: "these-days"}}
	const later = `{"spec":{"windows":[{"dates":{"from":"2099-01-01","through":"2099-01-02"}}]}}`
	for _, who := range []env.Person{users.Alice, users.Bob, users.Frank, users.Nadia, users.Agent, users.Audrey} {
		refused(t, patch(t, who, stops, `{"spec":{"rules":[{"name":"frozen","effect":"Hold"}]}}`), metav1.StatusReasonForbidden)
		refused(t, patch(t, who, days, later), metav1.StatusReasonForbidden)
		refused(t, as(t, who).Delete(ctx, stops.DeepCopy()), metav1.StatusReasonForbidden)
		refused(t, as(t, who).Delete(ctx, days.DeepCopy()), metav1.StatusReasonForbidden)
		same := stops.DeepCopy()
		same.Name, same.Spec.Rules = "shadow", []v1alpha1.PolicyRule{{Name: "frozen", Effect: v1alpha1.PolicyHold}}
		refused(t, as(t, who).Create(ctx, same), metav1.StatusReasonForbidden)
	}
	// Grace guards the rails, and asks for nothing: she holds no right to. The API server keeps what she did.
	if err := patch(t, users.Grace, days, later); err != nil {
		t.Fatal(err)
	}
	refused(t, as(t, users.Grace).Create(ctx, request("deploy", play.StagingInputs)), metav1.StatusReasonForbidden)
	logged(t, "grace's edit", "grace", func(e *auditv1.Event) bool {
		return e.User.Username == "grace" && e.Verb == "patch" && e.ObjectRef != nil && e.ObjectRef.Name == "these-days"
	})
}
