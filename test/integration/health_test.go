package integration

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

const gitOpsGuide = "../../docs/guides/gitops.md"

// What tools show of a request, by its phase: Flux in the words of kstatus, Argo CD in its own.
const (
	current, failed, inProgress              = "Current", "Failed", "InProgress"
	healthy, suspended, degraded, progressed = "Healthy", "Suspended", "Degraded", "Progressing"
)

// health is what the guide promises for each phase.
var health = map[v1alpha1.Phase][2]string{
	v1alpha1.PhasePending:          {inProgress, progressed},
	v1alpha1.PhaseAwaitingApproval: {current, suspended},
	v1alpha1.PhaseApproved:         {inProgress, progressed},
	v1alpha1.PhaseHeld:             {current, suspended},
	v1alpha1.PhaseExecuting:        {inProgress, progressed},
	v1alpha1.PhaseOutcomeUnknown:   {failed, degraded},
	v1alpha1.PhaseActive:           {current, healthy},
	v1alpha1.PhaseReverting:        {inProgress, progressed},
	v1alpha1.PhaseSucceeded:        {current, healthy},
	v1alpha1.PhaseFailed:           {failed, degraded},
	v1alpha1.PhaseDenied:           {failed, degraded},
	v1alpha1.PhaseExpired:          {failed, degraded},
	v1alpha1.PhaseCancelled:        {failed, degraded},
	v1alpha1.PhaseReverted:         {current, healthy},
}

// TestHealth runs what the guide gives Flux and Argo CD to judge requests by, as they do.
func TestHealth(t *testing.T) {
	flux, argo := fluxHealth(t), argoHealth(t)
	for phase, want := range health {
		object := map[string]any{"metadata": map[string]any{"name": "a"}, "status": map[string]any{"phase": string(phase), "waitingFor": "somebody"}}
		got := [2]string{flux(object), ""}
		var message string
		got[1], message = argo(object)
		if got != want || message != "somebody" {
			t.Errorf("%s: want %v, got %v and the message %q", phase, want, got, message)
		}
	}
	if diff := cmp.Diff(phases(t), slices.Sorted(maps.Keys(health))); diff != "" {
		t.Errorf("phases (-definition +test):\n%s", diff)
	}
	// A request that is new has no phase, and for a moment no status: Flux cannot evaluate that, and asks again.
	for name, tc := range map[string]struct {
		object map[string]any
		flux   string
	}{
		"NoPhase":  {map[string]any{"status": map[string]any{"observedGeneration": int64(1)}}, inProgress},
		"NoStatus": {map[string]any{"metadata": map[string]any{}}, "no such attribute"},
	} {
		if got := flux(tc.object); !strings.Contains(got, tc.flux) {
			t.Errorf("%s: Flux has %q", name, got)
		}
		if got, message := argo(tc.object); got != progressed || message != "" {
			t.Errorf("%s: Argo CD has %s, %q", name, got, message)
		}
	}
}

// phases are those of the definition, sorted.
func phases(t *testing.T) []v1alpha1.Phase {
	t.Helper()
	text, err := os.ReadFile("../../config/crd/signoff.dev_actionrequests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(text, definition); err != nil {
		t.Fatal(err)
	}
	var all []v1alpha1.Phase
	for _, value := range definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"].Properties["phase"].Enum {
		all = append(all, v1alpha1.Phase(strings.Trim(string(value.Raw), `"`)))
	}
	slices.Sort(all)
	return all
}

// fluxHealth evaluates healthCheckExprs as Flux does (RFC 0009): parsed and not checked, failed before current, with the fields of the object as
// variables. An error is given as its text.
func fluxHealth(t *testing.T) func(map[string]any) string {
	t.Helper()
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []struct{ APIVersion, Kind, Current, Failed string }
		}
	}
	if err := yaml.Unmarshal([]byte(play.Marked(t, gitOpsGuide, "flux")), &kustomization); err != nil || len(kustomization.Spec.HealthCheckExprs) != 1 {
		t.Fatalf("%v: %+v", err, kustomization)
	}
	shown := kustomization.Spec.HealthCheckExprs[0]
	if shown.APIVersion != v1alpha1.GroupVersion.String() || shown.Kind != "ActionRequest" {
		t.Errorf("they are about %s %s", shown.APIVersion, shown.Kind)
	}
	environment, err := cel.NewEnv(cel.HomogeneousAggregateLiterals(), cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), ext.Strings(), ext.Sets(), ext.Encoders())
	if err != nil {
		t.Fatal(err)
	}
	program := func(expression string) cel.Program {
		parsed, issues := environment.Parse(expression)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		program, err := environment.Program(parsed)
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
	isFailed, isCurrent := program(shown.Failed), program(shown.Current)
	return func(object map[string]any) string {
		for _, test := range []struct {
			is   cel.Program
			word string
		}{{isFailed, failed}, {isCurrent, current}} {
			value, _, err := test.is.ContextEval(t.Context(), object)
			if err != nil {
				return err.Error()
			}
			if value.Value() == true {
				return test.word
			}
		}
		return inProgress
	}
}

// argoHealth runs the script with the interpreter that Argo CD has, and gives status and message.
func argoHealth(t *testing.T) func(map[string]any) (string, string) {
	t.Helper()
	var config struct{ Data map[string]string }
	if err := yaml.UnmarshalStrict([]byte(play.Marked(t, gitOpsGuide, "argo-cd")), &struct {
		APIVersion, Kind string
		Metadata         map[string]any
		Data             *map[string]string
	}{Data: &config.Data}); err != nil {
		t.Fatal(err)
	}
	script, ok := config.Data["resource.customizations.health."+v1alpha1.GroupVersion.Group+"_ActionRequest"]
	if !ok {
		t.Fatalf("there is no script: %v", config)
	}
	return func(object map[string]any) (string, string) {
		state := lua.NewState()
		defer state.Close()
		state.SetGlobal("obj", table(state, object))
		if err := state.DoString(script); err != nil {
			t.Fatal(err)
		}
		answer, ok := state.Get(-1).(*lua.LTable)
		if !ok {
			t.Fatalf("it gives %s", state.Get(-1))
		}
		return lua.LVAsString(answer.RawGetString("status")), lua.LVAsString(answer.RawGetString("message"))
	}
}

// table makes a table of an object.
func table(state *lua.LState, object map[string]any) *lua.LTable {
	made := state.NewTable()
	for field, value := range object {
		switch value := value.(type) {
		case map[string]any:
			made.RawSetString(field, table(state, value))
		case string:
			made.RawSetString(field, lua.LString(value))
		case int64:
			made.RawSetString(field, lua.LNumber(value))
		}
	}
	return made
}
