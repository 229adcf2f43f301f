package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

const lent = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: debug}
spec:
  title: Debug a service for a while
  target: {apiVersion: apps/v1, kind: Deployment, namespace: staging, name: debugged}
  temporary: {maxDuration: 8h, defaultDuration: 2h}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: debug
      patch:
        strategic:
          metadata: {annotations: {debugged: "yes"}}
          spec:
            replicas: 1
            template:
              spec:
                terminationGracePeriodSeconds: 5
                containers:
                - {name: app, image: "registry/app:debug", env: [{name: DEBUG, value: "yes"}]}
                - {name: shell, image: "registry/shell:1"}
`

// running is what of a Deployment is compared: what people wrote.
type running struct {
	Replicas int32
	Grace    int64
	// Annotations are those that people wrote.
	Annotations []string
	// Containers are name, image, arguments and environment of each.
	Containers []string
}

func runningNow(t *testing.T, d *appsv1.Deployment) running {
	t.Helper()
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(d), d); err != nil {
		t.Fatal(err)
	}
	out := running{Replicas: *d.Spec.Replicas, Grace: *d.Spec.Template.Spec.TerminationGracePeriodSeconds}
	for key, value := range d.Annotations {
		if !strings.Contains(key, "/") {
			out.Annotations = append(out.Annotations, key+"="+value)
		}
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		words := slices.Concat([]string{c.Name, c.Image}, c.Args)
		for _, v := range c.Env {
			words = append(words, v.Name+"="+v.Value)
		}
		slices.Sort(words[2+len(c.Args):])
		out.Containers = append(out.Containers, strings.Join(words, " "))
	}
	for _, list := range [][]string{out.Annotations, out.Containers} {
		slices.Sort(list)
	}
	return out
}

// TestStrategicPatchIsTakenBack lends what a strategic patch does, lets somebody else write to the same object meanwhile, to the same lists also, and takes
// back what is still ours and nothing else.
func TestStrategicPatchIsTakenBack(t *testing.T) {
	object := play.AppendTo("staging", "debugged")
	object.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "live"}}
	if err := admin(t).Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	before := running{Grace: 30, Containers: []string{"app registry/app:1 first MODE=live"}}
	if diff := cmp.Diff(before, runningNow(t, object)); diff != "" {
		t.Fatalf("before (-want +got):\n%s", diff)
	}
	apply(t, lent)
	r := reaches(t, ask(t, users.Alice, request("debug", `{}`)), v1alpha1.PhaseActive)
	during := running{Replicas: 1, Grace: 5, Annotations: []string{"debugged=yes"}, Containers: []string{"app registry/app:debug first DEBUG=yes MODE=live", "shell registry/shell:1"}}
	if diff := cmp.Diff(during, runningNow(t, object)); diff != "" {
		t.Errorf("while it is lent (-want +got):\n%s", diff)
	}
	meanwhile := `{"metadata":{"annotations":{"theirs":"yes"}},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry/app:fixed","env":[{"name":"THEIRS","value":"yes"}]},{"name":"proxy","image":"registry/proxy:1"}]}}}}`
	if err := as(t, users.Ada).Patch(t.Context(), object, client.RawPatch(types.StrategicMergePatchType, []byte(meanwhile))); err != nil {
		t.Fatal(err)
	}
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"found it"}}}`); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseReverted)
	after := running{Grace: 30, Annotations: []string{"theirs=yes"}, Containers: []string{"app registry/app:fixed first MODE=live THEIRS=yes", "proxy registry/proxy:1"}}
	if diff := cmp.Diff(after, runningNow(t, object)); diff != "" {
		t.Errorf("after it was taken back (-want +got):\n%s", diff)
	}
	want := "What was done is taken back. Not touched: spec.template.spec.containers[app].image of Deployment staging/debugged was changed since by somebody else."
	if text := strings.Join(done.Status.Summary, "\n"); !strings.Contains(text, want) {
		t.Errorf("people must read what stays, %q:\n%s", want, text)
	}
}
