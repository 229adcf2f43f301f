package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// documents reads all documents of an output.
func documents(t *testing.T, text string) []map[string]any {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 64)
	var all []map[string]any
	for {
		one := map[string]any{}
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		all = append(all, one)
	}
}

// TestSeveralObjects: objects that are printed one after the other can be read one after the other.
func TestSeveralObjects(t *testing.T) {
	for output, separators := range map[string]int{"yaml": 1, "json": 0} {
		t.Run(output, func(t *testing.T) {
			var screen bytes.Buffer
			p := &Program{IO: genericiooptions.IOStreams{Out: &screen}}
			command := &cobra.Command{}
			o := outputFlags(command, "done")
			if err := command.Flags().Set("output", output); err != nil {
				t.Fatal(err)
			}
			if err := o.check(false); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"one", "two"} {
				object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}}}
				if err := p.printObject(o, object, "%s"); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Count(screen.String(), "---\n"); got != separators {
				t.Errorf("there are %d separators, want %d:\n%s", got, separators, screen.String())
			}
			if got := documents(t, screen.String()); len(got) != 2 {
				t.Errorf("there are %d documents:\n%s", len(got), screen.String())
			}
		})
	}
}

// TestSaidOnceOfEach: what is said of one object is not said twice of the next.
func TestSaidOnceOfEach(t *testing.T) {
	var screen bytes.Buffer
	p := &Program{IO: genericiooptions.IOStreams{Out: &screen}}
	o := outputFlags(&cobra.Command{}, "approved")
	for range 2 {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "x"}}}
		if err := p.printObject(o, object, printedAs(true)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff("configmap/x approved (server dry run)\nconfigmap/x approved (server dry run)\n", screen.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
