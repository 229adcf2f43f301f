package notify

import (
	"strings"
	"time"

	"github.com/signoff-dev/signoff/internal/gate"
)

// What Slack takes in one block.
const (
	maxSlackBlock = 3000
	maxSlackTitle = 150
)

// slackBody shows texts as they are: nothing in them is markup, a link or a mention.
func slackBody(m *Message) any {
	plain := func(text string, most int) map[string]any {
		return map[string]any{"type": "plain_text", "text": gate.Cut(text, most), "emoji": false}
	}
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return map[string]any{
		// What notifications show, and those who do not know blocks.
		"text": escape.Replace(m.Title),
		"blocks": []any{
			map[string]any{"type": "header", "text": plain(m.Title, maxSlackTitle)},
			map[string]any{"type": "section", "text": plain(m.Text, maxSlackBlock)},
		},
	}
}

// teamsBody is an adaptive card. Runs of text are shown as they are.
func teamsBody(m *Message) any {
	run := func(text, weight string) any {
		return map[string]any{"type": "RichTextBlock", "inlines": []any{map[string]any{"type": "TextRun", "text": text, "weight": weight}}}
	}
	return map[string]any{"type": "message", "attachments": []any{map[string]any{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"content": map[string]any{
			"type": "AdaptiveCard", "version": "1.4", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
			"body": []any{run(m.Title, "Bolder"), run(m.Text, "Default")},
		},
	}}}
}

// cloudEvent is the event in the form of CloudEvents 1.0.
func cloudEvent(m *Message, e *Event, source string) any {
	request := e.Request
	about := map[string]any{"namespace": request.Namespace, "name": request.Name, "uid": request.UID}
	if claim := claimed(request); claim != "" {
		about["onBehalfOf"] = claim
	}
	data := map[string]any{
		"event": e.Type, "title": m.Title, "text": m.Text, "command": command(e), "action": request.Spec.ActionRef, "request": about,
		"phase": request.Status.Phase,
	}
	if by := request.Spec.Requester; by != nil {
		data["requester"] = by.Username
	}
	if m.Recipient != "" {
		data["recipient"] = m.Recipient
	}
	if e.State != "" {
		data["state"] = e.State
	}
	if a := e.Approval; a != nil {
		data["approval"] = map[string]any{"namespace": a.Namespace, "name": a.Name, "uid": a.UID, "stage": a.Spec.Stage.ID(), "digest": a.Spec.Digest}
	}
	if v := e.Vote; v != nil {
		vote := map[string]any{"voter": v.Voter.Username, "decision": v.Decision, "comment": v.Comment}
		if v.Delegation != nil {
			vote["principal"] = v.Delegation.Principal
		}
		data["vote"] = vote
	}
	return map[string]any{
		"specversion": "1.0", "id": m.callID(), "source": source, "type": "dev.signoff.notification." + strings.ToLower(string(e.Type)) + ".v1",
		"subject": m.Request, "time": e.Time.UTC().Format(time.RFC3339), "datacontenttype": "application/json", "data": data,
	}
}
