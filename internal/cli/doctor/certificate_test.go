package doctor

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/cert"
)

func TestTrusted(t *testing.T) {
	authority := func(life time.Duration) ([]byte, time.Time) {
		text, _, err := cert.GenerateSelfSignedCertKeyWithOptions(cert.SelfSignedCertKeyOptions{Host: "signoff-webhook.signoff-system.svc", MaxAge: life})
		if err != nil {
			t.Fatal(err)
		}
		all, err := cert.ParseCertsPEM(text)
		if err != nil {
			t.Fatal(err)
		}
		return text, slices.MaxFunc(all, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
	}
	const day = 24 * time.Hour
	short, ends := authority(10 * day)
	long, later := authority(1000 * day)
	shortDay, longDay := ends.UTC().Format(time.DateOnly), later.UTC().Format(time.DateOnly)
	for name, tc := range map[string]struct {
		reason  string
		bundles [][]byte
		now     time.Time
		want    []Finding
	}{
		"None":  {"There is nothing to look at.", nil, ends, nil},
		"Roots": {"The API server trusts the authorities of its machine.", [][]byte{nil, {}}, ends, nil},
		"Good": {"It lasts for years.", [][]byte{long, long}, ends,
			[]Finding{{Good, "certificate", "the API server trusts the authority that signed the certificate of the webhooks until " + longDay}}},
		"Both": {"The one before it is kept for a while.", [][]byte{slices.Concat(short, long)}, ends,
			[]Finding{{Good, "certificate", "the API server trusts the authority that signed the certificate of the webhooks until " + longDay}}},
		"Soon": {"One webhook of many is enough.", [][]byte{long, short}, ends.Add(-time.Hour),
			[]Finding{{Judge, "certificate", "the authority that signed the certificate of the webhooks ends on " + shortDay + ": see SignoffCertificateEnds in docs/guides/operate.md"}}},
		"Ended": {"Nobody can write any more.", [][]byte{short}, ends,
			[]Finding{{Wrong, "certificate", "the API server has trusted no certificate of the webhooks since " + shortDay + ", when the authority in caBundle ended: see SignoffCertificateEnds in docs/guides/operate.md"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, trusted(tc.bundles, tc.now)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
