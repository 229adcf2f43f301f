package execution

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// shown says of every write that nothing about it is hidden.
func shown(string, *v1alpha1.RenderedWrite) bool { return false }

// TestTry sends steps as dry runs: what would be refused is told, and nothing is stored.
func TestTry(t *testing.T) {
	const object = `object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}`
	for name, tc := range map[string]struct {
		reason, account, step string
		want                  []string
	}{
		"Fits":    {"it would be accepted", "deployer", `{name: a, writes: [{operation: Apply, ` + object + `, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {other: v}}}]}`, nil},
		"Right":   {"the ServiceAccount may not", "blind", `{name: a, writes: [{operation: Apply, ` + object + `, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v}}}]}`, []string{"failed to apply ConfigMap", "cannot patch resource"}},
		"Schema":  {"there is no such field", "deployer", `{name: a, writes: [{operation: MergePatch, ` + object + `, fieldManager: m, body: {dota: {x: v}}}]}`, []string{"unknown field"}},
		"Typed":   {"nor in what is applied", "deployer", `{name: a, writes: [{operation: Apply, ` + object + `, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c, dota: {a: b}}}}]}`, []string{"field not declared in schema"}},
		"Missing": {"there is nothing to patch", "deployer", `{name: a, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: none}, fieldManager: m, body: {data: {x: v}}}]}`, []string{"not found"}},
		"Later":   {"what an earlier write makes cannot be tried", "deployer", `{name: a, writes: [{operation: Apply, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: new}, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: new}}}, {operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: new}, fieldManager: m, body: {data: {x: v}}}]}`, nil},
		"Namespace": {"neither can what is in a namespace that an earlier write makes", "deployer", `{name: a, writes: [{operation: Apply, object: {apiVersion: v1, kind: Namespace, name: coming}, fieldManager: m, body: {apiVersion: v1, kind: Namespace, metadata: {name: coming}}}, {operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: coming, name: new}, fieldManager: m, body: {data: {x: v}}}]}`,
			[]string{"apply Namespace coming", "cannot patch resource", "apply ConfigMap"}[:2]},
		"Job": {"a Job is tried as well", "blind", `{name: a, writes: [{operation: CreateJob, object: {apiVersion: batch/v1, kind: Job, namespace: NS, name: j}, fieldManager: m, body: {apiVersion: batch/v1, kind: Job, metadata: {namespace: NS, name: j}}}]}`, []string{"cannot create resource"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, tc.step)
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: before}}`)
			p.record.Spec.ServiceAccountName = tc.account
			p.record.Spec.Steps = []v1alpha1.RenderedStep{*p.step}
			got := p.runner.Try(t.Context(), p.record, shown).Refusals
			if (len(got) > 0) != (len(tc.want) > 0) {
				t.Fatalf("%s: got %+v", tc.reason, got)
			}
			for _, words := range tc.want {
				if !strings.Contains(got[0].Message, words) {
					t.Errorf("%s: %q is not in %q", tc.reason, words, got[0].Message)
				}
			}
			if data := p.data(); data["x"] != "before" {
				t.Errorf("something was stored: %v", data)
			}
		})
	}
}

// TestUntried names what could not be tried, and why: silence would look like an answer.
func TestUntried(t *testing.T) {
	apply := func(step, name string) string {
		return `{name: ` + step + `, writes: [{operation: Apply, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: ` + name + `}, fieldManager: m,
			body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: ` + name + `}, data: {x: v}}}]}`
	}
	const (
		kind = `{name: kind, writes: [{operation: Apply, object: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, name: things.example.com}, fieldManager: m,
			body: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.example.com}}}]}`
		drop   = `{name: drop, writes: [{operation: Delete, object: {apiVersion: v1, kind: Namespace, name: NS}, fieldManager: m, body: {}}]}`
		scale  = `{name: scale, writes: [{operation: Delete, object: {apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, namespace: NS, name: c}, fieldManager: m, body: {}}]}`
		scaler = `{name: scaler, writes: [{operation: MergePatch, object: {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, namespace: NS, name: c}, fieldManager: m, body: {spec: {maxReplicas: 1}}}]}`
		thing  = `{name: thing, writes: [{operation: Apply, object: {apiVersion: example.com/v1, kind: Thing, namespace: NS, name: t}, fieldManager: m,
			body: {apiVersion: example.com/v1, kind: Thing, metadata: {namespace: NS, name: t}}}]}`
		job = `{name: job, writes: [{operation: CreateJob, object: {apiVersion: batch/v1, kind: Job, namespace: NS, name: j}, fieldManager: m,
			body: {apiVersion: batch/v1, kind: Job, metadata: {namespace: NS, name: j}}}]}`
		call = `{name: call, http: {method: POST, url: "https://host.example", idempotencyKey: k}}`
		bind = `{name: bind, writes: [{operation: Apply, object: {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, namespace: NS, name: b}, fieldManager: m,
			body: {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: NS, name: b}}}]}`
		missing = `{name: missing, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: none}, fieldManager: m, body: {data: {x: v}}}]}`
		right   = `{name: right, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ServiceAccount, namespace: NS, name: default}, fieldManager: m, body: {metadata: {labels: {x: v}}}}]}`
		invalid = `{name: invalid, writes: [{operation: Apply, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m,
			body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, dota: {x: v}}}]}`
	)
	for name, tc := range map[string]struct {
		reason         string
		steps, finally []string
		over           bool
		want           []string
	}{
		"Tried":     {"nothing is to be told", []string{apply("a", "c"), apply("b", "d")}, []string{apply("end", "e")}, false, nil},
		"Condition": {"it may never run", []string{apply("a, when: 'true'", "c")}, nil, false, []string{"a: it runs only when its condition holds then"}},
		"Again":     {"it will find what the first has made", []string{apply("a", "c"), apply("b", "c")}, nil, false, []string{"b: it cannot be tried before step a has run"}},
		"Finally":   {"so is what runs at the end", []string{apply("a", "c")}, []string{apply("end", "c")}, false, []string{"end: it cannot be tried before step a has run"}},
		"Dropped":   {"it goes with its namespace", []string{drop, apply("a", "c")}, nil, false, []string{"a: it cannot be tried before step drop has run"}},
		"Version":   {"it is the same by another version", []string{scale, scaler}, nil, false, []string{"scaler: it cannot be tried before step scale has run"}},
		"Kind":      {"nobody serves such a kind yet", []string{kind, thing}, nil, false, []string{"thing: it cannot be tried before step kind has run"}},
		"Job": {"it may make what is missing, and give rights, but not make valid what is sent", []string{job, missing, right, invalid}, nil, false,
			[]string{"missing: it cannot be tried before step job has run", "right: it cannot be tried before step job has run"}},
		"Call": {"so may a call", []string{call, missing, right}, nil, false,
			[]string{"missing: it cannot be tried before step call has run", "right: it cannot be tried before step call has run"}},
		"Rights":    {"a right may come, and nothing else", []string{bind, missing, right}, nil, false, []string{"right: it cannot be tried before step bind has run"}},
		"Look":      {"a call that changes nothing gives none", []string{strings.Replace(call, "POST", "GET", 1), missing, right}, nil, false, nil},
		"Elsewhere": {"nor does a right in another place", []string{strings.ReplaceAll(bind, "namespace: NS", "namespace: default"), right}, nil, false, nil},
		"None":      {"nothing comes", []string{apply("a", "d"), missing, right}, nil, false, nil},
		"Time": {"what takes too long is no answer", []string{apply("a", "c"), apply("b", "d")}, nil, true,
			[]string{"a: the API server gave no answer in time", "b: the API server gave no answer in time"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, apply("a", "c"))
			p.record.Spec.Steps, p.record.Spec.Finally = p.rendered(tc.steps), p.rendered(tc.finally)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.over {
				cancel()
			}
			var got []string
			for _, untried := range p.runner.Try(ctx, p.record, shown).Untried {
				got = append(got, untried.Step+": "+untried.Why)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// rendered reads several steps.
func (p *play) rendered(sources []string) []v1alpha1.RenderedStep {
	p.t.Helper()
	out := make([]v1alpha1.RenderedStep, len(sources))
	for i, source := range sources {
		if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(source, "NS", p.namespace)), &out[i]); err != nil {
			p.t.Fatal(err)
		}
	}
	return out
}

// TestFinallyIsTried: what would be refused at the end is told as well.
func TestFinallyIsTried(t *testing.T) {
	p := newPlay(t, `{name: end, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: none}, fieldManager: m, body: {data: {x: v}}}]}`)
	p.record.Spec.ServiceAccountName = "deployer"
	p.record.Spec.Steps, p.record.Spec.Finally = nil, []v1alpha1.RenderedStep{*p.step}
	got := p.runner.Try(t.Context(), p.record, shown)
	if len(got.Refusals) != 1 || !strings.Contains(got.Refusals[0].Message, "not found") {
		t.Errorf("got %+v", got)
	}
}

// TestDryRunIsNoOracle: whoever writes a guess does not learn from a dry run whether it is right, whatever the API server answers. That a right is missing
// says nothing of the guess.
func TestDryRunIsNoOracle(t *testing.T) {
	const object = `object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m`
	for name, tc := range map[string]struct {
		write, account string
		told           bool
	}{
		"Test":      {`operation: JSONPatch, ` + object + `, body: [{op: test, path: /data/x, value: GUESS}]`, "deployer", false},
		"Conflict":  {`operation: Apply, ` + object + `, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: GUESS}}`, "deployer", false},
		"Immutable": {`operation: MergePatch, ` + object + `, body: {data: {x: GUESS}}`, "deployer", false},
		"Right":     {`operation: MergePatch, ` + object + `, body: {data: {x: GUESS}}`, "blind", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, strings.ReplaceAll("{name: a, writes: [{"+tc.write+"}]}", "GUESS", "right"))
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: right}, immutable: ` + strconv.FormatBool(name == "Immutable") + `}`)
			p.record.Spec.ServiceAccountName = tc.account
			var got []Trial
			for _, guess := range []string{"right", "wrong"} {
				p.record.Spec.Steps = p.rendered([]string{strings.ReplaceAll("{name: a, writes: [{"+tc.write+"}]}", "GUESS", guess)})
				trial := p.runner.Try(t.Context(), p.record, func(string, *v1alpha1.RenderedWrite) bool { return true })
				for i := range trial.Refusals {
					trial.Refusals[i].Write = nil // what is sent is the guess
				}
				got = append(got, trial)
			}
			if diff := cmp.Diff(got[0], got[1]); diff != "" {
				t.Errorf("what is told differs with the guess (-right +wrong):\n%s", diff)
			}
			if trial := got[0]; len(trial.Answered) > 0 || (len(trial.Refusals) == 1) != tc.told || (len(trial.Untried) == 1) == tc.told {
				t.Errorf("got %+v", trial)
			}
		})
	}
}
