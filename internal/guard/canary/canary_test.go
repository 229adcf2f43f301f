package canary_test

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/guard/canary"
)

// lie proves with words of its own.
type lie struct{}

func (lie) Prove(string) (string, error) { return "trust me", nil }

// answer is what the API server makes of the two passes: mutating, which may be left out, and validating.
func answer(t *testing.T, nonce string, mutating, validating canary.Prover) error {
	t.Helper()
	request := canary.Request("signoff-system", nonce)
	if mutating != nil {
		stamp, err := canary.Stamp(mutating, request)
		if err != nil {
			t.Fatal(err)
		}
		request.Annotations[canary.AnnotationStamp] = stamp
	}
	status, err := canary.Refusal(validating, request)
	if err != nil {
		t.Fatal(err)
	}
	return &apierrors.StatusError{ErrStatus: *status}
}

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		answer error
		ok     bool
	}{
		"Proved":         {"Both passes of ours answered.", answer(t, "n", canary.Echo{}, canary.Echo{}), true},
		"OtherNonce":     {"An answer to an earlier canary proves nothing.", answer(t, "earlier", canary.Echo{}, canary.Echo{}), false},
		"NotMutated":     {"The mutating webhook was not asked.", answer(t, "n", nil, canary.Echo{}), false},
		"FakeMutating":   {"Somebody else answered in place of the mutating one.", answer(t, "n", lie{}, canary.Echo{}), false},
		"FakeValidating": {"Somebody else answered in place of the validating one.", answer(t, "n", canary.Echo{}, lie{}), false},
		"SwappedPasses": {"The proof of one pass is none of the other.", func() error {
			refusal := answer(t, "n", canary.Echo{}, canary.Echo{}).(*apierrors.StatusError) //nolint:errorlint // made above, and not wrapped
			causes := refusal.ErrStatus.Details.Causes
			causes[1].Message, causes[2].Message = causes[2].Message, causes[1].Message
			return refusal
		}(), false},
		"NoStatus": {"An error of the network is no answer.", errors.New("connection refused"), false},
		"Plain":    {"A refusal without proofs is that of somebody else.", apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("actionrequests").GroupResource(), "c", errors.New("no")), false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := canary.Check(canary.Echo{}, "n", tc.answer); (err == nil) != tc.ok {
				t.Errorf("%s Got %v.", tc.reason, err)
			}
		})
	}
}

func TestNonce(t *testing.T) {
	if first, second := canary.Nonce(), canary.Nonce(); first == second || len(first) < 26 {
		t.Errorf("nonces must be fresh and have 128 bits: %q, %q", first, second)
	}
}
