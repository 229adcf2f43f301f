package keys

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/internal/seal"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("signoff test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func testID(name string) string { return idOf(testKey(name)) }

// public makes an entry of a document. Times are relative to noon; 0 is none.
func public(name string, purpose seal.Purpose, notBefore, retired, revoked time.Duration) seal.PublicKey {
	key := seal.PublicKey{Key: publicOf(testKey(name)), Purpose: purpose, NotBefore: noon.Add(notBefore)}
	if retired != 0 {
		key.RetiredAt = noon.Add(retired)
	}
	if revoked != 0 {
		key.RevokedAt = noon.Add(revoked)
	}
	return key
}

func TestDocumentRoundTrip(t *testing.T) {
	doc := &Document{Keys: []seal.PublicKey{
		public("b", seal.Controller, -time.Hour, 0, 0), public("a", seal.Admission, time.Millisecond, time.Hour, 2*time.Hour),
	}}
	raw, err := doc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDocument(raw)
	if err != nil {
		t.Fatal(err)
	}
	doc.sort()
	if diff := cmp.Diff(doc, got); diff != "" {
		t.Error(diff)
	}
	if again, err := got.Encode(); err != nil || string(again) != string(raw) {
		t.Errorf("%s, then %s (%v)", raw, again, err)
	}
	empty, err := (&Document{}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseDocument(empty); err != nil || len(got.Keys) != 0 {
		t.Errorf("an empty document: %v, %v", got, err)
	}
}

func TestParseDocument(t *testing.T) {
	good, err := (&Document{Keys: []seal.PublicKey{public("a", seal.Admission, 0, time.Hour, 0)}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	entries := strings.Index(string(good), "{\n      ")
	one := strings.TrimSpace(string(good)[entries : strings.LastIndex(string(good), "]")-3])
	replace := func(old, changed string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("%q is not in %s", old, s)
			}
			return strings.Replace(s, old, changed, 1)
		}
	}
	for name, tc := range map[string]struct {
		reason string
		change func(string) string
		want   string
	}{
		"Good":      {"nothing is wrong", func(s string) string { return s }, ""},
		"Offset":    {"people write the time of their place", replace("T12:00:00Z", "T14:00:00+02:00"), ""},
		"Misspelt":  {"it would not be retired", replace("retiredAt", "retired"), `unknown field "keys[0].retired"`},
		"Case":      {"it would not be retired", replace("retiredAt", "retiredat"), `unknown field "keys[0].retiredat"`},
		"Twice":     {"which one counts would be a guess", replace(`"id"`, `"id": "", "id"`), "duplicate field"},
		"OtherID":   {"it is the name of another key", replace(testID("a"), testID("b")), "id is"},
		"OtherKey":  {"its name belongs to another key", func(s string) string { return strings.Replace(s, `"publicKey": "`, `"publicKey": "AAAA`, 1) }, "publicKey is not 32 bytes"},
		"NotBase64": {"it is no key", replace(`"publicKey": "`, `"publicKey": "!`), "publicKey is not 32 bytes"},
		"NoKey": {"it is no key", func(s string) string {
			i := strings.Index(s, `"publicKey"`)
			return s[:i] + s[i+strings.Index(s[i:], "\n"):]
		}, "publicKey is not 32 bytes"},
		"Purpose":      {"it could sign nothing", replace(`"admission"`, `"admissions"`), "purpose"},
		"NoNotBefore":  {"it would have counted always", replace(`"notBefore": "2026-11-23T12:00:00Z",`, ""), "since when"},
		"Date":         {"it is not a time", replace("2026-11-23T12:00:00Z", "2026-11-23"), "notBefore is not a time like"},
		"Exact":        {"seals know milliseconds only", replace("T12:00:00Z", "T12:00:00.0001Z"), "whole milliseconds"},
		"Ancient":      {"it is not a time of this age", replace("2026-11-23T12:00:00Z", "0001-01-01T00:00:00Z"), "of this age"},
		"KeyTwice":     {"what is said about it must be said once", replace(one, one+","+one), "there twice"},
		"Version":      {"a newer one may mean something else", replace("/v1", "/v2"), `apiVersion is "keys.signoff.dev/v2"`},
		"NotJSON":      {"it is cut", func(s string) string { return s[:len(s)/2] }, "failed to read public keys"},
		"Nothing":      {"it is not a document", func(string) string { return "" }, "failed to read public keys"},
		"Null":         {"it is not a document", func(string) string { return "null" }, "apiVersion"},
		"TwoDocuments": {"it is more than a document", func(s string) string { return s + s }, "failed to read public keys"},
		"Huge":         {"work is bounded", func(s string) string { return s + strings.Repeat(" ", maxDocument) }, "more than 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseDocument([]byte(tc.change(string(good))))
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	key := public("a", seal.Admission, 0, 0, 0)
	if _, err := (&Document{Keys: []seal.PublicKey{key, key}}).Encode(); err == nil {
		t.Error("a document that nobody could read was written")
	}
}

func TestParsePrivate(t *testing.T) {
	good, err := EncodePrivate(testKey("a"))
	if err != nil {
		t.Fatal(err)
	}
	// openssl genpkey -algorithm X25519 and -algorithm EC, so keys of other kinds in the same form.
	const (
		x25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n-----END PRIVATE KEY-----\n"
		ec     = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\nOF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n-----END PRIVATE KEY-----\n"
	)
	for name, tc := range map[string]struct {
		reason string
		raw    string
		want   string
	}{
		"Good":      {"nothing is wrong", string(good), ""},
		"Blanks":    {"editors add them", "\n" + string(good) + "\n\n", ""},
		"Empty":     {"it is no key", "", "not PEM"},
		"NotPEM":    {"it is no key", "secret stuff", "not PEM"},
		"Cut":       {"it is not whole", string(good[:len(good)/2]), "not PEM"},
		"Two":       {"which one counts would be a guess", string(good) + string(good), "more than one"},
		"Before":    {"somebody edited it", "# old key\n" + string(good), "more than one"},
		"After":     {"somebody edited it", string(good) + "# old key\n", "more than one"},
		"Type":      {"it is another kind of file", strings.ReplaceAll(string(good), "PRIVATE KEY", "ED25519 PRIVATE KEY"), "PKCS#8"},
		"Encrypted": {"there is no password", strings.ReplaceAll(string(good), "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "PKCS#8"},
		"Headers":   {"somebody edited it", string(pem.EncodeToMemory(&pem.Block{Type: pemType, Headers: map[string]string{"a": "b"}})), "PKCS#8"},
		"NotPKCS8":  {"it is not DER", string(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte("secret stuff")})), "not PKCS#8"},
		"X25519":    {"it cannot sign", x25519, "not Ed25519"},
		"EC":        {"it is another algorithm", ec, "not Ed25519"},
		"Huge":      {"work is bounded", string(good) + strings.Repeat(" ", maxPEM), "more than 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := ParsePrivate([]byte(tc.raw))
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
			if err == nil && !key.Equal(testKey("a")) {
				t.Errorf("%s: another key was read", tc.reason)
			}
			if err != nil && strings.Contains(err.Error(), "secret stuff") {
				t.Errorf("%s: the error shows what was read: %v", tc.reason, err)
			}
		})
	}
}

func TestParseSecret(t *testing.T) {
	entry := func(names ...string) map[string][]byte {
		out := map[string][]byte{}
		for _, name := range names {
			raw, err := EncodePrivate(testKey(name))
			if err != nil {
				t.Fatal(err)
			}
			out[EntryName(testID(name))] = raw
		}
		return out
	}
	renamed := entry("a")
	renamed[EntryName(testID("b"))] = renamed[EntryName(testID("a"))]
	foreign := entry("a")
	foreign["tls.key"] = []byte("x")
	broken := entry("a")
	broken[EntryName(testID("b"))] = []byte("x")
	var many []string
	for i := range maxPrivate + 1 {
		many = append(many, fmt.Sprint(i))
	}
	for name, tc := range map[string]struct {
		reason string
		data   map[string][]byte
		want   string
		count  int
	}{
		"None":    {"it is empty", nil, "", 0},
		"One":     {"nothing is wrong", entry("a"), "", 1},
		"Two":     {"during a rotation there are two", entry("a", "b"), "", 2},
		"Renamed": {"it is another key than it says", renamed, "holds key " + testID("a"), 0},
		"Foreign": {"it is not ours", foreign, `"tls.key" does not end in .pem`, 0},
		"Broken":  {"one that cannot be read may be the one in use", broken, "not PEM", 0},
		"Many":    {"work is bounded", entry(many...), "more than 8", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSecret(tc.data)
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) || len(got) != tc.count {
				t.Errorf("%s: got %d keys, %v, want %d and %q", tc.reason, len(got), err, tc.count, tc.want)
			}
		})
	}
}

func FuzzParseDocument(f *testing.F) {
	good, err := (&Document{Keys: []seal.PublicKey{public("a", seal.Admission, 0, time.Hour, 0), public("b", seal.Controller, 0, 0, time.Hour)}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"apiVersion":"keys.signoff.dev/v1","keys":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := ParseDocument(raw)
		if err != nil {
			return
		}
		written, err := doc.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := ParseDocument(written)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if diff := cmp.Diff(doc, again); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParsePrivate(f *testing.F) {
	good, err := EncodePrivate(testKey("a"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, err := ParsePrivate(raw)
		if err != nil {
			return
		}
		written, err := EncodePrivate(key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePrivate(written)
		if err != nil || !again.Equal(key) {
			t.Errorf("what was written is read as another key: %v", err)
		}
		if _, err := seal.NewSigner(seal.Admission, key); err != nil {
			t.Errorf("it cannot sign: %v", err)
		}
	})
}
