package policytest

import (
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// TestMayWrite: a test counts as writable by the requester what the cluster does.
func TestMayWrite(t *testing.T) {
	list := func(apiVersion, kind, namespace string) gate.Query {
		return gate.Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace}, Limit: 10}
	}
	one := list("v1", "ConfigMap", "limits")
	one.Name = "a"
	for name, tc := range map[string]struct {
		reason string
		query  gate.Query
		want   bool
	}{
		"Object":          {"An object is not writable unless the test says so.", one, false},
		"Writable":        {"One that it names is.", func() gate.Query { q := one; q.Name = "w"; return q }(), true},
		"List":            {"A list of which the test names one object is.", list("v1", "ConfigMap", "limits"), true},
		"OtherList":       {"One of which it names nothing is not.", list("example.com/v1", "Scan", "limits"), false},
		"Everywhere":      {"A list over all namespaces is what whoever may write one anywhere makes of it.", list("example.com/v1", "Scan", ""), true},
		"EverywhereEmpty": {"So is one of a kind of which the test has no object: nobody knows whether it is in namespaces.", list("example.com/v1", "Ticket", ""), true},
		"ClusterScoped":   {"A kind without namespaces has no other list.", list("example.com/v1", "Region", ""), false},
		"BuiltIn":         {"Those that Kubernetes has are known.", list("v1", "Node", ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.writable = []Reference{{APIVersion: "v1", Kind: "ConfigMap", Namespace: "limits", Name: "w"}}
			w.put(map[string]any{"apiVersion": "example.com/v1", "kind": "Scan", "metadata": map[string]any{"namespace": "a", "name": "s"}})
			w.put(map[string]any{"apiVersion": "example.com/v1", "kind": "Region", "metadata": map[string]any{"name": "eu"}})
			got, err := w.MayWrite(t.Context(), &v1alpha1.Identity{Username: "alice"}, false, tc.query)
			if err != nil || got != tc.want {
				t.Errorf("%s\nMayWrite(...): got %t, %v, want %t", tc.reason, got, err, tc.want)
			}
		})
	}
}
