package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestNewKeyring(t *testing.T) {
	good := testKeys()["admission"]
	change := func(f func(*PublicKey)) PublicKey { k := testKeys()["admission"]; f(&k); return k }
	many := make([]PublicKey, MaxKeys+1)
	for i := range many {
		public, _ := testKey(fmt.Sprint(i)).Public().(ed25519.PublicKey)
		many[i] = PublicKey{Key: public, Purpose: Admission, NotBefore: noon}
	}
	for name, tc := range map[string]struct {
		reason string
		keys   []PublicKey
		want   string
	}{
		"None":        {"nothing is known yet", nil, ""},
		"One":         {"it is complete", []PublicKey{good}, ""},
		"Most":        {"there is room for rotations", many[:MaxKeys], ""},
		"TooMany":     {"work is bounded", many, "at most 64 keys"},
		"Twice":       {"what is said about it must be said once", []PublicKey{good, change(func(k *PublicKey) { k.RevokedAt = noon })}, "there twice"},
		"Short":       {"it is no key", []PublicKey{change(func(k *PublicKey) { k.Key = k.Key[1:] })}, "31 bytes"},
		"Empty":       {"it is no key", []PublicKey{{}}, "0 bytes"},
		"NoPurpose":   {"it would be good for nothing, or for all", []PublicKey{change(func(k *PublicKey) { k.Purpose = "" })}, "purpose"},
		"Purpose":     {"a misspelt purpose is not another one", []PublicKey{change(func(k *PublicKey) { k.Purpose = "Admission" })}, "purpose"},
		"NoNotBefore": {"it would have counted always", []PublicKey{change(func(k *PublicKey) { k.NotBefore = time.Time{} })}, "since when"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewKeyring(tc.keys...)
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
			if err == nil && len(r.Keys()) != len(tc.keys) {
				t.Errorf("%s: it holds %d keys, want %d", tc.reason, len(r.Keys()), len(tc.keys))
			}
		})
	}
}

// TestKeyringIsItsOwn is about a caller that uses the bytes of a key again.
func TestKeyringIsItsOwn(t *testing.T) {
	key := testKeys()["admission"]
	id := key.ID()
	key.Key = slices.Clone(key.Key)
	r := must[*Keyring](t)(NewKeyring(key))
	key.Key[0] ^= 1
	if got, ok := r.Get(id); !ok || got.ID() != id {
		t.Error("the keyring changed with the bytes it was made of")
	}
}

func TestKeysAreSorted(t *testing.T) {
	var got []string
	for _, key := range ring(t).Keys() {
		for name, known := range testKeys() {
			if known.ID() == key.ID() {
				got = append(got, name)
			}
		}
	}
	if want := []string{"retired", "revoked", "admission", "future", "controller"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNewSigner(t *testing.T) {
	key := testKey("admission")
	mixed := append(slices.Clone(key[:32]), testKey("controller")[32:]...)
	for name, tc := range map[string]struct {
		reason  string
		purpose Purpose
		key     ed25519.PrivateKey
		want    string
	}{
		"Good":      {"it is complete", Admission, key, ""},
		"NoPurpose": {"it would sign all", "", key, "no purpose"},
		"Seed":      {"it is half a key", Admission, key[:32], "32 bytes"},
		"None":      {"nothing is never a key", Controller, nil, "0 bytes"},
		"Mixed":     {"its signatures would give the private half away", Admission, mixed, "do not belong together"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSigner(tc.purpose, tc.key)
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// TestSignerKeepsPurpose is about each type of payload and each key: one of them signs it, and the other refuses.
func TestSignerKeepsPurpose(t *testing.T) {
	for of, p := range samples(t) {
		for _, purpose := range []Purpose{Admission, Controller} {
			_, err := signer(t, purpose, "x").Sign(p)
			if allowed := of.Signer() == purpose; allowed != (err == nil) || (!allowed && ReasonOf(err) != WrongPurpose) {
				t.Errorf("the %s key signs %s: %v", purpose, of, err)
			}
		}
	}
	if len(samples(t)) != len(kinds) {
		t.Errorf("there are samples of %d types, not of %d", len(samples(t)), len(kinds))
	}
}

func TestSignerIsNotPrinted(t *testing.T) {
	s := signer(t, Admission, "admission")
	secret := testKey("admission").Seed()
	decimal := strings.Trim(fmt.Sprintf("%d", secret), "[]")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%p", "%T"} {
		for _, value := range []any{s, *s, &s, []any{s}, struct{ s Signer }{*s}} {
			text := fmt.Sprintf(verb, value)
			for _, leak := range []string{hex.EncodeToString(secret[:4]), decimal[:12], base64.StdEncoding.EncodeToString(secret)[:8], string(secret[:4])} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(leak)) {
					t.Errorf("%s of %T shows the private key: %s", verb, value, text)
				}
			}
		}
	}
}

func TestNewNonce(t *testing.T) {
	got, err := NewNonce(bytes.NewReader([]byte("0123456789abcdefmore")))
	if err != nil || got != "30313233343536373839616263646566" || !nonce.MatchString(got) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := NewNonce(iotest.HalfReader(strings.NewReader("short"))); err == nil {
		t.Errorf("too few random bits gave %q", got)
	}
}
