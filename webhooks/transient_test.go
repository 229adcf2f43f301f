package webhooks

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// oneRequest reads the request of an Approval, or fails to.
type oneRequest struct {
	client.Reader
	err error
}

func (r oneRequest) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return r.err
}

// TestTransient: where it could not be told whether a vote counts, programs see that without reading words; the code stays the same.
func TestTransient(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	store := snapshot.NewStore(nil) // it does not know all rules yet
	clock := clocktesting.NewFakePassiveClock(now)
	for name, tc := range map[string]struct {
		reason string
		read   error
		want   bool
	}{
		"NotSynced": {"The rules are not known yet.", nil, true},
		"Unread":    {"The request could not be read.", errors.New("timeout"), true},
		"Gone":      {"A request that is gone stays gone.", apierrors.NewNotFound(schema.GroupResource{Resource: "actionrequests"}, "one"), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &approvals{&Deps{
				Gate: gate.New(store, rules, benchFacts{}, config.DefaultNamespace, clock), Identity: rules, Store: store, Clock: clock,
				Requests: oneRequest{err: tc.read}, Reader: oneRequest{err: tc.read},
			}}
			old := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Digest: "sha256:1", ExpiresAt: metav1.NewTime(now.Add(time.Hour))}}
			next := old.DeepCopy()
			next.Spec.Votes = []v1alpha1.Vote{{
				Decision: v1alpha1.DecisionApprove, Digest: "sha256:1", At: evidence.Instant(now), Voter: v1alpha1.Identity{Username: "bob", Person: "bob"},
			}}
			req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: admissionv1.Update, UserInfo: authenticationv1.UserInfo{Username: "bob"}}}
			got := w.validate(t.Context(), req, next, old)
			if got.Allowed || got.Result.Code != 403 || marked(&got) != tc.want {
				t.Errorf("%s\nit answers %+v", tc.reason, got.Result)
			}
		})
	}
	for _, wait := range []bool{true, false} {
		if got := uncounted(&v1alpha1.Approval{}, &evidence.Error{Reason: v1alpha1.ReasonCannotSeal, Wait: wait}); marked(&got) != wait {
			t.Errorf("of a seal for which one waits (%t) it answers %+v", wait, got.Result)
		}
	}
}

// marked tells whether a refusal says that another look may find otherwise.
func marked(response *admission.Response) bool {
	details := response.Result.Details
	return details != nil && slices.ContainsFunc(details.Causes, func(cause metav1.StatusCause) bool { return cause.Type == gate.CauseTransient })
}
