package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
)

// renewal is how long before its end a person should know. The alert about the certificate itself knows as early.
const renewal = 30 * 24 * time.Hour

// certificate looks until when the API server trusts whoever signed the certificate of the webhooks. Until when that itself lasts is in a Secret
// beside its key, at which nobody has to look: a metric tells it.
func (d *Doctor) certificate(ctx context.Context) ([]Finding, error) {
	var bundles [][]byte
	for _, resource := range []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} {
		live, err := d.objects.Resource(admissionregistrationv1.SchemeGroupVersion.WithResource(resource)).Get(ctx, "signoff", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue // that is said elsewhere
		}
		if err != nil {
			return unread("certificate", "the webhook configurations named signoff", "get them", err)
		}
		// Of both kinds, what is read here is the same.
		configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		if err := convert(live, configuration); err != nil {
			return nil, err
		}
		for i := range configuration.Webhooks {
			bundles = append(bundles, configuration.Webhooks[i].ClientConfig.CABundle)
		}
	}
	return trusted(bundles, d.server()), nil
}

// trusted says until when all of some bundles are of use: each until the last authority in it ends. One that is empty stands for the authorities
// of the machine of the API server. What is none at all, the API server does not store.
func trusted(bundles [][]byte, now time.Time) []Finding {
	var until time.Time
	for _, bundle := range bundles {
		all, err := cert.ParseCertsPEM(bundle)
		if err != nil {
			continue
		}
		last := slices.MaxFunc(all, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
		if until.IsZero() || last.Before(until) {
			until = last
		}
	}
	day := until.UTC().Format(time.DateOnly)
	switch {
	case until.IsZero():
		return nil
	case !until.After(now):
		return []Finding{{Wrong, "certificate", fmt.Sprintf("the API server has trusted no certificate of the webhooks since %s, when the authority in caBundle ended: see SignoffCertificateEnds in docs/guides/operate.md", day)}}
	case until.Sub(now) < renewal:
		return []Finding{{Judge, "certificate", fmt.Sprintf("the authority that signed the certificate of the webhooks ends on %s: see SignoffCertificateEnds in docs/guides/operate.md", day)}}
	}
	return []Finding{{Good, "certificate", fmt.Sprintf("the API server trusts the authority that signed the certificate of the webhooks until %s", day)}}
}
