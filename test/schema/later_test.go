package schema

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestLaterFieldsAreNotAccepted demands that what Signoff does not act upon yet is not in the schema: a field that is accepted
// and ignored would be a promise that is not kept. Whoever brings a field removes it here and from docs/design/api.md.
func TestLaterFieldsAreNotAccepted(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ kind, change, field string }{
		"Recurrence": {"calendar", "spec: {windows: [{rrule: FREQ=DAILY, timeZone: UTC, dates: {from: '2026-12-24', through: '2026-12-24'}}]}", "spec.windows[0].rrule"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tryCreate(t, changed(t, sample(t, tc.kind), tc.change))
			if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `unknown field "`+tc.field+`"`) {
				t.Errorf("want %s to be an unknown field, got: %v", tc.field, err)
			}
		})
	}
}
