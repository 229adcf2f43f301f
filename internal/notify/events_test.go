package notify

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func condition(kind, reason string, minute int) metav1.Condition {
	return metav1.Condition{Type: kind, Reason: reason, Message: "because", LastTransitionTime: at(minute)}
}

// approvedAt is the condition that all have agreed.
func approvedAt(minute int) metav1.Condition {
	c := condition("Approved", "Approved", minute)
	c.Status = metav1.ConditionTrue
	return c
}

// superseded is an Approval that counts no more since eight past noon.
func superseded() *v1alpha1.Approval {
	return anApproval(func(a *v1alpha1.Approval) {
		a.CreationTimestamp = at(1)
		a.Status.State, a.Status.ClosedAt, a.Status.Decided = v1alpha1.ApprovalSuperseded, new(at(8)), []string{"No longer counts: it was valid for 7m."}
	})
}

// anotherApproval is one of the same stage that was opened at a minute.
func anotherApproval(minute int, change func(*v1alpha1.Approval)) *v1alpha1.Approval {
	again := anApproval(change)
	again.Name, again.UID, again.CreationTimestamp = "sale-again", "another-uid", at(minute)
	return again
}

func aResolution(seal *v1alpha1.Seal) v1alpha1.Resolution {
	return v1alpha1.Resolution{
		NewResolution: v1alpha1.NewResolution{Step: "call", Outcome: v1alpha1.StepSucceeded, Comment: "it is there"}, By: v1alpha1.Identity{Username: "dave"}, Seal: seal,
	}
}

func TestOf(t *testing.T) {
	cases := map[string]struct {
		reason    string
		request   func(*v1alpha1.ActionRequest)
		approvals []v1alpha1.Approval
		want      []string
	}{
		"New":        {"what was not taken up yet may be a forgery", func(r *v1alpha1.ActionRequest) { r.Status.Adoption = nil }, nil, nil},
		"Opened":     {"an Approval can be seen before the status says that it was taken up", func(r *v1alpha1.ActionRequest) { r.Status.Adoption = nil }, []v1alpha1.Approval{*anApproval(nil)}, []string{"0 Requested", "1 ApprovalNeeded owners"}},
		"NotAsked":   {"but one that nobody opened shows nothing", func(r *v1alpha1.ActionRequest) { r.Status.Adoption = nil }, []v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) { a.Spec.Seal = nil })}, nil},
		"Asked":      {"an Approval is opened after the request", nil, []v1alpha1.Approval{*anApproval(nil)}, []string{"0 Requested", "1 ApprovalNeeded owners"}},
		"Others":     {"an Approval of another request of that name is no matter", nil, []v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) { a.Spec.RequestRef.UID = "other" })}, []string{"0 Requested"}},
		"Forged":     {"one without a seal was opened by nobody", nil, []v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) { a.Spec.Seal = nil })}, []string{"0 Requested"}},
		"ForgedVote": {"nor does a vote without a seal count", nil, []v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) { a.Spec.Votes = []v1alpha1.Vote{{Decision: v1alpha1.DecisionApprove}} })}, []string{"0 Requested", "1 ApprovalNeeded owners"}},
		"Voted": {
			"every vote is told, and the end of the stage", nil,
			[]v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) {
				a.Spec.Votes = []v1alpha1.Vote{aVote("bob", v1alpha1.DecisionApprove, 2), aVote("bob", v1alpha1.DecisionWithdraw, 3)}
				a.Status.State, a.Status.ClosedAt = v1alpha1.ApprovalSuperseded, new(at(4))
			})},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "2 Voted owners bob", "3 Voted owners bob", "4 ApprovalClosed owners Superseded"},
		},
		"Impatient": {
			"the last reminder and the escalation", nil,
			[]v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) {
				a.Spec.Reminder, a.Status.Reminders = "10m", 2
				a.Spec.Escalation, a.Status.Escalated = &v1alpha1.ApprovalEscalation{At: at(15)}, true
			})},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "15 ApprovalEscalated owners", "21 ApprovalReminder owners"},
		},
		"Held": {
			"the reason is what tells one delay from another",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Phase, r.Status.Conditions = v1alpha1.PhaseHeld, []metav1.Condition{condition("Ready", "Queued", 7)}
			}, nil,
			[]string{"0 Requested", "7 Held Queued"},
		},
		"Done": {
			"from the first step to the end",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Phase, r.Status.Outcome = v1alpha1.PhaseSucceeded, v1alpha1.OutcomeSucceeded
				r.Status.Execution = &v1alpha1.ExecutionClaim{StartedAt: at(5)}
				r.Status.Conditions = []metav1.Condition{condition("Ready", "Succeeded", 6), condition("Finished", "Succeeded", 6)}
			}, nil,
			[]string{"0 Requested", "5 Executing", "6 Succeeded Succeeded"},
		},
		"Approved": {
			"all have agreed, which is no stage's to say",
			func(r *v1alpha1.ActionRequest) { r.Status.Conditions = []metav1.Condition{approvedAt(5)} },
			[]v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) {
				a.Status.State, a.Status.ClosedAt = v1alpha1.ApprovalApproved, new(at(5))
			})},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "5 ApprovalClosed owners Approved", "5 Approved Approved"},
		},
		"NotRequired": {
			"where nobody was asked nobody has agreed",
			func(r *v1alpha1.ActionRequest) {
				c := approvedAt(5)
				c.Reason = v1alpha1.ReasonNotRequired
				r.Status.Conditions = []metav1.Condition{c}
			}, nil,
			[]string{"0 Requested"},
		},
		"NotApproved": {
			"nor where they have not yet",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Conditions = []metav1.Condition{condition("Approved", "AwaitingApproval", 5)}
			}, nil,
			[]string{"0 Requested"},
		},
		"PlanChanged": {
			"people are asked again where something else is to be agreed to",
			nil,
			[]v1alpha1.Approval{*anotherApproval(8, func(a *v1alpha1.Approval) { a.Spec.Digest = "sha256:b20d" }), *superseded()},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "8 ApprovalNeeded owners", "8 ApprovalNeededAgain owners PlanChanged", "8 ApprovalClosed owners Superseded"},
		},
		"Lapsed": {
			"or where what they agreed to counts no more; also in the same minute",
			nil,
			[]v1alpha1.Approval{*anotherApproval(1, nil), *superseded()},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "1 ApprovalNeededAgain owners Superseded", "1 ApprovalNeeded owners", "8 ApprovalClosed owners Superseded"},
		},
		"OtherStage": {
			"but not where another stage is, or the stage of another request",
			nil,
			[]v1alpha1.Approval{*anotherApproval(8, func(a *v1alpha1.Approval) { a.Spec.Stage.Name = "finance" }), *superseded(), *anApproval(func(a *v1alpha1.Approval) {
				superseded().DeepCopyInto(a)
				a.UID, a.Spec.RequestRef.UID, a.Spec.Stage.Name = "stranger", "other", "finance"
			})},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "8 ApprovalNeeded finance", "8 ApprovalClosed owners Superseded"},
		},
		"Unsatisfiable": {
			"too few can agree",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Conditions = []metav1.Condition{condition("Ready", "Unsatisfiable", 2)}
			},
			[]v1alpha1.Approval{*anApproval(nil)},
			[]string{"0 Requested", "1 ApprovalNeeded owners", "2 Unsatisfiable Unsatisfiable"},
		},
		"Resolved": {
			"somebody knows how it ended, unless that was forged",
			func(r *v1alpha1.ActionRequest) {
				r.Spec.Resolutions = []v1alpha1.Resolution{aResolution(nil), aResolution(&v1alpha1.Seal{At: metav1.NewMicroTime(at(9).Time)})}
			}, nil,
			[]string{"0 Requested", "9 Resolved Succeeded"},
		},
		"Review": {
			"a review is told by names of its own",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Conditions = []metav1.Condition{condition("Reviewed", "ReviewOverdue", 1)}
			},
			[]v1alpha1.Approval{*anApproval(func(a *v1alpha1.Approval) {
				a.Spec.Review, a.Spec.ExpiresAt = true, at(30)
				a.Status.State, a.Status.ClosedAt = v1alpha1.ApprovalApproved, new(at(40))
			})},
			[]string{"0 Requested", "1 ReviewNeeded owners", "30 ReviewOverdue owners", "40 ReviewClosed owners Approved"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := aRequest(tc.request)
			first, again := Of(request, tc.approvals), Of(request.DeepCopy(), tc.approvals)
			var got []string
			ids := map[string]bool{}
			for i, e := range first {
				text := fmt.Sprintf("%d %s", int(e.Time.Sub(noon).Minutes()), e.Type)
				if e.Approval != nil {
					text += " " + e.Approval.Spec.Stage.Name
				}
				if e.Vote != nil {
					text += " " + e.Vote.Voter.Username
				}
				if e.State != "" {
					text += " " + e.State
				}
				got = append(got, text)
				if ids[e.ID] || e.ID != again[i].ID || len(e.ID) != 32 {
					t.Errorf("%s: the id %q of %s is not its own for ever", tc.reason, e.ID, text)
				}
				ids[e.ID] = true
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestLeft: who lets stay what cannot be taken back has not decided about a step.
func TestLeft(t *testing.T) {
	given := aResolution(&v1alpha1.Seal{At: metav1.NewMicroTime(at(9).Time)})
	given.Step = v1alpha1.StepRevert
	events := Of(aRequest(func(r *v1alpha1.ActionRequest) { r.Spec.Resolutions = []v1alpha1.Resolution{given} }), nil)
	want := `dave decided that what is left of it is taken back by hand or may stay, and wrote: "it is there"`
	if last := events[len(events)-1]; last.Type != v1alpha1.EventResolved || last.Words != want {
		t.Errorf("got %s %q", last.Type, last.Words)
	}
}

// TestLate: what may be found out long after it happened says so.
func TestLate(t *testing.T) {
	impatient := anApproval(func(a *v1alpha1.Approval) {
		a.Spec.Reminder, a.Status.Reminders = "10m", 2
		a.Spec.Escalation, a.Status.Escalated = &v1alpha1.ApprovalEscalation{At: at(15)}, true
	})
	closed := impatient.DeepCopy()
	closed.Status.State, closed.Status.ClosedAt = v1alpha1.ApprovalApproved, new(at(40))
	for name, tc := range map[string]struct {
		reason    string
		request   func(*v1alpha1.ActionRequest)
		approvals []v1alpha1.Approval
		want      []string
	}{
		"Alone": {"nobody knows when it was taken up", nil, nil, []string{"Requested ?"}},
		"Phase": {
			"a reason may be new however old the conditions are",
			func(r *v1alpha1.ActionRequest) {
				r.Status.Phase, r.Status.Conditions = v1alpha1.PhaseReverting, []metav1.Condition{condition("Ready", "RevertFailed", 7)}
			}, nil,
			[]string{"Requested 7", "Reverting ?"},
		},
		"Open":   {"it is noted that time ran out once somebody looks", nil, []v1alpha1.Approval{*impatient}, []string{"Requested 1", "ApprovalNeeded 1", "ApprovalEscalated ?", "ApprovalReminder ?"}},
		"Closed": {"before it was closed", nil, []v1alpha1.Approval{*closed}, []string{"Requested 1", "ApprovalNeeded 1", "ApprovalEscalated 40", "ApprovalReminder 40", "ApprovalClosed 40"}},
		"Again": {
			"that people are asked again is known once the old Approval is closed", nil, []v1alpha1.Approval{*anotherApproval(3, nil), *superseded()},
			[]string{"Requested 1", "ApprovalNeeded 1", "ApprovalNeeded 3", "ApprovalNeededAgain 8", "ApprovalClosed 8"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range Of(aRequest(tc.request), tc.approvals) {
				late := "?"
				if !e.Late.IsZero() {
					late = fmt.Sprint(e.Late.Sub(noon).Minutes())
				}
				got = append(got, string(e.Type)+" "+late)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestApprovedAgain: who agrees once more is told of once more, and of the same nobody twice.
func TestApprovedAgain(t *testing.T) {
	ids := map[string]int{}
	for _, minute := range []int{5, 5, 30} {
		events := Of(aRequest(func(r *v1alpha1.ActionRequest) { r.Status.Conditions = []metav1.Condition{approvedAt(minute)} }), nil)
		ids[events[len(events)-1].ID]++
	}
	if len(ids) != 2 {
		t.Errorf("two approvals have the ids %v", ids)
	}
}

// TestEveryEvent: each that a route can name says something of its own, but for those that speak of a stage or a vote.
func TestEveryEvent(t *testing.T) {
	own := []v1alpha1.NotificationEvent{v1alpha1.EventVoted, v1alpha1.EventApprovalClosed, v1alpha1.EventReviewClosed}
	for _, e := range events(t) {
		if !slices.Contains(own, e) && headlines[e] == "" {
			t.Errorf("nothing is said about %s", e)
		}
	}
}

// events are those that the schema knows.
func events(t *testing.T) []v1alpha1.NotificationEvent {
	t.Helper()
	text, err := os.ReadFile("../../config/crd/signoff.dev_notifiers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema apiextensionsv1.JSONSchemaProps `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}{}
	if err := yaml.Unmarshal(text, crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	route := spec.Properties["routes"].Items.Schema
	var all []v1alpha1.NotificationEvent
	for _, value := range route.Properties["events"].Items.Schema.Enum {
		var e v1alpha1.NotificationEvent
		if err := json.Unmarshal(value.Raw, &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) < 20 {
		t.Fatalf("the schema knows %q", all)
	}
	return all
}

// TestEveryEnd: how a request ends is an event, whatever it is.
func TestEveryEnd(t *testing.T) {
	for _, outcome := range []v1alpha1.Outcome{
		v1alpha1.OutcomeSucceeded, v1alpha1.OutcomeFailed, v1alpha1.OutcomeDenied, v1alpha1.OutcomeExpired, v1alpha1.OutcomeCancelled, v1alpha1.OutcomeReverted,
	} {
		if headlines[v1alpha1.NotificationEvent(outcome)] == "" {
			t.Errorf("nothing is said about %s", outcome)
		}
	}
}

// TestOfReview: a review that was asked for again is told without its request, of which nothing is told anew, and with commands that work without it.
func TestOfReview(t *testing.T) {
	review := anApproval(func(a *v1alpha1.Approval) {
		a.Namespace, a.Name = "signoff-system", "sale-review"
		a.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Record", Name: "request-uid"}}
		a.Spec.Review, a.Spec.ExpiresAt, a.Spec.Stage.Name, a.Spec.Summary = true, at(30), "review", []string{"The request payments/sale is gone.", "inputs: text=the sale"}
		a.Spec.Votes = []v1alpha1.Vote{aVote("bob", v1alpha1.DecisionDeny, 40)}
		a.Status.Conditions = []metav1.Condition{condition("Ready", "ReviewOverdue", 31)}
		a.Status.State, a.Status.ClosedAt = v1alpha1.ApprovalDenied, new(at(40))
	})
	request := aRequest(func(r *v1alpha1.ActionRequest) { r.Status, r.Spec.Reason = v1alpha1.ActionRequestStatus{}, "" })
	n := compiled(t, "channels: ["+hook+"]\nroutes: [{events: [Requested, ReviewNeeded, ReviewOverdue, Voted, ReviewClosed], to: [{channel: c}]}]\n")
	var got []string
	for _, e := range OfReview(request, review) {
		got = append(got, message(t, n, &e).Title, message(t, n, &e).Text)
	}
	const about = ": platform/note of alice (payments/sale)"
	const look = "Look: kubectl describe approval -n signoff-system sale-review"
	const decide = look + "\nApprove: kubectl signoff approve -n signoff-system sale-review --digest 9f3c1a7e\nDeny: kubectl signoff deny -n signoff-system sale-review --digest 9f3c1a7e --comment \"why\""
	const needs = "Stage review needs 1 of payments, until Tue 24 Nov 12:01 UTC.\n"
	want := []string{
		"Review needed" + about, needs + "The request payments/sale is gone.\n" + decide, "Review overdue" + about, needs + decide,
		"Denied by bob in stage review" + about, look, "Already decided: stage review is Denied" + about, look,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	review.Spec.RequestRef.UID = "other"
	if got := OfReview(request, review); len(got) > 0 {
		t.Errorf("the review of another request is told: %v", got)
	}
}
