package steps

import (
	"context"
	"testing"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// inputSchema is that of inputs in which every test can find what it needs.
func inputSchema() *structuralschema.Structural {
	of := func(kind string) structuralschema.Structural {
		return structuralschema.Structural{Generic: structuralschema.Generic{Type: kind}}
	}
	free := structuralschema.Structural{
		Generic:    structuralschema.Generic{Type: "object"},
		Extensions: structuralschema.Extensions{XPreserveUnknownFields: true},
	}
	text := of("string")
	list := of("array")
	list.Items = &text
	anything := of("array")
	anything.Items = &free
	out := of("object")
	out.Properties = map[string]structuralschema.Structural{
		"text": text, "name": text, "namespace": text, "number": of("integer"), "list": list, "free": free, "objects": anything,
	}
	return &out
}

func compiler(t testing.TB) *expression.Compiler {
	t.Helper()
	c, err := expression.NewCompiler(expression.TemplatePlace, inputSchema())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decode[T any](t testing.TB, source string) *T {
	t.Helper()
	out := new(T)
	if err := yaml.UnmarshalStrict([]byte(source), out); err != nil {
		t.Fatalf("%v in:\n%s", err, source)
	}
	return out
}

func object(t testing.TB, source string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return u
}

// deployment is a target for the Action of the tests.
var deployment = &v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "${inputs.namespace}", Name: "${inputs.name}"}

// compileSteps compiles steps that are written as YAML.
func compileSteps(t testing.TB, target *v1alpha1.ObjectReference, steps string) (*Steps, field.ErrorList) {
	t.Helper()
	exec := &v1alpha1.Execution{ServiceAccountName: "deployer", Timeout: "30m", Steps: *decode[[]v1alpha1.Step](t, steps)}
	return Compile(exec, target, compiler(t), field.NewPath("spec", "execution"))
}

// compileFinally compiles steps of finally, after one step with outputs.
func compileFinally(t testing.TB, target *v1alpha1.ObjectReference, steps string) (*Steps, field.ErrorList) {
	t.Helper()
	exec := &v1alpha1.Execution{ServiceAccountName: "deployer", Timeout: "30m",
		Steps: *decode[[]v1alpha1.Step](t, `[`+first+`]`), Finally: *decode[[]v1alpha1.Step](t, steps)}
	return Compile(exec, target, compiler(t), field.NewPath("spec", "execution"))
}

func mustCompile(t testing.TB, steps string) *Steps {
	t.Helper()
	out, errs := compileSteps(t, deployment, steps)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return out
}

// input is a request with these inputs.
func input(inputs map[string]any) Input {
	all := map[string]any{"namespace": "production", "name": "checkout"}
	for name, value := range inputs {
		all[name] = value
	}
	return Input{
		Namespace: "platform", Action: "deploy", RequestName: "checkout-1-42", RequestUID: "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002",
		Vars: expression.Vars{Values: map[string]any{
			"inputs":    all,
			"request":   map[string]any{"name": "checkout-1-42", "uid": "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"},
			"requester": map[string]any{"username": "alice"},
			"target":    map[string]any{"metadata": map[string]any{"name": "checkout"}, "nothing": nil},
		}},
		Budget: expression.NewBudget(),
	}
}

// renderOne renders the only write of the only step.
func renderOne(t testing.TB, s *Steps, in Input) (v1alpha1.RenderedWrite, error) {
	t.Helper()
	rendered, err := s.Render(context.Background(), in)
	if err != nil {
		return v1alpha1.RenderedWrite{}, err
	}
	if len(rendered) != 1 || len(rendered[0].Writes) != 1 {
		t.Fatalf("want one write, got %+v", rendered)
	}
	return rendered[0].Writes[0], nil
}
