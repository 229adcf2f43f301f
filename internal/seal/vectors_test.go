package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/internal/canonical"
)

// vectors are beside the specification, for those who write another implementation.
const vectors = "../../docs/design/seal"

var update = flag.Bool("update", false, "write the vectors anew")

// keyVector is a key of the vectors. Its private half is published here, so it is worth nothing.
type keyVector struct {
	Name      string `json:"name"`
	Purpose   string `json:"purpose"`
	Seed      string `json:"seed"`
	PublicKey string `json:"publicKey"`
	ID        string `json:"id"`
	NotBefore int64  `json:"notBefore"`
	RetiredAt int64  `json:"retiredAt,omitempty"`
	RevokedAt int64  `json:"revokedAt,omitempty"`
}

// sealVector is a payload with a seal, and what verifying it gives.
type sealVector struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	Type   string `json:"type"`
	// Payload is there where the seal is valid, and Text where it is refused: it may be something that readers of JSON would mend.
	Payload json.RawMessage `json:"payload,omitempty"`
	Text    string          `json:"text,omitempty"`
	// Canonical, PAE, Envelope and Hash are there where the seal is valid.
	Canonical string `json:"canonical,omitempty"`
	PAE       string `json:"pae,omitempty"`
	Seal      string `json:"seal"`
	Envelope  string `json:"envelope,omitempty"`
	Hash      string `json:"hash,omitempty"`
	// Result is Valid, or the reason why the seal is refused.
	Result string `json:"result"`
}

// objectVector is an object of the API with the payload that is built from it.
type objectVector struct {
	Name    string          `json:"name"`
	Reason  string          `json:"reason"`
	Object  json.RawMessage `json:"object"`
	Stamp   map[string]any  `json:"stamp"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

// formVector is JSON text with its canonical form. Without one it is refused.
type formVector struct {
	Name      string `json:"name"`
	Reason    string `json:"reason"`
	Text      string `json:"text"`
	Canonical string `json:"canonical,omitempty"`
	Hash      string `json:"hash,omitempty"`
}

// chainVector is a list of links with the place where the chain is not whole. Without one it is.
type chainVector struct {
	Name   string       `json:"name"`
	Reason string       `json:"reason"`
	Root   string       `json:"root"`
	Links  []linkVector `json:"links"`
	Index  int          `json:"index"`
	Gap    string       `json:"gap,omitempty"`
}

type linkVector struct {
	Seq  int64  `json:"seq"`
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// golden compares vectors with those that are stored, or stores them.
func golden[T any](t *testing.T, name string, got []T) []T {
	t.Helper()
	file := filepath.Join(vectors, name)
	if *update {
		var content bytes.Buffer
		encoder := json.NewEncoder(&content)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want []T
	if err := json.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("JSON", func(raw json.RawMessage) string {
		form, err := canonical.Encode(raw)
		if err != nil {
			return string(raw)
		}
		return string(form)
	})); diff != "" {
		t.Errorf("%s: the format changed; seals that are stored would be void (-want +got):\n%s", name, diff)
	}
	return want
}

func TestKeyVectors(t *testing.T) {
	var got []keyVector
	all := testKeys()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		key := all[name]
		got = append(got, keyVector{
			Name: name, Purpose: string(key.Purpose), Seed: hex.EncodeToString(testKey(name).Seed()),
			PublicKey: base64.StdEncoding.EncodeToString(key.Key), ID: key.ID(),
			NotBefore: listed(key.NotBefore), RetiredAt: listed(key.RetiredAt), RevokedAt: listed(key.RevokedAt),
		})
	}
	golden(t, "keys.json", got)
}

// ringOf makes a keyring from the stored vectors, so that the vectors alone are enough.
func ringOf(t *testing.T) *Keyring {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(vectors, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var stored []keyVector
	if err := json.Unmarshal(content, &stored); err != nil {
		t.Fatal(err)
	}
	var keys []PublicKey
	for _, k := range stored {
		seed := must[[]byte](t)(hex.DecodeString(k.Seed))
		public, _ := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
		key := PublicKey{Key: public, Purpose: Purpose(k.Purpose), NotBefore: time.UnixMilli(k.NotBefore)}
		if k.RetiredAt != 0 {
			key.RetiredAt = time.UnixMilli(k.RetiredAt)
		}
		if k.RevokedAt != 0 {
			key.RevokedAt = time.UnixMilli(k.RevokedAt)
		}
		keys = append(keys, key)
	}
	return must[*Keyring](t)(NewKeyring(keys...))
}

func validVector(t *testing.T, name, reason string, p Payload) sealVector {
	t.Helper()
	e := signed(t, p)
	return sealVector{
		Name: name, Reason: reason, Type: string(p.Type()), Payload: e.Body, Canonical: string(e.Body), PAE: string(PAE(e.Type, e.Body)),
		Seal: e.Seal.String(), Envelope: string(e.DSSE()), Hash: e.Hash(), Result: "Valid",
	}
}

func TestSealVectors(t *testing.T) {
	var got []sealVector
	all := samples(t)
	for _, of := range slices.Sorted(maps.Keys(all)) {
		got = append(got, validVector(t, string(of), "as much is set as can be", all[of]))
	}
	ar, rs := sampleRequest()
	got = append(got, validVector(t, "request", "what people usually ask", must[*Request](t)(RequestPayload(ar, rs))))
	ar.Spec.Inputs, ar.Spec.Reason, ar.Spec.NotBefore, ar.Spec.Requester.Groups, ar.Spec.Requester.Extra = nil, "", nil, nil, nil
	got = append(got, validVector(t, "request-least", "what is not set is left out", must[*Request](t)(RequestPayload(ar, rs))))
	b := newBallot(t, 3)
	got = append(got, validVector(t, "ballot", "the Approval that the following votes were given on", b.approval))
	for i, vote := range b.votes {
		got = append(got, validVector(t, "ballot-vote-"+string(rune('0'+i)), "each vote names the envelope before; seq 0 is left out", vote))
	}
	for _, v := range golden(t, "valid.json", got) {
		checkSealVector(t, v)
	}
}

func TestRefusedVectors(t *testing.T) {
	ar, rs := sampleRequest()
	request := must[*Request](t)(RequestPayload(ar, rs))
	body := string(must[[]byte](t)(encode(request)))
	seal := signed(t, request).Seal.String()
	edit := func(old, changed string) string {
		if !strings.Contains(body, old) {
			t.Fatalf("%s is not in %s", old, body)
		}
		return strings.Replace(body, old, changed, 1)
	}
	own := func(name string) string { return sealedBy(t, name, request) }
	id := func(name string) string { k := testKeys()[name]; return k.ID() }
	got := []sealVector{
		{Name: "reason-changed", Reason: "a text was changed", Text: edit("leak", "Leak"), Seal: seal, Result: "Mismatch"},
		{Name: "group-added", Reason: "a set was changed", Text: edit(`"all",`, `"admins","all",`), Seal: seal, Result: "Mismatch"},
		{Name: "inputs-changed", Reason: "the hash was changed", Text: edit(`"inputs":"sha256:`, `"inputs":"sha256:00`), Seal: seal, Result: "Malformed"},
		{Name: "time-changed", Reason: "it was made younger", Text: edit(`"iat":`, `"iat":2`), Seal: seal, Result: "Mismatch"},
		{Name: "cluster-changed", Reason: "it is from another cluster", Text: edit(`"cluster":"3`, `"cluster":"4`), Seal: seal, Result: "Mismatch"},
		{Name: "member-added", Reason: "it is closed", Text: edit(`{`, `{"admin":true,`), Seal: seal, Result: "Malformed"},
		{Name: "member-twice", Reason: "which one counts would be a guess", Text: edit(`{`, `{"reason":"x",`), Seal: seal, Result: "Malformed"},
		{Name: "member-case", Reason: "names are exact", Text: edit(`"iat"`, `"IAT"`), Seal: seal, Result: "Malformed"},
		{Name: "member-empty", Reason: "what is empty is left out", Text: edit(`{`, `{"duration":"",`), Seal: seal, Result: "Malformed"},
		{Name: "member-null", Reason: "what is empty is left out", Text: edit(`{`, `{"breakGlass":null,`), Seal: seal, Result: "Malformed"},
		{Name: "member-missing", Reason: "it needs a nonce", Text: edit(`"nonce"`, `"duration"`), Seal: seal, Result: "Malformed"},
		{Name: "number-large", Reason: "readers round it", Text: edit(`"iat":`, `"iat":900719925`), Seal: seal, Result: "Malformed"},
		{Name: "other-type", Reason: "a seal is for one type", Type: "cancel.v1", Text: string(must[[]byte](t)(encode(samples(t)[TypeCancel]))), Seal: seal, Result: "Mismatch"},
		{Name: "unknown-type", Reason: "a newer version made it", Type: "request.v2", Text: body, Seal: seal, Result: "UnknownVersion"},
		{Name: "newer-seal", Reason: "a newer version made it", Text: body, Seal: "v2" + seal[2:], Result: "UnknownVersion"},
		{Name: "unknown-key", Reason: "it may have been published a moment ago", Text: body, Seal: own("stranger"), Result: "UnknownKey"},
		{Name: "wrong-purpose", Reason: "the controller makes no requests", Text: body, Seal: own("controller"), Result: "WrongPurpose"},
		{Name: "retired", Reason: "it was sealed after the key was retired", Text: body, Seal: own("retired"), Result: "Retired"},
		{Name: "revoked", Reason: "it was sealed after the key was revoked", Text: body, Seal: own("revoked"), Result: "Revoked"},
		{Name: "not-yet-valid", Reason: "it was sealed before the key was in use", Text: body, Seal: own("future"), Result: "NotYetValid"},
		{Name: "key-id-changed", Reason: "the seal of another key", Text: body, Seal: strings.Replace(seal, id("admission"), id("retired"), 1), Result: "Mismatch"},
		{Name: "signature-changed", Reason: "a bit is another one", Text: body, Seal: flipped(seal), Result: "Mismatch"},
		{Name: "signature-s-large", Reason: "one payload has one signature: S is below the order of the group", Text: body, Seal: malleable(t, seal), Result: "Mismatch"},
		{Name: "seal-empty", Reason: "it was stored without the webhook", Text: body, Seal: "", Result: "Malformed"},
		{Name: "seal-padded", Reason: "one signature has one text", Text: body, Seal: seal + "==", Result: "Malformed"},
		{Name: "seal-short", Reason: "it is not whole", Text: body, Seal: seal[:len(seal)-2], Result: "Malformed"},
		{Name: "seal-loose-bits", Reason: "one signature has one text", Text: body, Seal: loose(seal), Result: "Malformed"},
		{Name: "seal-upper-case", Reason: "one key has one name", Text: body, Seal: "v1." + strings.ToUpper("ab"+seal[5:19]) + seal[19:], Result: "Malformed"},
		{Name: "seal-line-break", Reason: "one signature has one text", Text: body, Seal: seal[:40] + "\n" + seal[41:], Result: "Malformed"},
	}
	for i := range got {
		if got[i].Type == "" {
			got[i].Type = string(TypeRequest)
		}
	}
	for _, v := range golden(t, "refused.json", got) {
		checkSealVector(t, v)
	}
}

// checkSealVector verifies a stored vector with nothing but the stored keys.
func checkSealVector(t *testing.T, v sealVector) {
	t.Helper()
	payload := v.Payload
	if v.Text != "" {
		payload = json.RawMessage(v.Text)
	}
	_, e, err := NewVerifier(0).Open(Type(v.Type), &Sealed{Payload: payload, Seal: v.Seal}, ringOf(t))
	result := string(ReasonOf(err))
	if err == nil {
		result = "Valid"
	}
	if result != v.Result {
		t.Errorf("%s: got %s (%v), want %s", v.Name, result, err, v.Result)
	}
	if err != nil {
		return
	}
	if string(e.Body) != v.Canonical || string(PAE(e.Type, e.Body)) != v.PAE || string(e.DSSE()) != v.Envelope || e.Hash() != v.Hash {
		t.Errorf("%s: the bytes differ from those that are stored", v.Name)
	}
}

func flipped(seal string) string {
	s, err := ParseSeal(seal)
	if err != nil {
		return ""
	}
	s.Signature[7] ^= 0x10
	return s.String()
}

// loose sets bits at the end that no byte uses.
func loose(seal string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(digits, seal[len(seal)-1])
	return seal[:len(seal)-1] + string(digits[last+1])
}

// malleable adds the order of the group to S, which careless verifiers accept.
func malleable(t *testing.T, seal string) string {
	t.Helper()
	s := must[Seal](t)(ParseSeal(seal))
	order := must[[]byte](t)(hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"))
	carry := 0
	for i := range 32 {
		sum := int(s.Signature[32+i]) + int(order[i]) + carry
		s.Signature[32+i], carry = byte(sum&0xff), sum>>8
	}
	return s.String()
}

func TestFormVectors(t *testing.T) {
	texts := []struct{ name, reason, text string }{
		{"order", "members are sorted by UTF-16 code units", `{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`},
		{"escapes", "only what must be escaped is", `{"a":"\u0000\b\t\n\f\r\u001f\"\\\/<>&\u007f\u2028é\u00e9\ud83d\ude00"}`},
		{"numbers", "numbers have the form of ECMAScript", `[1.0,-0,1e2,1E-7,0.000001,123456789.125,9007199254740991,-9007199254740991,4.50,1e15]`},
		{"blanks", "blanks do not count", " { \"b\" : [ 1 , { } ] ,\n\t\"a\" : null } "},
		{"normalisation", "text is as given: composed and decomposed letters differ", "{\"\u00e9\":1,\"e\u0301\":2}"},
		{"literals", "there are three", `[true,false,null]`},
		{"large-integer", "readers round it", `{"n":9007199254740992}`},
		{"large-float", "it is an integer, too", `{"n":1e300}`},
		{"no-float", "it has no value", `{"n":1e400}`},
		{"member-twice", "which one counts would be a guess", `{"a":1,"a":1}`},
		{"member-twice-escaped", "it is the same name", `{"a":1,"\u0061":1}`},
		{"half-pair", "readers replace it", `{"a":"\ud83d"}`},
		{"half-pair-low", "readers replace it", `{"a":"\ude00"}`},
		{"no-escape", "there is no such escape", `{"a":"\xff"}`},
		{"two-documents", "it is more than one document", `{}{}`},
		{"nothing", "it is no document", ``},
	}
	var got []formVector
	for _, v := range texts {
		form := formVector{Name: v.name, Reason: v.reason, Text: v.text}
		if encoded, err := canonical.Encode(json.RawMessage(v.text)); err == nil {
			form.Canonical, form.Hash = string(encoded), canonical.Sum(encoded)
		}
		got = append(got, form)
	}
	golden(t, "canonical.json", got)
}

func TestChainVectors(t *testing.T) {
	var got []chainVector
	for _, tc := range []struct {
		name, reason string
		change       func([]Link) []Link
	}{
		{"whole", "nothing is wrong", func(l []Link) []Link { return l }},
		{"empty", "nobody voted yet", func(l []Link) []Link { return l[:0] }},
		{"first-removed", "number 0 is not there", func(l []Link) []Link { return l[1:] }},
		{"middle-removed", "number 1 is not there", func(l []Link) []Link { return slices.Delete(l, 1, 2) }},
		{"reordered", "all are there, in another order", func(l []Link) []Link { l[1], l[2] = l[2], l[1]; return l }},
		{"repeated", "number 1 is there twice", func(l []Link) []Link { return slices.Insert(l, 2, l[1]) }},
		{"changed", "the link after the changed one says so", func(l []Link) []Link { l[1].Hash = sumOf("x"); return l }},
		{"other-root", "it begins elsewhere", func(l []Link) []Link { l[0].Prev = sumOf("x"); return l }},
	} {
		links := tc.change(chain(sumA, 4))
		v := chainVector{Name: tc.name, Reason: tc.reason, Root: sumA, Links: []linkVector{}}
		for _, l := range links {
			v.Links = append(v.Links, linkVector(l))
		}
		var g *Gap
		if _, err := CheckChain(sumA, links); errors.As(err, &g) {
			v.Index, v.Gap = g.Index, string(g.Kind)
		}
		got = append(got, v)
	}
	golden(t, "chain.json", got)
}

func TestObjectVectors(t *testing.T) {
	ar, rs := sampleRequest()
	ap := sampleApproval()
	root := signed(t, must[*Approval](t)(ApprovalPayload(ap, stamp(time.Second))))
	vote, vs := sampleVote(time.Minute, 0, root.Hash())
	common := func(after time.Duration) map[string]any {
		return map[string]any{"cluster": cluster, "iat": noon.Add(after).UnixMilli()}
	}
	with := func(stamp, further map[string]any) map[string]any { maps.Copy(stamp, further); return stamp }
	request := must[*Request](t)(RequestPayload(ar, rs))
	edited, edits := sampleEdits()
	got := []objectVector{
		vectorOf(t, "request", "from the spec and the stamp", ar, with(common(0), map[string]any{
			"nonce": rs.Nonce, "exp": rs.ExpiresAt.UnixMilli(), "actionUID": rs.ActionUID, "actionSpec": rs.ActionSpec,
		}), request),
		vectorOf(t, "adoption", "from the metadata, after the seal of the request was verified", ar, with(common(time.Second), map[string]any{
			"nonce": rs.Nonce, "request": signed(t, request).Hash(),
		}), must[*Adoption](t)(AdoptionPayload(ar, signed(t, request), rs.Nonce, stamp(time.Second)))),
		vectorOf(t, "approval", "shown is the hash of what approvers read", ap, common(time.Second), must[*Approval](t)(ApprovalPayload(ap, stamp(time.Second)))),
		vectorOf(t, "vote", "iat is the time of the vote", map[string]any{"approval": ap, "vote": vote}, map[string]any{
			"cluster": cluster, "seq": vs.Seq, "prev": vs.Prev, "selector": vs.Selector, "role": vs.RoleUID,
		}, must[*Vote](t)(VotePayload(ap, vote, vs))),
		vectorOf(t, "edit", "the content is the hash of since and edits, in milliseconds; the last edit is the act", edited, with(common(time.Minute), map[string]any{
			"uid": edited.UID, "since": edits.Since.UnixMilli(), "edits": edits.content(),
		}), must[*Act](t)(EditPayload(edited, string(edited.UID), edits, cluster))),
		vectorOf(t, "resolution", "the content is the hash of step, outcome and comment", map[string]any{"request": ar, "resolution": sampleResolution()}, common(time.Hour),
			must[*Act](t)(ResolvePayload(ar, sampleResolution(), stamp(time.Hour)))),
		vectorOf(t, "record", "plan and bodies are hashes", sampleRecord(), common(time.Hour), must[*Record](t)(RecordPayload(sampleRecord(), stamp(time.Hour)))),
	}
	before := sampleRecord()
	before.Spec.Verdict = nil
	got = append(got, vectorOf(t, "record-before", "one that was written before there was a verdict in it", before, common(time.Hour), must[*Record](t)(RecordPayload(before, stamp(time.Hour)))))
	golden(t, "objects.json", got)
}

func vectorOf(t *testing.T, name, reason string, object any, stamp map[string]any, p Payload) objectVector {
	t.Helper()
	raw := must[[]byte](t)(json.Marshal(object))
	// As the file holds it: numbers of a stamp become floats when they are read.
	var read map[string]any
	if err := json.Unmarshal(must[[]byte](t)(json.Marshal(stamp)), &read); err != nil {
		t.Fatal(err)
	}
	return objectVector{Name: name, Reason: reason, Object: raw, Stamp: read, Type: string(p.Type()), Payload: must[[]byte](t)(encode(p))}
}
