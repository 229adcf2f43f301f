package security

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

var unguardedRows = regexp.MustCompile(`(?m)^\| ([^|]+) \| (policy|schema|passes) \|`)

// answersWithoutWebhooks reads from docs/security/guard.md what is answered while the webhooks are gone, by what is written.
func answersWithoutWebhooks(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "security", "guard.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "<!-- without webhooks -->")
	table, _, _ = strings.Cut(table, "<!-- end -->")
	answers := map[string]string{}
	for _, row := range unguardedRows.FindAllStringSubmatch(table, -1) {
		answers[row[1]] = row[2]
	}
	return answers
}

// unwatched is what is there when the webhooks go. Each of what passes has a request of its own.
type unwatched struct {
	t *testing.T
	// eve has every right of RBAC on what is Signoff's, and is nobody to Signoff.
	eve                                     env.Person
	request                                 *v1alpha1.ActionRequest
	approval                                *v1alpha1.Approval
	cancelled, deleted, voted, noted        *v1alpha1.ActionRequest
	votedApproval                           *v1alpha1.Approval
	record                                  *v1alpha1.Record
	unsealed                                *v1alpha1.ActionRequest
	action, role, team, calendar, actionPol *unstructured.Unstructured
	// delegation is changed and gone deleted.
	delegation, gone *v1alpha1.Delegation
	// probes are an object of every kind.
	probes map[string]*probe
}

func newUnwatched(t *testing.T) *unwatched {
	t.Helper()
	u := &unwatched{t: t, eve: olga(t), probes: probes(t)}
	u.request, u.approval = opened(t, users.Alice, request("two-stages", `{}`))
	votes(t, users.Bob, u.approval, v1alpha1.DecisionApprove)
	eventually(t, "the vote is counted", func() (bool, string) {
		u.approval = live(t, u.approval)
		return u.approval.Status.Seal != nil && u.approval.Status.Seal.Votes == 1, u.approval.Status.WaitingFor
	})
	u.cancelled, _ = opened(t, users.Alice, request("two-engineers", `{}`))
	u.deleted, _ = opened(t, users.Alice, request("two-engineers", `{}`))
	u.noted, _ = opened(t, users.Alice, request("two-engineers", `{}`))
	u.voted, u.votedApproval = opened(t, users.Alice, request("two-engineers", `{}`))
	u.record = recordOf(t, reaches(t, ask(t, users.Alice, request("deploy", play.StagingInputs)), v1alpha1.PhaseSucceeded))
	u.delegation, u.gone = delegates(t, users.Bob, "unwatched-kept", users.Carol.Name), delegates(t, users.Bob, "unwatched-gone", users.Carol.Name)
	of := func(manifest string) *unstructured.Unstructured {
		return object(t, manifest).(*unstructured.Unstructured)
	}
	u.action = of(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: unwatched}, spec: {title: Unwatched, default: {effect: Deny, message: never}, execution: {
		serviceAccountName: deployer, steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: unwatched}}]}}]}}}`)
	u.role = of(`{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: unwatched}, spec: {members: {users: [nobody]}, permissions: [{verbs: [approve], actions: {names: [unwatched]}}]}}`)
	u.team = of(`{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: unwatched}, spec: {members: {users: [nobody]}}}`)
	u.calendar = of(`{apiVersion: signoff.dev/v1alpha1, kind: Calendar, metadata: {namespace: platform, name: unwatched}, spec: {timeZone: UTC, windows: [{weekly: {days: [Mon], from: "09:00", to: "17:00"}}]}}`)
	u.actionPol = of(`{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: unwatched}, spec: {rules: [{name: never, effect: Deny, when: "false"}]}}`)
	return u
}

func (u *unwatched) create(who env.Person, object client.Object) error {
	return as(u.t, who).Create(u.t.Context(), object.DeepCopyObject().(client.Object))
}

func (u *unwatched) merge(object client.Object, body string) error {
	return patch(u.t, u.eve, object, body)
}

// removes deletes an object, alone and then as one of a collection, and gives what was said each time.
func (u *unwatched) removes(object client.Object) []error {
	c := as(u.t, u.eve)
	return []error{
		c.Delete(u.t.Context(), object.DeepCopyObject().(client.Object)),
		c.DeleteAllOf(u.t.Context(), object, client.InNamespace(object.GetNamespace()), client.MatchingFields{"metadata.name": object.GetName()}),
	}
}

// asking is a request as the webhook would have stamped it, but for its seal.
func asking(name string, who *v1alpha1.Identity) *v1alpha1.ActionRequest {
	r := request("deploy", play.StagingInputs)
	r.GenerateName, r.Name, r.Finalizers, r.Spec.Requester = "", name, []string{v1alpha1.RequestFinalizer}, who
	return r
}

// decided is a decision about a step by somebody.
func decided(by string) string {
	return fmt.Sprintf(`{"step":"note","outcome":"Succeeded","comment":"seen","by":{"username":%q,"person":%q}}`, by, by)
}

// aboutRequests are the writes of requests.
func (u *unwatched) aboutRequests() map[string]func() []error {
	one := func(err error) []error { return []error{err} }
	early := asking("unwatched-early", identity(u.eve.Name))
	early.Spec.Resolutions = []v1alpha1.Resolution{{NewResolution: v1alpha1.NewResolution{Step: "note", Outcome: "Succeeded", Comment: "seen"}, By: *identity(u.eve.Name)}}
	u.unsealed = asking("unwatched-unsealed", identity(u.eve.Name))
	return map[string]func() []error{
		"a request in somebody else's name": func() []error { return one(u.create(u.eve, asking("unwatched-other", identity("alice")))) },
		"a request with groups that its writer is not in": func() []error {
			return one(u.create(u.eve, asking("unwatched-groups", identity(u.eve.Name, env.GroupPayments))))
		},
		"a request without a requester":             func() []error { return one(u.create(u.eve, asking("unwatched-nobody", nil))) },
		"a request with a decision about its steps": func() []error { return one(u.create(u.eve, early)) },
		"a request in the own name, without a seal": func() []error { return one(as(u.t, u.eve).Create(u.t.Context(), u.unsealed)) },
		"a cancellation in somebody else's name": func() []error {
			return one(u.merge(u.request, `{"spec":{"cancellation":{"reason":"x","by":{"username":"alice"}}}}`))
		},
		"a cancellation without a name": func() []error { return one(u.merge(u.cancelled, `{"spec":{"cancellation":{"reason":"x"}}}`)) },
		"`spec.resolution`": func() []error {
			return one(u.merge(u.request, `{"spec":{"resolution":{"step":"note","outcome":"Succeeded","comment":"x"}}}`))
		},
		"a decision about a step in somebody else's name":         func() []error { return one(u.merge(u.request, `{"spec":{"resolutions":[`+decided("alice")+`]}}`)) },
		"a decision about a step in the own name, without a seal": func() []error { return one(u.merge(u.noted, `{"spec":{"resolutions":[`+decided(u.eve.Name)+`]}}`)) },
		"what a request asks for, its requester or its seal, changed": func() []error {
			return []error{
				u.merge(u.request, `{"spec":{"reason":"other"}}`), u.merge(u.request, `{"spec":{"inputs":{"x":"y"}}}`),
				u.merge(u.request, `{"spec":{"requester":{"username":"carol"}}}`), u.merge(u.request, `{"spec":{"seal":null}}`),
			}
		},
		"an owner or a finalizer on a request": func() []error {
			return []error{
				u.merge(u.request, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"none","uid":"none"}]}}`),
				u.merge(u.request, `{"metadata":{"finalizers":["signoff.dev/request","example.com/hold"]}}`),
			}
		},
		"Signoff's finalizer removed from a request": func() []error { return one(u.merge(u.noted, `{"metadata":{"finalizers":null}}`)) },
		"labels and annotations of a request": func() []error {
			return one(u.merge(u.request, `{"metadata":{"labels":{"signoff.dev/phase":"Approved"},"annotations":{"signoff.dev/approved":"true"}}}`))
		},
		"a request deleted, alone or with others": func() []error { return u.removes(u.deleted) },
	}
}

// aboutEvidence are the writes of Approvals, Records and status.
func (u *unwatched) aboutEvidence() map[string]func() []error {
	one := func(err error) []error { return []error{err} }
	payments := []string{env.GroupEngineering, env.GroupPayments}
	return map[string]func() []error{
		"an Approval made":                          func() []error { return one(u.create(u.eve, newApproval(u.request, u.approval))) },
		"an Approval deleted, alone or with others": func() []error { return u.removes(u.approval) },
		"what an Approval asks, changed": func() []error {
			return one(u.merge(u.approval, `{"spec":{"digest":"sha256:`+strings.Repeat("0", 64)+`"}}`))
		},
		"`spec.vote`":                 func() []error { return one(vote(u.t, users.Carol, u.approval, v1alpha1.DecisionApprove, "")) },
		"other labels of an Approval": func() []error { return one(u.merge(u.approval, `{"metadata":{"labels":{"example.com/x":"y"}}}`)) },
		"a vote in the own name, without a seal": func() []error {
			return one(forgedVote(u.t, users.Carol, u.votedApproval, identity("carol", payments...)))
		},
		"a vote in somebody else's name, or two at once": func() []error {
			return []error{
				forgedVote(u.t, u.eve, u.approval, identity("carol", payments...)),
				forgedVote(u.t, users.Carol, u.approval, identity("carol", payments...), identity("carol", payments...)),
			}
		},
		"a vote changed or removed": func() []error {
			return []error{
				u.merge(u.approval, fmt.Sprintf(`{"spec":{"votes":[%s]}}`, voteOf(u.t, u.approval, "carol"))), u.merge(u.approval, `{"spec":{"votes":[]}}`),
			}
		},
		"owners, finalizers or labels of Signoff's on an Approval": func() []error {
			return []error{
				u.merge(u.approval, `{"metadata":{"ownerReferences":null}}`), u.merge(u.approval, `{"metadata":{"finalizers":["example.com/hold"]}}`),
				u.merge(u.approval, `{"metadata":{"labels":{"signoff.dev/request":"other"}}}`), u.merge(u.approval, `{"metadata":{"labels":{"signoff.dev/request-uid":null}}}`),
			}
		},
		"a Record made, labelled or deleted, alone or with others": func() []error {
			return append(u.removes(u.record), u.create(u.eve, bareRecord(u.record)), u.merge(u.record, `{"metadata":{"labels":{"signoff.dev/hour":"1970-01-01T00"}}}`))
		},
		"a Delegation, in whoever's name": func() []error { return one(u.create(u.eve, standIn("unwatched", "bob", u.eve.Name))) },
		"what a Delegation says, changed": func() []error { return one(u.merge(u.delegation, `{"spec":{"reason":"other"}}`)) },
		"a Delegation deleted":            func() []error { return one(as(u.t, u.eve).Delete(u.t.Context(), u.gone.DeepCopy())) },
		"what a Record claims, changed":   func() []error { return one(u.merge(u.record, `{"spec":{"serviceAccountName":"root"}}`)) },
		"the status of any kind":          u.statuses,
	}
}

// statuses writes the status of an object of each kind.
func (u *unwatched) statuses() []error {
	var all []error
	for resource, p := range u.probes {
		body := `{"status":{"observedGeneration":77}}`
		if resource == "records" {
			body = `{"status":{"outcome":"Succeeded"}}`
		}
		all = append(all, patchStatus(u.t, u.eve, p.object, body))
	}
	return all
}

// with gives an object with a field changed.
func with(object *unstructured.Unstructured, value string, fields ...string) *unstructured.Unstructured {
	changed := object.DeepCopy()
	if err := unstructured.SetNestedField(changed.Object, value, fields...); err != nil {
		panic(err)
	}
	return changed
}

// aboutGoverning are the writes of what governs. Frank writes Actions, Roles and Calendars of the catalog, Grace Teams and ActionPolicies.
func (u *unwatched) aboutGoverning() map[string]func() []error {
	const account = "serviceAccountName"
	notifier := object(u.t, `{apiVersion: signoff.dev/v1alpha1, kind: Notifier, metadata: {namespace: platform, name: unwatched}, spec: {serviceAccountName: writer,
		channels: [{name: bus, cloudEvents: {url: "https://events.example.org"}}], routes: [{events: [Requested], to: [{channel: bus}]}]}}`)
	plan := u.action.DeepCopy()
	look := map[string]any{"name": "look", "job": map[string]any{
		"podFrom": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "staging", "name": "checkout"}, "container": "app", "command": []any{"tool"},
	}}
	if err := unstructured.SetNestedMap(plan.Object, map[string]any{"serviceAccountName": "writer", "steps": []any{look}}, "spec", "execution", "plan"); err != nil {
		u.t.Fatal(err)
	}
	return map[string]func() []error{
		"an Action or a Notifier with a ServiceAccount that its writer may not use": func() []error {
			return []error{
				u.create(users.Frank, with(u.action, "writer", "spec", "execution", account)), u.create(users.Frank, notifier), u.create(users.Frank, plan),
				u.create(users.Frank, with(u.action, "writer", "spec", "execution", "readServiceAccountName")),
				patch(u.t, users.Frank, &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "deploy"}}, `{"spec":{"execution":{"serviceAccountName":"writer"}}}`),
			}
		},
		"the labels of an Action whose ServiceAccount their writer may not use": func() []error {
			return []error{patch(u.t, users.Frank, &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "as-writer"}}, `{"metadata":{"labels":{"x":"y"}}}`)}
		},
		"an Action with a ServiceAccount that its writer may use": func() []error { return []error{u.create(users.Frank, u.action)} },
		"a Role with a verb that its writer may not give":         func() []error { return []error{u.create(users.Frank, u.role)} },
		"a Team with members whom its writer may not add":         func() []error { return []error{u.create(users.Grace, u.team)} },
		"an ActionPolicy or a Calendar":                           func() []error { return []error{u.create(users.Grace, u.actionPol), u.create(users.Frank, u.calendar)} },
		"an Action, Role, Team, ActionPolicy, Calendar or Notifier deleted": func() []error {
			var all []error
			for who, objects := range map[*env.Person][]*unstructured.Unstructured{&users.Frank: {u.action, u.role, u.calendar}, &users.Grace: {u.team, u.actionPol}} {
				for _, each := range objects {
					all = append(all, as(u.t, *who).Delete(u.t.Context(), each.DeepCopy()))
				}
			}
			return all
		},
	}
}

// isAnswer tells whether what was said of a write is the answer that the page gives.
func isAnswer(err error, want string) bool {
	switch want {
	case "policy":
		return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '")
	case "schema":
		return err != nil && strings.Contains(err.Error(), "is invalid: spec") && !strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
	}
	// What was deleted alone is no longer there for the collection.
	return client.IgnoreNotFound(err) == nil
}

// TestCase27WithoutWebhooks tries with the webhooks gone all that docs/security/guard.md says of it, and looks what comes of what passed.
func TestCase27WithoutWebhooks(t *testing.T) {
	guarded(t)
	answers, u := answersWithoutWebhooks(t), newUnwatched(t)
	back := without(t, protection(t, play.WebhookKinds...)...)
	notInForce(t, "MutatingWebhookConfiguration signoff is missing")
	// What is deleted comes last.
	for _, writes := range []map[string]func() []error{u.aboutRequests(), u.aboutEvidence(), u.aboutGoverning()} {
		for _, name := range slices.SortedFunc(maps.Keys(writes), func(a, b string) int {
			return cmp.Or(cmp.Compare(strings.Count(a, "deleted"), strings.Count(b, "deleted")), cmp.Compare(a, b))
		}) {
			want, known := answers[name]
			delete(answers, name)
			if !known {
				t.Errorf("docs/security/guard.md does not say what is answered to: %s", name)
			}
			t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
				for i, err := range writes[name]() {
					if !isAnswer(err, want) {
						t.Errorf("write %d: want %s, got %v", i, want, err)
					}
				}
			})
		}
	}
	for name := range answers {
		t.Errorf("nobody tries: %s", name)
	}
	back()
	neverRan(t, u.unsealed, v1alpha1.ReasonNotStamped, "webhook was absent")
	neverRan(t, u.voted, v1alpha1.ReasonNotStamped, "webhook was absent")
	if now := reaches(t, u.cancelled, v1alpha1.PhaseCancelled); executed(t, now) {
		t.Error("what was cancelled was executed")
	}
	for _, r := range []*v1alpha1.ActionRequest{u.request, u.noted} {
		neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
	}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: u.record.Name}, &v1alpha1.Record{}); err != nil {
		t.Errorf("the Record must be there: %v", err)
	}
}
