// Package assets says which programs the repository builds for itself and where the built ones are kept.
package assets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// EnvDirectory names the variable that points to control plane binaries which are used instead of our own build.
// It is the variable of controller-runtime's envtest, so that one setting serves both.
const EnvDirectory = "KUBEBUILDER_ASSETS"

// Program is one binary of a set.
type Program struct {
	// Name is the file name of the binary.
	Name string
	// Package is the import path that is built.
	Package string
	// LDFlags are the linker flags.
	LDFlags string
	// Weight is the share of the build time of the whole set when every cache is cold, in percent.
	Weight int
}

// Set is a group of programs that are pinned by one go.mod.
type Set struct {
	// Name is the name of the set: also the name of its folder in the cache.
	Name string
	// Module is the folder of the pinning module, relative to the root of the repository.
	Module string
	// ColdSeconds is about how long the build takes with empty caches on two cores.
	ColdSeconds int
	// Programs are built in this order.
	Programs []Program
}

// Directory returns where the built set is kept for the repository at root. It lies outside the work tree, so that cleaning
// the tree does not cost a rebuild, and it is named by everything that decides what is built.
func (s Set) Directory(root string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("failed to find the cache directory: %w", err)
	}
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, s.Module, name))
		if err != nil {
			return "", fmt.Errorf("failed to read the pins of %s: %w", s.Name, err)
		}
		sum.Write(content)
	}
	for _, p := range s.Programs {
		sum.Write(fmt.Appendln(nil, p.Name, p.Package, p.LDFlags))
	}
	sum.Write(fmt.Appendln(nil, runtime.GOOS, runtime.GOARCH))
	return filepath.Join(cache, "signoff", s.Name, hex.EncodeToString(sum.Sum(nil))[:16]), nil
}

// Only returns the set with only the named programs.
func (s Set) Only(names []string) (Set, error) {
	known := s.Programs
	s.Programs = nil
	for _, name := range names {
		at := slices.IndexFunc(known, func(p Program) bool { return p.Name == name })
		if at < 0 {
			return Set{}, fmt.Errorf("%s has no program %q", s.Name, name)
		}
		s.Programs = append(s.Programs, known[at])
	}
	return s, nil
}

// Missing lists the programs of the set that dir does not hold, in the order of the set.
func (s Set) Missing(dir string) []string {
	var missing []string
	for _, p := range s.Programs {
		info, err := os.Stat(filepath.Join(dir, p.Name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			missing = append(missing, p.Name)
		}
	}
	return missing
}

// FindControlPlane returns the directory with the control plane binaries: the one KUBEBUILDER_ASSETS names, or else our own
// build. It never builds; the error says how to.
func FindControlPlane(root string) (string, error) {
	if dir := os.Getenv(EnvDirectory); dir != "" {
		if missing := ControlPlane.Missing(dir); len(missing) > 0 {
			return "", fmt.Errorf("%s is set to %q, which does not hold the executables %s: unset it to use our own build",
				EnvDirectory, dir, strings.Join(missing, ", "))
		}
		return filepath.Abs(dir)
	}
	return ControlPlane.find(root, "the control plane", "make controlplane")
}

// FindHelm returns the path of our own build of helm. It never builds; the error says how to.
func FindHelm(root string) (string, error) {
	dir, err := Helm.find(root, "helm", "go run ./hack/build set helm")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "helm"), nil
}

// FindTerraform returns the path of our own build of terraform. It never builds; the error says how to.
func FindTerraform(root string) (string, error) {
	dir, err := Terraform.find(root, "Terraform", "go run ./hack/build set terraform")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "terraform"), nil
}

// FindNode returns the folders of our own builds of what a node needs: the kubelet's, and that of containerd. It never builds.
func FindNode(root string) (kubelet, containers string, err error) {
	if kubelet, err = Node.find(root, "the kubelet", "go run ./hack/build set node"); err != nil {
		return "", "", err
	}
	containers, err = Containers.find(root, "containerd", "go run ./hack/build set containers")
	return kubelet, containers, err
}

// find returns the folder of the built set, or says which command builds it.
func (s Set) find(root, what, command string) (string, error) {
	dir, err := s.Directory(root)
	if err != nil {
		return "", err
	}
	if len(s.Missing(dir)) > 0 {
		return "", fmt.Errorf("%s is not built: run %q first (it would be in %s)", what, command, dir)
	}
	return dir, nil
}

// ErrNoRoot says that no parent folder is the root of this repository.
var ErrNoRoot = errors.New("no go.mod of module github.com/signoff-dev/signoff in this folder or above it")

// Root returns the root of the repository that contains the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("failed to find the working directory: %w", err)
	}
	for {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		switch {
		case err == nil && slices.Contains(strings.Split(string(content), "\n"), "module github.com/signoff-dev/signoff"):
			return dir, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("failed to read go.mod: %w", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNoRoot
		}
		dir = parent
	}
}
