package timing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

// TestPlanRests: a plan that expires soon is made again ever less often while nobody looks, and at once when somebody votes.
func TestPlanRests(t *testing.T) {
	if err := cluster.Apply(t.Context(), []byte(strings.NewReplacer("URL", peer.URL, "BUNDLE", strings.ReplaceAll(play.Authority(peer.Server), "\n", "\n  ")).Replace(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: planned}
spec:
  title: Has a plan that expires soon
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    plan:
      serviceAccountName: planner
      validFor: 2s
      steps:
      - name: look
        http:
          method: GET
          url: URL/planned
          caBundle: |
            BUNDLE
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: planned}, data: {by: "${request.uid}"}}]}}
`))); err != nil {
		t.Fatal(err)
	}
	r := reaches(t, ask(t, "planned", nil), v1alpha1.PhaseAwaitingApproval)
	round := func(want int32) {
		t.Helper()
		eventually(t, fmt.Sprintf("run %d of the plan", want), func() (bool, string) {
			planning := reaches(t, r, v1alpha1.PhaseAwaitingApproval).Status.Planning
			return planning.Round == want, fmt.Sprintf("%+v", planning)
		})
	}
	round(1)
	step(t, 24*time.Hour)
	round(2)
	for range 4 {
		step(t, time.Minute)
		stays(t, r, v1alpha1.PhaseAwaitingApproval)
		round(2)
	}
	step(t, time.Minute)
	round(3)
	step(t, time.Minute)
	if err := approve(t, users.Bob, approval(t, r, v1alpha1.ApprovalOpen)); err != nil {
		t.Fatal(err)
	}
	if done := reaches(t, r, v1alpha1.PhaseSucceeded); done.Status.Planning.Round != 4 {
		t.Errorf("it started after run %d, and what that gave had expired", done.Status.Planning.Round)
	}
}
