package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var errEnd = errors.New("the end")

// TestDiesInBetween: where both Secrets were deleted and whoever replaces them dies after any write, once or twice, what replicas still serve stays trusted.
func TestDiesInBetween(t *testing.T) {
	now := time.Now()
	o := &Options{Namespace: "data", Secret: "cert", Authority: "ca", Service: "webhook", Clock: clocktesting.NewFakePassiveClock(now)}
	for last := range 6 {
		plain := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(
			&admissionregistrationv1.ValidatingWebhookConfiguration{
				ObjectMeta: metav1.ObjectMeta{Name: configurations}, Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "a.example.org"}},
			}).Build()
		o.Client = plain
		if err := Ensure(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		served := read(t, o, o.Secret)
		for _, name := range []string{o.Secret, o.Authority} {
			if err := plain.Delete(t.Context(), read(t, o, name)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			o.Client = dying(plain, last)
			died := Ensure(t.Context(), o)
			if died != nil && !errors.Is(died, errEnd) {
				t.Fatal(died)
			}
			trusts(t, o, served, now)
		}
		o.Client = plain
		if err := Ensure(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		trusts(t, o, served, now)
		trusts(t, o, read(t, o, o.Secret), now)
		if len(read(t, o, o.Authority).Data) != 3 {
			t.Error("the authority stays there twice")
		}
	}
}

// dying is a client that dies after so many writes and one.
func dying(plain client.WithWatch, last int) client.Client {
	writes := 0
	count := func(err error) error {
		if writes++; writes > last {
			return errors.Join(errEnd, err)
		}
		return err
	}
	return interceptor.NewClient(plain, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.UpdateOption) error {
			return count(c.Update(ctx, object, opts...))
		},
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return count(c.Apply(ctx, object, opts...))
		},
	})
}

func read(t *testing.T, o *Options, name string) *corev1.Secret {
	t.Helper()
	secret, err := o.read(t.Context(), name)
	if err != nil || secret.ResourceVersion == "" {
		t.Fatalf("Secret %s: %v", name, err)
	}
	return secret
}

// trusts expects the API server to trust who serves a certificate.
func trusts(t *testing.T, o *Options, served *corev1.Secret, now time.Time) {
	t.Helper()
	bundle, err := o.trusted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(served.Data[corev1.TLSCertKey], served.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: o.host(), Roots: roots, CurrentTime: now}); err != nil {
		t.Errorf("what is served is not trusted: %v", err)
	}
}
