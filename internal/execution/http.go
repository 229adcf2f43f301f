package execution

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/decision"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/hostcall"
	"github.com/signoff-dev/signoff/internal/retryafter"
	"github.com/signoff-dev/signoff/internal/steps"
)

// A call may have another effect each time it is made. So that it is about to be made is stored first, and afterwards it is made once. Where
// nobody knows whether it was made, its Action may say how to find out; else it is never made again. One that its host does once, however often it is sent,
// is sent again while there is time; what is not known at the end of it is not known either. GET and HEAD change nothing, so nothing is in doubt after them.

// basisCall says that a call is about to be made, or was.
const basisCall = "call:"

// lookAgain is how long it is waited before a host is asked again whether a call was made.
const lookAgain = 10 * time.Second

func (t *task) call(ctx context.Context) (Outcome, error) {
	if _, answered := t.basis(basisWritten); answered {
		t.calls.drop(t.uid(), t.thisCall())
		return t.poll(ctx)
	}
	if _, announced := t.basis(basisCall); announced {
		return t.callOnce(ctx)
	}
	t.repeat = true // nothing has been sent
	if t.expired() {
		return t.fail("nothing was sent: %s was over before the call could be made", t.limit.name), nil
	}
	t.calls.dropOthers(t.uid(), "")
	return t.announceCall(), nil
}

// announceCall notes that the call is about to be made. Whoever finds that later knows since when.
func (t *task) announceCall() Outcome {
	t.announces(basisCall + t.now.UTC().Format(time.RFC3339))
	t.unsent.Add(t.announcement(), true)
	return Outcome{Status: t.status, Intent: true}
}

// sendWithin is how long after it was announced a call is sent at the latest. One that has waited longer is announced anew.
const sendWithin = 30 * time.Second

// announcedAt is when the call was announced.
func (t *task) announcedAt() time.Time {
	text, _ := t.basis(basisCall)
	text, _, _ = strings.Cut(text, "/")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t.status.StartedAt.Time // an older version did not write it
	}
	return at
}

// settledAt is when no call can be under way any more that was announced, whoever sends it: also a process that does not know that another one has
// taken over. Before, that it was not made says nothing.
func (t *task) settledAt() time.Time {
	if t.step.HTTP.Idempotent {
		return t.limit.end.Add(hostcall.Timeout) // it is sent again until then
	}
	return t.announcedAt().Add(sendWithin + hostcall.Timeout)
}

// isSafe tells whether the call changes nothing, so that it does not matter whether it was made.
func (t *task) isSafe() bool {
	return t.step.HTTP.Method == v1alpha1.HTTPGet || t.step.HTTP.Method == v1alpha1.HTTPHead
}

func (t *task) uid() types.UID { return t.record.Spec.RequestRef.UID }

// thisCall names the call of this attempt.
func (t *task) thisCall() callName { return callName{t.step.Name, toDo, t.status.Attempts} }

// asking names a call that changes nothing.
func (t *task) asking(purpose purpose) callName { return callName{step: t.step.Name, purpose: purpose} }

// begin makes a call beside the workers, and wakes the request once it has come to an end. It is not sent after last. Zero: it may always be. Again says
// that it may have been sent before.
func (t *task) begin(name callName, method v1alpha1.HTTPMethod, target string, last time.Time, again bool) {
	c := &hostcall.Caller{
		Egress: t.egress, Secrets: t.clients, Namespace: t.record.Spec.ActionRef.Namespace, Account: t.record.Spec.ServiceAccountName,
		HTTP: t.step.HTTP, Clock: t.clock,
	}
	request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{
		Namespace: t.record.Spec.RequestRef.Namespace, Name: t.record.Spec.RequestRef.Name, UID: t.uid(),
	}}
	place := hostcall.Place{Namespace: c.Namespace, Host: steps.Origin(target)}
	if t.record.Spec.Review != nil {
		place = hostcall.Place{} // an emergency waits for nobody
	}
	t.calls.begin(&running{
		request: t.uid(), name: name, place: place, again: again, since: t.now,
		do: func(ctx context.Context) hostcall.Result {
			if !last.IsZero() && !t.clock.Now().Before(last) {
				return hostcall.Result{Err: errLate}
			}
			return c.Exchange(ctx, method, target)
		},
		wake: func() { t.wake(request) },
	})
}

// underWay waits for a call. What is shown while something is asked again and again does not change each time: what it came to last is still shown, so
// that the status is not written for every question.
func (t *task) underWay(name callName, message string) Outcome {
	if last := t.calls.said(t.uid(), name); last != "" {
		t.status.Message = last
	} else if t.status.Message == "" {
		t.status.Message = oneLine(message)
	}
	return Outcome{Status: t.status}
}

// resting leaves a host alone that could not be reached. How often that was, the call knows: the queue of the reconciler would forget it each time that
// a call is under way.
func (t *task) resting(name callName, err error) Outcome {
	at := t.calls.rest(t.uid(), name, t.now, t.notBefore)
	t.status.Message = oneLine(fmt.Sprintf("tried again at %s: %s", moment(at), explain("call "+t.callName(), egress.WithoutURL(err))))
	t.calls.say(t.uid(), name, t.status.Message)
	return Outcome{Status: t.status, At: at}
}

// askLater leaves a host alone that has answered, and not what is waited for: for as long as the step says, and for as long as the host asks for. At the
// end of its time it is asked once more, since what holds then holds. However often somebody looks meanwhile, it is not asked.
func (t *task) askLater(name callName, pause time.Duration, response map[string]any, message string) Outcome {
	at := t.now.Add(pause)
	if wish := t.retryAfter(response); wish.After(at) {
		at = wish
	}
	if t.now.Before(t.limit.end) {
		at = decision.Earlier(at, t.limit.end)
	}
	t.status.Message = oneLine(message)
	t.calls.pause(t.uid(), name, at, t.status.Message)
	return Outcome{Status: t.status, At: at}
}

// longestWish is how long a host may ask to be left alone. A step ends before.
const longestWish = 365 * 24 * time.Hour

// retryAfter is when a host wants to be called again that is too busy, by its header Retry-After: in so many seconds, or at a time. Zero: it does not say.
func (t *task) retryAfter(response map[string]any) time.Time {
	if status := response["status"]; status != int64(http.StatusTooManyRequests) && status != int64(http.StatusServiceUnavailable) {
		return time.Time{}
	}
	headers, _ := response["headers"].(map[string]any)
	text, _ := headers["retry-after"].(string)
	if pause := retryafter.Pause(text, t.now, longestWish); pause > 0 {
		return t.now.Add(pause)
	}
	return time.Time{}
}

var (
	// errNoRoom says that a call was not made in time.
	errNoRoom = errors.New("too many other calls are waiting for their answers")
	// errLate says that a call must be announced anew before it is made.
	errLate = errors.New("it has waited too long for its turn")
)

// ask makes a call that changes nothing, or gives what came of it. Nil: it is under way, or it is not to be made before the time that is given.
func (t *task) ask(purpose purpose, target string) (*hostcall.Result, time.Time) {
	name := t.asking(purpose)
	state, result := t.calls.look(t.uid(), name, t.now)
	switch state {
	case callRests, callDone:
		return t.heard(name, state, &result)
	case callUnknown:
		if result.Err != nil && t.expired() {
			return &result, time.Time{}
		}
		t.begin(name, http.MethodGet, target, time.Time{}, false)
	case callWaits:
		if t.expired() && t.calls.withdraw(t.uid(), name) {
			return &hostcall.Result{Err: errNoRoom}, time.Time{}
		}
	case callRuns:
	}
	return nil, time.Time{}
}

// heard gives what came of a call that changes nothing. Nil: its host has answered, and is left alone until the time that is given.
func (t *task) heard(name callName, state callState, result *hostcall.Result) (*hostcall.Result, time.Time) {
	switch {
	case result.Err != nil:
		return result, time.Time{}
	case state == callRests:
		return nil, t.calls.until(t.uid(), name)
	}
	t.calls.drop(t.uid(), name)
	return result, time.Time{}
}

// callOnce makes a call that was announced, unless it may have been made already.
func (t *task) callOnce(ctx context.Context) (Outcome, error) {
	state, result := t.calls.look(t.uid(), t.thisCall(), t.now)
	switch {
	case state == callDone || state == callRests:
		return t.called(ctx, result)
	case state == callWaits && t.expired() && t.takeBack():
		return t.unanswered(ctx, errNoRoom)
	case state != callUnknown:
		return t.underWay(t.thisCall(), "waiting for the answer to "+t.callName()), nil
	}
	unsent := t.isUnsent()
	if !unsent && !t.step.HTTP.Idempotent {
		return t.interrupted(ctx)
	}
	if t.expired() {
		return t.unanswered(ctx, result.Err)
	}
	last := t.announcedAt().Add(sendWithin)
	if t.step.HTTP.Idempotent {
		last = t.limit.end // the host does it once, whoever sends it and when
	}
	t.unsent.Remove(t.announcement())
	t.begin(t.thisCall(), t.step.HTTP.Method, t.step.HTTP.URL, last, !unsent)
	return t.underWay(t.thisCall(), "waiting for the answer to "+t.callName()), nil
}

// isUnsent tells whether this process has announced what the Record says, and certainly not sent it.
func (t *task) isUnsent() bool {
	_, unsent := t.unsent.Get(t.announcement())
	return unsent
}

// takeBack takes the call back that waits for its turn, and tells whether it could. What was sent before stays in doubt.
func (t *task) takeBack() bool {
	again := t.calls.again(t.uid(), t.thisCall())
	if !t.calls.withdraw(t.uid(), t.thisCall()) {
		return false
	}
	if !again {
		t.unsent.Add(t.announcement(), true)
	}
	return true
}

// interrupted is about a call that another process has announced. That one may still be at it.
func (t *task) interrupted(ctx context.Context) (Outcome, error) {
	if at := t.settledAt(); t.step.HTTP.Lookup == nil && t.now.Before(at) {
		out := t.underWay(t.thisCall(), fmt.Sprintf("%s was interrupted, and may be under way until %s", t.callName(), moment(at)))
		out.At = at
		return out, nil
	}
	return t.uncertain(ctx, errors.New("it was interrupted"))
}

// called goes on with what came of the call. That stays known until it is stored, so that nothing is lost where it cannot be.
func (t *task) called(ctx context.Context, result hostcall.Result) (Outcome, error) {
	switch again := t.calls.again(t.uid(), t.thisCall()); {
	case result.Err == nil:
		return t.answered(ctx, result.Response)
	case errors.Is(result.Err, errLate) && !t.step.HTTP.Idempotent:
		t.calls.drop(t.uid(), t.thisCall())
		return t.announceCall(), nil
	case result.Sent && !t.step.HTTP.Idempotent:
		return t.uncertain(ctx, result.Err)
	case !result.Sent && !again:
		t.unsent.Add(t.announcement(), true)
		t.repeat = true
	case !t.isSafe():
		return t.inDoubt(ctx, egress.WithoutURL(result.Err))
	}
	return t.callFailed(t.thisCall(), result.Err)
}

// inDoubt is about a call that may have been made, and that its host does once however often it is sent: it is sent again while that can help. Then it is as
// with any other of which nobody knows whether it was made.
func (t *task) inDoubt(ctx context.Context, why error) (Outcome, error) {
	if t.expired() || isRefusedHere(why) || !isTransient(why) {
		return t.uncertain(ctx, why)
	}
	return t.resting(t.thisCall(), why), nil
}

// isRefusedHere tells whether a call was not sent because it may not be.
func isRefusedHere(err error) bool {
	return errors.Is(err, egress.ErrRefused) || errors.Is(err, hostcall.ErrUnfit)
}

// callFailed is about a call that did not happen: what is not allowed is final, and a host that cannot be reached may be back soon.
func (t *task) callFailed(name callName, err error) (Outcome, error) {
	if isRefusedHere(err) {
		t.calls.drop(t.uid(), name)
		return t.fail("failed to call %s: %v", t.callName(), err), nil
	}
	out, transient := t.failed("call "+t.callName(), egress.WithoutURL(err))
	if transient == nil {
		t.calls.drop(t.uid(), name)
		return out, nil
	}
	return t.resting(name, err), nil
}

func (t *task) callName() string { return string(t.step.HTTP.Method) + " " + cutName(t.step.HTTP.URL) }

// cutName keeps a URL within a message.
func cutName(url string) string {
	const most = 200
	if len(url) > most {
		return url[:most] + "…"
	}
	return url
}

// answered judges the answer to the call.
func (t *task) answered(ctx context.Context, response map[string]any) (Outcome, error) {
	h := t.step.HTTP
	good, err := t.succeeded(ctx, h.Success, response)
	status, _ := response["status"].(int64)
	switch {
	case expression.Later(err):
		return t.failed("tell whether "+t.callName()+" succeeded", err)
	case good:
		return t.began(ctx, response)
	}
	t.notBefore = t.retryAfter(response)
	if why := t.unclear(response, err); why != nil {
		if h.Idempotent {
			return t.inDoubt(ctx, why)
		}
		return t.uncertain(ctx, why)
	}
	t.repeat = true // it is known how it ended
	if err != nil {
		return t.giveUp("%s answered %d, and success cannot be told: %v", t.callName(), status, err), nil
	}
	return t.giveUp("%s answered %d%s", t.callName(), status, hostcall.Excerpt(response)), nil
}

// unclear says why it cannot be told from an answer that is no success whether the call was made. Nil: it was not, or it changes nothing.
func (t *task) unclear(response map[string]any, problem error) error {
	if t.isSafe() {
		return nil
	}
	if why := saysNothing(response, problem); why != nil {
		return why
	}
	if !t.step.HTTP.Idempotent && isUnfinished(response) {
		return &unfinished{fmt.Errorf("it answered %d%s", response["status"], hostcall.Excerpt(response))}
	}
	if t.calls.again(t.uid(), t.thisCall()) && !isJudgement(response) {
		return fmt.Errorf("it may have been made before, and when it was sent again it was answered %d%s", response["status"], hostcall.Excerpt(response))
	}
	return nil
}

// isJudgement tells whether an answer is about what a call asks for, so that it would have been the same the first time. One that is about something else,
// such as a host that is too busy, or a thing that is there already or gone, says nothing about an earlier call.
func isJudgement(response map[string]any) bool {
	status := response["status"]
	return isWell(response) || status == int64(http.StatusBadRequest) || status == int64(http.StatusUnprocessableEntity)
}

// saysNothing says why it cannot be told from an answer whether the call was made: a gateway does not know what is behind it, whatever the step
// makes of its answer, and a host that answers well may have done it. Problem is why success could not be told. Nil: it can be told.
func saysNothing(response map[string]any, problem error) error {
	switch status, _ := response["status"].(int64); {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return fmt.Errorf("a gateway answered %d", status)
	case problem != nil && isWell(response):
		return &answeredWell{fmt.Errorf("it answered %d, and success cannot be told: %w", status, problem)}
	}
	return nil
}

// unfinished is why it cannot be told how a call ended that the host could not finish: what it did before that may stand. Where the host says afterwards that it
// was not made, that is how it ended.
type unfinished struct{ error }

// isUnfinished tells whether an answer says that something in the host went wrong, and not that it did not take the call: that it cannot do such a thing at all, or
// is too busy and says until when.
func isUnfinished(response map[string]any) bool {
	status, _ := response["status"].(int64)
	headers, _ := response["headers"].(map[string]any)
	_, busy := headers["retry-after"]
	return status >= http.StatusInternalServerError && status != http.StatusNotImplemented && (status != http.StatusServiceUnavailable || !busy)
}

// answeredWell is why it cannot be told how a call ended that the host has answered as if it had done it: that it does not find it yet is no reason to
// make it again.
type answeredWell struct{ error }

// isWell tells whether an answer has a status from 200 to 299.
func isWell(response map[string]any) bool {
	status, _ := response["status"].(int64)
	return status >= http.StatusOK && status < http.StatusMultipleChoices
}

// succeeded tells whether an answer is what the step wants.
func (t *task) succeeded(ctx context.Context, condition string, response map[string]any) (bool, error) {
	if condition == "" {
		return isWell(response), nil
	}
	return t.holds(ctx, condition, response)
}

// holds evaluates a condition on an answer.
func (t *task) holds(ctx context.Context, condition string, response map[string]any) (bool, error) {
	compiler, err := expression.NewCompiler(expression.Response, nil)
	if err != nil {
		return false, err
	}
	program, err := compiler.Bool(condition)
	if err != nil {
		return false, err
	}
	return t.evaluate(ctx, program, map[string]any{"response": response})
}

// value evaluates an expression on an answer.
func (t *task) value(ctx context.Context, source string, response map[string]any) (any, error) {
	compiler, err := expression.NewCompiler(expression.Response, nil)
	if err != nil {
		return nil, err
	}
	program, err := compiler.Any(source)
	if err != nil {
		return nil, err
	}
	return program.EvalAny(ctx, expression.Vars{Values: map[string]any{"response": response}, Now: t.now}, t.share())
}

// began goes on after a call that did what it should.
func (t *task) began(ctx context.Context, response map[string]any) (Outcome, error) {
	if t.step.HTTP.Poll == nil {
		return t.finish(ctx, response)
	}
	url, err := steps.PollURL(ctx, t.step.HTTP.Poll, response, t.share())
	if expression.Later(err) {
		return t.failed("tell where to ask whether "+t.callName()+" is done", err)
	}
	if err != nil {
		return t.fail("%s was answered, but it cannot be told where to ask whether it is done: %v", t.callName(), err), nil
	}
	t.status.URL, t.status.Basis, t.status.Message = url, basisWritten+"call", ""
	return Outcome{Status: t.status, Intent: true}, nil
}

func (t *task) finish(ctx context.Context, response map[string]any) (Outcome, error) {
	if len(t.step.Outputs) == 0 {
		return t.done(), nil
	}
	return t.gives(ctx, map[string]any{"response": response})
}

// poll asks whether what the call began is done.
func (t *task) poll(ctx context.Context) (Outcome, error) {
	p := t.step.HTTP.Poll
	if p == nil {
		return t.fail("this version of Signoff does not know what the step waits for"), nil
	}
	result, at := t.ask(toPoll, t.status.URL)
	switch {
	case result == nil:
		out := t.underWay(t.asking(toPoll), "asking "+cutName(t.status.URL)+" whether it is done")
		out.At = at
		return out, nil
	case result.Err != nil:
		return t.callFailed(t.asking(toPoll), result.Err)
	}
	return t.polled(ctx, p, result.Response)
}

// polled judges what a host says about whether what the call began is done.
func (t *task) polled(ctx context.Context, p *v1alpha1.RenderedPoll, response map[string]any) (Outcome, error) {
	failed, err := t.pollFails(ctx, p, response)
	if failed {
		t.repeat = true // it is known how it ended
		return t.giveUp("%s: failWhen holds: %q%s", cutName(t.status.URL), p.FailWhen, hostcall.Excerpt(response)), nil
	}
	done := false
	if err == nil {
		done, err = t.holds(ctx, p.Until, response)
	}
	state := fmt.Sprintf("%q does not hold yet", p.Until)
	switch {
	case err != nil:
		state = err.Error()
	case done:
		return t.finish(ctx, response)
	}
	if t.expired() {
		return t.fail("%s is over, waiting for %s: %s", t.limit.name, cutName(t.status.URL), state), nil
	}
	every, err := p.Every.Value(lookAgain)
	if err != nil || every < time.Second {
		every = lookAgain
	}
	return t.askLater(t.asking(toPoll), every, response, "waiting for "+cutName(t.status.URL)+": "+state), nil
}

// pollFails tells whether failWhen holds. One that cannot be evaluated does not: fields of an answer are often missing at first. The error says that there
// was no turn for it, so that nobody knows: what may have failed is not done either.
func (t *task) pollFails(ctx context.Context, p *v1alpha1.RenderedPoll, response map[string]any) (bool, error) {
	if p.FailWhen == "" {
		return false, nil
	}
	failed, err := t.holds(ctx, p.FailWhen, response)
	if expression.Later(err) {
		return false, err
	}
	return err == nil && failed, nil
}

// uncertain is about a call of which nobody knows whether it was made.
func (t *task) uncertain(ctx context.Context, why error) (Outcome, error) {
	if t.step.HTTP.Lookup == nil {
		return t.lost(why), nil
	}
	asked := t.calls.since(t.uid(), t.asking(toLookUp))
	result, at := t.ask(toLookUp, t.step.HTTP.Lookup.URL)
	switch {
	case result == nil:
		out := t.underWay(t.asking(toLookUp), "asking whether "+t.callName()+" was made")
		out.At = at
		return out, nil
	case result.Err == nil:
		return t.lookedUp(ctx, asked, result.Response, why)
	case isRefusedHere(result.Err):
		t.calls.drop(t.uid(), t.asking(toLookUp))
		return t.lost(result.Err), nil
	case t.expired():
		t.calls.drop(t.uid(), t.asking(toLookUp))
		return t.lost(why), nil
	}
	return t.resting(t.asking(toLookUp), result.Err), nil
}

// lookedUp judges what a host says about whether a call was made, that was asked at a time: its answer can be as old as that.
func (t *task) lookedUp(ctx context.Context, asked time.Time, response map[string]any, why error) (Outcome, error) {
	well := &answeredWell{}
	believed := !errors.As(why, &well)
	answer, done, why := t.found(ctx, response, why)
	if answer != nil {
		return t.began(ctx, answer)
	}
	not := believed && !done && t.notDone(ctx, response)
	switch at := t.settledAt(); {
	case not && asked.Before(at):
		return t.askLater(t.asking(toLookUp), min(lookAgain, max(at.Sub(t.now), time.Second)), response,
			fmt.Sprintf("the host does not know %s yet (%v): asking again, and believing that once it cannot be under way any more, at %s",
				t.callName(), why, moment(at))), nil
	case not:
		return t.notMade(why), nil
	case t.expired():
		return t.lost(why), nil
	}
	return t.askLater(t.asking(toLookUp), lookAgain, response, fmt.Sprintf("it is not clear whether %s was made (%v): asking again", t.callName(), why)), nil
}

// notMade is about a call that was certainly not made: it is announced anew, while there is time. One that its host could not finish has failed.
func (t *task) notMade(why error) Outcome {
	t.calls.drop(t.uid(), t.thisCall())
	if failed := (*unfinished)(nil); errors.As(why, &failed) {
		t.repeat = true // it is known how it ended
		return t.giveUp("%s was not made: %v", t.callName(), why)
	}
	if t.expired() {
		return t.fail("%s is over, and %s could not be made", t.limit.name, t.callName())
	}
	return t.announceCall()
}

// found tells whether a host says that a call was made, and gives what stands for the answer to it; nil where there is none yet. An answer with
// another status than a good one is about the question, and says nothing about the call. Why says what keeps it unclear.
func (t *task) found(ctx context.Context, response map[string]any, why error) (answer map[string]any, done bool, unclear error) {
	l := t.step.HTTP.Lookup
	if !isWell(response) {
		return nil, false, fmt.Errorf("%w, and the host answered %d when it was asked", why, response["status"])
	}
	switch done, err := t.holds(ctx, l.Done, response); {
	case expression.Later(err):
		return nil, true, why // it may say so, and then nothing it says means that it was not
	case err != nil || !done:
		return nil, false, why
	case l.Response == "":
		return response, true, why
	}
	body, err := t.value(ctx, l.Response, response)
	if err != nil {
		return nil, true, fmt.Errorf("the host says that it was, and lookup.response gives nothing: %w", err)
	}
	answer = maps.Clone(response)
	answer["body"] = body
	return answer, true, why
}

// notDone tells whether a host says that a call was certainly not made. That there is nothing where it was asked can say so; other errors are about the
// question.
func (t *task) notDone(ctx context.Context, response map[string]any) bool {
	condition := t.step.HTTP.Lookup.NotDone
	if condition == "" || !isWell(response) && response["status"] != int64(http.StatusNotFound) {
		return false
	}
	not, err := t.holds(ctx, condition, response)
	return err == nil && not
}
