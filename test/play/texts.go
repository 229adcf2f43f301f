package play

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// Authority is the certificate of a server, as it stands in the caBundle of a step in an Action.
func Authority(server *httptest.Server) string {
	return strings.ReplaceAll(Certificate(server), "\n", "\n          ")
}

// Certificate gives the certificate of a host, as PEM.
func Certificate(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// Marked gives the block of a page that stands after a mark.
func Marked(t testing.TB, page, mark string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- "+mark+" -->\n```")
	if !found {
		t.Fatalf("%s has no block %q", page, mark)
	}
	_, rest, _ = strings.Cut(rest, "\n")
	block, _, _ := strings.Cut(rest, "```")
	return block
}
