package seal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/internal/canonical"
)

// FuzzParseSeal holds that one signature has one text.
func FuzzParseSeal(f *testing.F) {
	ar, rs := sampleRequest()
	p, err := RequestPayload(ar, rs)
	if err != nil {
		f.Fatal(err)
	}
	valid := signed(f, p).Seal.String()
	for _, text := range []string{valid, "", "v1..", valid + ".", valid + "\n", strings.ToUpper(valid), "v2" + valid[2:], valid[:len(valid)-1], "v1.0011223344556677." + strings.Repeat("A", 86)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSeal(text)
		if err != nil {
			if ReasonOf(err) != Malformed {
				t.Errorf("%q: the reason is %q", text, ReasonOf(err))
			}
			return
		}
		if s.String() != text {
			t.Errorf("%q is written back as %q", text, s.String())
		}
	})
}

// FuzzParsePayload holds that what is read says exactly what was written, and can be written again.
func FuzzParsePayload(f *testing.F) {
	for of, p := range samples(f) {
		body, err := encode(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(of), body)
		f.Add(string(of), bytes.Replace(body, []byte(`{`), []byte(`{"x":1,`), 1))
		f.Add(string(of), bytes.Replace(body, []byte(`"iat"`), []byte(`"IAT"`), 1))
	}
	f.Fuzz(func(t *testing.T, of string, raw []byte) {
		p, err := ParsePayload(Type(of), raw)
		if err != nil {
			if ReasonOf(err) == "" {
				t.Errorf("an error without a reason: %v", err)
			}
			return
		}
		body, err := encode(p)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		given, err := canonical.Encode(json.RawMessage(raw))
		if err != nil || !bytes.Equal(given, body) {
			t.Errorf("read %s, wrote %s (%v)", raw, body, err)
		}
		if p.Type() != Type(of) {
			t.Errorf("%s was read as %s", of, p.Type())
		}
		again, err := ParsePayload(p.Type(), body)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if other, err := encode(again); err != nil || !bytes.Equal(other, body) {
			t.Errorf("%s and then %s (%v)", body, other, err)
		}
	})
}

// FuzzInputs holds that the hash of inputs depends on what they say, and not on how they are written.
func FuzzInputs(f *testing.F) {
	for _, raw := range []string{`{"a":1}`, `{"a":1.0,"b":"\u00e9"}`, `{}`, `null`, `[]`, ``, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"a":1e400}`, `{"é":{"":[]}}`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		sum, names, err := sumInputs(&runtime.RawExtension{Raw: raw})
		if err != nil || sum == "" {
			return
		}
		form, err := canonical.Encode(json.RawMessage(raw))
		if err != nil {
			t.Fatal(err)
		}
		again, others, err := sumInputs(&runtime.RawExtension{Raw: form})
		if err != nil || again != sum || len(others) != len(names) {
			t.Errorf("%s: %s, and in canonical form %s (%v)", raw, sum, again, err)
		}
	})
}

// FuzzPAE holds that two different things to sign never have the same bytes.
func FuzzPAE(f *testing.F) {
	f.Add("request.v1", []byte("a"), "request.v1", []byte("b"))
	f.Add("a", []byte("1 b"), "a 1", []byte("b"))
	f.Fuzz(func(t *testing.T, typeA string, bodyA []byte, typeB string, bodyB []byte) {
		same := typeA == typeB && bytes.Equal(bodyA, bodyB)
		if bytes.Equal(PAE(Type(typeA), bodyA), PAE(Type(typeB), bodyB)) != same {
			t.Errorf("%q %q and %q %q are signed alike", typeA, bodyA, typeB, bodyB)
		}
	})
}

// TestDSSE reads an envelope as another tool would.
func TestDSSE(t *testing.T) {
	for of, p := range samples(t) {
		e := signed(t, p)
		var got struct {
			Payload     []byte `json:"payload"`
			PayloadType string `json:"payloadType"`
			Signatures  []struct {
				KeyID string `json:"keyid"`
				Sig   []byte `json:"sig"`
			} `json:"signatures"`
		}
		decoder := json.NewDecoder(bytes.NewReader(e.DSSE()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Payload, e.Body) || got.PayloadType != "application/vnd.signoff."+string(of) || len(got.Signatures) != 1 ||
			got.Signatures[0].KeyID != e.Seal.KeyID || !bytes.Equal(got.Signatures[0].Sig, e.Seal.Signature[:]) {
			t.Errorf("%s: the envelope says %+v", of, got)
		}
		if form, err := canonical.Encode(json.RawMessage(e.DSSE())); err != nil || !bytes.Equal(form, e.DSSE()) {
			t.Errorf("%s: the envelope is not in canonical form: %s", of, e.DSSE())
		}
		if e.Hash() != canonical.Sum(e.DSSE()) {
			t.Errorf("%s: the hash is not that of the envelope", of)
		}
		if got := e.Sealed(); got.Seal != e.Seal.String() || !bytes.Equal(got.Payload, e.Body) {
			t.Errorf("%s: got %v", of, got)
		}
	}
}

func TestOpen(t *testing.T) {
	for of, p := range samples(t) {
		sealed := signed(t, p).Sealed()
		got, e, err := NewVerifier(0).Open(of, sealed, ring(t))
		if err != nil || e.Type != of || got.Issued() != p.Issued() {
			t.Errorf("%s: got %v, %v, %v", of, got, e, err)
		}
		for other := range kinds {
			if other == of {
				continue
			}
			if _, _, err := NewVerifier(0).Open(other, sealed, ring(t)); err == nil {
				t.Errorf("%s is opened as %s", of, other)
			}
		}
	}
	if _, _, err := NewVerifier(0).Open("vote.v9", &Sealed{}, ring(t)); ReasonOf(err) != UnknownVersion {
		t.Errorf("a newer type: got %v", err)
	}
}
