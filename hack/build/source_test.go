package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/hack/assets"
)

// pinned is a set whose program is in another module, which is served from a folder, and whose checksum is pinned.
func pinned(t *testing.T) (set assets.Set, root string) {
	t.Helper()
	proxy, root := t.TempDir(), t.TempDir()
	const mod = "module tiny.example/tiny\n\ngo 1.26.0\n"
	versions := filepath.Join(proxy, "tiny.example", "tiny", "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	archive, err := os.Create(filepath.Join(versions, "v1.0.0.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	packed := zip.NewWriter(archive)
	for name, content := range map[string]string{"go.mod": mod, "cmd/nothing/main.go": "package main\n\nfunc main() {}\n"} {
		file, err := packed.Create("tiny.example/tiny@v1.0.0/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		filepath.Join(versions, "v1.0.0.mod"):  mod,
		filepath.Join(versions, "v1.0.0.info"): `{"Version":"v1.0.0"}`,
		filepath.Join(root, "go.mod"):          "module pins\n\ngo 1.26.0\n\nrequire tiny.example/tiny v1.0.0\n",
		filepath.Join(root, "go.sum"): "tiny.example/tiny v1.0.0 h1:V3JsQYPS6CpbX8RFWbGV7YYNBbeWWmZueQKM9EYgL58=\n" +
			"tiny.example/tiny v1.0.0/go.mod h1:6NefgBG+b2RzEdcCuNfzwJe6MnLBU8UAHjJISDlt+MY=\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"GOPROXY": "file://" + proxy, "GONOSUMDB": "*", "GOFLAGS": "-modcacherw", "GOMODCACHE": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	return assets.Set{
		Name: "pinned", Source: "tiny.example/tiny",
		Programs: []assets.Program{{Name: "nothing", Package: "tiny.example/tiny/cmd/nothing", Weight: 100}},
	}, root
}

func TestBuildInACopy(t *testing.T) {
	set, root := pinned(t)
	dir := t.TempDir()
	if err := build(t.Context(), set, root, dir); err != nil {
		t.Fatal(err)
	}
	if missing := set.Missing(dir); len(missing) > 0 {
		t.Errorf("not built: %q", missing)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".build-*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestBuildRefusesAnotherChecksum(t *testing.T) {
	set, root := pinned(t)
	path := filepath.Join(root, "go.sum")
	sums, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(sums), "h1:", "h1:X", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), set, root, t.TempDir()); err == nil || !strings.Contains(err.Error(), "failed to download tiny.example/tiny") {
		t.Errorf("got error %v, want that the checksum is another one", err)
	}
}
