// Package secrets runs steps of every kind that touch Secrets, well and badly, and then looks for what is in them wherever Signoff writes.
package secrets

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/internal/tracing"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/test/receivers"
	"github.com/signoff-dev/signoff/test/system"
)

const (
	// token and signing are sent to a host, and old is in Secrets that steps write.
	token   = "hunter2/t0ken+zq8w"
	signing = "c2lnbi13aXRoLXRoaXMtb25lLWh1bnRlcjM="
	old     = "hunter4-0ld-v4lue"
)

// everything is what may be found nowhere.
func everything() map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{"token": token, "signing key": signing, "old value": old} {
		out[name] = value
		out[name+" in base64"] = strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(value)), "=")
		out[name+" in a URL"] = url.QueryEscape(value)
	}
	decoded, err := base64.StdEncoding.DecodeString(signing)
	if err != nil {
		panic(err)
	}
	out["decoded signing key"] = string(decoded)
	return out
}

var (
	world    = &play.Play{}
	log      = &syncBuffer{}
	evidence string
	host     = httptest.NewTLSServer(http.HandlerFunc(repeat))
	traces   = receivers.NewTraces()
	bus      = receivers.NewHTTP()
	tracer   *tracing.Tracer
)

// syncBuffer is a log that several write to.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// repeat is a host that gives everything back that it was sent, in several ways. By its path it says how the call ended.
func repeat(w http.ResponseWriter, r *http.Request) {
	sent := r.Header.Get("Authorization")
	value := strings.TrimPrefix(sent, "Bearer ")
	w.Header().Set("X-Request-Id", sent)
	w.Header().Set("Location", "/at?token="+url.QueryEscape(value))
	switch {
	case strings.HasPrefix(r.URL.Path, "/dies"):
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(r.URL.Path, "/garbles"):
		garble(w, sent)
		return
	case strings.HasPrefix(r.URL.Path, "/refused"):
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
	body, _ := io.ReadAll(r.Body)
	text, err := json.Marshal(map[string]any{
		"you": sent, "basic": base64.StdEncoding.EncodeToString([]byte("user:" + value)), "alone": base64.StdEncoding.EncodeToString([]byte(value)),
		"query": url.QueryEscape(value), "body": string(body), "number": value,
	})
	if err == nil {
		_, _ = w.Write(text)
	}
}

// garble answers with a header that is none: the error about it quotes the line.
func garble(w http.ResponseWriter, line string) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer func() { _ = connection.Close() }()
	_, _ = fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", line)
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(zap.New(zap.UseDevMode(true), zap.WriteTo(log)))
	var err error
	if evidence, err = os.MkdirTemp("", "signoff-secrets-"); err == nil {
		defer func() { _ = os.RemoveAll(evidence) }()
		tracer, err = tracing.Start(context.Background(), tracing.Options{Endpoint: traces.URL, Ratio: 1, Service: "signoff"}, ctrl.Log)
	}
	if err == nil {
		parts := setup.Everything()
		parts.Traces = tracer
		err = world.Start(context.Background(), &play.Options{
			Env: env.Options{CRDs: true, Nodes: true}, System: system.Options{Configure: configure, Parts: parts},
			Accounts: []string{"deployer", "planner"}, World: "test/secrets/testdata/world.yaml",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer world.Stop()
	return m.Run()
}

func configure(cfg *config.Configuration) {
	ports := []int{host.Listener.Addr().(*net.TCPAddr).Port, bus.Port()}
	cfg.Egress.Hosts = []config.EgressHost{{Host: "127.0.0.1", Ports: ports, Networks: []string{"127.0.0.0/8"}}}
	cfg.Audit.InputValues = true
	cfg.Audit.Sinks = []config.AuditSink{{File: &config.AuditFile{Path: filepath.Join(evidence, "audit.jsonl")}}}
}

// secret makes a Secret with an old value.
func secret(t *testing.T, name string) {
	t.Helper()
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "vault", Name: name}, StringData: map[string]string{"password": old, "other": old}}
	if err := world.Admin(t).Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// before is what some Actions have that is done before anybody is asked: what hosts say decides, and is shown.
var before = map[string]struct{ lookups, plan string }{
	"named": {lookups: `inputs: {openAPIV3Schema: {type: object, required: [secretName], properties: {secretName: {type: string, maxLength: 63}}}}`},
	"judged": {lookups: `lookups: [{as: said, http: {url: "URL/ok", headers: [{name: Authorization, prefix: "Bearer ", secret: {name: calls, key: token}}], caBundle: BUNDLE, ` +
		`maxAge: 5m, value: response.body.you, schema: {type: string, maxLength: 200}}}]
  rules: [{name: r, when: "said.contains('none')", effect: Deny}, {name: s, when: "said.startsWith('Bearer')", effect: RequireApproval, stages: [s], message: what the host says}]`},
	"planned": {plan: `plan: {serviceAccountName: planner, steps: [{name: p, http: {method: GET, url: "URL/ok", headers: [{name: Authorization, prefix: "Bearer ", secret: {name: calls, key: token}}], ` +
		`caBundle: BUNDLE}, outputs: [{name: you, expression: response.body.you, schema: {type: string, maxLength: 200}}, {name: basic, expression: response.body.basic, schema: {type: string, maxLength: 200}}]}]}`},
}

// given are inputs that some Actions are asked with.
var given = map[string]string{"named": `{"secretName":"named"}`}

// asked applies an Action with these steps, asks for it, and approves it.
func asked(t *testing.T, name, duration, steps string) *v1alpha1.ActionRequest {
	t.Helper()
	bundle := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: host.Certificate().Raw})), "\n", "\\n")
	temporary := ""
	if duration != "" {
		temporary = "temporary: {defaultDuration: " + duration + ", maxDuration: 1h}"
	}
	text := strings.NewReplacer("NAME", name, "TEMPORARY", temporary, "LOOKUPS", before[name].lookups, "BEFORE", before[name].plan, "STEPS", steps).Replace(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: NAME}
spec:
  title: NAME
  default: {effect: RequireApproval, stages: [s]}
  stages: [{name: s, approvers: {users: [bob]}}]
  TEMPORARY
  LOOKUPS
  execution:
    serviceAccountName: deployer
    readServiceAccountName: deployer
    timeout: 5s
    BEFORE
    steps:
    STEPS
`)
	text = strings.NewReplacer("URL", host.URL, "BUNDLE", `"`+bundle+`"`).Replace(text)
	if err := world.Cluster.Apply(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	r := play.Request(name, cmp.Or(given[name], "{}"))
	play.Eventually(t, "what is said by a host that is asked only now", func() (bool, string) {
		err := play.As(t, world.Users.Alice).Create(t.Context(), r.DeepCopy(), client.DryRunAll)
		return err == nil || !strings.Contains(err.Error(), "lookup said"), fmt.Sprint(err)
	})
	play.Ask(t, world.Users.Alice, r)
	approval := &world.ApprovalsOf(t, r, 1)[0]
	if err := play.Vote(t, world.Users.Bob, approval, v1alpha1.DecisionApprove, "go on"); err != nil {
		t.Fatal(err)
	}
	return r
}

const call = `{method: POST, url: "URL/PATH", body: {a: b}, caBundle: BUNDLE, headers: [{name: Authorization, prefix: "Bearer ", secret: {name: calls, key: token}}], sign: {name: calls, key: signing}FURTHER}`

func callOf(path, further string) string {
	return strings.NewReplacer("PATH", path, "FURTHER", further).Replace(call)
}

// notified makes Notifiers that tell everything there is to tell, in the words of Signoff and in those of a request.
func notified(t *testing.T) {
	t.Helper()
	message := "message: {title: '${request.name}', text: '${event.title} ${event.text} ${request.reason}'}"
	for name, words := range map[string]string{"plain": "", "worded": message} {
		object := &v1alpha1.Notifier{}
		err := yaml.Unmarshal([]byte(strings.NewReplacer("NAME", name, "URL", bus.URL, "MESSAGE", words).Replace(`
metadata: {namespace: signoff-system, name: NAME}
spec:
  channels: [{name: bus, cloudEvents: {url: "URL/NAME"}}]
  routes: [{events: [Requested, ApprovalNeeded, Voted, ApprovalClosed, Executing, OutcomeUnknown, Active, Reverting, Succeeded, Failed, Reverted], to: [{channel: bus}], MESSAGE}]
`)), object)
		if err != nil {
			t.Fatal(err)
		}
		object.Spec.Channels[0].CloudEvents.CABundle = bus.Bundle()
		if err := world.Admin(t).Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// told is what was sent to people, of every end there is.
func told(t *testing.T, out map[string]string) {
	t.Helper()
	for _, path := range []string{"/plain", "/worded"} {
		play.Eventually(t, "what is told at "+path, func() (bool, string) {
			all := fmt.Sprint(bus.Calls(path))
			return strings.Contains(all, "succeeded") && strings.Contains(all, "failed") && strings.Contains(all, "outcomeunknown"), fmt.Sprint(len(bus.Calls(path)))
		})
	}
	for i, call := range bus.Calls("") {
		out[fmt.Sprintf("what was told, %d", i)] = fmt.Sprint(call.Header, call.Body)
	}
}

// TestSecretsAreNowhere runs steps of every kind, and then looks everywhere.
func TestSecretsAreNowhere(t *testing.T) {
	calls := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "calls", Annotations: map[string]string{"signoff.dev/allowed-hosts": "127.0.0.1"}},
		StringData: map[string]string{"token": token, "signing": signing},
	}
	if err := world.Admin(t).Create(t.Context(), calls); err != nil {
		t.Fatal(err)
	}
	notified(t)
	for name, tc := range map[string]struct {
		reason, steps string
		duration      string
		phase         v1alpha1.Phase
	}{
		"call": {"what a host gives back is stored", `- {name: a, http: ` + callOf("ok", "") + `, outputs: [` +
			`{name: you, expression: response.body.you, schema: {type: string, maxLength: 200}}, {name: basic, expression: response.body.basic, schema: {type: string, maxLength: 200}},` +
			`{name: alone, expression: response.body.alone, schema: {type: string, maxLength: 200}}, {name: query, expression: response.body.query, schema: {type: string, maxLength: 200}},` +
			`{name: head, expression: "response.headers['x-request-id'] + response.headers['location']", schema: {type: string, maxLength: 300}}]}`, "", v1alpha1.PhaseSucceeded},
		"call-refused": {"the answer is told", `- {name: a, http: ` + callOf("refused", "") + `}`, "", v1alpha1.PhaseFailed},
		"call-error":   {"an error of an expression tells the value", `- {name: a, http: ` + callOf("ok", `, success: "int(response.body.number) > 1"`) + `}`, "", v1alpha1.PhaseOutcomeUnknown},
		"call-poll": {"where it is asked is stored, and what it waits for", `- {name: a, http: ` + callOf("ok",
			`, poll: {url: "URL/ok/${response.body.query}/${response.body.basic}", every: 1s, until: "int(response.body.alone) > 1"}`) + `}`, "", v1alpha1.PhaseFailed},
		"call-dies":         {"nobody knows, and the error is told", `- {name: a, http: ` + callOf("dies", "") + `}`, "", v1alpha1.PhaseOutcomeUnknown},
		"call-garbled":      {"the error quotes what the host gave back", `- {name: a, http: ` + callOf("garbles", "") + `}`, "", v1alpha1.PhaseOutcomeUnknown},
		"call-garbled-once": {"as above, each time that it is sent", `- {name: a, http: ` + callOf("garbles", ", idempotent: true") + `}`, "", v1alpha1.PhaseOutcomeUnknown},
		"call-garbled-get": {"as above", `- {name: a, http: {method: GET, url: "URL/garbles", caBundle: BUNDLE, headers: [{name: Authorization, prefix: "Bearer ", secret: {name: calls, key: token}}]}}`,
			"", v1alpha1.PhaseFailed},
		"call-garbled-poll": {"as above", `- {name: a, http: ` + callOf("ok", `, poll: {url: "URL/garbles", every: 1s, until: "true"}`) + `}`, "", v1alpha1.PhaseFailed},
		"apply":             {"over an old value", `- {name: a, apply: {conflicts: Take, manifests: [{apiVersion: v1, kind: Secret, metadata: {namespace: vault, name: apply}, stringData: {password: new}}]}}`, "", v1alpha1.PhaseSucceeded},
		"apply-conflict": {"what is in the way is told", `- {name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {namespace: vault, name: apply-conflict}, data: {password: bmV3}}]}}`,
			"", v1alpha1.PhaseFailed},
		"strategic": {"over an old value", `- {name: a, patch: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: strategic}, strategic: {data: {password: bmV3}}}}`, "", v1alpha1.PhaseSucceeded},
		"merge":     {"over an old value", `- {name: a, patch: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: merge}, merge: {data: {password: bmV3, other: null}}}}`, "", v1alpha1.PhaseSucceeded},
		"merge-bad": {"what the API server says is told", `- {name: a, patch: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: merge-bad}, merge: {type: other}}}`, "", v1alpha1.PhaseFailed},
		"json": {"moved and copied", `- {name: a, patch: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: json}, json: [{op: copy, from: /data/password, path: /data/third}, {op: remove, path: /data/other}]}}`,
			"", v1alpha1.PhaseSucceeded},
		"json-test": {"a test that fails", `- {name: a, patch: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: json-test}, json: [{op: test, path: /data/password, value: bm8=}]}}`, "", v1alpha1.PhaseFailed},
		"delete":    {"what is deleted is shown", `- {name: a, delete: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: delete}}}`, "", v1alpha1.PhaseSucceeded},
		"job": {"a copied pod names it", `- {name: a, job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: vault, name: reads}, command: [run]}}`, "",
			v1alpha1.PhaseSucceeded},
		"named": {"an input names it, and nobody but the Job reads it", `- {name: a, job: {namespace: vault, template: {spec: {containers: [` +
			`{name: app, image: app, env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: "${inputs.secretName}", key: password}}}]}]}}}}`, "", v1alpha1.PhaseSucceeded},
		"judged": {"what a host says decides", `- {name: a, delete: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: judged}}}`, "", v1alpha1.PhaseSucceeded},
		"planned": {"what a host says is shown to whoever agrees", `- {name: a, http: ` + strings.Replace(callOf("ok", ""), "b}", `"${steps.p.outputs.you}"}`, 1) + `}`,
			"", v1alpha1.PhaseSucceeded},
		"lent": {"old values would have to be stored", `- {name: a, patch: {target: {apiVersion: v1, kind: Secret, namespace: vault, name: lent}, merge: {data: {password: bmV3}}}}`, "30m", v1alpha1.PhaseFailed},
	} {
		t.Run(name, func(t *testing.T) {
			secret(t, name)
			live := world.Reaches(t, asked(t, name, tc.duration, tc.steps), tc.phase)
			if gave := statusOf(t, live); (name == "call" || name == "planned") && !strings.Contains(gave, "(secret)") {
				t.Errorf("%s: the host did not give it back: %s", tc.reason, gave)
			}
			if name == "named" {
				reads(t, name)
			}
		})
	}
	found := 0
	for where, text := range everywhere(t) {
		found++
		for what, value := range everything() {
			if at := strings.Index(text, value); at >= 0 {
				t.Errorf("the %s is in %s: …%s…", what, where, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d places were looked at", found)
	}
}

// reads demands that a Job reads a Secret.
func reads(t *testing.T, secret string) {
	t.Helper()
	jobs := &batchv1.JobList{}
	if err := world.Admin(t).List(t.Context(), jobs, client.InNamespace("vault")); err != nil {
		t.Fatal(err)
	}
	for i := range jobs.Items {
		for _, variable := range jobs.Items[i].Spec.Template.Spec.Containers[0].Env {
			if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil && from.SecretKeyRef.Name == secret && from.SecretKeyRef.Key == "password" {
				return
			}
		}
	}
	t.Errorf("no Job reads Secret %s", secret)
}

// everywhere is all that Signoff wrote, by where it is.
func everywhere(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	told(t, out)
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out["the log"], out["the traces"], out["the metrics"] = log.String(), traced(t), fmt.Sprint(families)
	for _, kind := range []schema.GroupVersionKind{
		v1alpha1.GroupVersion.WithKind("ActionRequest"), v1alpha1.GroupVersion.WithKind("Approval"), v1alpha1.GroupVersion.WithKind("Record"),
		v1alpha1.GroupVersion.WithKind("Action"), v1alpha1.GroupVersion.WithKind("Notifier"), {Group: "events.k8s.io", Version: "v1", Kind: "Event"}, {Group: "batch", Version: "v1", Kind: "Job"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := world.Admin(t).List(t.Context(), list, &client.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			text, err := list.Items[i].MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			out[fmt.Sprintf("%s %s", kind.Kind, list.Items[i].GetName())] = string(text)
		}
		if len(list.Items) == 0 {
			t.Errorf("there is no %s", kind.Kind)
		}
	}
	file, err := os.ReadFile(filepath.Join(evidence, "audit.jsonl"))
	if err != nil || len(file) == 0 {
		t.Fatalf("there is no audit log: %v", err)
	}
	out["the audit log"] = string(file)
	// What is sealed is in the log a second time, in base64.
	for i, part := range strings.Split(string(file), `"`) {
		if decoded, err := base64.StdEncoding.DecodeString(part); err == nil && len(part) > 100 {
			out[fmt.Sprintf("the audit log, part %d", i)] = string(decoded)
		}
	}
	return out
}

// traced is what was sent to the collector of traces, which must be something.
func traced(t *testing.T) string {
	t.Helper()
	if err := tracer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, span := range traces.Spans() {
		text.WriteString(span.String() + "\n")
	}
	for _, want := range []string{"admit /mutate/actionrequests", "admit /validate/approvals", "reconcile ActionRequest", "update actionrequests/status"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("there is no span %q", want)
		}
	}
	return text.String()
}

func statusOf(t *testing.T, request *v1alpha1.ActionRequest) string {
	t.Helper()
	text, err := json.Marshal(request.Status)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
