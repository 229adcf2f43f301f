package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// TestKeyed: the hash of a message never changes with the version of Signoff, as people would be asked again; and neither what is public nor a
// signature tells it.
func TestKeyed(t *testing.T) {
	s, message := signer(t, Controller, "keyed"), []byte("what")
	got := s.Keyed(message)
	// HKDF (RFC 5869) with SHA-256 of the seed, without salt, and HMAC-SHA256 with that: computed by other means.
	if want := "4bb3c7d4785312d09f8fbd7c0525319788715aecb2e22566104bac927360ffc9"; hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
	if bytes.Equal(got, signer(t, Controller, "other").Keyed(message)) || bytes.Equal(got, s.Keyed([]byte("that"))) {
		t.Error("another key and another message give another hash")
	}
	for _, public := range [][]byte{s.Public(), ed25519.Sign(testKey("keyed"), message), testKey("keyed").Seed()} {
		mac := hmac.New(sha256.New, public)
		mac.Write(message)
		if bytes.Equal(got, mac.Sum(nil)) {
			t.Error("it is a key of its own")
		}
	}
}
