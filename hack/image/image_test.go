package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/hack/assets"
)

// unpack gives what an archive has, by its name, and the modes.
func unpack(t *testing.T, content []byte) (files map[string][]byte, modes map[string]int64) {
	t.Helper()
	files, modes = map[string][]byte{}, map[string]int64{}
	reader := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, modes
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
		modes[header.Name] = header.Mode
	}
}

// made writes an image of a program and certificates, and gives the archive.
func made(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"signoff": "the program", "ca.crt": "the certificates"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "image.tar")
	if err := run([]string{"-name=signoff:1", "-name=signoff:2", "-out=" + out, "-certificates=" + filepath.Join(dir, "ca.crt"), filepath.Join(dir, "signoff")}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// decode reads JSON into a new value.
func decode[T any](t *testing.T, text []byte) (value T) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

type configuration struct {
	Architecture, OS string
	Config           struct {
		User       string
		Entrypoint []string
	}
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// TestImage reads what was written, as whoever imports it does.
func TestImage(t *testing.T) {
	files, _ := unpack(t, made(t))
	manifests := decode[[]manifest](t, files["manifest.json"])
	if len(manifests) != 1 || len(manifests[0].Layers) != 1 {
		t.Fatalf("one image of one layer is expected: %+v", manifests)
	}
	layer := files[manifests[0].Layers[0]]
	got := decode[configuration](t, files[manifests[0].Config])
	want := configuration{OS: "linux", Architecture: got.Architecture}
	want.Config.User, want.Config.Entrypoint = "65532:65532", []string{"/signoff"}
	want.RootFS.DiffIDs = []string{"sha256:" + digest(layer)}
	if diff := cmp.Diff(want, got); diff != "" || got.Architecture == "" {
		t.Errorf("the configuration (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"signoff:1", "signoff:2"}, manifests[0].RepoTags); diff != "" {
		t.Errorf("the names (-want +got):\n%s", diff)
	}
	contents, modes := unpack(t, layer)
	if diff := cmp.Diff(map[string][]byte{
		"signoff": []byte("the program"), "etc/ssl/certs/ca-certificates.crt": []byte("the certificates"),
	}, contents); diff != "" {
		t.Errorf("the files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"signoff": 0o755, "etc/ssl/certs/ca-certificates.crt": 0o644}, modes); diff != "" {
		t.Errorf("the modes (-want +got):\n%s", diff)
	}
}

func TestTheSameImageAgain(t *testing.T) {
	if !bytes.Equal(made(t), made(t)) {
		t.Error("the same program gives another image")
	}
}

// TestSameAsDockerfile holds the two ways to build the image against each other.
func TestSameAsDockerfile(t *testing.T) {
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, last, ok := strings.Cut(string(text), "FROM scratch\n")
	if !ok {
		t.Fatal("the Dockerfile does not end with an empty image")
	}
	files, _ := unpack(t, made(t))
	manifests := decode[[]manifest](t, files["manifest.json"])
	got := decode[configuration](t, files[manifests[0].Config])
	contents, _ := unpack(t, files[manifests[0].Layers[0]])
	for _, match := range regexp.MustCompile(`(?m)^COPY \S+ \S+ /(\S+)$`).FindAllStringSubmatch(last, -1) {
		if _, has := contents[match[1]]; !has {
			t.Errorf("ours lacks /%s", match[1])
		}
		delete(contents, match[1])
	}
	if len(contents) > 0 {
		t.Errorf("the other lacks %v", contents)
	}
	if want := "USER " + got.Config.User + "\n"; !strings.Contains(last, want) {
		t.Errorf("the Dockerfile does not say %q", want)
	}
	if want := `ENTRYPOINT ["` + got.Config.Entrypoint[0] + `"]`; !strings.Contains(last, want) {
		t.Errorf("the Dockerfile does not say %q", want)
	}
}
