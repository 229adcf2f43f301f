package chart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/internal/certificates"
)

const others = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: signoff}
webhooks:
- {name: a.example.org, clientConfig: {service: {namespace: data, name: webhook}}, sideEffects: None, admissionReviewVersions: [v1]}
- {name: b.example.org, clientConfig: {service: {namespace: data, name: webhook}}, sideEffects: None, admissionReviewVersions: [v1]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: signoff}
webhooks:
- {name: c.example.org, clientConfig: {service: {namespace: data, name: webhook}}, sideEffects: None, admissionReviewVersions: [v1]}
`

// made is a Secret with a certificate.
type made struct {
	*testing.T
	corev1.Secret
}

func certificate(t *testing.T) *made {
	t.Helper()
	m := &made{T: t}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "data", Name: "webhook-cert"}, &m.Secret); err != nil {
		t.Fatal(err)
	}
	return m
}

// trustedBy tells whether the API server, trusting the bundle, would talk to whoever serves the certificate as host.
func (m *made) trustedBy(bundle []byte, host string) error {
	m.Helper()
	pair, err := tls.X509KeyPair(m.Data["tls.crt"], m.Data["tls.key"])
	if err != nil {
		m.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// bundle is what the API server trusts, which must be the same in each webhook.
func bundle(t *testing.T) []byte {
	t.Helper()
	all := (&installation{T: t}).trusted()
	for _, one := range all {
		if one != all[0] {
			t.Errorf("webhooks differ: %s", all)
		}
	}
	text, err := base64.StdEncoding.DecodeString(all[0])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestCertificates makes a certificate before and after there are webhooks, and lives through its end.
func TestCertificates(t *testing.T) {
	const host = "webhook.data.svc"
	clock := clocktesting.NewFakeClock(time.Now())
	options := &certificates.Options{Client: admin(t), Namespace: "data", Secret: "webhook-cert", Service: "webhook", Clock: clock}
	ensure := func() {
		t.Helper()
		if err := certificates.Ensure(t.Context(), options); err != nil {
			t.Fatal(err)
		}
	}
	ensure()
	first := certificate(t)
	if err := first.trustedBy(first.Data["ca.crt"], host); err != nil || first.Type != corev1.SecretTypeTLS {
		t.Errorf("it cannot be served: %v, %s", err, first.Type)
	}
	if err := cluster.Apply(t.Context(), []byte(others)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { forget(t) })
	ensure()
	if same := certificate(t); same.ResourceVersion != first.ResourceVersion {
		t.Error("one that lasts was replaced")
	}
	if err := first.trustedBy(bundle(t), host); err != nil {
		t.Errorf("the API server does not trust it: %v", err)
	}

	clock.Step(8*365*24*time.Hour + 48*time.Hour)
	// Who dies in between leaves nothing that is served and not trusted.
	options.Client = interceptor.NewClient(admin(t), interceptor.Funcs{Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
		return errors.New("the end")
	}})
	if err := certificates.Ensure(t.Context(), options); err == nil {
		t.Fatal("the update did not fail")
	}
	if err := certificate(t).trustedBy(bundle(t), host); err != nil {
		t.Errorf("what is still served is not trusted: %v", err)
	}
	options.Client = admin(t)
	ensure()
	second := certificate(t)
	if string(second.Data["tls.crt"]) == string(first.Data["tls.crt"]) {
		t.Error("it was not replaced before its end")
	}
	for name, m := range map[string]*made{"the new one": second, "the old one, which replicas still serve": first} {
		if err := m.trustedBy(bundle(t), host); err != nil {
			t.Errorf("%s is not trusted: %v", name, err)
		}
	}
	clock.Step(-8 * 365 * 24 * time.Hour)

	// As the guide says, to replace it now. Replicas serve the one before until they see the new one.
	if err := admin(t).Delete(t.Context(), &second.Secret); err != nil {
		t.Fatal(err)
	}
	ensure()
	third := certificate(t)
	if string(third.Data["tls.crt"]) == string(second.Data["tls.crt"]) {
		t.Error("it was not replaced when it was deleted")
	}
	for name, m := range map[string]*made{"the new one": third, "the deleted one, which replicas still serve": second} {
		if err := m.trustedBy(bundle(t), host); err != nil {
			t.Errorf("%s is not trusted: %v", name, err)
		}
	}
	// The second time it is forgotten, for those who fear that its key is known.
	if err := admin(t).Delete(t.Context(), &third.Secret); err != nil {
		t.Fatal(err)
	}
	ensure()
	if second.trustedBy(bundle(t), host) == nil {
		t.Error("the one before the last is still trusted")
	}

	options.Service = "another"
	ensure()
	if err := certificate(t).trustedBy(bundle(t), "another.data.svc"); err != nil {
		t.Errorf("one for another address was kept: %v", err)
	}
	broken := certificate(t)
	broken.Data["tls.key"] = []byte("nothing")
	if err := admin(t).Update(t.Context(), &broken.Secret); err != nil {
		t.Fatal(err)
	}
	ensure()
	if err := certificate(t).trustedBy(bundle(t), "another.data.svc"); err != nil {
		t.Errorf("a broken one was kept: %v", err)
	}
}

// forget removes what would be in the way of an installation.
func forget(t *testing.T) {
	t.Helper()
	c := admin(t)
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		object := &unstructured.Unstructured{}
		object.SetAPIVersion("admissionregistration.k8s.io/v1")
		object.SetKind(kind)
		object.SetName("signoff")
		if err := c.Delete(context.WithoutCancel(t.Context()), object); err != nil {
			t.Error(err)
		}
	}
}
