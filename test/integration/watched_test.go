package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

const watching = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: watching}
spec:
  title: Mark a Deployment for a while
  target: {apiVersion: apps/v1, kind: Deployment, namespace: staging, name: watched}
  temporary: {maxDuration: 8h, defaultDuration: 2h}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: mark
      patch: {merge: {metadata: {annotations: {marked: "yes"}}}}
      waitFor: {expression: "'noticed' in object.metadata.annotations"}
`

// watches is how many watches of single Deployments, or of those in one namespace, the API server has open.
func watches(t *testing.T) int {
	t.Helper()
	clients, err := discovery.NewDiscoveryClientForConfig(cluster.Admin)
	if err != nil {
		t.Fatal(err)
	}
	text, err := clients.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for line := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(series, "apiserver_longrunning_requests{") {
			continue
		}
		if strings.Contains(series, `resource="deployments"`) && (strings.Contains(series, `scope="resource"`) || strings.Contains(series, `scope="namespace"`)) {
			count, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			open += int(count)
		}
	}
	return open
}

// TestActiveIsNotWatched lends something by a step that waits: its object is watched as long as it is waited for, and not for hours.
func TestActiveIsNotWatched(t *testing.T) {
	object := play.AppendTo("staging", "watched")
	if err := admin(t).Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	apply(t, watching)
	before := watches(t)
	opens := func(want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d watches", want), func() (bool, string) {
			now := watches(t)
			return now == want, fmt.Sprint(now)
		})
	}
	r := reaches(t, ask(t, users.Alice, request("watching", `{}`)), v1alpha1.PhaseExecuting)
	opens(before + 1)
	noticed := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"noticed":"yes"}}}`))
	if err := admin(t).Patch(t.Context(), object, noticed); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseActive)
	opens(before)
}
