package setup

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

type signer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newSigner(t *testing.T, by *signer, isCA bool, usage x509.ExtKeyUsage, ends time.Duration) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "some"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(ends),
		IsCA: isCA, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{usage}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if by == nil {
		by = &signer{template, key}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{certificate, key}
}

func (s *signer) shown(others ...*signer) *tls.Certificate {
	shown := &tls.Certificate{Certificate: [][]byte{s.certificate.Raw}, PrivateKey: s.key}
	for _, other := range others {
		shown.Certificate = append(shown.Certificate, other.certificate.Raw)
	}
	return shown
}

// refusedFor is how many callers were refused for a reason.
func refusedFor(t *testing.T, reason metrics.Refusal) float64 {
	t.Helper()
	families, err := ctrlmetrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "signoff_webhook_refused_total" && metric.GetLabel()[0].GetValue() == string(reason) {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestOnlyTheAPIServerIsAnswered(t *testing.T) {
	metrics.Show(snapshot.NewStore(nil), "signoff-system")
	authority, other := newSigner(t, nil, true, x509.ExtKeyUsageAny, time.Hour), newSigner(t, nil, true, x509.ExtKeyUsageAny, time.Hour)
	between := newSigner(t, authority, true, x509.ExtKeyUsageAny, time.Hour)
	good := newSigner(t, authority, false, x509.ExtKeyUsageClientAuth, time.Hour)
	pool := x509.NewCertPool()
	pool.AddCert(authority.certificate)
	var asked atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	server.TLS = &tls.Config{}
	clientAuth(pool)(server.TLS)
	server.StartTLS()
	defer server.Close()
	for name, tc := range map[string]struct {
		reason string
		shown  *tls.Certificate
		why    metrics.Refusal
		answer bool
	}{
		"APIServer":   {"It is answered.", good.shown(), "", true},
		"Between":     {"Its certificate may be signed by an authority that ours signed.", newSigner(t, between, false, x509.ExtKeyUsageClientAuth, time.Hour).shown(between), "", true},
		"None":        {"A caller without a certificate.", &tls.Certificate{}, metrics.NoCertificate, false},
		"Foreign":     {"Another authority.", newSigner(t, other, false, x509.ExtKeyUsageClientAuth, time.Hour).shown(), metrics.ForeignCertificate, false},
		"ForeignWith": {"Another authority, which is shown too.", newSigner(t, other, false, x509.ExtKeyUsageClientAuth, time.Hour).shown(other), metrics.ForeignCertificate, false},
		"SelfSigned":  {"No authority at all.", newSigner(t, nil, false, x509.ExtKeyUsageClientAuth, time.Hour).shown(), metrics.ForeignCertificate, false},
		"Server":      {"A certificate of a server, of the right authority.", newSigner(t, authority, false, x509.ExtKeyUsageServerAuth, time.Hour).shown(), metrics.ForeignCertificate, false},
		"Ended":       {"A certificate that has ended.", newSigner(t, authority, false, x509.ExtKeyUsageClientAuth, -time.Hour).shown(), metrics.ForeignCertificate, false},
		"Stolen":      {"The certificate of the API server, without its key.", &tls.Certificate{Certificate: [][]byte{good.certificate.Raw}, PrivateKey: other.key}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			before := refusedFor(t, tc.why)
			asked.Store(0)
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
				InsecureSkipVerify:   true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tc.shown, nil },
			}}}
			defer client.CloseIdleConnections()
			response, err := client.Get(server.URL)
			if err == nil {
				_ = response.Body.Close()
			}
			if (err == nil) != tc.answer || (asked.Load() == 1) != tc.answer {
				t.Errorf("%s answered: %t (asked %d times), want %t: %v", tc.reason, err == nil, asked.Load(), tc.answer, err)
			}
			if tc.why != "" && refusedFor(t, tc.why) != before+1 {
				t.Errorf("%s It must be counted as %s: %v, then %v", tc.reason, tc.why, before, refusedFor(t, tc.why))
			}
		})
	}
}
