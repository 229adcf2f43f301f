package story_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	yaml11 "sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/story"
	"github.com/signoff-dev/signoff/test/story/playground"
)

// triedBy are the blocks of YAML that other tests try, by page and mark, and where those tests are. Empty: it is for another program, so that nothing
// but its being YAML is tried.
var triedBy = map[string]string{
	"charts/signoff/README.md values":                 "test/chart/lint_test.go",
	"docs/guides/agents.md apply":                     "test/plugin/mcp_test.go",
	"docs/guides/gitops.md flux":                      "test/integration/health_test.go",
	"docs/guides/gitops.md argo-cd":                   "test/integration/health_test.go",
	"docs/guides/gitops.md request":                   "test/integration/gitops_test.go",
	"docs/guides/gitops.md behalf":                    "test/integration/gitops_test.go",
	"docs/guides/gitops.md tool":                      "test/integration/gitops_test.go",
	"docs/guides/gitops.md role":                      "test/integration/gitops_test.go",
	"docs/guides/install.md file: admission.yaml":     "test/chart/guide_test.go",
	"docs/guides/install.md values":                   "test/chart/guide_test.go",
	"docs/guides/notifications.md notifier":           "test/notifications/main_test.go",
	"docs/guides/notifications.md rights":             "test/notifications/main_test.go",
	"docs/guides/notifications.md pagers":             "test/notifications/main_test.go",
	"docs/guides/notifications.md secrets":            "test/notifications/main_test.go",
	"docs/guides/test-policies.md test":               "internal/cli/guide_test.go",
	"docs/guides/test-policies.md part of the test":   "internal/cli/guide_test.go",
	"examples/gitlab-servicenow/README.md values":     "test/chart/guide_test.go",
	"examples/gitlab-servicenow/README.md for GitLab": "",
	"docs/guides/test-policies.md for GitLab":         "",
	"docs/guides/test-policies.md for GitHub":         "",
}

var (
	// partOf is the mark of a block that is a part of a file in testdata/parts.
	partOf = regexp.MustCompile(`^part of (\S+)(?: at (\S+))?$`)
	// dryRun is the mark of a block that is complete.
	dryRun = regexp.MustCompile(`^dry run(?: as (\S+))?$`)
	// firstLine is that of a manifest, also where it is indented.
	firstLine = regexp.MustCompile(`(?m)^[ \t{-]*apiVersion:.*$`)
	// until is the end of a Delegation: on a page a time that stays, and in a cluster at most 30 days away.
	until = regexp.MustCompile(`until: "[^"]*"`)
)

// shown is a block of YAML that a page shows. Its mark is the comment in front of it:
//
//	file: PATH               it is that file
//	excerpt: PATH            it is in that file, in one piece
//	dry run [as NAME]        it is complete, and the API server and Signoff take it, of an administrator or of one of the people of appliesPages
//	part of FILE [at PLACE]  so they do when it is put into a file of testdata/parts
//	configuration            it is a configuration of the process
//
// and those of triedBy.
type shown struct{ page, mark, text string }

func (s *shown) String() string { return fmt.Sprintf("%s, at\n%s", s.page, s.text) }

// shownYAML are the blocks of YAML of all pages.
func shownYAML(t *testing.T) []shown {
	t.Helper()
	var all []shown
	for _, page := range pages(t) {
		text, found := read(t, page), 0
		for _, match := range block.FindAllStringSubmatch(text, -1) {
			if match[2] != "yaml" {
				continue
			}
			found++
			all = append(all, shown{page, match[1], match[3]})
		}
		if want := strings.Count(text, "```yaml"); found != want {
			t.Errorf("%s has %d blocks of YAML, and %d of them are found", page, want, found)
		}
		for _, line := range untried(text) {
			t.Errorf("%s shows a manifest that nobody tries, because it is in no block of YAML: %s", page, line)
		}
	}
	return all
}

// untried are the first lines of the manifests of a page that are in no block of YAML.
func untried(text string) []string {
	return firstLine.FindAllString(block.ReplaceAllStringFunc(text, func(found string) string {
		if block.FindStringSubmatch(found)[2] == "yaml" {
			return ""
		}
		return found
	}), -1)
}

// A manifest cannot hide from TestShownYAML.
func TestUntriedYAML(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, text string
		want         int
	}{
		"Block":    {"It is tried, or its mark is refused.", "a\n\n<!-- dry run -->\n```yaml\napiVersion: v1\n```\n", 0},
		"Prose":    {"It is only spoken of.", "The field `apiVersion: v1` says it.\n", 0},
		"Fence":    {"Nobody says of which language it is.", "a\n\n```\nkubectl create -f - <<END\napiVersion: v1\nEND\n```\n", 1},
		"Shell":    {"It is in a command.", "```sh\nkubectl create -f - <<END\napiVersion: v1\nEND\n```\n", 1},
		"Indented": {"It belongs to a list.", "- a\n\n  ```yaml\n  apiVersion: v1\n  ```\n", 1},
		"List":     {"There are several.", "```text\nitems:\n- apiVersion: v1\n- {apiVersion: v1}\n```\n", 2},
	} {
		if got := untried(tc.text); len(got) != tc.want {
			t.Errorf("%s: %s Want %d lines, and found %q", name, tc.reason, tc.want, got)
		}
	}
}

// pages are all texts for readers, as paths in the repository.
func pages(t *testing.T) []string {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "charts/signoff/README.md"}
	for _, dir := range []string{"docs", "examples"} {
		err := fs.WalkDir(os.DirFS(root), dir, func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".md" {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// All YAML that readers see is tried, here or by a test that is named.
func TestShownYAML(t *testing.T) {
	unused := slices.Collect(maps.Keys(triedBy))
	for _, s := range shownYAML(t) {
		kind, path, _ := strings.Cut(s.mark, ": ")
		if file, elsewhere := triedBy[s.page+" "+s.mark]; elsewhere {
			if file != "" && !strings.Contains(read(t, file), filepath.Base(s.page)) {
				t.Errorf("%s says nothing of %s", file, s.page)
			}
			unused = slices.DeleteFunc(unused, func(known string) bool { return known == s.page+" "+s.mark })
			kind = ""
		}
		switch {
		case kind == "" && s.mark != "", dryRun.MatchString(kind), partOf.MatchString(kind):
			var value any
			if err := yaml11.UnmarshalStrict([]byte(s.text), &value); err != nil && !strings.Contains(s.text, "\n---\n") {
				t.Errorf("%s%v", &s, err)
			}
		case kind == "file":
			if diff := cmp.Diff(read(t, path), s.text); diff != "" {
				t.Errorf("%s differs from %s (-file +page):\n%s", s.page, path, diff)
			}
		case kind == "excerpt":
			if !excerptOf(read(t, path), s.text) {
				t.Errorf("%s does not say, in one piece, what %s shows:\n%s", path, s.page, s.text)
			}
		case kind == "configuration":
			if _, err := config.Load([]byte("apiVersion: config.signoff.dev/v1alpha1\nkind: Configuration\n" + s.text)); err != nil {
				t.Errorf("%s%v", &s, err)
			}
		default:
			t.Errorf("the mark %q says nothing that could be tried: %s", s.mark, &s)
		}
	}
	for _, mark := range unused {
		t.Errorf("no block is marked %q", mark)
	}
}

// appliesPages has the API server and Signoff judge what pages show, and store nothing of it.
func appliesPages(t *testing.T, ground *playground.Playground) {
	t.Helper()
	player, err := ground.Player(t.Context(), &story.Story{People: map[string]story.Person{
		"admin": {User: "ada", Administrator: true},
		"maria": {User: "maria", Groups: []string{"developers"}}, // of examples/run-task
	}}, ground.Root, nil)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, s := range shownYAML(t) {
		manifest, who, ok := tries(t, &s)
		if !ok {
			continue
		}
		tried++
		command := exec.CommandContext(t.Context(), "kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-")
		command.Path = filepath.Join(ground.Cluster.Binaries, "kubectl")
		command.Env, command.Stdin = append(ground.Environment(), "KUBECONFIG="+player.Kubeconfigs[who]), bytes.NewReader(manifest)
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s%v: %s", &s, err, out)
		}
	}
	if tried < 20 {
		t.Errorf("only %d blocks were tried", tried)
	}
}

// tries gives the whole of a block, and who applies it, if its mark says that it is tried here.
func tries(t *testing.T, s *shown) ([]byte, string, bool) {
	t.Helper()
	if part := partOf.FindStringSubmatch(s.mark); part != nil {
		return putInto(t, part[1], part[2], s.text), "admin", true
	}
	whole := dryRun.FindStringSubmatch(s.mark)
	if whole == nil {
		return nil, "", false
	}
	text, who := s.text, "admin"
	if whole[1] != "" {
		who = whole[1]
	}
	if strings.Contains(text, "kind: Delegation") {
		text = until.ReplaceAllString(text, fmt.Sprintf("until: %q", time.Now().Add(14*24*time.Hour).UTC().Format(time.RFC3339)))
	}
	return []byte(text), who, true
}

// putInto gives a file of testdata/parts with a part in its place.
func putInto(t *testing.T, name, place, text string) []byte {
	t.Helper()
	part := map[string]any{}
	if err := yaml11.UnmarshalStrict([]byte(text), &part); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if stages, ok := part["stages"].([]any); ok {
		// Stages are named by whatever demands them.
		var names []any
		for _, stage := range stages {
			names = append(names, stage.(map[string]any)["name"])
		}
		part["default"] = map[string]any{"stages": names}
	}
	fields := strings.FieldsFunc(place, func(r rune) bool { return r == '.' })
	for _, field := range slices.Backward(fields) {
		part = map[string]any{field: part}
	}
	base, err := yaml11.YAMLToJSONStrict([]byte(read(t, "test", "story", "testdata", "parts", name)))
	if err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := jsonpatch.MergePatch(base, patch)
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}
