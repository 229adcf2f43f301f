package plugin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/test/env"
)

// TestActions lists what one may ask for, as far as one may look.
func TestActions(t *testing.T) {
	catalogReaders(t)
	asked(t, users.Alice, "names-a-catalog", "text=a")
	eventually(t, "the status of the Action", func() (bool, string) {
		answer := kubectl(t, users.Alice, "", "actions", "-n", "platform")
		return strings.Contains(answer.stdout, "sometimes"), answer.stdout
	})
	cases := map[string]struct {
		reason    string
		who       env.Person
		args      []string
		exit      int
		has, lack []string
	}{
		"Mine":    {"with inputs, approval and whether I may", users.Alice, []string{"-n", "platform"}, 0, []string{"NAMESPACE ", "REQUEST\n", "Write a note", "text,count,level,tags", "sometimes", "yes\n"}, []string{"library"}},
		"NotMine": {"what I may not ask for is left out", users.Mallory, []string{"-n", "platform"}, 0, []string{"you see nothing that you could ask for"}, []string{"note"}},
		"All":     {"unless I want to see it", users.Mallory, []string{"-n", "platform", "--all"}, 0, []string{"note ", "no\n"}, nil},
		"When":    {"a condition", users.Ada, []string{"-n", "platform", "--as", users.Agent.Name}, 0, []string{"when: machines change staging only"}, []string{"scale"}},
		"Where":   {"everywhere, where one may look", users.Ada, []string{"--all"}, 0, []string{"library ", "platform "}, nil},
		"Unknown": {"who may not read Roles reads that", users.Nadia, []string{"-n", "payments"}, 2, []string{"you (nadia) may not list actions.signoff.dev in namespace payments."}, nil},
		"Near":    {"what requests in a namespace name, as request finds it", users.Alice, []string{"-n", "payments"}, 0, []string{"note: you see no Action in namespace payments; these are where requests in it come from\n", "platform ", "note "}, nil},
		"Name":    {"for scripts", users.Alice, []string{"-n", "platform", "-o", "name"}, 0, []string{"action.signoff.dev/note\n"}, nil},
		"One": {"one Action, with all that one must know", users.Alice, []string{"platform/note"}, 0, []string{
			"platform/note: Write a note\nFor what others must know.\nYou may ask for it: yes\nApproval is needed: sometimes\nInputs:\n  text (string), required: what others must know\n" +
				"  count (integer)\n  level (string: low, high, two, never), default low\n  tags (list of string)\nAsk: kubectl signoff request platform/note text=…\n",
		}, nil},
		"Lent":    {"for a time", users.Alice, []string{"platform/lend-note"}, 0, []string{"It is temporary: --duration says for how long, at most 2h (default 1h)\n", "Approval is needed: always\n"}, nil},
		"OneJSON": {"for programs", users.Alice, []string{"platform/note", "-o", "jsonpath={.spec.title}"}, 0, []string{"Write a note"}, nil},
		"Nothing": {"one that does not exist", users.Alice, []string{"platform/nothing"}, 2, []string{"there is no Action platform/nothing; see what there is: kubectl signoff actions -n platform"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := kubectl(t, tc.who, "", append([]string{"actions"}, tc.args...)...)
			t.Log(tc.reason)
			answer.says(t, tc.exit, tc.has...)
			for _, word := range tc.lack {
				if strings.Contains(answer.stdout, word) {
					t.Errorf("it says %q:\n%s", word, answer.stdout)
				}
			}
		})
	}
}

// TestActionsBlind: what one may not read is unknown, and not a no.
func TestActionsBlind(t *testing.T) {
	apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: blind}}`)
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: blind, name: one}, spec: {title: a, default: {effect: Allow},
		execution: {serviceAccountName: x, steps: [{name: write, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: limits, name: noted}}]}}]}}}`)
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: blind, name: one}, spec: {members: {teams: [payments]}, permissions: [{verbs: [request], actions: {names: [one]}}]}}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: blind, name: half}, rules: [{apiGroups: [signoff.dev], resources: [actions], verbs: [get, list]}]}`)
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: blind, name: half}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: half},
		subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: nadia}]}`)
	kubectl(t, users.Nadia, "", "actions", "-n", "blind").says(t, 0, "unknown\n", "note: you may not read the Roles in namespace blind")
	if err := cluster.Grant(t.Context(), env.RoleCatalogReader, "blind", env.ToUser(users.Nadia.Name)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new right", func() (bool, string) {
		answer := kubectl(t, users.Nadia, "", "actions", "-n", "blind")
		return strings.Contains(answer.stdout, "unknown\n") && strings.Contains(answer.stderr, "note: you may not read Teams, which Roles name"), answer.stdout + answer.stderr
	})
}

func TestWhoAmI(t *testing.T) {
	catalogReaders(t)
	asked(t, users.AliceAgain, "asked-by-laptop", "text=a")
	answer := kubectl(t, users.AliceAgain, "", "whoami", "-n", "payments")
	answer.says(t, 0, "You are alice@laptop (groups payments, engineering)\nPerson: alice\nTeams: you may not read them\nRoles:\n  platform/developer: approve, request\n",
		"Could not be read:\n  Teams, and Roles that one holds by a Team: ask an administrator", "  Roles in namespaces other than these: platform.")
	answer = kubectl(t, users.Bob, "", "whoami", "-n", "payments", "-o", "json")
	answer.says(t, 0)
	got := &cli.Myself{}
	if err := json.Unmarshal([]byte(answer.stdout), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"engineering", "payments"}, got.Teams); diff != "" {
		t.Errorf("Teams, those above included (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]cli.MyRole{{Role: "platform/commander", Verbs: []string{"break-glass"}}, {Role: "platform/developer", Verbs: []string{"approve", "request"}}}, got.Roles); diff != "" {
		t.Errorf("Roles (-want +got):\n%s", diff)
	}
	kubectl(t, users.Dave, "", "whoami").says(t, 0, "You are dave ", "Teams: you may not read them\n", "Person: nobody can tell before you have asked or voted here")
	kubectl(t, users.Ada, "", "whoami", "--as", "dave").says(t, 0, "You are dave\n", "Teams: you may not read them\n")
	kubectl(t, users.Ada, "", "whoami", "--configuration", configuration, "--as", "dave@laptop").says(t, 0, "You are dave@laptop\nPerson: dave\nTeams:")
	kubectl(t, users.Agent, "", "whoami", "--configuration", configuration).says(t, 0, "Approves nothing, whatever Roles say: ServiceAccount agents/bot is not a person; ")
	kubectl(t, users.Dave, "", "whoami", "--configuration", "none.yaml").says(t, 2, "failed to read the configuration: open none.yaml")
	kubectl(t, users.Nadia, "", "whoami").says(t, 0, "You are nadia\n", "Roles: none\n", "Roles in namespaces other than these: none.")
	kubectl(t, users.Nadia, "", "whoami", "-o", "xml").says(t, 2, "failed to read -o")
}

// TestCompletions offers what the caller may see.
func TestCompletions(t *testing.T) {
	asked(t, users.Alice, "complete-over", "text=a")
	asked(t, users.Alice, "complete-open", "text=a", "level=high")
	approval := approvalOf(t, "complete-open", "owners").Name
	reaches(t, "complete-over", "Succeeded")
	cases := map[string]struct {
		reason string
		who    env.Person
		args   []string
		want   string
	}{
		"Action":     {"Actions in the catalogs that one sees", users.Alice, []string{"request", "-n", "payments", "platform/n"}, "platform/note\n:4\n"},
		"Inputs":     {"inputs that are not given yet", users.Alice, []string{"request", "-n", "payments", "platform/note", "text=a", ""}, "count=\nlevel=\ntags=\n:6\n"},
		"Values":     {"values that the Action lists", users.Alice, []string{"request", "-n", "payments", "platform/note", "level=h"}, "level=high\n:4\n"},
		"Short":      {"the name alone", users.Alice, []string{"request", "-n", "payments", "lend-note", ""}, ":4\n"},
		"From":       {"earlier requests", users.Alice, []string{"request", "-n", "payments", "--from", "complete-"}, "complete-open\ncomplete-over\n:4\n"},
		"Open":       {"requests that are not over", users.Alice, []string{"wait", "-n", "payments", "complete-"}, "complete-open\n:4\n"},
		"Used":       {"not those that were given", users.Alice, []string{"cancel", "-n", "payments", "complete-open", "complete-"}, ":4\n"},
		"Approval":   {"open Approvals", users.Bob, []string{"approve", "-n", "payments", "complete-"}, approval + "\n:4\n"},
		"Show":       {"both", users.Bob, []string{"show", "-n", "payments", "approval/complete-"}, "approval/" + approval + "\n:4\n"},
		"Namespace":  {"namespaces, where one may list them", users.Ada, []string{"request", "-n", "paym"}, "payments\n:4\n"},
		"Namespaces": {"or that which the kubeconfig names", users.Grace, []string{"list", "-n", "d"}, "default\n:4\n"},
		"Context":    {"contexts, and no files", users.Alice, []string{"list", "--context", "none"}, ":4\n"},
		"Format":     {"formats", users.Alice, []string{"list", "-o", "j"}, "json\njsonpath=\njsonpath-as-json=\njsonpath-file=\n:6\n"},
		"Answer":     {"formats of an answer", users.Alice, []string{"doctor", "-o", "y"}, "yaml\n:4\n"},
		"Select":     {"Actions", users.Alice, []string{"list", "-n", "payments", "--action", "platform/lend"}, "platform/lend-note\n:4\n"},
		"Outcome":    {"how a step can have ended", users.Alice, []string{"resolve", "x", "--outcome", ""}, "succeeded\nfailed\n:4\n"},
		"Nothing":    {"what one may not see is not offered", users.Grace, []string{"show", "-n", "payments", ""}, ":4\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := kubectl(t, tc.who, "", append([]string{"__complete"}, tc.args...)...)
			answer.says(t, 0)
			if diff := cmp.Diff(tc.want, answer.stdout); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
