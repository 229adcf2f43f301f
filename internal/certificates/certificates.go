// Package certificates makes the authority and the certificate with which the webhooks are served, where nobody else does. A Job of the installation makes both,
// with an identity of its own, so that no process that lives on may write webhook configurations; a CronJob that may write one Secret only replaces the
// certificate, which the same authority signs.
package certificates

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/namedcreate"
)

const (
	// authorityLife is how long the authority is valid, and authorityLeft how much of that must be left, or the next upgrade replaces it. Only the API
	// server trusts it, for our webhooks only.
	authorityLife = 10 * 365 * 24 * time.Hour
	authorityLeft = 2 * 365 * 24 * time.Hour
	// life is how long a certificate is valid, and left how much of that must be left, or it is replaced: early enough for everybody who is warned thirty days
	// before the end to have been spared.
	life = 90 * 24 * time.Hour
	left = 45 * 24 * time.Hour
	// early is how much clocks may differ.
	early = 5 * time.Minute
	// authorityKey is the entry of both Secrets with whom to trust: the authority, and the one before it.
	authorityKey = "ca.crt"
	// coming begins the entries of an authority that the API server is not known to trust, so that nothing is signed by it yet.
	coming = "next-"
	// configurations is the name of both webhook configurations.
	configurations = "signoff"
	owner          = "signoff-certificates"
)

// Options say for which address a certificate is made, and where it is kept.
type Options struct {
	// Client reads and writes the Secrets and the webhook configurations.
	Client client.Client
	// Namespace is where the Secrets and the Service are.
	Namespace string
	// Secret is the name of the Secret with the certificate, and Authority that of the one with who signs it, both of type kubernetes.io/tls.
	Secret, Authority string
	// Service is the Service in front of the webhooks.
	Service string
	// Clock tells whether something ends soon.
	Clock clock.PassiveClock
}

// host is the name by which the API server asks.
func (o *Options) host() string { return o.Service + "." + o.Namespace + ".svc" }

// Ensure makes an authority and a certificate where there is none that lasts, and lets the API server trust it. The webhook configurations come before
// anything is signed: at no moment is something served that is not trusted. Where there are none yet, they are left to the next call.
func Ensure(ctx context.Context, o *Options) error {
	authority, served, err := o.secrets(ctx)
	if err != nil {
		return err
	}
	fresh := signerIn(authority.Data, o.Clock.Now().Add(authorityLeft)) == nil
	if fresh {
		if authority, err = o.prepared(ctx, authority, served); err != nil {
			return err
		}
	}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		if err := o.trust(ctx, kind, authority.Data[authorityKey]); err != nil {
			return err
		}
	}
	if fresh {
		if err := o.write(ctx, authority); err != nil {
			return err
		}
	}
	return o.serve(ctx, signerIn(authority.Data, o.Clock.Now()), authority, served)
}

// Renew replaces the certificate where it ends soon. It makes no authority: who does must be able to let the API server trust it.
func Renew(ctx context.Context, o *Options) error {
	authority, served, err := o.secrets(ctx)
	if err != nil {
		return err
	}
	signs := signerIn(authority.Data, o.Clock.Now().Add(life))
	switch {
	case signs == nil:
		return fmt.Errorf("there is no authority in Secret %s/%s that lasts: helm upgrade with the same values makes one", o.Namespace, o.Authority)
	case served.ResourceVersion == "":
		return fmt.Errorf("there is no Secret %s/%s: helm upgrade with the same values makes it", o.Namespace, o.Secret)
	}
	return o.serve(ctx, signs, authority, served)
}

// secrets gives both Secrets: the one with who signs, and the one with what is served.
func (o *Options) secrets(ctx context.Context) (authority, served *corev1.Secret, err error) {
	if authority, err = o.read(ctx, o.Authority); err != nil {
		return nil, nil, err
	}
	served, err = o.read(ctx, o.Secret)
	return authority, served, err
}

// read gives a Secret. One that is not there has no version.
func (o *Options) read(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := o.Client.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: name}, secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to read Secret %s/%s: %w", o.Namespace, name, err)
	}
	secret.Namespace, secret.Name = o.Namespace, name
	return secret, nil
}

func (o *Options) write(ctx context.Context, secret *corev1.Secret) error {
	write := func() error { return o.Client.Update(ctx, secret) }
	if secret.ResourceVersion == "" {
		write = func() error {
			return namedcreate.Create(ctx, o.Client, coreapply.Secret(secret.Name, o.Namespace).
				WithLabels(map[string]string{"app.kubernetes.io/name": "signoff"}).WithType(corev1.SecretTypeTLS).WithData(secret.Data))
		}
	}
	if err := write(); err != nil {
		return fmt.Errorf("failed to write Secret %s/%s: %w", o.Namespace, secret.Name, err)
	}
	return nil
}

// signer is an authority with its key.
type signer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// prepared gives the Secret of a new authority as it is to be once the API server trusts that, and notes it there as one that is coming. Who dies before that
// goes on with the same one: another one would be told to the API server with the one before it, which nothing was signed by, in place of the one that is
// served.
func (o *Options) prepared(ctx context.Context, authority, served *corev1.Secret) (*corev1.Secret, error) {
	if signerIn(next(authority), o.Clock.Now().Add(authorityLeft)) == nil {
		made, err := o.newAuthority(ctx, authority, served)
		if err != nil {
			return nil, err
		}
		// Kubernetes demands both entries of a Secret of this type. Empty, they sign nothing.
		noted := map[string][]byte{corev1.TLSCertKey: {}, corev1.TLSPrivateKeyKey: {}}
		maps.Copy(noted, authority.Data)
		for entry, value := range made {
			noted[coming+entry] = value
		}
		authority.Data = noted
		if err := o.write(ctx, authority); err != nil {
			return nil, err
		}
		if authority, err = o.read(ctx, o.Authority); err != nil {
			return nil, err
		}
	}
	authority.Data = next(authority)
	return authority, nil
}

// next are the entries of the authority that is coming.
func next(authority *corev1.Secret) map[string][]byte {
	data := map[string][]byte{}
	for entry, value := range authority.Data {
		if name, ok := strings.CutPrefix(entry, coming); ok {
			data[name] = value
		}
	}
	return data
}

// newAuthority makes an authority. The one before stays trusted, because each replica goes on serving what it has signed until it sees the new one. Where
// somebody has deleted the Secrets, the webhook configurations still say which one that was.
func (o *Options) newAuthority(ctx context.Context, authority, served *corev1.Secret) (map[string][]byte, error) {
	before := authority.Data[authorityKey]
	if len(before) == 0 {
		before = served.Data[authorityKey]
	}
	if len(before) == 0 {
		var err error
		if before, err = o.trusted(ctx); err != nil {
			return nil, err
		}
	}
	signs, err := newSigner(o.Clock.Now())
	if err != nil {
		return nil, err
	}
	key, err := keyutil.MarshalPrivateKeyToPEM(signs.key)
	if err != nil {
		return nil, fmt.Errorf("failed to write the key of the authority: %w", err)
	}
	own := encoded(signs.certificate.Raw)
	data := map[string][]byte{corev1.TLSCertKey: own, corev1.TLSPrivateKeyKey: key, authorityKey: own}
	if previous, _ := pem.Decode(before); previous != nil {
		data[authorityKey] = append(bytes.Clone(own), pem.EncodeToMemory(previous)...)
	}
	return data, nil
}

// signerIn gives the authority in the entries of a Secret. Nil: there is none, or it ends before.
func signerIn(data map[string][]byte, before time.Time) *signer {
	pair, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil || !pair.Leaf.IsCA || pair.Leaf.NotAfter.Before(before) || len(data[authorityKey]) == 0 {
		return nil
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil
	}
	return &signer{pair.Leaf, key}
}

func newSigner(now time.Time) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to make a key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	made := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "signoff-webhook-ca"}, NotBefore: now.Add(-early), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	certificate, err := signed(made, made, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &signer{certificate, key}, nil
}

// signed makes a certificate for a public key, by the key of its authority.
func signed(made, authority *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	raw, err := x509.CreateCertificate(rand.Reader, made, authority, public, key)
	if err != nil {
		return nil, fmt.Errorf("failed to sign a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("failed to read a certificate: %w", err)
	}
	return certificate, nil
}

func serialNumber() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("failed to draw a serial number: %w", err)
	}
	return serial, nil
}

func encoded(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: raw})
}

// serve puts a new certificate into its Secret where the one there is none of this authority for the host that lasts.
func (o *Options) serve(ctx context.Context, signs *signer, authority, served *corev1.Secret) error {
	if o.lasts(signs, served) && bytes.Equal(served.Data[authorityKey], authority.Data[authorityKey]) {
		return nil
	}
	if !o.lasts(signs, served) {
		data, err := signs.issue(o.host(), o.Clock.Now())
		if err != nil {
			return err
		}
		served.Data = data
	}
	served.Data[authorityKey] = authority.Data[authorityKey]
	return o.write(ctx, served)
}

func (o *Options) lasts(signs *signer, served *corev1.Secret) bool {
	pair, err := tls.X509KeyPair(served.Data[corev1.TLSCertKey], served.Data[corev1.TLSPrivateKeyKey])
	return err == nil && pair.Leaf.VerifyHostname(o.host()) == nil && pair.Leaf.NotAfter.After(o.Clock.Now().Add(left)) && pair.Leaf.CheckSignatureFrom(signs.certificate) == nil
}

// issue makes a certificate for the host, with its key, which is in no other place.
func (s *signer) issue(host string, now time.Time) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("failed to make a key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	leaf, err := signed(&x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: now.Add(-early), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}, s.certificate, key.Public(), s.key)
	if err != nil {
		return nil, err
	}
	text, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, fmt.Errorf("failed to write the key of the certificate: %w", err)
	}
	return map[string][]byte{
		corev1.TLSCertKey: append(encoded(leaf.Raw), encoded(s.certificate.Raw)...), corev1.TLSPrivateKeyKey: text,
	}, nil
}

// trusted gives the authority that the API server trusts, or nothing where there is none yet: a configuration has the same in every webhook.
func (o *Options) trusted(ctx context.Context) ([]byte, error) {
	live := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	err := o.Client.Get(ctx, types.NamespacedName{Name: configurations}, live)
	switch {
	case apierrors.IsNotFound(err), err == nil && len(live.Webhooks) == 0:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("failed to read ValidatingWebhookConfiguration %s: %w", configurations, err)
	}
	return live.Webhooks[0].ClientConfig.CABundle, nil
}

// trust lets the API server trust the authority, in every webhook of a configuration. It applies nothing but that, so that everything else
// stays with who installed it.
func (o *Options) trust(ctx context.Context, kind string, authority []byte) error {
	live := &unstructured.Unstructured{}
	live.SetAPIVersion("admissionregistration.k8s.io/v1")
	live.SetKind(kind)
	if err := o.Client.Get(ctx, types.NamespacedName{Name: configurations}, live); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("failed to read %s %s: %w", kind, configurations, err)
	}
	webhooks, _, err := unstructured.NestedSlice(live.Object, "webhooks")
	if err != nil {
		return fmt.Errorf("failed to read the webhooks of %s %s: %w", kind, configurations, err)
	}
	var trusting []any
	for _, webhook := range webhooks {
		if fields, ok := webhook.(map[string]any); ok {
			trusting = append(trusting, map[string]any{"name": fields["name"], "clientConfig": map[string]any{"caBundle": authority}})
		}
	}
	apply := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
		"metadata": map[string]any{"name": configurations, "uid": string(live.GetUID())}, "webhooks": trusting,
	}}
	if err := o.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(apply), client.FieldOwner(owner), client.ForceOwnership); err != nil {
		return fmt.Errorf("failed to let the API server trust the certificate, in %s %s: %w", kind, configurations, err)
	}
	return nil
}
