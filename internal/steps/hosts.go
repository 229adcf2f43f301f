package steps

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/internal/egress"
)

// AnnotationAllowedHosts names, on a Secret, the hosts to which an http step may send what is in it, separated by commas.
const AnnotationAllowedHosts = "signoff.dev/allowed-hosts"

// AllowedFor tells why a Secret with these annotations may not be sent to a host.
func AllowedFor(annotations map[string]string, host string) error {
	allowed := strings.FieldsFunc(annotations[AnnotationAllowedHosts], func(r rune) bool { return r == ',' || r == ' ' })
	if slices.ContainsFunc(allowed, func(pattern string) bool { return egress.Matches(pattern, strings.ToLower(host)) }) {
		return nil
	}
	return fmt.Errorf("it may not be sent to %s: whoever may change the Secret allows that by its annotation %s", host, AnnotationAllowedHosts)
}
