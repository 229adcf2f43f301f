package gate

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// benchFacts also know the target.
type benchFacts struct{ fakeFacts }

func (benchFacts) Object(context.Context, string, string, v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "checkout"}}}}, nil
}

// crowded adds Roles of other people to the world, every tenth of which approves everything.
func crowded(tb testing.TB, roles int) *Gate {
	tb.Helper()
	g := newGate(tb, benchFacts{fakeFacts{labels: map[string]any{"team": "payments"}}})
	for i := range roles {
		verb := v1alpha1.VerbRequest
		if i%10 == 0 {
			verb = v1alpha1.VerbApprove
		}
		g.store.Put(parse(tb, fmt.Sprintf(`
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: other-%05d}
spec:
  members: {users: [other-%05d]}
  permissions: [{verbs: [%s], actions: {names: ["*"]}}]
`, i, i, verb)))
	}
	g.store.Rebuild()
	return g
}

func BenchmarkJudge(b *testing.B) {
	for name, tc := range map[string]struct {
		subject *Subject
		effect  v1alpha1.Effect
	}{
		"Allowed":  {asking("alice", "deploy", `{"service":"checkout","environment":"staging"}`), v1alpha1.EffectAllow},
		"Team":     {asking("alice", "deploy", `{"service":"checkout","environment":"production"}`), v1alpha1.EffectRequireApproval},
		"Implicit": {asking("alice", "simple", ""), v1alpha1.EffectRequireApproval},
	} {
		for _, roles := range []int{10, 1000} {
			b.Run(fmt.Sprintf("%s/roles=%d", name, roles), func(b *testing.B) {
				g := crowded(b, roles)
				if j := g.Judge(b.Context(), tc.subject, monday); j.Problem != nil || j.Verdict.Effect != tc.effect {
					b.Fatalf("want %s, got %+v", tc.effect, j.Problem)
				}
				b.ReportAllocs()
				for b.Loop() {
					g.Judge(b.Context(), tc.subject, monday)
				}
			})
		}
	}
}

// BenchmarkWarnings is what the webhook adds for a request that must wait.
func BenchmarkWarnings(b *testing.B) {
	for _, roles := range []int{10, 1000} {
		b.Run(fmt.Sprintf("roles=%d", roles), func(b *testing.B) {
			g := crowded(b, roles)
			subject := asking("alice", "simple", "")
			j := g.Judge(b.Context(), subject, monday)
			b.ReportAllocs()
			for b.Loop() {
				g.Warnings(j, subject)
			}
		})
	}
}

// BenchmarkEligible is what the webhook asks for one vote.
func BenchmarkEligible(b *testing.B) {
	g := crowded(b, 1000)
	subject := asking("alice", "simple", "")
	j := g.Judge(b.Context(), subject, monday)
	bob := &v1alpha1.Identity{Username: "bob", Person: "bob"}
	b.ReportAllocs()
	for b.Loop() {
		g.Eligible(b.Context(), j, j.Poll(&j.Stages[0], &subject.Requester), bob)
	}
}
