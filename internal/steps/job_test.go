package steps

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const source = `
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: production, name: checkout}
spec:
  selector: {matchLabels: {app: checkout}}
  template:
    metadata:
      labels: {app: checkout, team: payments}
      annotations: {vault.example/inject: "true", kubectl.kubernetes.io/restartedAt: now}
    spec:
      serviceAccountName: checkout
      hostname: one
      nodeName: node-1
      restartPolicy: Always
      securityContext: {runAsNonRoot: true}
      imagePullSecrets: [{name: registry}]
      nodeSelector: {disk: ssd}
      tolerations: [{key: a, operator: Exists}]
      affinity:
        nodeAffinity: {x: 1}
        podAntiAffinity: {y: 1}
      topologySpreadConstraints: [{maxSkew: 1}]
      volumes: [{name: cache, emptyDir: {}}]
      initContainers:
      - {name: migrate, image: init:1, ports: [{containerPort: 1}], terminationMessagePolicy: FallbackToLogsOnError}
      - {name: proxy, image: proxy:1, restartPolicy: Always, startupProbe: {tcpSocket: {port: 1}}}
      containers:
      - name: app
        image: checkout:1.41
        command: [serve]
        args: [--port, "80"]
        env: [{name: A, value: b}]
        envFrom: [{secretRef: {name: db}}]
        resources: {limits: {cpu: "1"}}
        securityContext: {readOnlyRootFilesystem: true}
        volumeMounts: [{name: cache, mountPath: /c}, {name: claim, mountPath: /d}]
        ports: [{containerPort: 80}]
        livenessProbe: {httpGet: {port: 80}}
        readinessProbe: {httpGet: {port: 80}}
        startupProbe: {httpGet: {port: 80}}
        lifecycle: {preStop: {sleep: {seconds: 1}}}
        stdin: true
        tty: true
        terminationMessagePolicy: FallbackToLogsOnError
      - {name: sidecar, image: sidecar:1}
`

// podFromStep copies the pod of the Deployment above.
func podFromStep(rest string) string {
	return `[{name: rake, timeout: 90s, job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: "${inputs.namespace}", name: "${inputs.name}"}, ` + rest + `}}]`
}

// renderJob renders the Job of a step that copies the pod.
func renderJob(t *testing.T, steps, source string, inputs map[string]any) (v1alpha1.RenderedWrite, error) {
	t.Helper()
	s, in := mustCompile(t, steps), input(inputs)
	refs, err := s.PodSources(context.Background(), in)
	if err != nil {
		return v1alpha1.RenderedWrite{}, err
	}
	in.Objects = map[v1alpha1.ObjectReference]*unstructured.Unstructured{}
	if source != "" {
		for _, ref := range refs {
			in.Objects[ref] = object(t, source)
		}
	}
	return renderOne(t, s, in)
}

// checkYAML compares JSON with YAML.
func checkYAML(t *testing.T, want string, got []byte) {
	t.Helper()
	var wantValue, gotValue any
	if err := yaml.Unmarshal([]byte(want), &wantValue); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(got, &gotValue); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantValue, gotValue); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPodFrom(t *testing.T) {
	got, err := renderJob(t, podFromStep(`command: [rake, "${inputs.text}"]`), source, map[string]any{"text": "db:$(SECRET)"})
	if err != nil {
		t.Fatal(err)
	}
	ref := v1alpha1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: "production", Name: "checkout-1-42-rake-40cd59ac"}
	if got.Object != ref || got.Operation != v1alpha1.WriteCreateJob || got.FieldManager != "signoff/platform/deploy/rake" {
		t.Errorf("got %+v", got)
	}
	checkYAML(t, `
apiVersion: batch/v1
kind: Job
metadata:
  namespace: production
  name: checkout-1-42-rake-40cd59ac
  labels: {signoff.dev/request-uid: 6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002, signoff.dev/step: rake}
  annotations: {signoff.dev/pod-from: Deployment production/checkout}
spec:
  backoffLimit: 0
  activeDeadlineSeconds: 90
  template:
    metadata:
      labels: {signoff.dev/request-uid: 6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002, signoff.dev/step: rake}
      annotations: {vault.example/inject: "true"}
    spec:
      serviceAccountName: checkout
      restartPolicy: Never
      securityContext: {runAsNonRoot: true}
      imagePullSecrets: [{name: registry}]
      nodeSelector: {disk: ssd}
      tolerations: [{key: a, operator: Exists}]
      affinity: {nodeAffinity: {x: 1}}
      volumes: [{name: cache, emptyDir: {}}]
      initContainers:
      - {name: migrate, image: init:1}
      - {name: proxy, image: proxy:1, restartPolicy: Always, startupProbe: {tcpSocket: {port: 1}}}
      containers:
      - name: app
        image: checkout:1.41
        command: [rake, "db:$$(SECRET)"]
        env: [{name: A, value: b}]
        envFrom: [{secretRef: {name: db}}]
        resources: {limits: {cpu: "1"}}
        securityContext: {readOnlyRootFilesystem: true}
        volumeMounts: [{name: cache, mountPath: /c}]
`, got.Body.Raw)
}

func TestPodFromVariants(t *testing.T) {
	cron := strings.NewReplacer("kind: Deployment", "kind: CronJob", "apps/v1", "batch/v1").Replace(`
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: production, name: checkout}
spec: {jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: app, image: nightly:1}]}}}}}`)
	for name, tc := range map[string]struct {
		reason  string
		steps   string
		source  string
		want    string
		wantErr string
	}{
		"Args":      {"a command stays if only arguments are given", podFromStep(`args: [--once]`), source, `"args":["--once"],"command":["serve"]`, ""},
		"Both":      {"both are replaced", podFromStep(`command: [a], args: [b]`), source, `"args":["b"],"command":["a"]`, ""},
		"Container": {"another container", podFromStep(`container: sidecar, command: [a]`), source, `"containers":[{"command":["a"],"image":"sidecar:1","name":"sidecar"}]`, ""},
		"Unknown":   {"no such container", podFromStep(`container: nope, command: [a]`), source, "", `there is no container "nope"; there are: app, sidecar`},
		"NotRead":   {"the caller could not read it", podFromStep(`command: [a]`), "", "", "Deployment production/checkout was not read"},
		"NoPod":     {"it is not what it says", podFromStep(`command: [a]`), `{apiVersion: apps/v1, kind: Deployment, metadata: {name: checkout}}`, "", "no pod to copy"},
		"CronJob":   {"the pod is deeper there", `[{name: a, job: {command: [x], podFrom: {apiVersion: batch/v1, kind: CronJob, namespace: production, name: checkout}}}]`, cron, `"image":"nightly:1"`, ""},
		"BadName":   {"a reference with a path in it", `[{name: a, job: {command: [x], podFrom: {apiVersion: batch/v1, kind: CronJob, namespace: "a-${inputs.name}-", name: checkout}}}]`, cron, "", "job.podFrom.namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderJob(t, tc.steps, tc.source, nil)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("%s: got error %v, want %q", tc.reason, err, tc.wantErr)
				}
				return
			}
			if err != nil || !strings.Contains(string(got.Body.Raw), tc.want) {
				t.Errorf("%s: want %s in:\n%s\nerror %v", tc.reason, tc.want, got.Body.Raw, err)
			}
		})
	}
}

// TestContainerOfTemplate: the Job says which container is that of the step only where it is not the first one, so that others are what people agreed to.
func TestContainerOfTemplate(t *testing.T) {
	for name, tc := range map[string]struct{ reason, container, want string }{
		"Unset":  {"the first one", "", `"metadata":{"labels":`},
		"First":  {"that is the first one", "container: main,", `"metadata":{"labels":`},
		"Second": {"nobody could tell otherwise", "container: audit,", `"metadata":{"annotations":{"signoff.dev/container":"audit"},"labels":`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderJob(t, `[{name: a, job: {namespace: production, `+tc.container+` command: [x], template: {spec: {containers: [{name: main, image: i}, {name: audit, image: j}]}}}}]`, "", nil)
			if raw := string(got.Body.Raw); err != nil || !strings.Contains(raw, `"kind":"Job",`+tc.want) {
				t.Errorf("%s: want %s in:\n%s\nerror %v", tc.reason, tc.want, raw, err)
			}
		})
	}
}

func TestPodSources(t *testing.T) {
	s := mustCompile(t, `[
		{name: a, job: {command: [x], podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: production, name: "${inputs.name}"}}},
		{name: b, job: {command: [x], podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: production, name: checkout}}},
		{name: c, patch: {merge: {a: 1}}},
		{name: d, job: {command: [x], podFrom: {apiVersion: batch/v1, kind: CronJob, namespace: production, name: nightly}}}]`)
	got, err := s.PodSources(context.Background(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.ObjectReference{
		{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "production", Name: "checkout"},
		{APIVersion: "batch/v1", Kind: "CronJob", Namespace: "production", Name: "nightly"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJobTemplate(t *testing.T) {
	template := func(namespace, rest string) string {
		return `[{name: run, waitFor: {expression: "has(object.status)"}, job: {namespace: ` + namespace + `, ` + rest + ` template: {metadata: {labels: {team: a, signoff.dev/step: forged}, annotations: {a: b}},
			spec: {containers: [{name: app, image: "tool:${inputs.text}", args: ["$(HOME)", "${inputs.text}"]}]}}}}]`
	}
	for name, tc := range map[string]struct {
		reason string
		steps  string
		want   string
	}{
		"Elsewhere": {"the ServiceAccount of the Action is not there", template("production", ""), `
spec:
  backoffLimit: 0
  activeDeadlineSeconds: 1800
  template:
    metadata:
      labels: {team: a, signoff.dev/request-uid: 6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002, signoff.dev/step: run}
      annotations: {a: b}
    spec:
      restartPolicy: Never
      containers: [{name: app, image: "tool:$(A)", args: ["$(HOME)", "$$(A)"]}]`},
		"Catalog": {"the executing ServiceAccount, whatever the template says; a replaced command", template("platform", `command: [tool, "${inputs.number}"],`), `
spec:
  backoffLimit: 0
  activeDeadlineSeconds: 1800
  template:
    metadata:
      labels: {team: a, signoff.dev/request-uid: 6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002, signoff.dev/step: run}
      annotations: {a: b}
    spec:
      restartPolicy: Never
      serviceAccountName: deployer
      containers: [{name: app, image: "tool:$(A)", command: [tool, "7"]}]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderOne(t, mustCompile(t, tc.steps), input(map[string]any{"text": "$(A)", "number": int64(7)}))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			namespace := "production"
			if name == "Catalog" {
				namespace = "platform"
			}
			checkYAML(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: checkout-1-42-run-346930c9, namespace: `+namespace+`, labels: {signoff.dev/request-uid: 6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002, signoff.dev/step: run}}}`,
				without(t, got.Body.Raw, "spec"))
			checkYAML(t, tc.want, only(t, got.Body.Raw, "spec"))
		})
	}
}

func without(t *testing.T, raw []byte, key string) []byte {
	t.Helper()
	u := object(t, string(raw))
	delete(u.Object, key)
	return marshal(t, u.Object)
}

func only(t *testing.T, raw []byte, key string) []byte {
	t.Helper()
	return marshal(t, map[string]any{key: object(t, string(raw)).Object[key]})
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	raw, err := encode(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw.Raw
}

func TestJobName(t *testing.T) {
	names := map[string]bool{}
	for _, uid := range []string{"a", "b"} {
		for _, step := range []string{"run", strings.Repeat("s", 30)} {
			for _, request := range []string{"r", strings.Repeat("r", 253), "a.b", "aaaaaaaaaaaaaaaaaaaaaaa.b"} {
				r := rendering{Input: Input{RequestName: request, RequestUID: uid}, step: step}
				name := r.jobName()
				if len(name) > 63 || strings.Contains(name, ".") || strings.Contains(name, "--") || names[name] {
					t.Errorf("request %q, step %q: %q is too long, not a label, or not the only one", request, step, name)
				}
				names[name] = true
			}
		}
	}
}

// TestFinallyHasItsTime: what runs at the end may take longer than all that was before, and a Job ends with its step.
func TestFinallyHasItsTime(t *testing.T) {
	const runs = `job: {namespace: a, template: {spec: {containers: [{name: c, image: c}]}}}`
	exec := &v1alpha1.Execution{ServiceAccountName: "deployer", Timeout: "2m",
		Steps:   *decode[[]v1alpha1.Step](t, `[{name: do, `+runs+`}]`),
		Finally: *decode[[]v1alpha1.Step](t, `[{name: own, timeout: 15m, `+runs+`}, {name: usual, `+runs+`}]`)}
	s, errs := Compile(exec, nil, compiler(t), field.NewPath("spec", "execution"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	rendered, err := s.Render(t.Context(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`"activeDeadlineSeconds":120,`, `"activeDeadlineSeconds":900,`, `"activeDeadlineSeconds":600,`} {
		if body := string(rendered[i].Writes[0].Body.Raw); !strings.Contains(body, want) {
			t.Errorf("step %s: want %s in\n%s", rendered[i].Name, want, body)
		}
	}
	exec.Steps[0].Timeout = "5m"
	_, errs = Compile(exec, nil, compiler(t), field.NewPath("spec", "execution"))
	checkErrors(t, errs, [][2]string{{"spec.execution.steps[0].timeout", "longer than the timeout of all steps"}})
}
