package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	"github.com/signoff-dev/signoff/internal/record"
	"github.com/signoff-dev/signoff/internal/template"
	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	// maxTitle and maxText are what a message has room for, in characters.
	maxTitle = 200
	maxText  = 8192
	// textCost and addressCost bound what the templates of one Notifier may cost for one event: texts take nothing from the addresses.
	textCost    = 1_000_000
	addressCost = 1_000_000
	// templateTime bounds how long they may take.
	templateTime = 10 * time.Second
	// maxRecipients is how many people are written to about one event by one channel.
	maxRecipients = 100
)

// People finds out who is who, when something is told.
type People interface {
	// Labels are those of the Action of a request.
	Labels(action v1alpha1.ActionReference) map[string]string
	// Approvers are those whom the stage of an Approval names and who are known by name, without those who can never approve it because it is asked by
	// them or for them, and the addresses of Teams that it names.
	Approvers(request *v1alpha1.ActionRequest, a *v1alpha1.Approval) (users, addresses []string)
}

// Telling is what it takes to write messages.
type Telling struct {
	// People finds out who is who.
	People People
	// Source names the cluster in CloudEvents.
	Source string
	// Claim tells whether the message of this key is still to be written. It is asked before anything is evaluated.
	Claim func(key string) bool
}

// Message is what is told to somebody. It keeps nothing of the request but what is sent.
type Message struct {
	// ID names the event, Type is what it is, Request what it is about as namespace/name, and Time when it happened.
	ID, Request string
	Type        v1alpha1.NotificationEvent
	Time        time.Time
	// Channel is how.
	Channel *Channel
	// Recipient is the user name of a person, or an address where that is all that is known. Empty: the channel itself.
	Recipient string
	// Address is where e-mail goes.
	Address string
	// Title is one line, and Text the rest. Content is what goes over HTTP.
	Title, Text string
	Content     []byte
	// Problem says which template could not be evaluated, and Unwritten that there is nothing to send for it.
	Problem   string
	Unwritten bool
}

// Key names a message: however often an event is found out, it is sent once.
func (m *Message) Key() string { return m.ID + "/" + m.Channel.Name + "/" + m.Recipient }

// callID names a call, which several people may get about one event: a receiver drops what it has seen.
func (m *Message) callID() string {
	if m.Recipient == "" {
		return m.ID
	}
	sum := sha256.Sum256([]byte(m.ID + "\x00" + m.Recipient))
	return hex.EncodeToString(sum[:16])
}

// size is what a message takes while it waits.
func (m *Message) size() int {
	return len(m.Title) + len(m.Text) + len(m.Content) + len(m.Recipient) + len(m.Address) + len(m.Request) + len(m.Problem)
}

// Messages are what a Notifier tells of an event and what was not claimed yet. A template that fails silences nothing else.
func (n *Notifier) Messages(ctx context.Context, e *Event, telling Telling) []*Message {
	ctx, cancel := context.WithTimeout(ctx, templateTime)
	defer cancel()
	labels := telling.People.Labels(e.Request.Spec.ActionRef)
	texts, addresses, letters := expression.NewBudgetOf(textCost), expression.NewBudgetOf(addressCost), map[string]string{}
	var all []*Message
	for i := range n.routes {
		r := &n.routes[i]
		if !r.fits(e, labels) {
			continue
		}
		for j := range r.To {
			t := &teller{
				Telling: telling, event: e, labels: labels, route: r, path: fmt.Sprintf("spec.routes[%d]", i), channel: n.channels[r.To[j].Channel],
				texts: texts, addresses: addresses, letters: letters,
			}
			all = append(all, t.messages(ctx, r.To[j].Recipients)...)
		}
	}
	return all
}

// teller writes the messages of one event by one channel.
type teller struct {
	Telling

	event            *Event
	labels           map[string]string
	route            *route
	path             string
	channel          *Channel
	texts, addresses *expression.Budget
	// letters says for which recipient mail goes to an address of a channel.
	letters map[string]string
}

// messages are one for each who is told, so that an address that is refused keeps nothing from the others.
func (t *teller) messages(ctx context.Context, wanted []v1alpha1.NotificationRecipient) []*Message {
	recipients := t.recipients(wanted)
	for _, recipient := range recipients {
		if address, known := strings.CutPrefix(recipient, teamPrefix); known {
			t.getsLetter(recipient, address)
		}
	}
	var all []*Message
	for _, recipient := range recipients {
		if m := t.message(ctx, recipient); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// recipients are who is told, each once: the people who are wanted and the addresses of a channel of mail, or else the channel itself.
func (t *teller) recipients(wanted []v1alpha1.NotificationRecipient) []string {
	if t.channel.Email == nil && len(wanted) == 0 {
		return []string{""}
	}
	all := t.wanted(wanted)
	if t.channel.Email == nil {
		return all
	}
	for _, address := range t.channel.Email.To {
		if recipient := TeamAddress(address); !slices.Contains(all, recipient) {
			all = append(all, recipient)
		}
	}
	return all
}

// getsLetter tells whether an address is written to for a recipient, and for no other: nobody gets the same mail twice.
func (t *teller) getsLetter(recipient, address string) bool {
	key := t.channel.Name + "/" + address
	if t.letters[key] == "" {
		t.letters[key] = recipient
	}
	return t.letters[key] == recipient
}

// wanted are the people who are written to, each once.
func (t *teller) wanted(wanted []v1alpha1.NotificationRecipient) []string {
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
	if t.channel.Email == nil {
		// Only mail reaches somebody who is known by an address.
		maps.DeleteFunc(names, func(name string, _ bool) bool { return strings.HasPrefix(name, teamPrefix) })
	}
	all := slices.Sorted(maps.Keys(names))
	return all[:min(len(all), maxRecipients)]
}

// approvers are those who were asked. When it is decided, those who took no part in that learn it.
func (t *teller) approvers() []string {
	var all []string
	for _, a := range t.event.Asked {
		users, addresses := t.People.Approvers(t.event.Request, a)
		all = append(all, slices.DeleteFunc(slices.Concat(users, addresses), func(name string) bool { return isClosed(t.event.Type) && tookPart(a, name) })...)
	}
	return all
}

// tookPart tells whether the last vote of a login still stands. One without a seal is nobody's.
func tookPart(a *v1alpha1.Approval, name string) bool {
	stands := false
	for i := range a.Spec.Votes {
		if v := &a.Spec.Votes[i]; v.Seal != "" && v.Voter.Username == name {
			stands = v.Decision != v1alpha1.DecisionWithdraw
		}
	}
	return stands
}

func isClosed(e v1alpha1.NotificationEvent) bool {
	return e == v1alpha1.EventApprovalClosed || e == v1alpha1.EventReviewClosed
}

// address is where e-mail for a recipient goes. Empty: nowhere.
func (t *teller) address(ctx context.Context, recipient string) (string, error) {
	if address, known := strings.CutPrefix(recipient, teamPrefix); known {
		return address, nil
	}
	return t.channel.address.RenderString(ctx, t.vars(recipient, "", "", ""), t.addresses)
}

// teamPrefix tells an address from the user name of a person.
const teamPrefix = "mailto:"

// TeamAddress is the recipient that stands for an address, behind which somebody is who is not known by name.
func TeamAddress(email string) string { return teamPrefix + email }

// message writes to one recipient. Nil: it was written before, or it goes nowhere.
func (t *teller) message(ctx context.Context, recipient string) *Message {
	e := t.event
	m := &Message{ID: e.ID, Type: e.Type, Time: e.Time, Request: e.Request.Namespace + "/" + e.Request.Name, Channel: t.channel, Recipient: recipient}
	if !t.Claim(m.Key()) {
		return nil
	}
	if t.channel.Email != nil {
		var err error
		if m.Address, err = t.address(ctx, recipient); err != nil {
			return m.unwritten("address")
		}
		if m.Address == "" || !t.getsLetter(recipient, m.Address) {
			return nil
		}
	}
	title, text := defaults(e)
	vars := t.vars(recipient, title, text, command(e))
	m.Title = t.words(ctx, m, t.route.title, "title", vars, title)
	m.Text = t.words(ctx, m, t.route.text, "text", vars, text+"\n"+commands(e))
	m.Title, m.Text = gate.Cut(visible.Escaped(m.Title), maxTitle), fit(visible.Lines(m.Text), t.room(), commands(e), command(e))
	return t.content(ctx, m, vars)
}

// room is how long a text the channel takes.
func (t *teller) room() int {
	if t.channel.Slack != nil {
		return maxSlackBlock
	}
	return maxText
}

// words are those of a template. Where it gives none, the others stand: nobody is kept from learning it by what somebody has asked for.
func (t *teller) words(ctx context.Context, m *Message, own *template.Text, field string, vars expression.Vars, others string) string {
	if own == nil {
		return strings.TrimSpace(others)
	}
	text, err := own.RenderString(ctx, vars, t.texts)
	if err != nil {
		// Without the error, which can quote an input.
		m.Problem = fmt.Sprintf("%s.message.%s could not be evaluated, or cost too much: Signoff's own words were sent", t.path, field)
	}
	if text = strings.TrimSpace(text); err != nil || text == "" {
		return strings.TrimSpace(others)
	}
	return text
}

// content writes what goes over HTTP.
func (t *teller) content(ctx context.Context, m *Message, vars expression.Vars) *Message {
	var body any
	var err error
	switch {
	case t.channel.Slack != nil:
		body = slackBody(m)
	case t.channel.Teams != nil:
		body = teamsBody(m)
	case t.channel.CloudEvents != nil:
		body = cloudEvent(m, t.event, t.Source)
	case t.channel.Webhook != nil:
		body, err = t.channel.body.Render(ctx, vars, t.texts)
		body = visible.Tree(body, visible.Lines)
	default:
		return m
	}
	if err == nil {
		m.Content, err = json.Marshal(body)
	}
	if err != nil {
		return m.unwritten("body")
	}
	return m
}

// unwritten says that there is nothing to send.
func (m *Message) unwritten(field string) *Message {
	m.Unwritten, m.Problem = true, fmt.Sprintf("%s of channel %s could not be evaluated, or cost too much: nothing was sent", field, m.Channel.Name)
	return m
}

// vars are what templates read. Inputs are as they were sent; nothing is in a Secret.
func (t *teller) vars(recipient, title, text, command string) expression.Vars {
	e, request := t.event, t.event.Request
	if strings.HasPrefix(recipient, teamPrefix) {
		recipient = "" // nobody knows who reads it
	}
	stage, approval, plan := "", "", ""
	if a := e.Approval; a != nil {
		stage, approval, plan = a.Spec.Stage.Name, a.Name, digest.Short(a.Spec.Digest)
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
			"stage": stage, "approval": approval, "digest": plan, "state": e.State,
		},
		"request": map[string]any{
			"namespace": request.Namespace, "name": request.Name, "uid": string(request.UID), "action": ref.String(), "reason": request.Spec.Reason,
			"phase": string(request.Status.Phase), "outcome": string(request.Status.Outcome), "onBehalfOf": claimed(request),
		},
		"requester": requester, "inputs": inputs,
		"action":    map[string]any{"namespace": ref.Namespace, "name": ref.Name, "labels": labels},
		"recipient": map[string]any{"username": recipient},
	}}
}

// claimed is for whom somebody asks, as they say. Empty: for themself.
func claimed(request *v1alpha1.ActionRequest) string {
	if request.Spec.OnBehalfOf == nil {
		return ""
	}
	return visible.Inside(request.Spec.OnBehalfOf.Username)
}

// command is what to do next: to decide, where that is asked for, which shows first what it is about, or else to look. It is all that a message with little
// room has.
func command(e *Event) string {
	if a := e.Approval; a != nil && asks(e.Type) {
		return "kubectl signoff approve " + on(a)
	}
	return look(e)
}

// look is how to look at what it is about. Beside a review that was asked for again there is mostly no request.
func look(e *Event) string {
	if a := e.Approval; a != nil && record.OwnerOf(a) != "" {
		return fmt.Sprintf("kubectl describe approval -n %s %s", a.Namespace, a.Name)
	}
	if e.Approval != nil && asks(e.Type) {
		return fmt.Sprintf("kubectl signoff show -n %s approval/%s", e.Approval.Namespace, e.Approval.Name)
	}
	return fmt.Sprintf("kubectl signoff show -n %s %s", e.Request.Namespace, e.Request.Name)
}

// on names an Approval, and what is agreed to, for the commands that decide.
func on(a *v1alpha1.Approval) string {
	return fmt.Sprintf("-n %s %s --digest %s", a.Namespace, a.Name, digest.Short(a.Spec.Digest))
}

// asks tells whether an event asks people to decide.
func asks(e v1alpha1.NotificationEvent) bool {
	switch e {
	case v1alpha1.EventApprovalNeeded, v1alpha1.EventApprovalNeededAgain, v1alpha1.EventApprovalReminder, v1alpha1.EventApprovalEscalated,
		v1alpha1.EventReviewNeeded, v1alpha1.EventReviewOverdue:
		return true
	}
	return false
}

// commands are all that help now.
func commands(e *Event) string {
	lines := []string{"Look: " + look(e)}
	if a := e.Approval; a != nil && asks(e.Type) {
		lines = append(lines, "Approve: "+command(e), `Deny: kubectl signoff deny `+on(a)+` --comment "why"`)
	}
	return strings.Join(lines, "\n")
}
