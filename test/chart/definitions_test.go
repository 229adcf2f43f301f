package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/test/play"
)

// foreign are the kinds of others of which the chart makes objects: where their definitions are in the module that hack/definitions pins.
var foreign = map[string][]string{
	"github.com/cert-manager/cert-manager": {
		"deploy/crds/cert-manager.io_certificates.yaml", "deploy/crds/cert-manager.io_issuers.yaml",
	},
	"github.com/prometheus-operator/prometheus-operator": {
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	},
}

// defineForeign lets the API server know the kinds of others, as their own projects define them, for one test.
func defineForeign(t *testing.T) {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	for module, files := range foreign {
		command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
		command.Dir = filepath.Join(root, "hack", "definitions")
		out, err := command.Output()
		var found struct{ Dir string }
		if err == nil {
			err = json.Unmarshal(out, &found)
		}
		if err != nil {
			t.Fatalf("failed to get %s: %v\n%s", module, err, out)
		}
		for _, file := range files {
			define(t, filepath.Join(found.Dir, file))
		}
	}
}

func define(t *testing.T, file string) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	// Such a file is called by group and plural.
	group, plural, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_")
	definition.SetName(plural + "." + group)
	t.Cleanup(func() {
		if err := admin(t).Delete(context.WithoutCancel(t.Context()), definition); err != nil {
			t.Error(err)
		}
	})
	play.Eventually(t, definition.GetName()+" is served", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(definition), definition)
		conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
		return err == nil && slices.ContainsFunc(conditions, func(c any) bool {
			condition, _ := c.(map[string]any)
			return condition["type"] == string(apiextensionsv1.Established) && condition["status"] == "True"
		}), fmt.Sprint(err, conditions)
	})
}
