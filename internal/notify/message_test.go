package notify

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// told are the messages of an event, as "channel recipient addresses".
func told(t *testing.T, n *Notifier, e *Event) []string {
	t.Helper()
	var out []string
	for _, m := range n.Messages(t.Context(), e, telling()) {
		out = append(out, strings.TrimSpace(m.Channel.Name+" "+m.Recipient+" "+m.Address))
	}
	return out
}

func eventOf(t *testing.T, kind v1alpha1.NotificationEvent, change func(*v1alpha1.Approval)) *Event {
	t.Helper()
	for _, e := range Of(aRequest(nil), []v1alpha1.Approval{*anApproval(change)}) {
		if e.Type == kind {
			return &e
		}
	}
	t.Fatalf("there is no event %s", kind)
	return nil
}

func closedBy(who string) func(*v1alpha1.Approval) {
	return func(a *v1alpha1.Approval) {
		a.Spec.Votes = []v1alpha1.Vote{aVote(who, v1alpha1.DecisionDeny, 2)}
		a.Spec.Votes[0].Comment = "wrong image"
		a.Status.State, a.Status.ClosedAt, a.Status.Decided = v1alpha1.ApprovalDenied, new(at(2)), []string{`Decided: denied by ` + who + ` at 12:02 ("wrong image").`}
	}
}

// guideAddress is the address that the guide and the example show.
const guideAddress = "${recipient.username.startsWith('system:') ? '' : recipient.username + '@example.org'}"

// TestShownAddress: what people copy is what TestRoutes has tried.
func TestShownAddress(t *testing.T) {
	for _, path := range []string{"../../docs/guides/notifications.md", "../../examples/notify/notifier.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "address: \""+guideAddress+"\"\n") {
			t.Errorf("%s shows another address", path)
		}
	}
}

func TestRoutes(t *testing.T) {
	channels := "channels: [" + hook + ", {name: mail, email: {" + mailHost + "address: \"${recipient.username == 'bob' ? 'bob@corp.example' : recipient.username.contains('@') ? recipient.username : ''}\"}}, {name: people, email: {" + mailHost + "address: \"" + guideAddress + "\"}}, {name: names, email: {" + mailHost + "to: [all@example.org]}}, " +
		"{name: same, email: {" + mailHost + "to: [all@example.org, payments@example.org], address: \"${recipient.username == 'alice' ? 'alice@corp.example' : recipient.username == 'bob' ? 'all@example.org' : 'payments@example.org'}\"}}]\n"
	route := func(text string) string {
		return channels + "routes:\n- {events: [Requested, ApprovalNeeded, Voted, ApprovalClosed], to: [{channel: c}], stages: [none]}\n- {events: [Expired], to: [{channel: mail, recipients: [Requester]}, {channel: people, recipients: [Requester]}, {channel: names}, {channel: same}]}\n- " + text + "\n"
	}
	byAccount := eventOf(t, v1alpha1.EventRequested, nil)
	byAccount.Request.Spec.Requester.Username = "system:serviceaccount:ci:pipeline"
	needed, closed := eventOf(t, v1alpha1.EventApprovalNeeded, nil), eventOf(t, v1alpha1.EventApprovalClosed, closedBy("bob"))
	closedAfter := func(votes ...v1alpha1.Vote) *Event {
		return eventOf(t, v1alpha1.EventApprovalClosed, func(a *v1alpha1.Approval) {
			closedBy("dave")(a)
			a.Spec.Votes = append(votes, a.Spec.Votes...)
		})
	}
	forged := aVote("bob", v1alpha1.DecisionApprove, 1)
	forged.Seal = ""
	const decided = "{events: [ApprovalClosed], to: [{channel: c, recipients: [Approvers]}]}"
	cases := map[string]struct {
		reason, route string
		event         *Event
		want          []string
	}{
		"Event":     {"what is asked for is told", "{events: [ApprovalNeeded], to: [{channel: c}]}", needed, []string{"c"}},
		"Other":     {"and nothing else", "{events: [Voted], to: [{channel: c}]}", needed, nil},
		"Stage":     {"by stage", "{events: [ApprovalNeeded], stages: [owners], to: [{channel: c}]}", needed, []string{"c"}},
		"OtherOne":  {"not another stage", "{events: [ApprovalNeeded], stages: [finance], to: [{channel: c}]}", needed, nil},
		"NoStage":   {"what is about no stage is about none of them", "{events: [Requested], stages: [owners], to: [{channel: c}]}", eventOf(t, v1alpha1.EventRequested, nil), nil},
		"Name":      {"by Action", "{events: [ApprovalNeeded], actions: {names: [note], namespaces: [platform]}, to: [{channel: c}]}", needed, []string{"c"}},
		"OtherName": {"not another Action", "{events: [ApprovalNeeded], actions: {names: [deploy]}, to: [{channel: c}]}", needed, nil},
		"Catalog":   {"nor one of another catalog", "{events: [ApprovalNeeded], actions: {names: [note], namespaces: [library]}, to: [{channel: c}]}", needed, nil},
		"Labels":    {"by labels", "{events: [ApprovalNeeded], actions: {selector: {matchLabels: {kind: note}}}, to: [{channel: c}]}", needed, []string{"c"}},
		"NoLabels":  {"not with other labels", "{events: [ApprovalNeeded], actions: {selector: {matchLabels: {kind: other}}}, to: [{channel: c}]}", needed, nil},
		"Approvers": {
			"who may decide, but not those without an address", "{events: [ApprovalNeeded], to: [{channel: mail, recipients: [Approvers]}]}", needed,
			[]string{"mail bob bob@corp.example", "mail carol@example.org carol@example.org", "mail mailto:payments@example.org payments@example.org"},
		},
		"Names": {
			"where a channel does not say how, user names that are addresses are", "{events: [ApprovalNeeded], to: [{channel: names, recipients: [Approvers, Requester]}]}", needed,
			[]string{"names carol@example.org carol@example.org", "names mailto:payments@example.org payments@example.org", "names mailto:all@example.org all@example.org"},
		},
		"To": {"the addresses of a channel get everything, also where people are named of whom none has one", "{events: [ApprovalNeeded], to: [{channel: names, recipients: [Requester]}]}", needed, []string{"names mailto:all@example.org all@example.org"}},
		"SameAddress": {
			"nobody gets one mail twice, by whichever name and route", "{events: [ApprovalNeeded], to: [{channel: same, recipients: [Approvers]}]}\n- {events: [ApprovalNeeded], to: [{channel: same, recipients: [Requester]}]}", needed,
			[]string{"same mailto:payments@example.org payments@example.org", "same mailto:all@example.org all@example.org", "same alice alice@corp.example"},
		},
		"Decided": {
			"those who were asked and took no part learn that it is decided", "{events: [ApprovalClosed], to: [{channel: mail, recipients: [Approvers]}]}", closed,
			[]string{"mail carol@example.org carol@example.org", "mail mailto:payments@example.org payments@example.org"},
		},
		"Withdrew": {"who took their vote back took no part", decided, closedAfter(aVote("bob", v1alpha1.DecisionApprove, 1), aVote("bob", v1alpha1.DecisionWithdraw, 1)), []string{"c bob", "c carol@example.org"}},
		"Returned": {"who then voted did", decided, closedAfter(aVote("bob", v1alpha1.DecisionWithdraw, 1), aVote("bob", v1alpha1.DecisionApprove, 1)), []string{"c carol@example.org"}},
		"Forged":   {"nobody is silenced by a vote that is not theirs", decided, closedAfter(forged), []string{"c bob", "c carol@example.org"}},
		"Account": {
			"what asked is no person, and has no address", "{events: [Requested], to: [{channel: people, recipients: [Requester]}]}", byAccount, nil,
		},
		"Person": {"but who asked is", "{events: [ApprovalNeeded], to: [{channel: people, recipients: [Requester]}]}", needed, []string{"people alice alice@example.org"}},
		"OneByOne": {
			"a call for each who is known by name", "{events: [ApprovalNeeded], to: [{channel: c, recipients: [Approvers, Requester]}]}", needed,
			[]string{"c alice", "c bob", "c carol@example.org"},
		},
		"Nobody": {"nobody is asked yet", "{events: [Requested], to: [{channel: c, recipients: [Approvers]}]}", eventOf(t, v1alpha1.EventRequested, nil), nil},
		"Twice": {
			"nobody is told twice by one channel", "{events: [ApprovalNeeded], to: [{channel: c}]}\n- {events: [ApprovalNeeded, Voted], to: [{channel: c}]}", needed, []string{"c"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, told(t, compiled(t, route(tc.route)), tc.event)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// stages gives each stage an approver of its own.
type stages struct{ team }

func (stages) Approvers(_ *v1alpha1.ActionRequest, a *v1alpha1.Approval) (users, addresses []string) {
	return []string{"carol", "of-" + a.Spec.Stage.Name}, nil
}

// TestWithoutStage: what is about no stage concerns the approvers of all, each once, and nobody whom somebody else says was asked.
func TestWithoutStage(t *testing.T) {
	concerned := []v1alpha1.NotificationEvent{
		v1alpha1.EventApproved, v1alpha1.EventUnsatisfiable, v1alpha1.EventHeld, v1alpha1.EventExecuting, v1alpha1.EventOutcomeUnknown, v1alpha1.EventResolved,
		v1alpha1.EventActive, v1alpha1.EventReverting, v1alpha1.EventSucceeded, v1alpha1.EventFailed, v1alpha1.EventDenied, v1alpha1.EventExpired, v1alpha1.EventCancelled,
		v1alpha1.EventReverted,
	}
	n := compiled(t, "channels: ["+hook+"]\nroutes: [{events: ["+strings.Trim(strings.ReplaceAll(fmt.Sprint(concerned), " ", ", "), "[]")+"], to: [{channel: c, recipients: [Approvers]}]}]\n")
	approvals := []v1alpha1.Approval{*anApproval(nil), *anotherApproval(2, func(a *v1alpha1.Approval) { a.Spec.Stage.Name = "finance" }), *anotherApproval(3, func(a *v1alpha1.Approval) {
		a.Spec.Stage.Name, a.Spec.Seal = "forged", nil
	})}
	told := map[v1alpha1.NotificationEvent]string{}
	for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseHeld, v1alpha1.PhaseActive, v1alpha1.PhaseReverting, v1alpha1.PhaseOutcomeUnknown} {
		for _, outcome := range []v1alpha1.Outcome{"", "Succeeded", "Failed", "Denied", "Expired", "Cancelled", "Reverted"} {
			request := aRequest(func(r *v1alpha1.ActionRequest) {
				r.Status.Phase, r.Status.Outcome, r.Status.Execution = phase, outcome, &v1alpha1.ExecutionClaim{StartedAt: at(5)}
				r.Spec.Resolutions = []v1alpha1.Resolution{aResolution(&v1alpha1.Seal{At: metav1.NewMicroTime(at(9).Time)})}
				r.Status.Conditions = []metav1.Condition{approvedAt(4), condition("Ready", v1alpha1.ReasonUnsatisfiable, 6), condition("Finished", "because", 7)}
			})
			for _, e := range Of(request, approvals) {
				var who []string
				for _, m := range n.Messages(t.Context(), &e, Telling{People: stages{}, Claim: once()}) {
					who = append(who, m.Recipient)
				}
				told[e.Type] = strings.Join(who, " ")
			}
		}
	}
	for _, e := range concerned {
		if told[e] != "carol of-finance of-owners" {
			t.Errorf("of %s is told %q", e, told[e])
		}
	}
}

// message is the one message of an event.
func message(t *testing.T, n *Notifier, e *Event) *Message {
	t.Helper()
	messages := n.Messages(t.Context(), e, telling())
	if len(messages) != 1 {
		t.Fatal(messages)
	}
	return messages[0]
}

func TestText(t *testing.T) {
	plain := compiled(t, "channels: ["+hook+"]\nroutes: [{events: [Requested, ApprovalNeeded, Voted, ApprovalClosed], to: [{channel: c}]}]\n")
	claimed := eventOf(t, v1alpha1.EventRequested, nil)
	claimed.Request.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: "carol"}
	superseding := func(a *v1alpha1.Approval) {
		a.Status.State, a.Status.ClosedAt, a.Status.Decided = v1alpha1.ApprovalSuperseded, new(at(3)), []string{"because"}
	}
	cancelled := func(seal *v1alpha1.Seal) *Event {
		e := eventOf(t, v1alpha1.EventApprovalClosed, superseding)
		e.Request.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "not today", By: &v1alpha1.Identity{Username: "carol"}, Seal: seal}
		return e
	}
	const ofAlice = ": platform/note of alice (payments/sale)"
	const needless = "alice wrote: \"support must know\"\nbecause\nLook: kubectl signoff show -n payments sale"
	cases := map[string]struct {
		reason      string
		event       *Event
		title, text string
	}{
		"Requested": {"inputs are in no text that nobody asked for", eventOf(t, v1alpha1.EventRequested, nil), "Requested: platform/note of alice (payments/sale)",
			"alice wrote: \"support must know\"\nLook: kubectl signoff show -n payments sale"},
		"Needed": {"with all that it takes to decide", eventOf(t, v1alpha1.EventApprovalNeeded, nil), "Approval needed: platform/note of alice (payments/sale)",
			"alice wrote: \"support must know\"\nStage owners needs 1 of payments, until Tue 24 Nov 12:01 UTC.\nLook: kubectl signoff show -n payments approval/sale-owners\n" +
				"Approve: kubectl signoff approve -n payments sale-owners --digest 9f3c1a7e\nDeny: kubectl signoff deny -n payments sale-owners --digest 9f3c1a7e --comment \"why\""},
		"Voted": {"who, and why", eventOf(t, v1alpha1.EventVoted, closedBy("bob")), "Denied by bob in stage owners: platform/note of alice (payments/sale)",
			"alice wrote: \"support must know\"\nbob wrote: \"wrong image\"\nLook: kubectl signoff show -n payments sale"},
		"Claimed": {"for whom it is asked, as it says", claimed, "Requested" + ofAlice,
			"alice asks, as it says on behalf of carol.\nalice wrote: \"support must know\"\nLook: kubectl signoff show -n payments sale"},
		"Cancelled": {"who cancelled has decided nothing", cancelled(&v1alpha1.Seal{At: metav1.NewMicroTime(at(3).Add(time.Second / 2))}), "Cancelled by carol, so stage owners needs nobody any more" + ofAlice, needless},
		"Somebody":  {"nobody has proved who it was", cancelled(nil), "Cancelled by somebody, so stage owners needs nobody any more" + ofAlice, needless},
		"Before":    {"what was cancelled later had no part in it", cancelled(&v1alpha1.Seal{At: metav1.NewMicroTime(at(9).Time)}), "No longer needed: stage owners" + ofAlice, needless},
		"Needless":  {"what counts no more is not decided", eventOf(t, v1alpha1.EventApprovalClosed, superseding), "No longer needed: stage owners" + ofAlice, needless},
		"Closed": {"nobody needs to do anything any more", eventOf(t, v1alpha1.EventApprovalClosed, closedBy("bob")), "Already decided: stage owners is Denied: platform/note of alice (payments/sale)",
			"alice wrote: \"support must know\"\nDecided: denied by bob at 12:02 (\"wrong image\").\nLook: kubectl signoff show -n payments sale"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := message(t, plain, tc.event)
			if diff := cmp.Diff([]string{tc.title, tc.text}, []string{m.Title, m.Text}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if strings.Contains(m.Title+m.Text, "the sale") {
				t.Error("an input is in a text that does not name it")
			}
		})
	}
}

// TestTextAgain: who is asked again learns why, and who follows a request that all agreed, or who has decided how a step ended.
func TestTextAgain(t *testing.T) {
	n := compiled(t, "channels: ["+hook+"]\nroutes: [{events: [ApprovalNeededAgain, Approved, Resolved], to: [{channel: c}]}]\n")
	request := aRequest(func(r *v1alpha1.ActionRequest) {
		r.Status.Conditions = []metav1.Condition{approvedAt(5)}
		r.Spec.Resolutions = []v1alpha1.Resolution{aResolution(&v1alpha1.Seal{At: metav1.NewMicroTime(at(9).Time)})}
	})
	got, about := []string{}, ": platform/note of alice (payments/sale)"
	for _, e := range Of(request, []v1alpha1.Approval{*superseded(), *anotherApproval(2, nil)}) {
		for _, m := range n.Messages(t.Context(), &e, telling()) {
			got = append(got, m.Title, strings.TrimPrefix(m.Text, "alice wrote: \"support must know\"\n"))
		}
	}
	look := "Look: kubectl signoff show -n payments "
	want := []string{
		"Approval needed again" + about, "Stage owners needs 1 of payments, until Tue 24 Nov 12:01 UTC.\nNo longer counts: it was valid for 7m.\n" + look + "approval/sale-again\n" +
			"Approve: kubectl signoff approve -n payments sale-again --digest 9f3c1a7e\nDeny: kubectl signoff deny -n payments sale-again --digest 9f3c1a7e --comment \"why\"",
		"Approved" + about, "because\n" + look + "sale",
		"Decided how it ended" + about, "dave decided that step call ended as Succeeded, and wrote: \"it is there\"\n" + look + "sale",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTemplates: what is declared is told, and what people wrote stays what it is.
func TestTemplates(t *testing.T) {
	n := compiled(t, "channels: ["+hook+`]
routes:
- events: [ApprovalNeeded]
  to: [{channel: c}]
  message:
    title: "${request.reason}"
    text: "${inputs.text} ${event.stage} ${event.approval} ${action.labels['kind']} ${request.uid} $${x} ${event.command} ${event.digest} for ${request.onBehalfOf}"
`)
	e := eventOf(t, v1alpha1.EventApprovalNeeded, nil)
	e.Request = aRequest(func(r *v1alpha1.ActionRequest) {
		r.Spec.Reason = "first\nBcc: eve@example.org\u202e ${inputs.level}"
		r.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: "carol\n"}
	})
	m := message(t, n, e)
	want := []string{`first\nBcc: eve@example.org\u202e ${inputs.level}`, "the sale owners sale-owners note request-uid ${x} kubectl signoff approve -n payments sale-owners --digest 9f3c1a7e 9f3c1a7e for carol\\n"}
	if diff := cmp.Diff(want, []string{m.Title, m.Text}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// crowd are more people than are written to about one event.
type crowd struct{ team }

func (crowd) Approvers(*v1alpha1.ActionRequest, *v1alpha1.Approval) (users, addresses []string) {
	for i := range 2 * maxRecipients {
		users = append(users, fmt.Sprintf("bob-%03d", i))
	}
	return users, nil
}

// TestRecipientsAreBounded: as many calls as mails.
func TestRecipientsAreBounded(t *testing.T) {
	n := compiled(t, "channels: ["+hook+"]\nroutes: [{events: [ApprovalNeeded], to: [{channel: c, recipients: [Approvers]}]}]\n")
	if got := n.Messages(t.Context(), eventOf(t, v1alpha1.EventApprovalNeeded, nil), Telling{People: crowd{}, Claim: once()}); len(got) != maxRecipients {
		t.Errorf("%d people are written to", len(got))
	}
}

// TestBrokenTemplate: what a template does not give, Signoff says itself, and no other channel misses anything. What is wrong is said without inputs.
func TestBrokenTemplate(t *testing.T) {
	webhook := "{name: hook, webhook: {url: 'https://x.example.com', body: {text: '${inputs.missing}'}}}"
	mail := "{name: mail, email: {" + mailHost + "address: '${inputs.missing}', to: [team@example.org]}}"
	n := compiled(t, "channels: ["+hook+", {name: d, cloudEvents: {url: 'https://events.example.com/y'}}, "+webhook+", "+mail+`]
routes:
- {events: [ApprovalNeeded], to: [{channel: c}], message: {title: "${inputs.level}", text: "${inputs.text == 'the sale' ? inputs.missing : ''}"}}
- {events: [ApprovalNeeded], to: [{channel: d}], message: {title: "${inputs.none}", text: "${' '}"}}
- {events: [ApprovalNeeded], to: [{channel: hook}, {channel: mail, recipients: [Requester]}, {channel: mail}]}
`)
	title, text := "Approval needed: platform/note of alice (payments/sale)", message(t, compiled(t, specOf(map[string]any{"name": "c", "slack": map[string]any{"urlSecret": map[string]any{"name": "s", "key": "k"}}})), eventOf(t, v1alpha1.EventApprovalNeeded, nil)).Text
	own := " could not be evaluated, or cost too much: Signoff's own words were sent"
	nothing := " could not be evaluated, or cost too much: nothing was sent"
	want := []string{
		"c  high|" + text + "|spec.routes[0].message.text" + own + " sent",
		"d  " + title + "|" + text + "|spec.routes[1].message.title" + own + " sent",
		"hook  " + title + "|" + text + "|body of channel hook" + nothing + " unwritten",
		"mail alice ||address of channel mail" + nothing + " unwritten",
		"mail mailto:team@example.org " + title + "|" + text + "| sent",
	}
	var got []string
	for _, m := range n.Messages(t.Context(), eventOf(t, v1alpha1.EventApprovalNeeded, nil), telling()) {
		end := " sent"
		if m.Unwritten {
			end = " unwritten"
		}
		got = append(got, m.Channel.Name+" "+m.Recipient+" "+m.Title+"|"+m.Text+"|"+m.Problem+end)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTemplatesAreBounded: all texts of an event share what they may cost, addresses have their own, and what was told costs nothing.
func TestTemplatesAreBounded(t *testing.T) {
	costly := "${inputs.list.all(a, inputs.list.all(b, a + b < 0 || inputs.list.all(c, a + b + c >= 0))) ? 'fits' : ''}"
	spec := "channels: [{name: c, email: {" + mailHost + "address: '${recipient.username}@example.org'}}]\nroutes: [{events: [ApprovalNeeded], to: [{channel: c, recipients: [Requester, Approvers]}], message: {text: \"" + costly + "\"}}]\n"
	n, e := compiled(t, spec), eventOf(t, v1alpha1.EventApprovalNeeded, nil)
	e.Request.Spec.Inputs.Raw = []byte(`{"list":[` + strings.Repeat("1,", 34) + `1]}`)
	fits, all := 0, n.Messages(t.Context(), e, telling())
	for _, m := range all {
		if m.Text == "fits" {
			fits++
		}
		if (m.Text == "fits") == (m.Problem != "") || m.Unwritten || m.Address == "" {
			t.Errorf("%s gets %+v", m.Recipient, m)
		}
	}
	if fits == 0 || fits == len(all) || len(all) != 4 {
		t.Errorf("%d of %d have cost what they may", fits, len(all))
	}
	// Who was told is not written to again, so that the last one finds all that the texts may cost.
	last := n.Messages(t.Context(), e, Telling{People: team{}, Claim: func(key string) bool { return key == all[len(all)-1].Key() }})
	if len(last) != 1 || last[0].Text != "fits" || all[len(all)-1].Text == "fits" {
		t.Errorf("the last one gets %+v", last)
	}
}

// shownBy is all that a channel shows of a message.
func shownBy(t *testing.T, m *Message) string {
	t.Helper()
	if m.Content == nil {
		return m.Title + "\n" + m.Text
	}
	var body any
	if err := json.Unmarshal(m.Content, &body); err != nil {
		t.Fatal(err)
	}
	return strings.Join(textsIn(body), "\n")
}

func textsIn(value any) []string {
	var all []string
	switch v := value.(type) {
	case string:
		all = append(all, v)
	case []any:
		for i := range v {
			all = append(all, textsIn(v[i])...)
		}
	case map[string]any:
		for key := range v {
			all = append(all, textsIn(v[key])...)
		}
	}
	return all
}

// TestLongWords: nobody who writes much, or what takes much room to show, pushes out until when and how it is decided, by whatever channel.
func TestLongWords(t *testing.T) {
	secret := "urlSecret: {name: s, key: url}"
	channels := map[string]string{
		"Slack": "slack: {" + secret + "}", "Teams": "teams: {" + secret + "}", "Mail": "email: {" + mailHost + "to: [b@example.org]}", "CloudEvents": "cloudEvents: {" + secret + "}",
		"Webhook": "webhook: {" + secret + ", body: {text: \"${event.title}\\n${event.text}\\n${event.command}\"}}",
	}
	const approve = "kubectl signoff approve -n payments sale-owners --digest 9f3c1a7e"
	own := []string{"Stage owners needs 1 of payments, until Tue 24 Nov 12:01 UTC.", approve, "Look: kubectl signoff show -n payments approval/sale-owners", "Approve: " + approve, `Deny: kubectl signoff deny -n payments sale-owners --digest 9f3c1a7e --comment "why"`}
	template := "message: {text: \"${request.reason} ${event.digest}\\nDo: ${event.command}\"}"
	for channel, how := range channels {
		for name, one := range map[string]string{"Plain": "a", "Hidden": "\u200b", "Hiding": "\U000e0142", "Lines": "\n", "Quotes": `"`} {
			for _, message := range []string{"", template} {
				t.Run(channel+name+message[:min(len(message), 7)], func(t *testing.T) {
					n := compiled(t, "serviceAccountName: teller\nchannels: [{name: c, "+how+"}]\nroutes: [{events: [ApprovalNeeded, ApprovalClosed, Voted, Denied, Resolved], to: [{channel: c}], "+message+"}]\n")
					request := aRequest(func(r *v1alpha1.ActionRequest) {
						r.Spec.Requester.Username, r.Spec.Reason = strings.Repeat(one, 1024), strings.Repeat(one, 4096)
						r.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: strings.Repeat(one, 256)}
						r.Status.Outcome, r.Status.Conditions = v1alpha1.OutcomeDenied, []metav1.Condition{condition("Finished", "Denied", 3)}
						r.Status.Conditions[0].Message = strings.Repeat(one, 30000)
						r.Spec.Resolutions = []v1alpha1.Resolution{aResolution(&v1alpha1.Seal{At: metav1.NewMicroTime(at(9).Time)})}
						r.Spec.Resolutions[0].Comment = strings.Repeat(one, 1024)
					})
					approval := anApproval(func(a *v1alpha1.Approval) {
						closedBy("bob")(a)
						a.Spec.Votes[0].Comment, a.Status.Decided = strings.Repeat(one, 1024), []string{strings.Repeat(one, 2048), strings.Repeat(one, 2048)}
					})
					for _, e := range Of(request, []v1alpha1.Approval{*approval}) {
						_, text := defaults(&e)
						if utf8.RuneCountInString(text) > maxOwn || e.Type == v1alpha1.EventApprovalNeeded && !strings.Contains(text, own[0]) {
							t.Errorf("event.text of %s is %q", e.Type, text)
						}
						for _, m := range n.Messages(t.Context(), &e, telling()) {
							shown, want := shownBy(t, m), []string{command(&e)}
							if message == "" && e.Type == v1alpha1.EventApprovalNeeded && channel != "Webhook" {
								want = own
							}
							for _, text := range want {
								if !strings.Contains(shown, text) {
									t.Errorf("%s does not say %q: …%s", e.Type, text, shown[max(0, len(shown)-600):])
								}
							}
							if room := utf8.RuneCountInString(m.Text); room > maxSlackBlock && channel == "Slack" || room > maxText {
								t.Errorf("%s has %d characters", e.Type, room)
							}
						}
					}
				})
			}
		}
	}
}

// TestCited: what is cut says so, and what is not does not.
func TestCited(t *testing.T) {
	for name, tc := range map[string]struct{ reason, text, want string }{
		"Short":  {"what is short is whole", "a \"b\"\u202e", `"a \"b\"\u202e"`},
		"Fits":   {"there is room for this", strings.Repeat("ä", maxWords), `"` + strings.Repeat("ä", maxWords) + `"`},
		"Long":   {"and not for that", strings.Repeat("ä", maxWords+1), `"` + strings.Repeat("ä", maxWords-1) + `…" (cut: kubectl signoff show has all of it)`},
		"Hidden": {"counted as it is shown", strings.Repeat("\u200b", maxWords), `"` + strings.Repeat(`\u200b`, maxWords)[:maxWords-1] + `…" (cut: kubectl signoff show has all of it)`},
	} {
		if got := cited(tc.text); got != tc.want {
			t.Errorf("%s: %s: got %q", name, tc.reason, got)
		}
	}
}
