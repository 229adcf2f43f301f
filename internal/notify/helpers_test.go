package notify

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(minutes int) metav1.Time {
	return metav1.NewTime(noon.Add(time.Duration(minutes) * time.Minute))
}

const aDigest = "sha256:9f3c1a7e00000000000000000000000000000000000000000000000000000000"

// aRequest is one that was taken up at noon.
func aRequest(change func(*v1alpha1.ActionRequest)) *v1alpha1.ActionRequest {
	request := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "sale", UID: "request-uid", CreationTimestamp: at(0)},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "note"}, Reason: "support must know",
			Inputs:    &runtime.RawExtension{Raw: []byte(`{"text":"the sale","level":"high"}`)},
			Requester: &v1alpha1.Identity{Username: "alice", UID: "1", Person: "alice"},
		},
		Status: v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseAwaitingApproval, Adoption: &v1alpha1.Adoption{}},
	}
	if change != nil {
		change(request)
	}
	return request
}

// anApproval is one that was opened a minute past noon.
func anApproval(change func(*v1alpha1.Approval)) *v1alpha1.Approval {
	approval := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "sale-owners", UID: "approval-uid", CreationTimestamp: at(1)},
		Spec: v1alpha1.ApprovalSpec{
			RequestRef: v1alpha1.RequestReference{Name: "sale", UID: "request-uid"}, Stage: v1alpha1.StageReference{Name: "owners"},
			Digest: aDigest, Needs: "1 of payments", Expires: "Tue 24 Nov 12:01 UTC", ExpiresAt: at(24 * 60), Seal: &v1alpha1.Seal{},
			Requester: v1alpha1.Identity{Username: "alice"},
		},
	}
	if change != nil {
		change(approval)
	}
	return approval
}

func aVote(who string, decision v1alpha1.Decision, minute int) v1alpha1.Vote {
	return v1alpha1.Vote{Decision: decision, Voter: v1alpha1.Identity{Username: who}, At: metav1.NewMicroTime(at(minute).Time), Seal: "v1"}
}

// notifierOf reads the spec of a Notifier.
func notifierOf(t testing.TB, spec string) *v1alpha1.Notifier {
	t.Helper()
	object := &v1alpha1.Notifier{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "chat", UID: types.UID(fmt.Sprint(len(spec)))}}
	if err := yaml.UnmarshalStrict([]byte(spec), &object.Spec); err != nil {
		t.Fatal(err)
	}
	return object
}

func compiled(t testing.TB, spec string) *Notifier {
	t.Helper()
	n, errs := Compile(notifierOf(t, spec))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return n
}

// team is who the people of the tests are.
type team struct{}

func (team) Labels(v1alpha1.ActionReference) map[string]string {
	return map[string]string{"kind": "note"}
}

func (team) Approvers(*v1alpha1.ActionRequest, *v1alpha1.Approval) (users, addresses []string) {
	return []string{"bob", "carol@example.org"}, []string{TeamAddress("payments@example.org")}
}

// telling writes everything.
func telling() Telling {
	return Telling{People: team{}, Source: "/clusters/c", Claim: once()}
}

// once claims each key once.
func once() func(string) bool {
	known := map[string]bool{}
	return func(key string) bool {
		fresh := !known[key]
		known[key] = true
		return fresh
	}
}
