package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
)

// A Record that somebody else has written says nothing that can be acted upon: what it calls the way back could be a way to anywhere. So what a
// temporary request has done then stays, and people must take it back. They are told.

// unbelievable ends an execution whose Record somebody else has written, or waits until that can be told.
func (s *scope) unbelievable(ctx context.Context, record *v1alpha1.Record, err error) error {
	problem := evidence.Of(err)
	if problem.Wait {
		return fmt.Errorf("failed to verify the Record of request %s/%s: %w", s.request.Namespace, s.request.Name, err)
	}
	if _, told := s.told.Get(record.UID); s.orphan && told {
		return nil // nobody can be told more
	}
	s.told.Add(record.UID, true)
	return s.endWith(ctx, ending{reason: problem.Reason, message: "Nothing more is executed: " + problem.Message + "."}, s.lentText(record))
}

// endWith ends an execution of which something may be left. Empty: nothing is.
func (s *scope) endWith(ctx context.Context, end ending, left string) error {
	if left != "" {
		s.condition(v1alpha1.ConditionReverted, false, v1alpha1.ReasonRevertFailed, left)
		s.event(s.request, v1alpha1.ReasonRevertFailed, left)
		end.message = left + " " + end.message
	}
	return s.end(ctx, v1alpha1.OutcomeFailed, end)
}

// maxNamed is how many objects are named that may be left.
const maxNamed = 5

// lentText says what may be left of a temporary request whose Record is not to be believed. Empty: it was not temporary.
func (s *scope) lentText(record *v1alpha1.Record) string {
	claim := record.DeepCopy()
	claim.Status = v1alpha1.RecordStatus{}
	_, err := s.Evidence.Record(claim)
	if claim.Spec.Duration == "" && (err == nil || !s.temporaryRequest()) {
		return ""
	}
	if err != nil {
		return "It was temporary, and what it did may be left; nobody can tell from the Record what that was. Look at what was planned, and take it back by hand."
	}
	names := written(&claim.Spec)
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed:maxNamed], fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("It was temporary, and what it did may be left, as nobody can tell any more how it is taken back: it was to write %s. Look at it, and take it back by hand.",
		strings.Join(names, ", "))
}

// temporaryRequest tells whether a request was temporary, as far as it says so itself.
func (s *scope) temporaryRequest() bool {
	return s.request.Spec.Duration != "" || s.request.Status.ActiveUntil != nil
}

// written names the objects that an execution was to write, each once.
func written(claim *v1alpha1.RecordSpec) []string {
	var names []string
	for i := range claim.Steps {
		for j := range claim.Steps[i].Writes {
			if name := gate.Name(&claim.Steps[i].Writes[j].Object); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// spoilt tells whether a Record was written by somebody else. What nobody can tell at the moment is not.
func (r *Reconciler) spoilt(record *v1alpha1.Record) bool {
	_, err := r.Evidence.Record(record)
	return err != nil && !evidence.Of(err).Wait
}

// asWritten tells whether a Record is as this process has written it last, if it has, and not behind what its request shows. What was sealed before is
// sealed as well: whoever puts that back would have steps done again that are done.
func (s *scope) asWritten(record *v1alpha1.Record) error {
	what := ""
	switch {
	case !s.lastSeals.fits(record):
		what = "the Record %s was put back to what it was before, so nobody can tell what has been done"
	case len(s.request.Status.Steps) > len(record.Status.Steps):
		what = "the request shows steps of which the Record %s knows nothing: one of them was put back, or written by somebody else"
	default:
		return nil
	}
	return &evidence.Error{Reason: v1alpha1.ReasonEvidenceLost, Message: fmt.Sprintf(what, record.Name)}
}

// seals remember which seal this process has put on a Record last.
type seals struct {
	mu    sync.Mutex
	known *lru.Cache
}

// lastSeal is the seal of one version of a Record. Empty: a write on top of that version has begun, and nobody knows yet what came of it.
type lastSeal struct {
	version uint64
	seal    string
}

// note notes the seal of the version of a Record. Two may write it at once, for its request and for its review, and say so in another order.
func (k *seals) note(record *v1alpha1.Record, seal string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	version, err := strconv.ParseUint(record.ResourceVersion, 10, 64)
	if err != nil {
		k.known.Remove(record.UID)
		return
	}
	if known, ok := k.of(record); ok && (known.version > version || known.version == version && known.seal == "") {
		return
	}
	k.known.Add(record.UID, lastSeal{version, seal})
}

// fits tells whether a Record that was read is the one that was written last, as far as that is known.
func (k *seals) fits(record *v1alpha1.Record) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.of(record)
	return !ok || known.seal == "" || known.seal == sealOf(record)
}

func (k *seals) of(record *v1alpha1.Record) (lastSeal, bool) {
	known, ok := k.known.Get(record.UID)
	if !ok {
		return lastSeal{}, false
	}
	return known.(lastSeal), true //nolint:forcetypeassert // nothing else is put in
}

// sealOf is the seal of a Record as it is now.
func sealOf(record *v1alpha1.Record) string {
	switch {
	case record.Status.Seal != nil:
		return record.Status.Seal.Signature
	case record.Spec.Seal != nil:
		return record.Spec.Seal.Signature
	}
	return ""
}
