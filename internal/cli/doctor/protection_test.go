package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/setup"
)

// installed is a cluster with the protection of an operator, without one object on a wish.
func installed(t *testing.T, account, without string) *fake.FakeDynamicClient {
	t.Helper()
	var objects []runtime.Object
	for _, object := range setup.Protection(&setup.WebhookOptions{
		URL: "https://signoff.example", CABundle: []byte("any"), Operator: identity.ServiceAccountUsername(config.DefaultNamespace, account),
	}) {
		if object.GetName() != without {
			objects = append(objects, object)
		}
	}
	return fake.NewSimpleDynamicClient(scheme.Scheme, objects...)
}

// TestProtectionOfTheUsualAccounts says of whichever operator it is what is wrong, and nothing else.
func TestProtectionOfTheUsualAccounts(t *testing.T) {
	_, bindings := setup.AdmissionPolicies(&setup.WebhookOptions{})
	gone := bindings[0].Name
	cases := map[string]struct {
		reason, account, without string
		wrong                    int
	}{
		"Controller":     {"two processes", "signoff-controller", "", 0},
		"One":            {"one process", "signoff", "", 0},
		"ControllerGone": {"one object is missing, and that is all", "signoff-controller", gone, 2},
		"OneGone":        {"with one process as well", "signoff", gone, 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := &Doctor{Options: Options{Namespace: config.DefaultNamespace}, objects: installed(t, tc.account, tc.without)}
			found, err := d.protection(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := wrongIn(found); got != tc.wrong {
				t.Errorf("%s: %d findings are wrong, want %d: %+v", tc.reason, got, tc.wrong, found)
			}
			for _, f := range found {
				if f.State == Wrong && !strings.Contains(f.Message, gone) {
					t.Errorf("%s: nobody did anything wrong about %q", tc.reason, f.Message)
				}
			}
		})
	}
}

// TestUnseen folds what may not be read into one line.
func TestUnseen(t *testing.T) {
	cases := map[string]struct {
		reason string
		hidden []string
		want   string
	}{
		"All": {"a developer without rights", []string{"*"}, "you may not read 14 of 14 webhook configurations and admission policies: ask for the right to get mutatingwebhookconfigurations.admissionregistration.k8s.io, " +
			"validatingadmissionpolicies.admissionregistration.k8s.io, validatingadmissionpolicybindings.admissionregistration.k8s.io, validatingwebhookconfigurations.admissionregistration.k8s.io"},
		"Some": {"which they are matters where others were read", []string{"mutatingwebhookconfigurations"},
			"you may not read 1 of 14 webhook configurations and admission policies (MutatingWebhookConfiguration signoff): ask for the right to get mutatingwebhookconfigurations.admissionregistration.k8s.io"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := installed(t, "signoff", "")
			cluster.PrependReactor("get", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
				resource := action.GetResource()
				refuse := tc.hidden[0] == "*" || slices.Contains(tc.hidden, resource.Resource)
				return refuse, nil, apierrors.NewForbidden(resource.GroupResource(), "", nil)
			})
			found, err := (&Doctor{Options: Options{Namespace: config.DefaultNamespace}, objects: cluster}).protection(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Finding{{Unknown, "protection", tc.want}}, found); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
