package notify

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// told are the messages of an event, as "channel recipient addresses".
func told(t *testing.T, n *Notifier, e *Event) []string {
	t.Helper()
	messages, err := n.Messages(t.Context(), e, team{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range messages {
		out = append(out, strings.TrimSpace(m.Channel.Name+" "+m.Recipient+" "+strings.Join(m.Addresses, ",")))
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

func TestRoutes(t *testing.T) {
	channels := "channels: [" + hook + ", {name: mail, email: {" + mailHost + "address: \"${recipient.username == 'bob' ? 'bob@corp.example' : recipient.username.contains('@') ? recipient.username : ''}\"}}]\n"
	route := func(text string) string {
		return channels + "routes:\n- {events: [Requested, ApprovalNeeded, Voted, ApprovalClosed], to: [{channel: c}], stages: [none]}\n- {events: [Expired], to: [{channel: mail, recipients: [Requester]}]}\n- " + text + "\n"
	}
	needed, closed := eventOf(t, v1alpha1.EventApprovalNeeded, nil), eventOf(t, v1alpha1.EventApprovalClosed, closedBy("bob"))
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
			"who may decide, but not the requester, nor those without an address", "{events: [ApprovalNeeded], to: [{channel: mail, recipients: [Approvers]}]}", needed,
			[]string{"mail bob bob@corp.example", "mail carol@example.org carol@example.org", "mail mailto:payments@example.org payments@example.org"},
		},
		"Decided": {
			"those who were asked and took no part learn that it is decided", "{events: [ApprovalClosed], to: [{channel: mail, recipients: [Approvers]}]}", closed,
			[]string{"mail carol@example.org carol@example.org", "mail mailto:payments@example.org payments@example.org"},
		},
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

// message is the one message of an event.
func message(t *testing.T, n *Notifier, e *Event) *Message {
	t.Helper()
	messages, err := n.Messages(t.Context(), e, team{})
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	return messages[0]
}

func TestText(t *testing.T) {
	plain := compiled(t, "channels: ["+hook+"]\nroutes: [{events: [Requested, ApprovalNeeded, Voted, ApprovalClosed], to: [{channel: c}]}]\n")
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

// TestTemplates: what is declared is told, and what people wrote stays what it is.
func TestTemplates(t *testing.T) {
	n := compiled(t, "channels: ["+hook+`]
routes:
- events: [ApprovalNeeded]
  to: [{channel: c}]
  message:
    title: "${request.reason}"
    text: "${inputs.text} ${event.stage} ${event.approval} ${action.labels['kind']} ${request.uid} $${x} ${event.command}"
`)
	e := eventOf(t, v1alpha1.EventApprovalNeeded, nil)
	e.Request = aRequest(func(r *v1alpha1.ActionRequest) { r.Spec.Reason = "first\nBcc: eve@example.org\u202e ${inputs.level}" })
	m := message(t, n, e)
	want := []string{`first\nBcc: eve@example.org\u202e ${inputs.level}`, "the sale owners sale-owners note request-uid ${x} kubectl signoff show -n payments approval/sale-owners"}
	if diff := cmp.Diff(want, []string{m.Title, m.Text}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBrokenTemplate: what cannot be written is not told, and the error says which template it is.
func TestBrokenTemplate(t *testing.T) {
	n := compiled(t, "channels: ["+hook+"]\nroutes: [{events: [ApprovalNeeded], to: [{channel: c}], message: {text: '${inputs.missing}'}}]\n")
	_, err := n.Messages(t.Context(), eventOf(t, v1alpha1.EventApprovalNeeded, nil), team{})
	if err == nil || !strings.Contains(err.Error(), "spec.routes[0]: message.text: ") {
		t.Errorf("the error is %v", err)
	}
}
