package schema

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// schemaCase is a change to a good object, and what the API server says to the result.
type schemaCase struct {
	// reason says why the result is right.
	reason string
	// change is a JSON merge patch, written as YAML, on the sample of the kind.
	change string
	// want is a part of the refusal. Empty: the object is accepted.
	want string
}

// tables are the cases of every kind.
func tables() map[string]map[string]schemaCase {
	return map[string]map[string]schemaCase{
		"action":        actionCases(),
		"actionpolicy":  actionPolicyCases(),
		"actionrequest": actionRequestCases(),
		"approval":      approvalCases(),
		"calendar":      calendarCases(),
		"delegation":    delegationCases(),
		"notifier":      notifierCases(),
		"record":        recordCases(),
		"role":          roleCases(),
		"team":          teamCases(),
	}
}

func run(t *testing.T, kind string, cases map[string]schemaCase) {
	t.Helper()
	t.Parallel()
	base := sample(t, kind)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := changed(t, base, tc.change)
			if tc.want == "" {
				created(t, object)
				return
			}
			wantRefused(t, tryCreate(t, object), tc.reason, tc.want)
		})
	}
}

// wantRefused demands an answer of status 422 that contains every part of want.
func wantRefused(t *testing.T, err error, reason string, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: want a refusal with %q, but it was accepted", reason, want)
	}
	if !apierrors.IsInvalid(err) {
		t.Fatalf("%s: want status 422 with %q, got: %v", reason, want, err)
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: want a refusal with %q, got: %v", reason, part, err)
		}
	}
}
