package security

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/internal/snapshot"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// open asks for what needs an approval, and gives the Approval.
func open(t *testing.T) (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
	t.Helper()
	return opened(t, users.Alice, request("deploy", play.ProductionInputs))
}

// ask creates a request and expects it to be admitted. If it is still open when the test ends, it is removed: each open request is judged again
// whenever anything changes.
func ask(t *testing.T, who env.Person, r *v1alpha1.ActionRequest) *v1alpha1.ActionRequest {
	t.Helper()
	play.Ask(t, who, r)
	c, made := admin(t), r.DeepCopy()
	t.Cleanup(func() {
		ctx, now := context.WithoutCancel(t.Context()), &v1alpha1.ActionRequest{}
		if err := c.Get(ctx, client.ObjectKeyFromObject(made), now); err == nil && now.Status.Outcome == "" && now.Status.Execution == nil {
			// It may start, or be gone with its namespace, at this very moment.
			_ = c.Delete(ctx, now)
		}
	})
	return r
}

// opened asks, and gives the one Approval that is open then.
func opened(t *testing.T, who env.Person, r *v1alpha1.ActionRequest) (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
	t.Helper()
	r = reaches(t, ask(t, who, r), v1alpha1.PhaseAwaitingApproval)
	return r, &approvalsOf(t, r, 1)[0]
}

// votes casts a vote that must be accepted, once Signoff has seen the rights of who votes.
func votes(t *testing.T, who env.Person, approval *v1alpha1.Approval, decision v1alpha1.Decision) {
	t.Helper()
	eventually(t, "the vote of "+who.Name, func() (bool, string) {
		err := vote(t, who, approval, decision, "because")
		return err == nil, errText(err)
	})
}

// live is an object as it is now.
func live[T any, P interface {
	*T
	client.Object
}](t *testing.T, object P) P {
	t.Helper()
	now := P(new(T))
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), now); err != nil {
		t.Fatal(err)
	}
	return now
}

// login gives credentials of somebody, who can do what engineers can.
func login(t *testing.T, name string, groups ...string) env.Person {
	t.Helper()
	config, err := cluster.User(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return env.Person{Name: name, Config: config}
}

func engineer(t *testing.T, name string) env.Person {
	t.Helper()
	return login(t, name, env.GroupEngineering, env.GroupPayments)
}

// policy makes an ActionPolicy for one test, waits until it is in force, and gives what removes it.
func policy(t *testing.T, name, spec string) (remove func()) {
	t.Helper()
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: `+name+`}, spec: `+spec+`}`)
	inForce(t, name, true)
	c := admin(t)
	remove = func() {
		object := &v1alpha1.ActionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := client.IgnoreNotFound(c.Delete(context.Background(), object)); err != nil {
			t.Error(err)
		}
		inForce(t, name, false)
	}
	t.Cleanup(remove)
	return remove
}

// agreed asks for an Action, holds the request, and lets people agree: nothing is missing any more but the end of the hold.
func agreed(t *testing.T, r *v1alpha1.ActionRequest, voters ...env.Person) (asked *v1alpha1.ActionRequest, approval *v1alpha1.Approval, release func()) {
	t.Helper()
	return agreedBy(t, users.Alice, r, voters...)
}

// agreedBy is agreed for whom asks.
func agreedBy(t *testing.T, who env.Person, r *v1alpha1.ActionRequest, voters ...env.Person) (asked *v1alpha1.ActionRequest, approval *v1alpha1.Approval, release func()) {
	t.Helper()
	r, approval = opened(t, who, r)
	release = policy(t, "hold-"+r.Name, `{rules: [{name: wait, effect: Hold, when: "request.name == '`+r.Name+`'"}]}`)
	for _, voter := range voters {
		votes(t, voter, approval, v1alpha1.DecisionApprove)
	}
	return reaches(t, r, v1alpha1.PhaseHeld), approval, release
}

// inForce waits until both processes of Signoff know a policy, or no longer do.
func inForce(t *testing.T, policy string, want bool) {
	t.Helper()
	eventually(t, "the snapshot with, or without, policy "+policy, func() (bool, string) {
		for _, process := range []*setup.Process{signoff.Process, signoff.Webhooks} {
			if slices.ContainsFunc(process.Store.Current().AllPolicies(), func(e snapshot.PolicyEntry) bool { return e.Policy.Object.Name == policy }) != want {
				return false, fmt.Sprint(!want)
			}
		}
		return true, ""
	})
}

// neverStarts waits for a phase in which a request waits, and looks whether it was executed.
func neverStarts(t *testing.T, r *v1alpha1.ActionRequest, phase v1alpha1.Phase) *v1alpha1.ActionRequest {
	t.Helper()
	now := reaches(t, r, phase)
	if executed(t, r) || now.Status.Execution != nil {
		t.Errorf("%s was executed", r.Name)
	}
	return now
}

// logged looks for an event with a word in it in the audit log of the API server.
func logged(t *testing.T, what, word string, is func(*auditv1.Event) bool) *auditv1.Event {
	t.Helper()
	var found *auditv1.Event
	eventually(t, "the audit event of "+what, func() (bool, string) {
		found = nil
		events(t, word, func(e *auditv1.Event) {
			if is(e) {
				found = e
			}
		})
		return found != nil, "there is none"
	})
	return found
}

// events reads those events with a word in the audit log of the API server, as far as it is written.
func events(t *testing.T, word string, each func(*auditv1.Event)) {
	t.Helper()
	text, err := os.ReadFile(apiLog)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text[:bytes.LastIndexByte(text, '\n')+1]))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(word)) {
			continue
		}
		event := &auditv1.Event{}
		if err := json.Unmarshal(lines.Bytes(), event); err != nil {
			t.Fatal(err)
		}
		each(event)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// recordOf is the Record of a request that was executed.
func recordOf(t *testing.T, r *v1alpha1.ActionRequest) *v1alpha1.Record {
	t.Helper()
	return live(t, &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: string(r.UID)}})
}

// send posts a request as text.
func send(t *testing.T, transport *http.Client, url, body string) (*v1alpha1.ActionRequest, error) {
	t.Helper()
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/json")
	response, err := transport.Do(post)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%s: %s", response.Status, text)
	}
	made := &v1alpha1.ActionRequest{}
	if err := json.Unmarshal(text, made); err != nil {
		t.Fatal(err)
	}
	return made, nil
}

func deployment(t *testing.T, namespace string) *appsv1.Deployment {
	t.Helper()
	return live(t, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "checkout"}})
}
