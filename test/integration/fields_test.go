package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// What a step of each kind does. NAME is the name of the object and of the path, as much as it is that of the Action.
const (
	target    = `target: {apiVersion: v1, kind: ConfigMap, namespace: staging, name: NAME}`
	applies   = `apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: NAME}, data: {by: "${request.uid}"}}]}`
	several   = `apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: NAME}, data: {by: "${request.uid}"}}, {apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: NAME-b}, data: {by: "${request.uid}"}}]}`
	strategic = `patch: {` + target + `, strategic: {data: {by: "${request.uid}"}}}`
	merges    = `patch: {` + target + `, merge: {data: {by: "${request.uid}"}}}`
	operates  = `patch: {` + target + `, json: [{op: test, path: /data/ready, value: "yes"}, {op: add, path: /data/by, value: "${request.uid}"}]}`
	deletes   = `delete: {` + target + `}`
	runs      = `job: {namespace: staging, template: {metadata: {annotations: {test.signoff.dev/pod: runs}}, spec: {containers: [{name: main, image: "registry/task:1"}]}}}`
	calls     = `http: {method: POST, url: "URL/NAME", caBundle: "BUNDLE", success: response.body.ok, poll: {url: "URL/NAME/poll", every: 1s, until: response.body.done, failWhen: response.body.broken}}`
)

// What is waited for.
const (
	good    = `waitFor: {expression: "object.data.?state.orValue('') == 'good'"}`
	bad     = `failWhen: "object.data.?state.orValue('') == 'bad'"`
	goodJob = `waitFor: {expression: "object.metadata.?annotations.?state.orValue('') == 'good'"}`
	badJob  = `failWhen: "object.metadata.?annotations.?state.orValue('') == 'bad'"`
	state   = `outputs: [{name: state, expression: object.data.state, schema: {type: string, maxLength: 10}}]`
)

// played is a step with fields, and what becomes of it.
type played struct {
	reason string
	// step is what it does, and fields what stands beside it.
	step, fields string
	// there is what the object holds before; nil: it is not there.
	there map[string]string
	// says is what the host answers to the call, and to whoever asks it after that.
	says [2]string
	// others act as soon as the step says something.
	others []other
	phase  v1alpha1.Phase
	// outputs and message are how the step ends; any of several messages will do.
	outputs string
	message []string
	// wrote are the objects that must hold what the step writes.
	wrote []string
}

// other is what somebody else does.
type other struct {
	says string
	do   act
}

type act func(t *testing.T, l *life)

// puts writes into an object that a step is about.
func puts(suffix, body string) act {
	return func(t *testing.T, l *life) {
		t.Helper()
		object := &corev1.ConfigMap{}
		object.Namespace, object.Name = "staging", l.name+suffix
		if err := patch(t, users.Ada, object, body); err != nil {
			t.Error(err)
		}
	}
}

func becomes(suffix, state string) act {
	return puts(suffix, `{"data":{"state":"`+state+`"}}`)
}

// jobsOf are the Jobs of a step, by name.
func jobsOf(t *testing.T, r *v1alpha1.ActionRequest, step string) []batchv1.Job {
	t.Helper()
	list := &batchv1.JobList{}
	labels := client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID), v1alpha1.LabelStep: step}
	if err := admin(t).List(t.Context(), list, client.InNamespace("staging"), labels); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// lastJob is the Job of the last attempt of a step.
func lastJob(t *testing.T, r *v1alpha1.ActionRequest, step string) *batchv1.Job {
	t.Helper()
	jobs := jobsOf(t, r, step)
	if len(jobs) == 0 {
		t.Fatalf("step %s of %s has no Job", step, r.Name)
	}
	return &jobs[len(jobs)-1]
}

// endJob makes the last Job of a step end, well or not.
func endJob(t *testing.T, r *v1alpha1.ActionRequest, step string, well bool) {
	t.Helper()
	how := map[bool]string{true: "null", false: `"` + env.PodFails + `"`}[well]
	job := lastJob(t, r, step)
	eventually(t, "the Pod of "+job.Name, func() (bool, string) {
		list := &corev1.PodList{}
		err := admin(t).List(t.Context(), list, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.ControllerUidLabel: string(job.UID)})
		if err != nil || len(list.Items) != 1 {
			return false, fmt.Sprint(len(list.Items), err)
		}
		err = patch(t, users.Ada, &list.Items[0], `{"metadata":{"annotations":{"`+env.PodAnnotation+`":`+how+`}}}`)
		return err == nil, errText(err)
	})
}

func jobEnds(well bool) act {
	return func(t *testing.T, l *life) { t.Helper(); endJob(t, l.request, "work", well) }
}

// marks writes to the last Job that something is good, or bad.
func marks(state string) act {
	return func(t *testing.T, l *life) {
		t.Helper()
		if err := patch(t, users.Ada, lastJob(t, l.request, "work"), `{"metadata":{"annotations":{"state":"`+state+`"}}}`); err != nil {
			t.Error(err)
		}
	}
}

// answers makes the host say something else from now on.
func answers(path, text string) act {
	return func(_ *testing.T, l *life) { host.answers("/"+l.name+path, text) }
}

var plays = map[string]played{
	"apply": {
		reason: "An apply is tried again after failWhen, without judging again whether it is to run: what it made is there by now.",
		step:   applies, fields: "when: object == null, retries: 1, timeout: 5m, " + good + ", " + bad + ", " + state,
		others: []other{{"waiting for ConfigMap", becomes("", "bad")}, {"failWhen holds", becomes("", "good")}},
		phase:  v1alpha1.PhaseSucceeded, outputs: `{"state":"good"}`, wrote: []string{""},
	},
	"several": {
		reason: "Every object is waited for, and any of them can fail.",
		step:   several, fields: "when: request.reason == 'a test', retries: 1, timeout: 5m, " + good + ", " + bad,
		others: []other{{"waiting for ConfigMap staging/NAME:", becomes("", "good")}, {"waiting for ConfigMap staging/NAME-b:", becomes("-b", "bad")}, {"NAME-b: failWhen holds", becomes("-b", "good")}},
		phase:  v1alpha1.PhaseSucceeded, wrote: []string{"", "-b"},
	},
	"strategic": {
		reason: "So is a strategic patch.",
		step:   strategic, fields: "when: object.data.ready == 'yes', retries: 1, timeout: 5m, " + good + ", " + bad + ", " + state, there: map[string]string{"ready": "yes"},
		others: []other{{"waiting for ConfigMap", becomes("", "bad")}, {"failWhen holds", becomes("", "good")}},
		phase:  v1alpha1.PhaseSucceeded, outputs: `{"state":"good"}`, wrote: []string{""},
	},
	"merge": {
		reason: "So is a merge patch.",
		step:   merges, fields: "when: object.data.ready == 'yes', retries: 1, timeout: 5m, " + good + ", " + bad + ", " + state, there: map[string]string{"ready": "yes"},
		others: []other{{"waiting for ConfigMap", becomes("", "bad")}, {"failWhen holds", becomes("", "good")}},
		phase:  v1alpha1.PhaseSucceeded, outputs: `{"state":"good"}`, wrote: []string{""},
	},
	"json": {
		reason: "A JSON patch that was refused is tried again.",
		step:   operates, fields: "when: object.data.ready == 'no', retries: 1, timeout: 5m, " + good + ", " + bad + ", " + state, there: map[string]string{"ready": "no"},
		others: []other{{"attempt 2 of 2", puts("", `{"data":{"ready":"yes"}}`)}, {"waiting for ConfigMap", becomes("", "good")}},
		phase:  v1alpha1.PhaseSucceeded, outputs: `{"state":"good"}`, wrote: []string{""},
	},
	"json-bad": {
		reason: "One that was applied is not.",
		step:   operates, fields: "retries: 1, " + good + ", " + bad, there: map[string]string{"ready": "yes"},
		others: []other{{"waiting for ConfigMap", becomes("", "bad")}},
		phase:  v1alpha1.PhaseFailed, message: []string{"ConfigMap staging/NAME: failWhen holds"}, wrote: []string{""},
	},
	"delete": {
		reason: "A deletion is tried again, and what is gone by then is done.",
		step:   deletes, fields: "when: object.data.ready == 'yes', retries: 1, timeout: 5m, " + bad, there: map[string]string{"ready": "yes"},
		others: []other{{"waiting until ConfigMap", becomes("", "bad")}, {"failWhen holds", puts("", `{"metadata":{"finalizers":null}}`)}},
		phase:  v1alpha1.PhaseSucceeded, message: []string{"ConfigMap staging/NAME was gone already"},
	},
	"job": {
		reason: "A Job that failed is followed by another one; what it waits for is asked of that.",
		step:   runs, fields: "when: requester.username == 'alice', retries: 1, timeout: 5m, " + goodJob + ", " + badJob + `, outputs: [{name: code, expression: job.exitCode, schema: {type: integer}}, {name: state, expression: object.metadata.annotations.state, schema: {type: string, maxLength: 10}}]`,
		others: []other{{"to end", jobEnds(false)}, {"-2 to end", jobEnds(true)}, {"does not hold yet", marks("good")}},
		phase:  v1alpha1.PhaseSucceeded, outputs: `{"code":0,"state":"good"}`,
	},
	"job-bad": {
		reason: "One that failWhen gives up may still run, and is not.",
		step:   runs, fields: "retries: 1, " + badJob,
		others: []other{{"to end", marks("bad")}},
		phase:  v1alpha1.PhaseFailed, message: []string{"failWhen holds", "it may still be running"},
	},
	"http": {
		reason: "A call that was answered badly is made again, and then waited for.",
		step:   calls, fields: `when: request.reason == 'a test', retries: 1, timeout: 5m, outputs: [{name: state, expression: response.body.state, schema: {type: string, maxLength: 10}}]`,
		says:   [2]string{`{"ok":false}`, `{"done":false,"broken":false}`},
		others: []other{{"attempt 2 of 2", answers("", `{"ok":true}`)}, {"does not hold yet", answers("/poll", `{"done":true,"broken":false,"state":"good"}`)}},
		phase:  v1alpha1.PhaseSucceeded, outputs: `{"state":"good"}`,
	},
	"http-bad": {
		reason: "What a host is asked after a call can fail too.",
		step:   calls, says: [2]string{`{"ok":true}`, `{"done":false,"broken":false}`},
		others: []other{{"does not hold yet", answers("/poll", `{"done":false,"broken":true}`)}},
		phase:  v1alpha1.PhaseFailed, message: []string{"failWhen holds"},
	},
	"late-apply":     {reason: "Time ends every wait.", step: applies, fields: "timeout: 2s, " + good, phase: v1alpha1.PhaseFailed, message: late, wrote: []string{""}},
	"late-several":   {reason: "As above.", step: several, fields: "timeout: 2s, " + good, phase: v1alpha1.PhaseFailed, message: late, wrote: []string{"", "-b"}},
	"late-strategic": {reason: "As above.", step: strategic, fields: "timeout: 2s, " + good, there: map[string]string{}, phase: v1alpha1.PhaseFailed, message: late, wrote: []string{""}},
	"late-merge":     {reason: "As above.", step: merges, fields: "timeout: 2s, " + good, there: map[string]string{}, phase: v1alpha1.PhaseFailed, message: late, wrote: []string{""}},
	"late-json":      {reason: "As above.", step: operates, fields: "timeout: 2s, " + good, there: map[string]string{"ready": "yes"}, phase: v1alpha1.PhaseFailed, message: late, wrote: []string{""}},
	"late-delete":    {reason: "Something holds the object.", step: deletes, fields: "timeout: 2s", there: map[string]string{}, phase: v1alpha1.PhaseFailed, message: []string{"the timeout of the step (2s) is over, and ConfigMap staging/NAME is still there: it is held by example.com/hold"}},
	"late-http":      {reason: "The host never says that it is done.", step: calls, fields: "timeout: 2s", says: [2]string{`{"ok":true}`, `{"done":false,"broken":false}`}, phase: v1alpha1.PhaseFailed, message: late},
	"late-job":       {reason: "Kubernetes ends the Job at the same moment.", step: runs, fields: "timeout: 2s", phase: v1alpha1.PhaseFailed, message: []string{"did not end within the timeout of the step (2s)", "DeadlineExceeded"}},
}

var late = []string{"the timeout of the step (2s) is over, waiting for "}

// life is one of them while it is played.
type life struct {
	played
	name    string
	request *v1alpha1.ActionRequest
	now     v1alpha1.StepStatus
}

// prepare makes what is there before, and the Action, with a step before that must not run.
func (l *life) prepare(t *testing.T) {
	t.Helper()
	configMap(t, l.name+"-never")
	if l.there != nil {
		object := configMap(t, l.name, "example.com/hold")
		object.Data = l.there
		if err := admin(t).Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	answers("", l.says[0])(t, l)
	answers("/poll", l.says[1])(t, l)
	named := func(name, text string) string {
		return strings.NewReplacer("NAME", name, "URL", host.URL, "BUNDLE", strings.ReplaceAll(play.Certificate(host.Server), "\n", `\n`)).Replace(text)
	}
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: `+l.name+`}, spec: {title: Play a field, default: {effect: Allow}, execution: {serviceAccountName: deployer, steps: [
		{name: never, when: "requester.username == 'nobody'", `+named(l.name+"-never", l.step)+`}, {name: work, `+named(l.name, l.step)+`, `+l.fields+`}]}}}`)
}

// advances does what is to be done next, and tells whether there was anything.
func (l *life) advances(t *testing.T) bool {
	t.Helper()
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(l.request), l.request); err != nil {
		t.Fatal(err)
	}
	if steps := l.request.Status.Steps; len(steps) == 2 {
		l.now = steps[1]
	}
	switch {
	case l.request.Status.Outcome != "":
		return true
	case len(l.others) == 0 || !strings.Contains(l.now.Message, strings.ReplaceAll(l.others[0].says, "NAME", l.name)):
		return false
	}
	l.others[0].do(t, l)
	l.others = l.others[1:]
	return true
}

// check compares what came of it.
func (l *life) check(t *testing.T) {
	t.Helper()
	if got := l.request.Status.Phase; got != l.phase || len(l.others) > 0 || len(l.request.Status.Steps) != 2 {
		t.Fatalf("%s: %s, others had yet to do %d things: %+v", l.reason, got, len(l.others), l.request.Status.Steps)
	}
	if never := l.request.Status.Steps[0]; never.State != v1alpha1.StepSkipped {
		t.Errorf("a step of which when gives false is skipped: %+v", never)
	}
	holds := func(text string) bool {
		return strings.Contains(l.now.Message, strings.ReplaceAll(text, "NAME", l.name))
	}
	if len(l.message) > 0 && !slices.ContainsFunc(l.message, holds) {
		t.Errorf("%s: the step says %q", l.reason, l.now.Message)
	}
	outputs := ""
	if l.now.Outputs != nil {
		outputs = string(l.now.Outputs.Raw)
	}
	if outputs != l.outputs {
		t.Errorf("%s: it gave %q", l.reason, outputs)
	}
	for _, suffix := range l.wrote {
		if data := dataOf(t, l.name+suffix); data["by"] != string(l.request.UID) {
			t.Errorf("%s%s was not written: %v", l.name, suffix, data)
		}
	}
	if data := dataOf(t, l.name+"-never"); len(data) > 0 || len(host.made("/"+l.name+"-never")) > 0 {
		t.Errorf("the step that was skipped has run: %v", data)
	}
	if jobs := jobsOf(t, l.request, "never"); len(jobs) > 0 {
		t.Errorf("the step that was skipped has run: %d Jobs", len(jobs))
	}
}

// dataOf is what is in a ConfigMap, or nil where there is none.
func dataOf(t *testing.T, name string) map[string]string {
	t.Helper()
	object := &corev1.ConfigMap{}
	err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: name}, object)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return object.Data
}

// TestFieldsOfEveryKind plays each field that a step can have with each kind of step, all at the same time because a retry waits for ten seconds. Which
// field goes with which kind, and what is said of the others, is in internal/steps, by TestFieldsOfEveryKind too.
func TestFieldsOfEveryKind(t *testing.T) {
	someSteps(t)
	var open []*life
	for _, name := range slices.Sorted(maps.Keys(plays)) {
		l := &life{played: plays[name], name: "field-" + name}
		l.prepare(t)
		open = append(open, l)
	}
	for _, l := range open { // once all are prepared, so that nobody comes too late to the first of them
		l.request = ask(t, users.Alice, request(l.name, `{}`))
	}
	for all := slices.Clone(open); len(open) > 0; {
		eventually(t, "something in one of the lives", func() (bool, string) {
			saw := ""
			for i, l := range open {
				if !l.advances(t) {
					saw += fmt.Sprintf("\n%s: %s %q", l.name, l.request.Status.Phase, l.now.Message)
					continue
				}
				if l.request.Status.Outcome != "" {
					open = slices.Delete(open, i, i+1)
				}
				return true, ""
			}
			return false, saw
		})
		if len(open) == 0 {
			for _, l := range all {
				t.Run(l.name, l.check)
			}
		}
	}
}
