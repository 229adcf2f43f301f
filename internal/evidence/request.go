package evidence

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// MaxAge is how long the seal of a request lasts at most. A request that lives longer by its Action or its own end is not taken up after that.
const MaxAge = 400 * 24 * time.Hour

// Grace is how long the seal of a request outlasts the request: one that nobody could take up in time still ends as expired, and not as forged.
const Grace = 7 * 24 * time.Hour

// Seen is the Action that the webhook knew when a request was made, and when the request ends by it.
type Seen struct {
	UID    types.UID
	Digest string
	Ends   time.Time
}

// sealEnds is when the seal of a request ends. Its Record is kept at least until then, so that no seal lives longer than the lock of what it asks.
func sealEnds(at, ends time.Time) metav1.Time {
	latest, end := at.Add(MaxAge), ends.Add(Grace)
	if end.After(latest) {
		end = latest
	}
	return metav1.NewTime(end.UTC().Truncate(time.Second))
}

// SealRequest seals a new request, which must have its name and its requester. Nonce is drawn by seal.NewNonce.
func (b *Book) SealRequest(ar *v1alpha1.ActionRequest, action Seen, nonce string, at time.Time) error {
	s := &v1alpha1.RequestSeal{
		Seal:      v1alpha1.Seal{At: Instant(at)},
		ExpiresAt: sealEnds(at, action.Ends), Nonce: nonce,
		ActionUID: action.UID, ActionDigest: action.Digest,
	}
	e, err := b.sign(b.requestPayload(ar, s))
	if err != nil {
		return err
	}
	s.Signature = e.Seal.String()
	ar.Spec.Seal = s
	return nil
}

func (b *Book) requestPayload(ar *v1alpha1.ActionRequest, s *v1alpha1.RequestSeal) (*seal.Request, error) {
	return seal.RequestPayload(ar, seal.RequestStamp{
		Stamp: b.stamp(&s.Seal), Nonce: s.Nonce, ExpiresAt: s.ExpiresAt.Time, ActionUID: s.ActionUID, ActionSpec: s.ActionDigest,
	})
}

// Request tells whether a request is what somebody asked for. It says nothing about whether it is a copy: see Adopt and Adopted.
func (b *Book) Request(ar *v1alpha1.ActionRequest) (*seal.Envelope, error) {
	const what = "the request"
	if ar.Spec.Requester == nil || ar.Spec.Seal == nil {
		return nil, absent(what)
	}
	p, err := b.requestPayload(ar, ar.Spec.Seal)
	return b.verify(what, p, err, ar.Spec.Seal.Signature)
}

// Fresh tells whether a request that has not been adopted was created when its seal was made, or is a copy or was restored. Now is by the
// clock of the API server.
func (b *Book) Fresh(ar *v1alpha1.ActionRequest, now time.Time) error {
	p, err := b.requestPayload(ar, ar.Spec.Seal)
	if err != nil {
		return broken("the request", err)
	}
	if err := p.Fresh(ar.CreationTimestamp.Time, now); err != nil {
		return &Error{Reason: v1alpha1.ReasonReplayed, Message: "the request is not new: " + err.Error(), cause: err}
	}
	return nil
}

// Adopt binds a request, whose seal has been verified, to its uid and to the Approvals that its status names.
func (b *Book) Adopt(ar *v1alpha1.ActionRequest, request *seal.Envelope, at time.Time) error {
	before := ar.Status.Adoption
	if ar.Status.Adoption = before.DeepCopy(); before == nil {
		ar.Status.Adoption = &v1alpha1.Adoption{}
	}
	ar.Status.Adoption.At = Instant(at)
	e, err := b.sign(b.adoptionPayload(ar, request))
	if err != nil {
		// What is not sealed is not shown: no status could be written with it.
		ar.Status.Adoption = before
		return err
	}
	ar.Status.Adoption.Signature = e.Seal.String()
	return nil
}

func (b *Book) adoptionPayload(ar *v1alpha1.ActionRequest, request *seal.Envelope) (*seal.Adoption, error) {
	return seal.AdoptionPayload(ar, request, ar.Spec.Seal.Nonce, b.stamp(&ar.Status.Adoption.Seal))
}

// Adopted tells whether the operator has adopted this very request. The envelope is nil where it has not adopted any.
func (b *Book) Adopted(ar *v1alpha1.ActionRequest, request *seal.Envelope) (*seal.Envelope, error) {
	if ar.Status.Adoption == nil {
		return nil, nil //nolint:nilnil // that it has not been adopted is an answer, not an error
	}
	p, err := b.adoptionPayload(ar, request)
	return b.verify("that Signoff has taken up the request", p, err, ar.Status.Adoption.Signature)
}

// SealCancellation seals that somebody cancelled a request, which must name them.
func (b *Book) SealCancellation(ar *v1alpha1.ActionRequest, at time.Time) error {
	s := &v1alpha1.Seal{At: Instant(at)}
	e, err := b.sign(b.cancelPayload(ar, s))
	if err != nil {
		return err
	}
	s.Signature = e.Seal.String()
	ar.Spec.Cancellation.Seal = s
	return nil
}

func (b *Book) cancelPayload(ar *v1alpha1.ActionRequest, s *v1alpha1.Seal) (*seal.Act, error) {
	return seal.CancelPayload(ar, b.stamp(s))
}

// Cancellation tells whether a request was cancelled by whom it says.
func (b *Book) Cancellation(ar *v1alpha1.ActionRequest) (*seal.Envelope, error) {
	const what = "the cancellation"
	if ar.Spec.Cancellation.Seal == nil || ar.Spec.Cancellation.By == nil {
		return nil, absent(what)
	}
	p, err := b.cancelPayload(ar, ar.Spec.Cancellation.Seal)
	return b.verify(what, p, err, ar.Spec.Cancellation.Seal.Signature)
}

// SealResolution seals what somebody decided about a step of a request. It must name them.
func (b *Book) SealResolution(ar *v1alpha1.ActionRequest, given *v1alpha1.Resolution, at time.Time) error {
	s := &v1alpha1.Seal{At: Instant(at)}
	e, err := b.sign(seal.ResolvePayload(ar, given, b.stamp(s)))
	if err != nil {
		return err
	}
	s.Signature = e.Seal.String()
	given.Seal = s
	return nil
}

// Resolution tells whether somebody decided about a step of a request what is said there.
func (b *Book) Resolution(ar *v1alpha1.ActionRequest, given *v1alpha1.Resolution) (*seal.Envelope, error) {
	const what = "the decision about a step"
	if given.Seal == nil {
		return nil, absent(what)
	}
	p, err := seal.ResolvePayload(ar, given, b.stamp(given.Seal))
	return b.verify(what, p, err, given.Seal.Signature)
}

// SealClaim seals a Record before it is created.
func (b *Book) SealClaim(r *v1alpha1.Record, at time.Time) error {
	return b.sealRecord(r, &r.Spec.Seal, at)
}

// SealRecord seals a Record with how far it has come.
func (b *Book) SealRecord(r *v1alpha1.Record, at time.Time) error {
	return b.sealRecord(r, &r.Status.Seal, at)
}

func (b *Book) sealRecord(r *v1alpha1.Record, into **v1alpha1.Seal, at time.Time) error {
	s := &v1alpha1.Seal{At: Instant(at)}
	e, err := b.sign(seal.RecordPayload(r, b.stamp(s)))
	if err != nil {
		return err
	}
	s.Signature = e.Seal.String()
	*into = s
	return nil
}

// Record tells whether a Record is what the operator wrote last.
func (b *Book) Record(r *v1alpha1.Record) (*seal.Envelope, error) {
	what := fmt.Sprintf("the Record %s", r.Name)
	s := r.Status.Seal
	if s == nil && r.Status.Outcome == "" && len(r.Status.Steps) == 0 && r.Status.Review == nil && r.Status.Ending == nil {
		s = r.Spec.Seal
	}
	if s == nil {
		return nil, &Error{Reason: v1alpha1.ReasonSealInvalid, Message: what + " has no seal: it was not written by Signoff"}
	}
	p, err := seal.RecordPayload(r, b.stamp(s))
	return b.verify(what, p, err, s.Signature)
}
