package steps

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/crdschema"
)

// recordErrors says why the API server would not store a Record with these steps.
func recordErrors(t *testing.T, steps []v1alpha1.RenderedStep) field.ErrorList {
	t.Helper()
	record, err := runtime.DefaultUnstructuredConverter.ToUnstructured(decode[v1alpha1.Record](t, `
apiVersion: signoff.dev/v1alpha1
kind: Record
metadata: {namespace: signoff-system, name: r}
spec:
  requestRef: {namespace: payments, name: checkout-1-42, uid: "1"}
  actionRef: {namespace: platform, name: deploy}
  requester: {username: alice}
  serviceAccountName: deployer
  digest: "sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e"
  claimedAt: "2026-11-23T10:00:00.000001Z"
  timeout: 30m
  steps: []
`))
	if err != nil {
		t.Fatal(err)
	}
	list := make([]any, len(steps))
	for i := range steps {
		if list[i], err = runtime.DefaultUnstructuredConverter.ToUnstructured(&steps[i]); err != nil {
			t.Fatal(err)
		}
	}
	record["spec"].(map[string]any)["steps"] = list
	kind, refused := crdschema.Find(v1alpha1.GroupVersion.String(), "Record")
	if refused != nil {
		t.Fatal(refused)
	}
	unknown, errs := kind.Check(t.Context(), record)
	return append(unknown, errs...)
}

// TestRecordable renders what became empty, and what is as long as it may be: what people agree to must be what a Record can hold.
func TestRecordable(t *testing.T) {
	for name, tc := range map[string]struct{ reason, step string }{
		"Header": {"it is not sent", `http: {method: POST, url: "https://a/", headers: [{name: X-Ticket, value: "${inputs.text}"}, {name: Authorization, secret: {name: token, key: t}}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			rendered, err := mustCompile(t, `[`+first+`, {name: b, `+tc.step+`}]`).Render(t.Context(), httpInput(map[string]any{"text": ""}))
			if err != nil {
				t.Fatal(err)
			}
			if errs := recordErrors(t, rendered); len(errs) > 0 {
				t.Errorf("%s: %v", tc.reason, errs.ToAggregate())
			}
		})
	}
}
