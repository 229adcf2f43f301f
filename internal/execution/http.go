package execution

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/steps"
)

// A call may have another effect each time it is made. So that it is about to be made is stored first, and afterwards it is made once. Where
// nobody knows whether it was made, its Action may say how to find out; else it is never made again.

// basisCall says that a call is about to be made, or was.
const basisCall = "call:"

// lookAgain is how long it is waited before a host is asked again whether a call was made.
const lookAgain = 10 * time.Second

func (t *task) call(ctx context.Context) (Outcome, error) {
	if _, answered := t.basis(basisWritten); answered {
		return t.poll(ctx)
	}
	if _, announced := t.basis(basisCall); announced {
		return t.callOnce(ctx)
	}
	t.repeat = true // nothing has been sent
	if t.expired() {
		return t.fail("nothing was sent: %s was over before the call could be made", t.limit.name), nil
	}
	t.status.Basis, t.status.Message = basisCall, ""
	t.unsent.Add(t.thisCall(), true)
	return Outcome{Status: t.status, Intent: true}, nil
}

// thisCall names the call of this attempt.
func (t *task) thisCall() announcement {
	return t.announcement(fmt.Sprint(basisCall, t.status.Attempts))
}

// callOnce makes a call that was announced, unless it may have been made already.
func (t *task) callOnce(ctx context.Context) (Outcome, error) {
	if _, unsent := t.unsent.Get(t.thisCall()); !unsent && !t.step.HTTP.Idempotent {
		return t.uncertain(ctx, errors.New("it was interrupted"))
	}
	if t.expired() {
		return t.unanswered(ctx)
	}
	t.unsent.Remove(t.thisCall())
	response, sent, err := t.exchange(ctx, t.step.HTTP.Method, t.step.HTTP.URL)
	if err == nil {
		return t.answered(ctx, response)
	}
	if !sent {
		t.unsent.Add(t.thisCall(), true)
		t.repeat = true
		return t.callFailed(err)
	}
	if t.step.HTTP.Idempotent {
		return t.callFailed(err)
	}
	return t.uncertain(ctx, err)
}

// callFailed is about a call that did not happen: what is not allowed is final, and a host that cannot be reached may be back soon.
func (t *task) callFailed(err error) (Outcome, error) {
	if errors.Is(err, egress.ErrRefused) || errors.Is(err, errUnfit) {
		return t.fail("failed to call %s: %v", t.callName(), err), nil
	}
	return t.failed("call "+t.callName(), err)
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
	case good:
		return t.began(ctx, response)
	case h.Success == "" && !h.Idempotent && (status == http.StatusBadGateway || status == http.StatusGatewayTimeout):
		return t.uncertain(ctx, fmt.Errorf("a gateway answered %d", status))
	}
	t.repeat = true // it is known how it ended
	if err != nil {
		return t.giveUp("%s answered %d, and success cannot be told: %v", t.callName(), status, err), nil
	}
	return t.giveUp("%s answered %d%s", t.callName(), status, excerpt(response)), nil
}

// succeeded tells whether an answer is what the step wants.
func (t *task) succeeded(ctx context.Context, condition string, response map[string]any) (bool, error) {
	if condition == "" {
		status, _ := response["status"].(int64)
		return status >= http.StatusOK && status < http.StatusMultipleChoices, nil
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
	return program.EvalBool(ctx, expression.Vars{Values: map[string]any{"response": response}, Now: t.now}, expression.NewBudget())
}

// began goes on after a call that did what it should.
func (t *task) began(ctx context.Context, response map[string]any) (Outcome, error) {
	if t.step.HTTP.Poll == nil {
		return t.finish(ctx, response), nil
	}
	url, err := steps.PollURL(ctx, t.step.HTTP.Poll, response)
	if err != nil {
		return t.fail("%s was answered, but it cannot be told where to ask whether it is done: %v", t.callName(), err), nil
	}
	t.status.URL, t.status.Basis, t.status.Message = url, basisWritten+"call", ""
	return Outcome{Status: t.status, Intent: true}, nil
}

func (t *task) finish(ctx context.Context, response map[string]any) Outcome {
	if len(t.step.Outputs) == 0 {
		return t.done()
	}
	outputs, err := steps.Evaluate(ctx, t.step, expression.Vars{Values: map[string]any{"response": response}, Now: t.now})
	if err != nil {
		return t.fail("the step did what it had to, but what it gives is not as declared: %v", err)
	}
	t.status.Outputs = outputs
	return t.done()
}

// poll asks whether what the call began is done.
func (t *task) poll(ctx context.Context) (Outcome, error) {
	p := t.step.HTTP.Poll
	if p == nil {
		return t.fail("this version of Signoff does not know what the step waits for"), nil
	}
	response, _, err := t.exchange(ctx, http.MethodGet, t.status.URL)
	if err != nil {
		return t.callFailed(err)
	}
	if p.FailWhen != "" {
		if failed, err := t.holds(ctx, p.FailWhen, response); err == nil && failed {
			t.repeat = true // it is known how it ended
			return t.giveUp("%s: failWhen holds: %q%s", cutName(t.status.URL), p.FailWhen, excerpt(response)), nil
		}
	}
	done, err := t.holds(ctx, p.Until, response)
	state := fmt.Sprintf("%q does not hold yet", p.Until)
	switch {
	case err != nil:
		state = err.Error()
	case done:
		return t.finish(ctx, response), nil
	}
	if t.expired() {
		return t.fail("%s is over, waiting for %s: %s", t.limit.name, cutName(t.status.URL), state), nil
	}
	every, err := p.Every.Value(lookAgain)
	if err != nil || every < time.Second {
		every = lookAgain
	}
	t.status.Message = oneLine("waiting for " + cutName(t.status.URL) + ": " + state)
	return Outcome{Status: t.status, At: t.now.Add(every)}, nil
}

// uncertain is about a call of which nobody knows whether it was made.
func (t *task) uncertain(ctx context.Context, why error) (Outcome, error) {
	if t.step.HTTP.Lookup == nil {
		return t.lost(why), nil
	}
	response, _, err := t.exchange(ctx, http.MethodGet, t.step.HTTP.Lookup.URL)
	switch {
	case errors.Is(err, egress.ErrRefused) || errors.Is(err, errUnfit):
		return t.lost(err), nil
	case err != nil && t.expired():
		return t.lost(why), nil
	case err != nil:
		return Outcome{Status: t.status}, fmt.Errorf("failed to look up whether %s was made: %w", t.callName(), err)
	}
	return t.lookedUp(ctx, response, why)
}

// lookedUp judges what a host says about whether a call was made.
func (t *task) lookedUp(ctx context.Context, response map[string]any, why error) (Outcome, error) {
	if done, err := t.holds(ctx, t.step.HTTP.Lookup.Done, response); err == nil && done {
		return t.began(ctx, response)
	}
	if not, err := t.notDone(ctx, response); err == nil && not {
		t.unsent.Add(t.thisCall(), true)
		return t.callOnce(ctx)
	}
	if t.expired() {
		return t.lost(why), nil
	}
	t.status.Message = oneLine(fmt.Sprintf("it is not clear whether %s was made (%v): asking again", t.callName(), why))
	return Outcome{Status: t.status, At: t.now.Add(lookAgain)}, nil
}

func (t *task) notDone(ctx context.Context, response map[string]any) (bool, error) {
	if t.step.HTTP.Lookup.NotDone == "" {
		return false, nil
	}
	return t.holds(ctx, t.step.HTTP.Lookup.NotDone, response)
}
