package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/node"
	"github.com/signoff-dev/signoff/test/story"
	"github.com/signoff-dev/signoff/test/story/playground"
)

const (
	// state is where the control plane and the node keep everything, in memory.
	state = "/run/signoff-e2e"
	// logs is where logs are left, below the root of the repository.
	logs = "bin/e2e-logs"
)

// theatre is a cluster with a real node, on which stories are played.
type theatre struct {
	root     string
	cluster  *env.Cluster
	narrator *narrator
	result   story.Result
}

// inside plays everything.
func inside(ctx context.Context) (err error) {
	t := &theatre{narrator: newNarrator(os.Stdout)}
	if t.root, err = assets.Root(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.keepLogs()) }()
	fmt.Println("Signoff end-to-end test: a real Kubernetes cluster of one node, with real Pods")
	fmt.Println("… starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler, containerd, kubelet and kube-proxy")
	if t.cluster, err = env.Start(ctx, env.Options{NodeAddress: node.Address, Dir: state}); err != nil {
		return err
	}
	defer t.cluster.Stop()
	if err := node.Start(ctx, t.cluster, &node.Options{Root: t.root, Images: t.images()}); err != nil {
		return err
	}
	if err := t.prepare(); err != nil {
		return err
	}
	if err := t.play(ctx); err != nil {
		return err
	}
	return t.sum()
}

// images are those that the Makefile has built.
func (t *theatre) images() []string {
	var all []string
	for _, name := range []string{"pod", "signoff"} {
		all = append(all, filepath.Join(t.root, "bin", name+".image.tar"))
	}
	return all
}

// folder is where people type.
func (t *theatre) folder() string { return filepath.Join(state, "work") }

// prepare puts what people type about where they type.
func (t *theatre) prepare() error {
	return errors.Join(
		os.CopyFS(t.folder(), os.DirFS(filepath.Join(t.root, "test/e2e/testdata"))),
		os.Symlink(filepath.Join(t.root, "charts"), filepath.Join(t.folder(), "charts")),
		os.WriteFile(filepath.Join(t.folder(), "client-ca.crt"), t.cluster.WebhookClientCA(), 0o600),
		os.Mkdir(filepath.Join(state, "people"), 0o700),
	)
}

// play lets people use Signoff, and then lets things happen while many ask.
func (t *theatre) play(ctx context.Context) error {
	if err := t.story(ctx, filepath.Join("test/e2e/stories", "people"), t.folder()); err != nil {
		return err
	}
	for _, name := range examples() {
		folder := filepath.Join("examples", name)
		if err := t.story(ctx, folder, filepath.Join(t.root, folder)); err != nil {
			return err
		}
	}
	s, err := newStream(t.cluster, t.folder())
	if err != nil {
		return err
	}
	t.narrator.began = func(title string) { s.scene(ctx, title) }
	err = t.story(ctx, filepath.Join("test/e2e/stories", "trouble"), t.folder())
	t.narrator.began = nil
	s.stop()
	if err != nil {
		return err
	}
	return t.count(ctx, s)
}

// examples are those that are played here, too: as they are, on what the chart has installed. They need no image that is not there.
func examples() []string { return []string{"temporary-access", "agent-scaling", "christmas-freeze"} }

// story plays the story in a folder of the repository. Commands run in dir.
func (t *theatre) story(ctx context.Context, folder, dir string) error {
	s, err := story.Load(filepath.Join(t.root, folder))
	if err != nil {
		return err
	}
	people := &playground.People{Cluster: t.cluster, Dir: filepath.Join(state, "people")}
	kubeconfigs, err := people.Kubeconfigs(ctx, s.People)
	if err != nil {
		return err
	}
	environment, err := t.environment()
	if err != nil {
		return err
	}
	player := &story.Player{Dir: dir, Environment: environment, Kubeconfigs: kubeconfigs, Narrator: t.narrator}
	result, err := player.Play(ctx, s)
	t.result.Scenes += result.Scenes
	t.result.AsExpected += result.AsExpected
	return err
}

// environment is what commands see: our programs come first, and no settings of whoever runs this.
func (t *theatre) environment() ([]string, error) {
	helm, err := assets.FindHelm(t.root)
	if err != nil {
		return nil, err
	}
	path := []string{t.cluster.Binaries, filepath.Join(t.root, "bin"), filepath.Dir(helm), os.Getenv("PATH")}
	return []string{"PATH=" + strings.Join(path, string(os.PathListSeparator)), "HOME=" + filepath.Join(state, "people"), "TZ=UTC", "LANG=C.UTF-8"}, nil
}

// sum ends with the line that says whether everything was as expected.
func (t *theatre) sum() error {
	fmt.Printf("\ne2e: %d scenes, %d as expected\n", t.result.Scenes, t.result.AsExpected)
	if t.result.AsExpected != t.result.Scenes {
		fmt.Printf("the logs are in %s\n", logs)
		return errDifferent
	}
	return nil
}

// keepLogs copies the logs of all processes, those of Pods too, out of memory.
func (t *theatre) keepLogs() error {
	out := filepath.Join(t.root, logs)
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("failed to remove earlier logs: %w", err)
	}
	var errs []error
	for name, from := range map[string]string{"processes": filepath.Join(state, "logs"), "pods": filepath.Join(state, "node", "pod-logs")} {
		if _, err := os.Stat(from); err == nil {
			errs = append(errs, os.CopyFS(filepath.Join(out, name), os.DirFS(from)))
		}
	}
	return errors.Join(errs...)
}
