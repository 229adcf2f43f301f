package security

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// assistant is a login that the configuration calls an agent.
const assistant = "assistant"

const selfApproval = "you cannot approve this: you asked for it"

// TestCase01RequesterApprovesOwnRequest plays bob, who holds "approve" and is in the team that must agree, with his own request.
func TestCase01RequesterApprovesOwnRequest(t *testing.T) {
	r, approval := opened(t, users.Bob, request("deploy", play.ProductionInputs))
	refused(t, vote(t, users.Bob, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, selfApproval, "Eligible now: carol, dave")
	own := newApproval(r, approval)
	own.Spec.Votes = []v1alpha1.Vote{unsealedVote(approval, "carol")}
	refused(t, as(t, users.Bob).Create(t.Context(), own), metav1.StatusReasonForbidden)
	event := logged(t, "the refusal", approval.Name, func(e *auditv1.Event) bool {
		return e.User.Username == "bob" && e.ObjectRef != nil && e.ObjectRef.Name == approval.Name && e.Annotations["approvals.signoff.dev/reason"] != ""
	})
	if reason := event.Annotations["approvals.signoff.dev/reason"]; reason != v1alpha1.ReasonSelfApproval {
		t.Errorf("the audit log of the API server says %s, want %s", reason, v1alpha1.ReasonSelfApproval)
	}
	if now := live(t, approval); len(now.Spec.Votes) != 0 {
		t.Errorf("something was recorded: %+v", now.Spec.Votes)
	}
}

// TestCase02NameOfSomebodyElse writes the name of somebody else wherever there is room for a name.
func TestCase02NameOfSomebodyElse(t *testing.T) {
	r := request("deploy", play.ProductionInputs)
	r.Spec.Requester = identity("bob", env.GroupEngineering, env.GroupPayments)
	refused(t, as(t, users.Alice).Create(t.Context(), r), metav1.StatusReasonInvalid, "spec.requester", "from your login (alice): leave it out")
	_, approval := open(t)
	for _, body := range []string{
		`{"spec":{"vote":{"decision":"Approve","voter":{"username":"bob"}}}}`,
		`{"spec":{"vote":{"decision":"Approve","approver":"bob"}}}`,
		`{"spec":{"approver":"bob","vote":{"decision":"Approve"}}}`,
	} {
		// The API server drops what the schema does not know, unless it is asked to be strict; erin is not made bob by it.
		refused(t, patch(t, users.Erin, approval, body), metav1.StatusReasonForbidden, `you (erin) cannot approve stage "owners"`)
	}
	if err := patch(t, users.Carol, approval, `{"spec":{"vote":{"decision":"Approve","voter":{"username":"bob"}}}}`); err != nil {
		t.Fatal(err)
	}
	if cast := live(t, approval).Spec.Votes; len(cast) != 1 || cast[0].Voter.Username != "carol" {
		t.Errorf("the vote is not carol's: %+v", cast)
	}
}

// TestCase03SecondLoginOfOnePerson votes with every other way in which alice's name can be written.
func TestCase03SecondLoginOfOnePerson(t *testing.T) {
	r, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	for _, name := range []string{"alice@laptop", "ALICE", "Alice@Corp.Example", "alice ", " alice@laptop"} {
		refused(t, vote(t, engineer(t, name), approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, selfApproval)
	}
	// What no configuration maps is somebody else: a Cyrillic letter, and the prefix of another identity provider. It is recorded as it was written.
	alike := []string{"\u0430lice", "oidc:alice"}
	for i, name := range alike {
		votes(t, engineer(t, name), approval, v1alpha1.DecisionApprove)
		if cast := live(t, approval).Spec.Votes; len(cast) != i+1 || cast[i].Voter.Username != name || cast[i].Voter.Person == "alice" {
			t.Errorf("the vote of %+q must be told as such: %+v", name, cast)
		}
	}
	// And the audit log lists it by what was sealed, letter by letter, for whoever looks for aliases.
	eventually(t, "both votes in the audit log", func() (bool, string) {
		listed := voters(t, r)
		return slices.Equal(listed, alike), fmt.Sprintf("%+q", listed)
	})
}

// voters are the logins of those who voted on a request, as the audit log has them.
func voters(t *testing.T, r *v1alpha1.ActionRequest) []string {
	t.Helper()
	var names []string
	for _, fact := range told(t, audit.TypeStageVoted, r.Namespace+"/"+r.Name) {
		var vote struct{ Voter seal.Identity }
		if err := json.Unmarshal(fact.Data.Seals.Vote.Payload, &vote); err != nil {
			t.Fatal(err)
		}
		names = append(names, vote.Voter.Username)
	}
	return names
}

// TestCase04ServiceAccountApproves plays nadia, who administers a namespace: she mints a token of a ServiceAccount there, whom a stage names and
// a Role gives "approve".
func TestCase04ServiceAccountApproves(t *testing.T) {
	_, approval := opened(t, users.Alice, request("machines", `{}`))
	puppet := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "puppet"}}
	token := &authenticationv1.TokenRequest{}
	if err := as(t, users.Nadia).SubResource("token").Create(t.Context(), puppet, token); err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(cluster.Admin)
	config.BearerToken = token.Status.Token
	refused(t, vote(t, env.Person{Name: "puppet", Config: config}, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden,
		"ServiceAccount payments/puppet is not a person")
	for _, group := range []string{"system:serviceaccounts", "system:serviceaccounts:payments", "system:authenticated"} {
		for _, manifest := range []string{
			`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: grouped}, spec: {title: a, default: {effect: RequireApproval, stages: [a]},
				stages: [{name: a, approvers: {groups: ["` + group + `"]}}], execution: {serviceAccountName: deployer, steps: [{name: a, apply: {manifests: [` + someMap + `]}}]}}}`,
			`{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: grouped}, spec: {members: {groups: ["` + group + `"]},
				permissions: [{verbs: [approve], actions: {names: ["*"]}}]}}`,
		} {
			refused(t, as(t, users.Ada).Create(t.Context(), object(t, manifest)), metav1.StatusReasonInvalid, "system groups never approve")
		}
	}
}

// TestCase04AccountOfTheRequester plays rita, who asks, and edits the namespace of a ServiceAccount that may approve: she mints a token of it, so that it is
// she who would approve. For what others asked it may; and beside sam, who edits that namespace as well, it is no second vote.
func TestCase04AccountOfTheRequester(t *testing.T) {
	const checks = "checks"
	namespace(t, checks)
	checker, err := cluster.ServiceAccount(t.Context(), checks, "checker")
	if err != nil {
		t.Fatal(err)
	}
	machine := env.Person{Name: "system:serviceaccount:checks:checker", Config: checker}
	rita, sam := login(t, "rita", env.GroupEngineering, "check-editors"), login(t, "sam", env.GroupEngineering, "check-editors")
	for _, err := range []error{
		cluster.Grant(t.Context(), "edit", checks, env.ToGroup("check-editors")),
		cluster.Grant(t.Context(), env.RoleApprover, env.WorkNamespace, env.ToServiceAccount(checks, "checker")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	apply(t, staged("checked", `{name: a, approvers: {serviceAccounts: [checks/checker]}}`))
	apply(t, staged("checked-twice", `{name: a, count: 2, approvers: {serviceAccounts: [checks/checker], users: [sam, carol]}}`))
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: checkers}, spec: {members: {users: [rita, sam], serviceAccounts: [checks/checker]},
		permissions: [{verbs: [request, approve], actions: {names: [checked, checked-twice]}}]}}`)

	own := request("checked", `{}`)
	eventually(t, "rita may ask", func() (bool, string) {
		err := as(t, rita).Create(t.Context(), own)
		return err == nil, errText(err)
	})
	own = reaches(t, own, v1alpha1.PhaseAwaitingApproval)
	refused(t, vote(t, machine, &approvalsOf(t, own, 1)[0], v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden,
		"rita asked for this, and could act as you", "ServiceAccount checks/checker", "Somebody else must decide")
	neverStarts(t, own, v1alpha1.PhaseAwaitingApproval)
	_, others := opened(t, users.Alice, request("checked", `{}`))
	votes(t, machine, others, v1alpha1.DecisionApprove)
	closes(t, others, v1alpha1.ApprovalApproved)

	r, both := opened(t, users.Alice, request("checked-twice", `{}`))
	votes(t, sam, both, v1alpha1.DecisionApprove)
	votes(t, machine, both, v1alpha1.DecisionApprove)
	eventually(t, "both votes are counted as one", func() (bool, string) {
		now := live(t, both)
		return now.Status.Seal != nil && now.Status.Seal.Votes == 2 && strings.HasPrefix(now.Status.WaitingFor, "1 of "), fmt.Sprintf("%+v", now.Status)
	})
	neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
	votes(t, users.Carol, both, v1alpha1.DecisionApprove)
	closes(t, both, v1alpha1.ApprovalApproved)
}

// someMap is a manifest that a step may write.
const someMap = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: some}}`

// impersonating acts as somebody, with the credentials of ida.
func impersonating(t *testing.T, who string, groups ...string) env.Person {
	t.Helper()
	config := rest.CopyConfig(login(t, "ida").Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: who, Groups: groups}
	return env.Person{Name: who, Config: config}
}

// TestCase05Impersonation plays ida, who may impersonate alice and bob. To Signoff she is them; the audit log of the API server tells who she was.
func TestCase05Impersonation(t *testing.T) {
	_, approval := opened(t, impersonating(t, "alice", env.GroupEngineering, env.GroupPayments), request("deploy", play.ProductionInputs))
	refused(t, vote(t, impersonating(t, "carol", env.GroupEngineering), approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden)
	refused(t, vote(t, login(t, "ida"), approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden)
	votes(t, impersonating(t, "bob", env.GroupEngineering, env.GroupPayments), approval, v1alpha1.DecisionApprove)
	if cast := live(t, approval).Spec.Votes; len(cast) != 1 || cast[0].Voter.Username != "bob" {
		t.Errorf("the vote is bob's: %+v", cast)
	}
	logged(t, "ida as bob", approval.Name, func(e *auditv1.Event) bool {
		return e.ObjectRef != nil && e.ObjectRef.Name == approval.Name && e.User.Username == "ida" && e.ImpersonatedUser != nil &&
			e.ImpersonatedUser.Username == "bob" && e.Verb == "patch" && e.ResponseStatus.Code == 200
	})
}

// TestCase06BotVotesForSomebody plays the account of a chat bot that RBAC lets patch Approvals, and that says in a field for whom it speaks.
func TestCase06BotVotesForSomebody(t *testing.T) {
	_, approval := open(t)
	for _, body := range []string{
		`{"spec":{"vote":{"decision":"Approve"}}}`, `{"spec":{"vote":{"decision":"Approve","onBehalfOf":"bob"}}}`, `{"spec":{"vote":{"decision":"Approve","comment":"bob says yes"}}}`,
	} {
		refused(t, patch(t, users.Agent, approval, body), metav1.StatusReasonForbidden, "ServiceAccount agents/bot is not a person")
	}
	refused(t, forgedVote(t, users.Agent, approval, identity("bob", env.GroupEngineering, env.GroupPayments)), metav1.StatusReasonInvalid)
	if cast := live(t, approval).Spec.Votes; len(cast) != 0 {
		t.Errorf("something was recorded: %+v", cast)
	}
}

// TestCase07ApproverThatIsNobody names approvers that are nobody.
func TestCase07ApproverThatIsNobody(t *testing.T) {
	for name, approvers := range map[string]string{
		"NoName": `{users: [""]}`, "NoNames": `{users: []}`, "Nothing": `{}`, "UnknownKind": `{robots: [r2]}`, "EmptyGroup": `{groups: [a, ""]}`, "NoNamespace": `{serviceAccounts: [bot]}`,
		"Wildcard": `{users: ["*", ""]}`,
	} {
		action := object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: nobody}, spec: {title: a, default: {effect: RequireApproval, stages: [a]},
			stages: [{name: a, approvers: `+approvers+`}], execution: {serviceAccountName: deployer, steps: [{name: a, apply: {manifests: [`+someMap+`]}}]}}}`)
		t.Run(name, func(t *testing.T) {
			refused(t, as(t, users.Frank).Create(t.Context(), action), metav1.StatusReasonInvalid, "approvers")
		})
	}
	for _, members := range []string{`{}`, `{users: [""]}`, `{robots: [r2]}`} {
		role := object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: nobody}, spec: {members: `+members+`, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}}`)
		refused(t, as(t, users.Ada).Create(t.Context(), role), metav1.StatusReasonInvalid, "members")
	}
}

// TestCase08NoGroups votes with logins that carry no groups: what bob's other login carries does not count for this one.
func TestCase08NoGroups(t *testing.T) {
	if err := cluster.Grant(t.Context(), env.RoleApprover, env.WorkNamespace, env.ToUser("bob")); err != nil {
		t.Fatal(err)
	}
	_, approval := opened(t, users.Alice, request("two-engineers", `{}`))
	for name, who := range map[string]env.Person{
		"Without": login(t, "bob"), "Impersonated": impersonating(t, "bob"),
	} {
		t.Run(name, func(t *testing.T) {
			eventually(t, "the refusal", func() (bool, string) {
				err := vote(t, who, approval, v1alpha1.DecisionApprove, "")
				return err != nil && strings.Contains(err.Error(), `you (bob) may not approve`), fmt.Sprint(err)
			})
		})
	}
	if cast := live(t, approval).Spec.Votes; len(cast) != 0 {
		t.Errorf("something was recorded: %+v", cast)
	}
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
}

// TestCase09ClusterAdminApprovesOwnRequest plays ada, who may do everything in the cluster.
func TestCase09ClusterAdminApprovesOwnRequest(t *testing.T) {
	_, approval := opened(t, users.Ada, request("two-stages", `{}`))
	refused(t, vote(t, users.Ada, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, selfApproval)
	refused(t, patchStatus(t, users.Ada, approval, `{"status":{"state":"Approved"}}`), metav1.StatusReasonForbidden, "written by Signoff only")
	_, other := open(t)
	refused(t, vote(t, users.Ada, other, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, `you (ada) cannot approve stage "owners"`)
	// The certificate of system:masters passes every check of RBAC, and none of ours.
	masters := env.Person{Name: "masters", Config: cluster.Admin}
	refused(t, vote(t, masters, other, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "you (admin) may not approve platform/deploy")
	for _, untouched := range []*v1alpha1.Approval{approval, other} {
		if now := live(t, untouched); len(now.Spec.Votes) != 0 || now.Status.State != v1alpha1.ApprovalOpen {
			t.Errorf("something came of it: %+v, %s", now.Spec.Votes, now.Status.State)
		}
	}
	key := types.NamespacedName{Namespace: approval.Namespace, Name: approval.Name}
	if err := as(t, users.Ada).Get(t.Context(), key, &v1alpha1.Approval{}); err != nil {
		t.Errorf("ada reads what she likes: %v", err)
	}
}
