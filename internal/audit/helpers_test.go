package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	testCluster = "3f1a8c52-70b7-4a8e-9d0f-5f8d2c6b1a01"
	testDigest  = "sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e"
	nonce       = "00112233445566778899aabbccddeeff"
)

var (
	noon   = time.Date(2026, 11, 23, 12, 0, 0, 123_000_000, time.UTC)
	chainA = strings.Repeat("a1", 16)
	chainB = strings.Repeat("b2", 16)
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// keyring holds both private keys of the tests.
type keyring struct {
	signers map[seal.Purpose]*seal.Signer
	ring    *seal.Keyring
	fails   error
}

func newKeyring(t testing.TB, names ...string) *keyring {
	t.Helper()
	k := &keyring{signers: map[seal.Purpose]*seal.Signer{}}
	var keys []seal.PublicKey
	for i, purpose := range []seal.Purpose{seal.Admission, seal.Controller} {
		name := string(purpose)
		if i < len(names) {
			name = names[i]
		}
		seed := sha256.Sum256([]byte("signoff test key " + name))
		s := must[*seal.Signer](t)(seal.NewSigner(purpose, ed25519.NewKeyFromSeed(seed[:])))
		k.signers[purpose] = s
		keys = append(keys, seal.PublicKey{Key: s.Public(), Purpose: purpose, NotBefore: noon.Add(-time.Hour)})
	}
	k.ring = must[*seal.Keyring](t)(seal.NewKeyring(keys...))
	return k
}

func (k *keyring) Sign(p seal.Payload) (*seal.Envelope, error) {
	if k.fails != nil {
		return nil, k.fails
	}
	return k.signers[p.Type().Signer()].Sign(p)
}

func (k *keyring) Keyring() *seal.Keyring { return k.ring }

// story is a request from its beginning to its end, sealed.
type story struct {
	t        testing.TB
	keys     *keyring
	ar       *v1alpha1.ActionRequest
	ap       *v1alpha1.Approval
	record   *v1alpha1.Record
	request  *seal.Envelope
	adoption *seal.Envelope
	approval *seal.Envelope
	votes    []*seal.Envelope
}

func stampAt(after time.Duration) seal.Stamp {
	return seal.Stamp{Cluster: testCluster, IssuedAt: noon.Add(after)}
}

func newStory(t testing.TB, keys *keyring, name string, review bool) *story {
	t.Helper()
	s := &story{t: t, keys: keys, ar: &v1alpha1.ActionRequest{}, ap: &v1alpha1.Approval{}}
	uid := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:32]
	s.ar.Namespace, s.ar.Name, s.ar.UID = "payments", name, runtimeUID(uid)
	s.ar.CreationTimestamp = metav1.NewTime(noon.Truncate(time.Second))
	s.ar.Spec = v1alpha1.ActionRequestSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "restart"}, Reason: "leak",
		Inputs:    &runtime.RawExtension{Raw: []byte(`{"name":"checkout"}`)},
		Requester: &v1alpha1.Identity{Username: "alice", Groups: []string{"developers"}},
	}
	request := must[*seal.Request](t)(seal.RequestPayload(s.ar, seal.RequestStamp{
		Stamp: stampAt(0), Nonce: nonce, ExpiresAt: noon.Add(time.Hour), ActionUID: "a", ActionSpec: testDigest,
	}))
	s.request = s.sign(request)
	s.adoption = s.sign(must[*seal.Adoption](t)(seal.AdoptionPayload(s.ar, s.request, nonce, stampAt(time.Second))))
	s.ap.Namespace, s.ap.Name, s.ap.UID = "payments", name+"-owners", runtimeUID("ap-"+uid)
	s.ap.CreationTimestamp = s.ar.CreationTimestamp
	sealedAt := &v1alpha1.Seal{At: metav1.NewMicroTime(noon.Add(time.Second))}
	s.ap.Spec = v1alpha1.ApprovalSpec{
		RequestRef: v1alpha1.RequestReference{Name: name, UID: s.ar.UID}, ActionRef: s.ar.Spec.ActionRef,
		Stage: v1alpha1.StageReference{Name: "owners"}, Digest: testDigest, Summary: []string{"secret-looking old value hunter2"}, Needs: "1", Expires: "later",
		Requirements: []v1alpha1.Requirement{{Name: "owner", Count: 1, Approvers: v1alpha1.Approvers{Teams: []string{"payments"}}}},
		Requester:    *s.ar.Spec.Requester, ExpiresAt: metav1.NewTime(noon.Truncate(time.Second).Add(time.Hour)), Review: review, Seal: sealedAt,
	}
	s.approval = s.sign(must[*seal.Approval](t)(seal.ApprovalPayload(s.ap, stampAt(time.Second))))
	s.record = s.newRecord()
	return s
}

func (s *story) newRecord() *v1alpha1.Record {
	r := &v1alpha1.Record{}
	r.Namespace, r.Name, r.UID = "signoff-system", string(s.ar.UID), "r-"+s.ar.UID
	r.Spec = v1alpha1.RecordSpec{
		RequestRef: v1alpha1.RecordRequestReference{Namespace: "payments", Name: s.ar.Name, UID: s.ar.UID}, ActionRef: s.ar.Spec.ActionRef,
		Requester: *s.ar.Spec.Requester, ServiceAccountName: "restarter", Digest: testDigest, ClaimedAt: metav1.NewMicroTime(noon.Add(3 * time.Minute)), Timeout: "30m",
		Steps: []v1alpha1.RenderedStep{{Name: "restart", Writes: []v1alpha1.RenderedWrite{{
			Operation: v1alpha1.WriteMergePatch, Body: runtime.RawExtension{Raw: []byte(`{"password":"hunter2"}`)},
			Object: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "payments", Name: "checkout"},
		}}}},
	}
	return r
}

func (s *story) sign(p seal.Payload) *seal.Envelope {
	s.t.Helper()
	return must[*seal.Envelope](s.t)(s.keys.Sign(p))
}

func (s *story) sealedRecord() *seal.Envelope {
	s.t.Helper()
	return s.sign(must[*seal.Record](s.t)(seal.RecordPayload(s.record, stampAt(4*time.Minute))))
}

// vote adds a vote, and gives its event.
func (s *story) vote(who string, decision v1alpha1.Decision) Event {
	s.t.Helper()
	prev, number := s.approval.Hash(), len(s.votes)
	if number > 0 {
		prev = s.votes[number-1].Hash()
	}
	vote := v1alpha1.Vote{
		Decision: decision, Comment: "because", Digest: testDigest, Voter: v1alpha1.Identity{Username: who},
		At: metav1.NewMicroTime(noon.Add(time.Duration(number+1) * time.Minute)),
	}
	s.ap.Spec.Votes = append(s.ap.Spec.Votes, vote)
	p := must[*seal.Vote](s.t)(seal.VotePayload(s.ap, &vote, seal.VoteStamp{Cluster: testCluster, Seq: int64(number), Prev: prev}))
	s.votes = append(s.votes, s.sign(p))
	return Voted(s.ap, number, s.votes[number])
}

func (s *story) requested() Event {
	s.t.Helper()
	in := must[*Inputs](s.t)(NewInputs(map[string]any{"name": "checkout", "token": "hunter2", "percent": 12.5}, false))
	return Requested(s.ar, s.request, s.adoption, in, noon)
}

func (s *story) finished(outcome v1alpha1.Outcome) Event {
	s.record.Status.Outcome, s.record.Status.Message = outcome, "Deployment payments/checkout is there"
	return Finished(s.record, s.sealedRecord(), noon.Add(5*time.Minute))
}

// log is a log in memory.
type log struct {
	t *testing.T
	bytes.Buffer
	*Writer
	keys *keyring
}

func newLog(t *testing.T, keys *keyring, chain string, previous *Position) *log {
	t.Helper()
	l := &log{t: t, keys: keys}
	l.Writer = must[*Writer](t)(Start(&l.Buffer, keys, testCluster, chain, previous, noon))
	return l
}

func (l *log) add(events ...Event) {
	l.t.Helper()
	for i := range events {
		if _, err := l.Append(&events[i]); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *log) checkpoint() {
	l.t.Helper()
	if err := l.Checkpoint(noon.Add(6 * time.Minute)); err != nil {
		l.t.Fatal(err)
	}
}

// newFullLog has 16 lines: the first checkpoint is line 8, the second line 14.
func newFullLog(t *testing.T, keys *keyring) *log {
	t.Helper()
	l := newLog(t, keys, chainA, nil) // 1
	s := newStory(t, keys, "restart-1", false)
	l.add(s.requested(), Opened(s.ap, s.approval))                                                                                      // 2, 3
	l.add(s.vote("bob", v1alpha1.DecisionApprove), s.vote("bob", v1alpha1.DecisionWithdraw), s.vote("carol", v1alpha1.DecisionApprove)) // 4, 5, 6
	s.ap.Status.State = v1alpha1.ApprovalApproved
	l.add(Closed(s.ap, noon.Add(3*time.Minute)))                                                                                                                                                 // 7
	l.checkpoint()                                                                                                                                                                               // 8
	l.add(Started(s.record, s.sealedRecord()))                                                                                                                                                   // 9
	l.add(Stepped(s.record, &v1alpha1.StepStatus{Name: "restart", State: v1alpha1.StepStarted}, noon), Stepped(s.record, &v1alpha1.StepStatus{Name: "restart", State: v1alpha1.StepDone}, noon)) // 10, 11
	l.add(s.finished(v1alpha1.OutcomeSucceeded))                                                                                                                                                 // 12
	other := newStory(t, keys, "restart-2", false)
	l.add(other.requested())                                                                                                             // 13
	l.checkpoint()                                                                                                                       // 14
	l.add(Expired(other.ar, "time ran out", noon), Rejected(other.ar, "NotSealed", "it was written while the webhook was absent", noon)) // 15, 16
	return l
}

func (l *log) list() []string {
	lines := strings.SplitAfter(l.String(), "\n")
	return lines[:len(lines)-1]
}

func runtimeUID(s string) types.UID { return types.UID(s) }

// rechain makes all hashes from a line on anew, as somebody would who has no key.
func rechain(t *testing.T, lines []string, from int) []string {
	t.Helper()
	prev := ""
	if from > 0 {
		prev = canonical.Sum([]byte(strings.TrimSuffix(lines[from-1], "\n")))
	}
	for i := from; i < len(lines); i++ {
		lines[i] = with(t, lines[i], func(m map[string]any) { m["prev"] = prev; m["sequence"] = fmt.Sprintf("%016d", i+1) })
		prev = canonical.Sum([]byte(strings.TrimSuffix(lines[i], "\n")))
	}
	return lines
}

// with changes a line as JSON.
func with(t *testing.T, text string, change func(map[string]any)) string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	m := map[string]any{}
	if err := decoder.Decode(&m); err != nil {
		t.Fatal(err)
	}
	change(m)
	return string(must[[]byte](t)(canonical.Encode(m))) + "\n"
}

// dig gives the object at a path.
func dig(t *testing.T, m map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, name := range path {
		next, ok := m[name].(map[string]any)
		if !ok {
			t.Fatalf("there is no %s in %v", name, m)
		}
		m = next
	}
	return m
}
