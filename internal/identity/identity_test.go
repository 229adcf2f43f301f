package identity

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

func rules(t *testing.T, change func(*config.Configuration)) *Rules {
	t.Helper()
	cfg := config.Default()
	if change != nil {
		change(cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStamp(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*config.Configuration)
		info   authenticationv1.UserInfo
		want   v1alpha1.Identity
		err    string
	}{
		"Plain": {
			reason: "Name, uid and groups are kept; extra is not, unless the configuration lists it.",
			info:   authenticationv1.UserInfo{Username: "Alice", UID: "1", Groups: []string{"b", "a"}, Extra: map[string]authenticationv1.ExtraValue{"credential-id": {"x"}}},
			want:   v1alpha1.Identity{Username: "Alice", UID: "1", Groups: []string{"b", "a"}, Person: "alice"},
		},
		"ListedExtra": {
			reason: "A key that the configuration lists is kept.",
			change: func(c *config.Configuration) { c.Requester.ExtraKeys = []string{"tenant"} },
			info:   authenticationv1.UserInfo{Username: "alice", Extra: map[string]authenticationv1.ExtraValue{"tenant": {"t"}, "credential-id": {"x"}}},
			want:   v1alpha1.Identity{Username: "alice", Person: "alice", Extra: map[string]v1alpha1.ExtraValue{"tenant": {"t"}}},
		},
		"NoName":        {reason: "A login without a name is nobody.", err: "no user name"},
		"TooManyGroups": {reason: "Groups are refused above the bound, never cut.", info: authenticationv1.UserInfo{Username: "a", Groups: make([]string, 1001)}, err: "1001 groups"},
		"NoPerson": {
			reason: "Where nobody can tell which person it is, the write is refused.",
			change: func(c *config.Configuration) { c.Person.Expression = "user.extra['email'][0]" },
			info:   authenticationv1.UserInfo{Username: "alice"}, err: "which person",
		},
		"EmptyPerson": {
			reason: "An empty person would be everybody.",
			change: func(c *config.Configuration) { c.Person.Expression = "'  '" },
			info:   authenticationv1.UserInfo{Username: "alice"}, err: "empty string",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rules(t, tc.change).Stamp(context.Background(), &tc.info)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("%s\nStamp(...): want an error with %q, got %v", tc.reason, tc.err, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nStamp(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSamePerson(t *testing.T) {
	byMail := func(c *config.Configuration) { c.Person.Expression = "user.username.split('@')[0]" }
	for name, tc := range map[string]struct {
		reason string
		change func(*config.Configuration)
		a, b   v1alpha1.Identity
		want   bool
	}{
		"SameLogin":      {"One login is one person.", nil, v1alpha1.Identity{Username: "a"}, v1alpha1.Identity{Username: "a"}, true},
		"Others":         {"Two people are two.", nil, v1alpha1.Identity{Username: "a"}, v1alpha1.Identity{Username: "b"}, false},
		"LetterCase":     {"Case does not make another person.", nil, v1alpha1.Identity{Username: "Alice"}, v1alpha1.Identity{Username: "alice "}, true},
		"Composed":       {"A letter can be written in two ways.", nil, v1alpha1.Identity{Username: "jos\u00e9"}, v1alpha1.Identity{Username: "jose\u0301"}, true},
		"Wide":           {"So can a Latin one.", nil, v1alpha1.Identity{Username: "\uff42ob"}, v1alpha1.Identity{Username: "bob"}, true},
		"Unseen":         {"What shows nothing makes nobody else.", nil, v1alpha1.Identity{Username: "bob\u200b"}, v1alpha1.Identity{Username: "bob"}, true},
		"Cyrillic":       {"A look-alike is another letter.", nil, v1alpha1.Identity{Username: "\u0430lice"}, v1alpha1.Identity{Username: "alice"}, false},
		"SecondLogin":    {"The expression maps logins to a person.", byMail, v1alpha1.Identity{Username: "a@x"}, v1alpha1.Identity{Username: "a@y"}, true},
		"AsStamped":      {"What was stamped earlier counts as well.", nil, v1alpha1.Identity{Username: "a", Person: "p"}, v1alpha1.Identity{Username: "b", Person: "p"}, true},
		"NothingStamped": {"Two missing stamps are no match.", nil, v1alpha1.Identity{Username: "a"}, v1alpha1.Identity{Username: "b"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rules(t, tc.change).SamePerson(context.Background(), &tc.a, &tc.b)
			if err != nil || got != tc.want {
				t.Errorf("%s\nSamePerson(%s, %s): want %v, got %v, %v", tc.reason, tc.a.Username, tc.b.Username, tc.want, got, err)
			}
		})
	}
}

// TestFold: names that people read as one are one, also where one mapping gives another more to do.
func TestFold(t *testing.T) {
	for name, tc := range map[string]struct{ reason, given, want string }{
		"Case":       {"case makes nobody else", "Alice", "alice"},
		"Blanks":     {"nor do blanks around a name", " \u00a0alice\u3000", "alice"},
		"Sharp":      {"one letter can be two in another case", "STRASSE stra\u00dfe", "strasse strasse"},
		"Sigma":      {"one letter can have two small forms", "\u03a3\u03c2\u03c3", "\u03c3\u03c3\u03c3"},
		"Between":    {"what shows nothing does not keep a letter and its accent apart", "jose\u034f\u0301", "jos\u00e9"},
		"Joiner":     {"nor does a joiner", "jose\u200d\u0301", "jos\u00e9"},
		"Telephone":  {"what Unicode writes out can have a case", "\u2121", "tel"},
		"Ypogegramm": {"case can change what there is to compose", "\u1f80", "\u1f00\u03b9"},
		"Unseen":     {"nothing but what shows nothing is nothing", " \u200b\u2060 ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Fold(tc.given); got != tc.want {
				t.Errorf("%s: Fold(%+q): want %+q, got %+q", tc.reason, tc.given, tc.want, got)
			}
		})
	}
}

// FuzzFold: what is folded once is folded.
func FuzzFold(f *testing.F) {
	for _, seed := range []string{"Alice ", "\u00df\u1e9e", "\u0345\u03b1", "jose\u034f\u0301", "\u2121\ufdfa", "\u0130\u03d4", "\xff\u00a8", "\u00a8\u200b \u00a0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		once := Fold(name)
		if again := Fold(once); again != once {
			t.Errorf("Fold(%+q) is %+q, and again %+q", name, once, again)
		}
	})
}

func TestMayVote(t *testing.T) {
	configured := func(c *config.Configuration) {
		c.Approvers.ServiceAccounts = []string{"ci/gate", "ci/robot"}
		c.Person.Expression = "user.username == 'broken' ? string(user.extra['a'][0]) : user.username.split('@')[0]"
		c.Requester.Agents = config.Subjects{Users: []string{"claude", "helper@cloud"}, Groups: []string{"agents"}, ServiceAccounts: []string{"ai/bot"}}
	}
	for name, tc := range map[string]struct {
		reason string
		who    v1alpha1.Identity
		want   bool
	}{
		"Person":        {"A person may.", v1alpha1.Identity{Username: "bob"}, true},
		"System":        {"No system identity may.", v1alpha1.Identity{Username: "system:admin"}, false},
		"Account":       {"A ServiceAccount may not.", v1alpha1.Identity{Username: "system:serviceaccount:a:b"}, false},
		"ListedAccount": {"Unless the configuration lists it.", v1alpha1.Identity{Username: "system:serviceaccount:ci:gate"}, true},
		"ListedAgent":   {"An agent never may, listed or not.", v1alpha1.Identity{Username: "system:serviceaccount:ci:robot", Groups: []string{"agents"}}, false},
		"AgentUser":     {"Nor an agent with a user name.", v1alpha1.Identity{Username: "claude"}, false},
		"AgentAccount":  {"Nor one that is a ServiceAccount.", v1alpha1.Identity{Username: "system:serviceaccount:ai:bot"}, false},
		"OtherLogin":    {"Nor with another login of the same person.", v1alpha1.Identity{Username: "claude@laptop"}, false},
		"OtherCase":     {"Nor in another case.", v1alpha1.Identity{Username: "Claude"}, false},
		"WideLetters":   {"Nor in wide letters, with something unseen between.", v1alpha1.Identity{Username: "\uff43lau\u200bde"}, false},
		"MappedAgent":   {"Nor with another login than the one that is listed.", v1alpha1.Identity{Username: "helper@desk"}, false},
		"OldPerson":     {"Nor as the person that was stamped.", v1alpha1.Identity{Username: "zoe", Person: "claude"}, false},
		"Unknown":       {"Whoever nobody can tell from an agent may be one.", v1alpha1.Identity{Username: "broken"}, false},
		"Alike":         {"A name that only begins like an agent's is somebody else.", v1alpha1.Identity{Username: "claudette"}, true},
		"OddAccount":    {"A name that only looks like a ServiceAccount is a system identity.", v1alpha1.Identity{Username: "system:serviceaccount:ci"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, why := rules(t, configured).MayVote(t.Context(), &tc.who)
			if got != tc.want || (why == "") != tc.want {
				t.Errorf("%s\nMayVote(%s): want %v, got %v %q", tc.reason, tc.who.Username, tc.want, got, why)
			}
		})
	}
}
