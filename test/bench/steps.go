package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"

	_ "embed"
)

// stepsYAML are Actions with one step each of another kind.
//
//go:embed testdata/steps.yaml
var stepsYAML string

var jobs = batchv1.SchemeGroupVersion.WithResource("jobs")

// newHost starts a host that answers every call. The caller must close it.
func newHost() *httptest.Server {
	return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
}

// callable lets steps call the host.
func callable(host *httptest.Server, cfg *config.Configuration) {
	address := host.Listener.Addr().(*net.TCPAddr) //nolint:forcetypeassert // it listens on TCP
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: []int{address.Port}, Networks: []string{"127.0.0.0/8"}}}
}

// steps counts what the API server is asked for a request of which the only step is of another kind, and for one that is temporary.
func (t *theatre) steps(ctx context.Context) ([]Result, error) {
	bundle := strings.ReplaceAll(play.Certificate(t.host), "\n", `\n`)
	if err := t.cluster.Apply(ctx, []byte(strings.NewReplacer("URL", t.host.URL, "BUNDLE", bundle).Replace(stepsYAML))); err != nil {
		return nil, err
	}
	if err := t.observer.watch(ctx, jobs, fields.Everything(), func(v *version) { t.complete(ctx, v) }); err != nil {
		return nil, err
	}
	var results []Result
	for _, action := range []string{"apply", "job", "http", "temporary"} {
		play := func(ctx context.Context, _ int) error {
			name, _ := t.next(action)
			_, err := t.follow(ctx, requestOf(action, name), false)
			return err
		}
		if err := within(ctx, time.Minute, "Action "+action+" works", func() (bool, error) { return play(ctx, 0) == nil, nil }); err != nil {
			return nil, err
		}
		asked, err := t.count(ctx, play)
		if err != nil {
			return nil, err
		}
		results = append(results, asked.results(action, lifecycleCounted)...)
	}
	return results, nil
}

// requestOf is a request for one of these Actions.
func requestOf(action, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ActionRequest", "metadata": map[string]any{"namespace": env.WorkNamespace, "name": name},
		"spec": map[string]any{"actionRef": map[string]any{"namespace": env.CatalogNamespace, "name": action}, "inputs": map[string]any{"name": name}},
	}}
}

// jobTakes is long enough that a Job is waited for.
const jobTakes = 500 * time.Millisecond

// complete does the work of a Job.
func (t *theatre) complete(ctx context.Context, v *version) {
	if !v.added || pause(ctx, jobTakes) != nil {
		return
	}
	now := metav1.Now()
	status := batchv1.JobStatus{StartTime: &now, CompletionTime: &now, Succeeded: 1}
	for _, kind := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete} {
		status.Conditions = append(status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now, Reason: "Simulated"})
	}
	body, err := json.Marshal(map[string]any{"status": status})
	if err == nil {
		_, err = t.observer.admin.Resource(jobs).Namespace(v.object.GetNamespace()).Patch(ctx, v.object.GetName(), types.MergePatchType, body, metav1.PatchOptions{}, "status")
	}
	if err != nil && ctx.Err() == nil {
		tell(fmt.Sprintf("Job %s was not completed: %v", v.object.GetName(), err))
	}
}
