package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// askedFor are the flags that say what is asked for, beside the Action and its inputs.
type askedFor struct {
	reason, name, from   string
	duration, breakGlass string
	onBehalfOf           string
	notBefore, expiresAt string
}

// flags adds the flags to a command that makes a request, or only explains it.
func (a *askedFor) flags(p *Program, c *connection, command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&a.reason, "reason", "", "why, for those who must agree")
	flags.StringVar(&a.name, "name", "", "the name of the request (default: that of the Action and a random end)")
	flags.StringVar(&a.from, "from", "", "an earlier request that is repeated")
	flags.StringVar(&a.duration, "duration", "", "how long what is done stays, such as 2h; only where the Action is temporary")
	flags.StringVar(&a.notBefore, "not-before", "", "when it starts at the earliest: a time such as 2026-12-24T09:00:00Z, or how long from now, such as 2h")
	flags.StringVar(&a.expiresAt, "expires-at", "", "when it ends if it has not been finished: a time, or how long from now")
	flags.StringVar(&a.breakGlass, "break-glass", "", "what the emergency is: the request runs at once, and is reviewed afterwards")
	flags.StringVar(&a.onBehalfOf, "on-behalf-of", "", "for whom you ask: it takes rights away and gives none, and needs the verb request-on-behalf")
	// It fails only for a flag that does not exist.
	_ = command.RegisterFlagCompletionFunc("from", p.completes(c, (*session).allRequests))
}

// fill puts into the request what the flags say.
func (a *askedFor) fill(spec map[string]any, now time.Time) error {
	notBefore, err := timeGiven("--not-before", a.notBefore, now)
	if err != nil {
		return err
	}
	expiresAt, err := timeGiven("--expires-at", a.expiresAt, now)
	if err != nil {
		return err
	}
	for key, value := range map[string]string{"reason": a.reason, "duration": a.duration, "notBefore": notBefore, "expiresAt": expiresAt} {
		if value != "" {
			spec[key] = value
		}
	}
	if a.breakGlass != "" {
		spec["breakGlass"] = map[string]any{"reason": a.breakGlass}
	}
	if a.onBehalfOf != "" {
		spec["onBehalfOf"] = map[string]any{"username": a.onBehalfOf}
	}
	return nil
}

// timeGiven reads the time that a flag names, if it does: in full, or as how long from now. Requests have whole seconds, so what is left of one counts as one.
func timeGiven(flag, text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil && at.Nanosecond() == 0 {
		return at.Format(time.RFC3339), nil
	}
	if in, err := time.ParseDuration(text); err == nil && in > 0 {
		return now.Add(in).Add(time.Second - 1).UTC().Truncate(time.Second).Format(time.RFC3339), nil
	}
	return "", fmt.Errorf("failed to read %s %q: write a time in whole seconds, such as 2026-12-24T09:00:00Z or 2026-12-24T10:00:00+01:00, or how long from now, such as 2h or 1h30m", flag, text)
}
