package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/system"

	_ "embed"
)

// comparedGroup is the API group of objects that have the schemas of ours and that Signoff knows nothing about.
const comparedGroup = "bench.signoff.dev"

// worldYAML is what requests act on, and who may write what.
//
//go:embed testdata/world.yaml
var worldYAML []byte

// stage is a control plane with Signoff installed, on which one section is measured.
type stage struct {
	root    string
	cluster *env.Cluster
	users   *env.Users
	signoff *system.System
	// log is where the binary logs.
	log string
}

// raise starts a control plane, installs Signoff on it, runs its binary, and fills the catalog. The caller must call lower.
func raise(ctx context.Context, control env.Options, options system.Options) (*stage, error) {
	s := &stage{}
	if err := s.raise(ctx, control, options); err != nil {
		s.lower()
		return nil, err
	}
	return s, nil
}

func (s *stage) raise(ctx context.Context, control env.Options, options system.Options) (err error) {
	if s.root, err = assets.Root(); err != nil {
		return err
	}
	if profile == "" {
		if options.Binary, err = s.build(ctx); err != nil {
			return err
		}
	}
	control.CRDs = true
	tell("starting etcd and kube-apiserver")
	if s.cluster, err = env.Start(ctx, control); err != nil {
		return fmt.Errorf("failed to start the control plane: %w", err)
	}
	if s.users, err = s.cluster.StandardUsers(ctx); err != nil {
		return err
	}
	if err := s.compared(ctx); err != nil {
		return err
	}
	if _, err := s.cluster.ServiceAccount(ctx, env.CatalogNamespace, "deployer"); err != nil {
		return err
	}
	tell("starting signoff")
	s.log = filepath.Join(s.cluster.Dir, "logs", "signoff.log")
	options.Log = s.log
	if s.signoff, err = system.Start(ctx, s.cluster, options); err != nil {
		return errors.Join(err, tail(s.log))
	}
	if err := s.signoff.Grant(ctx, env.CatalogNamespace, "deployer"); err != nil {
		return err
	}
	if err := s.cluster.Apply(ctx, worldYAML); err != nil {
		return err
	}
	return s.cluster.Apply(ctx, catalogYAML)
}

// lower stops what runs. It may be called more than once.
func (s *stage) lower() {
	if s.signoff != nil {
		s.signoff.Stop()
	}
	if s.cluster != nil {
		s.cluster.Stop()
	}
}

// build compiles the operator with the flags of the Makefile, so that the build cache is shared.
func (s *stage) build(ctx context.Context) (string, error) {
	path := filepath.Join(s.root, "bin", "signoff")
	tell("building signoff")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, ".")
	command.Dir, command.Stdout, command.Stderr = s.root, os.Stderr, os.Stderr
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("failed to build signoff: %w", err)
	}
	return path, nil
}

// compared installs CRDs with the schemas of ours in another group.
func (s *stage) compared(context.Context) error {
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, resource := range []string{"actionrequests", "approvals", "records"} {
		name := filepath.Join(s.root, "config", "crd", v1alpha1.GroupVersion.Group+"_"+resource+".yaml")
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("failed to read a CRD: %w", err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, definition); err != nil {
			return fmt.Errorf("failed to decode %s: %w", name, err)
		}
		definition.Name, definition.Spec.Group = resource+"."+comparedGroup, comparedGroup
		definition.Spec.Names.ShortNames, definition.Spec.Names.Categories = nil, nil
		definitions = append(definitions, definition)
	}
	if _, err := envtest.InstallCRDs(s.cluster.Admin, envtest.CRDInstallOptions{CRDs: definitions}); err != nil {
		return fmt.Errorf("failed to install the CRDs to compare with: %w", err)
	}
	return nil
}

// pid is the process of Signoff.
func (s *stage) pid() int {
	if s.signoff.PID == 0 {
		return os.Getpid()
	}
	return s.signoff.PID
}

// as gives a client that acts as somebody. It sends objects as they are, so that both sides of a comparison cost it the same.
func as(config *rest.Config) (dynamic.Interface, error) {
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	return client, nil
}

// tail gives the end of a log as an error, because the file is gone afterwards.
func tail(path string) error {
	const lines = 10
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("end of %s:\n%s", filepath.Base(path), strings.Join(all[max(0, len(all)-lines):], "\n"))
}
