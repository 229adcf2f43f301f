// Package digest gives one short text that stands for everything that will be executed, so that people agree to exactly that.
//
// The encoding is specified in docs/design/digest.md.
package digest

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

const (
	prefix = canonical.Prefix
	// shortLength is how many hexadecimal digits people see, and the fewest that they may give.
	shortLength = 8
)

// Subject is what a digest stands for.
type Subject struct {
	// RequestNamespace, RequestName and RequestUID are the request.
	RequestNamespace, RequestName string
	RequestUID                    types.UID
	// BreakGlass is the reason of an emergency; empty where there is none.
	BreakGlass string
	// Requester is who asked. Only the user name and the uid count.
	Requester v1alpha1.Identity
	// Inputs are the inputs with all defaults filled in.
	Inputs map[string]any
	// Action is the Action. Its texts for people do not count.
	Action *v1alpha1.Action
	// ActionDigest is what OfAction gives for it, where somebody has asked before. Empty: it is computed.
	ActionDigest string
	// Steps are the steps with everything filled in.
	Steps []v1alpha1.RenderedStep
	// Finally are those that run once the others have ended.
	Finally []v1alpha1.RenderedStep
	// Planned is what the plan steps gave.
	Planned []v1alpha1.PlannedStep
}

// Of returns the digest of the subject, as "sha256:<hex>". It is an error if the subject holds something that has no single
// canonical form.
func Of(s Subject) (string, error) {
	doc, err := s.document()
	if err != nil {
		return "", err
	}
	digest, err := canonical.SumOf(doc)
	if err != nil {
		return "", fmt.Errorf("failed to encode what the digest stands for: %w", err)
	}
	return digest, nil
}

// OfAction returns the digest of what an Action says, leaving out its texts for people. It is an error if an Action cannot be
// digested, so that it can be refused when it is written.
func OfAction(action *v1alpha1.Action) (string, error) {
	digest, err := canonical.SumOf(withoutTexts(&action.Spec))
	if err != nil {
		return "", fmt.Errorf("failed to encode the spec of the Action: %w", err)
	}
	return digest, nil
}

// Short returns the beginning of a digest, for people.
func Short(digest string) string {
	digits := strings.TrimPrefix(digest, prefix)
	return digits[:min(len(digits), shortLength)]
}

var given = regexp.MustCompile(`^(sha256:)?[0-9a-f]{8,64}$`)

// Matches reports whether what somebody gave, at least eight digits with or without "sha256:", is the beginning of the digest.
func Matches(digest, prefixGiven string) bool {
	if !canonical.IsSum(digest) || !given.MatchString(prefixGiven) {
		return false
	}
	return strings.HasPrefix(strings.TrimPrefix(digest, prefix), strings.TrimPrefix(prefixGiven, prefix))
}
