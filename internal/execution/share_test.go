package execution

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// taken is a share that is used up, until it is free.
type taken struct {
	free bool
	cost uint64
}

func (m *taken) Begin(context.Context) (func(uint64), error) {
	if !m.free {
		return nil, expression.ErrBusy
	}
	return func(cost uint64) { m.cost += cost }, nil
}

// dear is a condition that costs enough to be counted, and holds.
const dear = `object.data.all(a, object.data.all(b, a + b != 'x'))`

// dearAnswer is one about an answer.
const dearAnswer = `response.body.list.all(a, response.body.list.all(b, a + b != 'x'))`

// TestConditionsTakeFromTheShare: what conditions and outputs of steps cost counts as what rules cost, and where there is no turn for them they
// are asked again, and nothing fails.
func TestConditionsTakeFromTheShare(t *testing.T) {
	for name, step := range map[string]string{
		"When":     `when: "` + dear + `", ` + patchConfigMap,
		"WaitFor":  `waitFor: {expression: "` + dear + `"}, ` + patchConfigMap,
		"FailWhen": `waitFor: {expression: "` + dear + `"}, failWhen: "!(` + dear + `)", ` + patchConfigMap,
		"Outputs":  patchConfigMap + `, outputs: [{name: x, expression: "` + dear + `", schema: {type: boolean}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			p, share := newPlay(t, `{name: a, `+step+`}`), &taken{}
			p.meter = share
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v, y: w}}`)
			for range 2 {
				out, err := p.call()
				if out.Status.State != v1alpha1.StepStarted || err == nil && out.At.IsZero() && !out.Intent {
					t.Fatalf("it must be asked again: %+v, %v", out, err)
				}
				p.status = out.Status
			}
			share.free = true
			for range 5 {
				p.next()
			}
			if p.status.State != v1alpha1.StepDone || share.cost == 0 {
				t.Errorf("got %+v, which cost %d", p.status, share.cost)
			}
		})
	}
}

// TestAnswersTakeFromTheShare is about what is read of the answers of hosts. That there was no turn does not make a call be made again.
func TestAnswersTakeFromTheShare(t *testing.T) {
	host := newCallee(t, json200(`{"list":["a","b"],"id":"c"}`))
	for name, change := range map[string]func(*play){
		"Success": func(p *play) { p.step.HTTP.Success = dearAnswer },
		"Until": func(p *play) {
			p.step.HTTP.Poll = &v1alpha1.RenderedPoll{Every: "1s", Until: dearAnswer, URL: []v1alpha1.LatePart{{Text: host.URL + "/poll"}}}
		},
		"Outputs": func(p *play) {
			p.step.Outputs = []v1alpha1.StepOutput{{Name: "x", Expression: dearAnswer, Schema: runtime.RawExtension{Raw: []byte(`{"type":"boolean"}`)}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, share := newCall(t, host, `{method: POST, url: "HOST/`+name+`"}`), &taken{}
			p.meter = share
			change(p)
			p.announced()
			for range 3 {
				out, err := p.call()
				if out.Status.State != v1alpha1.StepStarted || err == nil && out.At.IsZero() && !out.Intent {
					t.Fatalf("it must be asked again: %+v, %v", out, err)
				}
				p.status = out.Status
			}
			share.free = true
			for range 5 {
				p.next()
				p.later(time.Second) // it polls every second
			}
			made := 0
			for _, call := range host.made() {
				if call.url == "/"+name {
					made++
				}
			}
			if p.status.State != v1alpha1.StepDone || share.cost == 0 || made != 1 {
				t.Errorf("got %+v, which cost %d, of %d calls", p.status, share.cost, made)
			}
		})
	}
}

// TestFailWhenHasItsTurn: where there was no turn for failWhen, nobody knows whether the step has failed, and it does not count as done.
func TestFailWhenHasItsTurn(t *testing.T) {
	host := newCallee(t, json200(`{"list":["a","b"]}`))
	for name, prepared := range map[string]func(t *testing.T) *play{
		"Object": func(t *testing.T) *play {
			p := newPlay(t, `{name: a, waitFor: {status: Current}, failWhen: "`+dear+`", `+patchConfigMap+`}`)
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v, y: w}}`)
			return p
		},
		"Expression": func(t *testing.T) *play {
			p := newPlay(t, `{name: a, waitFor: {expression: "true"}, failWhen: "`+dear+`", `+patchConfigMap+`}`)
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v, y: w}}`)
			return p
		},
		"Poll": func(t *testing.T) *play {
			p := newCall(t, host, `{method: POST, url: HOST/a, poll: {every: 1s, until: "true", failWhen: "`+dearAnswer+`", url: [{text: HOST/poll}]}}`)
			p.announced()
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, share := prepared(t), &taken{}
			p.meter = share
			for range 3 {
				out, err := p.call()
				if out.Status.State != v1alpha1.StepStarted || err == nil && out.At.IsZero() && !out.Intent {
					t.Fatalf("it must be asked again: %+v, %v", out, err)
				}
				p.status = out.Status
			}
			share.free = true
			p.later(time.Second) // it polls every second
			p.want(v1alpha1.StepFailed, "failWhen holds")
		})
	}
}

// TestDoneHasItsTurn: where there was no turn for what says that a call was made, that it was not is not believed, and it is not made again.
func TestDoneHasItsTurn(t *testing.T) {
	host := newCallee(t, json200(`{"list":["a","b"]}`))
	p, share := newCall(t, host, `{method: POST, url: HOST/a, lookup: {url: HOST/find, done: "`+dearAnswer+`", notDone: "true"}}`), &taken{}
	p.announced()
	p.restart()
	p.meter = share
	p.later(settled)
	if out := p.want(v1alpha1.StepStarted, "it is not clear whether"); out.Intent {
		t.Errorf("it would be made again: %+v", out)
	}
	share.free = true
	p.later(lookAgain)
	p.want(v1alpha1.StepDone)
	if calls := host.made(); len(calls) != 2 || calls[0].method != "GET" || calls[1].method != "GET" {
		t.Errorf("calls: %+v", calls)
	}
}
