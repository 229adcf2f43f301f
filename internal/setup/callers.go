package setup

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/metrics"
)

var errNoCertificate = errors.New("the caller shows no client certificate: only the API server is answered")

// clientAuth cuts off whoever is not the API server before a byte of a request is read. The certificate is verified here and not by
// the ClientAuth of crypto/tls, which tells nobody whom it refused: so it is counted. That the caller has the key of the
// certificate, crypto/tls makes sure of afterwards.
func clientAuth(authorities *x509.CertPool) func(*tls.Config) {
	return func(t *tls.Config) {
		t.MinVersion = tls.VersionTLS13
		t.NextProtos = []string{"http/1.1"}
		t.ClientAuth = tls.RequestClientCert
		t.ClientCAs = authorities
		// Unlike VerifyPeerCertificate, it is called for every connection, resumed ones too.
		t.VerifyConnection = func(state tls.ConnectionState) error { return verifyCaller(state.PeerCertificates, authorities) }
	}
}

// verifyCaller refuses, and counts, a caller whose certificate no authority signed for a client.
func verifyCaller(shown []*x509.Certificate, authorities *x509.CertPool) error {
	if len(shown) == 0 {
		metrics.Refused(metrics.NoCertificate)
		return errNoCertificate
	}
	between := x509.NewCertPool()
	for _, certificate := range shown[1:] {
		between.AddCert(certificate)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		metrics.Refused(metrics.ForeignCertificate)
		return fmt.Errorf("the client certificate of the caller is not that of the API server: %w", err)
	}
	return nil
}

// clientCAs reads who may sign the certificate of the API server. Where the file cannot be read, nobody may.
func clientCAs(cfg *config.Configuration) *x509.CertPool {
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(caFile(cfg)); err == nil {
		pool.AppendCertsFromPEM(pem)
	}
	return pool
}

func caFile(cfg *config.Configuration) string {
	if filepath.IsAbs(cfg.Webhook.ClientCAFile) || cfg.Webhook.ClientCAFile == "" {
		return cfg.Webhook.ClientCAFile
	}
	return filepath.Join(cfg.Webhook.CertDir, cfg.Webhook.ClientCAFile)
}
