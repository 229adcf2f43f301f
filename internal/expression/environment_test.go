package expression

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Programs run in an environment of our own, so that they need not count their cost. It must offer what the type checker
// promises.
func TestRuntimeHasAllFunctions(t *testing.T) {
	checked, err := groundOf(ActionRule)
	if err != nil {
		t.Fatal(err)
	}
	run, err := runtime()
	if err != nil {
		t.Fatal(err)
	}
	there := run.Functions()
	for name, decl := range checked.env.Functions() {
		if there[name] == nil {
			t.Errorf("function %s is declared, but cannot run", name)
			continue
		}
		want, got := overloadIDs(decl), overloadIDs(there[name])
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("overloads of %s: -declared +runnable:\n%s", name, diff)
		}
	}
}

// A library that is new in Kubernetes may bring options for programs, which must then be added to planned.
func TestLibrariesAreKnown(t *testing.T) {
	got := kubernetes().Libraries()
	slices.Sort(got)
	want := []string{
		"cel.lib.ext.comprev2", "cel.lib.ext.lists", "cel.lib.ext.sets", "cel.lib.ext.strings", "cel.lib.optional", "cel.lib.std",
		"kubernetes.authz", "kubernetes.authzSelectors", "kubernetes.format", "kubernetes.net.cidr", "kubernetes.net.ip",
		"kubernetes.lists", "kubernetes.quantity", "kubernetes.regex", "kubernetes.Semver", "kubernetes.urls",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("look at the ProgramOptions of new libraries: -want +got:\n%s", diff)
	}
}
