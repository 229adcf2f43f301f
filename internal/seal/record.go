package seal

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/httpcall"
)

// Record is record.v1: what was executed, and how it ended. Its name is the uid of the request, so it needs none of its own.
type Record struct {
	Common
	Name      string    `json:"name,omitempty"`
	Request   Reference `json:"request,omitzero"`
	Action    Reference `json:"action,omitzero"`
	Requester Identity  `json:"requester,omitzero"`
	// OnBehalfOf is for whom it was asked, as the requester claimed.
	OnBehalfOf     string           `json:"onBehalfOf,omitempty"`
	ServiceAccount string           `json:"serviceAccount,omitempty"`
	Digest         string           `json:"digest,omitempty"`
	ClaimedAt      int64            `json:"claimedAt,omitempty"`
	Approvals      []ApprovalPassed `json:"approvals,omitempty"`
	// Plan is the hash of what the steps were to do. The text itself is not in the seal, because seals are shown in audit logs.
	Plan    string `json:"plan,omitempty"`
	Timeout string `json:"timeout,omitempty"`
	Steps   []Step `json:"steps,omitempty"`
	// Finally are the steps that run once the others have ended.
	Finally []Step `json:"finally,omitempty"`
	// Purpose is Plan where the steps ran before anybody was asked, and Planned the hash of what such steps had given before an execution.
	Purpose string `json:"purpose,omitempty"`
	Planned string `json:"planned,omitempty"`
	// Variables is the hash of what when reads while the steps run.
	Variables string `json:"variables,omitempty"`
	// Verdict is what was decided at the claim, and on what.
	Verdict *Verdict `json:"verdict,omitempty"`
	// Revision is how many times the progress was written.
	Revision int64      `json:"revision,omitempty"`
	Progress []Progress `json:"progress,omitempty"`
	// Duration is how long what is done stays, Undo the hash of how it is taken back, ActiveUntil when, in milliseconds, and Revert why.
	Duration string `json:"duration,omitempty"`
	// Until is until when no other request that asks the same is executed, in milliseconds.
	Until       int64   `json:"until,omitempty"`
	Undo        string  `json:"undo,omitempty"`
	ActiveUntil int64   `json:"activeUntil,omitempty"`
	Revert      *Revert `json:"revert,omitempty"`
	// Review is the review that is demanded, and Reviewed how it ended.
	Review   *ReviewDue `json:"review,omitempty"`
	Reviewed *Reviewed  `json:"reviewed,omitempty"`
	// Ending is how the steps ended, while those of finally run.
	Ending     *Ending `json:"ending,omitempty"`
	Outcome    string  `json:"outcome,omitempty"`
	Message    string  `json:"message,omitempty"`
	FinishedAt int64   `json:"finishedAt,omitempty"`
}

// Verdict is what was decided, and on what.
type Verdict struct {
	Effect string `json:"effect,omitempty"`
	// At is when, in milliseconds.
	At     int64    `json:"at,omitempty"`
	Stages []string `json:"stages,omitempty"`
	// Next is when time could change it, in milliseconds.
	Next  int64  `json:"next,omitempty"`
	Rules []Rule `json:"rules,omitempty"`
	Facts []Fact `json:"facts,omitempty"`
}

// Rule is what a rule answered.
type Rule struct {
	Name   string `json:"name,omitempty"`
	Effect string `json:"effect,omitempty"`
	Answer string `json:"answer,omitempty"`
	// Why is the hash of what people read about it. The text itself names values of inputs and facts.
	Why string `json:"why,omitempty"`
}

// Fact is what was read.
type Fact struct {
	Name    string `json:"name,omitempty"`
	Object  string `json:"object,omitempty"`
	Version string `json:"version,omitempty"`
	ReadAs  string `json:"readAs,omitempty"`
	Trust   string `json:"trust,omitempty"`
}

// Ending is how the steps of an execution ended.
type Ending struct {
	Outcome string `json:"outcome,omitempty"`
	Message string `json:"message,omitempty"`
}

// Revert says that what was done is being taken back.
type Revert struct {
	// StartedAt is in milliseconds.
	StartedAt int64  `json:"startedAt,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	Message   string `json:"message,omitempty"`
}

// ReviewDue is a review that is demanded.
type ReviewDue struct {
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
	// DueAt is in milliseconds.
	DueAt        int64         `json:"due,omitempty"`
	Requirements []Requirement `json:"requirements,omitempty"`
	// Shown is the hash of what reviewers read, and Inputs that of the inputs as they were sent.
	Shown  string `json:"shown,omitempty"`
	Inputs string `json:"inputs,omitempty"`
}

// Reviewed is how a review ended.
type Reviewed struct {
	State string `json:"state,omitempty"`
	// Decided is the hash of what people read about it, and At when it was, in milliseconds.
	Decided string `json:"decided,omitempty"`
	At      int64  `json:"at,omitempty"`
}

// ApprovalPassed is a stage that approved.
type ApprovalPassed struct {
	Name       string   `json:"name,omitempty"`
	UID        string   `json:"uid,omitempty"`
	Stage      Stage    `json:"stage,omitzero"`
	ApprovedBy []string `json:"approvedBy,omitempty"`
	// Votes is how many votes there were, and Head the hash of the last of them.
	Votes int64  `json:"votes,omitempty"`
	Head  string `json:"head,omitempty"`
}

// Step is a step with everything filled in.
type Step struct {
	Name    string   `json:"name,omitempty"`
	Writes  []Write  `json:"writes,omitempty"`
	WaitFor *WaitFor `json:"waitFor,omitempty"`
	Timeout string   `json:"timeout,omitempty"`
	// When is judged when the step is reached, and FailWhen ends its wait.
	When     string   `json:"when,omitempty"`
	FailWhen string   `json:"failWhen,omitempty"`
	Retries  int64    `json:"retries,omitempty"`
	LogLines int64    `json:"logLines,omitempty"`
	Outputs  []Output `json:"outputs,omitempty"`
	// HTTP is the hash of the call that the step makes.
	HTTP string `json:"http,omitempty"`
}

// Output is a value that a step gives to those after it.
type Output struct {
	Name       string `json:"name,omitempty"`
	Expression string `json:"expression,omitempty"`
	// Schema is the hash of its schema.
	Schema string `json:"schema,omitempty"`
}

// Write is one write to the API server.
type Write struct {
	Operation    string `json:"operation,omitempty"`
	APIVersion   string `json:"apiVersion,omitempty"`
	Kind         string `json:"kind,omitempty"`
	Namespace    string `json:"namespace,omitempty"`
	Name         string `json:"name,omitempty"`
	FieldManager string `json:"fieldManager,omitempty"`
	Conflicts    string `json:"conflicts,omitempty"`
	// UID is that of the object to which it is written.
	UID string `json:"uid,omitempty"`
	// Body is the hash of what is sent.
	Body string `json:"body,omitempty"`
	// Late is the hash of the places in it that are filled in when the step is reached.
	Late string `json:"late,omitempty"`
}

// WaitFor is what is waited for after a step.
type WaitFor struct {
	Status     string `json:"status,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// Progress is how far a step has come.
type Progress struct {
	Name       string `json:"name,omitempty"`
	State      string `json:"state,omitempty"`
	Message    string `json:"message,omitempty"`
	StartedAt  int64  `json:"startedAt,omitempty"`
	FinishedAt int64  `json:"finishedAt,omitempty"`
	Basis      string `json:"basis,omitempty"`
	URL        string `json:"url,omitempty"`
	Attempts   int64  `json:"attempts,omitempty"`
	RetryAt    int64  `json:"retryAt,omitempty"`
	// UnknownSince is when it became unknown how the step ended, and ResolvedAt when somebody's decision was taken up.
	UnknownSince int64 `json:"unknownSince,omitempty"`
	ResolvedAt   int64 `json:"resolvedAt,omitempty"`
	// Job is the hash of how its Job ended, and Outputs that of what the step gave.
	Job     string `json:"job,omitempty"`
	Outputs string `json:"outputs,omitempty"`
}

// jobResult is how a Job ended.
type jobResult struct {
	ExitCode int64  `json:"exitCode"`
	Message  string `json:"message,omitempty"`
	Log      string `json:"log,omitempty"`
}

// recordBody is the part of a Record that is looked at field by field.
type recordBody struct {
	Spec   v1alpha1.RecordSpec   `json:"spec"`
	Status v1alpha1.RecordStatus `json:"status"`
}

var stepFields = all("name", "timeout", "waitFor.status", "waitFor.expression", "when", "failWhen", "retries", "logLines").
	under("outputs[]", all("name", "expression", "schema")).
	under("http", callFields).
	under("writes[]", all("operation", "body", "fieldManager", "conflicts", "uid",
		"object.apiVersion", "object.kind", "object.namespace", "object.name").under("late[]", lateFields))

var (
	partFields   = all("text", "expression")
	lateFields   = all("path", "asText", "encodes", "expands").under("parts[]", partFields)
	secretFields = all("name", "key", "uid")
	callFields   = all("method", "url", "idempotencyKey", "headers[].name", "headers[].value", "headers[].prefix", "body", "text", "caBundle", "idempotent",
		"success", "poll.every", "poll.until", "poll.failWhen", "lookup.url", "lookup.done", "lookup.notDone", "lookup.response").
		under("headers[].secret", secretFields).under("sign", secretFields).under("late[]", lateFields).under("poll.url[]", partFields)
)

var verdictFields = all("effect", "stages", "evaluatedAt", "nextChange").
	under("rules[]", all("name", "effect", "answer", "message", "because", "differ")).
	under("facts[]", all("name", "object", "version", "readAs", "trust"))

var recordFields = knownOf[recordBody](cover{}.
	under("spec", all("requestRef.namespace", "requestRef.name", "requestRef.uid", "actionRef.namespace", "actionRef.name",
		"serviceAccountName", "digest", "claimedAt", "timeout", "duration", "variables", "purpose", "until", "onBehalfOf.username").
		under("planned[]", all("name", "outputs").under("declared[]", all("name", "expression", "schema"))).
		under("requester", identityFields).
		under("approvals[]", all("name", "uid", "stage.name", "stage.policy", "approvedBy", "votes", "head")).
		under("plan[]", changeFields).
		under("verdict", verdictFields).
		under("review", all("name", "uid", "dueAt", "summary", "inputs").under("requirements[]", requirementFields)).
		but("seal", "it is the stamp and the signature of this payload").
		under("steps[]", stepFields).under("finally[]", stepFields)).
	under("status", all("revision", "outcome", "message", "finishedAt", "ending.outcome", "ending.message", "review.state", "review.decided", "review.at", "activeUntil",
		"revert.startedAt", "revert.outcome", "revert.message").
		under("undo[]", all("step", "fieldManager", "created", "uid", "object.apiVersion", "object.kind", "object.namespace", "object.name").
			under("fields[]", all("before", "after", "order").under("path[]", all("field", "value")))).
		under("steps[]", all("name", "state", "message", "startedAt", "finishedAt", "basis", "url", "attempts", "retryAt", "unknownSince", "resolvedAt",
			"job.exitCode", "job.message", "job.log", "outputs")).
		but("seal", "it is the stamp and the signature of this payload").
		but("observedGeneration", "it is about the bookkeeping of the API server, not about the execution")))

// Type is record.v1.
func (*Record) Type() Type { return TypeRecord }

func (p *Record) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("namespace", p.Namespace)
	m.text("name", p.Name)
	m.text("request.namespace", p.Request.Namespace)
	m.text("request.name", p.Request.Name)
	m.text("request.uid", p.Request.UID)
	m.text("action.namespace", p.Action.Namespace)
	m.text("action.name", p.Action.Name)
	if p.Digest != "" {
		m.sum("digest", p.Digest)
	}
	for name, sum := range map[string]string{"plan": p.Plan, "undo": p.Undo, "planned": p.Planned} {
		if sum != "" {
			m.sum(name, sum)
		}
	}
	for _, step := range slices.Concat(p.Steps, p.Finally) {
		for _, write := range step.Writes {
			m.sum("body of step "+step.Name, write.Body)
		}
		if step.WaitFor != nil && *step.WaitFor == (WaitFor{}) {
			m.add(fmt.Errorf("step %s waits for nothing", step.Name))
		}
	}
	return m.err()
}

// RecordPayload builds record.v1 from a Record.
func RecordPayload(r *v1alpha1.Record, s Stamp) (*Record, error) {
	spec, status := &r.Spec, &r.Status
	if err := recordFields.check(TypeRecord, recordBody{*spec, *status}); err != nil {
		return nil, err
	}
	var m millis
	p := &Record{
		Common:         s.common(&m, records, r.Namespace),
		Name:           r.Name,
		Request:        Reference{spec.RequestRef.Namespace, spec.RequestRef.Name, string(spec.RequestRef.UID)},
		Action:         Reference{Namespace: spec.ActionRef.Namespace, Name: spec.ActionRef.Name},
		Requester:      identity(&spec.Requester),
		OnBehalfOf:     claimed(spec.OnBehalfOf),
		ServiceAccount: spec.ServiceAccountName,
		Digest:         spec.Digest,
		ClaimedAt:      m.of("claimedAt", spec.ClaimedAt.Time),
		Approvals:      passed(spec.Approvals),
		Plan:           m.plan(spec.Plan),
		Timeout:        string(spec.Timeout),
		Steps:          m.steps(spec.Steps),
		Finally:        m.steps(spec.Finally),
		Purpose:        string(spec.Purpose),
		Planned:        hashOf(&m, spec.Planned),
		Ending:         ending(status.Ending),
		Variables:      m.json(spec.Variables),
		Verdict:        m.verdict(spec.Verdict),
		Revision:       int64(status.Revision),
		Progress:       m.progress(status.Steps),
		Duration:       string(spec.Duration),
		Until:          m.at("until", spec.Until),
		Undo:           hashOf(&m, status.Undo),
		ActiveUntil:    m.at("activeUntil", status.ActiveUntil),
		Revert:         m.revert(status.Revert),
		Review:         m.review(spec.Review),
		Reviewed:       m.reviewed(status.Review),
		Outcome:        string(status.Outcome),
		Message:        status.Message,
		FinishedAt:     m.at("finishedAt", status.FinishedAt),
	}
	return built(p, &m)
}

func ending(e *v1alpha1.Ending) *Ending {
	if e == nil {
		return nil
	}
	return &Ending{string(e.Outcome), e.Message}
}

func passed(list []v1alpha1.RecordedApproval) []ApprovalPassed {
	out := make([]ApprovalPassed, 0, len(list))
	for _, a := range list {
		out = append(out, ApprovalPassed{a.Name, string(a.UID), Stage{a.Stage.Name, a.Stage.Policy}, a.ApprovedBy, int64(a.Votes), a.Head})
	}
	return out
}

// why is what people read about the answer of a rule.
type why struct {
	Message string   `json:"message,omitempty"`
	Because []string `json:"because,omitempty"`
	Differ  []string `json:"differ,omitempty"`
}

func (m *millis) verdict(v *v1alpha1.Verdict) *Verdict {
	if v == nil {
		return nil
	}
	m.text("verdict.effect", string(v.Effect))
	out := &Verdict{Effect: string(v.Effect), At: m.of("verdict.evaluatedAt", v.EvaluatedAt.Time), Next: m.at("verdict.nextChange", v.NextChange), Stages: v.Stages}
	for i := range v.Rules {
		rule := &v.Rules[i]
		sum, err := canonical.SumOf(why{rule.Message, rule.Because, rule.Differ})
		m.add(err)
		out.Rules = append(out.Rules, Rule{rule.Name, string(rule.Effect), string(rule.Answer), sum})
	}
	for i := range v.Facts {
		fact := &v.Facts[i]
		out.Facts = append(out.Facts, Fact{fact.Name, fact.Object, fact.Version, fact.ReadAs, string(fact.Trust)})
	}
	return out
}

func (m *millis) revert(r *v1alpha1.Revert) *Revert {
	if r == nil {
		return nil
	}
	return &Revert{StartedAt: m.of("revert.startedAt", r.StartedAt.Time), Outcome: string(r.Outcome), Message: r.Message}
}

func (m *millis) plan(list []v1alpha1.PlannedChange) string { return hashOf(m, changes(list)) }

// hashOf is the hash of a list. One that is empty has none.
func hashOf[T any](m *millis, list []T) string {
	if len(list) == 0 {
		return ""
	}
	sum, err := canonical.SumOf(list)
	m.add(err)
	return sum
}

func (m *millis) review(due *v1alpha1.RecordedReview) *ReviewDue {
	if due == nil {
		return nil
	}
	inputs, _, err := sumInputs(due.Inputs)
	m.add(err)
	m.text("review.name", due.Name)
	m.text("review.uid", string(due.UID))
	return &ReviewDue{
		Name: due.Name, UID: string(due.UID), DueAt: m.of("review.dueAt", due.DueAt.Time), Requirements: requirements(due.Requirements),
		Shown: m.lines(due.Summary), Inputs: inputs,
	}
}

func (m *millis) reviewed(result *v1alpha1.ReviewResult) *Reviewed {
	if result == nil {
		return nil
	}
	m.text("reviewed.state", string(result.State))
	return &Reviewed{State: string(result.State), Decided: m.lines(result.Decided), At: m.of("review.at", result.At.Time)}
}

// lines is the hash of lines of text. None have no hash.
func (m *millis) lines(list []string) string {
	if len(list) == 0 {
		return ""
	}
	sum, err := canonical.SumOf(list)
	m.add(err)
	return sum
}

func (m *millis) steps(list []v1alpha1.RenderedStep) []Step {
	out := make([]Step, 0, len(list))
	for i := range list {
		step := Step{
			Name: list[i].Name, Timeout: string(list[i].Timeout), When: list[i].When, FailWhen: list[i].FailWhen,
			Retries: int64(list[i].Retries), LogLines: int64(list[i].LogLines), HTTP: m.call(list[i].HTTP),
		}
		for _, o := range list[i].Outputs {
			step.Outputs = append(step.Outputs, Output{o.Name, o.Expression, m.json(&o.Schema)})
		}
		if w := list[i].WaitFor; w != nil {
			step.WaitFor = &WaitFor{string(w.Status), w.Expression}
		}
		for j := range list[i].Writes {
			step.Writes = append(step.Writes, m.write(&list[i].Writes[j]))
		}
		out = append(out, step)
	}
	return out
}

// json is the hash of a JSON value as it is stored. None has no hash.
func (m *millis) json(raw *runtime.RawExtension) string {
	if raw == nil || len(raw.Raw) == 0 {
		return "" // an empty value would be encoded as null
	}
	sum, err := canonical.SumOf(rawJSON(raw.Raw))
	m.add(err)
	return sum
}

func (m *millis) write(w *v1alpha1.RenderedWrite) Write {
	out := Write{
		Operation: string(w.Operation), APIVersion: w.Object.APIVersion, Kind: w.Object.Kind, Namespace: w.Object.Namespace,
		Name: w.Object.Name, FieldManager: w.FieldManager, Conflicts: string(w.Conflicts), UID: string(w.UID), Body: m.json(&w.Body),
	}
	if late := httpcall.Lates(w.Late); late != nil {
		sum, err := canonical.SumOf(late)
		m.add(err)
		out.Late = sum
	}
	return out
}

// call is the hash of a call. None has no hash.
func (m *millis) call(call *v1alpha1.RenderedHTTP) string {
	if call == nil {
		return ""
	}
	sum, err := canonical.SumOf(httpcall.Of(call))
	m.add(err)
	return sum
}

func (m *millis) job(result *v1alpha1.JobResult) string {
	if result == nil {
		return ""
	}
	sum, err := canonical.SumOf(jobResult{int64(result.ExitCode), result.Message, result.Log})
	m.add(err)
	return sum
}

func (m *millis) progress(list []v1alpha1.StepStatus) []Progress {
	out := make([]Progress, 0, len(list))
	for i := range list {
		s := &list[i]
		out = append(out, Progress{
			Name: s.Name, State: string(s.State), Message: s.Message, Basis: s.Basis, URL: s.URL,
			StartedAt: m.at("startedAt", s.StartedAt), FinishedAt: m.at("finishedAt", s.FinishedAt), RetryAt: m.at("retryAt", s.RetryAt),
			UnknownSince: m.at("unknownSince", s.UnknownSince), ResolvedAt: m.at("resolvedAt", s.ResolvedAt),
			Attempts: int64(s.Attempts), Job: m.job(s.Job), Outputs: m.json(s.Outputs),
		})
	}
	return out
}
