package actionrequest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// bothKeys are those of a process that holds both.
type bothKeys struct {
	signers map[seal.Purpose]*seal.Signer
	ring    *seal.Keyring
}

func newBothKeys(t *testing.T) *bothKeys {
	t.Helper()
	k := &bothKeys{signers: map[seal.Purpose]*seal.Signer{}}
	var public []seal.PublicKey
	for _, purpose := range []seal.Purpose{seal.Admission, seal.Controller} {
		seed := sha256.Sum256([]byte(purpose))
		signer, err := seal.NewSigner(purpose, ed25519.NewKeyFromSeed(seed[:]))
		must(t, err)
		k.signers[purpose] = signer
		public = append(public, seal.PublicKey{Key: signer.Public(), Purpose: purpose, NotBefore: noon.Add(-time.Hour)})
	}
	var err error
	k.ring, err = seal.NewKeyring(public...)
	must(t, err)
	return k
}

func (k *bothKeys) Sign(p seal.Payload) (*seal.Envelope, error) {
	return k.signers[p.Type().Signer()].Sign(p)
}

func (*bothKeys) Keyed(seal.Purpose, []byte) (string, []byte, error) {
	return "", nil, errors.New("none")
}

func (k *bothKeys) Keyring() *seal.Keyring { return k.ring }

func (*bothKeys) Refresh() bool { return true }

// ledger is an audit log that names what it takes, once each, unless it is full.
type ledger struct {
	Audit
	took []string
	full bool
}

func (l *ledger) Write(facts ...audit.Event) error {
	if l.full {
		return errors.New("the disk is full")
	}
	for i := range facts {
		name := strings.TrimSuffix(strings.TrimPrefix(facts[i].Type, "dev.signoff."), ".v1")
		if name = strings.TrimSpace(name + " " + facts[i].Data.State); name == "stage.voted" {
			name = facts[i].ID
		}
		if !slices.Contains(l.took, name) {
			l.took = append(l.took, name)
		}
	}
	return nil
}

// inForce says that the guard is.
type inForce struct{}

func (inForce) InForce() error { return nil }

// forgetful are hands of which nobody can tell who changed an Action, while that is so.
type forgetful struct{ err error }

func (f *forgetful) Edits(*v1alpha1.Action, string) ([]gate.Edit, time.Time, error) {
	return nil, time.Time{}, f.err
}

func (*forgetful) MayActAs(context.Context, *v1alpha1.Identity, string) (bool, error) {
	return false, nil
}
func (*forgetful) Delegation(*v1alpha1.Delegation) (string, error) { return "", errors.New("none") }

// emergency is one that has run, with its Record and the review that is open.
type emergency struct {
	*testing.T
	*Reviewer
	clock  *clocktesting.FakeClock
	ledger *ledger
	hands  *forgetful
	seen   *events.FakeRecorder
	// failing is what a write to the status of a kind gives. meddle is done before one to an Approval, once.
	failing map[string]error
	meddle  func()
}

const reviewed = "fire-review"

// must ends a test that cannot go on.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newEmergency needs so many to agree to it.
func newEmergency(t *testing.T, needed int32) *emergency {
	t.Helper()
	e := &emergency{
		T: t, clock: clocktesting.NewFakeClock(noon), ledger: &ledger{}, hands: &forgetful{}, seen: events.NewFakeRecorder(64), failing: map[string]error{},
	}
	scheme := runtime.NewScheme()
	must(t, v1alpha1.AddToScheme(scheme))
	all := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ActionRequest{}, &v1alpha1.Approval{}, &v1alpha1.Record{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceUpdate: e.update, List: anyRecord}).Build()
	cached := interceptor.NewClient(all, interceptor.Funcs{Get: openOnly})
	e.Reviewer = &Reviewer{Reconciler: &Reconciler{
		Client: cached, Reader: all, Gate: e.gate(), Evidence: evidence.NewBook("cluster", newBothKeys(t)), Audit: e.ledger, Events: e.seen, Guard: inForce{},
		Keys: func() error { return nil }, Clock: e.clock, Wall: e.clock, OperatorNamespace: "signoff-system", Recount: func() {},
		written: lru.New(8), told: lru.New(8), tried: lru.New(8), adopted: lru.New(8), forged: lru.New(8), revisions: revisions{known: lru.New(8)},
	}}
	e.store(all, needed)
	return e
}

// gate judges who may vote: bob and erin.
func (e *emergency) gate() *gate.Gate {
	store, action, role := snapshot.NewStore(nil), &v1alpha1.Action{}, &v1alpha1.Role{}
	must(e.T, yaml.UnmarshalStrict([]byte(`{metadata: {namespace: platform, name: fire}, spec: {title: Fire, default: {effect: Allow}, execution: {serviceAccountName: deployer,
		steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: fire}}]}}]}}}`), action))
	must(e.T, yaml.UnmarshalStrict([]byte(`{metadata: {namespace: platform, name: all}, spec: {members: {users: [bob, erin]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}}`), role))
	store.Put(action)
	store.Put(role)
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	must(e.T, err)
	return gate.New(store, rules, nil, "signoff-system", e.clock).Asks(e.hands)
}

// store makes what there is once the emergency has run.
func (e *emergency) store(c client.Client, needed int32) {
	alice, ref := v1alpha1.Identity{Username: "alice"}, v1alpha1.ActionReference{Namespace: "platform", Name: "fire"}
	request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "fire", UID: "r-1", CreationTimestamp: metav1.NewTime(noon)}}
	request.Spec = v1alpha1.ActionRequestSpec{ActionRef: ref, Requester: &alice, BreakGlass: &v1alpha1.BreakGlass{Reason: "fire"}, Seal: &v1alpha1.RequestSeal{Seal: v1alpha1.Seal{At: evidence.Instant(noon)}}}
	request.Status = v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeSucceeded, Phase: v1alpha1.PhaseSucceeded, Execution: &v1alpha1.ExecutionClaim{ID: "r-1"}}
	review := &v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: reviewed, UID: "a-1", CreationTimestamp: metav1.NewTime(noon), Labels: map[string]string{v1alpha1.LabelRequestUID: "r-1"}}}
	review.Spec = v1alpha1.ApprovalSpec{
		RequestRef: v1alpha1.RequestReference{Name: "fire", UID: "r-1"}, ActionRef: ref, Stage: v1alpha1.StageReference{Name: "review"}, Review: true,
		Digest: "sha256:" + strings.Repeat("9f", 32), Summary: []string{"fire"}, Needs: "some", Expires: "in an hour", ExpiresAt: metav1.NewTime(noon.Add(time.Hour).Truncate(time.Second)),
		Requirements: []v1alpha1.Requirement{{Name: "reviewers", Count: needed, Approvers: v1alpha1.Approvers{Users: []string{"bob", "erin"}}}}, Requester: alice,
	}
	_, err := e.Evidence.SealApproval(review, noon)
	must(e.T, err)
	review.Status.State = v1alpha1.ApprovalOpen
	record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: "signoff-system", Name: "r-1", UID: "x-1"}}
	record.Spec = v1alpha1.RecordSpec{
		RequestRef: v1alpha1.RecordRequestReference{Namespace: "payments", Name: "fire", UID: "r-1"}, ActionRef: ref, Requester: alice, ServiceAccountName: "deployer",
		Digest: review.Spec.Digest, ClaimedAt: evidence.Instant(noon), Timeout: "30m", Review: recordedReview(review, nil),
	}
	must(e.T, e.Evidence.SealClaim(record, noon))
	for _, object := range []client.Object{request, review, record} {
		must(e.T, c.Create(e.Context(), object))
	}
	must(e.T, c.Status().Update(e.Context(), request))
	must(e.T, c.Status().Update(e.Context(), review))
}

// openOnly is what the cache has of Approvals.
func openOnly(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := c.Get(ctx, key, object, options...)
	if approval, is := object.(*v1alpha1.Approval); is && err == nil && approval.Status.State != v1alpha1.ApprovalOpen {
		*approval = v1alpha1.Approval{}
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("approvals").GroupResource(), key.Name)
	}
	return err
}

// anyRecord lists without field selectors, which the fake client does not know.
func anyRecord(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
	if _, is := list.(*v1alpha1.RecordList); is {
		options = nil
	}
	return c.List(ctx, list, options...)
}

func (e *emergency) update(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
	kind := ""
	switch object.(type) {
	case *v1alpha1.Approval:
		kind = "Approval"
		if then := e.meddle; then != nil {
			e.meddle = nil
			then()
		}
	case *v1alpha1.ActionRequest:
		kind = "ActionRequest"
	case *v1alpha1.Record:
		kind = "Record"
	}
	if err := e.failing[kind]; err != nil {
		return err
	}
	return c.SubResource(sub).Update(ctx, object, options...)
}

// vote stores what somebody says, sealed.
func (e *emergency) vote(who string, decision v1alpha1.Decision) {
	e.Helper()
	review := e.now()
	review.Spec.Votes = append(review.Spec.Votes, v1alpha1.Vote{
		Decision: decision, Voter: v1alpha1.Identity{Username: who}, Digest: review.Spec.Digest, At: evidence.Instant(e.clock.Now()),
	})
	must(e.T, e.Evidence.SealVote(review))
	must(e.T, e.Client.Update(e.Context(), review))
}

// now is the review as it is stored.
func (e *emergency) now() *v1alpha1.Approval {
	e.Helper()
	review := &v1alpha1.Approval{}
	must(e.T, e.Reader.Get(e.Context(), types.NamespacedName{Namespace: "payments", Name: reviewed}, review))
	return review
}

// look is what the reviewer does at an event, and how it ends.
func (e *emergency) look() (time.Duration, error) {
	result, err := e.Reconcile(e.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "payments", Name: reviewed}})
	return result.RequeueAfter, err
}

// said is the condition Reviewed of the request. Empty: there is none.
func (e *emergency) said() metav1.Condition {
	e.Helper()
	request := &v1alpha1.ActionRequest{}
	must(e.T, e.Reader.Get(e.Context(), types.NamespacedName{Namespace: "payments", Name: "fire"}, request))
	if found := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReviewed); found != nil {
		return *found
	}
	return metav1.Condition{}
}

// kept is what the Record says of the review. Empty: nothing.
func (e *emergency) kept() v1alpha1.ApprovalState {
	e.Helper()
	record := &v1alpha1.Record{}
	must(e.T, e.Reader.Get(e.Context(), types.NamespacedName{Namespace: "signoff-system", Name: "r-1"}, record))
	if record.Status.Review == nil {
		return ""
	}
	return record.Status.Review.State
}

// heard counts Events of a reason.
func (e *emergency) heard(reason string) int {
	count := 0
	for {
		select {
		case text := <-e.seen.Events:
			if strings.Contains(text, " "+reason+" ") {
				count++
			}
		default:
			return count
		}
	}
}

// ends checks that everything says the same of how the review ended.
func (e *emergency) ends(state v1alpha1.ApprovalState, reason string) {
	e.Helper()
	if got := e.now().Status.State; got != state {
		e.Errorf("the Approval is %s", got)
	}
	if got := e.said(); got.Reason != reason {
		e.Errorf("the request says %+v", got)
	}
	if got := e.kept(); got != state {
		e.Errorf("the Record says %q", got)
	}
	if done := "review.done " + string(state); e.ledger.took[len(e.ledger.took)-1] != done || len(slices.DeleteFunc(slices.Clone(e.ledger.took), func(s string) bool { return !strings.HasPrefix(s, "review.done") })) != 1 {
		e.Errorf("the audit log has %q", e.ledger.took)
	}
	if got := e.heard(reason); got != 1 {
		e.Errorf("people are told %d times", got)
	}
}

// TestVoteBetweenCountingAndClosing: what a review comes to is decided by the write that closes it, and nothing says anything else.
func TestVoteBetweenCountingAndClosing(t *testing.T) {
	for name, tc := range map[string]struct {
		then   func(*emergency)
		state  v1alpha1.ApprovalState
		reason string
	}{
		"a denial":     {func(e *emergency) { e.vote("bob", v1alpha1.DecisionDeny) }, v1alpha1.ApprovalDenied, v1alpha1.ReasonReviewDenied},
		"another yes":  {func(e *emergency) { e.vote("bob", v1alpha1.DecisionApprove) }, v1alpha1.ApprovalApproved, v1alpha1.ReasonReviewed},
		"a withdrawal": {func(e *emergency) { e.vote("erin", v1alpha1.DecisionWithdraw) }, v1alpha1.ApprovalOpen, v1alpha1.ReasonAwaitingReview},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEmergency(t, 1)
			e.vote("erin", v1alpha1.DecisionApprove)
			e.meddle = func() { tc.then(e) }
			if wait, err := e.look(); err != nil || wait != conflictDelay {
				t.Fatalf("the write that closes it must conflict: %s, %v", wait, err)
			}
			if e.said().Reason != "" || e.kept() != "" {
				t.Errorf("it is said before it is so: %+v, %q", e.said(), e.kept())
			}
			_, err := e.look()
			must(t, err)
			if tc.state != v1alpha1.ApprovalOpen {
				e.ends(tc.state, tc.reason)
				return
			}
			if e.now().Status.State != tc.state || e.said().Reason != tc.reason || e.kept() != "" {
				t.Errorf("nobody has agreed: %s, %+v, %q", e.now().Status.State, e.said(), e.kept())
			}
		})
	}
}

// TestReviewClosedAndNotTold: whatever fails after a review was closed is done later, by whoever looks next, and once.
func TestReviewClosedAndNotTold(t *testing.T) {
	failure := errors.New("the API server is away")
	for name, fails := range map[string]func(*emergency){
		"the request":   func(e *emergency) { e.failing["ActionRequest"] = failure },
		"the Record":    func(e *emergency) { e.failing["Record"] = failure },
		"the audit log": func(e *emergency) { e.meddle = func() { e.ledger.full = true } },
	} {
		for who, next := range map[string]func(*emergency) error{
			"the reviewer": func(e *emergency) error { _, err := e.look(); return err },
			"a new process": func(e *emergency) error {
				_, err := (&Orphans{Reviewer: e.Reviewer}).look(e.Context())
				return err
			},
		} {
			t.Run(name+", "+who, func(t *testing.T) {
				e := newEmergency(t, 1)
				e.vote("erin", v1alpha1.DecisionDeny)
				fails(e)
				_, _ = e.look()
				if e.now().Status.State != v1alpha1.ApprovalDenied || e.kept() != "" {
					t.Fatalf("the scene is not set: %s, %q", e.now().Status.State, e.kept())
				}
				e.failing, e.ledger.full = nil, false
				must(t, next(e))
				must(t, next(e))
				e.ends(v1alpha1.ApprovalDenied, v1alpha1.ReasonReviewDenied)
			})
		}
	}
}

// TestReviewClosedOfARequestThatIsGone: how a review ended is kept, also where its request was deleted before that was done.
func TestReviewClosedOfARequestThatIsGone(t *testing.T) {
	e := newEmergency(t, 1)
	e.vote("erin", v1alpha1.DecisionApprove)
	e.failing["ActionRequest"] = errors.New("the API server is away")
	if _, err := e.look(); err == nil {
		t.Fatal("the scene is not set")
	}
	must(t, e.Client.Delete(t.Context(), &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "fire"}}))
	_, err := e.look()
	must(t, err)
	if got := e.kept(); got != v1alpha1.ApprovalApproved || e.heard(v1alpha1.ReasonReviewed) != 1 {
		t.Errorf("the Record says %q", got)
	}
}

// TestForgedEndOfAReview: what somebody else has closed is not done.
func TestForgedEndOfAReview(t *testing.T) {
	e := newEmergency(t, 1)
	review := e.now()
	closed := metav1.NewTime(noon)
	review.Status.State, review.Status.ClosedAt = v1alpha1.ApprovalApproved, &closed
	must(t, e.Client.Status().Update(t.Context(), review))
	_, err := (&Orphans{Reviewer: e.Reviewer}).look(t.Context())
	must(t, err)
	if got := e.said(); e.kept() != "" || got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonSealInvalid {
		t.Errorf("it counts: %+v, %q", got, e.kept())
	}
}

// TestHinderedReview: what keeps a review from being counted or closed is shown, and so is that it is overdue meanwhile, at that second. It goes on by itself.
func TestHinderedReview(t *testing.T) {
	for name, tc := range map[string]struct {
		needed   int32
		hinder   func(*emergency)
		reason   string
		words    string
		wait     time.Duration
		lateFact bool
	}{
		"nobody knows who changed the Action": {
			2, func(e *emergency) { e.hands.err = errors.New("its list of editors is not genuine") }, v1alpha1.ReasonIndeterminate,
			"It waits, because the vote of erin cannot be judged: cannot tell who changed the Action", time.Minute, true,
		},
		"the audit log is full": {
			1, func(e *emergency) { e.ledger.full = true }, v1alpha1.ReasonAuditUnavailable,
			"It waits, because the audit log cannot be written: the disk is full.", auditDelay, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEmergency(t, tc.needed)
			e.clock.Step(10 * time.Minute)
			e.vote("erin", v1alpha1.DecisionApprove)
			tc.hinder(e)
			wait, err := e.look()
			must(t, err)
			if got := e.said(); got.Status != metav1.ConditionFalse || got.Reason != tc.reason || !strings.Contains(got.Message, tc.words) || wait != tc.wait {
				t.Errorf("it does not say why it waits: %+v, and looks again after %s", got, wait)
			}
			e.clock.SetTime(e.now().Spec.ExpiresAt.Add(-time.Second))
			if wait, err = e.look(); err != nil || wait > time.Second {
				t.Errorf("it must look when it is due: %s, %v", wait, err)
			}
			e.clock.Step(time.Second)
			for range 2 {
				_, err = e.look()
				must(t, err)
			}
			if got := e.said(); got.Reason != v1alpha1.ReasonReviewOverdue || !strings.Contains(got.Message, tc.words) || e.heard(v1alpha1.ReasonReviewOverdue) != 1 {
				t.Errorf("it is overdue, and waits: %+v", got)
			}
			if slices.Contains(e.ledger.took, "review.overdue") != tc.lateFact {
				t.Errorf("the audit log has %q", e.ledger.took)
			}
			e.hands.err, e.ledger.full = nil, false
			_, err = e.look()
			must(t, err)
			if tc.needed > 1 {
				if got := e.said(); got.Reason != v1alpha1.ReasonReviewOverdue || strings.Contains(got.Message, "waits") {
					t.Errorf("nothing is in the way any more: %+v", got)
				}
				return
			}
			if !slices.Contains(e.ledger.took, "review.overdue") {
				t.Errorf("that it was overdue is lost: %q", e.ledger.took)
			}
			e.ends(v1alpha1.ApprovalApproved, v1alpha1.ReasonReviewed)
		})
	}
}

// TestHindranceOfAReviewPasses: once nothing is in the way, a review says again that it is awaited.
func TestHindranceOfAReviewPasses(t *testing.T) {
	e := newEmergency(t, 2)
	e.vote("erin", v1alpha1.DecisionApprove)
	e.hands.err = errors.New("its list of editors is not genuine")
	for _, want := range []string{v1alpha1.ReasonIndeterminate, v1alpha1.ReasonAwaitingReview} {
		_, err := e.look()
		must(t, err)
		if got := e.said(); got.Reason != want {
			t.Errorf("want %s, got %+v", want, got)
		}
		e.hands.err = nil
	}
	if got := e.now().Status.WaitingFor; !strings.HasPrefix(got, "1 of ") {
		t.Errorf("who is waited for: %q", got)
	}
}

// TestNothingToReview: an emergency that ended before anything was executed, after its review had opened, says nothing of a review, which is closed, and keeps
// nobody from removing it.
func TestNothingToReview(t *testing.T) {
	e := newEmergency(t, 1)
	e.Watcher, e.Runner = execution.NewWatcher(nil, e.clock, nil), execution.NewRunner(nil, nil, e.clock, nil, nil)
	request := &v1alpha1.ActionRequest{}
	must(t, e.Reader.Get(t.Context(), types.NamespacedName{Namespace: "payments", Name: "fire"}, request))
	request.Status = v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhasePending}
	s := e.newScope(request)
	s.condition(v1alpha1.ConditionReviewed, false, v1alpha1.ReasonAwaitingReview, awaitingReview(e.now()))
	must(t, s.end(t.Context(), v1alpha1.OutcomeCancelled, ending{reason: v1alpha1.ReasonCancelled, message: "Cancelled."}))
	if got := e.said(); got.Type != "" || awaitsReview(s.request) {
		t.Errorf("it is to be reviewed: %+v", got)
	}
	if got := e.now(); got.Status.State != v1alpha1.ApprovalSuperseded {
		t.Errorf("the review is %s", got.Status.State)
	}
	// The reviewer may not have seen that yet.
	stale := e.now()
	stale.Status.State = v1alpha1.ApprovalOpen
	live := s.request.DeepCopy()
	_, err := e.newScope(live).review(t.Context(), stale)
	must(t, err)
	if got := e.said(); got.Type != "" {
		t.Errorf("it is to be reviewed again: %+v", got)
	}
}
