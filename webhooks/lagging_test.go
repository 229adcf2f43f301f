package webhooks

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// TestCacheLags: a vote is not told that its request is over because the cache does not have it yet.
func TestCacheLags(t *testing.T) {
	const mine, other = types.UID("mine"), types.UID("other")
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	action := v1alpha1.ActionReference{Namespace: "platform", Name: "note"}
	request := func(uid types.UID) *v1alpha1.ActionRequest {
		return &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "sale", UID: uid}, Spec: v1alpha1.ActionRequestSpec{ActionRef: action}}
	}
	over, started := request(mine), request(mine)
	over.Status.Outcome, started.Status.Execution = v1alpha1.OutcomeDenied, &v1alpha1.ExecutionClaim{ID: "a"}
	store := snapshot.NewStore(nil)
	note := &v1alpha1.Action{}
	if err := yaml.UnmarshalStrict([]byte(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: note}, spec: {title: Note, default: {effect: RequireApproval},
		execution: {serviceAccountName: deployer, steps: [{name: write, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: note}}]}}]}}}`), note); err != nil {
		t.Fatal(err)
	}
	store.Put(note)
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	judge := gate.New(store, rules, nil, "signoff-system", clocktesting.NewFakeClock(now))
	const gone, hasStarted = "the request sale is over or gone", "the request sale has started"
	for name, tc := range map[string]struct {
		reason       string
		cached, live *v1alpha1.ActionRequest
		down         error
		want         string
	}{
		"Cached":     {"what is in the cache need not be read again", request(mine), nil, errors.New("not reached"), ""},
		"Lagging":    {"what was just made is not in the cache yet", nil, request(mine), nil, ""},
		"MadeAgain":  {"nor is what was just made under the name of another", request(other), request(mine), nil, ""},
		"Over":       {"what is over is never in the cache", nil, over, nil, gone},
		"Gone":       {"what is gone is not there either", nil, nil, nil, gone},
		"Another":    {"nor is what another one has taken the name of", request(other), request(other), nil, gone},
		"Started":    {"what is read now says also what else has happened", nil, started, nil, hasStarted},
		"Unreadable": {"what cannot be read may not be over", nil, request(mine), errors.New("down"), "cannot read the request: down. Try again."},
	} {
		t.Run(name, func(t *testing.T) {
			w := &approvals{&Deps{Gate: judge, Requests: holding(t, nil, tc.cached), Reader: holding(t, tc.down, tc.live)}}
			approval := &v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: "payments"}, Spec: v1alpha1.ApprovalSpec{
				RequestRef: v1alpha1.RequestReference{Name: "sale", UID: mine}, ActionRef: action,
			}}
			said := ""
			if _, problem := w.judge(t.Context(), approval, now); problem != nil {
				said = problem.Message
			}
			if !strings.HasPrefix(said, tc.want) || tc.want == "" && said != "" {
				t.Errorf("%s: it says %q, want %q", tc.reason, said, tc.want)
			}
		})
	}
}

// holding gives what reads what is there, or fails. Nil is nothing.
func holding[T any, P interface {
	*T
	client.Object
}](t *testing.T, down error, object P) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme)
	if object != nil {
		builder = builder.WithObjects(object)
	}
	return builder.WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
			if down != nil {
				return down
			}
			return c.Get(ctx, key, into, opts...)
		},
	}).Build()
}
