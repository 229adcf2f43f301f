package story_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	yaml11 "sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/story"
)

var (
	// block is a fenced block, with the comment in front of it.
	block = regexp.MustCompile("(?ms)^(?:<!-- ([^\n]*) -->\n)?```([a-z]*)\n(.*?)^```$")
	// link is a link to a file of the repository.
	link = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
)

// read gives the text of a file of the repository.
func read(t *testing.T, path ...string) string {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The cookbook shows something of every example that is about rules.
func TestCookbook(t *testing.T) {
	folders := showsOf(t, "docs/guides/policy-cookbook.md")
	for _, name := range []string{"agent-scaling", "christmas-freeze", "cost-and-posture", "deploy-service", "feature-flag", "gitlab-servicenow", "hold-everything", "namespaces", "notify", "open-incidents", "temporary-access", "terraform"} {
		if !folders["examples/"+name] {
			t.Errorf("the cookbook shows nothing of examples/%s", name)
		}
	}
}

// TestBreakGlass: that page goes through an example.
func TestBreakGlass(t *testing.T) {
	if folders := showsOf(t, "docs/guides/break-glass.md"); !folders["examples/christmas-freeze"] {
		t.Error("it shows nothing of examples/christmas-freeze")
	}
}

// showsOf gives the folders of which a page shows something. TestShownYAML compares it with what is there.
func showsOf(t *testing.T, page string) map[string]bool {
	t.Helper()
	folders := map[string]bool{}
	for _, s := range shownYAML(t) {
		kind, path, _ := strings.Cut(s.mark, ": ")
		if s.page == page && (kind == "file" || kind == "excerpt") {
			folders[filepath.Dir(path)] = true
		}
	}
	return folders
}

// excerptOf tells whether lines are in a file in one piece, all of them indented by the same number of blanks there.
func excerptOf(file, part string) bool {
	lines, wanted := strings.Split(file, "\n"), strings.Split(strings.TrimRight(part, "\n"), "\n")
	for at := range lines {
		indent, ok := strings.CutSuffix(lines[at], wanted[0])
		if !ok || strings.Trim(indent, " ") != "" || at+len(wanted) > len(lines) {
			continue
		}
		same := true
		for i := range wanted {
			same = same && lines[at+i] == indent+wanted[i]
		}
		if same {
			return true
		}
	}
	return false
}

func TestExcerptOf(t *testing.T) {
	const file = "spec:\n  rules:\n  - a\n  - b\nend: true\n"
	for name, tc := range map[string]struct {
		reason, part string
		want         bool
	}{
		"Piece":    {"A part is in the file, with less indentation.", "rules:\n- a\n- b\n", true},
		"Whole":    {"So is all of it.", file, true},
		"Changed":  {"A line that is another one is noticed.", "rules:\n- a\n- c\n", false},
		"Left out": {"And so is one that is missing.", "rules:\n- b\n", false},
		"Indented": {"And one that is elsewhere.", "rules:\n  - a\n", false},
		"Beyond":   {"And what goes beyond the end.", "end: true\n\nmore\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := excerptOf(file, tc.part); got != tc.want {
				t.Errorf("%s\nexcerptOf(...): want %t, got %t", tc.reason, tc.want, got)
			}
		})
	}
}

// What the README tells a new user to type is what the story of the first Action types, in this order. Only what the user
// copies from an output is not in the README.
func TestReadmeCommands(t *testing.T) {
	var got []string
	for _, match := range block.FindAllStringSubmatch(read(t, "README.md"), -1) {
		if match[1] == "commands" {
			got = append(got, commands(match[3])...)
		}
	}
	var want []string
	for _, command := range typed(t, firstAction) {
		if !strings.HasPrefix(command, "{{") {
			want = append(want, command)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-story +README):\n%s", diff)
	}
}

// What the README of an example tells to type, its story types.
func TestExampleCommands(t *testing.T) {
	for _, dir := range []string{"agent-scaling", "christmas-freeze", "cost-and-posture", "deploy-service", "feature-flag", "gitlab-servicenow", "gitops", "hold-everything", "namespaces", "notify", "open-incidents", "run-task", "temporary-access", "terraform"} {
		inStory := map[string]bool{}
		for _, command := range typed(t, dir) {
			inStory[command] = true
		}
		count := 0
		for _, match := range block.FindAllStringSubmatch(read(t, "examples", dir, "README.md"), -1) {
			if match[2] != "sh" {
				continue
			}
			for _, command := range commands(match[3]) {
				count++
				if !inStory[command] {
					t.Errorf("examples/%s/README.md has a command that the story does not play: %s", dir, command)
				}
			}
		}
		if count == 0 {
			t.Errorf("examples/%s/README.md tells nothing to type", dir)
		}
	}
}

func typed(t *testing.T, example string) []string {
	t.Helper()
	s, err := story.Parse([]byte(read(t, "examples", example, story.FileName)))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range s.Scenes {
		for j := range s.Scenes[i].Steps {
			all = append(all, strings.TrimSpace(s.Scenes[i].Steps[j].Run))
		}
	}
	return all
}

func commands(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// A link to nowhere is worse than none.
func TestLinks(t *testing.T) {
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	count, anchors := 0, map[string]map[string]bool{}
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			count++
			to := page
			if match[1] != "" {
				to = filepath.Join(filepath.Dir(page), match[1])
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
				continue
			}
			if match[2] == "" || filepath.Ext(to) != ".md" {
				continue
			}
			if anchors[to] == nil {
				anchors[to] = anchorsOf(read(t, to))
			}
			if !anchors[to][match[2]] {
				t.Errorf("%s links to %s#%s, and there is no such heading", page, to, match[2])
			}
		}
	}
	if count == 0 {
		t.Error("no links were found")
	}
}

var (
	heading = regexp.MustCompile("(?m)^#+ +(.*)$")
	// code is what no link is in.
	code = regexp.MustCompile("`[^`\n]*`")
	// fence is a block, in which no line is a heading.
	fence = regexp.MustCompile("(?ms)^```.*?^```$")
	// notInAnchor is what forges take out of a heading.
	notInAnchor = regexp.MustCompile("[^a-z0-9 _-]")
	named       = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
)

// anchorsOf are the places of a page that links can lead to.
func anchorsOf(page string) map[string]bool {
	all := map[string]bool{}
	page = fence.ReplaceAllString(page, "")
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		all[strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")] = true
	}
	for _, match := range named.FindAllStringSubmatch(page, -1) {
		all[match[1]] = true
	}
	return all
}

// Every kind that there is has a row on the first page of the documentation, and no other.
func TestKinds(t *testing.T) {
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kinds, explained []string
	for _, file := range files {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		text, err := os.ReadFile(file)
		if err == nil {
			err = yaml11.Unmarshal(text, definition)
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, definition.Spec.Names.Kind)
	}
	_, table, _ := strings.Cut(read(t, "docs", "README.md"), "## Which kind you need when\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, row := range regexp.MustCompile("(?m)^\\|[^|]*\\| `([A-Za-z]+)`").FindAllStringSubmatch(table, -1) {
		explained = append(explained, row[1])
	}
	slices.Sort(kinds)
	slices.Sort(explained)
	if diff := cmp.Diff(kinds, explained); diff != "" {
		t.Errorf("kinds (-definitions +docs/README.md):\n%s", diff)
	}
}

// Every message of others that the guide explains comes up in the story of what goes wrong.
func TestMessages(t *testing.T) {
	troubles, err := story.Parse([]byte(read(t, troublesDir, story.FileName)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range troubles.Scenes {
		for _, step := range troubles.Scenes[i].Steps {
			for _, matcher := range step.Expect.Stderr {
				seen[matcher.Contains] = true
			}
		}
	}
	_, table, _ := strings.Cut(read(t, "docs", "guides", "troubleshooting.md"), "<!-- messages -->\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1)
	for _, row := range rows {
		if !seen[row[1]] {
			t.Errorf("nobody reads %q in the story", row[1])
		}
	}
	if len(rows) < 15 {
		t.Errorf("only %d messages are explained", len(rows))
	}
}
