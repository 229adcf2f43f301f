package execution

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestCallLookedUp asks a host, after a crash, whether the call was made: what it says stands for the answer that nobody has seen.
func TestCallLookedUp(t *testing.T) {
	const (
		list  = `done: size(response.body) > 0, notDone: size(response.body) == 0, response: "response.body[0]"`
		polls = `, poll: {url: [{text: HOST/jobs/}, {expression: string(response.body.id)}], every: 20s, until: "true"}`
	)
	type want struct {
		State  v1alpha1.StepState
		URL    string
		Stored bool
	}
	for name, tc := range map[string]struct {
		reason, lookup, poll string
		code                 int
		body, words          string
		want                 want
	}{
		"Outputs": {"they are as after the call itself", list, "", 200, `[{"id":7}]`, "", want{State: v1alpha1.StepDone}},
		"Poll":    {"it is asked about what the call began", list, polls, 200, `[{"id":7}]`, "", want{v1alpha1.StepStarted, "/jobs/7", true}},
		"Same":    {"an answer of the same shape needs no word", "done: has(response.body.id)", polls, 200, `{"id":7}`, "", want{v1alpha1.StepStarted, "/jobs/7", true}},
		"NoValue": {"it was made: it is not made again, and has not failed", `done: "true", notDone: "true", response: "response.body.items[0]"`, polls, 200, `{"items":[]}`,
			"lookup.response gives nothing", want{State: v1alpha1.StepStarted}},
		"NotAllowed": {"that a question is refused says nothing", list, "", 401, `{"message":"401 Unauthorized"}`, "the host answered 401 when it was asked", want{State: v1alpha1.StepStarted}},
		"Away":       {"nor does the page of somebody in between", list, "", 503, `<html>`, "the host answered 503", want{State: v1alpha1.StepStarted}},
		"Elsewhere":  {"nor what is written where nothing is", list, "", 404, `{"message":"404 Not Found"}`, "the host answered 404", want{State: v1alpha1.StepStarted}},
		"NotAsked":   {"a host that cannot answer does not know either that it was not made", `done: "false", notDone: "true"`, "", 500, `[]`, "the host answered 500", want{State: v1alpha1.StepStarted}},
		"None":       {"that there is nothing can say that it was not: it is announced anew", "done: response.status == 200, notDone: response.status == 404", "", 404, `{}`, "", want{State: v1alpha1.StepStarted, Stored: true}},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, func(w http.ResponseWriter, _ call) {
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, tc.body)
			})
			p := newCall(t, host, `{method: POST, url: HOST/a`+tc.poll+`, lookup: {url: HOST/find, `+tc.lookup+`}}, outputs: [{name: id, expression: string(response.body.id), schema: {type: string, maxLength: 9}}]`)
			p.announced()
			p.restart()
			p.later(settled)
			out := p.want(tc.want.State, tc.words)
			if diff := cmp.Diff(tc.want, want{out.Status.State, strings.TrimPrefix(out.Status.URL, host.URL), out.Intent}); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if tc.want.State == v1alpha1.StepDone && string(out.Status.Outputs.Raw) != `{"id":"7"}` {
				t.Errorf("%s: outputs %s", tc.reason, out.Status.Outputs.Raw)
			}
			if calls := host.made(); len(calls) != 1 || calls[0].method != http.MethodGet {
				t.Errorf("%s: calls: %+v", tc.reason, calls)
			}
		})
	}
}

// TestCallLookedUpTooEarly: a host that takes its time says what held when it was asked. A call that could still be under way then may have come after that.
func TestCallLookedUpTooEarly(t *testing.T) {
	var p *play
	host := newCallee(t, func(w http.ResponseWriter, _ call) {
		p.later(2 * time.Second)
		_, _ = io.WriteString(w, `[]`)
	})
	p = newCall(t, host, `{method: POST, url: HOST/a, lookup: {url: HOST/find, done: size(response.body) > 0, notDone: size(response.body) == 0}}`)
	p.announced()
	p.restart()
	p.later(settled - time.Second)
	if out := p.want(v1alpha1.StepStarted, "the host does not know POST"); out.Intent || !out.At.After(p.clock.Now()) {
		t.Errorf("it must be asked again before the call is made again: %+v", out)
	}
	p.later(time.Second)
	p.announced()
	for _, c := range host.made() {
		if c.method != http.MethodGet {
			t.Errorf("it was made: %+v", c)
		}
	}
}

// TestExampleLookedUp plays calls of an example after a crash, against what their hosts answer by their documentation.
func TestExampleLookedUp(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "gitlab-servicenow", "action.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	action := &v1alpha1.Action{}
	if err := yaml.UnmarshalStrict(text, action); err != nil {
		t.Fatal(err)
	}
	calls := map[string]*v1alpha1.HTTPStep{}
	for i := range action.Spec.Execution.Plan.Steps {
		calls[action.Spec.Execution.Plan.Steps[i].Name] = action.Spec.Execution.Plan.Steps[i].HTTP
	}
	for i := range action.Spec.Execution.Steps {
		calls[action.Spec.Execution.Steps[i].Name] = action.Spec.Execution.Steps[i].HTTP
	}
	for step, tc := range map[string]struct {
		reason, answer string
		url            string
	}{
		"create":   {"ServiceNow knows no change of this request, so it is made after all", `{"result":[]}`, ""},
		"pipeline": {"GitLab gives a list, and the pipeline in it is waited for", `[{"id":1001,"status":"running"}]`, "/jobs/1001"},
	} {
		t.Run(step, func(t *testing.T) {
			host := newCallee(t, json200(tc.answer))
			p := newCall(t, host, `{method: POST, url: HOST/a, poll: {url: [{text: HOST/jobs/}, {expression: string(response.body.id)}], every: 20s, until: "true"}}`)
			of := calls[step]
			if of.Poll == nil {
				p.step.HTTP.Poll = nil
			}
			p.step.HTTP.Lookup = &v1alpha1.RenderedLookup{URL: host.URL + "/find", Done: of.Lookup.Done, NotDone: of.Lookup.NotDone, Response: of.Lookup.Response}
			p.announced()
			p.restart()
			p.later(settled)
			if out := p.want(v1alpha1.StepStarted); !out.Intent || strings.TrimPrefix(out.Status.URL, host.URL) != tc.url {
				t.Errorf("%s: %+v", tc.reason, out)
			}
		})
	}
}
