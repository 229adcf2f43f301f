package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	cluster = "3f1a8c52-70b7-4a8e-9d0f-5f8d2c6b1a01"
	nonceA  = "00112233445566778899aabbccddeeff"
	sumA    = "sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e"
	sumB    = "sha256:b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1"
)

// noon is when everything in the tests happens.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 123_000_000, time.UTC)

func stamp(after time.Duration) Stamp { return Stamp{Cluster: cluster, IssuedAt: noon.Add(after)} }

// testKey makes a key that everybody can make, from the hash of a name.
func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("signoff test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func signer(t testing.TB, purpose Purpose, name string) *Signer {
	t.Helper()
	s, err := NewSigner(purpose, testKey(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testKeys are all keys of the tests by name: two in use, and others that no longer or not yet count at noon.
func testKeys() map[string]PublicKey {
	key := func(name string, purpose Purpose, notBefore, retired, revoked time.Duration) PublicKey {
		public, _ := testKey(name).Public().(ed25519.PublicKey)
		k := PublicKey{Key: public, Purpose: purpose, NotBefore: noon.Add(notBefore)}
		if retired != 0 {
			k.RetiredAt = noon.Add(retired)
		}
		if revoked != 0 {
			k.RevokedAt = noon.Add(revoked)
		}
		return k
	}
	return map[string]PublicKey{
		"admission":  key("admission", Admission, -24*time.Hour, 0, 0),
		"controller": key("controller", Controller, -24*time.Hour, 0, 0),
		"retired":    key("retired", Admission, -72*time.Hour, -time.Hour, 0),
		"revoked":    key("revoked", Admission, -48*time.Hour, 0, -time.Hour),
		"future":     key("future", Admission, time.Hour, 0, 0),
	}
}

func ring(t testing.TB) *Keyring {
	t.Helper()
	var keys []PublicKey
	for _, key := range testKeys() {
		keys = append(keys, key)
	}
	r, err := NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func alice() *v1alpha1.Identity {
	return &v1alpha1.Identity{
		Username: "oidc:alice", UID: "1000", Groups: []string{"web", "all", "developers"},
		Extra: map[string]v1alpha1.ExtraValue{"example.org/team": {"payments", "checkout"}}, Person: "alice",
	}
}

func bob() v1alpha1.Identity {
	return v1alpha1.Identity{Username: "oidc:bob", Groups: []string{"payments"}, Person: "bob"}
}

func sampleRequest() (*v1alpha1.ActionRequest, RequestStamp) {
	ar := &v1alpha1.ActionRequest{}
	ar.Namespace, ar.Name, ar.UID = "payments", "restart-x7k2p9qa", "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"
	ar.CreationTimestamp = metav1.NewTime(noon.Truncate(time.Second))
	later := metav1.NewTime(noon.Truncate(time.Second).Add(time.Hour))
	ar.Spec = v1alpha1.ActionRequestSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "restart"},
		Inputs:    &runtime.RawExtension{Raw: []byte(`{ "namespace":"payments", "name":"checkout", "percent":12.50 }`)},
		Reason:    "connection \"leak\"\n€ \u202e",
		NotBefore: &later,
		Requester: alice(),
	}
	return ar, RequestStamp{
		Stamp: stamp(0), Nonce: nonceA, ExpiresAt: noon.Add(168 * time.Hour),
		ActionUID: "0b0e3a3c-5d7f-4d0e-9a39-8a54a7f4b001", ActionSpec: sumB,
	}
}

func sampleApproval() *v1alpha1.Approval {
	ap := &v1alpha1.Approval{}
	ap.Namespace, ap.Name, ap.UID = "payments", "restart-x7k2p9qa-approval-9f3c1a7e", "a1b2c3d4-0000-4000-8000-000000000001"
	ap.CreationTimestamp = metav1.NewTime(noon.Truncate(time.Second))
	ap.Spec = v1alpha1.ApprovalSpec{
		RequestRef: v1alpha1.RequestReference{Name: "restart-x7k2p9qa", UID: "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"},
		ActionRef:  v1alpha1.ActionReference{Namespace: "platform", Name: "restart"},
		Stage:      v1alpha1.StageReference{Name: "owners"},
		Digest:     sumA,
		Summary:    []string{"alice asks to run \"Restart a Deployment\" (platform/restart).", "  restart Deployment payments/checkout"},
		Plan:       []v1alpha1.PlannedChange{{Step: "restart", Operation: "patch", Object: "Deployment payments/checkout", Fields: []string{"a: 1 → 2"}}},
		Requirements: []v1alpha1.Requirement{{
			Name: "owner", Count: 1, Approvers: v1alpha1.Approvers{Teams: []string{"payments"}, Users: []string{"oidc:dave", "oidc:carol"}},
		}},
		Denials: 2, CommentOnDeny: v1alpha1.CommentOptional, Reminder: "4h",
		Escalation: &v1alpha1.ApprovalEscalation{
			At: metav1.NewTime(noon.Truncate(time.Second).Add(8 * time.Hour)), Approvers: v1alpha1.Approvers{LeadsOf: []string{"payments"}},
		},
		Requester: *alice(), Reason: "connection leak", For: "connection leak", Needs: "1 of payments", Expires: "24 Nov 12:00Z",
		ExpiresAt: metav1.NewTime(noon.Truncate(time.Second).Add(24 * time.Hour)),
	}
	return ap
}

func sampleVote(after time.Duration, seq int64, prev string) (*v1alpha1.Vote, VoteStamp) {
	vote := &v1alpha1.Vote{
		Decision: v1alpha1.DecisionApprove, Comment: "ok", Voter: bob(), At: metav1.NewMicroTime(noon.Add(after)), Digest: sumA,
	}
	return vote, VoteStamp{
		Cluster: cluster, Seq: seq, Prev: prev,
		Selector: Selector{Kind: "Team", Name: "payments", UID: "5e0c2a00-0000-4000-8000-000000000003"}, RoleUID: "5e0c2a00-0000-4000-8000-000000000004",
	}
}

func sampleRecord() *v1alpha1.Record {
	r := &v1alpha1.Record{}
	r.Namespace, r.Name, r.UID = "signoff-system", "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002", "c0ffee00-0000-4000-8000-000000000002"
	begun := metav1.NewTime(noon.Truncate(time.Second))
	r.Spec = v1alpha1.RecordSpec{
		RequestRef: v1alpha1.RecordRequestReference{Namespace: "payments", Name: "restart-x7k2p9qa", UID: "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"},
		ActionRef:  v1alpha1.ActionReference{Namespace: "platform", Name: "restart"},
		Requester:  *alice(), ServiceAccountName: "restarter", Digest: sumA, ClaimedAt: metav1.NewMicroTime(noon),
		Approvals: []v1alpha1.RecordedApproval{{
			Name: "restart-x7k2p9qa-approval-9f3c1a7e", UID: "a1b2c3d4-0000-4000-8000-000000000001",
			Stage: v1alpha1.StageReference{Name: "owners"}, ApprovedBy: []string{"oidc:bob"}, Votes: 1, Head: sumB,
		}},
		Plan: []v1alpha1.PlannedChange{{Step: "restart", Operation: "patch", Object: "Deployment payments/checkout"}},
		Review: &v1alpha1.RecordedReview{
			Name: "restart-x7k2p9qa-review-0a1b2c3d", UID: "a1b2c3d4-0000-4000-8000-000000000006", DueAt: metav1.NewTime(begun.Add(24 * time.Hour)),
			Requirements: []v1alpha1.Requirement{{Name: "review", Count: 1, Approvers: v1alpha1.Approvers{Groups: []string{"security"}}}},
			Summary:      []string{"alice broke the glass"}, Inputs: &runtime.RawExtension{Raw: []byte(`{"name":"checkout"}`)},
		},
		Timeout: "30m",
		Verdict: &v1alpha1.Verdict{
			Effect: v1alpha1.EffectRequireApproval, EvaluatedAt: begun, Stages: []string{"action/owners"},
			Rules: []v1alpha1.RuleResult{{
				Name: "production", Effect: v1alpha1.EffectRequireApproval, Answer: v1alpha1.RuleApplies,
				Message: "production needs an owner", Because: []string{`limits.data.open is "yes"`},
			}},
			Facts: []v1alpha1.Fact{{Name: "limits", Object: "ConfigMap platform/limits", Version: "4711", ReadAs: "platform/deployer-read", Trust: v1alpha1.TrustRequesterWritable}},
		},
		Steps: []v1alpha1.RenderedStep{{Name: "restart", WaitFor: &v1alpha1.WaitFor{Status: "Current"}, Writes: []v1alpha1.RenderedWrite{{
			Operation:    v1alpha1.WriteStrategicPatch,
			Object:       v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "payments", Name: "checkout"},
			Body:         runtime.RawExtension{Raw: []byte(`{"spec":{"template":{"metadata":{"annotations":{"signoff.dev/restarted-by":"6f1d2c1e"}}}}}`)},
			FieldManager: "signoff/platform/restart/restart",
		}}}},
	}
	end := metav1.NewTime(begun.Add(48 * time.Second))
	r.Status = v1alpha1.RecordStatus{
		Steps:   []v1alpha1.StepStatus{{Name: "restart", State: v1alpha1.StepDone, StartedAt: &begun, FinishedAt: &end}},
		Outcome: v1alpha1.OutcomeSucceeded, FinishedAt: &end,
		Review: &v1alpha1.ReviewResult{State: v1alpha1.ApprovalApproved, Decided: []string{"approved by carol"}, At: end},
		Undo: []v1alpha1.Undo{{
			Step: "restart", FieldManager: "signoff/platform.restart.restart", Created: true, UID: "1d3f8a57-1f2e-4a6b-9c0d-5e6f7a8b9c0d",
			Object: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "payments", Name: "checkout"},
			Fields: []v1alpha1.UndoField{{
				Path:   []v1alpha1.PathElement{{Field: "name", Value: new("app")}},
				Before: &runtime.RawExtension{Raw: []byte(`{"image":"app:1"}`)}, After: &runtime.RawExtension{Raw: []byte(`{"image":"app:2"}`)},
			}},
		}},
		ActiveUntil: &end,
		Revert:      &v1alpha1.Revert{StartedAt: end, Outcome: v1alpha1.OutcomeReverted, Message: "Its time of 2h was over."},
	}
	r.Spec.Duration = "2h"
	return r
}

// must gives what a builder or a signer gives, or ends the test.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func signed(t testing.TB, p Payload) *Envelope {
	t.Helper()
	return must[*Envelope](t)(signer(t, p.Type().Signer(), string(p.Type().Signer())).Sign(p))
}

// sampleEdits is an Action that somebody made and another one changed.
func sampleEdits() (*v1alpha1.Action, Edits) {
	action := &v1alpha1.Action{}
	action.Namespace, action.Name, action.UID = "platform", "restart", "0b0e3a3c-5d7f-4d0e-9a39-8a54a7f4b001"
	return action, Edits{Since: noon.Add(-time.Hour), List: []Edit{
		{Username: "oidc:ada", Person: "ada", At: noon, Spec: sumA}, {Username: "system:serviceaccount:gitops:sync", At: noon.Add(time.Minute), Spec: sumB},
	}}
}

// sampleResolution is what somebody decided about a step.
func sampleResolution() *v1alpha1.Resolution {
	return &v1alpha1.Resolution{
		NewResolution: v1alpha1.NewResolution{Step: "restart", Outcome: v1alpha1.StepSucceeded, Comment: "\"checkout\" restarted at 12:01"}, By: bob(),
	}
}

func sampleDelegation() *v1alpha1.Delegation {
	d := &v1alpha1.Delegation{}
	d.Namespace, d.Name = "platform", "erin-on-leave"
	from, erin := metav1.NewTime(noon.Truncate(time.Second)), bob()
	erin.Username, erin.Person = "oidc:erin", "erin"
	d.Spec = v1alpha1.DelegationSpec{
		To:      v1alpha1.Delegates{Users: []string{"oidc:carol", "oidc:bob"}},
		Actions: []string{"restart", "deploy"}, From: &from, Until: metav1.NewTime(from.Add(14 * 24 * time.Hour)), Reason: "on leave", Principal: &erin,
	}
	return d
}

// samples gives a payload of every type, with as much set as can be.
func samples(t testing.TB) map[Type]Payload {
	t.Helper()
	ar, rs := sampleRequest()
	request := must[*Request](t)(RequestPayload(ar, rs))
	emergency := *request
	emergency.Duration, emergency.OnBehalfOf, emergency.BreakGlass = "2h", "oidc:carol", &BreakGlass{Reason: "checkout is \"down\""}
	emergency.EndsAt = noon.Add(2 * time.Hour).UnixMilli()
	ap := sampleApproval()
	approval := must[*Approval](t)(ApprovalPayload(ap, stamp(time.Second)))
	approval.Stage.Policy, approval.Review = "production", true
	closed, end := ap.DeepCopy(), metav1.NewTime(noon.Truncate(time.Second).Add(time.Hour))
	closed.Status.State, closed.Status.ClosedAt = v1alpha1.ApprovalApproved, &end
	adopted := ar.DeepCopy()
	adopted.Status.Adoption = &v1alpha1.Adoption{Approvals: []v1alpha1.OpenedApproval{{Name: ap.Name, UID: ap.UID}}}
	vote, vs := sampleVote(time.Minute, 1, sumB)
	vote.Delegation = &v1alpha1.VoteDelegation{UID: "de1e0000-0000-4000-8000-000000000005", Seal: sumA, Principal: "oidc:erin"}
	ar.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "not needed", By: alice()}
	act := must[*Act](t)(CancelPayload(ar, stamp(time.Hour)))
	record := must[*Record](t)(RecordPayload(sampleRecord(), stamp(time.Hour)))
	record.Ending = &Ending{Outcome: "Succeeded", Message: "all done"}
	out := map[Type]Payload{
		TypeRequest:  &emergency,
		TypeAdoption: must[*Adoption](t)(AdoptionPayload(adopted, signed(t, request), nonceA, stamp(time.Second))),
		TypeApproval: approval,
		TypeVote:     must[*Vote](t)(VotePayload(ap, vote, vs)),
		TypeHead:     must[*Head](t)(HeadPayload(closed, Position{Count: 2, Hash: sumB}, stamp(time.Hour))),
		TypeCancel:   act,
		TypeCanary:   must[*Canary](t)(CanaryPayload("n/mutating", stamp(0))),
		TypeRecord:   record,
		TypeCheckpoint: must[*Checkpoint](t)(CheckpointPayload(strings.Repeat("0123456789abcdef", 2), Position{Count: 256, Hash: sumA}, ring(t),
			stamp(time.Hour))),
	}
	action, edits := sampleEdits()
	out[TypeEdit] = must[*Act](t)(EditPayload(action, string(action.UID), edits, cluster))
	out[TypeResolve] = must[*Act](t)(ResolvePayload(ar, sampleResolution(), stamp(time.Hour)))
	out[TypeDelegation] = must[*Act](t)(DelegationPayload(sampleDelegation(), stamp(0)))
	return out
}
