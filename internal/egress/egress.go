// Package egress lets calls leave the process only to hosts that the configuration allows, and only to addresses that these hosts may have.
//
// What is allowed is checked twice: by name, before a call, and by address, when the connection is made, after the name was resolved. A
// name that suddenly resolves to an address inside of the cluster, or to that of a metadata service, is refused.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrRefused says that a call is not allowed, so that nothing was sent.
var ErrRefused = errors.New("the configuration of Signoff does not allow it")

const (
	// dialTimeout and handshakeTimeout bound how long it takes to reach a host; the context of the caller bounds the whole.
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	// maxHeaders is how many bytes of headers are read of an answer.
	maxHeaders = 64 * 1024
)

// Host is a host that may be called.
type Host struct {
	// Name is its name, or "*." and what all names end in.
	Name string
	// Ports may be called.
	Ports []uint16
	// Networks are addresses that it may have although they are not public.
	Networks []netip.Prefix
	// Plain says that it may be called without TLS.
	Plain bool
}

// Policy says what may be called. The zero value allows nothing.
type Policy struct{ hosts []Host }

// New makes a Policy that allows these hosts.
func New(hosts []Host) *Policy { return &Policy{hosts: slices.Clone(hosts)} }

// Check tells why a URL may not be called, by its scheme, host and port.
func (p *Policy) Check(u *url.URL) error {
	_, err := p.host(u)
	return err
}

// host finds the entry that allows a URL.
func (p *Policy) host(u *url.URL) (*Host, error) {
	name, port, err := address(u)
	if err != nil {
		return nil, err
	}
	return p.find(name, port, u.Scheme, u.Scheme == "https")
}

// find finds the entry that allows a host, a port and a protocol, which may be spoken with TLS or without.
func (p *Policy) find(name string, port uint16, protocol string, secure bool) (*Host, error) {
	known := false
	for i := range p.hosts {
		h := &p.hosts[i]
		if !Matches(h.Name, name) {
			continue
		}
		known = true
		if slices.Contains(h.Ports, port) && (secure || h.Plain) {
			return h, nil
		}
	}
	if known {
		return nil, fmt.Errorf("%w: host %s is in egress.hosts, but not with %s and port %d", ErrRefused, name, protocol, port)
	}
	return nil, fmt.Errorf("%w: host %s is not in egress.hosts", ErrRefused, name)
}

// address reads host and port of a URL.
func address(u *url.URL) (string, uint16, error) {
	port := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	if port == "" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return "", 0, fmt.Errorf("%w: a URL has the form https://host/path", ErrRefused)
	}
	if given := u.Port(); given != "" {
		port = given
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("%w: port %q is none", ErrRefused, port)
	}
	return strings.ToLower(u.Hostname()), uint16(number), nil
}

// Matches tells whether a host is one that a pattern names: itself, or whatever is below "*.". An address matches only itself.
func Matches(pattern, host string) bool {
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	if !wildcard {
		return pattern == host
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return strings.HasPrefix(suffix, ".") && len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}

// CheckServer tells why what is not HTTP may not be called, by its host and port. Secure says that TLS is spoken.
func (p *Policy) CheckServer(name string, port uint16, secure bool) error {
	_, err := p.server(name, port, secure)
	return err
}

func (p *Policy) server(name string, port uint16, secure bool) (*Host, error) {
	protocol := "TLS"
	if !secure {
		protocol = "no TLS"
	}
	return p.find(strings.ToLower(name), port, protocol, secure)
}

// Dialer gives what dials a host and a port for a protocol that is not HTTP, and nothing else. Secure says that TLS is spoken.
func (p *Policy) Dialer(name string, port uint16, secure bool) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	host, err := p.server(name, port, secure)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: host.control}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, net.JoinHostPort(name, strconv.Itoa(int(port))))
	}, nil
}

// Client gives a client for one call of a URL. It follows no redirect, asks no proxy, keeps no connection, and trusts the authorities given, or
// else those of the system. A request is sent once at most, and the time that an answer may take is that of its context.
func (p *Policy) Client(u *url.URL, caBundle []byte) (*http.Client, error) {
	host, err := p.host(u)
	if err != nil {
		return nil, err
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(caBundle) > 0 {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(caBundle) {
			return nil, errors.New("caBundle holds no certificate")
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: host.control}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: trust, TLSHandshakeTimeout: handshakeTimeout,
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaders, Protocols: sendsOnce(),
		},
	}, nil
}

// sendsOnce are the protocols by which net/http sends a request once. By HTTP/2 it sends one anew, also a POST, where the host resets the stream or closes
// the connection. By HTTP/1.1 it does so, for one with an Idempotency-Key, on a connection that was used before: none is kept.
func sendsOnce() *http.Protocols {
	out := &http.Protocols{}
	out.SetHTTP1(true)
	return out
}

// control refuses a connection to an address that the host may not have. It is called with the address, after the name was resolved.
func (h *Host) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	endpoint, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q is no address", ErrRefused, address)
	}
	return h.mayHave(endpoint.Addr())
}

func (h *Host) mayHave(address netip.Addr) error {
	address = address.Unmap().WithZone("")
	if isPublic(address) || slices.ContainsFunc(h.Networks, func(n netip.Prefix) bool { return n.Contains(address) }) {
		return nil
	}
	return fmt.Errorf("%w: host %s has the address %s, which is not public: where that is meant, name it in egress.hosts[].networks", ErrRefused, h.Name, address)
}

// special are networks that are no part of the public internet although they look as if, or that lead into another one.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	// The metadata service of Azure has a public address.
	"168.63.129.16/32",
	"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10", "::/96",
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// isPublic tells addresses of the public internet: neither loopback, private, link-local nor multicast, nor special in another way.
func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return false
	}
	return !slices.ContainsFunc(special, func(n netip.Prefix) bool { return n.Contains(a) })
}

// WithoutURL takes the address out of the error of a call: that of a chat is its secret, and others may have one in their path or query.
func WithoutURL(err error) error {
	if called, ok := errors.AsType[*url.Error](err); ok {
		return called.Err
	}
	return err
}
