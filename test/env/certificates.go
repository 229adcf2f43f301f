package env

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// WebhookClientName is the common name of the certificate that the API server shows to webhooks.
const WebhookClientName = "kube-apiserver"

// WebhookClientCA returns the authority, as PEM, by which a webhook recognises the API server.
func (c *Cluster) WebhookClientCA() []byte {
	return c.webhookCA.pem()
}

// WebhookClientCertificate returns the pair, as PEM, that the API server shows to webhooks, for tests that call one directly.
func (c *Cluster) WebhookClientCertificate() (certificate, key []byte, err error) {
	return c.webhookCA.client(WebhookClientName)
}

// WebhookServing returns a serving certificate for the hosts (names or addresses), its key, and the authority to name as
// caBundle, all as PEM.
func (c *Cluster) WebhookServing(hosts ...string) (certificate, key, ca []byte, err error) {
	certificate, key, err = c.servingCA.serving(hosts)
	return certificate, key, c.servingCA.pem(), err
}

// authority signs certificates. It lives for one test run and is never written to disk.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to generate the key of %s: %w", name, err)
	}
	template := newTemplate(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("failed to sign %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("failed to parse %s: %w", name, err)
	}
	return &authority{certificate: certificate, key: key}, nil
}

// client returns a certificate and key, as PEM, for a client with this common name.
func (a *authority) client(name string) (certificate, key []byte, err error) {
	template := newTemplate(name)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

// serving returns a certificate and key, as PEM, for a server reached by these names and addresses.
func (a *authority) serving(hosts []string) (certificate, key []byte, err error) {
	template := newTemplate("signoff-test-webhook")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.sign(template)
}

func (a *authority) sign(template *x509.Certificate) (certificate, key []byte, err error) {
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to generate a key: %w", err)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, pair.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to sign a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to encode a key: %w", err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER), nil
}

func (a *authority) pem() []byte {
	return encode("CERTIFICATE", a.certificate.Raw)
}

func newTemplate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		// A little in the past, because clocks of a virtual machine step back.
		NotBefore: now.Add(-time.Hour),
		// Nobody has to be told that it ends.
		NotAfter: now.Add(90 * 24 * time.Hour),
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
