package webhooks

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"
)

// maxReview is how large a review can be: two objects of the size that etcd stores, twice that as JSON, and what is about them.
const maxReview = 7 << 20

// judge answers for objects of one kind: as one will be, and as it was. There is no object that will be when one is deleted, and none
// that was when one is created.
type judge[T any] func(ctx context.Context, req admission.Request, next, old *T) admission.Response

// reviews serves a judge. It reads a review in one pass, the objects included. The handler of controller-runtime takes four, which
// costs more than everything that is decided here; what it does beside reading and writing is used as it is.
type reviews[T any] struct {
	handler *webhook.Admission
	// first says that the API server compares the object with its definition after this.
	first bool
}

// stamps makes the handler of a judge who mutates. What is not of the form that its definition says is let through unstamped: the API server looks at
// that next, and names the field. What it did not refuse, the judge who comes last would.
func stamps[T any](judge judge[T]) http.Handler {
	handler := serve(judge)
	handler.first = true
	return handler
}

// serve makes the handler of a judge.
func serve[T any](judge judge[T]) *reviews[T] {
	return &reviews[T]{handler: hook(func(ctx context.Context, req admission.Request) admission.Response {
		asked, ok := ctx.Value(askedKey{}).(*review[T])
		if !ok {
			return admission.Errored(http.StatusInternalServerError, fmt.Errorf("the objects are missing"))
		}
		return judge(ctx, req, asked.Request.Object, asked.Request.OldObject)
	})}
}

// askedKey is where the context of a judge has the review.
type askedKey struct{}

// review is an AdmissionReview of objects of one kind.
type review[T any] struct {
	metav1.TypeMeta `json:",inline"`

	Request question[T] `json:"request"`

	// size is how many bytes it had.
	size int
}

// bytes is how large the review was, of which the objects are most: nothing else keeps how large they were.
func (r *review[T]) bytes() int { return r.size }

// sizeOf is how large the review is that is answered.
func sizeOf(ctx context.Context) int {
	if asked, ok := ctx.Value(askedKey{}).(interface{ bytes() int }); ok {
		return asked.bytes()
	}
	return 0
}

// question is an AdmissionRequest whose objects are decoded. Its own fields stand before those that it embeds; what nobody asks for is
// not decoded.
type question[T any] struct {
	admissionv1.AdmissionRequest `json:",inline"`

	Object    *T `json:"object"`
	OldObject *T `json:"oldObject"`

	RequestKind     struct{} `json:"requestKind"`
	RequestResource struct{} `json:"requestResource"`
	Options         struct{} `json:"options"`
}

// bodies are used again, since nothing that is decoded keeps a part of them.
var bodies = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// ServeHTTP implements http.Handler.
func (r *reviews[T]) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	asked := &review[T]{}
	var response admission.Response
	if err := asked.read(request); r.first && errors.Is(err, errForm) {
		response = admission.Allowed("")
		response.UID = asked.Request.UID
	} else if err != nil {
		response = admission.Errored(http.StatusBadRequest, err)
		response.UID = asked.Request.UID
	} else {
		ctx := context.WithValue(request.Context(), askedKey{}, asked)
		response = r.handler.Handle(ctx, admission.Request{AdmissionRequest: asked.Request.AdmissionRequest})
	}
	answer := admissionv1.AdmissionReview{Response: &response.AdmissionResponse}
	answer.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	text, err := stdjson.Marshal(answer)
	if err != nil {
		http.Error(w, fmt.Sprintf("failed to encode the answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// Where nobody listens any more, nobody can be told.
	_, _ = w.Write(text)
}

// read reads the body of a request.
func (r *review[T]) read(request *http.Request) error {
	if kind := request.Header.Get("Content-Type"); kind != "application/json" {
		return fmt.Errorf("failed to read the review: its content type is %q, and must be application/json", kind)
	}
	body, _ := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if request.ContentLength > 0 && request.ContentLength <= maxReview {
		body.Grow(int(request.ContentLength) + bytes.MinRead)
	}
	size, err := body.ReadFrom(io.LimitReader(request.Body, maxReview+1))
	switch {
	case err != nil:
		return fmt.Errorf("failed to read the review: %w", err)
	case size > maxReview:
		return fmt.Errorf("failed to read the review: it is larger than %d bytes", maxReview)
	}
	r.size = body.Len()
	return r.decode(body.Bytes())
}

// decode reads a review, refusing what cannot be read and what lacks an object.
func (r *review[T]) decode(body []byte) error {
	if err := json.UnmarshalCaseSensitivePreserveInts(body, r); err != nil {
		return whyNot[T](body, err)
	}
	if known := admissionv1.SchemeGroupVersion.String(); r.APIVersion != known || r.Kind != "AdmissionReview" {
		return fmt.Errorf("failed to read the review: it is a %s of %s, and must be an AdmissionReview of %s", r.Kind, r.APIVersion, known)
	}
	return r.complete()
}

// complete demands the objects that belong to the operation.
func (r *review[T]) complete() error {
	operation := r.Request.Operation
	isNew, isGone := operation == admissionv1.Create, operation == admissionv1.Delete
	if r.Request.Object == nil && !isGone || r.Request.OldObject == nil && !isNew {
		return fmt.Errorf("failed to decode the object: there is none, and operation %q needs one", operation)
	}
	return nil
}

// errForm says that a new object is not of the form that its definition says.
var errForm = errors.New("failed to decode the object")

// whyNot finds out what cannot be read, and says of an object where in the object it is.
func whyNot[T any](body []byte, err error) error {
	raw := &admissionv1.AdmissionReview{}
	if err := json.UnmarshalCaseSensitivePreserveInts(body, raw); err != nil || raw.Request == nil {
		return fmt.Errorf("failed to read the review: %w", err)
	}
	if object := raw.Request.Object.Raw; len(object) > 0 {
		if err := json.UnmarshalCaseSensitivePreserveInts(object, new(T)); err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
	}
	if object := raw.Request.OldObject.Raw; len(object) > 0 {
		if err := json.UnmarshalCaseSensitivePreserveInts(object, new(T)); err != nil {
			return fmt.Errorf("failed to decode the old object: %w", err)
		}
	}
	return fmt.Errorf("failed to read the review: %w", err)
}
