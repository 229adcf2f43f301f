package webhooks

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
)

// TestDryRuns: a repository of a hundred requests is judged at once, a flood is not, and nobody else has fewer for it.
func TestDryRuns(t *testing.T) {
	dry, now := NewDryRuns(120), time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	judged := func(person string, tries int) (count int) {
		for range tries {
			if dry.take(asking, person, now) {
				count++
			}
		}
		return count
	}
	expect := func(reason, person string, tries, want int) {
		t.Helper()
		if got := judged(person, tries); got != want {
			t.Errorf("%s %d of %d are judged, want %d", reason, got, tries, want)
		}
	}
	expect("A repository is tried as a whole.", "flux", 100, 100)
	expect("There is an end.", "flux", 1000, 20)
	expect("Nobody else is concerned.", "alice", 120, 120)
	now = now.Add(time.Second)
	expect("Some come back each second.", "flux", 1000, 12)
	now = now.Add(time.Hour)
	expect("Never more than at first.", "flux", 1000, 120)

	if !dry.take(voting, "flux", now) || !dry.take(changing, "flux", now) || dry.take(asking, "flux", now) {
		t.Error("Who fills an inbox can still ask, and the other way round.")
	}

	for n := range 2 * maxDryRunners {
		judged(fmt.Sprint("stranger ", n), 1)
	}
	if n := dry.left.Len(); n != maxDryRunners {
		t.Errorf("%d people are remembered", n)
	}
}

// TestDryRunsAreBounded: whatever is tried is bounded, by the same answer, before it is judged.
func TestDryRunsAreBounded(t *testing.T) {
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	cancelled := v1alpha1.ActionRequestSpec{Cancellation: &v1alpha1.Cancellation{Reason: "stop"}}
	resolved := v1alpha1.ActionRequestSpec{Resolution: &v1alpha1.NewResolution{Step: "a", Outcome: "Succeeded", Comment: "seen"}}
	request, approval := &v1alpha1.ActionRequest{}, &v1alpha1.Approval{}
	for name, tc := range map[string]struct {
		try   func(d *Deps, req admission.Request) admission.Response
		again bool
	}{
		"Vote": {func(d *Deps, req admission.Request) admission.Response {
			return (&approvals{d}).mutate(t.Context(), req, &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Vote: &v1alpha1.VoteRequest{Decision: "x"}}}, approval)
		}, false},
		"Cancel": {func(d *Deps, req admission.Request) admission.Response {
			return (&actionRequests{d}).mutate(t.Context(), req, &v1alpha1.ActionRequest{Spec: cancelled}, request)
		}, false},
		"Resolve": {func(d *Deps, req admission.Request) admission.Response {
			return (&actionRequests{d}).mutate(t.Context(), req, &v1alpha1.ActionRequest{Spec: resolved}, request)
		}, false},
		"Unchanged": {func(d *Deps, req admission.Request) admission.Response {
			return (&actionRequests{d}).mutate(t.Context(), req, request, request)
		}, true},
		"AlreadyCancelled": {func(d *Deps, req admission.Request) admission.Response {
			known := &v1alpha1.ActionRequest{Spec: cancelled}
			return (&actionRequests{d}).mutate(t.Context(), req, known, known)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Deps{Identity: rules, DryRuns: NewDryRuns(2), Wall: clock.RealClock{}, Clock: clock.RealClock{}}
			req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
				Operation: admissionv1.Update, DryRun: new(true), UserInfo: authenticationv1.UserInfo{Username: "eve"},
			}}
			for n := range 2 {
				if got := tc.try(d, req); got.Result != nil && got.Result.Code == http.StatusTooManyRequests {
					t.Errorf("dry run %d is one of those that are judged", n)
				}
			}
			if got := tc.try(d, req); (got.Result == nil || got.Result.Code != http.StatusTooManyRequests) != tc.again {
				t.Errorf("after those it has, it is answered by %+v", got.Result)
			}
		})
	}
}
