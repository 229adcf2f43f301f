package security

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// forged is an attempt to get something executed past the webhooks.
type forged struct {
	// before is done by the book, attack without webhooks by somebody who may write all objects of the namespace. The request that
	// must not be executed is returned.
	before func(t *testing.T) *v1alpha1.ActionRequest
	attack func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest)
	// reason is why it is not executed, and words are what people read.
	reason string
	words  string
}

const forgedImage = "registry/checkout:forged"

func production(t *testing.T) *v1alpha1.ActionRequest {
	t.Helper()
	r := ask(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"`+forgedImage+`"}`))
	approvalsOf(t, r, 1)
	return reaches(t, r, v1alpha1.PhaseAwaitingApproval)
}

// staging would run at once.
func staging() *v1alpha1.ActionRequest {
	return request("deploy", `{"service":"checkout","environment":"staging","image":"`+forgedImage+`"}`)
}

// bare leaves what the API server sets anew.
func bare(object client.Object) {
	object.SetResourceVersion("")
	object.SetUID("")
	object.SetCreationTimestamp(metav1.Time{})
	object.SetManagedFields(nil)
}

func unsealedVote(ap *v1alpha1.Approval, who string) v1alpha1.Vote {
	return v1alpha1.Vote{
		Decision: v1alpha1.DecisionApprove, Voter: v1alpha1.Identity{Username: who, Person: who, Groups: []string{"engineering", "payments", "system:authenticated"}},
		At: metav1.NewMicroTime(time.Now().Truncate(time.Millisecond)), Digest: ap.Spec.Digest,
	}
}

// halfApproved has one of two votes.
func halfApproved(t *testing.T) *v1alpha1.ActionRequest {
	t.Helper()
	r := ask(t, users.Alice, request("two-stages", `{}`))
	approval := approvalsOf(t, r, 1)[0]
	if err := vote(t, users.Bob, &approval, v1alpha1.DecisionApprove, "fine"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that the vote is counted", func() (bool, string) {
		live := approvalsOf(t, r, 1)[0]
		return live.Status.Seal != nil && live.Status.Seal.Votes == 1, live.Status.WaitingFor
	})
	return r
}

// counted has votes that Signoff has counted, and needs more.
func counted(t *testing.T) *v1alpha1.ActionRequest {
	t.Helper()
	r, approval := opened(t, users.Alice, request("crowd", `{}`))
	for _, voter := range []env.Person{users.Bob, users.Carol, users.Dave} {
		votes(t, voter, approval, v1alpha1.DecisionApprove)
	}
	eventually(t, "that the votes are counted", func() (bool, string) {
		now := live(t, approval)
		return now.Status.Seal != nil && now.Status.Seal.Votes == 3, now.Status.WaitingFor
	})
	return r
}

// shortened takes votes out of an Approval. Of the one that is there the schema lets nobody do so, whatever else is gone, so it is made again with fewer.
func shortened(cut func([]v1alpha1.Vote) []v1alpha1.Vote) func(*testing.T, client.WithWatch, *v1alpha1.ActionRequest) {
	return func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
		ap := approvalsOf(t, r, 1)[0]
		short := ap.DeepCopy()
		short.Spec.Votes = cut(short.Spec.Votes)
		eventually(t, "that only the schema keeps the votes", func() (bool, string) {
			short.ResourceVersion = live(t, &ap).ResourceVersion
			err := evil.Update(t.Context(), short.DeepCopy())
			return apierrors.IsInvalid(err) && strings.Contains(err.Error(), "votes are only ever added"), errText(err)
		})
		bare(short)
		written(t, func() error { return evil.Delete(t.Context(), ap.DeepCopy()) })
		written(t, func() error { return client.IgnoreAlreadyExists(evil.Create(t.Context(), short.DeepCopy())) })
	}
}

func pastTheWebhooks() map[string]forged {
	own := func(t *testing.T, r *v1alpha1.ActionRequest) *v1alpha1.Approval { return &approvalsOf(t, r, 1)[0] }
	return map[string]forged{
		"a vote in the name of somebody": {before: production, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			written(t, func() error {
				ap := own(t, r)
				ap.Spec.Votes = append(ap.Spec.Votes, unsealedVote(ap, "dave"))
				return evil.Update(t.Context(), ap)
			})
		}, reason: v1alpha1.ReasonNotStamped, words: "webhook was absent"},
		"a vote with the seal of another": {before: halfApproved, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			written(t, func() error {
				ap := own(t, r)
				stolen := unsealedVote(ap, "dave")
				stolen.Seal = ap.Spec.Votes[0].Seal
				ap.Spec.Votes = append(ap.Spec.Votes, stolen)
				return evil.Update(t.Context(), ap)
			})
		}, reason: v1alpha1.ReasonSealInvalid, words: "vote 2"},
		"the Approval closed by hand": {before: production, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			written(t, func() error {
				ap := own(t, r)
				ap.Status.State = v1alpha1.ApprovalApproved
				return evil.Status().Update(t.Context(), ap)
			})
		}, reason: v1alpha1.ReasonSealInvalid, words: "not by Signoff"},
		"the Approval removed and made again without its vote": {before: halfApproved, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			ap := own(t, r)
			again := ap.DeepCopy()
			again.Spec.Votes = []v1alpha1.Vote{}
			bare(again)
			written(t, func() error { return evil.Delete(t.Context(), ap) })
			written(t, func() error { return client.IgnoreAlreadyExists(evil.Create(t.Context(), again)) })
		}, reason: v1alpha1.ReasonEvidenceLost, words: "was removed"},
		"the last vote cut off": {
			before: counted, attack: shortened(func(votes []v1alpha1.Vote) []v1alpha1.Vote { return votes[:2] }), reason: v1alpha1.ReasonEvidenceLost, words: "was removed",
		},
		"a vote cut out of the middle": {
			before: counted, attack: shortened(func(votes []v1alpha1.Vote) []v1alpha1.Vote { return slices.Delete(votes, 1, 2) }), reason: v1alpha1.ReasonEvidenceLost, words: "was removed",
		},
		"the Approval removed": {before: halfApproved, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			written(t, func() error { return evil.Delete(t.Context(), own(t, r)) })
		}, reason: v1alpha1.ReasonEvidenceLost, words: "was removed"},
		"the Approval removed, and forgotten in the status": {before: halfApproved, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			written(t, func() error {
				live := &v1alpha1.ActionRequest{}
				if err := evil.Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
					return err
				}
				live.Status.Adoption = nil
				return evil.Status().Update(t.Context(), live)
			})
			_ = evil.Delete(t.Context(), own(t, r))
		}, reason: v1alpha1.ReasonEvidenceLost, words: "does not name the Approval"},
		"a request in the name of somebody": {before: func(*testing.T) *v1alpha1.ActionRequest { return staging() }, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			r.Spec.Requester = &v1alpha1.Identity{Username: "alice", Person: "alice", Groups: []string{"engineering"}}
			written(t, func() error { return evil.Create(t.Context(), r) })
		}, reason: v1alpha1.ReasonNotStamped, words: "Ask again"},
		"a copy of a request under another name": {before: production, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			bare(r)
			r.Name += "-copy"
			written(t, func() error { return evil.Create(t.Context(), r) })
		}, reason: v1alpha1.ReasonSealInvalid, words: "belongs to something else"},
		"a request that was deleted, restored": {before: production, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			restored := r.DeepCopy()
			bare(restored)
			written(t, func() error { return evil.Delete(t.Context(), r) })
			eventually(t, "that it is gone", func() (bool, string) {
				err := evil.Create(t.Context(), restored)
				return err == nil, "still there"
			})
			*r = *restored
		}, reason: v1alpha1.ReasonReplayed, words: "copy of one that was there before"},
		"a request for another Action with the seal of one": {before: func(t *testing.T) *v1alpha1.ActionRequest {
			sealed := reaches(t, ask(t, users.Alice, request("crowd", `{}`)), v1alpha1.PhaseAwaitingApproval)
			other := staging()
			other.Spec.Requester, other.Spec.Seal = sealed.Spec.Requester, sealed.Spec.Seal
			return other
		}, attack: func(t *testing.T, evil client.WithWatch, r *v1alpha1.ActionRequest) {
			written(t, func() error { return evil.Create(t.Context(), r) })
		}, reason: v1alpha1.ReasonSealInvalid, words: "belongs to something else"},
	}
}

// TestCase34WrittenPastTheWebhooks removes the webhooks and the policies, as whoever owns the cluster can, and lets somebody who may write all objects of a namespace try to get
// something executed. Nothing is, also once the webhooks are back, and everybody can read why.
func TestCase34WrittenPastTheWebhooks(t *testing.T) {
	evil, all, before := as(t, nora(t)), pastTheWebhooks(), play.Scraped(t)
	requests := map[string]*v1alpha1.ActionRequest{}
	for name, tc := range all {
		requests[name] = tc.before(t)
	}
	unguarded(t, func() {
		for name, tc := range all {
			t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { tc.attack(t, evil, requests[name]) })
		}
	})
	for name, tc := range all {
		t.Run("after "+name, func(t *testing.T) { neverRan(t, requests[name], tc.reason, tc.words) })
	}
	forgeriesRing(t, before, all)
	for _, place := range []string{"staging", "production"} {
		deployment := &appsv1.Deployment{}
		if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: place, Name: "checkout"}, deployment); err != nil {
			t.Fatal(err)
		}
		if text, err := json.Marshal(deployment.Spec); err != nil || strings.Contains(string(text), forgedImage) {
			t.Errorf("%s was changed by a forgery: %s", place, text)
		}
	}
}

// forgeriesRing looks whether what was found is counted by its reason, and rings while it is new.
func forgeriesRing(t *testing.T, before play.Scrape, all map[string]forged) {
	t.Helper()
	const metric, alert = "signoff_forged_total", "SignoffForged"
	after, least := play.Scraped(t), map[string]float64{}
	for _, tc := range all {
		least[tc.reason]++
	}
	for reason, want := range least {
		if got := after.Sum(metric, map[string]string{"reason": reason}) - before.Sum(metric, map[string]string{"reason": reason}); got < want {
			t.Errorf("%v were found because of %s, want %v at least", got, reason, want)
		}
	}
	if !play.RingsSince(t, alert, before) {
		t.Errorf("%s must ring for what was found", alert)
	}
	eventually(t, "the end of the ringing", func() (bool, string) {
		return !play.RingsSince(t, alert, play.Scraped(t)), "something is found again and again"
	})
}

// endedBecause waits until a request has ended as failed, and looks whether it says why, in one of some words.
func endedBecause(t *testing.T, r *v1alpha1.ActionRequest, reason string, words ...string) *v1alpha1.ActionRequest {
	t.Helper()
	live := &v1alpha1.ActionRequest{}
	eventually(t, "the end of "+r.Name, func() (bool, string) {
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			return false, err.Error()
		}
		return live.Status.Outcome != "", string(live.Status.Phase) + " " + live.Status.WaitingFor
	})
	finished := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionFinished)
	if live.Status.Outcome != v1alpha1.OutcomeFailed || finished == nil || finished.Reason != reason ||
		!slices.ContainsFunc(words, func(word string) bool { return strings.Contains(finished.Message, word) }) {
		t.Errorf("got %s, %+v; want that it failed because of %s, with one of %q", live.Status.Outcome, finished, reason, words)
	}
	return live
}

// neverRan waits until a request has ended without an execution, and looks whether it says why, in one of some words.
func neverRan(t *testing.T, r *v1alpha1.ActionRequest, reason string, words ...string) {
	t.Helper()
	live := endedBecause(t, r, reason, words...)
	if live.Status.Execution != nil {
		t.Errorf("it was executed: %+v", live.Status.Execution)
	}
	record := &v1alpha1.Record{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: string(live.UID)}, record); err == nil {
		t.Errorf("there is a Record: %+v", record.Spec)
	}
}

// TestCase49CancelledFromTheStart: whoever asks for something that is cancelled already, as a tool does that makes a cancelled request again, has forged nothing.
func TestCase49CancelledFromTheStart(t *testing.T) {
	guarded(t)
	before := play.Scraped(t)
	r := request("two-engineers", `{}`)
	r.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "not needed after all"}
	reaches(t, ask(t, users.Alice, r), v1alpha1.PhaseCancelled)
	if after := play.Scraped(t); after.Sum("signoff_forged_total", nil) != before.Sum("signoff_forged_total", nil) {
		t.Error("it is counted as forged")
	}
}
