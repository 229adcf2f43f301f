package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

const benchAction = `
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy a service
  inputs:
    openAPIV3Schema:
      type: object
      required: [service, environment, image]
      properties:
        service: {type: string, maxLength: 63, pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
        environment: {type: string, enum: [staging, production]}
        image: {type: string, maxLength: 200}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: "${inputs.environment}", name: "${inputs.service}"}
  rules:
  - {name: staging, when: "inputs.environment == 'staging'", effect: Allow}
  - {name: production, when: "inputs.environment == 'production'", effect: RequireApproval, stages: [owners]}
  stages:
  - {name: owners, approvers: {teams: ["${namespaceObject.metadata.labels['team']}"]}}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: rollout, patch: {merge: {metadata: {annotations: {by: "${request.uid}"}}}}}
`

const benchRequest = `
apiVersion: signoff.dev/v1alpha1
kind: ActionRequest
metadata:
  namespace: payments
  name: request-000001
  managedFields:
  - apiVersion: signoff.dev/v1alpha1
    fieldsType: FieldsV1
    fieldsV1: {"f:spec": {".": {}, "f:actionRef": {".": {}, "f:name": {}, "f:namespace": {}}, "f:inputs": {".": {}, "f:environment": {}, "f:image": {}, "f:service": {}}, "f:reason": {}}}
    manager: kubectl-create
    operation: Update
    time: "2026-11-23T12:00:00Z"
spec:
  actionRef: {namespace: platform, name: deploy}
  inputs: {service: checkout, environment: ENVIRONMENT, image: "registry/checkout:1.42"}
  reason: a new version
status: {observedGeneration: -1}
`

type benchFacts struct{ gate.Facts }

func (benchFacts) MayWrite(context.Context, *v1alpha1.Identity, bool, ...gate.Query) (bool, error) {
	return false, nil
}

func (benchFacts) Object(context.Context, string, string, v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	return &unstructured.Unstructured{}, nil
}

func (benchFacts) Namespace(_ context.Context, name string, _ types.NamespacedName) (map[string]any, error) {
	return map[string]any{"name": name, "labels": map[string]any{"team": "payments"}, "annotations": map[string]any{}}, nil
}

// benchWebhooks gives the two webhooks of requests.
func benchWebhooks(b *testing.B) *actionRequests {
	b.Helper()
	store := snapshot.NewStore(nil)
	action := &v1alpha1.Action{}
	if err := yaml.UnmarshalStrict([]byte(benchAction), action); err != nil {
		b.Fatal(err)
	}
	store.Put(action)
	store.Put(&v1alpha1.Team{
		ObjectMeta: metav1.ObjectMeta{Name: "payments"},
		Spec:       v1alpha1.TeamSpec{Members: &v1alpha1.Subjects{Users: []string{"bob", "carol", "dave"}}},
	})
	for verb, group := range map[v1alpha1.Verb]string{v1alpha1.VerbRequest: "engineering", v1alpha1.VerbApprove: "engineering"} {
		store.Put(&v1alpha1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "engineer-" + strings.ToLower(string(verb))},
			Spec: v1alpha1.RoleSpec{
				Members:     v1alpha1.Subjects{Groups: []string{group}},
				Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{verb}, Actions: v1alpha1.ActionSelector{Names: []string{"*"}}}},
			},
		})
	}
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		b.Fatal(err)
	}
	return &actionRequests{&Deps{
		Gate: gate.New(store, rules, benchFacts{}, config.DefaultNamespace, clock.RealClock{}), Identity: rules, Store: store, Clock: clock.RealClock{},
		Wall: clock.RealClock{}, Open: &OpenRequests{Count: func(string) int { return 0 }, Known: func(string) bool { return false }, Max: math.MaxInt},
	}}
}

// reviewOf is what the API server sends.
func reviewOf(b *testing.B, object []byte) []byte {
	b.Helper()
	kind := metav1.GroupVersionKind{Group: "signoff.dev", Version: "v1alpha1", Kind: "ActionRequest"}
	resource := metav1.GroupVersionResource{Group: "signoff.dev", Version: "v1alpha1", Resource: "actionrequests"}
	text, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "6ad1ab4b-3c1f-4d8e-a8f6-6f0d2f0e0c11", Kind: kind, Resource: resource, RequestKind: &kind, RequestResource: &resource,
			Name: "request-000001", Namespace: "payments", Operation: admissionv1.Create,
			UserInfo: authenticationv1.UserInfo{Username: "alice", Groups: []string{"engineering", "payments", "system:authenticated"}},
			Object:   runtime.RawExtension{Raw: object},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// answer posts a review, and fails where it is refused.
func answer(b *testing.B, handler http.Handler, body []byte) *admissionv1.AdmissionResponse {
	b.Helper()
	request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	out := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(recorder.Body.Bytes(), out); err != nil || !out.Response.Allowed {
		b.Fatalf("the review was refused: %s %v", recorder.Body, err)
	}
	return out.Response
}

// BenchmarkCreate is both calls for one new request, without TLS, beside webhooks that do nothing.
func BenchmarkCreate(b *testing.B) {
	ctrl.SetLogger(zap.New(zap.WriteTo(&bytes.Buffer{})))
	w := benchWebhooks(b)
	idle := &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })}
	for name, tc := range map[string]struct {
		environment      string
		mutate, validate http.Handler
	}{
		"Idle":    {"staging", idle, idle},
		"Allowed": {"staging", serve(w.mutate), serve(w.validate)},
		"Waiting": {"production", serve(w.mutate), serve(w.validate)},
	} {
		b.Run(name, func(b *testing.B) {
			sent, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(benchRequest, "ENVIRONMENT", tc.environment)))
			if err != nil {
				b.Fatal(err)
			}
			before := reviewOf(b, sent)
			patch, err := jsonpatch.DecodePatch(answer(b, serve(w.mutate), before).Patch)
			if err != nil {
				b.Fatal(err)
			}
			stamped, err := patch.Apply(sent)
			if err != nil {
				b.Fatal(err)
			}
			after := reviewOf(b, stamped)
			b.ReportAllocs()
			for b.Loop() {
				answer(b, tc.mutate, before)
				answer(b, tc.validate, after)
			}
		})
	}
}
