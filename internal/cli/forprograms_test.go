package cli

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/internal/cli/doctor"
)

// TestFields: the names of fields are what programs rely on. The guide lists them.
func TestFields(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/kubectl-plugin.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason string
		args   []string
		exit   int
		want   []string
		// within is the field in whose first element to look, and there are the fields of that.
		within string
		there  []string
	}{
		"Version":   {"which plugin it is", []string{"version"}, 0, []string{"api", "go", "platform", "version"}, "", nil},
		"Passed":    {"all cases, also those that passed", []string{"test", testdata + "/shop"}, 0, []string{"failed", "files", "passed", "unreadable"}, "files", []string{"cases", "file"}},
		"Failed":    {"what failed", []string{"test", testdata + "/broken/failing.yaml"}, 1, []string{"failed", "files", "passed", "unreadable"}, "files", []string{"cases", "file"}},
		"Broken":    {"what cannot be read", []string{"test", testdata + "/broken/objects.txt"}, 2, []string{"failed", "files", "passed", "unreadable"}, "files", []string{"cases", "file", "problems"}},
		"AuditShow": {"a fact", []string{"audit", "show", "--request", "payments/restart-1", sampleLog}, 0, []string{"by", "data", "id", "log", "number", "subject", "time", "type"}, "", nil},
		"Verify":    {"an audit log", []string{"audit", "verify", "--keys", sampleKeys, sampleLog}, 0, []string{"checkpoints", "lines", "logs", "seals"}, "logs", []string{"cluster", "end", "signed", "signedAt", "unsigned"}},
	} {
		for _, field := range append(slices.Clone(tc.want), tc.there...) {
			if !strings.Contains(string(guide), "`"+field+"`") {
				t.Errorf("docs/guides/kubectl-plugin.md does not name the field %s of %v", field, tc.args)
			}
		}
		for _, output := range []string{"json", "yaml"} {
			t.Run(name+" "+output, func(t *testing.T) {
				got := run(t, "", append(tc.args, "-o", output)...)
				if got.exit != tc.exit {
					t.Errorf("%s: the exit code is %d, want %d: %s", tc.reason, got.exit, tc.exit, got.stderr)
				}
				all := documents(t, got.stdout)
				if len(all) == 0 {
					t.Fatalf("%s: there is no answer: %s", tc.reason, got.stderr)
				}
				// Which commit it is depends on how it was built.
				delete(all[0], "commit")
				if diff := cmp.Diff(tc.want, slices.Sorted(maps.Keys(all[0]))); diff != "" {
					t.Errorf("%s: the fields (-want +got):\n%s", tc.reason, diff)
				}
				if tc.within == "" {
					return
				}
				first, _ := all[0][tc.within].([]any)[0].(map[string]any)
				if diff := cmp.Diff(tc.there, slices.Sorted(maps.Keys(first))); diff != "" {
					t.Errorf("%s: the fields of %s (-want +got):\n%s", tc.reason, tc.within, diff)
				}
			})
		}
	}
	for _, args := range [][]string{{"version"}, {"test", testdata + "/shop"}, {"audit", "show", sampleLog}} {
		if got := run(t, "", append(args, "-o", "xml")...); got.exit != exitError || !strings.Contains(got.stderr, `failed to read -o "xml": it is one of text, json, yaml`) {
			t.Errorf("%v -o xml ends with %d and says %s", args, got.exit, got.stderr)
		}
	}
}

// TestFieldsInFull: an answer seldom has all of its fields, and programs rely on each. They are written out here, so that none changes its name unnoticed.
func TestFieldsInFull(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/kubectl-plugin.md")
	if err != nil {
		t.Fatal(err)
	}
	for command, tc := range map[string]struct {
		of   reflect.Type
		want string
	}{
		"whoami": {reflect.TypeFor[Myself](), "groups leads neverApproves person roles roles.role roles.verbs teams uid unread username"},
		"doctor": {reflect.TypeFor[doctor.Finding](), "about message state"},
		"explain": {reflect.TypeFor[Explained](), "allowed errors inputs message note omitted reason request requester requester.groups requester.username " +
			"stages stages.escalatedAfter stages.further stages.requirements stages.stage verdict warnings"},
		"audit verify": {reflect.TypeFor[Verified](), "checkpoints earlier gap gap.event gap.file gap.kind gap.line gap.message lines " +
			"logs logs.cluster logs.end logs.signed logs.signedAt logs.unsigned logs.unvouched moreRevoked " +
			"revoked revoked.event revoked.file revoked.kind revoked.line revoked.message seals unknown unlinked"},
	} {
		got := writtenFields(t, tc.of, "")
		slices.Sort(got)
		if diff := cmp.Diff(strings.Fields(tc.want), got); diff != "" {
			t.Errorf("the fields of %s (-want +got):\n%s", command, diff)
		}
		row := ""
		for line := range strings.Lines(string(guide)) {
			if strings.HasPrefix(line, "  | `"+command+"` | ") {
				row = line
			}
		}
		for _, path := range got {
			field := path[strings.LastIndex(path, ".")+1:]
			if command == "explain" && strings.HasPrefix(path, "stages.") {
				continue // the same as in the verdict of a request, where the reference of the API has them
			}
			if !strings.Contains(row, "`"+field+"`") {
				t.Errorf("the row of %s in docs/guides/kubectl-plugin.md does not name %s", command, field)
			}
		}
	}
}

// writtenFields are the fields of a type as JSON has them, with those of our own types below.
func writtenFields(t *testing.T, of reflect.Type, before string) []string {
	t.Helper()
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || strings.HasSuffix(of.PkgPath(), "/v1alpha1") || of == reflect.TypeFor[time.Time]() {
		return nil
	}
	var names []string
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			names = append(names, writtenFields(t, field.Type, before)...)
		case name != "":
			names = append(append(names, before+name), writtenFields(t, field.Type, before+name+".")...)
		}
	}
	return names
}

// TestTestForPrograms: every case has its answer, and with -v why.
func TestTestForPrograms(t *testing.T) {
	got := &Tested{}
	answer := run(t, "", "test", "-o", "json", testdata+"/broken/failing.yaml")
	if err := json.Unmarshal([]byte(answer.stdout), got); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for i := range got.Files[0].Cases {
		c := &got.Files[0].Cases[i]
		if c.Passed {
			passed++
		}
		if c.Name == "" || c.Line == 0 || c.Passed != (len(c.Failures) == 0) || c.Explanation != nil {
			t.Errorf("a case is %+v", c)
		}
	}
	if got.Passed != 1 || got.Failed != 2 || got.Unreadable != 0 || passed != 1 {
		t.Errorf("got %+v", got)
	}
	answer = run(t, "", "test", "-v", "-o", "json", "--run", "^Christmas$", testdata+"/shop")
	if err := json.Unmarshal([]byte(answer.stdout), got); err != nil {
		t.Fatal(err)
	}
	if why := got.Files[0].Cases[0].Explanation; why == nil || why.Allowed || why.Reason != "DeniedByPolicy" {
		t.Errorf("the case is %+v", got.Files[0].Cases[0])
	}
}

// TestAuditShowForPrograms: each fact is a document, and says who did it.
func TestAuditShowForPrograms(t *testing.T) {
	for _, output := range []string{"json", "yaml"} {
		all := documents(t, run(t, "", "audit", "show", "-o", output, sampleLog).stdout)
		if len(all) != 16 {
			t.Fatalf("%s: there are %d facts", output, len(all))
		}
		first := all[1]
		if first["by"] != "alice" || first["type"] != "dev.signoff.request.requested.v1" || !strings.HasPrefix(first["subject"].(string), "payments/") {
			t.Errorf("%s: the first that somebody did is %v", output, first)
		}
		subject := first["subject"].(string)
		some := documents(t, run(t, "", "audit", "show", "-o", output, "--request", "actionrequest.signoff.dev/"+subject, sampleLog).stdout)
		if len(some) == 0 || len(some) == len(all) {
			t.Errorf("%s: %d facts are about %s", output, len(some), subject)
		}
	}
}
