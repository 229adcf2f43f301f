package plugin

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli"
	"github.com/signoff-dev/signoff/test/env"
)

const pluginGuide = "../../docs/guides/kubectl-plugin.md"

// guideNamespace has nothing but what the guide makes.
const guideNamespace = "shop"

// played is a command of the guide, with what a reader sees of it.
type played struct{ who, command, want string }

// prompt begins a command: who types it.
var prompt = regexp.MustCompile(`(?m)^([a-z]+)\$ kubectl signoff (.*)$`)

// playedIn takes the commands out of the blocks of a page.
func playedIn(page string) []played {
	var all []played
	for i, block := range strings.Split(page, "```") {
		if i%2 == 0 {
			continue
		}
		found := prompt.FindAllStringSubmatchIndex(block, -1)
		for j, at := range found {
			end := len(block)
			if j+1 < len(found) {
				end = found[j+1][0]
			}
			all = append(all, played{block[at[2]:at[3]], block[at[4]:at[5]], strings.TrimPrefix(block[at[1]:end], "\n")})
		}
	}
	return all
}

// What differs each time, and how the guide writes it.
var (
	anyTime     = regexp.MustCompile(`\b[A-Z][a-z]{2} \d{1,2} [A-Z][a-z]{2} \d\d:\d\d UTC`)
	anyDigest   = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	anyShort    = regexp.MustCompile(`(digest|about) [0-9a-f]{8}\b`)
	anyApproval = regexp.MustCompile(`\b([a-z0-9-]+)-(owners|both)-[0-9a-f]{8}\b`)
	anyAge      = regexp.MustCompile(`(?m) +\d+s$`)
)

func likeTheGuide(text string) string {
	text = anyTime.ReplaceAllString(text, "Tue 24 Nov 17:10 UTC")
	text = anyDigest.ReplaceAllString(text, "sha256:9f3c1a7e…")
	text = anyShort.ReplaceAllString(text, "$1 9f3c1a7e")
	text = anyApproval.ReplaceAllString(text, "$1-$2-4b1d07c2")
	return anyAge.ReplaceAllString(text, "   3s")
}

// real gives a command the names and digests that there are in this cluster.
func real(t *testing.T, command string) string {
	t.Helper()
	digest := ""
	command = anyApproval.ReplaceAllStringFunc(command, func(name string) string {
		parts := anyApproval.FindStringSubmatch(name)
		found := approvalIn(t, guideNamespace, parts[1], parts[2])
		digest = strings.TrimPrefix(found.Spec.Digest, "sha256:")[:8]
		return found.Name
	})
	return strings.Replace(command, "9f3c1a7e", digest, 1)
}

// words splits a command as a shell would: at blanks outside double quotes.
func words(command string) []string {
	var all []string
	for i, part := range strings.Split(command, `"`) {
		if i%2 == 1 {
			all[len(all)-1] += part
			continue
		}
		for j, word := range strings.Split(part, " ") {
			if j == 0 && i > 0 {
				all[len(all)-1] += word
				continue
			}
			all = append(all, word)
		}
	}
	return all
}

// people of the guide.
func guidePeople() map[string]env.Person {
	return map[string]env.Person{"alice": users.Alice, "bob": users.Bob, "erin": users.Erin, "ada": users.Ada}
}

// TestGuide plays the guide from its beginning to its end, and compares what comes with what readers see.
func TestGuide(t *testing.T) {
	prepareGuide(t)
	page, err := os.ReadFile(pluginGuide)
	if err != nil {
		t.Fatal(err)
	}
	commands := playedIn(string(page))
	if len(commands) < 15 {
		t.Errorf("the guide has only %d commands", len(commands))
	}
	for _, p := range commands {
		who, ok := guidePeople()[p.who]
		if !ok {
			t.Fatalf("the guide knows nobody called %s", p.who)
		}
		login(t, who)
		// The test may be faster than any reader.
		if strings.HasPrefix(p.command, "show") || strings.HasPrefix(p.command, "list") {
			settled(t)
		}
		var screen bytes.Buffer
		program := &cli.Program{IO: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &screen, ErrOut: &screen}, Clock: clock.RealClock{}}
		exit := program.Run(t.Context(), append(words(real(t, p.command)), "-n", guideNamespace))
		if got := likeTheGuide(screen.String()); !sees(p.want, got) {
			t.Errorf("%s$ kubectl signoff %s\n%s(exit %d)\nThe guide shows:\n%s", p.who, p.command, got, exit, p.want)
		}
	}
	for _, command := range []string{"actions", "request", "list", "inbox", "show", "approve", "deny", "withdraw", "cancel", "wait", "whoami", "doctor"} {
		if !strings.Contains(string(page), "$ kubectl signoff "+command) {
			t.Errorf("the guide does not play %q", command)
		}
	}
}

// prepareGuide makes a namespace in which engineers ask and approve.
func prepareGuide(t *testing.T) {
	t.Helper()
	catalogReaders(t)
	inForce(t)
	apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: `+guideNamespace+`}}`)
	for _, role := range []string{env.RoleRequester, env.RoleApprover} {
		if err := cluster.Grant(t.Context(), role, guideNamespace, env.ToGroup(env.GroupEngineering)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the rights of Alice", func() (bool, string) {
		answer := kubectl(t, users.Alice, "", "request", "platform/note", "text=a", "-n", guideNamespace, "--dry-run")
		return answer.exit == 0, answer.stderr
	})
}

// settled waits until every open request waits for somebody, or is over.
func settled(t *testing.T) {
	t.Helper()
	eventually(t, "that all requests of the guide wait or are over", func() (bool, string) {
		list := &v1alpha1.ActionRequestList{}
		if err := admin(t).List(t.Context(), list, client.InNamespace(guideNamespace)); err != nil {
			return false, err.Error()
		}
		for i := range list.Items {
			if status := &list.Items[i].Status; status.Outcome == "" && status.Phase != v1alpha1.PhaseAwaitingApproval {
				return false, list.Items[i].Name
			}
		}
		return true, ""
	})
}

// sees compares what was printed with the guide, where "…" at the end of a line stands for the rest of it, and alone for any lines.
func sees(guide, got string) bool {
	pattern := &strings.Builder{}
	for line := range strings.Lines(guide) {
		switch text := strings.TrimSuffix(line, "\n"); {
		case text == "…":
			pattern.WriteString(`(?:.*\n)*`)
		case strings.HasSuffix(text, "…"):
			pattern.WriteString(regexp.QuoteMeta(strings.TrimSuffix(text, "…")) + `.*\n`)
		default:
			pattern.WriteString(regexp.QuoteMeta(line))
		}
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(got)
}
