package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	proof "github.com/signoff-dev/signoff/internal/evidence"
	"github.com/signoff-dev/signoff/test/env"
)

func independentAction(t *testing.T) *v1alpha1.Action {
	t.Helper()
	action := &v1alpha1.Action{}
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: env.CatalogNamespace, Name: "independent"}, action); err != nil {
		t.Fatal(err)
	}
	return action
}

func independence(t *testing.T) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), "test/integration/testdata/independence.yaml"); err != nil {
		t.Fatal(err)
	}
	// A test before has edited the Action: who asks before that is undone everywhere is told later that the plan changed.
	applied := independentAction(t)
	knows(t, "the Action as it was applied", func(action *v1alpha1.Action) bool { return action.Generation >= applied.Generation })
}

// knows waits until the process that is tested knows the Action as it is wanted.
func knows(t *testing.T, what string, wanted func(*v1alpha1.Action) bool) {
	t.Helper()
	ref := v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: "independent"}
	eventually(t, what, func() (bool, string) {
		action, errs := signoff.Process.Store.Current().Action(ref)
		return action != nil && wanted(action.Object), fmt.Sprint(errs)
	})
}

// data patches what the step of the Action writes.
func data(value string) string {
	return `[{"op": "replace", "path": "/spec/execution/steps/0/apply/manifests/0/data/by", "value": "` + value + `"}]`
}

// edit changes what the Action does.
func edit(t *testing.T, who env.Person, value string) {
	t.Helper()
	if err := as(t, who).Patch(t.Context(), independentAction(t), client.RawPatch("application/json-patch+json", []byte(data(value)))); err != nil {
		t.Fatal(err)
	}
}

// editors names those who are noted on the Action.
func editors(t *testing.T) []string {
	t.Helper()
	noted := proof.Edits{}
	if err := json.Unmarshal([]byte(independentAction(t).Annotations[v1alpha1.AnnotationEdits]), &noted); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range noted.List {
		names = append(names, one.Username)
	}
	return names
}

// TestEditorCannotApprove plays somebody who changes an Action while it is asked for, and then approves it.
func TestEditorCannotApprove(t *testing.T) {
	independence(t)
	r := ask(t, users.Alice, request("independent", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	first := approvalsOf(t, r, 1)[0]
	edit(t, users.Ada, "ada")
	var second *v1alpha1.Approval
	eventually(t, "the Approval of what Ada made of it", func() (bool, string) {
		all := approvalsOf(t, r, 2)
		for i := range all {
			if all[i].Name != first.Name {
				second = &all[i]
			}
		}
		return second != nil, "none"
	})
	refused(t, vote(t, users.Ada, second, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden,
		"you cannot approve this: you changed the Action platform/independent at ", "while this request was open")
	votes(t, users.Bob, second, v1alpha1.DecisionApprove, "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
	// What is asked for after the edit is as Ada made it, and she had no hand in the request.
	next := ask(t, users.Alice, request("independent", `{}`))
	reaches(t, next, v1alpha1.PhaseAwaitingApproval)
	votes(t, users.Ada, &approvalsOf(t, next, 1)[0], v1alpha1.DecisionApprove, "")
	reaches(t, next, v1alpha1.PhaseSucceeded)
}

// TestLabelsAreEdits plays somebody who changes by labels whom an Action is about: Roles and policies select by them.
func TestLabelsAreEdits(t *testing.T) {
	independence(t)
	r := ask(t, users.Alice, request("independent", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := approvalsOf(t, r, 1)[0]
	// The label changes whom the Action is about, and not what is executed, so that the Approval stays.
	if err := patch(t, users.Ada, independentAction(t), `{"metadata": {"labels": {"edited": "`+r.Name+`"}}}`); err != nil {
		t.Fatal(err)
	}
	knows(t, "the edit", func(action *v1alpha1.Action) bool { return action.Labels["edited"] == r.Name })
	err := vote(t, users.Ada, &approval, v1alpha1.DecisionApprove, "")
	refused(t, err, metav1.StatusReasonForbidden, "you changed the Action")
	votes(t, users.Carol, &approval, v1alpha1.DecisionApprove, "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestEditsAreKept plays clients that drop or forge who has changed an Action.
func TestEditsAreKept(t *testing.T) {
	independence(t)
	edit(t, users.Ada, "once")
	before := independentAction(t).Annotations[v1alpha1.AnnotationEdits]
	for name, tc := range map[string]struct{ reason, patch string }{
		"Dropped":     {"A client that never had it does not remove it.", `{"metadata": {"annotations": null}}`},
		"Removed":     {"Nor does one that means to.", `{"metadata": {"annotations": {"signoff.dev/edits": null}}}`},
		"Forged":      {"What a client writes is not kept.", `{"metadata": {"annotations": {"signoff.dev/edits": "{}"}}}`},
		"OtherAnnota": {"Other annotations are none of our business.", `{"metadata": {"annotations": {"team": "web"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if err := patch(t, users.Ada, independentAction(t), tc.patch); err != nil {
				t.Fatal(err)
			}
			if got := independentAction(t).Annotations[v1alpha1.AnnotationEdits]; got != before {
				t.Errorf("%s\ngot %s\nwant %s", tc.reason, got, before)
			}
		})
	}
	t.Run("DryRun", func(t *testing.T) {
		action := independentAction(t)
		if err := as(t, users.Ada).Patch(t.Context(), action, client.RawPatch("application/json-patch+json", []byte(data("dry"))), client.DryRunAll); err != nil {
			t.Fatal(err)
		}
		if got := action.Annotations[v1alpha1.AnnotationEdits]; got != before {
			t.Errorf("a dry run seals nothing: %s", got)
		}
		made := independentAction(t)
		made.ObjectMeta = metav1.ObjectMeta{Namespace: made.Namespace, Name: "dry", Annotations: map[string]string{v1alpha1.AnnotationEdits: before}}
		if err := as(t, users.Ada).Create(t.Context(), made, client.DryRunAll); err != nil || made.Annotations[v1alpha1.AnnotationEdits] != "" {
			t.Errorf("nor is what a client brings kept: %v %v", err, made.Annotations)
		}
	})
	t.Run("Status", func(t *testing.T) {
		action := independentAction(t)
		action.Annotations = nil
		if err := admin(t).Status().Update(t.Context(), action); err == nil {
			t.Error("only Signoff writes the status")
		}
	})
	t.Run("OncePerPerson", func(t *testing.T) {
		edit(t, users.Ada, "twice")
		edit(t, users.Ada, "thrice")
		if got := strings.Join(editors(t), " "); strings.Count(got, "ada") != 1 || !strings.HasSuffix(got, "ada") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("CopiedToAnother", func(t *testing.T) {
		made := independentAction(t)
		made.ObjectMeta = metav1.ObjectMeta{Namespace: made.Namespace, Name: "independent-too", Annotations: map[string]string{v1alpha1.AnnotationEdits: before}}
		if err := as(t, users.Ada).Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = admin(t).Delete(t.Context(), made) })
		if made.Annotations[v1alpha1.AnnotationEdits] == before {
			t.Error("an Action that is made begins with whoever makes it")
		}
	})
}

// TestActionChangedWithoutWebhook plays somebody who changes an Action while the webhooks are away: nobody knows who, so nobody can be
// called independent, until the Action is applied again.
func TestActionChangedWithoutWebhook(t *testing.T) {
	independence(t)
	unguarded(t, func() { edit(t, users.Ada, "unseen") })
	r := ask(t, users.Alice, request("independent", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := approvalsOf(t, r, 1)[0]
	eventually(t, "the refusal of Bob", func() (bool, string) {
		err := vote(t, users.Bob, &approval, v1alpha1.DecisionApprove, "")
		return err != nil && strings.Contains(err.Error(), "was changed without Signoff's admission webhook, so nobody can be called independent") &&
			strings.Contains(err.Error(), "kubectl get action -n platform independent -o yaml | kubectl replace -f -"), errText(err)
	})
	if err := as(t, users.Ada).Update(t.Context(), independentAction(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who is known now", func() (bool, string) {
		err := vote(t, users.Bob, &approval, v1alpha1.DecisionApprove, "")
		return err != nil && strings.Contains(err.Error(), "that is known since") && strings.Contains(err.Error(), "It must be asked again."), errText(err)
	})
	next := ask(t, users.Alice, request("independent", `{}`))
	reaches(t, next, v1alpha1.PhaseAwaitingApproval)
	votes(t, users.Bob, &approvalsOf(t, next, 1)[0], v1alpha1.DecisionApprove, "")
	reaches(t, next, v1alpha1.PhaseSucceeded)
}

// TestVoteBeforeUnseenEdit plays a vote that was there when the Action was changed behind the webhook's back: it is neither lost nor counted.
func TestVoteBeforeUnseenEdit(t *testing.T) {
	someStages(t)
	r, approval := openStage(t, "board", `{"board": "three"}`)
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove, "")
	shows(t, approval, "1 of bob, carol +1")
	action := &v1alpha1.Action{}
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: env.CatalogNamespace, Name: "board"}, action); err != nil {
		t.Fatal(err)
	}
	unguarded(t, func() {
		if err := patch(t, users.Ada, action, `{"metadata": {"annotations": {"signoff.dev/edits": null}}}`); err != nil {
			t.Fatal(err)
		}
	})
	live := &v1alpha1.ActionRequest{}
	eventually(t, "that the vote cannot be judged", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		approved := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionApproved)
		return err == nil && approved != nil && approved.Reason == v1alpha1.ReasonIndeterminate && live.Status.WaitingFor == "the vote of bob cannot be judged" &&
			strings.Contains(approved.Message, "nobody can be called independent"), live.Status.WaitingFor
	})
	if live.Status.Outcome != "" {
		t.Errorf("the request goes on waiting, got %s", live.Status.Outcome)
	}
}

// TestActingAsTheRequester plays an agent that asks, and people who could act as that agent.
func TestActingAsTheRequester(t *testing.T) {
	independence(t)
	config, err := cluster.User("mia", env.GroupEngineering)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		who  env.Person
		rule rbacv1.PolicyRule
	}{
		"mints-tokens": {env.Person{Name: "mia", Config: config}, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create", "get"}}},
		"runs-pods":    {users.Carol, rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch"}}},
		"makes-tokens": {users.Dave, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{"bot"}, Verbs: []string{"create"}}},
		"impersonates": {users.Erin, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{"bot"}, Verbs: []string{"impersonate"}}},
	} {
		t.Run(name, func(t *testing.T) {
			grant(t, env.AgentNamespace, name, env.ToUser(tc.who.Name), tc.rule)
			r := ask(t, users.Agent, request("independent", `{}`))
			reaches(t, r, v1alpha1.PhaseAwaitingApproval)
			approval := approvalsOf(t, r, 1)[0]
			refused(t, vote(t, tc.who, &approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden,
				"you ("+tc.who.Name+") cannot approve this: ServiceAccount agents/bot asked for this, and you could act as that")
			votes(t, users.Bob, &approval, v1alpha1.DecisionApprove, "")
			reaches(t, r, v1alpha1.PhaseSucceeded)
		})
	}
}

// grant gives somebody rights in a namespace until the test ends.
func grant(t *testing.T, namespace, name string, to rbacv1.Subject, rules ...rbacv1.PolicyRule) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}, Subjects: []rbacv1.Subject{to}},
	} {
		c := admin(t)
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Delete(context.Background(), object) })
	}
}

// TestEditingAsAServiceAccount plays somebody who changes an Action as a ServiceAccount while it is asked for, and then approves it as themself.
func TestEditingAsAServiceAccount(t *testing.T) {
	independence(t)
	edits := []rbacv1.PolicyRule{
		{APIGroups: []string{"signoff.dev"}, Resources: []string{"actions"}, Verbs: []string{"get", "patch"}},
		{APIGroups: []string{"signoff.dev"}, Resources: []string{"serviceaccounts"}, Verbs: []string{"use"}},
	}
	grant(t, env.CatalogNamespace, "bot-edits", env.ToServiceAccount(env.AgentNamespace, "bot"), edits...)
	grant(t, env.AgentNamespace, "acts-as-bot", env.ToUser(users.Carol.Name),
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{"bot"}, Verbs: []string{"impersonate"}})
	r := ask(t, users.Alice, request("independent", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	first := approvalsOf(t, r, 1)[0]
	bot := env.Person{Name: users.Agent.Name, Config: rest.CopyConfig(users.Carol.Config)}
	bot.Config.Impersonate.UserName = users.Agent.Name
	edit(t, bot, "carol as bot")
	var second *v1alpha1.Approval
	eventually(t, "the Approval of what was made of it", func() (bool, string) {
		all := approvalsOf(t, r, 2)
		for i := range all {
			if all[i].Name != first.Name {
				second = &all[i]
			}
		}
		return second != nil, "none"
	})
	refused(t, vote(t, users.Carol, second, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden,
		"you (carol) cannot approve this: ServiceAccount agents/bot changed the Action platform/independent at ", "and you could act as that")
	votes(t, users.Bob, second, v1alpha1.DecisionApprove, "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
}
