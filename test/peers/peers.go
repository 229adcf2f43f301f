// Package peers has servers that stand in for GitLab, ServiceNow, a chat, a bus and a mail server, where examples call them. They answer as the public
// documentation of their APIs says (GitLab: "Pipelines API" and "Pipeline trigger tokens API"; ServiceNow: "Table API"), for as much of them as the
// examples use and name, and know nothing else.
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

	"github.com/signoff-dev/signoff/test/receivers"
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
	gitLab, serviceNow, post *httptest.Server

	mail *receivers.Mail
	dir  string
}

// Start starts them. Files about them are written to dir.
func Start(dir string) (*Peers, error) {
	p := &Peers{dir: dir, gitLab: httptest.NewTLSServer(newGitLab()), serviceNow: httptest.NewTLSServer(newServiceNow())}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.gitLab.Certificate().Raw})
	mail, err := receivers.NewMail(p.gitLab.TLS.Certificates[0], false, mailPassword)
	if err != nil {
		p.gitLab.Close()
		p.serviceNow.Close()
		return nil, err
	}
	p.mail, p.post = mail, httptest.NewTLSServer(newPost(mail))
	err = errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(p.authority(), authority, 0o600), os.WriteFile(p.script(), p.replace(authority), 0o600))
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
	p.post.Close()
	p.mail.Close()
}

// Ports are where they listen, on 127.0.0.1.
func (p *Peers) Ports() []int {
	out := []int{p.mail.Port}
	for _, server := range []*httptest.Server{p.gitLab, p.serviceNow, p.post} {
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
	var script strings.Builder
	for _, stands := range []struct {
		host string
		in   *httptest.Server
	}{{gitLabHost, p.gitLab}, {serviceNowHost, p.serviceNow}, {chatHost, p.post}, {busHost, p.post}} {
		fmt.Fprintf(&script, "s|https://%s|%s|g\ns|%s|127.0.0.1|g\n", stands.host, stands.in.URL, stands.host)
	}
	fmt.Fprintf(&script, "s|%s|127.0.0.1|g\ns|port: 587$|port: %d|\n", mailHost, p.mail.Port)
	fmt.Fprintf(&script, "s/^\\( *\\)\\(\\(method\\|maxAge\\|urlSecret\\|port\\): .*\\)$/\\1\\2\\n\\1caBundle: \"%s\"/\n", bundle)
	fmt.Fprintf(&script, "s/^\\( *\\)cloudEvents:$/\\1cloudEvents:\\n\\1  caBundle: \"%s\"/\n", bundle)
	return []byte(script.String())
}

// Environment is what stories need to know: PEERS is a script for sed that makes manifests call these servers, GITLAB and SERVICENOW are
// commands that speak to them as somebody who works there, POST is one that reads what was told, and the rest is how the example's bridge is configured.
func (p *Peers) Environment() []string {
	kubectl := func(server *httptest.Server, token string) string {
		return fmt.Sprintf("kubectl --server=%s --certificate-authority=%s --token=%s", server.URL, p.authority(), token)
	}
	return []string{
		"PEERS=" + p.script(), "GITLAB=" + kubectl(p.gitLab, gitLabToken), "SERVICENOW=" + kubectl(p.serviceNow, serviceNowToken),
		"POST=" + kubectl(p.post, "unused"),
		"SERVICENOW_URL=" + p.serviceNow.URL, "SERVICENOW_TOKEN=" + serviceNowToken, "SERVICENOW_CA=" + p.authority(),
	}
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
