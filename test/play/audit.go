package play

import (
	"bytes"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
)

// FactsOf are the facts about a request in a log, each with what says most about it.
func FactsOf(t testing.TB, raw []byte, r *v1alpha1.ActionRequest) []string {
	t.Helper()
	var facts []string
	err := audit.Read(bytes.NewReader(raw), func(f *audit.Fact) error {
		if f.Data.Request == nil || f.Data.Request.UID != string(r.UID) {
			return nil
		}
		text := strings.TrimSuffix(strings.TrimPrefix(f.Type, "dev.signoff."), ".v1")
		for _, more := range []string{f.Data.Step, f.Data.State, f.Data.Code, f.Data.Reason} {
			if more != "" {
				text += " " + more
			}
		}
		facts = append(facts, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return facts
}
