package assets

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestControlPlaneReportsThePinnedVersion(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root(t), ControlPlane.Module, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(content), "k8s.io/kubernetes v")
	if !ok {
		t.Fatal("go.mod does not require k8s.io/kubernetes")
	}
	version := strings.Fields(rest)[0]
	for _, program := range slices.Concat(ControlPlane.Programs, Node.Programs) {
		if strings.HasPrefix(program.Package, "k8s.io/") && !strings.Contains(program.LDFlags, "gitVersion=v"+version+" ") {
			t.Errorf("%s: want version %s, linker flags are %q", program.Name, version, program.LDFlags)
		}
	}
}

func TestWeightsAreShares(t *testing.T) {
	for _, set := range Sets {
		sum := 0
		for _, program := range set.Programs {
			sum += program.Weight
		}
		if sum != 100 {
			t.Errorf("%s: the weights sum up to %d", set.Name, sum)
		}
	}
}

func TestDirectoryDependsOnThePins(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/cache")
	at := func(mod, sum, flags string) string {
		dir := t.TempDir()
		for name, content := range map[string]string{"go.mod": mod, "go.sum": sum} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Set{Name: "some", Programs: []Program{{Name: "p", LDFlags: flags}}}.Directory(dir)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	base := at("m", "s", "f")
	if !strings.HasPrefix(base, "/cache/signoff/some/") {
		t.Errorf("the directory is %s, want it below /cache/signoff/some", base)
	}
	if diff := cmp.Diff(base, at("m", "s", "f")); diff != "" {
		t.Errorf("the same pins in another folder (-first +second):\n%s", diff)
	}
	for change, other := range map[string]string{
		"go.mod": at("M", "s", "f"), "go.sum": at("m", "S", "f"), "linker flags": at("m", "s", "F"),
	} {
		if other == base {
			t.Errorf("another %s gives the same directory", change)
		}
	}
}

// fill makes executables with the names in a new folder.
func fill(t *testing.T, mode os.FileMode, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindControlPlane(t *testing.T) {
	var all []string
	for _, program := range ControlPlane.Programs {
		all = append(all, program.Name)
	}
	for name, tc := range map[string]struct {
		reason    string
		dir       string
		wantError string
	}{
		"complete": {reason: "A folder with everything is used.", dir: fill(t, 0o755, all...)},
		"partial": {
			reason:    "The usual envtest download has three of six; the error names the others.",
			dir:       fill(t, 0o755, "etcd", "kube-apiserver", "kubectl"),
			wantError: "does not hold the executables kube-controller-manager, kube-scheduler, kwok",
		},
		"not executable": {
			reason:    "A file that cannot be started is missing.",
			dir:       fill(t, 0o644, all...),
			wantError: "does not hold the executables etcd",
		},
		"no folder": {reason: "A wrong path is found at once.", dir: "/nowhere", wantError: `is set to "/nowhere"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(EnvDirectory, tc.dir)
			got, err := FindControlPlane(root(t))
			switch {
			case tc.wantError == "" && (err != nil || got != tc.dir):
				t.Errorf("%s: got %q, %v, want %q", tc.reason, got, err, tc.dir)
			case tc.wantError != "" && (err == nil || !strings.Contains(err.Error(), tc.wantError)):
				t.Errorf("%s: got error %v, want one that says %q", tc.reason, err, tc.wantError)
			}
		})
	}
}

func TestFindControlPlaneSaysHowToBuild(t *testing.T) {
	t.Setenv(EnvDirectory, "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := FindControlPlane(root(t))
	if err == nil || !strings.Contains(err.Error(), `run "make controlplane"`) {
		t.Errorf("got error %v, want one that says how to build", err)
	}
}

func TestRootOutside(t *testing.T) {
	t.Chdir(t.TempDir())
	if dir, err := Root(); err == nil {
		t.Errorf("got %q outside the repository, want an error", dir)
	}
}
