// Package certificates makes the certificate with which the webhooks are served, where nobody else does: a Job of the installation runs it,
// with an identity of its own, so that no process that lives on may write webhook configurations.
package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/namedcreate"
)

const (
	// life is how long a certificate is valid. It serves one address, and only the API server trusts it, for our webhooks only: that it is
	// replaced often would make nothing safer, and a certificate that ends while nobody looks stops every write.
	life = 10 * 365 * 24 * time.Hour
	// renewBefore is how much of its life must be left, or the next upgrade replaces it.
	renewBefore = 2 * 365 * 24 * time.Hour
	// authorityKey is the entry of the Secret with who signed the certificate, and who signed the one before it.
	authorityKey = "ca.crt"
	// configurations is the name of both webhook configurations.
	configurations = "signoff"
	owner          = "signoff-certificates"
)

// Options say for which address a certificate is made, and where it is kept.
type Options struct {
	// Client reads and writes the Secret and the webhook configurations.
	Client client.Client
	// Namespace is where the Secret and the Service are.
	Namespace string
	// Secret is the name of the Secret, of type kubernetes.io/tls.
	Secret string
	// Service is the Service in front of the webhooks.
	Service string
	// Clock tells whether a certificate ends soon.
	Clock clock.PassiveClock
}

// host is the name by which the API server asks.
func (o *Options) host() string { return o.Service + "." + o.Namespace + ".svc" }

// Ensure makes a certificate where there is none that lasts, and lets the API server trust it. The webhook configurations come first: at
// no moment is something served that is not trusted. Where there are none yet, they are left to the next call.
func Ensure(ctx context.Context, o *Options) error {
	secret := &corev1.Secret{}
	err := o.Client.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: o.Secret}, secret)
	absent := apierrors.IsNotFound(err)
	if err != nil && !absent {
		return fmt.Errorf("failed to read Secret %s/%s: %w", o.Namespace, o.Secret, err)
	}
	lasts := usable(secret.Data, o.host(), o.Clock.Now())
	if !lasts {
		if err := o.renew(ctx, secret); err != nil {
			return err
		}
	}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		if err := o.trust(ctx, kind, secret.Data[authorityKey]); err != nil {
			return err
		}
	}
	switch {
	case lasts:
		return nil
	case absent:
		err = namedcreate.Create(ctx, o.Client, coreapply.Secret(o.Secret, o.Namespace).
			WithLabels(map[string]string{"app.kubernetes.io/name": "signoff"}).WithType(corev1.SecretTypeTLS).WithData(secret.Data))
	default:
		err = o.Client.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("failed to write Secret %s/%s: %w", o.Namespace, o.Secret, err)
	}
	return nil
}

// renew puts a new certificate into the Secret. Where somebody has deleted the one before, the webhook configurations still say who signed
// it.
func (o *Options) renew(ctx context.Context, secret *corev1.Secret) error {
	before := secret.Data[authorityKey]
	if len(before) == 0 {
		var err error
		if before, err = o.trusted(ctx); err != nil {
			return err
		}
	}
	data, err := renewed(o.host(), before)
	secret.Data = data
	return err
}

// usable tells whether there is a certificate with its key for the host that lasts long enough, and who signed it.
func usable(data map[string][]byte, host string, now time.Time) bool {
	pair, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return false
	}
	return pair.Leaf.VerifyHostname(host) == nil && pair.Leaf.NotAfter.After(now.Add(renewBefore)) && len(data[authorityKey]) > 0
}

// renewed makes a certificate for the host. The authority signs it, and its key is forgotten. The authority of the certificate before is
// kept, because each replica goes on serving that until it sees the new one.
func renewed(host string, before []byte) (map[string][]byte, error) {
	chain, key, err := cert.GenerateSelfSignedCertKeyWithOptions(cert.SelfSignedCertKeyOptions{Host: host, MaxAge: life})
	if err != nil {
		return nil, fmt.Errorf("failed to make a certificate for %s: %w", host, err)
	}
	_, authority := pem.Decode(chain)
	if previous, _ := pem.Decode(before); previous != nil {
		authority = append(bytes.Clone(authority), pem.EncodeToMemory(previous)...)
	}
	return map[string][]byte{corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key, authorityKey: authority}, nil
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
