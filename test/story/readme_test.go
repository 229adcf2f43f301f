package story_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/story"
)

var (
	// block is a fenced block, with the comment in front of it.
	block = regexp.MustCompile("(?ms)^(?:<!-- ([^\n]*) -->\n)?```([a-z]*)\n(.*?)^```$")
	// link is a link to a file of the repository.
	link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
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

// What the README shows of a file is the file, which the story applies.
func TestReadmeFiles(t *testing.T) {
	shown := 0
	for _, match := range block.FindAllStringSubmatch(read(t, "README.md"), -1) {
		path, ok := strings.CutPrefix(match[1], "file: ")
		if !ok {
			continue
		}
		shown++
		if diff := cmp.Diff(read(t, path), match[3]); diff != "" {
			t.Errorf("README.md differs from %s (-file +README):\n%s", path, diff)
		}
	}
	if want := 3; shown != want {
		t.Errorf("README.md shows %d files, want %d: is a comment <!-- file: … --> missing?", shown, want)
	}
}

// What the cookbook shows is what the files of the examples say, which stories apply and policy tests check.
func TestCookbook(t *testing.T) {
	folders := showsOf(t, "policy-cookbook.md")
	for _, name := range []string{"agent-scaling", "christmas-freeze", "cost-and-posture", "deploy-service", "feature-flag", "gitlab-servicenow", "hold-everything", "namespaces", "open-incidents"} {
		if !folders["examples/"+name] {
			t.Errorf("the cookbook shows nothing of examples/%s", name)
		}
	}
}

// TestBreakGlass: neither does that page show anything else.
func TestBreakGlass(t *testing.T) {
	if folders := showsOf(t, "break-glass.md"); !folders["examples/christmas-freeze"] {
		t.Error("it shows nothing of examples/christmas-freeze")
	}
}

// showsOf gives the folders of which a guide shows something, each piece as it is in its file.
func showsOf(t *testing.T, guide string) map[string]bool {
	t.Helper()
	folders := map[string]bool{}
	for _, match := range block.FindAllStringSubmatch(read(t, "docs", "guides", guide), -1) {
		if path, whole := strings.CutPrefix(match[1], "file: "); whole {
			folders[filepath.Dir(path)] = true
			if diff := cmp.Diff(read(t, path), match[3]); diff != "" {
				t.Errorf("%s differs from %s (-file +guide):\n%s", guide, path, diff)
			}
			continue
		}
		path, part := strings.CutPrefix(match[1], "excerpt: ")
		if !part {
			t.Errorf("a block of %s does not say of which file it is:\n%s", guide, match[3])
			continue
		}
		folders[filepath.Dir(path)] = true
		if !excerptOf(read(t, path), match[3]) {
			t.Errorf("%s does not say, in one piece:\n%s", path, match[3])
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
	for _, dir := range []string{"agent-scaling", "christmas-freeze", "cost-and-posture", "deploy-service", "feature-flag", "gitlab-servicenow", "hold-everything", "namespaces", "open-incidents", "run-task"} {
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
	count := 0
	for _, pattern := range []string{"README.md", "examples/*.md", "examples/*/*.md", "docs/*.md", "docs/guides/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range link.FindAllStringSubmatch(string(text), -1) {
				count++
				if _, err := os.Stat(filepath.Join(filepath.Dir(file), match[1])); err != nil {
					t.Errorf("%s links to %s: %v", file, match[1], err)
				}
			}
		}
	}
	if count == 0 {
		t.Error("no links were found")
	}
}
