package inputs

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSecretive: a guess by whole words, so that nobody learns to overlook it.
func TestSecretive(t *testing.T) {
	for name, want := range map[string]bool{
		"password": true, "dbPassword": true, "db_password": true, "DB-PASSWORD": true, "passwd": true, "token": true, "accessTokens": true, "secret": true, "clientSecret": true,
		"apiKey": true, "APIKey": true, "api_key": true, "apikey": true, "privateKey": true, "tlsPrivateKeyPEM": true, "credential": true, "awsCredentials": true,
		"secretName": false, "passwordSecretName": false, "tokenRef": false, "token_refs": false, "secretNames": false,
		"tokenizer": false, "secretary": false, "key": false, "api": false, "passwordless": false, "publicKey": false, "image": false,
	} {
		if got := isSecretive(name); got != want {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
}

// TestSecretiveInputs looks into lists and maps, and at nothing that is no text.
func TestSecretiveInputs(t *testing.T) {
	text := `{"type": "string", "maxLength": 9}`
	s := compile(t, fmt.Sprintf(`{"type": "object", "properties": {
		"token": %[1]s, "tokenCount": {"type": "integer"}, "passwords": {"type": "array", "maxItems": 2, "items": %[1]s}, "secretName": %[1]s,
		"secrets": {"type": "object", "maxProperties": 2, "additionalProperties": %[1]s},
		"users": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {"name": %[1]s, "password": %[1]s}}}}}`, text))
	if diff := cmp.Diff([]string{"passwords", "secrets", "token", "users[].password"}, s.Secretive()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := (*Schema)(nil).Secretive(); got != nil {
		t.Errorf("without inputs: %q", got)
	}
}
