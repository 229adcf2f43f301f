package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	// maxTitle and maxText are what a message has room for, in characters.
	maxTitle = 200
	maxText  = 8192
	// templateCost bounds what the templates of one message may cost.
	templateCost = 1_000_000
	// maxRecipients is how many people are written to about one event by one channel.
	maxRecipients = 100
)

// People finds out who is who, when something is told.
type People interface {
	// Labels are those of the Action of a request.
	Labels(action v1alpha1.ActionReference) map[string]string
	// Approvers are those whom the stage of an Approval names and who are known by name, and the addresses of Teams that it names.
	Approvers(a *v1alpha1.Approval) (users, addresses []string)
}

// Message is what is told to somebody.
type Message struct {
	Event *Event
	// Channel is how.
	Channel *Channel
	// Recipient is the user name of a person, or an address where that is all that is known. Empty: the channel itself.
	Recipient string
	// Addresses are where e-mail goes.
	Addresses []string
	// Title is one line, Text the rest, Command how to act, and Body what a webhook sends.
	Title, Text, Command string
	Body                 any
}

// Key names a message: however often an event is found out, it is sent once.
func (m *Message) Key() string { return m.Event.ID + "/" + m.Channel.Name + "/" + m.Recipient }

// Messages are what a Notifier tells of an event. An error is about a template, and what has one is not told.
func (n *Notifier) Messages(ctx context.Context, e *Event, people People) ([]*Message, error) {
	var labels map[string]string
	if people != nil {
		labels = people.Labels(e.Request.Spec.ActionRef)
	}
	var all []*Message
	told := map[string]bool{}
	for i := range n.routes {
		r := &n.routes[i]
		if !r.fits(e, labels) {
			continue
		}
		for j := range r.To {
			t := &teller{event: e, labels: labels, people: people, route: r, channel: n.channels[r.To[j].Channel]}
			messages, err := t.messages(ctx, r.To[j].Recipients)
			if err != nil {
				return nil, fmt.Errorf("spec.routes[%d]: %w", i, err)
			}
			for _, m := range messages {
				if !told[m.Key()] {
					told[m.Key()] = true
					all = append(all, m)
				}
			}
		}
	}
	return all, nil
}

// teller writes the messages of one event by one channel.
type teller struct {
	event   *Event
	labels  map[string]string
	people  People
	route   *route
	channel *Channel
}

func (t *teller) messages(ctx context.Context, recipients []v1alpha1.NotificationRecipient) ([]*Message, error) {
	if t.channel.Email == nil || len(recipients) == 0 {
		m, err := t.message(ctx, "")
		if err != nil {
			return nil, err
		}
		if t.channel.Email != nil {
			m.Addresses = t.channel.Email.To
		}
		return []*Message{m}, nil
	}
	var all []*Message
	for _, recipient := range t.recipients(recipients) {
		m, err := t.message(ctx, recipient)
		if err != nil {
			return nil, err
		}
		if m.Addresses, err = t.addresses(ctx, recipient); err != nil {
			return nil, err
		}
		if len(m.Addresses) > 0 {
			all = append(all, m)
		}
	}
	return all, nil
}

// recipients are the people who are written to, each once.
func (t *teller) recipients(wanted []v1alpha1.NotificationRecipient) []string {
	names := map[string]bool{}
	for _, who := range wanted {
		if who == v1alpha1.RecipientRequester {
			if by := t.event.Request.Spec.Requester; by != nil {
				names[by.Username] = true
			}
			continue
		}
		for _, name := range t.approvers() {
			names[name] = true
		}
	}
	all := slices.Sorted(maps.Keys(names))
	return all[:min(len(all), maxRecipients)]
}

// approvers are those who were asked. When it is decided, those who took no part in that learn it.
func (t *teller) approvers() []string {
	a := t.event.Approval
	if a == nil || t.people == nil {
		return nil
	}
	users, addresses := t.people.Approvers(a)
	return slices.DeleteFunc(slices.Concat(users, addresses), func(name string) bool {
		if name == a.Spec.Requester.Username {
			return true
		}
		return isClosed(t.event.Type) && slices.ContainsFunc(a.Spec.Votes, func(v v1alpha1.Vote) bool { return v.Voter.Username == name })
	})
}

func isClosed(e v1alpha1.NotificationEvent) bool {
	return e == v1alpha1.EventApprovalClosed || e == v1alpha1.EventReviewClosed
}

// addresses are where e-mail for a person goes.
func (t *teller) addresses(ctx context.Context, recipient string) ([]string, error) {
	if strings.Contains(recipient, "@") && t.channel.address == nil || strings.HasPrefix(recipient, teamPrefix) {
		return []string{strings.TrimPrefix(recipient, teamPrefix)}, nil
	}
	if t.channel.address == nil {
		return nil, nil
	}
	text, err := t.channel.address.RenderString(ctx, t.vars(recipient, "", "", ""), expression.NewBudgetOf(templateCost))
	if err != nil {
		return nil, fmt.Errorf("address of channel %s: %w", t.channel.Name, err)
	}
	if text == "" {
		return nil, nil
	}
	return []string{text}, nil
}

// teamPrefix tells the address of a Team from the user name of a person.
const teamPrefix = "mailto:"

// TeamAddress is the recipient that stands for a whole Team.
func TeamAddress(email string) string { return teamPrefix + email }

func (t *teller) message(ctx context.Context, recipient string) (*Message, error) {
	title, text := defaults(t.event)
	m := &Message{Event: t.event, Channel: t.channel, Recipient: recipient, Command: command(t.event)}
	vars := t.vars(recipient, title, text, m.Command)
	m.Title, m.Text = title, text+"\n"+commands(t.event)
	budget := expression.NewBudgetOf(templateCost)
	var err error
	if t.route.title != nil {
		if m.Title, err = t.route.title.RenderString(ctx, vars, budget); err != nil {
			return nil, fmt.Errorf("message.title: %w", err)
		}
	}
	if t.route.text != nil {
		if m.Text, err = t.route.text.RenderString(ctx, vars, budget); err != nil {
			return nil, fmt.Errorf("message.text: %w", err)
		}
	}
	if t.channel.body != nil {
		if m.Body, err = t.channel.body.Render(ctx, vars, budget); err != nil {
			return nil, fmt.Errorf("body of channel %s: %w", t.channel.Name, err)
		}
	}
	m.Title, m.Text = gate.Cut(visible.Escaped(m.Title), maxTitle), gate.Cut(strings.TrimSpace(visible.Lines(m.Text)), maxText)
	return m, nil
}

// vars are what templates read. Inputs are as they were sent; nothing is in a Secret.
func (t *teller) vars(recipient, title, text, command string) expression.Vars {
	e, request := t.event, t.event.Request
	stage, approval := "", ""
	if a := e.Approval; a != nil {
		stage, approval = a.Spec.Stage.Name, a.Name
	}
	requester := map[string]any{"username": "", "uid": "", "person": ""}
	if by := request.Spec.Requester; by != nil {
		requester = map[string]any{"username": by.Username, "uid": by.UID, "person": by.Person}
	}
	labels := map[string]any{}
	for key, value := range t.labels {
		labels[key] = value
	}
	inputs := map[string]any{}
	if raw := request.Spec.Inputs; raw != nil {
		// What was admitted can be read.
		_ = json.Unmarshal(raw.Raw, &inputs)
	}
	ref := request.Spec.ActionRef
	return expression.Vars{Values: map[string]any{
		"event": map[string]any{
			"type": string(e.Type), "id": e.ID, "time": e.Time.UTC().Format(time.RFC3339), "title": title, "text": text, "command": command,
			"stage": stage, "approval": approval, "state": e.State,
		},
		"request": map[string]any{
			"namespace": request.Namespace, "name": request.Name, "uid": string(request.UID), "action": ref.String(), "reason": request.Spec.Reason,
			"phase": string(request.Status.Phase), "outcome": string(request.Status.Outcome),
		},
		"requester": requester, "inputs": inputs,
		"action":    map[string]any{"namespace": ref.Namespace, "name": ref.Name, "labels": labels},
		"recipient": map[string]any{"username": recipient},
	}}
}

// command is how to look at what it is about.
func command(e *Event) string {
	if e.Approval != nil && (e.Type == v1alpha1.EventApprovalNeeded || asks(e.Type)) {
		return fmt.Sprintf("kubectl signoff show -n %s approval/%s", e.Approval.Namespace, e.Approval.Name)
	}
	return fmt.Sprintf("kubectl signoff show -n %s %s", e.Request.Namespace, e.Request.Name)
}

// asks tells whether an event asks people to decide.
func asks(e v1alpha1.NotificationEvent) bool {
	switch e {
	case v1alpha1.EventApprovalNeeded, v1alpha1.EventApprovalReminder, v1alpha1.EventApprovalEscalated, v1alpha1.EventReviewNeeded, v1alpha1.EventReviewOverdue:
		return true
	}
	return false
}

// commands are all that help now.
func commands(e *Event) string {
	lines := []string{"Look: " + command(e)}
	if a := e.Approval; a != nil && asks(e.Type) {
		on := fmt.Sprintf("-n %s %s --digest %s", a.Namespace, a.Name, digest.Short(a.Spec.Digest))
		lines = append(lines, "Approve: kubectl signoff approve "+on, `Deny: kubectl signoff deny `+on+` --comment "why"`)
	}
	return strings.Join(lines, "\n")
}

// headlines say what happened, in a few words before what it is about.
var headlines = map[v1alpha1.NotificationEvent]string{
	v1alpha1.EventRequested: "Requested", v1alpha1.EventApprovalNeeded: "Approval needed", v1alpha1.EventApprovalReminder: "Approval still needed",
	v1alpha1.EventApprovalEscalated: "Approval needed, also from others", v1alpha1.EventHeld: "Held", v1alpha1.EventExecuting: "Started", v1alpha1.EventOutcomeUnknown: "Nobody knows how it ended",
	v1alpha1.EventActive: "Done for a time", v1alpha1.EventReverting: "Being taken back", v1alpha1.EventSucceeded: "Succeeded", v1alpha1.EventFailed: "Failed",
	v1alpha1.EventDenied: "Denied", v1alpha1.EventExpired: "Expired", v1alpha1.EventCancelled: "Cancelled", v1alpha1.EventReverted: "Taken back",
	v1alpha1.EventReviewNeeded: "Review needed", v1alpha1.EventReviewOverdue: "Review overdue",
}

// defaults are the words of Signoff. Inputs are not among them.
func defaults(e *Event) (title, text string) {
	request := e.Request
	who := "somebody"
	if by := request.Spec.Requester; by != nil {
		who = by.Username
	}
	title = fmt.Sprintf("%s: %s of %s (%s/%s)", headline(e), request.Spec.ActionRef, who, request.Namespace, request.Name)
	var lines []string
	if request.Spec.Reason != "" {
		lines = append(lines, fmt.Sprintf("%s wrote: %q", who, request.Spec.Reason))
	}
	switch a := e.Approval; {
	case e.Vote != nil && e.Vote.Comment != "":
		lines = append(lines, fmt.Sprintf("%s wrote: %q", e.Vote.Voter.Username, e.Vote.Comment))
	case a != nil && asks(e.Type):
		lines = append(lines, fmt.Sprintf("Stage %s needs %s, until %s.", a.Spec.Stage.Name, a.Spec.Needs, a.Spec.Expires))
	}
	if e.Words != "" {
		lines = append(lines, e.Words)
	}
	return title, strings.Join(lines, "\n")
}

func headline(e *Event) string {
	switch {
	case e.Vote != nil:
		return fmt.Sprintf("%s by %s in stage %s", votes[e.Vote.Decision], e.Vote.Voter.Username, e.Approval.Spec.Stage.Name)
	case isClosed(e.Type):
		return fmt.Sprintf("Already decided: stage %s is %s", e.Approval.Spec.Stage.Name, e.State)
	}
	return headlines[e.Type]
}

var votes = map[v1alpha1.Decision]string{
	v1alpha1.DecisionApprove: "Approved", v1alpha1.DecisionDeny: "Denied", v1alpha1.DecisionWithdraw: "Vote withdrawn",
}
