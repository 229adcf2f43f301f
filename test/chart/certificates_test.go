package chart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
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

func secretOf(t *testing.T, name string) *made {
	t.Helper()
	m := &made{T: t}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "data", Name: name}, &m.Secret); err != nil {
		t.Fatal(err)
	}
	return m
}

// trustedBy tells whether the API server, trusting the bundle, would talk to whoever serves the certificate as host, soon after it was made.
func (m *made) trustedBy(bundle []byte, host string) error {
	m.Helper()
	pair, err := tls.X509KeyPair(m.Data["tls.crt"], m.Data["tls.key"])
	if err != nil {
		m.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, CurrentTime: pair.Leaf.NotBefore.Add(time.Hour)})
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

// written is an entry of a Secret.
func (m *made) written(entry string) string { return string(m.Data[entry]) }

// TestCertificates makes a certificate before and after there are webhooks, and lives through its end and that of its authority.
func TestCertificates(t *testing.T) {
	const host, day = "webhook.data.svc", 24 * time.Hour
	clock := clocktesting.NewFakeClock(time.Now())
	options := &certificates.Options{Client: admin(t), Namespace: "data", Secret: "webhook-cert", Authority: "webhook-ca", Service: "webhook", Clock: clock}
	run := func(do func(context.Context, *certificates.Options) error) {
		t.Helper()
		if err := do(t.Context(), options); err != nil {
			t.Fatal(err)
		}
	}
	trusts := func(all map[string]*made) {
		t.Helper()
		for name, m := range all {
			if err := m.trustedBy(bundle(t), host); err != nil {
				t.Errorf("%s is not trusted: %v", name, err)
			}
		}
	}
	if err := certificates.Renew(t.Context(), options); err == nil || !strings.Contains(err.Error(), "no authority in Secret data/webhook-ca that lasts: helm upgrade") {
		t.Errorf("there is nothing to be renewed, and it says: %v", err)
	}
	run(certificates.Ensure)
	first := secretOf(t, "webhook-cert")
	if err := first.trustedBy(first.Data["ca.crt"], host); err != nil || first.Type != corev1.SecretTypeTLS {
		t.Errorf("it cannot be served: %v, %s", err, first.Type)
	}
	if err := cluster.Apply(t.Context(), []byte(others)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { forget(t) })
	run(certificates.Ensure)
	run(certificates.Renew)
	if same := secretOf(t, "webhook-cert"); same.ResourceVersion != first.ResourceVersion {
		t.Error("one that lasts was replaced")
	}
	trusts(map[string]*made{"the first": first})

	// What renews it needs to tell nobody whom to trust.
	before := bundle(t)
	clock.Step(46 * day)
	run(certificates.Renew)
	second := secretOf(t, "webhook-cert")
	if second.written("tls.crt") == first.written("tls.crt") || second.written("tls.key") == first.written("tls.key") || string(bundle(t)) != string(before) {
		t.Error("it was not replaced in the middle of its life, or whom to trust was changed")
	}
	trusts(map[string]*made{"the first, which replicas still serve": first, "the second": second})
	clock.Step(-46 * day)

	clock.Step(8*365*day + 48*time.Hour)
	// Who dies in between leaves nothing that is served and not trusted.
	options.Client = interceptor.NewClient(admin(t), interceptor.Funcs{Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
		return errors.New("the end")
	}})
	if err := certificates.Ensure(t.Context(), options); err == nil {
		t.Fatal("the update did not fail")
	}
	trusts(map[string]*made{"what is still served": secretOf(t, "webhook-cert")})
	options.Client = admin(t)
	authority := secretOf(t, "webhook-ca")
	run(certificates.Ensure)
	third := secretOf(t, "webhook-cert")
	if secretOf(t, "webhook-ca").written("tls.crt") == authority.written("tls.crt") || third.written("tls.crt") == second.written("tls.crt") {
		t.Error("the authority was not replaced before its end, with what it has signed")
	}
	trusts(map[string]*made{"the new one": third, "the old one, which replicas still serve": second})
	clock.Step(-8 * 365 * day)

	// As the guide says, to replace both now. Replicas serve the one before until they see the new one.
	remove := func(m *made) {
		t.Helper()
		if err := admin(t).Delete(t.Context(), &m.Secret); err != nil {
			t.Fatal(err)
		}
	}
	remove(third)
	remove(secretOf(t, "webhook-ca"))
	run(certificates.Ensure)
	fourth := secretOf(t, "webhook-cert")
	if fourth.written("tls.crt") == third.written("tls.crt") {
		t.Error("it was not replaced when it was deleted")
	}
	trusts(map[string]*made{"the new one": fourth, "the deleted one, which replicas still serve": third})
	// The second time it is forgotten, for those who fear that its key is known.
	remove(secretOf(t, "webhook-ca"))
	run(certificates.Ensure)
	if third.trustedBy(bundle(t), host) == nil {
		t.Error("the one before the last is still trusted")
	}

	dies(t, host, options, remove, trusts)

	options.Service = "another"
	run(certificates.Renew)
	if err := secretOf(t, "webhook-cert").trustedBy(bundle(t), "another.data.svc"); err != nil {
		t.Errorf("one for another address was kept: %v", err)
	}
	broken := secretOf(t, "webhook-cert")
	broken.Data["tls.key"] = []byte("nothing")
	if err := admin(t).Update(t.Context(), &broken.Secret); err != nil {
		t.Fatal(err)
	}
	run(certificates.Renew)
	if err := secretOf(t, "webhook-cert").trustedBy(bundle(t), "another.data.svc"); err != nil {
		t.Errorf("a broken one was kept: %v", err)
	}
	remove(secretOf(t, "webhook-cert"))
	if err := certificates.Renew(t.Context(), options); err == nil || !strings.Contains(err.Error(), "no Secret data/webhook-cert: helm upgrade") {
		t.Errorf("it may not make the Secret, and says: %v", err)
	}
}

// dies is about who dies at any write of a replacement where both Secrets were deleted: what replicas still serve is trusted until something else is served,
// and not forgotten in favour of what nobody has ever served.
func dies(t *testing.T, host string, options *certificates.Options, remove func(*made), trusts func(map[string]*made)) {
	t.Helper()
	for last := range 10 {
		served := secretOf(t, "webhook-cert")
		remove(served)
		remove(secretOf(t, "webhook-ca"))
		writes := 0
		count := func() error {
			if writes++; writes > last {
				return errors.New("the end")
			}
			return nil
		}
		options.Client = interceptor.NewClient(admin(t), interceptor.Funcs{
			Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
				return errors.Join(count(), c.Update(ctx, o, opts...))
			},
			Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				return errors.Join(count(), c.Apply(ctx, o, opts...))
			},
		})
		died := certificates.Ensure(t.Context(), options) != nil
		for _, one := range (&installation{T: t}).trusted() { // some may have been written, and some not
			bundle, err := base64.StdEncoding.DecodeString(one)
			if err != nil {
				t.Fatal(err)
			}
			if err := served.trustedBy(bundle, host); err != nil {
				t.Errorf("what is served when somebody dies is not trusted: %v", err)
			}
		}
		options.Client = admin(t)
		if err := certificates.Ensure(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		trusts(map[string]*made{fmt.Sprintf("what is served when somebody died after %d writes", last+1): served, "the new one": secretOf(t, "webhook-cert")})
		if _, left := secretOf(t, "webhook-ca").Data["next-tls.key"]; left {
			t.Error("the authority stays there twice")
		}
		if !died {
			return
		}
	}
	t.Error("nobody lives through it")
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
