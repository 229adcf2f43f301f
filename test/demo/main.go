// Command demo starts a real control plane and Signoff on it, and plays the first story with real kubectl as several people.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/story"
	"github.com/signoff-dev/signoff/test/story/playground"
)

// example is the story that the demo plays.
const example = "examples/deploy-service"

// errDifferent says that something was not as the story expects; what, has been printed.
var errDifferent = errors.New("something was not as expected: the lines that begin with !! say what")

func main() {
	keep := flag.Bool("keep", os.Getenv("KEEP") != "", "leave everything running after the story, to try things out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *keep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run plays the story and stops everything it started, also when it is interrupted.
func run(ctx context.Context, keep bool) error {
	log.SetLogger(logr.Discard())
	s, err := load()
	if err != nil {
		return err
	}
	fmt.Printf("Signoff demo: %s\n\n", s.Title)
	fmt.Println("A real Kubernetes API server, with RBAC and real users. Pods are simulated (kwok): they are scheduled and")
	fmt.Println("become ready, but no container runs.")
	fmt.Println()
	p, err := playground.Start(ctx, playground.Options{Binary: build, Tell: tell})
	if err != nil {
		return err
	}
	defer p.Stop()
	printer := &story.Printer{To: os.Stdout, Colour: terminal()}
	player, err := p.Player(ctx, s, filepath.Join(p.Root, example), printer)
	if err != nil {
		return err
	}
	result, err := player.Play(ctx, s)
	if err != nil {
		return err
	}
	if keep {
		invite(p, player, s)
		<-ctx.Done()
	}
	p.Stop()
	fmt.Printf("\ndemo: %d scenes, %d as expected\n", result.Scenes, result.AsExpected)
	if result.AsExpected != result.Scenes {
		return errDifferent
	}
	return nil
}

func load() (*story.Story, error) {
	root, err := assets.Root()
	if err != nil {
		return nil, err
	}
	return story.Load(filepath.Join(root, example))
}

func tell(text string) { fmt.Printf("… %s\n", text) }

// build compiles the operator. The flags are those of the Makefile, so that the build cache is shared.
func build(ctx context.Context) (string, error) {
	root, err := assets.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "signoff")
	tell("building signoff (a few seconds when it was built before, else a few minutes)")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	command.Dir, command.Stdout, command.Stderr = root, os.Stderr, os.Stderr
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("failed to build signoff: %w", err)
	}
	return path, nil
}

// invite says how to use what is left running.
func invite(p *playground.Playground, player *story.Player, s *story.Story) {
	people := slices.Sorted(maps.Keys(s.People))
	fmt.Printf("\nThe playground is running. In another terminal:\n\n")
	fmt.Printf("  cd %s\n", p.Root)
	fmt.Printf("  export PATH=%s:$PATH\n", p.Programs())
	fmt.Printf("  export KUBECONFIG=%s\n\n", player.Kubeconfigs[""])
	fmt.Printf("You can be %s; begin with\n\n", strings.Join(people, ", "))
	fmt.Printf("  kubectl config use-context admin\n\n")
	fmt.Println("README.md goes on from here: \"Your first Action in ten minutes\". Ctrl-C in this terminal ends it all.")
}

// terminal tells whether a person reads along who has not asked for plain text.
func terminal() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}
