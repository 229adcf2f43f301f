// Package receivers are real ones for what Signoff sends, on the loopback interface.
package receivers

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
)

// Call is one that arrived.
type Call struct {
	Path   string
	Header http.Header
	Body   string
}

// HTTP takes calls over TLS.
type HTTP struct {
	*httptest.Server

	mu     sync.Mutex
	calls  []Call
	answer func(http.ResponseWriter)
}

// NewHTTP listens. It answers 200 until Answers says otherwise.
func NewHTTP() *HTTP {
	r := &HTTP{answer: func(http.ResponseWriter) {}}
	r.Server = httptest.NewTLSServer(r)
	return r
}

// ServeHTTP implements http.Handler.
func (r *HTTP) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	r.calls = append(r.calls, Call{request.URL.Path, request.Header, string(body)})
	answer := r.answer
	r.mu.Unlock()
	answer(w)
}

// Answers says what is answered from now on.
func (r *HTTP) Answers(answer func(http.ResponseWriter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// Calls are those that have arrived at a path, or at any if it is empty, and were not taken before.
func (r *HTTP) Calls(path string) []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Call
	for _, call := range r.calls {
		if path == "" || call.Path == path {
			found = append(found, call)
		}
	}
	return found
}

// Take takes all calls that have arrived.
func (r *HTTP) Take() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// Port is where it listens.
func (r *HTTP) Port() int { return portOf(r.Listener.Addr()) }

// Bundle is the authority that signs its certificate, as PEM.
func (r *HTTP) Bundle() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}))
}

func portOf(address net.Addr) int {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}
