// Package peers has servers that stand in for GitLab and ServiceNow, where examples call them. They answer as the public documentation of
// their APIs says (GitLab: "Pipelines API"; ServiceNow: "Table API"), for as much of them as the examples use, and know nothing else.
package peers

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
)

// The names and tokens that the examples write, and that these servers stand in for.
const (
	gitLabHost      = "gitlab.example.com"
	gitLabToken     = "glpat-of-the-example"
	serviceNowHost  = "servicenow.example.com"
	serviceNowToken = "now-of-the-example"
)

// Peers are the servers.
type Peers struct {
	gitLab, serviceNow *httptest.Server
	dir                string
}

// Start starts them. Files about them are written to dir.
func Start(dir string) (*Peers, error) {
	p := &Peers{dir: dir, gitLab: httptest.NewTLSServer(newGitLab()), serviceNow: httptest.NewTLSServer(newServiceNow())}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.gitLab.Certificate().Raw})
	err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(p.authority(), authority, 0o600), os.WriteFile(p.script(), p.replace(authority), 0o600))
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("failed to write about the peers: %w", err)
	}
	return p, nil
}

// Stop ends them.
func (p *Peers) Stop() {
	p.gitLab.Close()
	p.serviceNow.Close()
}

// Ports are where they listen, on 127.0.0.1.
func (p *Peers) Ports() []int {
	var out []int
	for _, server := range []*httptest.Server{p.gitLab, p.serviceNow} {
		if address, ok := server.Listener.Addr().(*net.TCPAddr); ok {
			out = append(out, address.Port)
		}
	}
	return out
}

func (p *Peers) authority() string { return filepath.Join(p.dir, "ca.crt") }

func (p *Peers) script() string { return filepath.Join(p.dir, "peers.sed") }

// replace is a script for sed that puts these servers in the place of those that the manifests name, with the authority that signs for them.
func (p *Peers) replace(authority []byte) []byte {
	bundle := strings.NewReplacer("\n", `\\n`, "/", `\/`).Replace(string(authority))
	return fmt.Appendf(nil, `s|https://%s|%s|g
s|https://%s|%s|g
s|%s|127.0.0.1|g
s|%s|127.0.0.1|g
s/^\( *\)\(\(method\|maxAge\): .*\)$/\1\2\n\1caBundle: "%s"/
`, gitLabHost, p.gitLab.URL, serviceNowHost, p.serviceNow.URL, gitLabHost, serviceNowHost, bundle)
}

// Environment is what stories need to know: PEERS is a script for sed that makes manifests call these servers, GITLAB and SERVICENOW are
// commands that speak to them as somebody who works there, and the rest is how the example's bridge is configured.
func (p *Peers) Environment() []string {
	kubectl := func(server *httptest.Server, token string) string {
		return fmt.Sprintf("kubectl --server=%s --certificate-authority=%s --token=%s", server.URL, p.authority(), token)
	}
	return []string{
		"PEERS=" + p.script(), "GITLAB=" + kubectl(p.gitLab, gitLabToken), "SERVICENOW=" + kubectl(p.serviceNow, serviceNowToken),
		"SERVICENOW_URL=" + p.serviceNow.URL, "SERVICENOW_TOKEN=" + serviceNowToken, "SERVICENOW_CA=" + p.authority(),
	}
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
