package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
)

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCheck(t *testing.T) {
	p := New([]Host{
		{Name: "hooks.example.com", Ports: []uint16{443, 8443}}, {Name: "*.corp.example.com", Ports: []uint16{443}},
		{Name: "plain.example.com", Ports: []uint16{80}, Plain: true}, {Name: "192.0.2.7", Ports: []uint16{443}}, {Name: "*.2.7", Ports: []uint16{443}},
	})
	for name, tc := range map[string]struct {
		reason, url, want string
	}{
		"Exact":       {"it is named", "https://hooks.example.com/a", ""},
		"Case":        {"names have no case", "https://HOOKS.example.com/a", ""},
		"Port":        {"it is named", "https://hooks.example.com:8443/a", ""},
		"OtherPort":   {"it is not", "https://hooks.example.com:22/a", "not with https and port 22"},
		"Plain":       {"whoever listens would read it", "http://hooks.example.com:443/a", "not with http"},
		"PlainNamed":  {"it is said", "http://plain.example.com/a", ""},
		"Below":       {"below the wildcard", "https://a.b.corp.example.com/", ""},
		"Itself":      {"the wildcard does not name itself", "https://corp.example.com/", "not in egress.hosts"},
		"Suffix":      {"a name that only ends alike", "https://evilcorp.example.com/", "not in egress.hosts"},
		"Prefix":      {"a name that only begins alike", "https://hooks.example.com.evil.test/", "not in egress.hosts"},
		"Dot":         {"another way to write the name is another name", "https://hooks.example.com./", "not in egress.hosts"},
		"Address":     {"an address that is named", "https://192.0.2.7/", ""},
		"AddressWild": {"no wildcard names addresses", "https://10.1.2.7/", "not in egress.hosts"},
		"User":        {"a password in a URL ends up in logs", "https://a:b@hooks.example.com/", "has the form"},
		"Scheme":      {"files are not called", "file:///etc/passwd", "has the form"},
		"NoHost":      {"there is nobody", "https:///a", "has the form"},
	} {
		t.Run(name, func(t *testing.T) {
			err := p.Check(parse(t, tc.url))
			if (err == nil) != (tc.want == "") || err != nil && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
	if err := (&Policy{}).Check(parse(t, "https://hooks.example.com/")); !errors.Is(err, ErrRefused) {
		t.Errorf("without a configuration nothing is allowed: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for text, public := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "1.1.1.1": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.100.100.200": false,
		"0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "168.63.129.16": false, "198.18.0.1": false, "192.0.0.192": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "ff02::1": false, "::ffff:127.0.0.1": false,
		"::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false, "::7f00:1": false, "fec0::1": false,
	} {
		if err := (&Host{Name: "x"}).mayHave(netip.MustParseAddr(text)); (err == nil) != public {
			t.Errorf("%s: %v", text, err)
		}
	}
	inside := &Host{Name: "x", Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	if err := inside.mayHave(netip.MustParseAddr("::ffff:10.1.2.3")); err != nil {
		t.Errorf("an address that is named: %v", err)
	}
	if err := inside.mayHave(netip.MustParseAddr("10.2.2.3")); !errors.Is(err, ErrRefused) {
		t.Errorf("one beside it: %v", err)
	}
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// TestDial resolves a name to an address inside, as an attacker's name server would.
func TestDial(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	t.Cleanup(server.Close)
	port := netip.MustParseAddrPort(server.Listener.Addr().String()).Port()
	u := parse(t, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)+"/redirect")
	get := func(networks []netip.Prefix) (int, error) {
		c, err := New([]Host{{Name: "localhost", Ports: []uint16{port}, Plain: true, Networks: networks}}).Client(u, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Get(u.String())
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode, response.Body.Close()
	}
	if status, err := get(nil); !errors.Is(err, ErrRefused) || calls.Load() != 0 {
		t.Fatalf("an address that is not public was called: %d, %v, %d calls", status, err, calls.Load())
	}
	if status, err := get(loopback); err != nil || status != http.StatusFound || calls.Load() != 1 {
		t.Errorf("a redirect was followed: %v, %d, %d calls", err, status, calls.Load())
	}
}

// TestNoProxy looks at the transport: Go reads the variables of the environment once, and asks no proxy for what is on this machine, so that no call
// of a test could tell.
func TestNoProxy(t *testing.T) {
	c, err := New([]Host{{Name: "hooks.example.com", Ports: []uint16{443}}}).Client(parse(t, "https://hooks.example.com/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if transport, ok := c.Transport.(*http.Transport); !ok || transport.Proxy != nil {
		t.Errorf("a proxy would be asked: %T", c.Transport)
	}
}

// TestAnswerHasItsTime looks at the transport, since nobody waits for a minute in a test: a bound of its own would end a call before its caller does.
func TestAnswerHasItsTime(t *testing.T) {
	c, err := New([]Host{{Name: "hooks.example.com", Ports: []uint16{443}}}).Client(parse(t, "https://hooks.example.com/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if transport, ok := c.Transport.(*http.Transport); !ok || transport.ResponseHeaderTimeout != 0 || c.Timeout != 0 {
		t.Errorf("an answer is waited for as long as the context of the call says: %+v", c.Transport)
	}
}

// breaker is a host that takes requests and breaks off, as each protocol allows it: by HTTP/2 it resets the stream, by HTTP/1.1 it closes the connection. What
// is sent to /answered by HTTP/1.1 it answers, and leaves the connection open.
type breaker struct {
	net.Listener
	authority []byte

	mu  sync.Mutex
	got []string
}

func newBreaker(t *testing.T, protocols ...string) *breaker {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler()) // it has a certificate
	t.Cleanup(server.Close)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: server.TLS.Certificates, NextProtos: protocols})
	if err != nil {
		t.Fatal(err)
	}
	out := &breaker{Listener: listener, authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go out.serve(connection.(*tls.Conn))
		}
	}()
	return out
}

func (b *breaker) serve(connection *tls.Conn) {
	defer func() { _ = connection.Close() }()
	if connection.Handshake() != nil {
		return
	}
	if connection.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS {
		b.reset(connection)
		return
	}
	for read := bufio.NewReader(connection); ; {
		r, err := http.ReadRequest(read)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		b.note(r.Proto + " " + r.URL.Path)
		if r.URL.Path != "/answered" {
			return
		}
		_, _ = io.WriteString(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

func (b *breaker) reset(connection net.Conn) {
	if _, err := io.ReadFull(connection, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(connection, connection)
	_ = framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			b.note("HTTP/2")
			_ = framer.WriteRSTStream(f.StreamID, http2.ErrCodeProtocol)
		}
	}
}

func (b *breaker) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, what)
}

func (b *breaker) came() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...)
}

// TestSentOnce: net/http sends a request anew by itself where it takes it for one that the host has not seen, and nobody would know of the second. It does
// so by HTTP/2, and by HTTP/1.1 on a connection that was used before.
func TestSentOnce(t *testing.T) {
	for name, protocols := range map[string][]string{"HTTP2": {"h2", "http/1.1"}, "HTTP1": {"http/1.1"}, "Unsaid": nil} {
		t.Run(name, func(t *testing.T) {
			host := newBreaker(t, protocols...)
			u := parse(t, "https://"+host.Addr().String())
			c, err := New([]Host{{Name: "127.0.0.1", Ports: []uint16{netip.MustParseAddrPort(u.Host).Port()}, Networks: loopback}}).Client(u, host.authority)
			if err != nil {
				t.Fatal(err)
			}
			post := func(path string) error {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String()+path, strings.NewReader("a body that can be read again"))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Idempotency-Key", "k")
				answer, err := c.Do(r)
				if err != nil {
					return err
				}
				return answer.Body.Close()
			}
			if err := post("/answered"); err != nil {
				t.Error(err)
			}
			if err := post("/broken"); err == nil {
				t.Error("it had no answer")
			}
			if diff := cmp.Diff([]string{"HTTP/1.1 /answered", "HTTP/1.1 /broken"}, host.came()); diff != "" {
				t.Errorf("what came: -want +got:\n%s", diff)
			}
		})
	}
}

func TestBadBundle(t *testing.T) {
	p := New([]Host{{Name: "localhost", Ports: []uint16{443}}})
	if _, err := p.Client(parse(t, "https://localhost/"), []byte("x")); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("got %v", err)
	}
	if _, err := p.Client(parse(t, "https://other/"), nil); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
}
