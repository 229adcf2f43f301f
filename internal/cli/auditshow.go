package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/internal/visible"
)

func (p *Program) auditShow() *cobra.Command {
	subject, output := "", ""
	command := &cobra.Command{
		Use:   "show FILE...",
		Short: "Show an audit log, a line per fact",
		Long: `Shows an audit log, a line per fact: when, what, which request, and who or how. Nothing is verified: use "audit verify" for that. What people
wrote is in quotes, and escaped. -o json and -o yaml give each fact as a document, with what its line has in "data".`,
		Example: `  kubectl signoff audit show audit.jsonl
  kubectl signoff audit show --request payments/checkout-1-42 audit.jsonl`,
		Args: takes(1, many),
		RunE: func(_ *cobra.Command, args []string) error { return p.runAuditShow(args, subject, output) },
	}
	command.Flags().StringVar(&subject, "request", "", "show only facts about this request, as namespace/name")
	answerFlag(command, &output, outputText, outputJSON, outputYAML)
	return command
}

// Shown is a fact of an audit log, for programs. Nothing of it has been verified.
type Shown struct {
	// Log and Number are its place.
	Log    string `json:"log"`
	Number int64  `json:"number"`
	ID     string `json:"id"`
	// Type is one of docs/reference/audit-events.md.
	Type string `json:"type"`
	// Subject is what it is about, as "namespace/name".
	Subject string    `json:"subject,omitempty"`
	Time    time.Time `json:"time"`
	// By is the user name of who did it, as their seal says.
	By string `json:"by,omitempty"`
	// Data says more, as the line has it. Of a type that this version does not know, nothing.
	Data audit.Data `json:"data"`
}

func (p *Program) runAuditShow(names []string, subject, output string) error {
	if err := checkOutput(output, outputText, outputJSON, outputYAML); err != nil {
		return err
	}
	if rest, of, ok := cutKind(subject); ok && of == requests && strings.Contains(rest, "/") {
		subject = rest
	}
	files, err := p.openAll(names)
	if err != nil {
		return err
	}
	defer files.close()
	shown := 0
	err = audit.Read(files, func(f *audit.Fact) error {
		if subject != "" && f.Subject != subject {
			return nil
		}
		shown++
		return p.printFact(f, shown-1, output)
	})
	if err == nil && shown == 0 && subject != "" {
		p.say("there is no fact about request %s in %s; name it as NAMESPACE/NAME", subject, strings.Join(names, ", "))
	}
	return err
}

// printFact prints a fact: of a text, each in a line.
func (p *Program) printFact(f *audit.Fact, number int, output string) error {
	if output == outputText {
		return p.printLines([]string{factText(f)})
	}
	by, _ := said(&f.Data)
	out := Shown{Log: f.Chain, Number: f.Number, ID: f.ID, Type: f.Type, Subject: f.Subject, Time: f.Time.UTC(), By: by, Data: f.Data}
	return p.print(output, number, out, nil)
}

// factText shows a fact in one line.
func factText(f *audit.Fact) string {
	what := strings.TrimSuffix(strings.TrimPrefix(f.Type, "dev.signoff."), ".v1")
	parts := []string{f.Time.UTC().Format(time.RFC3339), what}
	if f.Subject != "" {
		parts = append(parts, f.Subject)
	}
	parts = append(parts, details(&f.Data)...)
	return visible.Escaped(strings.Join(parts, "  "))
}

// details are what a fact says beside what it is about.
func details(d *audit.Data) []string {
	var parts []string
	add := func(format, text string) {
		if text != "" {
			parts = append(parts, fmt.Sprintf(format, text))
		}
	}
	if d.Stage != nil {
		add("stage %s", d.Stage.Name)
	}
	add("step %s", d.Step)
	add("%s", d.State)
	_, words := said(d)
	add("%s", words)
	add("%s", d.Code)
	add("%q", d.Reason)
	add("%s", d.Message)
	add("until %s", d.Until)
	if d.Log != nil && d.Log.Unsigned > 0 {
		add("%s lines before it were not signed", fmt.Sprint(d.Log.Unsigned))
	}
	return parts
}

// said is who did it, and what they said, as their seal says.
func said(d *audit.Data) (who, words string) {
	if d.Seals == nil {
		return "", ""
	}
	if p, ok := payload[*seal.Request](seal.TypeRequest, d.Seals.Request); ok {
		return p.Requester.Username, fmt.Sprintf("%s asks for %s/%s: %q", p.Requester.Username, p.Action.Namespace, p.Action.Name, p.Reason)
	}
	if p, ok := payload[*seal.Vote](seal.TypeVote, d.Seals.Vote); ok {
		by := p.Voter.Username
		if p.Delegation != nil {
			by += " for " + p.Delegation.Principal
		}
		return p.Voter.Username, fmt.Sprintf("%s by %s: %q", p.Decision, by, p.Comment)
	}
	if p, ok := payload[*seal.Act](seal.TypeCancel, d.Seals.Cancel); ok {
		return p.Actor.Username, "by " + p.Actor.Username
	}
	if p, ok := payload[*seal.Act](seal.TypeEdit, d.Seals.Edit); ok {
		return p.Actor.Username, "by " + p.Actor.Username
	}
	if p, ok := payload[*seal.Act](seal.TypeDelegation, d.Seals.Delegation); ok && d.Delegation != nil {
		return p.Actor.Username, fmt.Sprintf("%s lets vote: %s", p.Actor.Username, strings.Join(d.Delegation.Users, ", "))
	}
	if p, ok := payload[*seal.Act](seal.TypeResolve, d.Seals.Resolve); ok {
		return p.Actor.Username, "as decided by " + p.Actor.Username
	}
	return "", ""
}

func payload[T seal.Payload](of seal.Type, s *seal.Sealed) (T, bool) {
	var none T
	if s == nil {
		return none, false
	}
	parsed, err := seal.ParsePayload(of, s.Payload)
	if err != nil {
		return none, false
	}
	p, ok := parsed.(T)
	return p, ok
}
