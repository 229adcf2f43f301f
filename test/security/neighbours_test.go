package security

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// What stands beside the cases of the list.

// TestCase63VoteOnWhatWasNotSeen votes with the digest of another request, as somebody who mixes up two terminals, or is made to.
func TestCase63VoteOnWhatWasNotSeen(t *testing.T) {
	_, seen := open(t)
	_, other := opened(t, users.Alice, request("deploy", `{"service":"checkout","environment":"production","image":"registry/evil:1"}`))
	short := strings.TrimPrefix(seen.Spec.Digest, "sha256:")[:8]
	for _, digest := range []string{short, seen.Spec.Digest} {
		refused(t, patch(t, users.Bob, other, `{"spec":{"vote":{"decision":"Approve","digest":"`+digest+`"}}}`), metav1.StatusReasonForbidden, "this is not what you looked at")
	}
	if err := patch(t, users.Bob, seen, `{"spec":{"vote":{"decision":"Approve","digest":"`+short+`"}}}`); err != nil {
		t.Errorf("the right one is taken: %v", err)
	}
	if cast := live(t, other).Spec.Votes; len(cast) != 0 {
		t.Errorf("something was recorded: %+v", cast)
	}
}

// TestCase64DryRunGivesNoSeal asks for a request, a vote, a cancellation and a Delegation in a dry run, whose result is given away: nothing in it proves
// anything. A decision about a step is tried where there is one to make: test/timing.TestResolutionInADryRun.
func TestCase64DryRunGivesNoSeal(t *testing.T) {
	r := request("deploy", play.StagingInputs)
	if err := as(t, users.Alice).Create(t.Context(), r, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if r.Spec.Seal != nil {
		t.Errorf("a seal was given away: %+v", r.Spec.Seal)
	}
	asked, approval := open(t)
	body := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Approve"}}}`))
	dry := approval.DeepCopy()
	if err := as(t, users.Bob).Patch(t.Context(), dry, body, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if len(dry.Spec.Votes) != 1 || dry.Spec.Votes[0].Seal != "" {
		t.Errorf("a seal was given away: %+v", dry.Spec.Votes)
	}
	if cast := live(t, approval).Spec.Votes; len(cast) != 0 {
		t.Errorf("something was stored: %+v", cast)
	}

	stopped := asked.DeepCopy()
	body = client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancellation":{"reason":"never mind"}}}`))
	if err := as(t, users.Alice).Patch(t.Context(), stopped, body, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if got := stopped.Spec.Cancellation; got == nil || got.By.Username != users.Alice.Name || got.Seal != nil {
		t.Errorf("a seal was given away: %+v", got)
	}
	if got := live(t, asked).Spec.Cancellation; got != nil {
		t.Errorf("something was stored: %+v", got)
	}

	if err := cluster.Grant(t.Context(), roleDelegator, env.CatalogNamespace, env.ToUser(users.Bob.Name)); err != nil {
		t.Fatal(err)
	}
	given := standIn("dry", "whoever", "dora")
	eventually(t, "bob may make a Delegation", func() (bool, string) {
		err := as(t, users.Bob).Create(t.Context(), given, client.DryRunAll)
		return err == nil, errText(err)
	})
	if given.Spec.Principal == nil || given.Spec.Principal.Username != users.Bob.Name || given.Spec.Seal != nil {
		t.Errorf("a seal was given away: %+v", given.Spec)
	}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(given), &v1alpha1.Delegation{}); !apierrors.IsNotFound(err) {
		t.Errorf("something was stored: %v", err)
	}
}

// TestCase65StampOfSomebodyElse sends a request again as it was stored, with its stamp and its seal, as a restore or a thief would.
func TestCase65StampOfSomebodyElse(t *testing.T) {
	stored := live(t, ask(t, users.Alice, request("deploy", play.StagingInputs)))
	again := func(name string) *v1alpha1.ActionRequest {
		r := stored.DeepCopy()
		bare(r)
		r.Name = name
		return r
	}
	refused(t, as(t, users.Bob).Create(t.Context(), again("stolen")), metav1.StatusReasonInvalid, "spec.requester", "from your login (bob)")
	// Alice's own is a new request of hers: it is judged, and sealed, anew.
	own := again("restored")
	if err := as(t, users.Alice).Create(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if own.Spec.Seal.Nonce == stored.Spec.Seal.Nonce || own.Spec.Seal.Signature == stored.Spec.Seal.Signature {
		t.Error("an old seal was taken")
	}
	reaches(t, own, v1alpha1.PhaseSucceeded)
}

// TestCase67OperatorIsNoPerson uses the token of the operator itself: it asks for nothing, has no vote, and writes no rule.
func TestCase67OperatorIsNoPerson(t *testing.T) {
	operator := env.Person{Name: "the operator", Config: signoff.Operator}
	r, approval := open(t)
	for name, err := range map[string]error{
		"Asks":      as(t, operator).Create(t.Context(), request("deploy", play.StagingInputs)),
		"Votes":     vote(t, operator, approval, v1alpha1.DecisionApprove, ""),
		"Forges":    forgedVote(t, operator, approval, identity("bob", env.GroupEngineering, env.GroupPayments)),
		"Cancels":   patch(t, operator, r, `{"spec":{"cancellation":{"reason":"stop"}}}`),
		"Publishes": patch(t, operator, &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "deploy"}}, `{"spec":{"title":"other"}}`),
		"Promotes":  as(t, operator).Create(t.Context(), object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: own}, spec: {members: {users: [mallory]}}}`)),
	} {
		t.Run(name, func(t *testing.T) {
			if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
				t.Errorf("it did: %v", err)
			}
		})
	}
	if err := as(t, operator).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: "any"}, &corev1.Secret{}); !apierrors.IsForbidden(err) {
		t.Errorf("it reads Secrets of others: %v", err)
	}
}

// TestCase68NamespaceAdministrator plays nadia, who administers the namespace of the requests by Kubernetes' own role: nothing of Signoff's came with it.
func TestCase68NamespaceAdministrator(t *testing.T) {
	r, approval := open(t)
	nadia := as(t, users.Nadia)
	for name, err := range map[string]error{
		"Asks":     nadia.Create(t.Context(), request("deploy", play.StagingInputs)),
		"Votes":    vote(t, users.Nadia, approval, v1alpha1.DecisionApprove, ""),
		"Deletes":  nadia.Delete(t.Context(), r.DeepCopy()),
		"Removes":  nadia.Delete(t.Context(), approval.DeepCopy()),
		"Cancels":  patch(t, users.Nadia, r, `{"spec":{"cancellation":{"reason":"stop"}}}`),
		"Relabels": patch(t, users.Nadia, approval, `{"metadata":{"labels":{"a":"b"}}}`),
	} {
		t.Run(name, func(t *testing.T) { refused(t, err, metav1.StatusReasonForbidden) })
	}
	// She may let others do what she may not do herself only where Kubernetes lets her: which is nothing of ours.
	binding := object(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: payments, name: own}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: signoff-approver},
		subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: nadia}]}`)
	refused(t, nadia.Create(t.Context(), binding), metav1.StatusReasonForbidden, "attempting to grant RBAC permissions not currently held")
}

// TestCase69GuardPromotesHerself plays grace, who writes Teams, and frank, who writes Roles: neither makes an approver of themselves.
func TestCase69GuardPromotesHerself(t *testing.T) {
	payments := &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "payments"}}
	refused(t, patch(t, users.Grace, payments, `{"spec":{"members":{"users":["bob","carol","dave","grace"]}}}`), metav1.StatusReasonForbidden, `"addmember" on teams.signoff.dev/payments`)
	refused(t, as(t, users.Grace).Create(t.Context(), object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: below}, spec: {parent: payments, members: {users: [grace]}}}`)),
		metav1.StatusReasonForbidden, `"addchild" on teams.signoff.dev/payments`)
	refused(t, as(t, users.Frank).Create(t.Context(), object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: own}, spec: {members: {users: [frank]},
		permissions: [{verbs: [approve], actions: {names: ["*"]}}]}}`)), metav1.StatusReasonForbidden, "what you do not hold yourself")
	approver := &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "approver"}}
	refused(t, patch(t, users.Frank, approver, `{"spec":{"members":{"users":["frank","mallory"]}}}`), metav1.StatusReasonForbidden, "what you do not hold yourself")
}

// TestCase70ActionMadeAgain replaces an Action by one of the same name and words after everybody agreed: nobody can tell who had changed the other one,
// so nobody is asked about it any more, and the request says that it must be asked again, which helps.
func TestCase70ActionMadeAgain(t *testing.T) {
	action := staged("made-again", `{name: a, approvers: {users: [bob]}}`)
	apply(t, action)
	r, approval, release := agreed(t, request("made-again", `{}`), users.Bob)
	if err := as(t, users.Frank).Delete(t.Context(), &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "made-again"}}); err != nil {
		t.Fatal(err)
	}
	apply(t, action)
	closes(t, approval, v1alpha1.ApprovalSuperseded)
	release()
	askedAgain(t, r)
	approvalsOf(t, r, 1)
	next, approval := opened(t, users.Alice, request("made-again", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	reaches(t, next, v1alpha1.PhaseSucceeded)
}

// askedAgain waits until a request says that it must be asked again.
func askedAgain(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	eventually(t, "that it must be asked again", func() (bool, string) {
		now := live(t, r)
		approved := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionApproved)
		return now.Status.WaitingFor == "must be asked again: its Action was deleted and made again" && approved != nil && approved.Reason == v1alpha1.ReasonIndeterminate &&
			strings.Contains(approved.Message, "It must be asked again: create the request under another name."), fmt.Sprintf("%q, %+v", now.Status.WaitingFor, approved)
	})
	neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
}

// TestCase70ListOfEditorsIsNotLaundered plays ada, who changes an Action while it is asked for, and frank, who then deletes and makes it again, so that only he
// is on its list: she may not approve her own change, with a vote there already and without.
func TestCase70ListOfEditorsIsNotLaundered(t *testing.T) {
	for name, voters := range map[string][]env.Person{"laundered": nil, "laundered-late": {users.Bob}} {
		t.Run(name, func(t *testing.T) {
			apply(t, staged(name, `{name: a, count: 2, approvers: {users: [ada, bob]}}`))
			r, approval := opened(t, users.Alice, request(name, `{}`))
			action := live(t, &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: name}})
			// A label is no other content, so that the Approval stays.
			if err := patch(t, users.Ada, action, `{"metadata": {"labels": {"edited": "yes"}}}`); err != nil {
				t.Fatal(err)
			}
			eventually(t, "ada is refused", func() (bool, string) {
				err := vote(t, users.Ada, approval, v1alpha1.DecisionApprove, "")
				return err != nil && strings.Contains(err.Error(), "you changed the Action platform/"+name), errText(err)
			})
			for _, voter := range voters {
				votes(t, voter, approval, v1alpha1.DecisionApprove)
			}
			again := live(t, action)
			if err := as(t, users.Frank).Delete(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			again.ObjectMeta = metav1.ObjectMeta{Namespace: again.Namespace, Name: again.Name, Labels: again.Labels}
			if err := as(t, users.Frank).Create(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			askedAgain(t, r)
			all := approvalsOf(t, r, 1)
			for _, who := range []env.Person{users.Ada, users.Bob} {
				refused(t, vote(t, who, &all[0], v1alpha1.DecisionApprove, "again"), metav1.StatusReasonForbidden)
			}
			neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
		})
	}
}

// TestCase71AccountLosesItsRights takes the rights of the ServiceAccount as which the steps run after everybody agreed: nobody can tell any more
// what would be changed, so it waits and says for what. Nobody is asked again, and it goes on once the rights are back. A ServiceAccount is known
// by its name: one that is made again is the same to Signoff, as it is to RBAC.
func TestCase71AccountLosesItsRights(t *testing.T) {
	const binding = `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: loses, name: writer}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: test-deployer},
		subjects: [{kind: ServiceAccount, namespace: platform, name: writer}]}`
	namespace(t, "loses")
	for _, onDrift := range []string{"Reapprove", "Fail"} {
		t.Run(onDrift, func(t *testing.T) {
			name := "loses-" + strings.ToLower(onDrift)
			apply(t, binding)
			apply(t, strings.NewReplacer("serviceAccountName: deployer", "serviceAccountName: writer, onDrift: "+onDrift, "namespace: staging", "namespace: loses").Replace(
				staged(name, `{name: a, approvers: {users: [bob]}}`)))
			r, _, release := agreed(t, request(name, `{}`), users.Bob)
			if err := as(t, users.Ada).Delete(t.Context(), object(t, binding)); err != nil {
				t.Fatal(err)
			}
			release()
			eventually(t, "what it waits for", func() (bool, string) {
				now := live(t, r)
				return now.Status.Phase == v1alpha1.PhaseHeld && now.Status.WaitingFor == "cannot read ConfigMap loses/"+string(r.UID), now.Status.WaitingFor
			})
			approvalsOf(t, r, 1)
			neverStarts(t, r, v1alpha1.PhaseHeld)
			apply(t, binding)
			reaches(t, r, v1alpha1.PhaseSucceeded)
			approvalsOf(t, r, 1)
		})
	}
}

// TestCase72TargetChangedByOthers changes the object that will be changed after everybody agreed: people are asked again, and see what is changed
// now. What is sent is the same.
func TestCase72TargetChangedByOthers(t *testing.T) {
	inputs := `{"service":"checkout","environment":"production","image":"registry/checkout:agreed"}`
	r, approval, release := agreed(t, request("deploy", inputs), users.Bob)
	others := `{"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"app","image":"registry/checkout:by-others"},{"name":"sidecar","image":"registry/proxy:2"}]}}}}`
	if err := patch(t, env.Person{Name: "admin", Config: cluster.Admin}, deployment(t, "production"), others); err != nil {
		t.Fatal(err)
	}
	release()
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	again := slices.DeleteFunc(approvalsOf(t, r, 2), func(a v1alpha1.Approval) bool { return a.Name == approval.Name })
	if summary := strings.Join(again[0].Spec.Summary, "\n"); !strings.Contains(summary, "→ registry/checkout:agreed") {
		t.Errorf("people must see what is changed now: %s", summary)
	}
	votes(t, users.Bob, &again[0], v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if record := recordOf(t, r); record.Spec.Digest != approval.Spec.Digest {
		t.Errorf("another content ran: %s, agreed was %s", record.Spec.Digest, approval.Spec.Digest)
	}
	now := deployment(t, "production").Spec
	if containers := now.Template.Spec.Containers; *now.Replicas != 3 || containers[0].Image != "registry/checkout:agreed" || containers[1].Image != "registry/proxy:2" {
		t.Errorf("it must change the image, and nothing of others: %+v", now)
	}
}

// TestCase73CancellationForged cancels what is somebody else's, in the name of somebody else, and takes a cancellation back.
func TestCase73CancellationForged(t *testing.T) {
	r, approval := open(t)
	refused(t, patch(t, users.Erin, r, `{"spec":{"cancellation":{"reason":"stop"}}}`), metav1.StatusReasonForbidden, "you (erin) may not cancel")
	refused(t, patch(t, users.Erin, r, `{"spec":{"cancellation":{"reason":"stop","by":{"username":"alice","person":"alice"}}}}`), metav1.StatusReasonForbidden, "you (erin) may not cancel")
	refused(t, patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":" \u200b "}}}`), metav1.StatusReasonInvalid, "say why")
	if err := patch(t, users.AliceAgain, r, `{"spec":{"cancellation":{"reason":"stop","by":{"username":"bob","person":"bob"}}}}`); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseCancelled)
	if by := done.Spec.Cancellation.By; by.Username != "alice@laptop" || by.Person != "alice" {
		t.Errorf("it says who: %+v", by)
	}
	refused(t, patch(t, users.Alice, r, `{"spec":{"cancellation":null}}`), metav1.StatusReasonInvalid, "cancellation is final")
	refused(t, patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"another"}}}`), metav1.StatusReasonInvalid, "cancellation is final")
	refused(t, vote(t, users.Bob, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "Nothing more can be decided here")
}

// TestCase74LabelsThatSelect changes a label of an Action, by which Roles and policies select it, as an author who may not use its ServiceAccount.
func TestCase74LabelsThatSelect(t *testing.T) {
	apply(t, strings.NewReplacer("name: labelled}", "name: labelled, labels: {risk: high}}", "serviceAccountName: deployer", "serviceAccountName: writer").Replace(ruled("labelled", `{}`, ``)))
	policy(t, "risky", `{match: {actions: {selector: {matchLabels: {risk: high}}}}, rules: [{name: never, effect: Deny}]}`)
	refusedFor(t, request("labelled", `{}`), "risky")
	action := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "labelled"}}
	for _, body := range []string{`{"metadata":{"labels":{"risk":"low"}}}`, `{"metadata":{"labels":null}}`} {
		refused(t, patch(t, users.Frank, action, body), metav1.StatusReasonForbidden, "you (frank) may not let Actions run as ServiceAccount platform/writer")
	}
}

// TestCase75FactOfTheRequester asks where a rule reads a ConfigMap that the requester may write: it does not decide for them.
func TestCase75FactOfTheRequester(t *testing.T) {
	apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: payments, name: own}, data: {open: "yes"}}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: payments, name: reader}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view},
		subjects: [{kind: ServiceAccount, namespace: platform, name: deployer-read}]}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: payments, name: own}, rules: [{apiGroups: [""], resources: [configmaps], resourceNames: [own], verbs: [patch]}]}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: payments, name: own}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: own},
		subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: alice}]}`)
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: by-own-fact}, spec: {title: a,
		lookups: [{as: own, object: {apiVersion: v1, kind: ConfigMap, namespace: payments, name: own}}], rules: [{name: open, when: "own.data.open == 'yes'", effect: Allow}],
		execution: {serviceAccountName: deployer, readServiceAccountName: deployer-read, steps: [{name: note, apply: {conflicts: Take, manifests: [`+someMap+`]}}]}}}`)
	eventually(t, "bob may ask", func() (bool, string) {
		err := as(t, users.Bob).Create(t.Context(), request("by-own-fact", `{}`), client.DryRunAll)
		return err == nil, fmt.Sprint(err)
	})
	refusedFor(t, request("by-own-fact", `{}`), "ConfigMap payments/own can be changed by you (alice), so own cannot decide this.")
}
