package plugin

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// admin prepares and looks; it never acts as a user would.
func admin(t *testing.T) client.WithWatch {
	t.Helper()
	return as(t, env.Person{Name: "admin", Config: cluster.Admin})
}

// stored reads a request.
func stored(t *testing.T, name string) *v1alpha1.ActionRequest {
	t.Helper()
	request := &v1alpha1.ActionRequest{}
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: env.WorkNamespace, Name: name}, request); err != nil {
		t.Fatal(err)
	}
	return request
}

// asked asks for a note by kubectl signoff.
func asked(t *testing.T, who env.Person, name string, args ...string) *v1alpha1.ActionRequest {
	t.Helper()
	inForce(t)
	answer := kubectl(t, who, "", append([]string{"request", "platform/note", "-n", env.WorkNamespace, "--name", name}, args...)...)
	answer.says(t, 0, "actionrequest.signoff.dev/"+name+" created\n")
	return stored(t, name)
}

// reaches waits for a phase.
func reaches(t *testing.T, name string, phase v1alpha1.Phase) {
	t.Helper()
	eventually(t, fmt.Sprintf("phase %s of %s", phase, name), func() (bool, string) {
		live := stored(t, name)
		return live.Status.Phase == phase, fmt.Sprintf("%s %+v", live.Status.Phase, live.Status.Conditions)
	})
}

// approvalOf waits for the Approval of a stage.
func approvalOf(t *testing.T, request, stage string) *v1alpha1.Approval {
	t.Helper()
	return approvalIn(t, env.WorkNamespace, request, stage)
}

func approvalIn(t *testing.T, namespace, request, stage string) *v1alpha1.Approval {
	t.Helper()
	var found *v1alpha1.Approval
	eventually(t, "the Approval "+stage+" of "+request, func() (bool, string) {
		list := &v1alpha1.ApprovalList{}
		if err := admin(t).List(t.Context(), list, client.InNamespace(namespace), client.MatchingFields{"spec.requestRef.name": request}); err != nil {
			return false, err.Error()
		}
		for i := range list.Items {
			if list.Items[i].Spec.Stage.Name == stage {
				found = &list.Items[i]
			}
		}
		return found != nil, fmt.Sprintf("%d Approvals", len(list.Items))
	})
	return found
}

func inputsOf(t *testing.T, request *v1alpha1.ActionRequest) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := json.Unmarshal(request.Spec.Inputs.Raw, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// TestRequest asks with typed inputs, and repeats what was asked.
func TestRequest(t *testing.T) {
	first := asked(t, users.Alice, "first", "text=7", "count=7", "tags=a", "tags=b", "level=high", "--reason", "they must know")
	want := map[string]any{"text": "7", "count": 7.0, "tags": []any{"a", "b"}, "level": "high"}
	if diff := cmp.Diff(want, inputsOf(t, first)); diff != "" {
		t.Errorf("the inputs (-want +got):\n%s", diff)
	}
	if first.Spec.Reason != "they must know" || first.Spec.Requester.Username != users.Alice.Name {
		t.Errorf("it was stored as %+v", first.Spec)
	}
	answer := kubectl(t, users.Carol, "", "request", "--from", "first", "-n", "payments", "text=other", "tags=c", "--name", "again")
	answer.says(t, 0, "actionrequest.signoff.dev/again created", `Warning: needs 1 approval in stage "owners"`)
	again := stored(t, "again")
	if diff := cmp.Diff(map[string]any{"text": "other", "count": 7.0, "tags": []any{"c"}, "level": "high"}, inputsOf(t, again)); diff != "" {
		t.Errorf("what is repeated, with what is new (-want +got):\n%s", diff)
	}
	if again.Spec.Reason != "they must know" || again.Spec.Requester.Username != users.Carol.Name {
		t.Errorf("it was stored as %+v", again.Spec)
	}
}

func TestRequestOptions(t *testing.T) {
	inForce(t)
	answer := kubectl(t, users.Alice, "", "request", "platform/lend-note", "-n", "payments", "--name", "lent", "--duration", "90m", "-o", "yaml")
	answer.says(t, 0)
	got := &v1alpha1.ActionRequest{}
	if err := yaml.Unmarshal([]byte(answer.stdout), got); err != nil {
		t.Fatal(err)
	}
	if got.Spec.Duration != "90m" || got.Name != "lent" {
		t.Errorf("it was stored as %+v", got)
	}
	answer = kubectl(t, users.Bob, "", "request", "platform/note", "text=a", "level=high", "-n", "payments", "--name", "glass", "--break-glass", "the shop is down", "-o", "name")
	answer.says(t, 0)
	if answer.stdout != "actionrequest.signoff.dev/glass\n" {
		t.Errorf("-o name prints %q", answer.stdout)
	}
	if glass := stored(t, "glass"); glass.Spec.BreakGlass == nil || glass.Spec.BreakGlass.Reason != "the shop is down" {
		t.Errorf("it was stored as %+v", glass.Spec)
	}
	answer = kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "-n", "payments", "--name", "dry", "--dry-run")
	answer.says(t, 0, "actionrequest.signoff.dev/dry created (server dry run)\n")
	err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: "payments", Name: "dry"}, &v1alpha1.ActionRequest{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a dry run stored something: %v", err)
	}
}

// TestRequestFindsTheAction by its name alone, where only one has it.
func TestRequestFindsTheAction(t *testing.T) {
	inForce(t)
	answer := kubectl(t, users.Ada, "", "request", "note", "text=a", "-n", "payments")
	answer.says(t, 2, `error: there are several Actions "note": name one of library/note, platform/note`)
	answer = kubectl(t, users.Ada, "", "request", "break-not", "-n", "payments")
	answer.says(t, 2, `error: you may see no Action "break-not"; did you mean "break-note"?`)
	answer = kubectl(t, users.Ada, "", "request", "zzzzzzzz", "-n", "payments")
	answer.says(t, 2, `error: you may see no Action "zzzzzzzz".  See what there is: kubectl signoff actions.`)
	answer = kubectl(t, users.Ada, "", "request", "lend-note", "-n", "payments")
	answer.says(t, 1, "Action platform/lend-note\n", "refused: you (ada) may not request platform/lend-note.")
	asked(t, users.Alice, "names-the-catalog", "text=a")
	// Alice may list Actions in namespace platform only, which a request beside hers names.
	answer = kubectl(t, users.Alice, "", "request", "note", "text=a", "-n", "payments", "--dry-run")
	answer.says(t, 0, "Action platform/note\n", "created (server dry run)")
	answer = kubectl(t, users.Nadia, "", "request", "note", "-n", "payments")
	answer.says(t, 2, "error: you (nadia) may not list actions.signoff.dev in all namespaces.", "Ask for the ClusterRole signoff-catalog-reader there.")
	answer = kubectl(t, users.Alice, "", "request", "a/b/c")
	answer.says(t, 2, `failed to read "a/b/c": name the Action as NAMESPACE/NAME`)
	answer = kubectl(t, users.Alice, "", "request")
	answer.says(t, 2, "error: name the Action, or an earlier request with --from")
	answer = kubectl(t, users.Alice, "", "request", "--from", "nothing", "-n", "payments")
	answer.says(t, 2, "error: there is no ActionRequest payments/nothing; see what there is: kubectl signoff list -n payments")
	answer = kubectl(t, users.Alice, "", "request", "platform/note", "text", "-n", "payments")
	answer.says(t, 2, `error: failed to read "text": write inputs as key=value`)
	answer = kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "-o", "xml")
	answer.says(t, 2, "error: failed to read -o")
}

// asks are what everybody asks for in two ways.
var asks = map[string]struct {
	args   []string
	action string
	inputs string
}{
	"allowed":       {[]string{"platform/note", "text=a"}, "platform/note", `{"text": "a"}`},
	"approval":      {[]string{"platform/note", "text=a", "level=high"}, "platform/note", `{"text": "a", "level": "high"}`},
	"two stages":    {[]string{"platform/note", "text=7", "level=two", "count=3"}, "platform/note", `{"text": "7", "level": "two", "count": 3}`},
	"denied":        {[]string{"platform/note", "text=a", "level=never"}, "platform/note", `{"text": "a", "level": "never"}`},
	"missing input": {[]string{"platform/note"}, "platform/note", `{}`},
	"wrong inputs":  {[]string{"platform/note", "text=a", "level=lo", "count=many", "txt=b"}, "platform/note", `{"text": "a", "level": "lo", "count": "many", "txt": "b"}`},
	"out of range":  {[]string{"platform/note", "text=a", "count=11"}, "platform/note", `{"text": "a", "count": 11}`},
	"no fact":       {[]string{"platform/deploy", "service=nothing"}, "platform/deploy", `{"service": "nothing"}`},
	"production":    {[]string{"platform/deploy", "service=checkout", "environment=production", "replicas=7"}, "platform/deploy", `{"service": "checkout", "environment": "production", "replicas": 7}`},
	"no Action":     {[]string{"platform/deplyo", "service=checkout", "replicas=7"}, "platform/deplyo", `{"service": "checkout", "replicas": 7}`},
}

// TestSameAsKubectl: for 70 decisions, the plugin and plain kubectl are told the same: the verdict, the refusal word by word, and the warnings.
func TestSameAsKubectl(t *testing.T) {
	inForce(t)
	for _, who := range []env.Person{users.Alice, users.Bob, users.Erin, users.Mallory, users.Grace, users.Nadia, users.Agent} {
		for what, a := range asks {
			t.Run(who.Name+", "+what, func(t *testing.T) {
				namespace, action, _ := strings.Cut(a.action, "/")
				manifest := fmt.Sprintf(`{"apiVersion": "signoff.dev/v1alpha1", "kind": "ActionRequest", "metadata": {"namespace": "payments", "name": "same-x"},
					"spec": {"actionRef": {"namespace": %q, "name": %q}, "inputs": %s}}`, namespace, action, a.inputs)
				want := plain(t, who, manifest, "create", "--dry-run=server", "-f", "-")
				got := kubectl(t, who, "", append([]string{"request", "-n", "payments", "--name", "same-x", "--dry-run"}, a.args...)...)
				if want.exit != got.exit {
					t.Errorf("kubectl ends with %d, the plugin with %d", want.exit, got.exit)
				}
				if diff := cmp.Diff(told(want), told(got)); diff != "" {
					t.Errorf("what people read (-kubectl +plugin):\n%s", diff)
				}
				if want.stdout != got.stdout {
					t.Errorf("kubectl prints %q, the plugin %q", want.stdout, got.stdout)
				}
			})
		}
	}
}

// clocks are times of the day. A minute can pass between two answers.
var clocks = regexp.MustCompile(`\d\d:\d\d UTC`)

// told are the words of a refusal and of warnings, without those that kubectl or the plugin add.
func told(r result) []string {
	var lines []string
	for line := range strings.Lines(r.stderr) {
		for _, start := range []string{`Error from server (Forbidden): error when creating "STDIN": `, `admission webhook "requests.signoff.dev" denied the request: `,
			`The ActionRequest "same-x" is invalid: `, "refused: ", "* "} {
			line = strings.TrimPrefix(line, start)
		}
		line = clocks.ReplaceAllString(strings.TrimSpace(line), "HH:MM UTC")
		if line != "" && line != "it is not valid" && !strings.HasPrefix(line, "note: ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestWait follows requests to each of their ends.
func TestWait(t *testing.T) {
	inForce(t)
	answer := kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "-n", "payments", "--name", "wait-ok", "--wait", "--timeout", "20s")
	answer.says(t, 0, "actionrequest.signoff.dev/wait-ok created\npayments/wait-ok Succeeded")
	answer = kubectl(t, users.Alice, "", "request", "platform/break-note", "-n", "payments", "--name", "wait-broken", "--wait", "-o", "jsonpath={.status.outcome}", "--timeout", "20s")
	answer.says(t, 4, "see: kubectl signoff show -n payments wait-broken\n")
	if answer.stdout != "Failed" {
		t.Errorf("it prints %q", answer.stdout)
	}
	asked(t, users.Alice, "wait-open", "text=a", "level=high")
	reaches(t, "wait-open", v1alpha1.PhaseAwaitingApproval)
	// One that stays open keeps nothing from those that are over.
	answer = kubectl(t, users.Alice, "", "wait", "-n", "payments", "wait-open", "wait-ok", "wait-gone", "--timeout", "1s")
	answer.says(t, 5, "payments/wait-ok Succeeded", "payments/wait-open AwaitingApproval: owners: 1 of payments", "payments/wait-open: not over yet: AwaitingApproval: owners",
		"there is no ActionRequest payments/wait-gone",
		"Go on: kubectl signoff wait -n payments wait-open\n")
	// Something that is lent is in force long before it is over.
	kubectl(t, users.Alice, "", "request", "platform/lend-note", "-n", "payments", "--name", "wait-lent").says(t, 0)
	lent := ""
	eventually(t, "that something to lend waits for Bob", func() (bool, string) {
		mine := inboxOf(t, users.Bob, "-n", "payments")
		at := slices.IndexFunc(mine, func(name string) bool { return strings.HasPrefix(name, "wait-lent-") })
		if at >= 0 {
			lent = mine[at]
		}
		return at >= 0, strings.Join(mine, " ")
	})
	kubectl(t, users.Bob, "", "approve", "-n", "payments", lent).says(t, 0)
	answer = kubectl(t, users.Alice, "", "wait", "-n", "payments", "wait-lent", "--until-active", "--timeout", "20s")
	answer.says(t, 0)
	if !strings.HasPrefix(answer.stdout, "payments/wait-lent Active: ") {
		t.Errorf("it prints %q", answer.stdout)
	}
	kubectl(t, users.Alice, "", "wait", "-n", "payments", "wait-lent", "--timeout", "1s").says(t, 5, "not over yet: Active")
	answer = kubectl(t, users.Alice, "", "wait", "-n", "payments", "nothing")
	answer.says(t, 2, "there is no ActionRequest payments/nothing")
	answer = kubectl(t, users.Grace, "", "wait", "-n", "payments", "wait-open")
	answer.says(t, 2, "you (grace) may not list actionrequests.signoff.dev in namespace payments.")
}
