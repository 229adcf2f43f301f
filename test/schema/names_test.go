package schema

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// shortNames are what people type.
var shortNames = map[string]string{
	"sgaction": "actions",
	"sgpolicy": "actionpolicies",
	"ar":       "actionrequests",
	"ap":       "approvals",
	"sgcal":    "calendars",
	"sgdel":    "delegations",
	"sgnotify": "notifiers",
	"sgrecord": "records",
	"sgrole":   "roles",
	"sgteam":   "teams",
}

func discover(t *testing.T) discovery.DiscoveryInterface {
	t.Helper()
	out, err := discovery.NewDiscoveryClientForConfig(server.config)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestShortNames resolves short names as kubectl does, beside all built-in kinds, so that none means two things.
func TestShortNames(t *testing.T) {
	t.Parallel()
	client := discover(t)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	expander := restmapper.NewShortcutExpander(mapper, client, func(warning string) { t.Errorf("want no warning, got %q", warning) })
	for short, plural := range shortNames {
		got, err := expander.ResourceFor(schema.GroupVersionResource{Resource: short})
		if err != nil {
			t.Errorf("want %s to resolve, got: %v", short, err)
			continue
		}
		if diff := cmp.Diff(v1alpha1.GroupVersion.WithResource(plural), got); diff != "" {
			t.Errorf("%s: -want, +got:\n%s", short, diff)
		}
	}
	sameSet(t, "kinds with a short name", valuesOf(shortNames), valuesOf(kinds))
}

// TestCategory demands that kubectl get signoff shows every kind.
func TestCategory(t *testing.T) {
	t.Parallel()
	resources, ok := restmapper.NewDiscoveryCategoryExpander(discover(t)).Expand("signoff")
	if !ok {
		t.Fatal("want a category signoff, but there is none")
	}
	var got []string
	for _, resource := range resources {
		if resource.Group == v1alpha1.GroupVersion.Group {
			got = append(got, resource.Resource)
		}
	}
	sameSet(t, "kinds in the category signoff", got, valuesOf(kinds))
}

// TestServedAsTheTypesSay compares scope, kind and subresources with what the rest of Signoff is written against.
func TestServedAsTheTypesSay(t *testing.T) {
	t.Parallel()
	list, err := discover(t).ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, resource := range list.APIResources {
		names = append(names, resource.Name)
		cluster := slices.Contains([]string{"teams", "teams/status", "actionpolicies", "actionpolicies/status"}, resource.Name)
		if resource.Namespaced == cluster {
			t.Errorf("%s: want namespaced %t, got %t", resource.Name, !cluster, resource.Namespaced)
		}
	}
	var want []string
	for _, plural := range kinds {
		want = append(want, plural, plural+"/status")
	}
	sameSet(t, "resources", names, want)
}

func valuesOf(m map[string]string) []string {
	var out []string
	for _, value := range m {
		out = append(out, value)
	}
	return out
}
