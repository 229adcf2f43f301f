package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/policytest"
	"github.com/signoff-dev/signoff/test/env"
)

// Times at which requests are judged.
const (
	noon      = "2026-11-23T12:00:00Z"
	night     = "2026-11-23T23:00:00Z"
	christmas = "2026-12-24T12:00:00Z"
)

// situation is a request, when it is asked, and what is known without a cluster of what RBAC would tell.
type situation struct {
	spec, at string
	offline  map[string]any
}

func deploy(inputs string) string {
	return `{"actionRef": {"namespace": "platform", "name": "deploy"}, "inputs": ` + inputs + `}`
}

const emergency = `{"actionRef": {"namespace": "platform", "name": "deploy"}, "inputs": {"service": "checkout"}, "breakGlass": {"reason": "down"}}`

func scale(replicas string) string {
	return `{"actionRef": {"namespace": "platform", "name": "scale"}, "inputs": {"replicas": ` + replicas + `}}`
}

var noNodes = map[string]any{"unreadable": []any{map[string]any{"apiVersion": "v1", "kind": "Node"}}}

var situations = map[string]situation{
	"in hours":        {deploy(`{"service": "checkout"}`), noon, nil},
	"at night":        {deploy(`{"service": "checkout"}`), night, nil},
	"production":      {deploy(`{"service": "checkout", "environment": "production", "replicas": 7}`), noon, nil},
	"no such service": {deploy(`{"service": "nothing"}`), noon, nil},
	"bad input":       {deploy(`{"service": "checkout", "environment": "prod", "extra": 1}`), noon, nil},
	"missing input":   {deploy(`{}`), noon, nil},
	"Christmas":       {deploy(`{"service": "checkout"}`), christmas, nil},
	"emergency":       {emergency, christmas, nil},
	"no such Action":  {`{"actionRef": {"namespace": "platform", "name": "deplyo"}}`, noon, nil},
	"bad request":     {`{"actionRef": {"namespace": "platform", "name": "deploy"}, "reason": "` + strings.Repeat("x", 2000) + `"}`, noon, nil},
	"within":          {scale("2"), noon, nil},
	"beyond":          {scale("20"), noon, nil},
	"blind":           {`{"actionRef": {"namespace": "platform", "name": "blind"}}`, noon, noNodes},
}

// person is somebody with the groups that a test file must name, in the order in which a certificate has them, and what they could write.
type person struct {
	login    *env.Person
	groups   []string
	writable []any
}

func people() map[string]person {
	quota := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "namespace": "limits", "name": "quota"}
	return map[string]person{
		"alice":   {login: &users.Alice, groups: []string{env.GroupPayments, env.GroupEngineering}},
		"bob":     {login: &users.Bob, groups: []string{env.GroupPayments, env.GroupEngineering}},
		"erin":    {login: &users.Erin, groups: []string{env.GroupSearch, env.GroupEngineering}, writable: []any{quota}},
		"mallory": {login: &users.Mallory},
		"agent":   {login: &users.Agent},
	}
}

// TestSameVerdict asks for every situation as everybody in three ways: a policy test without a cluster, kubectl signoff explain, and a dry run as
// kubectl create --dry-run=server makes it. All must say the same.
func TestSameVerdict(t *testing.T) {
	offline := judgeOffline(t)
	inForce(t)
	for who, person := range people() {
		for what, s := range situations {
			name := who + ", " + what
			t.Run(name, func(t *testing.T) {
				explained := explain(t, *person.login, s)
				if diff := cmp.Diff(normal(offline[name]), normal(&explained.Explanation), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("-test, +explain:\n%s", diff)
				}
				dryRun(t, *person.login, s, explained)
			})
		}
	}
}

// normal leaves out what differs for good reasons: versions of facts, and the hint where to find an example, which only a cluster has.
func normal(e *gate.Explanation) *gate.Explanation {
	if e == nil {
		return nil
	}
	out := *e
	if e.Verdict != nil {
		out.Verdict = e.Verdict.DeepCopy()
		for i := range out.Verdict.Facts {
			out.Verdict.Facts[i].Version = ""
		}
	}
	out.Errors = slices.DeleteFunc(slices.Clone(e.Errors), func(line string) bool { return strings.Contains(line, "a working example") })
	slices.Sort(out.Errors)
	// A ServiceAccount that may not read says so in other words than a test.
	out.Message, _, _ = strings.Cut(out.Message, ": failed to")
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	again := &gate.Explanation{}
	if err := json.Unmarshal(text, again); err != nil {
		panic(err)
	}
	return again
}

// judgeOffline makes a test file of all situations, and gives the verdicts by name.
func judgeOffline(t *testing.T) map[string]*gate.Explanation {
	t.Helper()
	path, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var cases []any
	for who, person := range people() {
		for what, s := range situations {
			c := map[string]any{
				"name": who + ", " + what, "now": s.at, "expect": map[string]any{"effect": "Deny"},
				"requester": map[string]any{"username": person.login.Name, "groups": person.groups}, "writable": person.writable,
				"request": map[string]any{"metadata": map[string]any{"namespace": env.WorkNamespace, "name": "same"}, "spec": json.RawMessage(s.spec)},
			}
			for key, value := range s.offline {
				c[key] = value
			}
			cases = append(cases, c)
		}
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": policytest.APIVersion, "kind": policytest.Kind, "cases": cases,
		"objects": []string{filepath.Join(path, filepath.Base(world))}, "configuration": filepath.Join(path, filepath.Base(configuration)),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "same_test.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := (&policytest.Runner{Clock: clock.RealClock{}}).Run(t.Context(), []string{file})
	if err != nil || len(report.Files[0].Problems)+len(report.Files[0].Refusals) > 0 {
		t.Fatal(err, report.Files[0].Problems, report.Files[0].Refusals)
	}
	verdicts := map[string]*gate.Explanation{}
	for i := range report.Files[0].Cases {
		verdicts[report.Files[0].Cases[i].Name] = report.Files[0].Cases[i].Observed.Explanation
	}
	return verdicts
}

// inForce waits until the webhook knows all objects: those that were applied last included.
func inForce(t *testing.T) {
	t.Helper()
	eventually(t, "a verdict on everything", func() (bool, string) {
		night := explain(t, users.Bob, situation{spec: emergency, at: christmas})
		blind := explain(t, users.Alice, situations["blind"])
		return night.Allowed && night.Verdict != nil && blind.Reason == v1alpha1.ReasonFactsUnavailable, fmt.Sprintf("%+v\n%+v", night.Explanation, blind.Explanation)
	})
}

func requestText(s situation) string {
	return `{"apiVersion": "signoff.dev/v1alpha1", "kind": "ActionRequest", "metadata": {"namespace": "` + env.WorkNamespace + `", "name": "same"}, "spec": ` + s.spec + `}`
}

// explain asks by kubectl signoff explain.
func explain(t *testing.T, who env.Person, s situation) *cli.Explained {
	t.Helper()
	answer := kubectl(t, who, requestText(s), "explain", "-f", "-", "-o", "json", "--at", s.at)
	out := &cli.Explained{}
	if err := json.Unmarshal([]byte(answer.stdout), out); err != nil {
		t.Fatalf("failed to read the answer: %v\nstdout: %s\nstderr: %s", err, answer.stdout, answer.stderr)
	}
	want := 0
	if !out.Allowed {
		want = 1
	}
	if answer.exit != want {
		t.Errorf("the exit code is %d, want %d", answer.exit, want)
	}
	if out.Requester.Username != who.Name {
		t.Errorf("it was asked as %s, not as %s", out.Requester.Username, who.Name)
	}
	return out
}

// dryRun asks as kubectl create --dry-run=server does, and compares the answer with that of explain.
func dryRun(t *testing.T, who env.Person, s situation, explained *cli.Explained) {
	t.Helper()
	request := &v1alpha1.ActionRequest{}
	if err := yaml.Unmarshal([]byte(requestText(s)), request); err != nil {
		t.Fatal(err)
	}
	request.Annotations = map[string]string{v1alpha1.AnnotationAt: s.at}
	err := as(t, who).Create(t.Context(), request, client.DryRunAll)
	if explained.Allowed != (err == nil) {
		t.Fatalf("explain says that it is allowed: %t; the dry run answers: %v", explained.Allowed, err)
	}
	if err == nil {
		verdict := &gate.Explanation{}
		if err := json.Unmarshal([]byte(request.Annotations[v1alpha1.AnnotationVerdict]), verdict); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(normal(verdict), normal(&explained.Explanation), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("-dry run, +explain:\n%s", diff)
		}
		return
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		t.Fatal(err)
	}
	want := metav1.StatusReasonForbidden
	if explained.Reason == v1alpha1.ReasonInvalid {
		want = metav1.StatusReasonInvalid
	}
	if status.Status().Reason != want {
		t.Errorf("the dry run is refused as %s, want %s: %v", status.Status().Reason, want, err)
	}
	for _, text := range append(slices.Clone(explained.Errors), strings.Split(explained.Message, "\n")...) {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the dry run does not say %q:\n%v", text, err)
		}
	}
}
