package actionrequest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/metrics"
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
	s.suspect(s.key(), s.request.UID, problem)
	return s.endWith(ctx, ending{reason: problem.Reason, rejected: true, message: "Nothing more is executed: " + problem.Message + "."}, s.lentText(record))
}

// endWith ends an execution of which something may be left. Empty: nothing is.
func (s *scope) endWith(ctx context.Context, end ending, left string) error {
	// It is not tried any more. What may be left of a Record that nobody believes is counted by itself.
	s.left.note(s.request.UID, false)
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

// suspect counts what somebody else has written about a request, once, and says in the log what it was. What nobody can tell at the moment is none.
func (r *Reconciler) suspect(request types.NamespacedName, uid types.UID, problem *evidence.Error) {
	if _, known := r.forged.Get(uid); known || problem.Wait {
		return
	}
	r.forged.Add(uid, true)
	metrics.Forged(problem.Reason)
	log.Log.WithName("evidence").Info("something was written past Signoff; nothing is executed by it", "namespace", request.Namespace, "name", request.Name,
		"reason", problem.Reason, "what", problem.Message)
}

// goes tells whether everything in the namespace of the request is being removed, in no order: that an Approval goes first is nobody's forgery.
func (s *scope) goes(ctx context.Context) bool {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return s.Reader.Get(ctx, types.NamespacedName{Name: s.request.Namespace}, namespace) == nil && namespace.DeletionTimestamp != nil
}

// spoilt tells whether a Record was written by somebody else. What nobody can tell at the moment is not.
func (r *Reconciler) spoilt(record *v1alpha1.Record) bool {
	_, err := r.Evidence.Record(record)
	return err != nil && !evidence.Of(err).Wait
}

// asWritten tells whether a Record knows what this process has seen in it, and what its request shows. What was sealed before is sealed as well:
// whoever puts that back would have steps done again that are done. It is looked at once more before that is said, as somebody may have gone on
// since it was read.
func (s *scope) asWritten(ctx context.Context, record *v1alpha1.Record) error {
	what := s.behind(record)
	if what == "" {
		return nil
	}
	live := &v1alpha1.Record{}
	if err := s.Reader.Get(ctx, client.ObjectKeyFromObject(record), live); err != nil {
		return fmt.Errorf("failed to read Record %s again: %w", record.Name, err)
	}
	if live.ResourceVersion != record.ResourceVersion {
		return fmt.Errorf("somebody has written Record %s since it was read", record.Name)
	}
	return &evidence.Error{Reason: v1alpha1.ReasonEvidenceLost, Message: fmt.Sprintf(what, record.Name)}
}

// behind says how a Record knows less than it did. Empty: it does not.
func (s *scope) behind(record *v1alpha1.Record) string {
	switch {
	case !s.revisions.note(record):
		return "the Record %s was put back to what it was before, so nobody can tell what has been done"
	case len(s.request.Status.Steps) > len(record.Status.Steps):
		return "the request shows steps of which the Record %s knows nothing: one of them was put back, or written by somebody else"
	}
	return ""
}

// revisions remember the newest revision of each Record that was seen or written. Its seal covers the revision, and every write is based on the
// version that was read, so that it only grows, whoever writes.
type revisions struct {
	mu    sync.Mutex
	known *lru.Cache
}

// note notes the revision of a Record, which was verified. False: a newer one is known.
func (k *revisions) note(record *v1alpha1.Record) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	// Not by its uid: a Record that was deleted and made again is the same one, put back.
	name, revision := record.Name+"/"+string(record.Spec.RequestRef.UID), record.Status.Revision
	if known, ok := k.known.Get(name); ok && known.(int32) > revision { //nolint:forcetypeassert // nothing else is put in
		return false
	}
	k.known.Add(name, revision)
	return true
}
