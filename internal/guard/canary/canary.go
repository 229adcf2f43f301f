// Package canary is what the controllers and the admission webhooks say to each other through the API server, to prove that
// the API server asks both webhooks: a request that carries a fresh nonce, and a refusal that carries the proofs. It is a package
// of its own, because both sides use it and may run as two processes.
package canary

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// Annotation makes an ActionRequest a canary and carries its nonce. Only the operator, in its own namespace, may write it on a new
	// request; and such a request is always refused.
	Annotation = "signoff.dev/canary"
	// AnnotationStamp carries what the mutating pass proves, to the validating pass.
	AnnotationStamp = "signoff.dev/canary-stamp"
	// Name is the name of the request that is never stored.
	Name = "signoff-canary"
	// Reason is the reason of the refusal, by which it is told from refusals of others.
	Reason metav1.StatusReason = "SignoffCanary"
	// NoKey is the reason of an answer of admission that has nothing to prove by until a person acts. Whoever forges it only stops things.
	NoKey metav1.StatusReason = "SignoffCanaryNoKey"
)

// The types of the causes of the refusal. kubectl shows no causes of a 403.
const (
	causeNonce metav1.CauseType = "CanaryNonce"
	causeStamp metav1.CauseType = "CanaryStamp"
	causeProof metav1.CauseType = "CanaryProof"
)

// What is proved of a nonce, apart for each pass, so that neither can answer for the other.
const (
	passMutating   = "/mutating"
	passValidating = "/validating"
)

// Prover is the side of the webhooks: it makes what only the admission process can make of a nonce.
type Prover interface {
	// Prove gives the proof for a nonce.
	Prove(nonce string) (proof string, err error)
}

// Checker is the side of the controllers.
type Checker interface {
	// Check returns nil where the proof is that of the admission process for this nonce.
	Check(nonce, proof string) error
}

// ErrForged says that an answer to a canary is none that our webhooks give.
var ErrForged = errors.New("the answer is not one of Signoff's admission webhooks")

// Echo gives a nonce back as its own proof. It lacks everything that makes a proof: whoever sees the nonce, which is every webhook
// that the API server asks, can give the same answer. It proves that somebody in place of our webhooks answered in our words, and
// not that it was our admission process. It is for tests of what comes around; evidence.Book proves by the key of admission.
type Echo struct{}

// Prove implements Prover.
func (Echo) Prove(nonce string) (string, error) { return "echo:" + nonce, nil }

// Check implements Checker.
func (Echo) Check(nonce, proof string) error {
	if subtle.ConstantTimeCompare([]byte("echo:"+nonce), []byte(proof)) != 1 {
		return ErrForged
	}
	return nil
}

// Nonce gives a fresh one, of at least 128 random bits.
func Nonce() string { return rand.Text() }

// Request makes the request that must be refused.
func Request(namespace, nonce string) *v1alpha1.ActionRequest {
	return &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Name, Annotations: map[string]string{Annotation: nonce}},
		// It names nothing, and nothing is looked up for it.
		Spec: v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: namespace, Name: Name}},
	}
}

// Is tells whether a new request is a canary, or pretends to be one.
func Is(request *v1alpha1.ActionRequest) bool {
	_, has := request.Annotations[Annotation]
	_, stamped := request.Annotations[AnnotationStamp]
	return has || stamped
}

// Stamp is what the mutating pass writes on a canary.
func Stamp(prover Prover, request *v1alpha1.ActionRequest) (string, error) {
	stamp, err := prover.Prove(request.Annotations[Annotation] + passMutating)
	if err != nil {
		return "", fmt.Errorf("failed to prove the mutating pass: %w", err)
	}
	return stamp, nil
}

// Refusal is the answer of the validating pass to a canary: the nonce, the stamp of the mutating pass as this pass saw it, and its
// own proof. What of it is right, the controllers check.
func Refusal(prover Prover, request *v1alpha1.ActionRequest) (*metav1.Status, error) {
	nonce := request.Annotations[Annotation]
	proof, err := prover.Prove(nonce + passValidating)
	if err != nil {
		return nil, fmt.Errorf("failed to prove the validating pass: %w", err)
	}
	return &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: Reason,
		Message: fmt.Sprintf("canary %s: both passes of Signoff saw it. It is never stored.", nonce),
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Type: causeNonce, Message: nonce},
			{Type: causeStamp, Message: request.Annotations[AnnotationStamp]},
			{Type: causeProof, Message: proof},
		}},
	}, nil
}

// Unable is the answer of admission that has no key, with the reason in words.
func Unable(why string) *metav1.Status {
	return &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: NoKey, Message: why}
}

// HasNoKey tells whether an answer is that of admission without a key.
func HasNoKey(err error) bool { return apierrors.ReasonForError(err) == NoKey }

// Answered tells whether an error is an answer to a canary at all, whoever gave it.
func Answered(err error) bool { return apierrors.ReasonForError(err) == Reason }

// Check returns nil where a refusal proves that both webhooks saw the canary with this nonce.
func Check(checker Checker, nonce string, refusal error) error {
	status := apierrors.APIStatus(nil)
	if !errors.As(refusal, &status) || status.Status().Details == nil {
		return fmt.Errorf("%w: it carries no proof", ErrForged)
	}
	causes := map[metav1.CauseType]string{}
	for _, cause := range status.Status().Details.Causes {
		causes[cause.Type] = cause.Message
	}
	if causes[causeNonce] != nonce {
		return fmt.Errorf("%w: it is not about this canary", ErrForged)
	}
	if err := checker.Check(nonce+passValidating, causes[causeProof]); err != nil {
		return fmt.Errorf("the validating webhook has no proof that it is Signoff's: %w", err)
	}
	if causes[causeStamp] == "" {
		return errors.New("the mutating webhook did not see it: the request came to the validating one without a stamp")
	}
	if err := checker.Check(nonce+passMutating, causes[causeStamp]); err != nil {
		return fmt.Errorf("the mutating webhook has no proof that it is Signoff's: %w", err)
	}
	return nil
}
