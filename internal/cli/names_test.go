package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNamed reads what people write and what -o name prints.
func TestNamed(t *testing.T) {
	both := []kind{requests, approvals}
	cases := map[string]struct {
		reason string
		word   string
		taken  []kind
		want   string
		wrong  string
	}{
		"Name":           {"it is where one looks", "x", both, "ActionRequest here/x", ""},
		"Kind":           {"short, as people write it", "approval/x", both, "Approval here/x", ""},
		"Plural":         {"or as kubectl get takes it", "actionrequests/x", both, "ActionRequest here/x", ""},
		"Printed":        {"as kubectl -o name prints it", "actionrequest.signoff.dev/x", both, "ActionRequest here/x", ""},
		"Resource":       {"or as kubectl takes it", "approvals.signoff.dev/x", both, "Approval here/x", ""},
		"Namespace":      {"as two columns of a list", "there/x", both, "ActionRequest there/x", ""},
		"All":            {"as inbox -o name prints it", "approval.signoff.dev/there/x", both, "Approval there/x", ""},
		"First":          {"what is meant depends on what is taken", "there/x", []kind{approvals}, "Approval there/x", ""},
		"OtherKind":      {"no Approval can be cancelled", "approval/x", []kind{requests}, "", `failed to read "approval/x": that names Approval, and ActionRequest is wanted.`},
		"KindOfNothing":  {"what might be a kind is not guessed to be a namespace", "teams/x", both, "", `failed to read "teams/x": that names Team, and ActionRequest is wanted.  A namespace of that name goes with -n`},
		"KindInFull":     {"a namespace that is called as a kind is named after the kind", "approval/teams/x", both, "Approval teams/x", ""},
		"OtherGroup":     {"a kind of somebody else is no kind here", "pod/x", both, "ActionRequest pod/x", ""},
		"TooMany":        {"three parts begin with a kind", "a/b/c", both, "", `failed to read "a/b/c": name the ActionRequest as NAME, NAMESPACE/NAME or actionrequest/NAMESPACE/NAME; see what there is: kubectl signoff list`},
		"FarTooMany":     {"or are none", "approval/a/b/c", both, "", "name the Approval as NAME"},
		"NoName":         {"a name is needed", "there/", both, "", "name the ActionRequest as NAME"},
		"NoNamespace":    {"so is a namespace", "/x", both, "", "name the ActionRequest as NAME"},
		"NothingOfAKind": {"also after a kind", "approval/", both, "", "name the Approval as NAME"},
		"Empty":          {"nothing names nothing", "", both, "", "name the ActionRequest as NAME"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := (&session{namespace: "here"}).named(tc.word, tc.taken...)
			if tc.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wrong) {
					t.Errorf("%s: got %v, %v, want an error with %q", tc.reason, got, err, tc.wrong)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got.kind.name+" "+got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestNamespaceTwice: nothing is decided in a namespace where somebody may have meant another one.
func TestNamespaceTwice(t *testing.T) {
	cases := map[string]struct {
		reason, word string
		chosen       bool
		wrong        string
	}{
		"Differ":    {"two are named", "approval.signoff.dev/there/x", true, `failed to read "approval.signoff.dev/there/x": it names namespace there, and -n names here: leave one of them out`},
		"Same":      {"one is named twice", "here/x", true, ""},
		"OnlyN":     {"a name alone is where -n says", "x", true, ""},
		"NotChosen": {"the namespace of the kubeconfig was not named here", "there/x", false, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &session{namespace: "here", chosen: tc.chosen}
			_, err := s.named(tc.word, approvals)
			if tc.wrong == "" && err != nil || tc.wrong != "" && (err == nil || err.Error() != tc.wrong) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.wrong)
			}
			if _, err := s.elsewhere(tc.word, approvals); err != nil {
				t.Errorf("%s, where -n is about something else: %v", tc.reason, err)
			}
		})
	}
}

// TestActionWord: a namespace of Actions may be called "actions".
func TestActionWord(t *testing.T) {
	for word, want := range map[string]string{
		"action.signoff.dev/a/b": "a/b", "action.signoff.dev/b": "b", "a/b": "a/b", "b": "b", "actions/b": "actions/b", "action/b": "action/b",
	} {
		if got := actionWord(word); got != want {
			t.Errorf("%q names %q, want %q", word, got, want)
		}
	}
}

// FuzzNamed: no word is read as a name without its namespace, or as a path.
func FuzzNamed(f *testing.F) {
	for _, word := range []string{"", "x", "a/b", "approval/x", "approval.signoff.dev/a/b", "//", "approval//x"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		got, err := (&session{namespace: "here"}).named(word, requests, approvals)
		if err != nil {
			return
		}
		if got.namespace == "" || got.name == "" || strings.Contains(got.namespace+got.name, "/") || !strings.HasSuffix(word, got.name) {
			t.Errorf("%q is read as %+v", word, got)
		}
	})
}
