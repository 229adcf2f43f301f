package plugin

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// decision is what somebody decides in two ways: by kubectl patch, and by the plugin.
type decision struct {
	reason string
	who    env.Person
	// object is what they decide on, and of which kind.
	kind, object string
	// spec is what they write, and args what they type instead.
	spec string
	args []string
	// want are words of the refusal; none: it is accepted.
	want string
}

// decided are requests in all the states in which people decide about them, with the names of their Approvals.
type decided struct{ owners, checkers, closed, pair string }

func situationsToDecide(t *testing.T) decided {
	t.Helper()
	asked(t, users.Alice, "decide-open", "text=a", "level=two")
	asked(t, users.Alice, "decide-closed", "text=a", "level=high")
	kubectl(t, users.Alice, "", "request", "platform/announce", "text=a", "-n", "payments", "--name", "decide-pair").says(t, 0)
	d := decided{
		owners: approvalOf(t, "decide-open", "owners").Name, checkers: approvalOf(t, "decide-open", "checkers").Name,
		closed: approvalOf(t, "decide-closed", "owners").Name, pair: approvalOf(t, "decide-pair", "both").Name,
	}
	for _, name := range []string{d.closed, d.pair} {
		kubectl(t, users.Bob, "", "approve", "-n", "payments", name).says(t, 0)
	}
	reaches(t, "decide-closed", v1alpha1.PhaseSucceeded)
	// RBAC lets the agent write, so that only Signoff refuses its vote.
	admin := play.As(t, env.Person{Name: "admin", Config: cluster.Admin})
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "decide-agent"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: env.RoleApprover},
		Subjects:   []rbacv1.Subject{env.ToServiceAccount(env.AgentNamespace, "bot")},
	}
	if err := admin.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	eventually(t, "RBAC lets the agent write", func() (bool, string) {
		answer := plain(t, users.Agent, "", "auth", "can-i", "patch", "approvals.signoff.dev", "-n", "payments")
		return answer.exit == 0, answer.stdout + answer.stderr
	})
	// Other tests have an agent that may not.
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), binding); err != nil {
			t.Error(err)
		}
	})
	return d
}

// votesToCompare are tried in dry runs, so that each finds what the others found.
func votesToCompare(d *decided) map[string]decision {
	vote := func(reason string, who env.Person, object, vote, want string, args ...string) decision {
		return decision{reason, who, "approval", object, `{"vote":` + vote + `}`, append(args, "--dry-run"), want}
	}
	return map[string]decision{
		"Approve":       vote("It is his to approve.", users.Bob, d.owners, `{"decision":"Approve"}`, "", "approve"),
		"Comment":       vote("And to say why.", users.Bob, d.owners, `{"decision":"Approve","comment":"fine"}`, "", "approve", "-m", "fine"),
		"Deny":          vote("Or to deny.", users.Bob, d.owners, `{"decision":"Deny","comment":"no"}`, "", "deny", "-m", "no"),
		"NoComment":     vote("A denial says why.", users.Bob, d.owners, `{"decision":"Deny"}`, "spec.vote.comment: Required value", "deny"),
		"Self":          vote("She asked for it.", users.Alice, d.owners, `{"decision":"Approve"}`, "you cannot approve this: you asked for it", "approve"),
		"SecondLogin":   vote("Under another name as well.", users.AliceAgain, d.owners, `{"decision":"Approve"}`, "you cannot approve this: you asked for it", "approve"),
		"OtherStage":    vote("She approves the other stage.", users.Erin, d.owners, `{"decision":"Approve"}`, `cannot approve stage "owners"`, "approve"),
		"HerStage":      vote("This one.", users.Erin, d.checkers, `{"decision":"Approve"}`, "", "approve"),
		"Stranger":      vote("No Role lets him.", users.Mallory, d.owners, `{"decision":"Approve"}`, "you (mallory) may not approve", "approve"),
		"StrangerDeny":  vote("Nor deny.", users.Mallory, d.owners, `{"decision":"Deny","comment":"no"}`, "you (mallory) may not", "deny", "-m", "no"),
		"Agent":         vote("It is no person, whatever a Role says.", users.Agent, d.owners, `{"decision":"Approve"}`, "is not a person", "approve"),
		"Stale":         vote("He looked at something else.", users.Bob, d.owners, `{"decision":"Approve","digest":"00000000"}`, "this is not what you looked at", "approve", "--digest", "00000000"),
		"NoDigest":      vote("That is none.", users.Bob, d.owners, `{"decision":"Approve","digest":"latest"}`, "this is not what you looked at", "approve", "--digest", "latest"),
		"Closed":        vote("It is over.", users.Carol, d.closed, `{"decision":"Approve"}`, `stage "owners" is closed`, "approve"),
		"ClosedBack":    vote("Also for who voted.", users.Bob, d.closed, `{"decision":"Withdraw"}`, `stage "owners" is closed`, "withdraw"),
		"Withdraw":      vote("It is still open.", users.Bob, d.pair, `{"decision":"Withdraw"}`, "", "withdraw"),
		"NothingToTake": vote("She did not vote.", users.Carol, d.pair, `{"decision":"Withdraw"}`, "you have no vote here to take back", "withdraw"),
		"Twice":         vote("Once is enough.", users.Bob, d.pair, `{"decision":"Approve"}`, "", "approve"),
		"For":           vote("Nobody lets him.", users.Bob, d.owners, `{"decision":"Approve","principal":"carol"}`, "carol", "approve", "--for", "carol"),
	}
}

// cancellationsToCompare are written. Refused they change nothing; the one that is accepted is about two requests.
func cancellationsToCompare() map[string]decision {
	cancel := func(reason string, who env.Person, object, why, want string) decision {
		return decision{reason, who, "actionrequest", object, fmt.Sprintf(`{"cancellation":{"reason":%q}}`, why), []string{"cancel", "--reason", why}, want}
	}
	return map[string]decision{
		"CancelStranger": cancel("It is not hers.", users.Erin, "decide-open", "mine now", "you (erin) may not cancel"),
		"CancelApprover": cancel("Nor his, who may deny it.", users.Bob, "decide-open", "no", "you (bob) may not cancel"),
		"CancelNoReason": cancel("Others must read why.", users.Alice, "decide-open", " ", "spec.cancellation.reason: Required value"),
		"CancelOver":     cancel("There is nothing to cancel.", users.Alice, "decide-closed", "late", "the request is over (Succeeded)"),
		"CancelAgain":    cancel("It is written once.", users.Alice, "decide-cancelled", "another reason", "cancellation is final"),
	}
}

// TestSameDecisions: whoever votes or cancels is told the same by kubectl and by the plugin: that it is accepted, with the same warnings, or why not, in
// the same words. TestSameAsKubectl is about asking.
func TestSameDecisions(t *testing.T) {
	d := situationsToDecide(t)
	cases := votesToCompare(&d)
	asked(t, users.Alice, "decide-cancelled", "text=a", "level=high")
	kubectl(t, users.Alice, "", "cancel", "-n", "payments", "decide-cancelled", "--reason", "first").says(t, 0)
	reaches(t, "decide-cancelled", v1alpha1.PhaseCancelled)
	for name, c := range cancellationsToCompare() {
		cases[name] = c
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { tc.compare(t, tc.object) })
	}
	if open := stored(t, "decide-open"); open.Spec.Cancellation != nil || open.Status.Phase != v1alpha1.PhaseAwaitingApproval {
		t.Errorf("what was refused was written: %+v", open.Spec)
	}
	t.Run("Cancel", func(t *testing.T) {
		asked(t, users.Alice, "decide-again", "text=a", "level=two")
		c := decision{"It is hers.", users.Alice, "actionrequest", "decide-open", `{"cancellation":{"reason":"not needed"}}`, []string{"cancel", "--reason", "not needed"}, ""}
		c.compare(t, "decide-again")
		for _, name := range []string{"decide-open", "decide-again"} {
			reaches(t, name, v1alpha1.PhaseCancelled)
			if by := stored(t, name).Spec.Cancellation.By; by == nil || by.Username != "alice" {
				t.Errorf("%s was cancelled by %+v", name, by)
			}
		}
	})
}

// compare decides by kubectl, and by the plugin, on the same or on another that is like it.
func (d *decision) compare(t *testing.T, other string) {
	t.Helper()
	args := []string{"patch", d.kind, "-n", "payments", d.object, "--type=merge", "-p", `{"spec":` + d.spec + `}`}
	if d.args[len(d.args)-1] == "--dry-run" {
		args = append(args, "--dry-run=server")
	}
	want := plain(t, d.who, "", args...)
	got := kubectl(t, d.who, "", append(d.args, "-n", "payments", other)...)
	if (want.exit != 0) != (d.want != "") || want.exit != got.exit {
		t.Errorf("%s kubectl ends with %d, the plugin with %d: %s", d.reason, want.exit, got.exit, want.stderr)
	}
	if diff := cmp.Diff(answered(want, d.object), answered(got, other)); diff != "" {
		t.Errorf("what people read (-kubectl +plugin):\n%s", diff)
	}
	if d.want != "" && !strings.Contains(strings.Join(answered(want, d.object), "\n"), d.want) {
		t.Errorf("%s It is not refused with %q: %s", d.reason, d.want, want.stderr)
	}
}

// answered are the words of a refusal and of warnings, without those that kubectl or the plugin add, and without what the plugin shows of an Approval
// before the vote.
func answered(r result, object string) []string {
	var lines []string
	shown := false
	for line := range strings.Lines(r.stderr) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "payments/"+object+" (digest ") {
			shown = true
			continue
		}
		if shown = shown && strings.HasPrefix(line, "  "); shown {
			continue
		}
		line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "payments/"+object+": "), "refused: ")
		for _, start := range []string{"Error from server (Forbidden): ", `admission webhook "approvals.signoff.dev" denied the request: `, `admission webhook "requests.signoff.dev" denied the request: `,
			`The Approval "` + object + `" is invalid: `, `The ActionRequest "` + object + `" is invalid: `, "* "} {
			line = strings.TrimPrefix(line, start)
		}
		if line = strings.ReplaceAll(line, object, "OBJECT"); line != "" && line != "it is not valid" && line != "." {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestSameCreation: what kubectl create -f stores, the plugin stores, and what it refuses is refused with the same words.
func TestSameCreation(t *testing.T) {
	inForce(t)
	manifest := func(name, inputs string) string {
		return fmt.Sprintf(`{"apiVersion": "signoff.dev/v1alpha1", "kind": "ActionRequest", "metadata": {"namespace": "payments", "name": %q},
			"spec": {"actionRef": {"namespace": "platform", "name": "note"}, "inputs": %s, "reason": "others must know"}}`, name, inputs)
	}
	for name, tc := range map[string]struct {
		reason         string
		who            env.Person
		inputs         string
		args           []string
		kubectl, other string
		exit           int
	}{
		"Stored":    {"Somebody must agree.", users.Alice, `{"text": "a", "level": "high"}`, []string{"text=a", "level=high"}, "created-plain", "created-plugin", 0},
		"Again":     {"It is there.", users.Alice, `{"text": "a", "level": "high"}`, []string{"text=a", "level=high"}, "created-first", "created-first", 1},
		"Forbidden": {"Nobody lets him.", users.Mallory, `{"text": "a"}`, []string{"text=a"}, "created-by-mallory", "created-by-mallory", 1},
		"Agent":     {"Its Role is about something else.", users.Agent, `{"text": "a"}`, []string{"text=a"}, "created-by-agent", "created-by-agent", 1},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "Again" {
				plain(t, tc.who, manifest(tc.kubectl, tc.inputs), "create", "-f", "-").says(t, 0)
			}
			want := plain(t, tc.who, manifest(tc.kubectl, tc.inputs), "create", "-f", "-")
			got := kubectl(t, tc.who, "", append([]string{"request", "platform/note", "-n", "payments", "--name", tc.other, "--reason", "others must know"}, tc.args...)...)
			if want.exit != tc.exit || got.exit != tc.exit {
				t.Errorf("%s kubectl ends with %d, the plugin with %d", tc.reason, want.exit, got.exit)
			}
			if diff := cmp.Diff(created(want, tc.kubectl), created(got, tc.other)); diff != "" {
				t.Errorf("what people read (-kubectl +plugin):\n%s", diff)
			}
			if tc.exit != 0 {
				return
			}
			one, two := stored(t, tc.kubectl).Spec, stored(t, tc.other).Spec
			one.Seal, two.Seal = nil, nil
			if diff := cmp.Diff(one, two); diff != "" {
				t.Errorf("what is stored (-kubectl +plugin):\n%s", diff)
			}
		})
	}
}

// created are the words of told, with one name for all requests.
func created(r result, name string) []string {
	r.stderr = strings.ReplaceAll(r.stderr, `Error from server (AlreadyExists): error when creating "STDIN": `, "")
	r.stderr = strings.ReplaceAll(r.stderr, `The ActionRequest "`+name+`" is invalid: `, "")
	r.stderr = strings.ReplaceAll(r.stderr, name, "NAME")
	return told(r)
}
