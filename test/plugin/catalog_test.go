package plugin

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/test/env"
)

// catalogReaders lets people read all that `can-i` and `who-can` look at.
func catalogReaders(t *testing.T) {
	t.Helper()
	for _, who := range []env.Person{users.Alice, users.Bob, users.Erin, users.Mallory, users.Frank, users.Ada} {
		if err := cluster.Grant(t.Context(), env.RoleTeamReader, "", env.ToUser(who.Name)); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Grant(t.Context(), env.RoleCatalogReader, env.CatalogNamespace, env.ToUser(who.Name)); err != nil {
			t.Fatal(err)
		}
	}
}

// deciders makes a Role with members who do not count for all that it gives.
func deciders(t *testing.T) {
	t.Helper()
	const role = `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: deciders},
 spec: {members: {users: [erin], groups: ["system:authenticated"], serviceAccounts: [agents/bot]}, permissions: [{verbs: [resolve, delegate, break-glass], actions: {names: [announce]}}]}}`
	apply(t, role)
	t.Cleanup(func() { takenBack(t, role) })
}

func TestCanI(t *testing.T) {
	catalogReaders(t)
	deciders(t)
	agent := []string{"--as", users.Agent.Name, "--as-group", "system:serviceaccounts"}
	const proviso = "  That is so where nothing is configured. If the configuration of Signoff names it, ask with --configuration FILE.\n"
	cases := map[string]struct {
		reason string
		who    env.Person
		args   []string
		exit   int
		stdout string
	}{
		"Yes":       {"by a group", users.Alice, []string{"request", "platform/deploy"}, 0, "yes (Role platform/developer)\n"},
		"No":        {"nobody granted it", users.Mallory, []string{"request", "platform/deploy"}, 1, "no: no Role in namespace platform gives \"request\" on deploy to mallory\n  Who can: kubectl signoff who-can request platform/deploy\n"},
		"Approve":   {"a voter must also be named by a stage", users.Erin, []string{"approve", "platform/scale"}, 0, "yes (Role platform/developer)\n  A stage must name erin as well, and nobody approves what they asked for.\n"},
		"Team":      {"by a Team and a label of the Action", users.Bob, []string{"break-glass", "platform/deploy"}, 0, "yes (Role platform/commander)\n"},
		"NotHere":   {"the same permission is not about another Action", users.Bob, []string{"break-glass", "platform/scale"}, 1, "no: no Role in namespace platform gives \"break-glass\" on scale to bob (groups payments, engineering)\n  Who can: kubectl signoff who-can break-glass platform/scale\n"},
		"Inherited": {"by a Role that inherits the one with the permission", users.Frank, []string{"break-glass", "platform/deploy"}, 0, "yes (Role platform/chief, which inherits commander)\n"},
		"When":      {"a permission with a condition", users.Ada, append([]string{"request", "platform/deploy"}, agent...), 0, "yes, when: machines change staging only (Role platform/machine)\n"},
		"Machine": {
			"a ServiceAccount does not approve where nothing is configured, whatever Roles give it", users.Ada, append([]string{"approve", "platform/deploy"}, agent...), 1,
			"no: ServiceAccount agents/bot is not a person; the configuration does not list it in approvers.serviceAccounts\n" +
				"  That is so where nothing is configured. If the configuration of Signoff names it, ask with --configuration FILE.\n",
		},
		"MachineConfigured": {
			"it does where the configuration names it", users.Ada, append([]string{"approve", "platform/deploy", "--configuration", "testdata/checkers.yaml"}, agent...), 0,
			"yes, when: machines change staging only (Role platform/machine)\n  A stage must name system:serviceaccount:agents:bot as well, and nobody approves what they asked for.\n",
		},
		"Agent": {
			"whom the configuration counts as an agent never approves", users.Erin, []string{"approve", "platform/deploy", "--configuration", "testdata/checkers.yaml"}, 1,
			"no: erin is an agent, not a person\n",
		},
		"MachineGroup": {
			"in an emergency a ServiceAccount does not count by its group", users.Ada, append([]string{"break-glass", "platform/deploy"}, agent...), 1,
			"no: no Role in namespace platform gives \"break-glass\" on deploy to system:serviceaccount:agents:bot (groups system:serviceaccounts)\n  Who can: kubectl signoff who-can break-glass platform/deploy\n",
		},
		"AgentGlass": {
			"nor breaks the glass", users.Ada, append([]string{"break-glass", "platform/announce", "--configuration", "testdata/agents.yaml"}, agent...), 1,
			"no: system:serviceaccount:agents:bot is an agent, and an agent never breaks the glass\n",
		},
		"MachineGlass": {
			"what is no agent where nothing is configured may be one", users.Ada, append([]string{"break-glass", "platform/announce"}, agent...), 0,
			"yes (Role platform/deciders)\n" + proviso,
		},
		"MachineResolve": {
			"a ServiceAccount decides no more than it approves", users.Ada, append([]string{"resolve", "platform/announce"}, agent...), 1,
			"no: ServiceAccount agents/bot is not a person; the configuration does not list it in approvers.serviceAccounts\n" + proviso,
		},
		"MachineResolves": {
			"it does where the configuration names it", users.Ada, append([]string{"resolve", "platform/announce", "--configuration", "testdata/checkers.yaml"}, agent...), 0,
			"yes (Role platform/deciders)\n",
		},
		"MachineDelegates": {
			"it lets nobody vote for it, whatever is configured", users.Ada, append([]string{"delegate", "platform/announce", "--configuration", "testdata/checkers.yaml"}, agent...), 1,
			"no: ServiceAccount agents/bot is not a person, and only people can\n",
		},
		"AgentDelegates": {
			"nor does an agent", users.Erin, []string{"delegate", "platform/announce", "--configuration", "testdata/checkers.yaml"}, 1,
			"no: erin is an agent, not a person\n",
		},
		"GroupDelegates": {
			"a group of Kubernetes gives nothing that takes a person", users.Mallory, []string{"delegate", "platform/announce"}, 1,
			"no: no Role in namespace platform gives \"delegate\" on announce to mallory\n  Who can: kubectl signoff who-can delegate platform/announce\n",
		},
		"GroupResolves": {
			"neither to decide how a step ended", users.Mallory, []string{"resolve", "platform/announce"}, 1,
			"no: no Role in namespace platform gives \"resolve\" on announce to mallory\n  Who can: kubectl signoff who-can resolve platform/announce\n",
		},
		"System":  {"what Kubernetes runs never approves", users.Ada, []string{"approve", "platform/deploy", "--as", "system:kube-scheduler"}, 1, "no: system:kube-scheduler is a system identity, not a person\n"},
		"Quiet":   {"only the exit code", users.Mallory, []string{"request", "platform/deploy", "-q"}, 1, ""},
		"Unknown": {"a verb that does not exist", users.Alice, []string{"eat", "platform/deploy"}, 2, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := kubectl(t, tc.who, "", append([]string{"can-i"}, tc.args...)...)
			answer.says(t, tc.exit)
			if diff := cmp.Diff(tc.stdout, answer.stdout); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, answer.stderr)
			}
			if name == "Yes" || name == "When" {
				inGuide(t, answer.stdout)
			}
		})
	}
}

func TestWhoCan(t *testing.T) {
	catalogReaders(t)
	deciders(t)
	cases := map[string]struct {
		reason string
		args   []string
		stdout string
	}{
		"Table": {"one line for each Role", []string{"approve", "platform/deploy"}, `ROLE        MEMBERS                     CONDITION
developer   group payments, erin        -
machine     serviceaccount agents/bot   machines change staging only
A ServiceAccount counts only where the configuration of Signoff names it (approvers.serviceAccounts).
`},
		"Wide": {"with the people in Teams, those below and who leads included", []string{"break-glass", "platform/deploy", "-o", "wide"}, `ROLE        MEMBERS                               CONDITION
chief       frank, group system:serviceaccounts   -
commander   bob, carol, dave                      -
A ServiceAccount counts by its own name only, not by a group.
`},
		"Delegate": {"which members do not count", []string{"delegate", "platform/announce"}, `ROLE       MEMBERS                                                       CONDITION
deciders   group system:authenticated, erin, serviceaccount agents/bot   -
Nobody counts by a group of Kubernetes (system:…).
No ServiceAccount counts: only people let others vote for them.
`},
		"Nobody": {"nobody is an answer", []string{"cancel", "platform/deploy"}, "nobody: no Role in namespace platform gives \"cancel\" on it\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := kubectl(t, users.Alice, "", append([]string{"who-can"}, tc.args...)...)
			answer.says(t, 0)
			if diff := cmp.Diff(tc.stdout, answer.stdout); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if name == "Table" {
				inGuide(t, answer.stdout)
			}
		})
	}
}

func TestWhoCanForPrograms(t *testing.T) {
	catalogReaders(t)
	answer := kubectl(t, users.Alice, "", "who-can", "break-glass", "platform/deploy", "-o", "json")
	answer.says(t, 0)
	got := &cli.Holders{}
	if err := json.Unmarshal([]byte(answer.stdout), got); err != nil {
		t.Fatal(err)
	}
	want := &cli.Holders{Verb: v1alpha1.VerbBreakGlass, Action: "platform/deploy", Notes: []string{"A ServiceAccount counts by its own name only, not by a group."}, Roles: []cli.Holder{
		{
			Role: "chief", Members: v1alpha1.Subjects{Users: []string{"frank"}, Groups: []string{"system:serviceaccounts"}}, People: []string{"frank"},
			OpenEnded: true, Always: true, Permissions: []cli.HeldPermission{{From: "commander"}},
		},
		{
			Role: "commander", Members: v1alpha1.Subjects{Teams: []string{"payments"}}, People: []string{"bob", "carol", "dave"},
			Always: true, Permissions: []cli.HeldPermission{{}},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	answer = kubectl(t, users.Alice, "", "who-can", "approve", "platform/deploy", "-o", "yaml")
	answer.says(t, 0, "when: inputs.environment == 'staging'", "openEnded: true")
}

// TestMissingRights says which right is missing, and whom to ask.
func TestMissingRights(t *testing.T) {
	cases := map[string]struct {
		reason string
		who    env.Person
		args   []string
		words  []string
	}{
		"Catalog": {
			"who may read nothing in the catalog", users.Nadia, []string{"can-i", "request", "platform/deploy"},
			[]string{"error: you (nadia) may not get actions.signoff.dev in namespace platform.", "Ask the owners of namespace platform for the ClusterRole signoff-catalog-reader there."},
		},
		"Teams": {
			"Teams are objects of the whole cluster", users.Dave, []string{"who-can", "request", "platform/deploy"},
			[]string{"error: you (dave) may not list teams.signoff.dev, so nobody can tell who is in the Teams that Roles name (payments).", "for the ClusterRole signoff-team-reader"},
		},
		"NoAction": {
			"an Action that does not exist", users.Audrey, []string{"can-i", "request", "platform/deplyo"},
			[]string{"error: there is no Action platform/deplyo; see what there is: kubectl get actions -n platform"},
		},
		"Form":    {"a name that is none", users.Audrey, []string{"can-i", "request", "a/b/c"}, []string{`failed to read "a/b/c": name the Action as NAMESPACE/NAME`}},
		"Several": {"a name that several have", users.Audrey, []string{"can-i", "request", "note"}, []string{`there are several Actions "note": name one of library/note, platform/note`}},
		"Keys": {
			"who may not read the public keys is told that, and not that something unknown happened", users.Grace, []string{"audit", "verify", "main_test.go"},
			[]string{`failed to read the public keys from ConfigMap signoff-system/signoff-keys (or give them with --keys): configmaps "signoff-keys" is forbidden: User "grace" cannot get resource`},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := kubectl(t, tc.who, "", tc.args...)
			t.Log(tc.reason)
			answer.says(t, 2, tc.words...)
		})
	}
}

// TestCompletion offers verbs, and the Actions that the caller may list.
func TestCompletion(t *testing.T) {
	answer := kubectl(t, users.Audrey, "", "__complete", "can-i", "req")
	answer.says(t, 0)
	if want := "request\nrequest-on-behalf\n:4\n"; answer.stdout != want {
		t.Errorf("verbs: got %q, want %q", answer.stdout, want)
	}
	answer = kubectl(t, users.Audrey, "", "__complete", "who-can", "request", "platform/s")
	answer.says(t, 0)
	if want := "platform/scale\n:4\n"; answer.stdout != want {
		t.Errorf("Actions: got %q, want %q", answer.stdout, want)
	}
}

// TestNameAlone is an Action for can-i and who-can as it is for request, also for who may list Actions in one catalog only.
func TestNameAlone(t *testing.T) {
	catalogReaders(t)
	asked(t, users.Alice, "names-the-action", "text=a")
	kubectl(t, users.Alice, "", "can-i", "request", "lend-note", "-n", "payments").says(t, 0, "Action platform/lend-note\n", "yes (Role platform/developer)\n")
	answer := kubectl(t, users.Alice, "", "can-i", "request", "lend-note", "-n", "payments", "-q")
	if answer != (result{}) {
		t.Errorf("with -q it says %+v", answer)
	}
	kubectl(t, users.Ada, "", "who-can", "request", "lend-note").says(t, 0, "Action platform/lend-note\n", "developer")
	// Mallory may not read the catalog, and is asked about by who may.
	kubectl(t, users.Ada, "", "can-i", "request", "lend-note", "--as", "mallory").says(t, 1, "Action platform/lend-note\n", "no: no Role in namespace platform")
	answer = kubectl(t, users.Alice, "", "__complete", "can-i", "request", "-n", "payments", "platform/lend")
	if want := "platform/lend-note\n:4\n"; answer.stdout != want {
		t.Errorf("can-i offers %q, want %q", answer.stdout, want)
	}
}

// TestCanIForPrograms says by which Role, and under which condition.
func TestCanIForPrograms(t *testing.T) {
	catalogReaders(t)
	ask := func(who env.Person, args ...string) *cli.Permitted {
		t.Helper()
		answer, out := kubectl(t, who, "", append([]string{"can-i", "-o", "json"}, args...)...), &cli.Permitted{}
		if err := json.Unmarshal([]byte(answer.stdout), out); err != nil {
			t.Fatal(err, answer)
		}
		return out
	}
	inherited := ask(users.Frank, "break-glass", "platform/deploy")
	want := &cli.Permitted{
		Verb: v1alpha1.VerbBreakGlass, Action: "platform/deploy", Requester: inherited.Requester, Allowed: true,
		Permissions: []cli.Permission{{Role: "platform/chief", HeldPermission: cli.HeldPermission{From: "commander"}}},
	}
	if diff := cmp.Diff(want, inherited); diff != "" || inherited.Requester.Username != users.Frank.Name {
		t.Errorf("by a Role that inherits (-want +got):\n%s", diff)
	}
	machine := ask(users.Ada, "request", "platform/deploy", "--as", users.Agent.Name)
	condition := cli.HeldPermission{When: "inputs.environment == 'staging'", Message: "machines change staging only"}
	if diff := cmp.Diff([]cli.Permission{{Role: "platform/machine", HeldPermission: condition}}, machine.Permissions); diff != "" || !machine.Allowed {
		t.Errorf("with a condition (-want +got):\n%s", diff)
	}
	no := ask(users.Mallory, "request", "platform/deploy")
	if no.Allowed || no.Permissions != nil || no.Reason != `no Role in namespace platform gives "request" on deploy to mallory` || len(no.Notes) != 1 {
		t.Errorf("a no is %+v", no)
	}
	kubectl(t, users.Mallory, "", "can-i", "request", "platform/deploy", "-o", "yaml").says(t, 1, "allowed: false\n")
	kubectl(t, users.Mallory, "", "can-i", "request", "platform/deploy", "-o", "xml").says(t, 2, "failed to read -o")
}
