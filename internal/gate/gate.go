// Package gate judges a request as a whole: is there such an Action, do the inputs fit, may the requester ask, what do the
// facts and the rules say, and who must agree. The webhook and the reconcilers ask the same gate.
package gate

import (
	"cmp"
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// deadline bounds the evaluation of all expressions of one judgement.
const deadline = 2 * time.Second

// Gate judges requests and voters.
type Gate struct {
	store             *snapshot.Store
	rules             *identity.Rules
	facts             Facts
	operatorNamespace string
	// persons remembers who stands behind a user name that comes without groups, because there may be thousands of approvers.
	persons *lru.Cache
	shares  *shares
	// hands tells who had a hand in a request; nil: nobody asks.
	hands Hands
}

// maxPersons bounds how many user names are remembered.
const maxPersons = 32768

// New makes a gate. Calendars of policies are found in the operator's namespace. The clock only measures what decisions cost; the time of a
// decision is given with each.
func New(store *snapshot.Store, rules *identity.Rules, facts Facts, operatorNamespace string, clk clock.PassiveClock) *Gate {
	return &Gate{
		store: store, rules: rules, facts: facts, operatorNamespace: operatorNamespace,
		persons: lru.New(maxPersons), shares: newShares(clk),
	}
}

// Subject is a request to be judged.
type Subject struct {
	Namespace, Name, UID string
	CreatedAt            time.Time
	// AskedAt is when the request was sealed, and AskedFor and ActionUID the digest and the uid that its Action had then. Zero: it is not stored yet.
	AskedAt   time.Time
	AskedFor  string
	ActionUID types.UID
	Spec      *v1alpha1.ActionRequestSpec
	Requester v1alpha1.Identity
	// Explain makes refusals by rules say which facts they rest on.
	Explain bool
}

// SubjectOf gives the subject for a stored request.
func SubjectOf(r *v1alpha1.ActionRequest) *Subject {
	s := &Subject{
		Namespace: r.Namespace, Name: r.Name, UID: string(r.UID),
		CreatedAt: r.CreationTimestamp.Time, Spec: &r.Spec,
	}
	if r.Spec.Requester != nil {
		s.Requester = *r.Spec.Requester
	}
	if r.Spec.Seal != nil {
		s.AskedAt, s.AskedFor, s.ActionUID = r.Spec.Seal.At.Time, r.Spec.Seal.ActionDigest, r.Spec.Seal.ActionUID
	}
	return s
}

// Judgement is what the gate found out. Its fields are set as far as it came.
type Judgement struct {
	// Snapshot is what it was judged on.
	Snapshot *snapshot.Snapshot
	// Now is when.
	Now time.Time
	// Action is the Action that was asked for. Absent says that it is gone, and that nothing but its name is known.
	Action *catalog.Action
	Absent bool
	// Inputs are the inputs with defaults filled in.
	Inputs map[string]any
	// Access says by which permission the requester may ask, or why not.
	Access *Access
	// Vars are the facts, as templates see them.
	Vars expression.Vars
	// Facts are what was read for the judgement.
	Facts []v1alpha1.Fact
	// Target is the live target, where something needs it.
	Target *unstructured.Unstructured
	// Volatile says that the judgement rests on what may change without anybody telling: objects that nobody watches, or whether there was
	// time to evaluate an expression.
	Volatile bool
	// Verdict is the answer of the rules.
	Verdict *decision.Verdict
	// Stages are the stages that must approve, with every template filled in.
	Stages []Stage
	// Review is the review that opens when the request starts in an emergency; nil: there is none.
	Review *Review
	// NextChange is the next instant at which time alone could change the judgement, or at which to look again where Guessed. Zero: never.
	NextChange time.Time
	// Guessed says that nobody can tell when time changes the judgement.
	Guessed bool
	// Problem says why the request cannot go ahead. Nil: it can, once every stage has approved and nothing holds it.
	Problem *Problem
	// Reasons say why each rule gave its answer, once Explain has been asked.
	Reasons map[string]expression.Reasons

	decided *decided
	subject *Subject
	// known is who has changed the Action, once a voter has been judged.
	known *editors
}

// Stage is a stage that must approve.
type Stage struct {
	*catalog.Stage
	// Requirements say who, with every template filled in.
	Requirements []v1alpha1.Requirement
	// Further may agree too once the stage has been open for EscalateAfter; nil: nobody.
	Further *v1alpha1.Approvers
}

// Escalation says who may agree too in a stage that opens at a time and ends at another. Nil: nobody before its end.
func (s *Stage) Escalation(opens, ends time.Time) *v1alpha1.ApprovalEscalation {
	after, err := s.EscalateAfter.Value(0)
	if s.Further == nil || err != nil {
		return nil
	}
	at := opens.Add(after).Truncate(time.Second)
	if !at.Before(ends) {
		return nil
	}
	return &v1alpha1.ApprovalEscalation{At: metav1.NewTime(at), Approvers: *s.Further}
}

// Problem says why a request cannot go ahead.
type Problem struct {
	// Reason is one of the reason codes of the API.
	Reason string
	// Message is what people read.
	Message string
	// Fields, where set, say which fields of the request are wrong. Then the request can never be right.
	Fields field.ErrorList
	// Transient says that the answer may be another one soon: a fact could not be read, a cache is not in sync.
	Transient bool
}

// CauseTransient is the type of the cause by which a refusal of a vote says that another look may find otherwise, so that programs take it for no answer.
const CauseTransient metav1.CauseType = "Transient"

// Short is the first line of the message that says something: one that ends with a colon only announces the next.
func (p *Problem) Short() string {
	first, rest, _ := strings.Cut(p.Message, "\n")
	if strings.HasSuffix(first, ":") && rest != "" {
		first, _, _ = strings.Cut(rest, "\n")
	}
	return strings.TrimSpace(first)
}

// Judge judges a request at a time. It never fails: what cannot be found out is a Problem.
func (g *Gate) Judge(ctx context.Context, subject *Subject, now time.Time) *Judgement {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	run := g.run(subject, now)
	for _, part := range []func(context.Context) *Problem{run.action, run.admitted, run.inputs, run.duration, run.access, run.emergency, run.gather, run.fit, run.touch, run.decide, run.gatherRest, run.resolve, run.review} {
		if problem := part(ctx); problem != nil {
			run.out.Problem = problem
			run.voters(ctx)
			break
		}
	}
	if run.turns.refused || ctx.Err() != nil {
		run.out.Volatile = true
	}
	run.out.NextChange, run.out.Guessed = run.trace.NextChange, run.trace.Guessed
	if run.out.Verdict != nil {
		run.out.NextChange = decision.Earlier(run.out.NextChange, run.out.Verdict.NextChange)
		run.out.Guessed = run.out.Guessed || run.out.Verdict.Guessed
	}
	return run.out
}

// voters brings a judgement that goes no further as far as voters can be judged, as the webhook does: what is stored can still be denied.
func (r *run) voters(ctx context.Context) {
	if r.out.Action != nil && !r.out.Votable() && !r.subject.AskedAt.IsZero() {
		_ = r.inputs(ctx)
	}
}

// Context finds the Action and the inputs of a request without judging it: what is needed to judge a voter. Where the Action has other inputs by now, voters
// are judged without: nothing runs then, but a no must still be possible.
func (g *Gate) Context(ctx context.Context, subject *Subject, now time.Time) (*Judgement, *Problem) {
	run := g.run(subject, now)
	if problem := run.action(ctx); problem != nil {
		return run.out, problem
	}
	if problem := run.inputs(ctx); problem != nil && !run.out.Votable() {
		return run.out, problem
	}
	return run.out, nil
}

// ReviewContext is Context for what has run in an emergency and must be reviewed: whatever has become of its Action since. One that is gone is known by its name,
// and Roles that give the verb on it by that name still count. One that is not valid any more is what it is stored as: who changed it reviews nothing.
func (g *Gate) ReviewContext(ctx context.Context, subject *Subject, now time.Time) (*Judgement, *Problem) {
	judgement, problem := g.Context(ctx, subject, now)
	if problem == nil || problem.Transient {
		return judgement, problem
	}
	run, ref := g.run(subject, now), subject.Spec.ActionRef
	object := run.out.Snapshot.ActionObject(ref)
	if object == nil {
		run.out.Absent = true
		object = &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name}}
	}
	run.out.Action = catalog.Uncompiled(object)
	run.withoutInputs()
	return run.out, nil
}

// Votable tells whether enough is known to judge voters.
func (j *Judgement) Votable() bool { return j.Action != nil && j.Vars.Values != nil }

// run is one judgement in the making.
type run struct {
	gate    *Gate
	subject *Subject
	budget  *expression.Budget
	turns   *turns
	trace   *expression.Trace
	// candidates are the policies that can be about the request, and policies those that are, as far as is known.
	candidates *snapshot.Candidates
	policies   []snapshot.PolicyEntry
	// permissions are those by which the requester may ask, and requester is who that is, for expressions.
	permissions []*catalog.Permission
	requester   expression.Lazy
	// facts are what was read, in the order of reading.
	facts []fact
	// planned is what the request would write, where a policy asks.
	planned *planned
	out     *Judgement
}

// run begins a judgement.
func (g *Gate) run(subject *Subject, now time.Time) *run {
	turns := &turns{shares: g.shares, namespace: subject.Spec.ActionRef.Namespace, person: cmp.Or(subject.Requester.Person, subject.Requester.Username)}
	return &run{
		gate: g, subject: subject, turns: turns, budget: expression.NewBudget().Under(turns), trace: &expression.Trace{},
		out: &Judgement{Snapshot: g.store.Current(), Now: now, subject: subject},
	}
}
