package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ending ends a command with an exit code of its own.
type ending struct {
	code int
	text string
}

// Error implements error.
func (e *ending) Error() string { return e.text }

// say tells people something beside the answer.
func (p *Program) say(format string, args ...any) {
	_, _ = fmt.Fprintln(p.IO.ErrOut, safe(fmt.Sprintf(format, args...)))
}

// warn passes on what the API server warned of, as kubectl does.
func (p *Program) warn(c *connection) {
	for _, text := range c.taken() {
		p.say("Warning: %s", text)
	}
}

// webhookWords is what the API server puts before the words of a webhook.
var webhookWords = regexp.MustCompile(`^admission webhook "[^"]+" denied the request: `)

// refused says why a write was refused, in the words of whoever refused it. What is no refusal is no answer.
func refused(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err
	}
	answer := status.Status()
	switch {
	case apierrors.IsInvalid(err) && answer.Details != nil && len(answer.Details.Causes) > 0:
		return &ending{exitNo, "refused: it is not valid\n  " + strings.Join(causes(answer.Details), "\n  ")}
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsAlreadyExists(err), apierrors.IsConflict(err):
		return &ending{exitNo, "refused: " + webhookWords.ReplaceAllString(answer.Message, "")}
	case answer.Reason == metav1.StatusReasonNotFound:
		return fmt.Errorf("there is no answer: %w (is Signoff installed, and does the namespace exist?)", err)
	}
	return fmt.Errorf("there is no answer: %w", err)
}

// worst keeps the highest exit code of several answers, each of which has been given.
type worst struct{ code int }

// of takes the end of one of several, and says what was wrong with it.
func (w *worst) of(p *Program, what string, err error) {
	if err == nil {
		return
	}
	code := exitError
	if known := (*ending)(nil); errors.As(err, &known) {
		code = known.code
	}
	p.say("%s: %v", what, err)
	w.code = max(w.code, code)
}

// end ends the command.
func (w *worst) end() error {
	switch w.code {
	case exitYes:
		return nil
	case exitNo:
		return errNo
	case exitError:
		return errSaid
	}
	return &ending{code: w.code}
}
