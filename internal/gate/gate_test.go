package gate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// monday is a Monday at noon in London, inside business hours.
var monday = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const world = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy a service
  inputs:
    openAPIV3Schema:
      type: object
      required: [service, environment]
      properties:
        service: {type: string, maxLength: 63}
        environment: {type: string, enum: [staging, production]}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: "${inputs.environment}", name: "${inputs.service}"}
  rules:
  - {name: hours, when: "inputs.environment == 'staging' && calendar('hours').contains(now)", effect: Allow}
  - {name: owned, when: "inputs.environment == 'production' || !calendar('hours').contains(now)", effect: RequireApproval, stages: [owners]}
  - {name: frozen, when: "inputs.service == 'frozen'", effect: Deny, message: this service is frozen}
  - {name: busy, when: "inputs.service == 'busy'", effect: Hold}
  - {name: dated, when: "inputs.service == 'dated' && now < timestamp('2026-12-27T00:00:00Z')", effect: Hold}
  - {name: morning, when: "inputs.service == 'morning' && now.getHours() < 13", effect: Hold}
  - {name: broken, when: "inputs.service == 'broken' && target.metadata.labels['none'] == 'x'", effect: Deny}
  stages:
  - {name: owners, approvers: {teams: ["${namespaceObject.metadata.labels['team']}"]}}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: rollout, patch: {merge: {metadata: {annotations: {by: "${request.uid}"}}}}}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: simple}
spec:
  title: Simple
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: orphan}
spec:
  title: Nobody may approve this
  default: {effect: RequireApproval, stages: [s]}
  stages: [{name: s, approvers: {teams: [nobody]}}]
  execution:
    serviceAccountName: deployer
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}
---
apiVersion: signoff.dev/v1alpha1
kind: Calendar
metadata: {namespace: platform, name: hours}
spec: {timeZone: Europe/London, windows: [{weekly: {days: [Mon, Tue, Wed, Thu, Fri], from: "09:00", to: "17:30"}}]}
---
apiVersion: signoff.dev/v1alpha1
kind: Team
metadata: {name: payments}
spec: {members: {users: [bob, carol, alice]}}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: developer}
spec:
  members: {users: [alice, alice@laptop]}
  permissions:
  - {verbs: [request], actions: {names: ["*"]}}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: junior}
spec:
  members: {users: [joe]}
  permissions:
  - {verbs: [request], actions: {names: [deploy]}, when: "inputs.environment != 'production'", message: seniors may deploy to production}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: approver}
spec:
  members: {users: [bob, carol, alice, alice@laptop, eve, mallory], serviceAccounts: [agents/bot]}
  permissions:
  - {verbs: [approve], actions: {names: ["*"]}}
`

type fakeFacts struct{ labels map[string]any }

func (f fakeFacts) Object(context.Context, string, string, v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	return nil, errors.New("deployments.apps is forbidden")
}

func (f fakeFacts) List(context.Context, string, string, Query) (*unstructured.UnstructuredList, error) {
	return nil, errors.New("lists are forbidden")
}

func (f fakeFacts) Watch(string, string, Query, types.NamespacedName) bool { return false }

func (f fakeFacts) MayWrite(context.Context, *v1alpha1.Identity, bool, ...Query) (bool, error) {
	return false, nil
}

func (f fakeFacts) MayRead(context.Context, *v1alpha1.Identity, Query) (bool, error) {
	return true, nil
}

func (f fakeFacts) Namespace(_ context.Context, name string, _ types.NamespacedName) (map[string]any, error) {
	return map[string]any{"name": name, "labels": f.labels, "annotations": map[string]any{}}, nil
}

// newGate makes a gate over the world.
func newGate(t testing.TB, facts Facts) *Gate {
	t.Helper()
	return gateOver(t, world, byLogin(), facts, clock.RealClock{})
}

// byLogin is a configuration by which people have several logins, such as alice and alice@laptop.
func byLogin() *config.Configuration {
	cfg := config.Default()
	cfg.Person.Expression = "user.username.split('@')[0]"
	return cfg
}

// gateOver makes a gate over governing objects, written as YAML.
func gateOver(t testing.TB, objects string, cfg *config.Configuration, facts Facts, clk clock.PassiveClock) *Gate {
	t.Helper()
	store := snapshot.NewStore(nil)
	for text := range strings.SplitSeq(objects, "\n---\n") {
		store.Put(parse(t, text))
	}
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return New(store, rules, facts, "signoff-system", clk)
}

func parse(t testing.TB, text string) any {
	t.Helper()
	head := struct{ Kind string }{}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		t.Fatal(err)
	}
	object, ok := map[string]any{
		"Action": &v1alpha1.Action{}, "Calendar": &v1alpha1.Calendar{}, "Team": &v1alpha1.Team{}, "Role": &v1alpha1.Role{},
		"ActionPolicy": &v1alpha1.ActionPolicy{}, "Delegation": &v1alpha1.Delegation{},
	}[head.Kind]
	if !ok {
		t.Fatalf("kind %q", head.Kind)
	}
	if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	return object
}

func asking(user, action, inputs string) *Subject {
	s := &Subject{
		Namespace: "payments", Name: "r", Requester: v1alpha1.Identity{Username: user, Person: strings.Split(user, "@")[0]},
		Spec: &v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: action}},
	}
	if inputs != "" {
		s.Spec.Inputs = &runtime.RawExtension{Raw: []byte(inputs)}
	}
	return s
}

func TestJudge(t *testing.T) {
	team := fakeFacts{labels: map[string]any{"team": "payments"}}
	type want struct {
		Reason  string
		Effect  v1alpha1.Effect
		Stages  []string
		Message []string
	}
	for name, tc := range map[string]struct {
		reason  string
		subject *Subject
		facts   fakeFacts
		now     time.Time
		want    want
	}{
		"AllowedInHours": {
			reason: "Staging in business hours is free.", facts: team, now: monday,
			subject: asking("alice", "deploy", `{"service":"checkout","environment":"staging"}`), want: want{Effect: v1alpha1.EffectAllow},
		},
		"AfterHours": {
			reason: "The same at 22:00 needs the owners.", facts: team, now: monday.Add(10 * time.Hour),
			subject: asking("alice", "deploy", `{"service":"checkout","environment":"staging"}`),
			want:    want{Effect: v1alpha1.EffectRequireApproval, Stages: []string{"action/owners"}},
		},
		"ImplicitStage": {
			reason: "An Action without stages asks whoever holds approve.", facts: team, now: monday, subject: asking("alice", "simple", ""),
			want: want{Effect: v1alpha1.EffectRequireApproval, Stages: []string{"action/approval"}},
		},
		"NoRole": {
			reason: "Who holds no permission learns who does, and nothing about inputs.", facts: team, now: monday, subject: asking("zoe", "deploy", `{"bad":1}`),
			want: want{Reason: v1alpha1.ReasonNotAuthorized, Message: []string{"you (zoe) may not request platform/deploy", "role developer (alice, alice@laptop)"}},
		},
		"RoleCondition": {
			reason: "Who does not meet the condition of a Role learns it.", facts: team, now: monday,
			subject: asking("joe", "deploy", `{"service":"checkout","environment":"production"}`),
			want:    want{Reason: v1alpha1.ReasonNotAuthorized, Message: []string{"role platform/junior lets you request deploy only when: seniors may deploy to production"}},
		},
		"NoAction": {
			reason: "A name that does not exist is answered with those that do.", facts: team, now: monday, subject: asking("alice", "deplyo", ""),
			want: want{Reason: v1alpha1.ReasonActionUnavailable, Message: []string{"there is no Action platform/deplyo"}},
		},
		"BadInput": {
			reason: "An input that does not fit is named.", facts: team, now: monday, subject: asking("alice", "deploy", `{"service":"checkout","environment":"prod"}`),
			want: want{Reason: v1alpha1.ReasonActionUnavailable, Message: []string{"environment"}},
		},
		"Denied": {
			reason: "A rule that denies speaks with its message.", facts: team, now: monday,
			subject: asking("alice", "deploy", `{"service":"frozen","environment":"staging"}`),
			want:    want{Reason: v1alpha1.ReasonDeniedByRule, Effect: v1alpha1.EffectDeny, Message: []string{"this service is frozen (rule frozen of Action platform/deploy)"}},
		},
		"Hold": {
			reason: "A hold is no problem: the request waits.", facts: team, now: monday,
			subject: asking("alice", "deploy", `{"service":"busy","environment":"staging"}`), want: want{Effect: v1alpha1.EffectHold},
		},
		"FactForbidden": {
			reason: "A fact that cannot be read means no decision.", facts: team, now: monday,
			subject: asking("alice", "deploy", `{"service":"broken","environment":"staging"}`),
			want:    want{Reason: v1alpha1.ReasonFactsUnavailable, Message: []string{"cannot read the target, Deployment staging/broken"}},
		},
		"MissingLabel": {
			reason: "A fact without the label that names the approvers stops the request.", facts: fakeFacts{labels: map[string]any{}}, now: monday,
			subject: asking("alice", "deploy", `{"service":"checkout","environment":"production"}`),
			want:    want{Reason: v1alpha1.ReasonIndeterminate, Effect: v1alpha1.EffectRequireApproval, Message: []string{`stage "owners"`, "team"}},
		},
		"UnknownTeam": {
			reason: "An approver set that is empty lets nobody approve, so the request is stopped.", facts: fakeFacts{labels: map[string]any{"team": "ghosts"}}, now: monday,
			subject: asking("alice", "deploy", `{"service":"checkout","environment":"production"}`),
			want:    want{Reason: v1alpha1.ReasonIndeterminate, Effect: v1alpha1.EffectRequireApproval, Message: []string{`there is no Team "ghosts"`}},
		},
		"NobodyAtAll": {
			reason: "The same for a literal name.", facts: team, now: monday, subject: asking("alice", "orphan", ""),
			want: want{Reason: v1alpha1.ReasonIndeterminate, Effect: v1alpha1.EffectRequireApproval, Message: []string{`there is no Team "nobody"`}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			// The rule "broken" reads the target in every case; only that case may fail for it.
			facts := Facts(tc.facts)
			if name != "FactForbidden" {
				facts = readable{tc.facts}
			}
			j := newGate(t, facts).Judge(t.Context(), tc.subject, tc.now)
			got := want{}
			if j.Verdict != nil {
				got.Effect = j.Verdict.Effect
			}
			for i := range j.Stages {
				got.Stages = append(got.Stages, j.Stages[i].Ref.ID())
			}
			if j.Problem != nil {
				got.Reason = j.Problem.Reason
				for _, words := range tc.want.Message {
					if !strings.Contains(j.Problem.Message, words) {
						t.Errorf("the message does not say %q:\n%s", words, j.Problem.Message)
					}
				}
			}
			tc.want.Message = nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nJudge(...): -want, +got:\n%s\n%+v", tc.reason, diff, j.Problem)
			}
		})
	}
}

// readable lets every object be read.
type readable struct{ fakeFacts }

func (readable) Object(context.Context, string, string, v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"labels": map[string]any{}}}}, nil
}

func TestNextChange(t *testing.T) {
	gate := newGate(t, readable{fakeFacts{labels: map[string]any{"team": "payments"}}})
	j := gate.Judge(t.Context(), asking("alice", "deploy", `{"service":"checkout","environment":"staging"}`), monday)
	if want := time.Date(2026, 11, 23, 17, 30, 0, 0, time.UTC); !j.NextChange.Equal(want) {
		t.Errorf("the verdict changes when business hours end: want %v, got %v", want, j.NextChange)
	}
}

// TestNoTime: where there was no time to judge, there may be later, and nothing else would make the request be judged again.
func TestNoTime(t *testing.T) {
	for name, inputs := range map[string]string{
		"Rules":     `{"service":"checkout","environment":"staging"}`,
		"Approvers": `{"service":"checkout","environment":"production"}`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			j := newGate(t, fakeFacts{labels: map[string]any{"team": "payments"}}).Judge(ctx, asking("alice", "deploy", inputs), monday)
			if j.Problem == nil || !j.Volatile {
				t.Errorf("want a problem that may be gone later, got %+v, volatile %v", j.Problem, j.Volatile)
			}
		})
	}
}

func TestNotSynced(t *testing.T) {
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	j := New(snapshot.NewStore(nil), rules, fakeFacts{}, "signoff-system", clock.RealClock{}).Judge(t.Context(), asking("alice", "deploy", ""), monday)
	if j.Problem == nil || !j.Problem.Transient || j.Problem.Reason != v1alpha1.ReasonIndeterminate {
		t.Errorf("before the caches are in sync nothing can be decided; got %+v", j.Problem)
	}
}

func TestEligible(t *testing.T) {
	gate := newGate(t, readable{fakeFacts{labels: map[string]any{"team": "payments"}}})
	subject := asking("alice", "deploy", `{"service":"checkout","environment":"production"}`)
	j := gate.Judge(t.Context(), subject, monday)
	if j.Problem != nil {
		t.Fatal(j.Problem.Message)
	}
	for name, tc := range map[string]struct {
		reason string
		voter  string
		want   string
		words  string
	}{
		"Owner":          {"A member of the team may approve.", "bob", "", ""},
		"Requester":      {"The requester never may.", "alice", v1alpha1.ReasonSelfApproval, "you asked for it"},
		"SecondLogin":    {"Nor under another login.", "alice@laptop", v1alpha1.ReasonSelfApproval, "You are alice (as alice@laptop); it was requested by alice (as alice)"},
		"Outsider":       {"Who holds approve and is not named by the stage may not.", "eve", v1alpha1.ReasonNotAnApprover, "are not in team payments"},
		"NoVerb":         {"Who does not hold approve may not.", "zoe", v1alpha1.ReasonNotAnApprover, "you (zoe) may not approve"},
		"ServiceAccount": {"A ServiceAccount that the configuration does not list may not.", "system:serviceaccount:agents:bot", v1alpha1.ReasonNotAnApprover, "agents/bot is not a person"},
		"System":         {"No system identity may.", "system:admin", v1alpha1.ReasonNotAnApprover, "system identity"},
	} {
		t.Run(name, func(t *testing.T) {
			voter := &v1alpha1.Identity{Username: tc.voter, Person: strings.Split(tc.voter, "@")[0]}
			eligible := gate.Eligible(t.Context(), j, j.Poll(&j.Stages[0], &subject.Requester), voter)
			got := Problem{}
			if eligible.Problem != nil {
				got = *eligible.Problem
			}
			if got.Reason != tc.want || !strings.Contains(got.Message, tc.words) {
				t.Errorf("%s\nEligible(%s): want %q with %q, got %+v", tc.reason, tc.voter, tc.want, tc.words, got)
			}
			if eligible.Meets[0] != (tc.want == "") {
				t.Errorf("%s\nMeets: got %v", tc.reason, eligible.Meets)
			}
		})
	}
}

func TestWarningsFitTheHeader(t *testing.T) {
	gate := newGate(t, readable{fakeFacts{labels: map[string]any{"team": "payments"}}})
	subject := asking("alice", "deploy", `{"service":"checkout","environment":"production"}`)
	warnings := gate.Warnings(gate.Judge(t.Context(), subject, monday), subject)
	want := []string{
		`needs 1 approval in stage "owners" from team payments (bob, carol; not you). Rule: owned.`,
		`it expires Mon 30 Nov 12:00 UTC if nobody decides. Follow: kubectl wait -n payments actionrequest/r --for=condition=Finished --timeout=24h`,
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Errorf("Warnings(...): -want, +got:\n%s", diff)
	}
	for _, warning := range warnings {
		if len([]rune(warning)) > 256 || strings.ContainsAny(warning, "\n\t") {
			t.Errorf("the API server would cut or drop this warning: %q", warning)
		}
	}
}

// TestStartsTooLate: who asks is told that a start after the end is none.
func TestStartsTooLate(t *testing.T) {
	gate := newGate(t, readable{fakeFacts{labels: map[string]any{"team": "payments"}}})
	end := monday.Add(DefaultTTL)
	for at, want := range map[time.Time]bool{end.Add(-time.Second): false, end: true, end.Add(time.Hour): true} {
		subject := asking("alice", "deploy", `{"service":"checkout","environment":"production"}`)
		subject.Spec.NotBefore = &metav1.Time{Time: at}
		warnings := strings.Join(gate.Warnings(gate.Judge(t.Context(), subject, monday), subject), "\n")
		if strings.Contains(warnings, "it expires Mon 30 Nov 12:00 UTC, before spec.notBefore") != want {
			t.Errorf("a start at %s, want a warning: %t, got:\n%s", at, want, warnings)
		}
	}
}

// What holds or denies says until when only where time has to do with it, and where it is known. The Action has business hours, which are
// nothing to the rules that hold.
func TestUntil(t *testing.T) {
	gate := newGate(t, readable{fakeFacts{labels: map[string]any{"team": "payments"}}})
	end := time.Date(2026, 11, 23, 17, 30, 0, 0, time.UTC)
	for service, tc := range map[string]struct {
		reason, want string
		next         time.Time
		stored       bool
	}{
		"busy":    {"Time has nothing to do with it.", "rule busy of Action platform/deploy", end, true},
		"dated":   {"A comparison of now with an instant ends at that instant.", "rule dated of Action platform/deploy until Sun 27 Dec 00:00 UTC", end, true},
		"morning": {"Nobody can tell when the hour of now makes a difference; it is looked at again in a minute all the same.", "rule morning of Action platform/deploy", monday.Add(time.Minute), false},
	} {
		t.Run(service, func(t *testing.T) {
			held := gate.Judge(t.Context(), asking("alice", "deploy", `{"service":"`+service+`","environment":"staging"}`), monday)
			if got := HeldBy(held, false); got != tc.want || !held.NextChange.Equal(tc.next) {
				t.Errorf("%s\nHeldBy(...): want %q, next change %s; got %q, %s", tc.reason, tc.want, tc.next, got, held.NextChange)
			}
			if stored := VerdictStatus(held).NextChange != nil; stored != tc.stored {
				t.Errorf("%s\nnextChange is stored: want %t, got %t", tc.reason, tc.stored, stored)
			}
		})
	}
	denied := gate.Judge(t.Context(), asking("alice", "deploy", `{"service":"frozen","environment":"staging"}`), monday)
	if strings.Contains(denied.Problem.Message, "Time may change this") {
		t.Errorf("no time changes that the service is frozen:\n%s", denied.Problem.Message)
	}
}
