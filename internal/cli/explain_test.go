package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

const oneRequest = "apiVersion: signoff.dev/v1alpha1\nkind: ActionRequest\nmetadata: {namespace: a, name: b}\nspec: {}\n"

// TestNoVerdict shows what is said where there is no answer. It takes an API server without Signoff, or one that fails, which the real one of the
// other tests is not.
func TestNoVerdict(t *testing.T) {
	cases := map[string]struct {
		reason string
		status int
		body   string
		exit   int
		words  []string
	}{
		"NoWebhook": {
			"an answer without a verdict must not pass for a yes", http.StatusCreated, `{"apiVersion": "signoff.dev/v1alpha1", "kind": "ActionRequest", "metadata": {"name": "b"}}`, 2,
			[]string{"a/b: the API server answered without a verdict: the admission webhook of Signoff is not in force"},
		},
		"NoWebhookOldVerdict": {
			"a verdict that cannot be read", http.StatusCreated, `{"metadata": {"annotations": {"signoff.dev/verdict": "{"}}}`, 2,
			[]string{"failed to read the verdict"},
		},
		"NotInstalled": {
			"a cluster without Signoff", http.StatusNotFound, "404 page not found", 2, []string{"the cluster has no ActionRequests: Signoff is not installed"},
		},
		"NoNamespace": {
			"a namespace that does not exist", http.StatusNotFound,
			`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "namespaces \"a\" not found", "details": {"name": "a", "kind": "namespaces"}}`, 2,
			[]string{`there is no answer: namespaces "a" not found`},
		},
		"Down": {
			"a webhook that does not answer", http.StatusInternalServerError,
			`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "InternalError", "code": 500, "message": "failed calling webhook"}`, 2, []string{"there is no answer: failed calling webhook"},
		},
		"Refused": {
			"a refusal that says its verdict", http.StatusForbidden,
			`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "x denied the request: y", "details": {"causes": [{"reason": "Verdict", "message": "{\"allowed\":false,\"reason\":\"NotAuthorized\",\"message\":\"y\"}"}]}}`, 1,
			[]string{"Answer: refused (NotAuthorized)\nWhy:\n  y\n"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := run(t, oneRequest, "explain", "-f", "-", "--server", server(t, tc.status, tc.body))
			if got.exit != tc.exit {
				t.Errorf("%s: the exit code is %d, want %d", tc.reason, got.exit, tc.exit)
			}
			for _, word := range tc.words {
				if !strings.Contains(got.stdout+got.stderr, word) {
					t.Errorf("%s: it does not say %q:\n%s%s", tc.reason, word, got.stdout, got.stderr)
				}
			}
		})
	}
}

// server is an API server that answers to every request alike, and knows who asks.
func server(t *testing.T, status int, body string) string {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/selfsubjectreviews") {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprint(w, `{"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "status": {"userInfo": {"username": "alice"}}}`)
			return
		}
		if r.URL.Query().Get("dryRun") != metav1.DryRunAll {
			t.Errorf("%s %s is no dry run", r.Method, r.URL)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
	s := httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(s.Close)
	return s.URL
}

func TestAnswer(t *testing.T) {
	verdict := func(effect v1alpha1.Effect) *v1alpha1.Verdict { return &v1alpha1.Verdict{Effect: effect} }
	stages := []gate.ExplainedStage{{Stage: "action/owners"}}
	cases := map[string]struct {
		reason      string
		explanation gate.Explanation
		want        string
	}{
		"Allow":    {"nobody is asked", gate.Explanation{Allowed: true, Verdict: verdict(v1alpha1.EffectAllow)}, "runs at once (Allow)"},
		"Approval": {"somebody must agree", gate.Explanation{Allowed: true, Verdict: verdict(v1alpha1.EffectRequireApproval), Stages: stages}, "needs approval (RequireApproval)"},
		"Hold":     {"only time is missing", gate.Explanation{Allowed: true, Verdict: verdict(v1alpha1.EffectHold)}, "held; it starts by itself (Hold)"},
		"Both":     {"both are missing", gate.Explanation{Allowed: true, Verdict: verdict(v1alpha1.EffectHold), Stages: stages}, "needs approval, and is then held (Hold)"},
		"Refused":  {"the code of the reason is told", gate.Explanation{Reason: "NotAuthorized", Verdict: verdict(v1alpha1.EffectAllow)}, "refused (NotAuthorized)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := answer(&tc.explanation); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestExplanationPage(t *testing.T) {
	next := metav1.NewTime(time.Date(2026, 11, 23, 17, 30, 0, 0, time.UTC))
	explained := &Explained{
		Request: "payments/one", Requester: Requester{"alice", []string{"b", "system:authenticated", "a"}},
		Explanation: gate.Explanation{Allowed: true, Verdict: &v1alpha1.Verdict{
			Effect: v1alpha1.EffectAllow, EvaluatedAt: metav1.NewTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)), NextChange: &next,
			Rules: []v1alpha1.RuleResult{
				{Name: "a", Effect: v1alpha1.EffectAllow, Answer: v1alpha1.RuleApplies, Message: "good", Because: []string{"x is 1"}, Differ: []string{"with x 2 it would not apply"}},
				{Name: "b", Effect: v1alpha1.EffectDeny, Answer: v1alpha1.RuleOverridden, Message: "bad"},
				{Name: "c", Effect: v1alpha1.EffectDeny, Answer: v1alpha1.RuleUnknown},
				{Name: "d", Effect: v1alpha1.EffectDeny, Answer: v1alpha1.RuleNotApplicable, Message: "not said"},
			},
			Facts: []v1alpha1.Fact{
				{Name: "f", Object: "ConfigMap a/b", Version: "7", ReadAs: "a/reader", Trust: v1alpha1.TrustRequesterWritable},
				{Name: "g", Object: "ConfigMap a/c", ReadAs: "a/reader"},
			},
		}},
		Warnings: []string{"mind the gap"},
	}
	want := `payments/one, asked as alice (groups b, a)
Judged at: Mon 23 Nov 2026 12:00 UTC
Answer: runs at once (Allow)
Rules:
  a (Allow) applies: good
    because x is 1
    with x 2 it would not apply
  b (Deny) passed by breakGlass: bad
  c (Deny) cannot be judged
  d (Deny) does not apply
Facts:
  f is ConfigMap a/b, read as a/reader, trusted although the requester can change it
  g is ConfigMap a/c, which does not exist, read as a/reader
Time alone may change this: Mon 23 Nov 2026 17:30 UTC
Warnings:
  mind the gap
`
	if diff := cmp.Diff(want, explained.text()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWithoutPast: what a request names that is over would only have it refused, and is not what is asked about.
func TestWithoutPast(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, at string
		spec, want map[string]any
		past       []string
	}{
		"Over":    {"both are past", "2026-11-24T12:00:00Z", map[string]any{"reason": "x", "notBefore": "2026-11-23T12:00:00Z", "expiresAt": "2026-11-24T12:00:00Z"}, map[string]any{"reason": "x"}, []string{"notBefore", "expiresAt"}},
		"Open":    {"it may still run", "2026-11-23T13:00:00Z", map[string]any{"notBefore": "2026-11-23T12:00:00Z", "expiresAt": "2026-11-24T12:00:00Z"}, map[string]any{"expiresAt": "2026-11-24T12:00:00Z"}, []string{"notBefore"}},
		"Coming":  {"asked as if it was before", "2026-11-23T11:00:00Z", map[string]any{"notBefore": "2026-11-23T12:00:00Z"}, map[string]any{"notBefore": "2026-11-23T12:00:00Z"}, nil},
		"Nothing": {"it names no times", "2026-11-23T11:00:00Z", map[string]any{"reason": "x"}, map[string]any{"reason": "x"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := &explainOptions{at: tc.at}
			request := &unstructured.Unstructured{Object: map[string]any{"spec": tc.spec}}
			past := withoutPast(request, o.moment(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
			if diff := cmp.Diff(tc.past, past) + cmp.Diff(tc.want, request.Object["spec"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
