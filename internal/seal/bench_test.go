package seal

import (
	"fmt"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// large is a request whose payload has about 2 KB, as one of somebody who is in many groups.
func large() (*v1alpha1.ActionRequest, RequestStamp) {
	ar, rs := sampleRequest()
	for i := range 48 {
		ar.Spec.Requester.Groups = append(ar.Spec.Requester.Groups, fmt.Sprintf("oidc:organisation-team-%02d", i))
	}
	return ar, rs
}

func BenchmarkBuild(b *testing.B) {
	ar, rs := large()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := RequestPayload(ar, rs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	ar, rs := large()
	p := must[*Request](b)(RequestPayload(ar, rs))
	b.SetBytes(int64(len(must[[]byte](b)(encode(p)))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encode(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	ar, rs := large()
	p, s := must[*Request](b)(RequestPayload(ar, rs)), signer(b, Admission, "admission")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Sign(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	ar, rs := large()
	p, keys := must[*Request](b)(RequestPayload(ar, rs)), ring(b)
	text := must[*Envelope](b)(signer(b, Admission, "admission").Sign(p)).Seal.String()
	for name, v := range map[string]*Verifier{"New": NewVerifier(0), "SeenBefore": NewVerifier(16)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(p, text, keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
