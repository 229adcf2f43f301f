package kinds

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// served maps the kinds of the core and of apps, and fails as it is told.
type served struct {
	meta.RESTMapper
	err  error
	wait chan struct{}
}

func (s *served) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if s.wait != nil {
		<-s.wait
	}
	switch {
	case s.err != nil:
		return nil, s.err
	case gk.Group == "" && gk.Kind == "ConfigMap" || gk.Group == "apps" && gk.Kind == "Deployment" && versions[0] == "v1":
		return &meta.RESTMapping{}, nil
	}
	return nil, &meta.NoKindMatchError{GroupKind: gk, SearchedVersions: versions}
}

func everyKind(t *testing.T) *v1alpha1.ActionSpec {
	t.Helper()
	spec := &v1alpha1.ActionSpec{}
	if err := yaml.UnmarshalStrict([]byte(everything), spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

const everything = `
target: {apiVersion: apps/v1beta1, kind: Deployment, namespace: a, name: b}
lookups:
- {as: one, object: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}}
- {as: two, object: {apiVersion: v1, kind: Configmap, namespace: a, name: b}}
- {as: three, list: {apiVersion: scan.example/v1, kind: Report, namespace: a}}
execution:
  serviceAccountName: x
  steps:
  - {name: a, apply: {manifests: [{apiVersion: v1, kind: ConfigMap}, {apiVersion: db.example/v1, kind: Database}]}}
  - {name: p, patch: {target: {apiVersion: apps/v1, kind: Deploment, namespace: a, name: b}, merge: {}}}
  - {name: t, patch: {merge: {}}}
  - {name: j, job: {podFrom: {apiVersion: batch/v1, kind: CronJob, namespace: a, name: b}, command: [x]}}
  - {name: k, job: {template: {}, namespace: a}}
`

func TestUnserved(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		err    error
		want   []string
	}{
		"All": {"Whatever an Action names is looked for: the target, lookups, and what steps write and copy.", nil, []string{
			"apps/v1 Deploment (spec.execution.steps[p].patch.target)",
			"apps/v1beta1 Deployment (spec.target)",
			"batch/v1 CronJob (spec.execution.steps[j].job.podFrom)",
			"db.example/v1 Database (spec.execution.steps[a].apply.manifests[1])",
			"scan.example/v1 Report (spec.lookups[three].list)",
			"v1 Configmap (spec.lookups[two].object)",
		}},
		"Failing": {"Where discovery fails, nothing is known to be absent.", errors.New("the server is down"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			mapper := &served{err: tc.err}
			if diff := cmp.Diff(tc.want, Unserved(mapper, everyKind(t))); diff != "" {
				t.Errorf("%s\nUnserved(...): -want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want, NewAsker(mapper, time.Minute).Unserved(everyKind(t))); diff != "" {
				t.Errorf("%s\nAsker.Unserved(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestAskerIsNeverLate: discovery that hangs keeps nobody waiting, neither who asked first nor who asks next.
func TestAskerIsNeverLate(t *testing.T) {
	hanging := &served{wait: make(chan struct{})}
	asker := NewAsker(hanging, 10*time.Millisecond)
	for range 2 {
		if names := asker.Unserved(everyKind(t)); names != nil {
			t.Errorf("nobody knows yet, but: %v", names)
		}
	}
	close(hanging.wait)
	asker.patience = time.Minute
	if names := asker.Unserved(everyKind(t)); len(names) != 6 {
		t.Errorf("afterwards it is known: got %v", names)
	}
}
