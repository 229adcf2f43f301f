package story_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yaml12 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yaml11 "sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/story"
)

// manifests calls f with every manifest of the examples.
func manifests(t *testing.T, f func(path string, document []byte)) {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(root, "examples"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" || entry.Name() == story.FileName {
			return err
		}
		text, err := os.ReadFile(path)
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			f(path, document)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Flux fills ${…} in before Signoff sees it, unless the object tells it not to.
func TestFluxLeavesTemplatesAlone(t *testing.T) {
	const annotation = "kustomize.toolkit.fluxcd.io/substitute"
	count := 0
	manifests(t, func(path string, document []byte) {
		object := &unstructured.Unstructured{}
		if err := yaml11.Unmarshal(document, &object.Object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		values, err := yaml11.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(values), "${") {
			return
		}
		count++
		if got := object.GetAnnotations()[annotation]; got != "disabled" {
			t.Errorf("%s: %s %q contains ${…}, but its annotation %s is %q", path, object.GetKind(), object.GetName(), annotation, got)
		}
	})
	if count == 0 {
		t.Error("no manifest contains ${…}")
	}
}

// kubectl reads YAML 1.1, in which y is true and 017 is 15; others read YAML 1.2. Manifests mean the same to both.
func TestManifestsMeanTheSameToAll(t *testing.T) {
	manifests(t, func(path string, document []byte) {
		var old, now any
		if err := yaml11.Unmarshal(document, &old); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		decoder := yaml12.NewDecoder(bytes.NewReader(document))
		if err := decoder.Decode(&now); err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%s: %v", path, err)
		}
		want, err := yaml11.Marshal(old)
		if err != nil {
			t.Fatal(err)
		}
		got, err := yaml11.Marshal(now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-YAML 1.1 +YAML 1.2):\n%s", path, diff)
		}
	})
}
