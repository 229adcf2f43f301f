package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const action = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy
  inputs:
    openAPIV3Schema:
      type: object
      required: [service, environment]
      properties:
        service: {type: string, maxLength: 63}
        environment: {type: string, enum: [staging, production]}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: "${inputs.environment}", name: "${inputs.service}"}
  rules:
  - {name: free, when: "inputs.environment == 'staging'", effect: Allow}
  - {name: owned, when: "inputs.environment == 'production'", effect: RequireApproval, stages: [owners]}
  stages:
  - {name: owners, approvers: {teams: [payments]}}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: rollout, patch: {merge: {metadata: {annotations: {by: "${request.uid}"}}}}}
`

func parse(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

// check compares what is wrong: the fields, and words of what is said about them.
func check(t *testing.T, reason string, errs field.ErrorList, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, err := range errs {
		got[err.Field] = err.ErrorBody()
	}
	for path, words := range want {
		if !strings.Contains(got[path], words) {
			t.Errorf("%s\n%s: want %q, got %q (all: %v)", reason, path, words, got[path], errs)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s\nwant %d fields to be wrong, got %v", reason, len(want), errs)
	}
}

func TestCompileAction(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*v1alpha1.ActionSpec)
		want   map[string]string
	}{
		"Good": {reason: "The Action as it stands compiles.", change: func(*v1alpha1.ActionSpec) {}},
		"MisspeltInput": {
			"A misspelt input is a compile error with its position.", func(s *v1alpha1.ActionSpec) { s.Rules[0].When = "inputs.enviroment == 'x'" },
			map[string]string{"spec.rules[0].when": `did you mean "environment"?`},
		},
		"SecretTarget": {
			"A Secret is never read as the target.", func(s *v1alpha1.ActionSpec) {
				s.Target.APIVersion, s.Target.Kind = "v1", "Secret"
				s.Rules[0].When = "has(target.data)"
			},
			map[string]string{"spec.target.kind": "a Secret is never read as a fact"},
		},
		"SecretWritten": {
			"Writing one is no fact.", func(s *v1alpha1.ActionSpec) { s.Target.APIVersion, s.Target.Kind = "v1", "Secret" }, nil,
		},
		"Endless": {
			"A condition that could never be evaluated within its budget is refused.", func(s *v1alpha1.ActionSpec) {
				s.Rules[0].When = "lists.range(1000).map(a, lists.range(1000).map(b, a * b)).size() > 0"
			},
			map[string]string{"spec.rules[0].when": "this costs at least"},
		},
		"NotBool": {
			"A condition gives true or false.", func(s *v1alpha1.ActionSpec) { s.Rules[0].When = "inputs.service" },
			map[string]string{"spec.rules[0].when": "true or false"},
		},
		"UnknownStage": {
			"A rule names stages that exist; and a stage that no rule uses is a mistake.", func(s *v1alpha1.ActionSpec) { s.Rules[1].Stages = []string{"owner"} },
			map[string]string{"spec.rules[1].stages[0]": `supported values: "owners"`, "spec.stages[0].name": "no rule uses this stage"},
		},
		"TheirTeams": {
			"Who tries to ask the leads of the requester learns how that is done.", func(s *v1alpha1.ActionSpec) {
				s.Stages[0].Approvers = &v1alpha1.Approvers{LeadsOf: []string{"${requester.teams[0]}"}, Expression: "requester.leads"}
			},
			map[string]string{
				"spec.stages[0].approvers.leadsOf[0]": "A stage cannot name the Teams of whoever asks. Let a rule choose the stage", "spec.stages[0].approvers.expression": "caller.leads.exists(t, t in requester.teams)",
			},
		},
		"Crowd": {
			"More people than an Approval has room for could never agree; whoever may deny keeps room, too.", func(s *v1alpha1.ActionSpec) {
				two := []v1alpha1.Requirement{{Name: "a", Approvers: *s.Stages[0].Approvers, Count: 64}, {Name: "b", Approvers: *s.Stages[0].Approvers, Count: 1}}
				s.Stages[0].Approvers, s.Stages[0].Count, s.Stages[0].Requirements, s.Stages[0].Denials = nil, 0, two, 64
			},
			map[string]string{"spec.stages[0]": "asks for 65 people in all, and 64 at most can agree where 64 must be able to deny"},
		},
		"NoCrowd": {
			"As many as there is room for may be asked for.", func(s *v1alpha1.ActionSpec) {
				two := []v1alpha1.Requirement{{Name: "a", Approvers: *s.Stages[0].Approvers, Count: 64}, {Name: "b", Approvers: *s.Stages[0].Approvers, Count: 48}}
				s.Stages[0].Approvers, s.Stages[0].Count, s.Stages[0].Requirements = nil, 0, two
			}, nil,
		},
		"NoStageNamed": {
			"Where the Action has stages, a rule says which.", func(s *v1alpha1.ActionSpec) { s.Rules[1].Stages = nil },
			map[string]string{"spec.rules[1].stages": "name those that must approve", "spec.stages[0].name": "no rule uses this stage"},
		},
		"Circle": {
			"Stages that wait for each other never open.", func(s *v1alpha1.ActionSpec) {
				s.Stages = append(s.Stages, v1alpha1.Stage{Name: "more", After: []string{"owners"}, Approvers: &v1alpha1.Approvers{Users: []string{"x"}}})
				s.Stages[0].After = []string{"more"}
				s.Rules[1].Stages = []string{"owners", "more"}
			},
			map[string]string{"spec.stages[0].after[0]": "in a circle", "spec.stages[1].after[0]": "in a circle"},
		},
		"AfterNothing": {
			"A stage waits for stages that exist.", func(s *v1alpha1.ActionSpec) { s.Stages[0].After = []string{"nowhere"} },
			map[string]string{"spec.stages[0].after[0]": "supported values"},
		},
		"SystemGroup": {
			"System groups hold identities that are no people.", func(s *v1alpha1.ActionSpec) {
				s.Stages[0].Approvers = &v1alpha1.Approvers{Groups: []string{"system:serviceaccounts:ci"}}
			},
			map[string]string{"spec.stages[0].approvers.groups[0]": "never approve"},
		},
		"TargetByItself": {
			"The target cannot be named by itself.", func(s *v1alpha1.ActionSpec) { s.Target.Name = "${target.metadata.name}" },
			map[string]string{"spec.target": "cannot be named by itself"},
		},
		"NoTarget": {
			"Who reads the target names one.", func(s *v1alpha1.ActionSpec) {
				s.Target = nil
				s.Rules[0].When = "target.metadata.name == 'x'"
				s.Execution.Steps[0].Patch.Target = &v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "a", Name: "b"}
			},
			map[string]string{"spec.rules[0].when": "set spec.target"},
		},
		"NowInTemplate": {
			"A template has no time: what was approved must render the same again.", func(s *v1alpha1.ActionSpec) { s.Target.Name = "x-${string(now)}" },
			map[string]string{"spec.target.name": "now", "spec.execution.steps[0].patch.target": "see spec.target"},
		},
		"GroupsInTemplate": {
			"Nor groups, which change from login to login.", func(s *v1alpha1.ActionSpec) { s.Target.Name = "x-${requester.groups[0]}" },
			map[string]string{"spec.target.name": "groups", "spec.execution.steps[0].patch.target": "see spec.target"},
		},
		"Nagging": {
			"An Event every second is no reminder.", func(s *v1alpha1.ActionSpec) { s.Stages[0].Reminder = "59s" },
			map[string]string{"spec.stages[0].reminder": "at least a minute"},
		},
		"EscalationTooLate": {
			"Nobody can be asked once the stage is over.", func(s *v1alpha1.ActionSpec) {
				s.Stages[0].Timeout = "8h"
				s.Stages[0].Escalation = &v1alpha1.Escalation{After: "8h", Approvers: v1alpha1.Approvers{Users: []string{"a"}}}
			},
			map[string]string{"spec.stages[0].escalation.after": "the stage is over after 8h"},
		},
		"EscalationToTheSystem": {
			"Who may never approve is not asked later either.", func(s *v1alpha1.ActionSpec) {
				s.Stages[0].Escalation = &v1alpha1.Escalation{After: "8h", Approvers: v1alpha1.Approvers{Expression: "[inputs.servce]", Groups: []string{"system:masters"}}}
			},
			map[string]string{"spec.stages[0].escalation.approvers.groups[0]": "never approve", "spec.stages[0].escalation.approvers.expression": "service"},
		},
		"ApproversExpression": {
			"Approvers can be computed.", func(s *v1alpha1.ActionSpec) {
				s.Stages[0].Approvers = &v1alpha1.Approvers{Expression: "namespaceObject.metadata.labels['owners'].split('.')"}
			}, nil,
		},
		"ApproversNoList": {
			"Approvers are a list of names.", func(s *v1alpha1.ActionSpec) {
				s.Stages[0].Approvers = &v1alpha1.Approvers{Expression: "inputs.service"}
			},
			map[string]string{"spec.stages[0].approvers.expression": "a list of strings is needed"},
		},
		"ApproversNumbers": {
			"Numbers are no names.", func(s *v1alpha1.ActionSpec) { s.Stages[0].Approvers = &v1alpha1.Approvers{Expression: "[1, 2]"} },
			map[string]string{"spec.stages[0].approvers.expression": "a list of strings is needed"},
		},
		"ApproversMisspelt": {
			"What does not compile is refused with its place.", func(s *v1alpha1.ActionSpec) {
				approvers := v1alpha1.Approvers{Expression: "[inputs.servce]"}
				s.Stages[0].Approvers, s.Stages[0].Requirements = nil, []v1alpha1.Requirement{{Name: "a", Approvers: approvers}}
			},
			map[string]string{"spec.stages[0].requirements[0].approvers.expression": `did you mean "service"?`},
		},
		"ApproversByTime": {
			"Approvers that change with the time would open the stage again and again.", func(s *v1alpha1.ActionSpec) {
				s.Stages[0].Approvers = &v1alpha1.Approvers{Expression: "now.getHours() > 8 ? ['a'] : ['b']"}
			},
			map[string]string{"spec.stages[0].approvers.expression": "now"},
		},
		"NoTime": {
			"A duration of zero would end everything at once.", func(s *v1alpha1.ActionSpec) { s.RequestTTL = "0s"; s.Stages[0].Timeout = "0h" },
			map[string]string{"spec.requestTTL": "longer than zero", "spec.stages[0].timeout": "longer than zero"},
		},
		"Delay": {
			"What is over after the start may be.", func(s *v1alpha1.ActionSpec) {
				s.Execution.Delay, s.RequestTTL, s.Stages[0].ValidFor = "59m", "1h", "60m"
			}, nil,
		},
		"DelayForEver": {
			"What is over before it starts never starts.", func(s *v1alpha1.ActionSpec) {
				s.Execution.Delay, s.RequestTTL = "24h", "24h"
			},
			map[string]string{"spec.execution.delay": "must be shorter than requestTTL, 24h: every request would be over before the start"},
		},
		"DelayInVain": {
			"People are not asked again and again for what lapses before the start.", func(s *v1alpha1.ActionSpec) {
				s.Execution.Delay, s.Stages[0].ValidFor = "1h", "30m"
			},
			map[string]string{"spec.execution.delay": "must be shorter than validFor of stage owners, 30m: every approval would be over before the start"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.Action{}
			parse(t, action, object)
			tc.change(&object.Spec)
			compiled, errs := CompileAction(object)
			check(t, tc.reason, errs, tc.want)
			if (compiled != nil) != (len(tc.want) == 0) {
				t.Errorf("%s\nan Action that is wrong must not be usable", tc.reason)
			}
		})
	}
}

func TestImplicitStage(t *testing.T) {
	object := &v1alpha1.Action{}
	parse(t, action, object)
	object.Spec.Stages, object.Spec.Rules = nil, nil
	object.Spec.Default = &v1alpha1.DefaultRule{Effect: v1alpha1.EffectRequireApproval}
	compiled, errs := CompileAction(object)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	stage := compiled.Default.Stages[0]
	want := []Requirement{{Name: ImplicitStage, Count: 1}}
	if diff := cmp.Diff(want, stage.Requirements); diff != "" || stage.Ref.ID() != "action/approval" {
		t.Errorf("the implicit stage: -want, +got:\n%s (%s)", diff, stage.Ref.ID())
	}
}

func TestCompileRole(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		spec   v1alpha1.RoleSpec
		want   map[string]string
	}{
		"AccountAsUser": {
			"A ServiceAccount among users would be matched by a name that says nothing.",
			v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Users: []string{"system:serviceaccount:a:b"}}, Permissions: permissions("request")},
			map[string]string{"spec.members.users[0]": `as "a/b"`},
		},
		"Pattern": {
			"Nobody is called so, and it reads as if everybody were meant.",
			v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Users: []string{"*"}, Groups: []string{"dev-*"}}, Permissions: permissions("request")},
			map[string]string{"spec.members.users[0]": "no pattern is understood here", "spec.members.groups[0]": "system:authenticated"},
		},
		"SystemGroupApproves": {
			"A whole class of logins never approves.",
			v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Groups: []string{"system:authenticated"}}, Permissions: permissions("approve")},
			map[string]string{"spec.members.groups[0]": "never approve"},
		},
		"SystemGroupRequests": {
			"But it may ask.",
			v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Groups: []string{"system:authenticated"}}, Permissions: permissions("request")}, nil,
		},
		"Blank": {
			"Names are compared exactly, so a blank is a mistake.",
			v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Groups: []string{"dev "}}, Permissions: permissions("request")},
			map[string]string{"spec.members.groups[0]": "blank"},
		},
		"StarAndMore": {
			"The star already means every Action.",
			v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Users: []string{"a"}}, Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{"request"}, Actions: v1alpha1.ActionSelector{Names: []string{"*", "x"}}}}},
			map[string]string{"spec.permissions[0].actions.names": "write it alone"},
		},
		"BadCondition": {
			"A condition compiles.",
			v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Users: []string{"a"}}, Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{"request"}, Actions: v1alpha1.ActionSelector{Names: []string{"x"}}, When: "calller.username == 'x'"}}},
			map[string]string{"spec.permissions[0].when": "calller"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := CompileRole(&v1alpha1.Role{Spec: tc.spec})
			check(t, tc.reason, errs, tc.want)
		})
	}
}

func permissions(verb v1alpha1.Verb) []v1alpha1.Permission {
	return []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{verb}, Actions: v1alpha1.ActionSelector{Names: []string{"x"}}}}
}

func TestPolicyMatches(t *testing.T) {
	object := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "deploy", Labels: map[string]string{"tier": "critical"}}}
	for name, tc := range map[string]struct {
		reason string
		match  *v1alpha1.PolicyMatch
		want   bool
	}{
		"Absent":     {"Without match a policy is about everything.", nil, true},
		"Namespace":  {"The namespace of the request.", &v1alpha1.PolicyMatch{RequestNamespaces: &v1alpha1.PolicyNamespaces{Names: []string{"payments"}}}, true},
		"Elsewhere":  {"Another one is not meant.", &v1alpha1.PolicyMatch{RequestNamespaces: &v1alpha1.PolicyNamespaces{Names: []string{"search"}}}, false},
		"Name":       {"The name of the Action.", &v1alpha1.PolicyMatch{Actions: &v1alpha1.PolicyActions{Names: []string{"deploy"}}}, true},
		"Prefix":     {"Names are compared whole.", &v1alpha1.PolicyMatch{Actions: &v1alpha1.PolicyActions{Names: []string{"dep"}}}, false},
		"AllOf":      {"Every field that is set must match.", &v1alpha1.PolicyMatch{Actions: &v1alpha1.PolicyActions{Names: []string{"deploy"}, Namespaces: []string{"other"}}}, false},
		"Labels":     {"The labels of the Action.", &v1alpha1.PolicyMatch{Actions: &v1alpha1.PolicyActions{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "critical"}}}}, true},
		"OtherLabel": {"Other labels are not meant.", &v1alpha1.PolicyMatch{Actions: &v1alpha1.PolicyActions{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "low"}}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			policy, errs := CompilePolicy(&v1alpha1.ActionPolicy{Spec: v1alpha1.ActionPolicySpec{Match: tc.match, Rules: []v1alpha1.PolicyRule{{Name: "r", Effect: "Hold"}}}})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if got := policy.Matches(object, "payments"); got != tc.want {
				t.Errorf("%s\nMatches: want %v, got %v", tc.reason, tc.want, got)
			}
		})
	}
}
