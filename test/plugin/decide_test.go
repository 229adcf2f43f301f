package plugin

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// hidden is what nobody may see as more than text.
const hidden = "nice\x1b[2J\u202etxt\nApproved=True"

// inboxOf lists the names in somebody's inbox.
func inboxOf(t *testing.T, who env.Person, args ...string) []string {
	t.Helper()
	answer := kubectl(t, who, "", append([]string{"inbox", "-o", "name"}, args...)...)
	answer.says(t, 0)
	var names []string
	for line := range strings.Lines(answer.stdout) {
		names = append(names, strings.TrimPrefix(strings.TrimSpace(line), "approval.signoff.dev/"))
	}
	return names
}

// TestInbox has what waits for a person, and nothing else: not what they asked for, what they voted on, or what others must decide.
func TestInbox(t *testing.T) {
	asked(t, users.Alice, "inbox-one", "text=a", "level=two")
	owners, checkers := approvalOf(t, "inbox-one", "owners").Name, approvalOf(t, "inbox-one", "checkers").Name
	holds := func(who env.Person, name string, want bool) {
		t.Helper()
		if got := slices.Contains(inboxOf(t, who, "-n", "payments"), name); got != want {
			t.Errorf("the inbox of %s has %s: %t, want %t", who.Name, name, got, want)
		}
	}
	holds(users.Bob, owners, true)
	holds(users.Bob, checkers, false)
	holds(users.Erin, checkers, true)
	holds(users.Erin, owners, false)
	holds(users.Alice, owners, false)
	holds(users.AliceAgain, owners, false)
	holds(users.Mallory, owners, false)
	// A comment more does not make it wait again; taking the vote back does.
	kubectl(t, users.Erin, "", "approve", "-n", "payments", checkers, "--comment", "ok").says(t, 0)
	asked(t, users.Alice, "inbox-two", "text=a", "level=high")
	both := approvalOf(t, "inbox-two", "owners").Name
	kubectl(t, users.Bob, "", "deny", "-n", "payments", both, "--dry-run", "--comment", "no").says(t, 0, "Warning: your denial would be recorded. The request would be denied; that would be final.", "denied (server dry run)")
	kubectl(t, users.Bob, "", "approve", "-n", "payments", both, "--dry-run").says(t, 0, "Warning: your approval would be recorded. Stage \"owners\" would be approved; the request would start now.\n", "approved (server dry run)")
	holds(users.Bob, both, true)
	answer := kubectl(t, users.Mallory, "", "inbox", "-n", "payments")
	answer.says(t, 0, "nothing waits for you; open Approvals that wait for others, or on which you voted: ")
	// Bob may not list Approvals everywhere, and in the namespace of his kubeconfig only once it is another.
	kubectl(t, users.Bob, "", "inbox").says(t, 2, "you (bob) may not list approvals.signoff.dev in namespace default.\n  Name a namespace in which you may with -n.  Or: Ask for the ClusterRole")
	plain(t, users.Bob, "", "config", "set-context", "--current", "--namespace=payments")
	typed(t, "", "inbox").says(t, 0, "note: only namespace payments is looked at, since you may not list Approvals in all; name another with -n", owners)
}

// TestInboxAfterAVote on a stage that takes several votes.
func TestInboxAfterAVote(t *testing.T) {
	inForce(t)
	kubectl(t, users.Alice, "", "request", "platform/announce", "text=a", "-n", "payments", "--name", "pair").says(t, 0)
	name := approvalOf(t, "pair", "both").Name
	steps := []struct {
		reason string
		args   []string
		mine   bool
	}{
		{"nobody voted", nil, true},
		{"he approved", []string{"approve", "-m", "ok"}, false},
		{"he took it back", []string{"withdraw"}, true},
		{"he approved again", []string{"approve"}, false},
	}
	for _, step := range steps {
		if step.args != nil {
			kubectl(t, users.Bob, "", append(step.args, name, "-n", "payments")...).says(t, 0)
		}
		if got := slices.Contains(inboxOf(t, users.Bob, "-n", "payments"), name); got != step.mine {
			t.Errorf("%s: it waits for Bob: %t, want %t", step.reason, got, step.mine)
		}
	}
	if !slices.Contains(inboxOf(t, users.Carol, "-n", "payments"), name) {
		t.Error("it still waits for Carol")
	}
}

func apply(t *testing.T, text string) {
	t.Helper()
	if err := cluster.Apply(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestList(t *testing.T) {
	asked(t, users.Alice, "list-alice", "text=a", "level=high")
	asked(t, users.Bob, "list-bob", "text=a", "level=high")
	asked(t, users.Alice, "list-over", "text=a")
	reaches(t, "list-over", v1alpha1.PhaseSucceeded)
	reaches(t, "list-bob", v1alpha1.PhaseAwaitingApproval)
	cases := map[string]struct {
		reason    string
		who       env.Person
		args      []string
		exit      int
		has, lack []string
	}{
		"Open":   {"what is not over, with the columns of kubectl get", users.Alice, []string{"-n", "payments"}, 0, []string{"NAME ", "WAITING FOR", "list-alice ", "owners: 1 of payments (alice"}, []string{"list-over", "APPROVALS"}},
		"Wide":   {"with the further columns", users.Alice, []string{"-n", "payments", "-o", "wide"}, 0, []string{"APPROVALS", "0/1"}, nil},
		"Mine":   {"what I asked for", users.Alice, []string{"-n", "payments", "--mine", "--all"}, 0, []string{"list-alice", "list-over"}, []string{"list-bob"}},
		"Action": {"of one Action", users.Alice, []string{"-n", "payments", "--all", "--action", "nothing"}, 0, []string{"there is no request in namespace payments for Action nothing\n"}, []string{"list-"}},
		"Full":   {"of one Action of one catalog", users.Alice, []string{"-n", "payments", "--action", "platform/note"}, 0, []string{"list-alice "}, nil},
		"Other":  {"of the Action of that name of another catalog", users.Alice, []string{"-n", "payments", "--action", "library/note"}, 0, []string{"no request is open in namespace payments for Action library/note"}, []string{"list-"}},
		"Half":   {"a name that is none", users.Alice, []string{"--action", "library/"}, 2, []string{`failed to read --action "library/"`}, nil},
		"Where":  {"who may list elsewhere", users.Alice, nil, 2, []string{"may not list actionrequests.signoff.dev in namespace default.\n  Name a namespace in which you may with -n."}, nil},
		"Name":   {"for scripts", users.Alice, []string{"-n", "payments", "-o", "name"}, 0, []string{"actionrequest.signoff.dev/list-alice\n"}, []string{"NAME"}},
		"Path":   {"for programs", users.Alice, []string{"-n", "payments", "-o", "jsonpath={.items[*].spec.requester.username}"}, 0, []string{"alice", "bob"}, nil},
		"All":    {"everywhere", users.Audrey, []string{"-A"}, 0, []string{"NAMESPACE ", "payments  "}, nil},
		"Rights": {"who may not look", users.Grace, []string{"-n", "payments"}, 2, []string{"you (grace) may not list actionrequests.signoff.dev in namespace payments."}, nil},
		"Output": {"an output that is none", users.Alice, []string{"-o", "xml"}, 2, []string{"failed to read -o"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := kubectl(t, tc.who, "", append([]string{"list"}, tc.args...)...)
			t.Log(tc.reason)
			if name == "Open" || name == "Wide" {
				tc.has = slices.DeleteFunc(tc.has, func(word string) bool { return strings.Contains(word, "(alice") })
			}
			answer.says(t, tc.exit, tc.has...)
			for _, word := range tc.lack {
				if strings.Contains(answer.stdout, word) {
					t.Errorf("it says %q", word)
				}
			}
		})
	}
}

// TestStory follows one request through its commands, as the people of its story.
func TestStory(t *testing.T) {
	asked(t, users.Alice, "story", "text="+hidden, "level=high", "--reason", hidden)
	reaches(t, "story", v1alpha1.PhaseAwaitingApproval)
	approval := approvalOf(t, "story", "owners")
	answer := kubectl(t, users.Bob, "", "show", "-n", "payments", "approval/"+approval.Name)
	digest := strings.TrimPrefix(approval.Spec.Digest, "sha256:")[:8]
	answer.says(
		t, 0, "payments/story: AwaitingApproval\n", "Waiting for: owners: 1 of payments (bob, carol", "Action: platform/note\n", "Asked by: alice, ", "Reason:\n  | nice\\x1b[2J\\u202etxt\n  | Approved=True\n",
		"  owned (RequireApproval): it is read by many\n", "  apply ConfigMap payments/note-story (step write)\n    creates it\n    data.text: (new) ", "Digest: "+approval.Spec.Digest+"\n",
		"  "+approval.Name+", stage owners: Open, needs 1 of payments, until ", "  kubectl signoff approve -n payments "+approval.Name+" --digest "+digest+"\n",
	)
	for _, bad := range []string{"\x1b", "\u202e", "\nApproved=True"} {
		if strings.Contains(answer.stdout, bad) {
			t.Errorf("what is hidden passes: %q", bad)
		}
	}
	answer = kubectl(t, users.Bob, "", "approve", "-n", "payments", approval.Name, "--digest", "00000000")
	answer.says(t, 1, "refused: this is not what you looked at. You voted on 00000000; this Approval is about "+digest)
	answer = kubectl(t, users.Erin, "", "approve", "-n", "payments", approval.Name)
	answer.says(t, 1, "payments/"+approval.Name+": refused: ")
	answer = kubectl(t, users.Alice, "", "approve", "-n", "payments", approval.Name)
	answer.says(t, 1, "refused: you cannot approve this: you asked for it")
	answer = kubectl(t, users.Bob, "", "deny", "-n", "payments", approval.Name)
	answer.says(t, 1, "refused: it is not valid\n  spec.vote.comment: Required value: say why")
	answer = kubectl(t, users.Bob, "", "approve", "-n", "payments", "approval/"+approval.Name, "--digest", digest, "--comment", "ok\x1b[1m")
	answer.says(t, 0, "payments/"+approval.Name+" (digest "+approval.Spec.Digest+")\n  alice asks to run \"Write a note\"", "Warning: your approval is recorded. Stage \"owners\" is approved; the request starts now.",
		"approval.signoff.dev/"+approval.Name+" approved\n")
	kubectl(t, users.Alice, "", "wait", "-n", "payments", "story", "--timeout", "20s").says(t, 0, "payments/story Succeeded")
	answer = kubectl(t, users.Alice, "", "show", "-n", "payments", "story")
	answer.says(t, 0, "payments/story: Succeeded\nEnded: ", ": Approved, needs", "    bob: Approve at ", "Steps:\n  write: Done", "Next:\n  kubectl signoff request -n payments --from story\n")
	if strings.Contains(answer.stdout, "NOTE") || strings.Contains(answer.stdout, "\x1b") {
		t.Errorf("there is nothing to doubt, and nothing hidden:\n%s", answer.stdout)
	}
	answer = kubectl(t, users.Bob, "", "withdraw", "-n", "payments", approval.Name)
	answer.says(t, 1, `refused: stage "owners" is closed: approved by bob`)
}

// TestVoteOnSeveral gives each its own answer, and the highest exit code.
func TestVoteOnSeveral(t *testing.T) {
	asked(t, users.Alice, "several-one", "text=a", "level=high")
	asked(t, users.Alice, "several-two", "text=a", "level=high")
	one, two := approvalOf(t, "several-one", "owners").Name, approvalOf(t, "several-two", "owners").Name
	answer := kubectl(t, users.Bob, "", "deny", "-n", "payments", one, "nothing", two, "--comment", "not now")
	answer.says(t, 2, one+" denied\n", two+" denied\n", "payments/nothing: there is no Approval payments/nothing; see what there is: kubectl signoff inbox -n payments")
	answer = kubectl(t, users.Alice, "", "wait", "-n", "payments", "several-one", "several-two", "--timeout", "20s")
	answer.says(t, 3, "payments/several-one Denied: Denied by bob in stage owners: \"not now\"", "payments/several-two Denied")
}

// TestVoteIsBoundToWhatWasShown puts another digest in front of the eyes of the plugin: a vote on it is refused, because what was shown is sent.
func TestVoteIsBoundToWhatWasShown(t *testing.T) {
	asked(t, users.Alice, "bound", "text=a", "level=high")
	approval := approvalOf(t, "bound", "owners")
	other := "sha256:" + strings.Repeat("0", 64)
	server := between(t, users.Carol, func(body string) string { return strings.ReplaceAll(body, approval.Spec.Digest, other) })
	answer := kubectl(t, users.Carol, "", "approve", "-n", "payments", approval.Name, "--server", server)
	answer.says(t, 1, "(digest "+other+")", "refused: this is not what you looked at. You voted on "+other)
	kubectl(t, users.Carol, "", "approve", "-n", "payments", approval.Name).says(t, 0)
}

// between stands between somebody and the API server, and changes what is read.
func between(t *testing.T, who env.Person, change func(string) string) string {
	t.Helper()
	transport, err := rest.TransportFor(who.Config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(who.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Header.Del("Accept-Encoding") },
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			if r.Request.Method == http.MethodGet {
				body = []byte(change(string(body)))
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.ContentLength = int64(len(body))
			r.Header.Del("Content-Length")
			return nil
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

func TestCancel(t *testing.T) {
	asked(t, users.Alice, "cancel-one", "text=a", "level=high")
	answer := kubectl(t, users.Alice, "", "cancel", "-n", "payments", "cancel-one")
	answer.says(t, 2, "error: say why with --reason: others will read it")
	answer = kubectl(t, users.Erin, "", "cancel", "-n", "payments", "cancel-one", "--reason", "mine now")
	answer.says(t, 1, "payments/cancel-one: refused: you (erin) may not cancel")
	answer = kubectl(t, users.Alice, "", "cancel", "-n", "payments", "cancel-one", "--reason", "not needed", "--dry-run")
	answer.says(t, 0, "actionrequest.signoff.dev/cancel-one cancelled (server dry run)\n")
	if stored(t, "cancel-one").Spec.Cancellation != nil {
		t.Error("a dry run stored something")
	}
	answer = kubectl(t, users.Alice, "", "cancel", "-n", "payments", "actionrequest/cancel-one", "nothing", "--reason", "not needed")
	answer.says(t, 2, "actionrequest.signoff.dev/cancel-one cancelled\n", "payments/nothing: there is no ActionRequest payments/nothing")
	kubectl(t, users.Alice, "", "wait", "-n", "payments", "cancel-one", "--timeout", "20s").says(t, 4, "payments/cancel-one Cancelled")
	kubectl(t, users.Alice, "", "show", "-n", "payments", "cancel-one").says(t, 0, "payments/cancel-one: Cancelled\n", `Cancelled by alice: "not needed"`)
	answer = kubectl(t, users.Alice, "", "show", "-n", "payments", "cancel-one", "-o", "jsonpath={.items[*].kind}")
	answer.says(t, 0, "ActionRequest Approval")
}

func TestShowRefusals(t *testing.T) {
	kubectl(t, users.Alice, "", "show", "-n", "payments", "approval/nothing").says(t, 2, "there is no Approval payments/nothing")
	kubectl(t, users.Alice, "", "show", "-n", "payments", "nothing").says(t, 2, "there is no ActionRequest payments/nothing")
	kubectl(t, users.Grace, "", "show", "-n", "payments", "nothing").says(t, 2, "you (grace) may not get actionrequests.signoff.dev in namespace payments.")
}
