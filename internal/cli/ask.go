package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// causeVerdict is the type of the cause by which the webhook tells the whole verdict of a refused dry run.
const causeVerdict metav1.CauseType = "Verdict"

// asker asks the API server by dry runs.
type asker struct {
	client     *rest.RESTClient
	connection *connection
	at         string
}

// ask completes what would be answered to a request. An error says that there is no answer.
func (a *asker) ask(ctx context.Context, request *unstructured.Unstructured, out *Explained) error {
	request = request.DeepCopy()
	if a.at != "" {
		annotations := request.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[v1alpha1.AnnotationAt] = a.at
		request.SetAnnotations(annotations)
	}
	answer, err := a.create(ctx, request)
	if apierrors.IsAlreadyExists(err) {
		// It was allowed, but who asks again under that name asks for nothing.
		out.Note = "the request exists already, and applying it again does nothing; this is the answer to a new one under another name"
		request.SetGenerateName(cut(request.GetName(), maxPrefix) + "-")
		request.SetName("")
		answer, err = a.create(ctx, request)
	}
	out.Warnings = a.connection.taken()
	if err != nil {
		return refusal(err, out)
	}
	text, ok := answer.GetAnnotations()[v1alpha1.AnnotationVerdict]
	if !ok {
		return errors.New("the API server answered without a verdict: the admission webhook of Signoff is not in force. Tell an administrator of the cluster")
	}
	return unmarshalVerdict(text, out)
}

// maxPrefix leaves room for the end of a generated name.
const maxPrefix = 240

func cut(text string, length int) string { return text[:min(len(text), length)] }

func (a *asker) create(ctx context.Context, request *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	a.connection.taken()
	body, err := json.Marshal(request.Object)
	if err != nil {
		return nil, fmt.Errorf("failed to write the request: %w", err)
	}
	options := &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict, FieldManager: "kubectl-signoff"}
	result := a.client.Post().Namespace(request.GetNamespace()).Resource("actionrequests").
		VersionedParams(options, metav1.ParameterCodec).SetHeader("Content-Type", "application/json").Body(body).Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	raw, err := result.Raw()
	if err != nil {
		return nil, err
	}
	answer := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &answer.Object); err != nil {
		return nil, fmt.Errorf("failed to read the answer: %w", err)
	}
	return answer, nil
}

func unmarshalVerdict(text string, out *Explained) error {
	if err := json.Unmarshal([]byte(text), &out.Explanation); err != nil {
		return fmt.Errorf("failed to read the verdict, which may be of another version of Signoff: %w", err)
	}
	return nil
}

// refusal says why a request would be refused. What is no refusal comes back as an error.
func refusal(err error, out *Explained) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err
	}
	answer := status.Status()
	switch {
	case apierrors.IsForbidden(err):
		if text, ok := verdictOf(answer.Details); ok {
			return unmarshalVerdict(text, out)
		}
		out.Explanation = gate.Explanation{Reason: string(metav1.StatusReasonForbidden), Message: answer.Message}
	case apierrors.IsInvalid(err):
		out.Explanation = gate.Explanation{Reason: v1alpha1.ReasonInvalid, Errors: causes(answer.Details)}
		if len(out.Errors) == 0 {
			out.Message = answer.Message
		}
	case apierrors.IsBadRequest(err):
		out.Explanation = gate.Explanation{Reason: string(metav1.StatusReasonBadRequest), Message: answer.Message}
	case apierrors.IsNotFound(err) && !gate.Missing(err):
		return fmt.Errorf("the cluster has no ActionRequests: Signoff is not installed: %w", err)
	default:
		return fmt.Errorf("there is no answer: %w", err)
	}
	return nil
}

func verdictOf(details *metav1.StatusDetails) (string, bool) {
	if details == nil {
		return "", false
	}
	for i := range details.Causes {
		if details.Causes[i].Type == causeVerdict {
			return details.Causes[i].Message, true
		}
	}
	return "", false
}

// causes are what is wrong with a request, each with its field.
func causes(details *metav1.StatusDetails) []string {
	if details == nil {
		return nil
	}
	var lines []string
	for _, cause := range details.Causes {
		lines = append(lines, cause.Field+": "+cause.Message)
	}
	return lines
}
