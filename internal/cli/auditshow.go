package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/seal"
	"github.com/signoff-dev/signoff/internal/visible"
)

func (p *Program) auditShow() *cobra.Command {
	subject := ""
	command := &cobra.Command{
		Use:   "show FILE...",
		Short: "Show an audit log, a line per fact",
		Long: `Shows an audit log, a line per fact: when, what, which request, and who or how. Nothing is verified: use "audit verify" for that. What people
wrote is in quotes, and escaped.`,
		Example: `  kubectl signoff audit show audit.jsonl
  kubectl signoff audit show --request payments/checkout-1-42 audit.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := p.openAll(args)
			if err != nil {
				return err
			}
			defer files.close()
			return audit.Read(files, func(f *audit.Fact) error {
				if subject != "" && f.Subject != subject {
					return nil
				}
				if _, err := io.WriteString(p.IO.Out, factText(f)+"\n"); err != nil {
					return fmt.Errorf("failed to write the answer: %w", err)
				}
				return nil
			})
		},
	}
	command.Flags().StringVar(&subject, "request", "", "show only facts about this request, as namespace/name")
	return command
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
	add("%s", said(d))
	add("%s", d.Code)
	add("%q", d.Reason)
	add("%s", d.Message)
	add("until %s", d.Until)
	if d.Log != nil && d.Log.Unsigned > 0 {
		add("%s lines before it were not signed", fmt.Sprint(d.Log.Unsigned))
	}
	return parts
}

// said is who did it, as their seal says.
func said(d *audit.Data) string {
	if d.Seals == nil {
		return ""
	}
	if p, ok := payload[*seal.Request](seal.TypeRequest, d.Seals.Request); ok {
		return fmt.Sprintf("%s asks for %s/%s: %q", p.Requester.Username, p.Action.Namespace, p.Action.Name, p.Reason)
	}
	if p, ok := payload[*seal.Vote](seal.TypeVote, d.Seals.Vote); ok {
		by := p.Voter.Username
		if p.Delegation != nil {
			by += " for " + p.Delegation.Principal
		}
		return fmt.Sprintf("%s by %s: %q", p.Decision, by, p.Comment)
	}
	if p, ok := payload[*seal.Act](seal.TypeCancel, d.Seals.Cancel); ok {
		return "by " + p.Actor.Username
	}
	if p, ok := payload[*seal.Act](seal.TypeEdit, d.Seals.Edit); ok {
		return "by " + p.Actor.Username
	}
	if p, ok := payload[*seal.Act](seal.TypeDelegation, d.Seals.Delegation); ok && d.Delegation != nil {
		return fmt.Sprintf("%s lets vote: %s", p.Actor.Username, strings.Join(d.Delegation.Users, ", "))
	}
	if p, ok := payload[*seal.Act](seal.TypeResolve, d.Seals.Resolve); ok {
		return "as decided by " + p.Actor.Username
	}
	return ""
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
