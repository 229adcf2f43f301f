package seal

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// sealedBy seals a request with one of the test keys, whatever the key is for.
func sealedBy(t *testing.T, name string, p Payload) string {
	t.Helper()
	body := must[[]byte](t)(encode(p))
	key := testKey(name)
	public, _ := key.Public().(ed25519.PublicKey)
	s := Seal{Version: 1, KeyID: KeyID(public)}
	copy(s.Signature[:], ed25519.Sign(key, PAE(p.Type(), body)))
	return s.String()
}

func TestVerify(t *testing.T) {
	ar, rs := sampleRequest()
	for name, tc := range map[string]struct {
		reason string
		key    string
		change func(p *Request) Payload
		text   func(string) string
		want   Reason
		wait   bool
	}{
		"Valid":        {reason: "nothing is wrong with it", key: "admission"},
		"UnknownKey":   {reason: "it may have been published a moment ago", key: "stranger", want: UnknownKey, wait: true},
		"Retired":      {reason: "who still has the key signs after its end", key: "retired", want: Retired},
		"Revoked":      {reason: "the key was in wrong hands then", key: "revoked", want: Revoked},
		"NotYetValid":  {reason: "the key was not in use then", key: "future", want: NotYetValid},
		"WrongPurpose": {reason: "the controller must not be able to make a request", key: "controller", want: WrongPurpose},
		"Changed":      {reason: "the object was changed", key: "admission", change: func(p *Request) Payload { p.Reason = "other"; return p }, want: Mismatch},
		"ChangedTime": {
			reason: "a time that was made up is not blamed on the key", key: "admission",
			change: func(p *Request) Payload { p.IssuedAt = noon.Add(-240 * time.Hour).UnixMilli(); return p }, want: Mismatch,
		},
		"Incomplete": {reason: "there is nothing to compare with", key: "admission", change: func(p *Request) Payload { p.Nonce = ""; return p }, want: Malformed},
		"InvalidText": {
			reason: "encoders replace it, so that two texts would have one form", key: "admission",
			change: func(p *Request) Payload { p.Reason = "\xff"; return p }, want: Malformed,
		},
		"TooLarge": {
			reason: "work is bounded", key: "admission",
			change: func(p *Request) Payload { p.Reason = strings.Repeat("x", MaxBody); return p }, want: Malformed,
		},
		"OtherType": {
			reason: "a seal is for one type", key: "admission",
			change: func(p *Request) Payload {
				return &Act{Common: p.Common, Name: p.Name, UID: "u", Actor: p.Requester, Content: sumA, act: TypeCancel}
			}, want: Mismatch,
		},
		"OtherPurpose": {
			reason: "a key of the webhook adopts nothing", key: "admission",
			change: func(p *Request) Payload {
				return &Adoption{Common: p.Common, Name: p.Name, UID: "u", Nonce: p.Nonce, CreatedAt: 1, Request: sumA}
			}, want: WrongPurpose,
		},
		"NewerVersion": {
			reason: "a newer replica sealed it; an older one must not call it forged", key: "admission",
			text: func(s string) string { return "v2" + s[2:] }, want: UnknownVersion, wait: true,
		},
		"Empty":       {reason: "it was stored without the webhook", key: "admission", text: func(string) string { return "" }, want: Malformed},
		"Padding":     {reason: "one signature has one text", key: "admission", text: func(s string) string { return s + "==" }, want: Malformed},
		"StdEncoding": {reason: "one signature has one text", key: "admission", text: stdEncoding, want: Malformed},
		"Blank":       {reason: "one signature has one text", key: "admission", text: func(s string) string { return s + " " }, want: Malformed},
		"UpperCase":   {reason: "one key has one name", key: "admission", text: strings.ToUpper, want: Malformed},
		"FourParts":   {reason: "it is something else", key: "admission", text: func(s string) string { return s + ".x" }, want: Malformed},
		"Version0":    {reason: "there is none", key: "admission", text: func(s string) string { return "v0" + s[2:] }, want: Malformed},
		"Version01":   {reason: "one version has one text", key: "admission", text: func(s string) string { return "v01" + s[2:] }, want: Malformed},
		"Huge":        {reason: "work is bounded", key: "admission", text: func(s string) string { return s + strings.Repeat("A", 1<<20) }, want: Malformed},
		"OtherSignature": {
			reason: "the seal was changed", key: "admission",
			text: func(s string) string {
				return s[:len(s)-5] + map[bool]string{true: "B", false: "A"}[s[len(s)-5] == 'A'] + s[len(s)-4:]
			}, want: Mismatch,
		},
		"OtherKeyID": {
			reason: "the name of the key is not signed, and does not need to be", key: "admission",
			text: func(s string) string { k := testKeys()["retired"]; return "v1." + k.ID() + s[19:] }, want: Mismatch,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := must[*Request](t)(RequestPayload(ar, rs))
			text := sealedBy(t, tc.key, p)
			if tc.text != nil {
				text = tc.text(text)
			}
			var given Payload = p
			if tc.change != nil {
				given = tc.change(p)
			}
			for _, v := range []*Verifier{{}, NewVerifier(8)} {
				for range 2 {
					e, err := v.Verify(given, text, ring(t))
					if ReasonOf(err) != tc.want || (err == nil) != (e != nil) || (err == nil) != (tc.want == "") {
						t.Errorf("%s: got %v, %q (%v), want %q", tc.reason, e, ReasonOf(err), err, tc.want)
					}
					if tc.want.Wait() != tc.wait {
						t.Errorf("%s: waiting is %v, want %v", tc.reason, !tc.wait, tc.wait)
					}
				}
			}
		})
	}
}

func stdEncoding(s string) string {
	return strings.NewReplacer("-", "+", "_", "/").Replace(s[:len(s)-86]) + strings.Repeat("+", 86)
}

// TestVerifyAgain is about what is remembered: a signature that was good stays good, and whether its key counts is asked again.
func TestVerifyAgain(t *testing.T) {
	ar, rs := sampleRequest()
	p := must[*Request](t)(RequestPayload(ar, rs))
	text, v := sealedBy(t, "admission", p), NewVerifier(2)
	if _, err := v.Verify(p, text, ring(t)); err != nil {
		t.Fatal(err)
	}
	if v.good.Len() != 1 {
		t.Errorf("%d signatures are remembered, want 1", v.good.Len())
	}
	key := testKeys()["admission"]
	key.RevokedAt = noon.Add(-time.Second)
	revoked := must[*Keyring](t)(NewKeyring(key))
	if _, err := v.Verify(p, text, revoked); ReasonOf(err) != Revoked {
		t.Errorf("after the key was revoked: got %v", err)
	}
	if _, err := v.Verify(p, text, nil); ReasonOf(err) != UnknownKey {
		t.Errorf("after the key was dropped: got %v", err)
	}
	bad := *p
	for i := range 10 {
		bad.Reason = fmt.Sprint(i)
		if _, err := v.Verify(&bad, text, ring(t)); ReasonOf(err) != Mismatch {
			t.Errorf("a changed request: got %v", err)
		}
	}
	if v.good.Len() != 1 {
		t.Errorf("bad seals are remembered: %d", v.good.Len())
	}
	for i := range 10 {
		bad.Reason = fmt.Sprint(i)
		if _, err := v.Verify(&bad, sealedBy(t, "admission", &bad), ring(t)); err != nil {
			t.Error(err)
		}
	}
	if v.good.Len() != 2 {
		t.Errorf("%d signatures are remembered, more than 2", v.good.Len())
	}
}

func TestVerifyConcurrently(t *testing.T) {
	ar, rs := sampleRequest()
	p := must[*Request](t)(RequestPayload(ar, rs))
	text, v, keys := sealedBy(t, "admission", p), NewVerifier(2), ring(t)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				if _, err := v.Verify(p, text, keys); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

// TestBuildersRefuse is about objects that have no payload.
func TestBuildersRefuse(t *testing.T) {
	type objects struct {
		ar   *v1alpha1.ActionRequest
		rs   RequestStamp
		ap   *v1alpha1.Approval
		vote *v1alpha1.Vote
		vs   VoteStamp
		r    *v1alpha1.Record
		d    *v1alpha1.Delegation
	}
	micro := noon.Add(time.Microsecond)
	for name, tc := range map[string]struct {
		reason string
		change func(*objects)
		want   string
	}{
		"NoCluster":      {"it could be used in another cluster", func(o *objects) { o.rs.Cluster = "" }, "cluster is missing"},
		"NoTime":         {"nobody could tell whether the key counted", func(o *objects) { o.rs.IssuedAt = time.Time{} }, "iat is missing"},
		"ExactTime":      {"the rest could be changed", func(o *objects) { o.rs.IssuedAt = micro }, "more exact than a millisecond"},
		"OldTime":        {"it is no time of this age", func(o *objects) { o.rs.IssuedAt = time.Unix(-5, 0) }, "not a time of this age"},
		"NoName":         {"another request could take it over", func(o *objects) { o.ar.Name = "" }, "name is missing"},
		"NoNamespace":    {"another request could take it over", func(o *objects) { o.ar.Namespace = "" }, "namespace is missing"},
		"NoNonce":        {"a copy could not be told", func(o *objects) { o.rs.Nonce = "" }, "nonce is not"},
		"ShortNonce":     {"it could be guessed", func(o *objects) { o.rs.Nonce = nonceA[2:] }, "nonce is not"},
		"NoExpiry":       {"it would last for ever", func(o *objects) { o.rs.ExpiresAt = time.Time{} }, "exp is missing"},
		"NoActionUID":    {"another Action could take its name", func(o *objects) { o.rs.ActionUID = "" }, "action.uid is missing"},
		"NoActionSpec":   {"it says what was judged", func(o *objects) { o.rs.ActionSpec = "9f3c" }, "action.spec is not"},
		"NoRequester":    {"somebody must have asked", func(o *objects) { o.ar.Spec.Requester = nil }, "requester: nobody is named"},
		"Nameless":       {"somebody must have asked", func(o *objects) { o.ar.Spec.Requester.Username = "" }, "requester: nobody is named"},
		"EmptyEmergency": {"it would look as if there were none", func(o *objects) { o.ar.Spec.BreakGlass = &v1alpha1.BreakGlass{} }, "breakGlass.reason is missing"},
		"EmptyNotBefore": {"it would look as if there were none", func(o *objects) { o.ar.Spec.NotBefore = &metav1.Time{} }, "notBefore is missing"},
		"InputsList":     {"they are an object", func(o *objects) { o.ar.Spec.Inputs.Raw = []byte(`[1]`) }, "not a JSON object"},
		"InputsNull":     {"they are an object", func(o *objects) { o.ar.Spec.Inputs.Raw = []byte(`null`) }, "inputs are null"},
		"InputsNoJSON":   {"they are an object", func(o *objects) { o.ar.Spec.Inputs.Raw = []byte(`{`) }, "not a JSON object"},
		"InputsObject": {
			"they have no bytes", func(o *objects) { o.ar.Spec.Inputs = &runtime.RawExtension{Object: &v1alpha1.Team{}} }, "given as an object",
		},
		"InputsTwice":    {"which one counts would be a guess", func(o *objects) { o.ar.Spec.Inputs.Raw = []byte(`{"a":1,"a":2}`) }, "failed to encode inputs"},
		"InputsLarge":    {"readers round it", func(o *objects) { o.ar.Spec.Inputs.Raw = []byte(`{"a":9007199254740993}`) }, "2^53-1"},
		"InputsHalfPair": {"readers replace it", func(o *objects) { o.ar.Spec.Inputs.Raw = []byte(`{"a":"\ud800"}`) }, "failed to encode inputs"},
		"InputsDeep": {
			"work is bounded", func(o *objects) {
				o.ar.Spec.Inputs.Raw = []byte(`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`)
			}, "exceeded max depth",
		},
		"NoApprovalUID": {"votes must be bound to it", func(o *objects) { o.ap.UID = "" }, "approval is missing"},
		"NoRequestUID":  {"votes must be bound to it", func(o *objects) { o.ap.Spec.RequestRef.UID = "" }, "request.uid is missing"},
		"NeverCloses":   {"it would be open for ever", func(o *objects) { o.ap.Spec.ExpiresAt = metav1.Time{} }, "closes is missing"},
		"NoDigest":      {"there would be nothing to agree to", func(o *objects) { o.ap.Spec.Digest = "" }, "digest is not"},
		"NobodyAsked":   {"nobody could meet it", func(o *objects) { o.ap.Spec.Requirements = nil }, "requirements are missing"},
		"InvalidText":   {"readers replace it", func(o *objects) { o.ap.Spec.Summary[0] = "\xff" }, "failed to encode what approvers read"},
		"NoPrev":        {"it would be in no chain", func(o *objects) { o.vs.Prev = "" }, "prev is not"},
		"NegativeSeq":   {"counting begins at 0", func(o *objects) { o.vs.Seq = -1 }, "seq is -1"},
		"NoDecision":    {"it says nothing", func(o *objects) { o.vote.Decision = "" }, "decision is missing"},
		"NoVoter":       {"somebody must have voted", func(o *objects) { o.vote.Voter.Username = "" }, "voter: nobody is named"},
		"VoteExact":     {"the rest could be changed", func(o *objects) { o.vote.At.Time = micro }, "more exact than a millisecond"},
		"Delegation":    {"it says who stands for whom", func(o *objects) { o.vote.Delegation = &v1alpha1.VoteDelegation{} }, "delegation.principal is missing"},
		"ToNobody":      {"nobody could vote", func(o *objects) { o.d.Spec.To.Users = nil }, "to.users is missing"},
		"FromNobody":    {"somebody must let them", func(o *objects) { o.d.Spec.Principal = nil }, "actor: nobody is named"},
		"DelegatedEver": {"it would last for ever", func(o *objects) { o.d.Spec.Until = metav1.Time{} }, "until is missing"},
		"Anywhere":      {"another catalog could take it over", func(o *objects) { o.d.Namespace = "" }, "namespace is missing"},
		"NobodyCancels": {"somebody must have", func(o *objects) { o.ar.Spec.Cancellation.By = nil }, "actor: nobody is named"},
		"NoRecordName":  {"it could be another one", func(o *objects) { o.r.Name = "" }, "name is missing"},
		"NoBody":        {"nothing would be sent", func(o *objects) { o.r.Spec.Steps[0].Writes[0].Body.Raw = nil }, "body of step restart"},
		"WaitsForNothing": {
			"it would look as if it did not wait", func(o *objects) { o.r.Spec.Steps[0].WaitFor = &v1alpha1.WaitFor{} }, "waits for nothing",
		},
		"EmptyFinish": {"it would look as if it had not", func(o *objects) { o.r.Status.FinishedAt = &metav1.Time{} }, "finishedAt is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			var o objects
			o.ar, o.rs = sampleRequest()
			o.ar.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "x", By: alice()}
			o.ap, o.r = sampleApproval(), sampleRecord()
			o.vote, o.vs = sampleVote(0, 0, sumA)
			o.d = sampleDelegation()
			tc.change(&o)
			var errs []error
			for _, build := range []func() error{
				func() error { _, err := RequestPayload(o.ar, o.rs); return err },
				func() error { _, err := ApprovalPayload(o.ap, stamp(0)); return err },
				func() error { _, err := VotePayload(o.ap, o.vote, o.vs); return err },
				func() error { _, err := CancelPayload(o.ar, stamp(0)); return err },
				func() error { _, err := RecordPayload(o.r, stamp(0)); return err },
				func() error { _, err := DelegationPayload(o.d, stamp(0)); return err },
			} {
				errs = append(errs, build())
			}
			err := errors.Join(errs...)
			if ReasonOf(err) != Malformed || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestNothingIsNothing(t *testing.T) {
	ar, rs := sampleRequest()
	ar.Spec.Inputs = nil
	want := canonicalOf(t, ar, rs)
	for _, raw := range []*runtime.RawExtension{{}, {Raw: []byte(`{}`)}, {Raw: []byte(` { } `)}} {
		ar.Spec.Inputs = raw
		if got := canonicalOf(t, ar, rs); got != want {
			t.Errorf("no inputs, written as %q, are %s, want %s", raw.Raw, got, want)
		}
	}
	if strings.Contains(want, "inputs") {
		t.Errorf("no inputs are not left out: %s", want)
	}
	ar.Spec.Requester.Groups, ar.Spec.Requester.Extra = nil, nil
	want = canonicalOf(t, ar, rs)
	ar.Spec.Requester.Groups, ar.Spec.Requester.Extra = []string{}, map[string]v1alpha1.ExtraValue{"x": nil}
	if got := canonicalOf(t, ar, rs); got != want {
		t.Errorf("no groups and no extra are %s, want %s", got, want)
	}
}

func TestNobodyCancelled(t *testing.T) {
	ar, _ := sampleRequest()
	if _, err := CancelPayload(ar, stamp(0)); ReasonOf(err) != Malformed {
		t.Errorf("got %v", err)
	}
}

func TestAdoptsRequestsOnly(t *testing.T) {
	ar, _ := sampleRequest()
	if _, err := AdoptionPayload(ar, &Envelope{Type: TypeVote}, nonceA, stamp(0)); ReasonOf(err) != Malformed {
		t.Errorf("got %v", err)
	}
}

// TestLimitsComeFirst is about texts that are refused for their size alone, before anything is done with them.
func TestLimitsComeFirst(t *testing.T) {
	ar, rs := sampleRequest()
	body := must[[]byte](t)(encode(must[*Request](t)(RequestPayload(ar, rs))))
	if _, err := ParsePayload(TypeRequest, append(body, bytes.Repeat([]byte(" "), MaxBody)...)); ReasonOf(err) != Malformed {
		t.Errorf("a payload with a million blanks: got %v", err)
	}
	if _, err := ParseSeal(strings.Repeat("x", 1<<20)); ReasonOf(err) != Malformed || len(err.Error()) > 100 {
		t.Errorf("a seal of a megabyte: got %.200v", err)
	}
}

func TestFresh(t *testing.T) {
	ar, rs := sampleRequest()
	p := must[*Request](t)(RequestPayload(ar, rs))
	for name, tc := range map[string]struct {
		reason       string
		created, now time.Duration
		want         string
	}{
		"Same":       {"it was sealed and created", 0, time.Second, ""},
		"Slow":       {"admission takes time, and clocks differ", MaxSkew, time.Minute, ""},
		"ClockAhead": {"clocks differ", -MaxSkew, time.Minute, ""},
		"Copy":       {"a copy is created later", MaxSkew + time.Millisecond, 2 * time.Minute, "it is a copy, or was restored"},
		"Older":      {"it was not sealed then", -MaxSkew - time.Millisecond, time.Minute, "it is a copy, or was restored"},
		"LastMoment": {"it has not ended", 0, 168*time.Hour - time.Millisecond, ""},
		"Ended":      {"nothing is adopted for ever", 0, 168 * time.Hour, "its seal ended"},
	} {
		t.Run(name, func(t *testing.T) {
			err := p.Fresh(noon.Add(tc.created), noon.Add(tc.now))
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}
