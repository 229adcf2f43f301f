package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/internal/cli/agent"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

const agentGuide = "../../docs/guides/agents.md"

// marked gives the block of the guide for agents after a mark.
func marked(t *testing.T, mark string) string {
	t.Helper()
	return play.Marked(t, agentGuide, mark)
}

// theAgent is the one that the guide makes, with exactly the rights that the guide gives it.
func theAgent(t *testing.T) env.Person {
	t.Helper()
	apply(t, marked(t, "apply"))
	config, err := cluster.ServiceAccount(t.Context(), env.AgentNamespace, "sre-agent")
	if err != nil {
		t.Fatal(err)
	}
	who := env.Person{Name: "system:serviceaccount:agents:sre-agent", Config: config}
	inForce(t)
	eventually(t, "the Role of the agent", func() (bool, string) {
		answer := kubectl(t, who, "", "request", "platform/note", "text=a", "-n", "payments", "--dry-run")
		return answer.exit == 0, answer.stderr
	})
	return who
}

// kubeconfigOf writes the kubeconfig of somebody.
func kubeconfigOf(t *testing.T, who env.Person) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := cluster.Kubeconfig(path, who.Config); err != nil {
		t.Fatal(err)
	}
	return path
}

// served runs `kubectl signoff mcp` as somebody, and gives the client that speaks to it.
func served(t *testing.T, who env.Person, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	program := &cli.Program{IO: genericiooptions.IOStreams{In: in, Out: out, ErrOut: t.Output()}, Clock: clock.RealClock{}}
	ended := make(chan int, 1)
	args := []string{"mcp", "--kubeconfig", kubeconfigOf(t, who), "-n", env.WorkNamespace, "--catalog", env.CatalogNamespace}
	go func() {
		ended <- program.Run(context.WithoutCancel(t.Context()), args)
		_ = out.Close()
	}()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "v1"}, options).
		Connect(t.Context(), &mcp.IOTransport{Reader: fromServer, Writer: toServer}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = session.Close()
		_ = toServer.Close()
		if exit := <-ended; exit != 0 {
			t.Errorf("the server ended with %d", exit)
		}
	})
	return session
}

// tool calls a tool, and gives its structured answer.
func tool(t *testing.T, session *mcp.ClientSession, name string, args map[string]any) *agent.Answer {
	t.Helper()
	answer, _ := toolResult(t, session, &mcp.CallToolParams{Name: name, Arguments: args})
	return answer
}

func toolResult(t *testing.T, session *mcp.ClientSession, params *mcp.CallToolParams) (*agent.Answer, *mcp.CallToolResult) {
	t.Helper()
	result, err := session.CallTool(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(result.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	answer := &agent.Answer{}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatal(err)
	}
	return answer, result
}

// written gives a text of the data of an answer.
func written(answer *agent.Answer, what string) agent.Text {
	if answer.Data == nil {
		return agent.Text{}
	}
	at := slices.IndexFunc(answer.Data.Texts, func(text agent.Text) bool { return text.What == what })
	if at < 0 {
		return agent.Text{}
	}
	return answer.Data.Texts[at]
}

// is checks the code of an answer.
func is(t *testing.T, answer *agent.Answer, code agent.Code) {
	t.Helper()
	if answer.Code != code {
		text, _ := json.Marshal(answer)
		t.Fatalf("the code is %s, want %s: %s", answer.Code, code, text)
	}
}

// TestAgentLooks lists and describes what there is.
func TestAgentLooks(t *testing.T) {
	session := served(t, theAgent(t), nil)
	listed := tool(t, session, "list_actions", map[string]any{"namespace": "platform"})
	is(t, listed, agent.CodeOK)
	if len(listed.Actions) != 1 || listed.Actions[0].Name != "platform/note" || listed.Actions[0].MayRequest != "Yes" || !listed.Actions[0].Ready || listed.Actions[0].Approval != "sometimes" {
		t.Errorf("the agent may ask for %+v", listed.Actions)
	}
	all := tool(t, session, "list_actions", map[string]any{"namespace": "platform", "all": true})
	if len(all.Actions) < 5 || all.Actions[0].MayRequest != "No" {
		t.Errorf("all Actions are %+v", all.Actions)
	}
	// Where it may not look, it is told what the catalogs that were named to it have.
	unread := tool(t, session, "list_actions", map[string]any{"namespace": "library"})
	is(t, unread, agent.CodeOK)
	if len(unread.Actions) != 1 || unread.Actions[0].Name != "platform/note" || !strings.Contains(unread.Message, "You see none in namespace library") {
		t.Errorf("in library the agent may ask for %+v: %s", unread.Actions, unread.Message)
	}
	// A namespace of requests has no Actions: those that requests in it name are what it can ask for there.
	asked(t, users.Alice, "for-agents", "text=a", "level=high")
	near := tool(t, session, "list_actions", map[string]any{"namespace": "payments"})
	is(t, near, agent.CodeOK)
	if len(near.Actions) == 0 || near.Actions[0].Name != "platform/note" || !strings.Contains(near.Message, "You see none in namespace payments") {
		t.Errorf("in payments the agent may ask for %+v: %s", near.Actions, near.Message)
	}
	note := tool(t, session, "describe_action", map[string]any{"action": "platform/note"})
	is(t, note, agent.CodeOK)
	data := note.Actions[0].Data
	schema, ok := data.InputSchema.(map[string]any)
	if !ok || !data.Untrusted || data.Title != "Write a note" || data.Description != "For what others must know." || !strings.Contains(data.Example, "kind: ActionRequest") {
		t.Fatalf("the Action is %+v", data)
	}
	if diff := cmp.Diff([]any{"text"}, schema["required"]); diff != "" {
		t.Errorf("the schema of inputs is %+v", schema)
	}
	if strings.Contains(note.Message, "Write a note") {
		t.Errorf("the sentence has words of the author: %q", note.Message)
	}
	missing := tool(t, session, "describe_action", map[string]any{"action": "platform/nothing"})
	is(t, missing, agent.CodeNotFound)
	lent := tool(t, session, "describe_action", map[string]any{"action": "platform/lend-note"})
	if lent.Actions[0].MaxDuration != "2h" || lent.Actions[0].MayRequest != "No" {
		t.Errorf("the Action is %+v", lent.Actions[0])
	}
}

// TestAgentExplains: the verdict is that of kubectl signoff explain.
func TestAgentExplains(t *testing.T) {
	who := theAgent(t)
	session := served(t, who, nil)
	cases := map[string]struct {
		reason   string
		args     map[string]any
		code     agent.Code
		argument string
		stages   []string
	}{
		"Runs":     {"a low level is for everybody", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a"}}, agent.CodeWouldRun, "", nil},
		"Approval": {"a high one is not", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "level": "two"}}, agent.CodeWouldNeedApproval, "", []string{"action/checkers", "action/owners"}},
		"Denied":   {"nobody does that", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "level": "never"}}, v1alpha1.ReasonDeniedByRule, "", nil},
		"Input":    {"the input is named", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "count": 11}}, v1alpha1.ReasonInvalid, "inputs.count", nil},
		"Role":     {"no Role lets it", map[string]any{"action": "platform/deploy", "inputs": map[string]any{"service": "checkout"}}, v1alpha1.ReasonNotAuthorized, "", nil},
		"Action":   {"there is none", map[string]any{"action": "platform/nothing"}, v1alpha1.ReasonInvalid, "action", nil},
		"RBAC":     {"Kubernetes does not permit it", map[string]any{"action": "platform/note", "namespace": "staging", "inputs": map[string]any{"text": "a"}}, agent.CodeForbidden, "", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer, result := toolResult(t, session, &mcp.CallToolParams{Name: "explain_request", Arguments: tc.args})
			is(t, answer, tc.code)
			if answer.Argument != tc.argument || result.IsError {
				t.Errorf("%s: it answers %+v", tc.reason, answer)
			}
			stages := slices.Clone(answer.Explanation.Stages)
			slices.Sort(stages)
			if diff := cmp.Diff(tc.stages, stages); diff != "" {
				t.Errorf("%s: the stages (-want +got):\n%s", tc.reason, diff)
			}
			sameAsExplain(t, who, tc.args, answer)
		})
	}
}

// sameAsExplain compares a verdict with that of kubectl signoff explain.
func sameAsExplain(t *testing.T, who env.Person, args map[string]any, answer *agent.Answer) {
	t.Helper()
	namespace, name, _ := strings.Cut(args["action"].(string), "/")
	in := env.WorkNamespace
	if other, ok := args["namespace"].(string); ok {
		in = other
	}
	request, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ActionRequest", "metadata": map[string]any{"namespace": in, "generateName": name + "-"},
		"spec": map[string]any{"actionRef": map[string]any{"namespace": namespace, "name": name}, "inputs": args["inputs"]},
	})
	if err != nil {
		t.Fatal(err)
	}
	said := kubectl(t, who, string(request), "explain", "-f", "-", "-o", "json")
	want, got := map[string]any{}, map[string]any{}
	if err := json.Unmarshal([]byte(said.stdout), &want); err != nil {
		t.Fatal(err, said)
	}
	for _, key := range []string{"request", "requester", "warnings", "note"} {
		delete(want, key)
	}
	text, err := json.Marshal(answer.Data.Explanation)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, verdict := range []map[string]any{want, got} {
		if v, ok := verdict["verdict"].(map[string]any); ok {
			delete(v, "evaluatedAt")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-explain +agent:\n%s", diff)
	}
}

// TestAgentAsks asks, waits, and asks the same again.
func TestAgentAsks(t *testing.T) {
	who := theAgent(t)
	var heard sync.Map
	session := served(t, who, &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, request *mcp.ProgressNotificationClientRequest) {
		heard.Store(request.Params.Message, true)
	}})
	ask := map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "by an agent", "level": "high", "count": 3}, "reason": "it is needed", "token": "agent-asks-1"}
	first := tool(t, session, "request_action", ask)
	is(t, first, agent.CodeRequested)
	if first.Retry.Advice != agent.AdviceWait || first.Request.Namespace != "payments" || !strings.Contains(written(first, "warning").Text, `needs 1 approval in stage "owners"`) {
		t.Errorf("it answers %+v", first)
	}
	if reason := written(first, "reason"); reason.By != who.Name || reason.Text != "it is needed" {
		t.Errorf("the reason is %+v", reason)
	}
	live := stored(t, first.Request.Name)
	if live.Spec.Requester.Username != who.Name {
		t.Errorf("%s asked", live.Spec.Requester.Username)
	}
	reaches(t, live.Name, v1alpha1.PhaseAwaitingApproval)
	params := &mcp.CallToolParams{Name: "wait_for_request", Arguments: map[string]any{"name": live.Name, "timeoutSeconds": 1}}
	params.SetProgressToken(1)
	waited, result := toolResult(t, session, params)
	is(t, waited, v1alpha1.ReasonAwaitingApproval)
	if waited.Retry.Advice != agent.AdviceWait || waited.Request.Over || result.IsError {
		t.Errorf("after the time is up it answers %+v", waited)
	}
	if _, ok := heard.Load("AwaitingApproval 0/1"); !ok {
		t.Error("no progress was told")
	}
	again := tool(t, session, "request_action", ask)
	is(t, again, agent.CodeAlreadyRequested)
	if again.Request.UID != first.Request.UID || again.Retry.Advice != agent.AdviceWait {
		t.Errorf("asked again, it answers %+v", again)
	}
	approval := approvalOf(t, live.Name, "owners")
	kubectl(t, users.Bob, "", "approve", "-n", "payments", approval.Name, "--yes").says(t, 0, "approved")
	ended := tool(t, session, "wait_for_request", map[string]any{"name": live.Name, "timeoutSeconds": 20})
	is(t, ended, v1alpha1.ReasonSucceeded)
	if !ended.Request.Over || ended.Retry.Advice != agent.AdviceNone || len(ended.Request.Steps) != 1 || ended.Request.Steps[0].State != "Done" {
		t.Errorf("in the end it answers %+v", ended)
	}
	is(t, tool(t, session, "get_request", map[string]any{"name": live.Name}), v1alpha1.ReasonSucceeded)
	late := tool(t, session, "request_action", ask)
	is(t, late, agent.CodeAlreadyRequested)
	if late.Retry.Advice != agent.AdviceNone {
		t.Errorf("asked after the end, it advises %+v", late.Retry)
	}
}

// TestAgentToken: a token is for one request, by one agent.
func TestAgentToken(t *testing.T) {
	who := theAgent(t)
	session := served(t, who, nil)
	ask := func(token string, inputs map[string]any, more ...string) *agent.Answer {
		args := map[string]any{"action": "platform/note", "inputs": inputs, "token": token}
		for i := 0; i+1 < len(more); i += 2 {
			args[more[i]] = more[i+1]
		}
		return tool(t, session, "request_action", args)
	}
	inputs := map[string]any{"text": "a", "count": 7, "tags": []any{"x", "y"}}
	first := ask("agent-token-1", inputs)
	is(t, first, agent.CodeRequested)
	same := ask("agent-token-1", map[string]any{"tags": []any{"x", "y"}, "count": 7.0, "text": "a"})
	is(t, same, agent.CodeAlreadyRequested)
	for name, other := range map[string]*agent.Answer{
		"inputs": ask("agent-token-1", map[string]any{"text": "b"}),
		"order":  ask("agent-token-1", map[string]any{"text": "a", "count": 7, "tags": []any{"y", "x"}}),
		"reason": ask("agent-token-1", inputs, "reason", "another"),
		"Action": ask("agent-token-1", inputs, "action", "platform/announce"),
	} {
		if other.Code != agent.CodeTokenReused || other.Argument != "token" || other.Request != nil {
			t.Errorf("with another content (%s) it answers %+v", name, other)
		}
	}
	second := ask("agent-token-2", inputs)
	is(t, second, agent.CodeRequested)
	if second.Request.Name == first.Request.Name {
		t.Error("two tokens made one request")
	}
	// Somebody takes the name that this agent would use.
	taken := kubectl(t, users.Alice, "", "request", "platform/note", "text=stolen", "-n", "payments", "--name", cli.NameOfToken(who.Name, "agent-token-3"))
	taken.says(t, 0)
	stolen := ask("agent-token-3", map[string]any{"text": "stolen"})
	if stolen.Code != agent.CodeTokenTaken || stolen.Argument != "token" || stolen.Request != nil {
		t.Errorf("where the name is taken it answers %+v", stolen)
	}
	var all sync.WaitGroup
	answers := make([]*agent.Answer, 4)
	for i := range answers {
		all.Go(func() { answers[i] = ask("agent-token-4", inputs) })
	}
	all.Wait()
	made := 0
	for _, answer := range answers {
		if answer.Code == agent.CodeRequested {
			made++
		} else {
			is(t, answer, agent.CodeAlreadyRequested)
		}
		if answer.Request.UID != answers[0].Request.UID {
			t.Error("at the same moment two requests were made")
		}
	}
	if made != 1 {
		t.Errorf("at the same moment %d were made", made)
	}
}

// TestAgentTimes: an agent says when, and the same moment is the same however it is written.
func TestAgentTimes(t *testing.T) {
	session := served(t, theAgent(t), nil)
	ask := func(more map[string]any) *agent.Answer {
		args := map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "level": "high"}, "token": "agent-times-1", "notBefore": "2998-12-24T10:00:00+01:00", "expiresAt": "2999-12-24T09:00:00Z"}
		maps.Copy(args, more)
		return tool(t, session, "request_action", args)
	}
	first := ask(nil)
	is(t, first, agent.CodeRequested)
	spec := stored(t, first.Request.Name).Spec
	if spec.NotBefore == nil || !spec.NotBefore.Time.Equal(time.Date(2998, 12, 24, 9, 0, 0, 0, time.UTC)) || spec.ExpiresAt == nil || !spec.ExpiresAt.Time.Equal(time.Date(2999, 12, 24, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("it was stored with %v and %v", spec.NotBefore, spec.ExpiresAt)
	}
	is(t, ask(nil), agent.CodeAlreadyRequested)
	is(t, ask(map[string]any{"notBefore": "2998-12-24T09:00:00Z"}), agent.CodeAlreadyRequested)
	is(t, ask(map[string]any{"notBefore": "2998-12-24T10:00:00Z"}), agent.CodeTokenReused)
	is(t, ask(map[string]any{"onBehalfOf": "alice"}), agent.CodeTokenReused)
	late := tool(t, session, "request_action", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a"}, "token": "agent-times-2", "expiresAt": "2020-01-01T00:00:00Z"})
	if is(t, late, v1alpha1.ReasonInvalid); late.Argument != "expiresAt" || late.Retry.Advice != agent.AdviceCorrect {
		t.Errorf("it answers %+v", late)
	}
	// For whom it asks gives it nothing, and takes a right that it has not.
	is(t, tool(t, session, "explain_request", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a"}, "onBehalfOf": "alice"}), v1alpha1.ReasonNotAuthorized)
	// A reason that shows nothing is one that the cluster refuses.
	silent := tool(t, session, "cancel_request", map[string]any{"name": first.Request.Name, "reason": "\u200b"})
	if is(t, silent, agent.CodeInvalidArgument); silent.Argument != "reason" || silent.Retry.Advice != agent.AdviceCorrect || written(silent, "refusal").Text == "" {
		t.Errorf("it answers %+v", silent)
	}
	is(t, tool(t, session, "cancel_request", map[string]any{"name": first.Request.Name, "reason": "not needed"}), agent.CodeCancelRecorded)
}

// TestAgentIsRefused: every refusal has a code, and says what to do.
func TestAgentIsRefused(t *testing.T) {
	session := served(t, theAgent(t), nil)
	refused := func(args map[string]any) (*agent.Answer, *mcp.CallToolResult) {
		args["token"] = "agent-refused"
		answer, result := toolResult(t, session, &mcp.CallToolParams{Name: "request_action", Arguments: args})
		if !result.IsError || answer.Request != nil {
			t.Errorf("it was not refused: %+v", answer)
		}
		return answer, result
	}
	denied, result := refused(map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "level": "never"}})
	is(t, denied, v1alpha1.ReasonDeniedByRule)
	if text := result.Content[0].(*mcp.TextContent).Text; strings.Contains(text, "nobody does that") || !strings.Contains(written(denied, "refusal").Text, "nobody does that") {
		t.Errorf("the words of the author of the rule are not in data alone: %q %+v", text, denied.Data)
	}
	likeTheAgentGuide(t, denied)
	wrong, _ := refused(map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "lvel": "high"}})
	if is(t, wrong, v1alpha1.ReasonInvalid); wrong.Argument != "inputs.lvel" || wrong.Retry.Advice != agent.AdviceCorrect {
		t.Errorf("it answers %+v", wrong)
	}
	nobody, _ := refused(map[string]any{"action": "platform/deploy", "inputs": map[string]any{"service": "checkout"}})
	if is(t, nobody, v1alpha1.ReasonNotAuthorized); nobody.Retry.Advice != agent.AdviceAskPerson {
		t.Errorf("it answers %+v", nobody)
	}
	elsewhere, _ := refused(map[string]any{"action": "platform/note", "namespace": "staging", "inputs": map[string]any{"text": "a"}})
	is(t, elsewhere, agent.CodeForbidden)
	list := &v1alpha1.ActionRequestList{}
	if err := admin(t).List(t.Context(), list, client.InNamespace("staging")); err != nil || len(list.Items) > 0 {
		t.Errorf("something was stored: %v %v", list.Items, err)
	}
	is(t, tool(t, session, "get_request", map[string]any{"name": "nothing"}), agent.CodeNotFound)
	is(t, tool(t, session, "wait_for_request", map[string]any{"name": "nothing"}), agent.CodeNotFound)
}

// likeTheAgentGuide compares an answer with the one that the guide shows.
func likeTheAgentGuide(t *testing.T, answer *agent.Answer) {
	t.Helper()
	shown := &agent.Answer{}
	if err := json.Unmarshal([]byte(marked(t, "denied")), shown); err != nil {
		t.Fatal(err)
	}
	begin, ok := strings.CutSuffix(shown.Data.Texts[0].Text, "…")
	if got := written(answer, "refusal"); !ok || !strings.HasPrefix(got.Text, begin) || shown.Data.Texts[0].What != got.What {
		t.Errorf("the guide shows %+v, and it is %+v", shown.Data.Texts[0], got)
	}
	shown.Data, answer.Data = nil, nil
	if diff := cmp.Diff(fmt.Sprintf("%+v %+v", shown, shown.Explanation), fmt.Sprintf("%+v %+v", answer, answer.Explanation)); !sameAnswer(t, shown, answer) {
		t.Errorf("-guide +got:\n%s", diff)
	}
}

func sameAnswer(t *testing.T, a, b *agent.Answer) bool {
	t.Helper()
	first, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(first) == string(second)
}

// TestAgentCancels ends a request, once.
func TestAgentCancels(t *testing.T) {
	session := served(t, theAgent(t), nil)
	made := tool(t, session, "request_action", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "level": "high"}, "token": "agent-cancels"})
	is(t, made, agent.CodeRequested)
	name := made.Request.Name
	is(t, tool(t, session, "cancel_request", map[string]any{"name": name, "reason": "no more"}), agent.CodeCancelRecorded)
	over := tool(t, session, "wait_for_request", map[string]any{"name": name, "timeoutSeconds": 20})
	if is(t, over, v1alpha1.ReasonCancelled); written(over, "cancellation").Text != "no more" {
		t.Errorf("it answers %+v", over)
	}
	is(t, tool(t, session, "cancel_request", map[string]any{"name": name, "reason": "again"}), v1alpha1.ReasonCancelled)
	asked(t, users.Alice, "agent-does-not-cancel", "text=a", "level=high")
	refused := tool(t, session, "cancel_request", map[string]any{"name": "agent-does-not-cancel", "reason": "mine"})
	if is(t, refused, agent.CodeRefused); !strings.Contains(written(refused, "refusal").Text, "may not cancel") {
		t.Errorf("it answers %+v", refused)
	}
	is(t, tool(t, session, "cancel_request", map[string]any{"name": "nothing", "reason": "x"}), agent.CodeNotFound)
}

// TestAgentUsesWhatIsLent: what is temporary is there to be used, so nobody waits for its end unless it was cancelled.
func TestAgentUsesWhatIsLent(t *testing.T) {
	session := served(t, theAgent(t), nil)
	const role = `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: lends-to-agents}, spec: {members: {serviceAccounts: [agents/sre-agent]}, permissions: [{verbs: [request], actions: {names: [lend-note]}}]}}`
	apply(t, role)
	t.Cleanup(func() { takenBack(t, role) })
	var made *agent.Answer
	eventually(t, "the Role to borrow", func() (bool, string) {
		made = tool(t, session, "request_action", map[string]any{"action": "platform/lend-note", "token": "agent-borrows"})
		return made.Code == agent.CodeRequested, string(made.Code)
	})
	name := made.Request.Name
	reaches(t, name, v1alpha1.PhaseAwaitingApproval)
	eventually(t, "an Approval for Bob", func() (bool, string) {
		answer := kubectl(t, users.Bob, "", "approve", "-n", "payments", name, "--yes")
		return answer.exit == 0, answer.stderr
	})
	wait := map[string]any{"name": name, "timeoutSeconds": 60}
	for _, when := range []string{"as soon as it is in force", "while it is"} {
		began := time.Now()
		active := tool(t, session, "wait_for_request", wait)
		is(t, active, v1alpha1.ReasonActive)
		if active.Retry.Advice != agent.AdviceNone || active.Request.Over || active.Request.ActiveUntil == "" || time.Since(began) > 50*time.Second {
			t.Errorf("%s it answers %+v", when, active)
		}
	}
	is(t, tool(t, session, "cancel_request", map[string]any{"name": name, "reason": "done with it"}), agent.CodeCancelRecorded)
	// What is cancelled is waited for until it is gone.
	if ended := tool(t, session, "wait_for_request", wait); !ended.Request.Over || ended.Retry.Advice != agent.AdviceNone {
		t.Errorf("in the end it answers %+v", ended)
	}
}

// TestNoApproverIsServed: whoever could approve is not served, whatever the right is.
func TestNoApproverIsServed(t *testing.T) {
	inForce(t)
	run := func(who env.Person, args ...string) result {
		return kubectl(t, who, "", append([]string{"mcp", "-n", env.WorkNamespace}, args...)...)
	}
	bob := run(users.Bob)
	bob.says(t, 1)
	if bob.stderr != marked(t, "refused") {
		t.Errorf("the guide shows:\n%s\nand it says:\n%s", marked(t, "refused"), bob.stderr)
	}
	run(users.Ada).says(t, 1, "refused: ada could approve what agents ask for: RBAC lets it vote on Approvals (patch approvals.signoff.dev in the whole cluster).")
	run(users.Mallory).says(t, 1, "refused: mallory could approve")
	run(users.Grace).says(t, 1, "refused: grace could approve what agents ask for: RBAC lets it put itself into a Team")
	run(users.Frank, "-n", "platform").says(t, 1, "refused: frank could approve what agents ask for: RBAC lets it give itself a Role of Signoff (create roles.signoff.dev in namespace platform).")
	if err := cluster.Grant(t.Context(), env.RoleCatalogReader, env.CatalogNamespace, env.ToServiceAccount(env.AgentNamespace, "bot")); err != nil {
		t.Fatal(err)
	}
	// A request names the catalog in which the Role is.
	kubectl(t, users.Agent, "", "request", "platform/deploy", "service=checkout", "-n", env.WorkNamespace).says(t, 0)
	run(users.Agent).says(t, 1, "refused: system:serviceaccount:agents:bot could approve what agents ask for: Role platform/machine gives it the verb approve.")
	standsIn(t, "helper")
	helper, err := cluster.User("helper")
	if err != nil {
		t.Fatal(err)
	}
	run(env.Person{Name: "helper", Config: helper}).says(t, 1, "refused: helper could approve what agents ask for: the Delegation platform/bob-to-helper lets it vote for others.")
	run(users.Ada, "--as", "system:serviceaccount:agents:sre-agent").says(t, 2, "error: an agent asks as itself: leave out --as, also in the kubeconfig")
}

// TestBlindIsServed: of who may read no Role, nobody can tell whether they could approve. Whoever starts it is told.
func TestBlindIsServed(t *testing.T) {
	who := theAgent(t)
	config, err := cluster.ServiceAccount(t.Context(), env.AgentNamespace, "blind")
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Grant(t.Context(), env.RoleRequester, env.WorkNamespace, env.ToServiceAccount(env.AgentNamespace, "blind")); err != nil {
		t.Fatal(err)
	}
	blind := env.Person{Name: "system:serviceaccount:agents:blind", Config: config}
	kubectl(t, blind, "", "mcp", "-n", env.WorkNamespace).says(t, 0, "note: it cannot be told whether system:serviceaccount:agents:blind could approve: "+
		"it may not list roles.signoff.dev in any of the namespaces that are looked at: payments.\n  Give it the ClusterRole signoff-catalog-reader")
	// Where no request names a catalog, somebody can.
	kubectl(t, who, "", "mcp", "-n", "staging").says(t, 0, "in any of the namespaces that are looked at: staging.", "name that with --catalog")
	if answer := kubectl(t, who, "", "mcp", "-n", "staging", "--catalog", env.CatalogNamespace); answer.exit != 0 || strings.Contains(answer.stderr, "note:") {
		t.Errorf("got %+v", answer)
	}
}

// standsIn has bob let somebody vote for him, who may read it.
func standsIn(t *testing.T, name string) {
	t.Helper()
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: delegator}, spec: {members: {users: [bob]}, permissions: [{verbs: [delegate], actions: {names: ["*"]}}]}}`)
	if err := cluster.Grant(t.Context(), "signoff-delegator", "", env.ToUser(users.Bob.Name), env.ToUser(name)); err != nil {
		t.Fatal(err)
	}
	d := &v1alpha1.Delegation{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "bob-to-" + name}, Spec: v1alpha1.DelegationSpec{
		To: v1alpha1.Delegates{Users: []string{name}}, Until: metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)),
	}}
	c := as(t, users.Bob)
	eventually(t, "bob makes a Delegation", func() (bool, string) {
		err := c.Create(t.Context(), d)
		return err == nil, fmt.Sprint(err)
	})
	t.Cleanup(func() {
		if err := c.Delete(context.WithoutCancel(t.Context()), d); err != nil {
			t.Error(err)
		}
	})
}

// A Role of Kubernetes for one account, before its rules, and what binds it.
const (
	roleInPayments  = `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: payments, name: promoted-NAME}, `
	boundInPayments = `
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: payments, name: promoted-NAME}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: promoted-NAME}, subjects: [{kind: ServiceAccount, namespace: agents, name: NAME}]}`
)

// TestAgentBecomesApprover: who is served and then gets a right to approve asks for nothing any more.
func TestAgentBecomesApprover(t *testing.T) {
	theAgent(t)
	cases := map[string]struct{ grant, why string }{
		"role": {`{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: promoted-NAME}, spec: {members: {serviceAccounts: [agents/NAME]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}}`,
			"Role platform/promoted-NAME gives it the verb approve"},
		"rbac": {`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: payments, name: promoted-NAME}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: signoff-approver}, subjects: [{kind: ServiceAccount, namespace: agents, name: NAME}]}`,
			"RBAC lets it vote on Approvals (patch approvals.signoff.dev in namespace payments)"},
		"one": {`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: promoted-NAME}, rules: [{apiGroups: [""], resources: [users], verbs: [impersonate], resourceNames: [bob]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: promoted-NAME}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: promoted-NAME}, subjects: [{kind: ServiceAccount, namespace: agents, name: NAME}]}`,
			"RBAC lets it act as other users (impersonate users in namespace "},
		"token": {roleInPayments + `rules: [{apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}]}` + boundInPayments,
			"RBAC lets it make tokens of ServiceAccounts (create serviceaccounts/token in namespace payments)"},
		"binder": {roleInPayments + `rules: [{apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [bind]}]}` + boundInPayments,
			"RBAC lets it give itself rights of Kubernetes (bind roles.rbac.authorization.k8s.io in namespace payments)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			account := "climber-" + name
			apply(t, strings.ReplaceAll(marked(t, "apply"), "sre-agent", account))
			config, err := cluster.ServiceAccount(t.Context(), env.AgentNamespace, account)
			if err != nil {
				t.Fatal(err)
			}
			session := served(t, env.Person{Name: "system:serviceaccount:agents:" + account, Config: config}, nil)
			ask := func(token string) *agent.Answer {
				return tool(t, session, "request_action", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a"}, "token": token})
			}
			eventually(t, "a request of "+account, func() (bool, string) {
				answer := ask("before-it-climbs")
				return answer.Code == agent.CodeRequested || answer.Code == agent.CodeAlreadyRequested, string(answer.Code) + " " + written(answer, "refusal").Text
			})
			open := tool(t, session, "request_action", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "a", "level": "high"}, "token": "left-open"})
			is(t, open, agent.CodeRequested)
			apply(t, strings.ReplaceAll(tc.grant, "NAME", account))
			t.Cleanup(func() { takenBack(t, strings.ReplaceAll(tc.grant, "NAME", account)) })
			eventually(t, "the new right of "+account, func() (bool, string) {
				// A token that was used makes nothing, whatever is answered.
				answer := ask("before-it-climbs")
				return answer.Code == agent.CodeMayApprove && strings.HasPrefix(written(answer, "why").Text, strings.ReplaceAll(tc.why, "NAME", account)), fmt.Sprintf("%s %+v", answer.Code, answer.Data)
			})
			is(t, ask("after-it-has-climbed"), agent.CodeMayApprove)
			is(t, tool(t, session, "cancel_request", map[string]any{"name": open.Request.Name, "reason": "no more"}), agent.CodeMayApprove)
		})
	}
}

// takenBack deletes what was applied for one test.
func takenBack(t *testing.T, manifests string) {
	t.Helper()
	for _, manifest := range strings.Split(manifests, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
			t.Fatal(err)
		}
		if err := admin(t).Delete(context.WithoutCancel(t.Context()), object); err != nil {
			t.Error(err)
		}
	}
}

// programOf builds the plugin, with the flags of the Makefile.
func programOf(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "kubectl-signoff")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "../../cmd/kubectl-signoff")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestAgentBinary runs the real program as the guide tells a client to, and speaks to it over its standard input and output.
func TestAgentBinary(t *testing.T) {
	who := theAgent(t)
	var clients struct {
		MCPServers map[string]struct {
			Command string   `json:"command"`
			Args    []string `json:"args"`
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal([]byte(marked(t, "client")), &clients); err != nil {
		t.Fatal(err)
	}
	client := clients.MCPServers["signoff"]
	at := slices.Index(client.Args, "/etc/agent/kubeconfig")
	if client.Command != "kubectl-signoff" || at < 0 {
		t.Fatalf("the guide shows %+v", clients)
	}
	client.Args[at] = kubeconfigOf(t, who)
	var told strings.Builder
	command := exec.Command(programOf(t), client.Args...)
	command.Stderr = &told
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "v1"}, nil).Connect(t.Context(), &mcp.CommandTransport{Command: command}, nil)
	if err != nil {
		t.Fatal(err, told.String())
	}
	made := tool(t, session, "request_action", map[string]any{"action": "platform/note", "inputs": map[string]any{"text": "by the program"}, "token": "agent-binary"})
	is(t, made, agent.CodeRequested)
	is(t, tool(t, session, "wait_for_request", map[string]any{"name": made.Request.Name, "timeoutSeconds": 20}), v1alpha1.ReasonSucceeded)
	if err := session.Close(); err != nil || command.ProcessState.ExitCode() != 0 || told.Len() > 0 {
		t.Errorf("it ended with %v, %v: %s", err, command.ProcessState, told.String())
	}
}
