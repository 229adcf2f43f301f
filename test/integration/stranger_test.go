package integration

import (
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// What somebody who had never seen Signoff found by trying everything that its documentation promises.

// TestLabelsOfActionsAreNotFree plays an author who may not use the ServiceAccount of an Action: Roles and policies select Actions by labels.
func TestLabelsOfActionsAreNotFree(t *testing.T) {
	somePeople(t)
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: people, name: labelled, labels: {risk: high}}, spec: {
		title: labelled, default: {effect: Allow}, execution: {serviceAccountName: doer, steps: [{name: note, apply: {manifests: [
		{apiVersion: v1, kind: ConfigMap, metadata: {namespace: people, name: note}, data: {a: b}}]}}]}}}`)
	action := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "people", Name: "labelled"}}
	refused(t, patch(t, users.Bob, action, `{"metadata": {"labels": {"risk": "low"}}}`), metav1.StatusReasonForbidden,
		"you (bob) may not let Actions run as ServiceAccount people/doer", "select Actions by labels")
	refused(t, patch(t, users.Bob, action, `{"metadata": {"labels": null}}`), metav1.StatusReasonForbidden, "select Actions by labels")
	if err := patch(t, users.Bob, action, `{"metadata": {"annotations": {"note": "seen"}}}`); err != nil {
		t.Errorf("annotations select nothing: %v", err)
	}
	if err := patch(t, users.Ada, action, `{"metadata": {"labels": {"risk": "low"}}}`); err != nil {
		t.Errorf("who may use the ServiceAccount may label: %v", err)
	}
}

// TestSystemGroupsGetNobodyIn tries the ways by which a group of logins, people or not, could come to approve.
func TestSystemGroupsGetNobodyIn(t *testing.T) {
	somePeople(t)
	for name, tc := range map[string]struct {
		object client.Object
		words  []string
	}{
		"Member":    {aTeam(t, "everybody", `{members: {groups: ["system:authenticated"]}}`), []string{"spec.members.groups[0]", "cannot be in a Team"}},
		"Lead":      {aTeam(t, "everybody", `{leads: {groups: [a, "system:masters"]}}`), []string{"spec.leads.groups[1]", "cannot be in a Team"}},
		"Own":       {aRole(t, "everybody", `{members: {groups: ["system:authenticated"]}, permissions: [{verbs: [approve], actions: {names: [a]}}]}`), []string{"spec.members.groups[0]", "system groups never approve"}},
		"Inherited": {aRole(t, "everybody", `{members: {groups: ["system:authenticated"]}, inherits: [owner]}`), []string{"spec.inherits", "system groups never approve"}},
		"Template":  {aTeam(t, "everybody", `{members: {users: ["${requester.username}"]}}`), []string{"spec.members.users[0]", "nothing is filled in here"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, as(t, users.Ada).Create(t.Context(), tc.object), metav1.StatusReasonInvalid, tc.words...)
		})
	}
}

// TestNamesOfApproversHideWhatTheyRead asks for Actions whose approvers are taken from an object that the requester may not read, and cannot be.
func TestNamesOfApproversHideWhatTheyRead(t *testing.T) {
	facts(t)
	apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: hidden}, data: {word: s3cr3tword}}`)
	for name, tc := range map[string]struct{ reason, approvers string }{
		"missing-key": {"An error of CEL repeats the key.", `users: ["u${{'a': 'b'}[hidden.data.word]}"]`},
		"bad-time":    {"Or the text that is no time.", `users: ["u${string(timestamp(hidden.data.word))}"]`},
		"no-team":     {"There is no such Team.", `teams: ["${hidden.data.word}"]`},
		"bad-name":    {"It is no name that can approve.", `users: ["${hidden.data.word} "]`},
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: factual, name: `+name+`}, spec: {title: a, default: {effect: RequireApproval, stages: [a]},
				lookups: [{as: hidden, object: {apiVersion: v1, kind: ConfigMap, namespace: limits, name: hidden}}],
				stages: [{name: a, approvers: {`+tc.approvers+`}}], execution: {serviceAccountName: writer, readServiceAccountName: reader, steps: [{name: note, apply: {manifests: [
				{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: note}, data: {a: b}}]}}]}}}`)
			var last string
			eventually(t, "the refusal", func() (bool, string) {
				last = errText(as(t, users.Alice).Create(t.Context(), factRequest(name, "{}")))
				return strings.Contains(last, "not shown: you may not read"), last
			})
			if strings.Contains(last, "s3cr3tword") {
				t.Errorf("%s The refusal shows it:\n%s", tc.reason, last)
			}
		})
	}
}

// TestListOverAllNamespaces reads a kind everywhere. Whoever may write one object anywhere makes such a list what it is.
func TestListOverAllNamespaces(t *testing.T) {
	facts(t)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: read-everywhere}, rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}]}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: read-everywhere}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: read-everywhere},
		subjects: [{kind: ServiceAccount, namespace: factual, name: reader}]}`)
	everywhere := func(name, trust string) {
		apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: factual, name: `+name+`}, spec: {title: a, default: {effect: Deny},
			lookups: [{as: quotas, `+trust+`list: {apiVersion: v1, kind: ConfigMap, selector: {matchLabels: {kind: quota}}}}],
			rules: [{name: one, when: "size(quotas) == 1", effect: Allow}], execution: {serviceAccountName: writer, readServiceAccountName: reader, steps: [{name: note, apply: {conflicts: Take, manifests: [
			{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: note}, data: {a: b}}]}}]}}}`)
	}
	everywhere("everywhere", "")
	refusedFor(t, users.Alice, factRequest("everywhere", "{}"), "every ConfigMap with kind=quota can be changed by whoever may write one anywhere", "trust: RequesterWritable")
	everywhere("everywhere-trusted", "trust: RequesterWritable, ")
	eventually(t, "the request", func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), factRequest("everywhere-trusted", "{}"), client.DryRunAll)
		return err == nil, errText(err)
	})
}

// told collects the warnings of one client.
type told struct {
	mu    sync.Mutex
	texts []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *told) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

// TestNamesOfNothingAreWarnedAbout writes what names something that is not there, or that will never be.
func TestNamesOfNothingAreWarnedAbout(t *testing.T) {
	somePeople(t)
	const action = `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: people, name: warned}, spec: {title: a, default: {effect: Deny}, RULES
		execution: {serviceAccountName: doer, steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: people, name: note}, data: {a: b}}]}}]}}}`
	const policy = `{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: warned}, spec: SPEC}`
	for name, tc := range map[string]struct{ object, words string }{
		"Team":             {`{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: warned}, spec: {parent: nope}}`, `there is no Team "nope"`},
		"RoleTeam":         {`{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: people, name: warned}, spec: {members: {teams: [nope]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}}`, `there is no Team "nope": until there is, the Role has no members by it`},
		"RoleAction":       {`{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: people, name: warned}, spec: {members: {users: [bob]}, permissions: [{verbs: [request], actions: {names: [noote]}}]}}`, `there is no Action "noote" in namespace people`},
		"ActionCalendar":   {strings.Replace(action, "RULES", `rules: [{name: r, when: "calendar('nope').contains(now)", effect: Allow}],`, 1), `there is no Calendar "nope" in namespace people: until there is, rule "r" cannot be judged`},
		"ActionTeam":       {strings.Replace(action, "RULES", `rules: [{name: r, effect: RequireApproval, stages: [s]}], stages: [{name: s, approvers: {teams: [nope]}}],`, 1), `there is no Team "nope": until there is, nobody approves stage "s" by it`},
		"ActionRole":       {strings.Replace(action, "RULES", `rules: [{name: r, effect: RequireApproval, stages: [s]}], stages: [{name: s, approvers: {roles: [nope]}}],`, 1), `there is no Role "nope" in namespace people`},
		"ActionExecutions": {strings.Replace(action, "RULES", `lookups: [{as: recent, executions: {within: 1h, actions: [warned, noote]}}], rules: [{name: r, when: "size(recent) < 5", effect: Allow}],`, 1), `there is no Action "noote" in namespace people: until there is, lookup "recent" counts nothing of it`},
		"ActionKind":       {strings.Replace(action, "RULES", `lookups: [{as: scans, list: {apiVersion: scan.example/v1, kind: Report, namespace: people}}], rules: [{name: r, when: "size(scans) == 0", effect: Allow}],`, 1), "the API server serves no scan.example/v1 Report (spec.lookups[scans].list)"},
		"ActionStepKind":   {strings.Replace(strings.Replace(action, "RULES", "", 1), "{apiVersion: v1, kind: ConfigMap,", "{apiVersion: v1, kind: Configmap,", 1), "the API server serves no v1 Configmap (spec.execution.steps[note].apply.manifests[0])"},
		"ActionSecret":     {strings.Replace(action, "RULES", `inputs: {openAPIV3Schema: {type: object, properties: {dbPassword: {type: string, maxLength: 9}}}},`, 1), "input dbPassword sounds like a secret"},
		"CalendarPast":     {`{apiVersion: signoff.dev/v1alpha1, kind: Calendar, metadata: {namespace: people, name: warned}, spec: {timeZone: UTC, windows: [{dates: {from: "2020-01-01", through: "2020-02-01"}}]}}`, "closed from now on and for ever"},
		"PolicyNamespaces": {strings.Replace(policy, "SPEC", "{match: {requestNamespaces: {names: [nope]}}, rules: [{name: r, effect: Hold}]}", 1), "requests from namespaces that are not there"},
		"PolicyObjects":    {strings.Replace(policy, "SPEC", "{match: {objects: [{namespaces: [nope]}]}, rules: [{name: r, effect: Hold}]}", 1), "objects in namespaces that are not there"},
		"PolicySelector":   {strings.Replace(policy, "SPEC", "{match: {objects: [{namespaceSelector: {matchLabels: {no: pe}}}]}, rules: [{name: r, effect: Hold}]}", 1), "objects in namespaces that are not there"},
		"PolicyStage":      {strings.Replace(policy, "SPEC", "{match: {actions: {names: [nope]}}, rules: [{name: r, effect: RequireApproval, stages: [a]}], stages: [{name: a, approvers: {users: [bob]}}, {name: b, approvers: {users: [bob]}}]}", 1), `no rule uses stage "b"`},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := warnings(t, users.Ada, object(t, tc.object))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text, tc.words) {
				t.Errorf("want a warning with %q, got:\n%s", tc.words, text)
			}
		})
	}
}

// TestReasonsHaveWords refuses what somebody must read and that says nothing.
func TestReasonsHaveWords(t *testing.T) {
	r := emergency("deploy")
	r.Spec.BreakGlass.Reason = "  "
	refused(t, as(t, users.Alice).Create(t.Context(), r), metav1.StatusReasonInvalid, "spec.breakGlass.reason", "say what the emergency is")
}

// TestStageOfAPolicyThatIsGone takes a policy away while its stage waits: nobody whom it named has a say any more.
func TestStageOfAPolicyThatIsGone(t *testing.T) {
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: passing}, spec: {match: {actions: {names: [deploy]}},
		rules: [{name: temps, when: "inputs.image.endsWith(':passing')", effect: RequireApproval, stages: [temps]}], stages: [{name: temps, approvers: {users: [carol]}}]}}`)
	passing := request("deploy", `{"service":"checkout","environment":"production","image":"registry/checkout:passing"}`)
	eventually(t, "the policy is in force", func() (bool, string) {
		text, err := warnings(t, users.Alice, passing.DeepCopy())
		return strings.Contains(text, "temps"), text + errText(err)
	})
	r := reaches(t, ask(t, users.Alice, passing), v1alpha1.PhaseAwaitingApproval)
	approvalsOf(t, r, 2)
	policy := &v1alpha1.ActionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "passing"}}
	if err := admin(t).Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of its stage", func() (bool, string) {
		for _, approval := range approvalsOf(t, r, 2) {
			if approval.Spec.Stage.Policy == "passing" {
				return approval.Status.State == v1alpha1.ApprovalSuperseded && strings.Contains(strings.Join(approval.Status.Decided, " "), "Nothing defines stage policy/passing/temps any more."), string(approval.Status.State)
			}
		}
		return false, "there is no Approval of it"
	})
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
}

// TestPartsOfTextsAreWarnedAbout applies rules about names that also hold for longer ones.
func TestPartsOfTextsAreWarnedAbout(t *testing.T) {
	somePeople(t)
	for name, tc := range map[string]struct{ object, rule, words string }{
		"Policy": {`{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: parts}, spec: {rules: [{name: closed, effect: Deny, when: "request.namespace.matches('RULE')"}]}}`,
			"prod", `rule "closed": matches('prod') also holds where only a part of the text is so. Write ^(prod)$`},
		"Action": {`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: people, name: parts}, spec: {title: a, default: {effect: Deny}, rules: [{name: own, effect: Allow, when: "request.namespace.matches('RULE')"}],
			execution: {serviceAccountName: doer, steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: people, name: note}, data: {a: b}}]}}]}}}`,
			"^team-a", `rule "own": matches('^team-a') also holds where only a part`},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := warnings(t, users.Ada, object(t, strings.ReplaceAll(tc.object, "RULE", tc.rule)))
			if err != nil || !strings.Contains(text, tc.words) {
				t.Errorf("the warnings do not say %q: %v\n%s", tc.words, err, text)
			}
			text, err = warnings(t, users.Ada, object(t, strings.ReplaceAll(tc.object, "RULE", "^prod$")))
			if err != nil || strings.Contains(text, "matches(") {
				t.Errorf("there is nothing to warn of: %v\n%s", err, text)
			}
		})
	}
}

// warnings creates an object in a dry run, and gives what its writer is warned of.
func warnings(t *testing.T, who env.Person, o client.Object) (string, error) {
	t.Helper()
	heard := &told{}
	config := rest.CopyConfig(who.Config)
	config.WarningHandler = heard
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Create(t.Context(), o, client.DryRunAll)
	return strings.Join(heard.texts, "\n"), err
}
