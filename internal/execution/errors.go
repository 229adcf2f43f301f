package execution

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/internal/visible"
)

// maxMessage is the bound of the API for the message of a step.
const maxMessage = 1024

// final is an error of ours that trying again does not mend.
type final string

// Error says what is wrong.
func (e final) Error() string { return string(e) }

// raced is a conflict about an object that a step writes. It does not show the answer of the API server to a caller, who would take it for a race about an
// object of its own, and try again at once.
type raced struct{ error }

// untyped is how the API server calls what is applied and does not fit its schema. It answers 500 to that, although it will never be another answer.
const untyped = "failed to create typed patch object"

// isTransient reports whether trying again may help. What the API server refuses for a reason is final; everything else, a lost
// connection above all, is not.
func isTransient(err error) bool {
	if _, ours := errors.AsType[final](err); ours || meta.IsNoMatchError(err) {
		return false
	}
	status, ok := statusOf(err)
	if !ok {
		return true
	}
	if len(conflicts(err)) > 0 || strings.Contains(status.Message, untyped) {
		return false
	}
	switch status.Code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		// 401 is about the operator's own credentials, 409 about somebody else who wrote at the same moment.
		return true
	}
	return status.Code >= http.StatusInternalServerError
}

// statusOf is what the API server answered, if it did.
func statusOf(err error) (metav1.Status, bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return metav1.Status{}, false
	}
	return status.Status(), true
}

// isRejection reports whether the API server answered and did nothing.
func isRejection(err error) bool {
	status, ok := statusOf(err)
	return ok && status.Code >= http.StatusBadRequest && status.Code < http.StatusInternalServerError && status.Code != http.StatusRequestTimeout
}

// unadmitted tells whether a webhook of somebody else has failed that the API server asks before it stores anything.
func unadmitted(err error) bool {
	status, ok := statusOf(err)
	return ok && status.Code == http.StatusInternalServerError && strings.HasPrefix(status.Message, "Internal error occurred: failed calling webhook ")
}

// quoting is how the API server brings the words of others, who have seen what is written: of who denies it, also with another code than 403, and of a
// webhook that fails.
var quoting = regexp.MustCompile(`denied (the )?request|an error on the server \("`)

// quotes tells whether what the API server says can repeat what is written. A 403 of the authorizer cannot: that sees no object.
func quotes(status *metav1.Status) bool {
	switch status.Code {
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return true
	case http.StatusForbidden:
		return !ungranted.MatchString(status.Message)
	}
	return strings.Contains(status.Message, untyped) || quoting.MatchString(status.Message)
}

// discreet is an error about a write to a Secret, without what the API server says of a value that it refuses: a patch could have copied it from
// there.
func discreet(err error) error {
	status, ok := statusOf(err)
	if !ok || !quotes(&status) {
		return err
	}
	var fields []string
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			fields = append(fields, cause.Field)
		}
	}
	slices.Sort(fields)
	where := strings.Join(slices.Compact(fields), ", ")
	if where == "" {
		where = "what is sent"
	}
	if status.Reason == "" {
		status.Reason = metav1.StatusReasonInvalid // it has no word for what does not fit a schema
	}
	said := fmt.Sprintf("the API server does not accept %s (%s); what it says about it is not shown, since it can repeat what is in the Secret", where, status.Reason)
	if isTransient(err) {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: status.Code, Reason: status.Reason, Message: said}}
	}
	return final(said)
}

// conflicts says which fields of a server-side apply are owned by whom.
func conflicts(err error) []string {
	status, ok := statusOf(err)
	if !ok || status.Details == nil {
		return nil
	}
	var out []string
	for _, cause := range status.Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			out = append(out, cause.Field+" ("+cause.Message+")")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// explain says in one line what went wrong, so that a person can act on it.
func explain(doing string, err error) string {
	if fields := conflicts(err); len(fields) > 0 {
		return oneLine(fmt.Sprintf("failed to %s: other field managers own %s; set conflicts: Take to take these fields over, or leave them out",
			doing, strings.Join(fields, ", ")))
	}
	if unserved(err) {
		return oneLine(fmt.Sprintf("failed to %s: the API server does not serve this kind in this version", doing))
	}
	said, hint := err.Error(), ""
	if status, ok := statusOf(err); ok && status.Message != "" {
		said = status.Message
	}
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(said, "impersonate"):
		hint = ". The operator may not act as this ServiceAccount: the condition Ready of the Action has the commands that allow it. Then make a new request"
	case unauthorized(err):
		hint = ". Grant it to the ServiceAccount, then make a new request"
	}
	return oneLine(fmt.Sprintf("failed to %s: %s%s", doing, said, hint))
}

// ungranted is what an authorizer says. A quota, an admission policy and a webhook forbid too, and no right changes that: what they say, perhaps in the same
// words, begins otherwise.
var ungranted = regexp.MustCompile(`^(\S+( "[^"]*")? is )?forbidden: User "[^"]*" cannot `)

// unauthorized tells whether a right is missing. That is judged by names alone, before anybody looks at the object.
func unauthorized(err error) bool {
	status, ok := statusOf(err)
	return ok && status.Code == http.StatusForbidden && ungranted.MatchString(status.Message)
}

// lastWords is how much of the end of a long message is kept: the API server quotes whole objects, and says after that what is wrong.
const lastWords = 400

// oneLine keeps a message within a line and within the bounds of the API. What does not show is escaped: others read it in their terminals.
func oneLine(s string) string {
	line := visible.Escaped(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == ' ' }), " "))
	if runes := []rune(line); len(runes) > maxMessage {
		return string(runes[:maxMessage-lastWords-3]) + " … " + string(runes[len(runes)-lastWords:])
	}
	return line
}
