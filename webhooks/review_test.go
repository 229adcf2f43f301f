package webhooks

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// seen is what a judge was given.
type seen struct {
	Request   admissionv1.AdmissionRequest
	Next, Old *v1alpha1.ActionRequest
}

// ask posts a body to the handler, and gives what came back and what the judge was given; nil: it was not asked.
func ask(tb testing.TB, body []byte, contentType string) (*admissionv1.AdmissionReview, *seen) {
	tb.Helper()
	var given *seen
	handler := serve(func(_ context.Context, req admission.Request, next, old *v1alpha1.ActionRequest) admission.Response {
		given = &seen{req.AdmissionRequest, next, old}
		if next != nil && next.Name == "panic" {
			panic("on purpose")
		}
		return admission.Allowed("").WithWarnings("a warning")
	})
	request := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/", bytes.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	out := &admissionv1.AdmissionReview{}
	if err := stdjson.Unmarshal(recorder.Body.Bytes(), out); err != nil || out.Response == nil {
		tb.Fatalf("the answer is no review: %v: %s", err, recorder.Body)
	}
	return out, given
}

const envelope = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "operation": "OPERATION",
	"userInfo": {"username": "alice", "groups": ["a"]}, "dryRun": true, "object": NEXT, "oldObject": OLD, "options": {"x": 1}}}`

func reviewWith(operation, next, old string) []byte {
	return []byte(strings.NewReplacer("OPERATION", operation, "NEXT", next, "OLD", old).Replace(envelope))
}

func TestReview(t *testing.T) {
	const object = `{"metadata": {"name": "a"}, "spec": {"reason": "because"}}`
	made := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: v1alpha1.ActionRequestSpec{Reason: "because"}}
	for name, tc := range map[string]struct {
		reason      string
		body        []byte
		contentType string
		next, old   *v1alpha1.ActionRequest
		// refused is the message of the answer where the judge is not asked.
		refused string
		uid     types.UID
	}{
		"Create": {reason: "There is no object before it is made.", body: reviewWith("CREATE", object, "null"), next: made, uid: "u"},
		"Update": {reason: "An update has both.", body: reviewWith("UPDATE", object, object), next: made, old: made, uid: "u"},
		"Delete": {reason: "There is no object after it is gone.", body: reviewWith("DELETE", "null", object), old: made, uid: "u"},
		"NoObject": {reason: "A judge can rely on the objects.", body: reviewWith("CREATE", "null", "null"), uid: "u",
			refused: `failed to decode the object: there is none, and operation "CREATE" needs one`},
		"NoOldObject": {reason: "Also on the one before.", body: reviewWith("UPDATE", object, "null"), uid: "u",
			refused: `failed to decode the object: there is none, and operation "UPDATE" needs one`},
		"UnknownOperation": {reason: "What nobody knows needs everything.", body: reviewWith("CONNECT", object, "null"), uid: "u",
			refused: `failed to decode the object: there is none, and operation "CONNECT" needs one`},
		"WrongType": {reason: "People read where in their object it is, not where in the review.", body: reviewWith("CREATE", `{"spec": {"reason": 7}}`, "null"), uid: "u",
			refused: "failed to decode the object: json: cannot unmarshal number into Go struct field ActionRequestSpec.spec.reason of type string"},
		"WrongOldType": {reason: "The same goes for the one before.", body: reviewWith("DELETE", "null", `{"spec": []}`), uid: "u",
			refused: "failed to decode the old object: json: cannot unmarshal array into Go struct field ActionRequest.spec of type v1alpha1.ActionRequestSpec"},
		"Case": {reason: "Names of fields have their case, as the API server has it.", body: reviewWith("CREATE", `{"metadata": {"name": "a", "Name": "b"}, "spec": {"reason": "because", "Reason": "no"}}`, "null"), next: made, uid: "u"},
		"NoJSON": {reason: "What is not JSON has no uid.", body: []byte("{"),
			refused: "failed to read the review: unexpected end of JSON input"},
		"Version": {reason: "Only one version is registered.", body: bytes.Replace(reviewWith("CREATE", object, "null"), []byte("k8s.io/v1"), []byte("k8s.io/v1beta1"), 1), uid: "u",
			refused: "failed to read the review: it is a AdmissionReview of admission.k8s.io/v1beta1, and must be an AdmissionReview of admission.k8s.io/v1"},
		"Kind": {reason: "Not everything is a review.", body: []byte(`{"apiVersion": "admission.k8s.io/v1", "kind": "Pod"}`),
			refused: "failed to read the review: it is a Pod of admission.k8s.io/v1, and must be an AdmissionReview of admission.k8s.io/v1"},
		"NoRequest": {reason: "A review without a question has no answer.", body: []byte(`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}`),
			refused: `failed to decode the object: there is none, and operation "" needs one`},
		"ContentType": {reason: "The API server sends JSON.", body: reviewWith("CREATE", object, "null"), contentType: "text/plain",
			refused: `failed to read the review: its content type is "text/plain", and must be application/json`},
		"Large": {reason: "Nobody fills the memory.", body: append(reviewWith("CREATE", object, "null"), bytes.Repeat([]byte(" "), maxReview)...),
			refused: "failed to read the review: it is larger than 7340032 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			kind := tc.contentType
			if kind == "" {
				kind = "application/json"
			}
			out, given := ask(t, tc.body, kind)
			want := &admissionv1.AdmissionResponse{UID: "u", Allowed: true, Warnings: []string{"a warning"}, Result: &metav1.Status{Code: http.StatusOK}}
			if tc.refused != "" {
				want = &admissionv1.AdmissionResponse{UID: tc.uid, Result: &metav1.Status{Code: http.StatusBadRequest, Message: tc.refused}}
			}
			if diff := cmp.Diff(want, out.Response); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if (given == nil) != (tc.refused != "") {
				t.Fatalf("%s: the judge was given %v", tc.reason, given)
			}
			if given == nil {
				return
			}
			if diff := cmp.Diff([]*v1alpha1.ActionRequest{tc.next, tc.old}, []*v1alpha1.ActionRequest{given.Next, given.Old}); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if given.Request.UserInfo.Username != "alice" || given.Request.DryRun == nil || !*given.Request.DryRun {
				t.Errorf("%s: the request lost something: %+v", tc.reason, given.Request)
			}
		})
	}
}

// TestFormIsForTheAPIServer: whoever only stamps lets through what is not of the form of its definition, and nothing else that cannot be read.
func TestFormIsForTheAPIServer(t *testing.T) {
	handler := stamps(func(context.Context, admission.Request, *v1alpha1.ActionRequest, *v1alpha1.ActionRequest) admission.Response {
		return admission.Denied("was asked")
	})
	for name, tc := range map[string]struct {
		body    []byte
		allowed bool
		message string
	}{
		"Form":    {reviewWith("CREATE", `{"spec": {"reason": 7}}`, "null"), true, ""},
		"Time":    {reviewWith("CREATE", `{"spec": {"expiresAt": "2026-12-01"}}`, "null"), true, ""},
		"Good":    {reviewWith("CREATE", `{"spec": {"reason": "a"}}`, "null"), false, "was asked"},
		"OldForm": {reviewWith("UPDATE", `{"spec": {"reason": "a"}}`, `{"spec": {"reason": 7}}`), false, "failed to decode the old object"},
		"None":    {reviewWith("CREATE", "null", "null"), false, "there is none"},
		"NoJSON":  {[]byte("{"), false, "failed to read the review"},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(tc.body))
			request.Header.Set("Content-Type", "application/json")
			recorder, out := httptest.NewRecorder(), &admissionv1.AdmissionReview{}
			handler.ServeHTTP(recorder, request)
			if err := stdjson.Unmarshal(recorder.Body.Bytes(), out); err != nil {
				t.Fatal(err)
			}
			if r := out.Response; r.Allowed != tc.allowed || len(r.Patch) != 0 || !tc.allowed && !strings.Contains(r.Result.Message, tc.message) {
				t.Errorf("got %+v, %+v", r, r.Result)
			}
		})
	}
}

func TestPanicIsNoYes(t *testing.T) {
	out, _ := ask(t, reviewWith("CREATE", `{"metadata": {"name": "panic"}}`, "null"), "application/json")
	if out.Response.Allowed || out.Response.UID != "u" || out.Response.Result.Code != http.StatusInternalServerError {
		t.Errorf("want a refusal, got %+v", out.Response)
	}
}

// TestBuffersAreNotShared: what one request was decoded from must not change when the next one is read.
func TestBuffersAreNotShared(t *testing.T) {
	_, first := ask(t, reviewWith("CREATE", `{"metadata": {"name": "first", "labels": {"a": "first"}}, "spec": {"inputs": {"a": "first"}}}`, "null"), "application/json")
	before := first.Next.DeepCopy()
	for range 8 {
		ask(t, reviewWith("CREATE", `{"metadata": {"name": "other", "labels": {"a": "other"}}, "spec": {"inputs": {"a": "other"}}}`, "null"), "application/json")
	}
	if diff := cmp.Diff(before, first.Next); diff != "" {
		t.Errorf("-before, +after:\n%s", diff)
	}
}

// FuzzReview: what is read here is what the handler of controller-runtime reads.
func FuzzReview(f *testing.F) {
	for _, seed := range []string{
		string(reviewWith("CREATE", `{"metadata": {"name": "a"}, "spec": {"inputs": {"b": [1, 1.5, null]}}}`, "null")),
		string(reviewWith("UPDATE", `{"metadata": {"managedFields": [{"fieldsV1": {"f:spec": {}}}]}}`, `{}`)),
		string(reviewWith("DELETE", "null", `{"status": {"outcome": "Failed"}}`)), `{"request": {"Object": {}}}`, `{}`, `[]`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, ours := ask(t, body, "application/json")
		if twice, err := json.UnmarshalStrict(body, new(any), json.DisallowDuplicateFields); ours == nil || err != nil || len(twice) > 0 {
			return
		}
		theirs := byControllerRuntime(t, body)
		if theirs == nil {
			t.Fatalf("%q is read here only", body)
		}
		for _, pair := range []struct {
			raw  []byte
			ours *v1alpha1.ActionRequest
		}{{theirs.Object.Raw, ours.Next}, {theirs.OldObject.Raw, ours.Old}} {
			var want *v1alpha1.ActionRequest
			if len(pair.raw) > 0 {
				want = &v1alpha1.ActionRequest{}
				if refused := decode(pair.raw, want); refused != nil {
					t.Fatalf("%q: an object is read here only", body)
				}
			}
			if diff := cmp.Diff(want, pair.ours); diff != "" {
				t.Fatalf("%q: -theirs, +ours:\n%s", body, diff)
			}
		}
		theirs.Object, theirs.OldObject, theirs.Options = runtime.RawExtension{}, runtime.RawExtension{}, runtime.RawExtension{}
		theirs.RequestKind, theirs.RequestResource = nil, nil
		if diff := cmp.Diff(theirs, &ours.Request); diff != "" {
			t.Fatalf("%q: -theirs, +ours:\n%s", body, diff)
		}
	})
}

// byControllerRuntime gives the request as the handler of controller-runtime reads it; nil: it cannot.
func byControllerRuntime(tb testing.TB, body []byte) *admissionv1.AdmissionRequest {
	tb.Helper()
	var given *admissionv1.AdmissionRequest
	handler := &admission.Webhook{Handler: admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		given = req.DeepCopy()
		return admission.Allowed("")
	})}
	request := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	handler.ServeHTTP(httptest.NewRecorder(), request)
	return given
}
