package evidence

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	cluster = "3f1a8c52-70b7-4a8e-9d0f-5f8d2c6b1a01"
	nonce   = "00112233445566778899aabbccddeeff"
	digest  = "sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e"
)

// noon is more exact than what is stored, as a clock is.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 123_456_789, time.UTC)

// keys are those of a process that holds both.
type keys struct {
	signers map[seal.Purpose]*seal.Signer
	ring    *seal.Keyring
}

func newKeys(t *testing.T, name string) *keys {
	t.Helper()
	k := &keys{signers: map[seal.Purpose]*seal.Signer{}}
	var public []seal.PublicKey
	for _, purpose := range []seal.Purpose{seal.Admission, seal.Controller} {
		seed := sha256.Sum256([]byte(name + string(purpose)))
		signer, err := seal.NewSigner(purpose, ed25519.NewKeyFromSeed(seed[:]))
		if err != nil {
			t.Fatal(err)
		}
		k.signers[purpose] = signer
		public = append(public, seal.PublicKey{Key: signer.Public(), Purpose: purpose, NotBefore: noon.Add(-time.Hour)})
	}
	ring, err := seal.NewKeyring(public...)
	if err != nil {
		t.Fatal(err)
	}
	k.ring = ring
	return k
}

// keyLost is the error of a process whose key is gone.
type keyLost struct{ error }

func (keyLost) KeyState() string { return "KeyLost" }

func (keyLost) Lasting() bool { return true }

func (k *keys) Sign(p seal.Payload) (*seal.Envelope, error) {
	signer := k.signers[p.Type().Signer()]
	if signer == nil {
		return nil, keyLost{errors.New("the key is lost")}
	}
	return signer.Sign(p)
}

func (k *keys) Keyed(purpose seal.Purpose, message []byte) (string, []byte, error) {
	signer := k.signers[purpose]
	if signer == nil {
		return "", nil, keyLost{errors.New("the key is lost")}
	}
	return signer.KeyID(), signer.Keyed(message), nil
}

func (k *keys) Refresh() bool { return true }

func (k *keys) Keyring() *seal.Keyring { return k.ring }

// stored gives an object as the API server would give it back.
func stored[T any](t *testing.T, object *T) *T {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world holds one sealed object of each kind.
type world struct {
	book     *Book
	request  *v1alpha1.ActionRequest
	approval *v1alpha1.Approval
	record   *v1alpha1.Record
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{book: NewBook(cluster, newKeys(t, "one"))}
	alice := v1alpha1.Identity{Username: "alice", Groups: []string{"b", "a"}}
	ar := &v1alpha1.ActionRequest{}
	ar.Namespace, ar.Name = "payments", "restart-1"
	ar.Spec = v1alpha1.ActionRequestSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "restart"}, Requester: &alice, Reason: "leak",
		Inputs: &runtime.RawExtension{Raw: []byte(`{"name":"checkout"}`)},
	}
	ok(t, w.book.SealRequest(ar, Seen{UID: "a-1", Digest: digest, Ends: noon.Add(time.Hour)}, nonce, noon))
	ar.UID, ar.CreationTimestamp = "u-1", metav1.NewTime(noon.Truncate(time.Second))
	ar.Status.Adoption = &v1alpha1.Adoption{Approvals: []v1alpha1.OpenedApproval{{Name: "restart-1-owners", UID: "p-1"}}}
	envelope, err := w.book.Request(stored(t, ar))
	ok(t, err)
	ok(t, w.book.Adopt(ar, envelope, noon))
	ar.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "no need", By: &alice}
	ok(t, w.book.SealCancellation(ar, noon))
	w.request = stored(t, ar)
	w.approval = stored(t, w.newApproval(t))
	w.record = &v1alpha1.Record{}
	w.record.Namespace, w.record.Name = "signoff-system", "u-1"
	w.record.Spec = v1alpha1.RecordSpec{
		RequestRef: v1alpha1.RecordRequestReference{Namespace: "payments", Name: "restart-1", UID: "u-1"}, ActionRef: ar.Spec.ActionRef,
		Requester: alice, ServiceAccountName: "restarter", Digest: digest, ClaimedAt: Instant(noon), Timeout: "30m",
	}
	ok(t, w.book.SealClaim(w.record, noon))
	w.record = stored(t, w.record)
	return w
}

// newApproval has two votes, of which the operator has seen the first.
func (w *world) newApproval(t *testing.T) *v1alpha1.Approval {
	t.Helper()
	ap := &v1alpha1.Approval{}
	ap.Namespace, ap.Name = "payments", "restart-1-owners"
	ap.Spec = v1alpha1.ApprovalSpec{
		RequestRef: v1alpha1.RequestReference{Name: "restart-1", UID: "u-1"}, ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "restart"},
		Stage: v1alpha1.StageReference{Name: "owners"}, Digest: digest, Summary: []string{"alice asks"}, Needs: "1", Expires: "later",
		Requirements: []v1alpha1.Requirement{{Name: "owner", Count: 1, Approvers: v1alpha1.Approvers{Teams: []string{"payments"}}}},
		Requester:    v1alpha1.Identity{Username: "alice"}, ExpiresAt: metav1.NewTime(noon.Add(time.Hour).Truncate(time.Second)),
	}
	_, err := w.book.SealApproval(ap, noon)
	ok(t, err)
	ap.UID, ap.Status.State = "p-1", v1alpha1.ApprovalOpen
	for i, who := range []string{"bob", "carol"} {
		ap.Spec.Votes = append(ap.Spec.Votes, v1alpha1.Vote{
			Decision: v1alpha1.DecisionDeny, Comment: "no", Voter: v1alpha1.Identity{Username: who}, Digest: digest,
			At: Instant(noon.Add(time.Duration(i+1) * time.Minute)),
		})
		ok(t, w.book.SealVote(ap))
		if i == 0 {
			ballot, err := w.book.Approval(ap)
			ok(t, err)
			ok(t, w.book.SealHead(ap, ballot, noon.Add(time.Minute)))
		}
	}
	return ap
}

// TestWhatIsGenuine passes through the API server and back.
func TestWhatIsGenuine(t *testing.T) {
	w := newWorld(t)
	envelope, err := w.book.Request(w.request)
	ok(t, err)
	if adoption, err := w.book.Adopted(w.request, envelope); err != nil || adoption == nil {
		t.Errorf("adopted: got %v, %v", adoption, err)
	}
	ok(t, w.book.Fresh(w.request, noon))
	_, err = w.book.Cancellation(w.request)
	ok(t, err)
	ballot, err := w.book.Approval(w.approval)
	ok(t, err)
	if ballot.End.Count != 2 || len(ballot.Votes) != 2 {
		t.Errorf("two votes: got %+v", ballot)
	}
	_, err = w.book.Record(w.record)
	ok(t, err)
	w.record.Status.Outcome = v1alpha1.OutcomeSucceeded
	ok(t, w.book.SealRecord(w.record, noon))
	_, err = w.book.Record(stored(t, w.record))
	ok(t, err)
	// Another process knows the public keys and remembers nothing.
	_, err = NewBook(cluster, newKeys(t, "one")).Approval(w.approval)
	ok(t, err)
}

// TestForgeries changes one thing each, and says what that means.
func TestForgeries(t *testing.T) {
	request := func(change func(*v1alpha1.ActionRequest)) func(*world) error {
		return func(w *world) error {
			change(w.request)
			envelope, err := w.book.Request(w.request)
			if err != nil {
				return err
			}
			if _, err := w.book.Adopted(w.request, envelope); err != nil {
				return err
			}
			if err := w.book.Fresh(w.request, noon); err != nil {
				return err
			}
			_, err = w.book.Cancellation(w.request)
			return err
		}
	}
	approval := func(change func(*v1alpha1.Approval)) func(*world) error {
		return func(w *world) error {
			change(w.approval)
			_, err := w.book.Approval(w.approval)
			return err
		}
	}
	record := func(change func(*v1alpha1.Record)) func(*world) error {
		return func(w *world) error {
			change(w.record)
			_, err := w.book.Record(w.record)
			return err
		}
	}
	for name, tc := range map[string]struct {
		try    func(*world) error
		reason string
		words  string
	}{
		"NoRequester":    {request(func(r *v1alpha1.ActionRequest) { r.Spec.Requester = nil }), v1alpha1.ReasonNotStamped, "webhook was absent"},
		"NoSeal":         {request(func(r *v1alpha1.ActionRequest) { r.Spec.Seal = nil }), v1alpha1.ReasonNotStamped, "webhook was absent"},
		"OtherRequester": {request(func(r *v1alpha1.ActionRequest) { r.Spec.Requester.Username = "bob" }), v1alpha1.ReasonSealInvalid, "belongs to something else"},
		"OtherInputs":    {request(func(r *v1alpha1.ActionRequest) { r.Spec.Inputs.Raw = []byte(`{"name":"other"}`) }), v1alpha1.ReasonSealInvalid, "belongs to something else"},
		"OtherName":      {request(func(r *v1alpha1.ActionRequest) { r.Name = "restart-2" }), v1alpha1.ReasonSealInvalid, "belongs to something else"},
		"OtherNamespace": {request(func(r *v1alpha1.ActionRequest) { r.Namespace = "search" }), v1alpha1.ReasonSealInvalid, "belongs to something else"},
		"Emergency":      {request(func(r *v1alpha1.ActionRequest) { r.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: "x"} }), v1alpha1.ReasonSealInvalid, "belongs to something else"},
		"OtherTime":      {request(func(r *v1alpha1.ActionRequest) { r.Spec.Seal.At = Instant(noon.Add(time.Second)) }), v1alpha1.ReasonSealInvalid, "belongs to something else"},
		"Rubbish":        {request(func(r *v1alpha1.ActionRequest) { r.Spec.Seal.Signature = "v1.x" }), v1alpha1.ReasonSealInvalid, "no valid seal"},
		"RestoredLater": {request(func(r *v1alpha1.ActionRequest) {
			r.CreationTimestamp = metav1.NewTime(noon.Add(2 * time.Minute).Truncate(time.Second))
		}), v1alpha1.ReasonSealInvalid, "taken up"},
		"RestoredAndCut": {request(func(r *v1alpha1.ActionRequest) {
			r.CreationTimestamp, r.Status.Adoption = metav1.NewTime(noon.Add(2*time.Minute).Truncate(time.Second)), nil
		}), v1alpha1.ReasonReplayed, "not new"},
		"OtherUID":          {request(func(r *v1alpha1.ActionRequest) { r.UID = "u-2" }), v1alpha1.ReasonSealInvalid, "taken up"},
		"ApprovalForgotten": {request(func(r *v1alpha1.ActionRequest) { r.Status.Adoption.Approvals = nil }), v1alpha1.ReasonSealInvalid, "taken up"},
		"OtherCanceller":    {request(func(r *v1alpha1.ActionRequest) { r.Spec.Cancellation.By.Username = "bob" }), v1alpha1.ReasonSealInvalid, "the cancellation"},
		"UnsealedCancel":    {request(func(r *v1alpha1.ActionRequest) { r.Spec.Cancellation.Seal = nil }), v1alpha1.ReasonNotStamped, "the cancellation"},
		"ApprovalNoSeal":    {approval(func(a *v1alpha1.Approval) { a.Spec.Seal = nil }), v1alpha1.ReasonSealInvalid, "not opened by Signoff"},
		"OtherQuorum":       {approval(func(a *v1alpha1.Approval) { a.Spec.Requirements[0].Approvers.Teams = []string{"all"} }), v1alpha1.ReasonSealInvalid, "the Approval"},
		"OtherDigest":       {approval(func(a *v1alpha1.Approval) { a.Spec.Digest = strings.Replace(digest, "9", "8", 1) }), v1alpha1.ReasonSealInvalid, "the Approval"},
		"OtherSummary":      {approval(func(a *v1alpha1.Approval) { a.Spec.Summary = []string{"harmless"} }), v1alpha1.ReasonSealInvalid, "the Approval"},
		"VoteTurned":        {approval(func(a *v1alpha1.Approval) { a.Spec.Votes[0].Decision = v1alpha1.DecisionApprove }), v1alpha1.ReasonSealInvalid, "vote 1"},
		"VoteOfAnother":     {approval(func(a *v1alpha1.Approval) { a.Spec.Votes[1].Voter.Username = "dave" }), v1alpha1.ReasonSealInvalid, "vote 2"},
		"VoteForged": {approval(func(a *v1alpha1.Approval) {
			a.Spec.Votes = append(a.Spec.Votes, v1alpha1.Vote{Decision: v1alpha1.DecisionApprove, Voter: v1alpha1.Identity{Username: "dave"}, Digest: digest, At: Instant(noon)})
		}), v1alpha1.ReasonNotStamped, "vote 3"},
		"VoteCopied":         {approval(func(a *v1alpha1.Approval) { a.Spec.Votes = append(a.Spec.Votes, a.Spec.Votes[0]) }), v1alpha1.ReasonSealInvalid, "vote 3"},
		"FirstVoteCut":       {approval(func(a *v1alpha1.Approval) { a.Spec.Votes = a.Spec.Votes[1:] }), v1alpha1.ReasonSealInvalid, "vote 1"},
		"AllVotesCut":        {approval(func(a *v1alpha1.Approval) { a.Spec.Votes = nil }), v1alpha1.ReasonEvidenceLost, "has 0 votes, and had 1"},
		"VotesSwapped":       {approval(func(a *v1alpha1.Approval) { a.Spec.Votes[0], a.Spec.Votes[1] = a.Spec.Votes[1], a.Spec.Votes[0] }), v1alpha1.ReasonSealInvalid, "vote 1"},
		"VotesElsewhere":     {approval(func(a *v1alpha1.Approval) { a.UID = "p-2" }), v1alpha1.ReasonSealInvalid, "vote 1"},
		"ClosedByOthers":     {approval(func(a *v1alpha1.Approval) { a.Status.State = v1alpha1.ApprovalSuperseded }), v1alpha1.ReasonSealInvalid, "how the Approval"},
		"ClosedAndCut":       {approval(func(a *v1alpha1.Approval) { a.Status.State, a.Status.Seal = v1alpha1.ApprovalApproved, nil }), v1alpha1.ReasonSealInvalid, "not by Signoff"},
		"HeadCountedLess":    {approval(func(a *v1alpha1.Approval) { a.Status.Seal.Votes = 0 }), v1alpha1.ReasonSealInvalid, "how the Approval"},
		"RecordNoSeal":       {record(func(r *v1alpha1.Record) { r.Spec.Seal = nil }), v1alpha1.ReasonSealInvalid, "no seal"},
		"RecordOtherAccount": {record(func(r *v1alpha1.Record) { r.Spec.ServiceAccountName = "admin" }), v1alpha1.ReasonSealInvalid, "the Record"},
		"RecordOutcome":      {record(func(r *v1alpha1.Record) { r.Status.Outcome = v1alpha1.OutcomeSucceeded }), v1alpha1.ReasonSealInvalid, "no seal"},
		"UnknownKeys": {func(w *world) error {
			_, err := NewBook(cluster, newKeys(t, "two")).Request(w.request)
			return err
		}, v1alpha1.ReasonIndeterminate, "not known here"},
		"OtherCluster": {func(w *world) error {
			_, err := NewBook("other", newKeys(t, "one")).Request(w.request)
			return err
		}, v1alpha1.ReasonSealInvalid, "belongs to something else"},
		"NoKey": {func(w *world) error {
			delete(w.book.keys.(*keys).signers, seal.Admission)
			return w.book.SealVote(w.approval)
		}, v1alpha1.ReasonKeyLost, "cannot seal"},
		"VoteOnForgery": {func(w *world) error {
			w.approval.Spec.Needs = "nobody"
			w.approval.Spec.Votes[0].Comment = "yes"
			w.approval.Spec.Votes = append(w.approval.Spec.Votes, v1alpha1.Vote{})
			return w.book.SealVote(w.approval)
		}, v1alpha1.ReasonSealInvalid, "the Approval"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.try(newWorld(t))
			if err == nil {
				t.Fatal("it is taken for genuine")
			}
			if got := Of(err); !Is(err) || got.Reason != tc.reason || !strings.Contains(got.Message, tc.words) {
				t.Errorf("got %s: %v; want %s with %q", got.Reason, err, tc.reason, tc.words)
			}
		})
	}
}

// TestUnsealedAdoption leaves nothing in the status of a request that cannot be taken up: it could not be written.
func TestUnsealedAdoption(t *testing.T) {
	w := newWorld(t)
	envelope, err := w.book.Request(w.request)
	ok(t, err)
	delete(w.book.keys.(*keys).signers, seal.Controller)
	for name, before := range map[string]*v1alpha1.Adoption{"New": nil, "Again": w.request.Status.Adoption} {
		w.request.Status.Adoption = before.DeepCopy()
		if err := Of(w.book.Adopt(w.request, envelope, noon.Add(time.Hour))); err.Reason != v1alpha1.ReasonKeyLost || !err.Lasting {
			t.Errorf("%s: got %v", name, err)
		}
		if diff := cmp.Diff(before, w.request.Status.Adoption); diff != "" {
			t.Errorf("%s: -before, +after\n%s", name, diff)
		}
	}
}

// TestWaiting tells apart what may be valid at another look.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	if _, err := NewBook(cluster, newKeys(t, "two")).Request(w.request); !Of(err).Wait {
		t.Errorf("a key may have been published a moment ago: got %v", err)
	}
	w.request.Spec.Reason = "other"
	if _, err := w.book.Request(w.request); Of(err).Wait {
		t.Errorf("a forgery stays one: got %v", err)
	}
	if other := errors.New("the network is down"); !Of(other).Wait || Is(other) {
		t.Error("an error of something else is no evidence")
	}
}

// TestSealEnds: the seal of a request outlasts the request by a week, and nothing by more than its Record is kept.
func TestSealEnds(t *testing.T) {
	for name, tc := range map[string]struct{ ends, want time.Duration }{
		"Short":   {time.Hour, time.Hour + Grace},
		"Longest": {MaxAge - Grace, MaxAge},
		"Bounded": {MaxAge, MaxAge},
		"Years":   {10 * MaxAge, MaxAge},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sealEnds(noon, noon.Add(tc.ends)).Sub(noon.Truncate(time.Second)); got != tc.want {
				t.Errorf("want %s, got %s", tc.want, got)
			}
		})
	}
}
