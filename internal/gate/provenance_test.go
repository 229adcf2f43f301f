package gate

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

// listing denies where a report of a list says so.
const listing = `
kind: Action
metadata: {namespace: platform, name: promote}
spec:
  title: Promote
  lookups: [{as: reports, list: {apiVersion: v1, kind: ConfigMap, namespace: reports}}]
  rules: [{name: vulnerable, when: "reports.exists(r, r.data.critical != '0')", effect: Deny}]
  default: {effect: Allow}
  execution: {serviceAccountName: a, steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: web, name: note}}]}}]}
---
kind: Role
metadata: {namespace: platform, name: all}
spec: {members: {users: [alice]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}
`

// reports is a cluster with a list of reports.
type reports struct{ cluster }

func (reports) List(context.Context, string, string, Query) (*unstructured.UnstructuredList, error) {
	list := &unstructured.UnstructuredList{}
	for _, name := range []string{"backend", "checkout"} {
		list.Items = append(list.Items, unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": "reports", "name": name}, "data": map[string]any{"critical": "0"},
		}})
	}
	return list, nil
}

// TestObjectsOfAList: a right on one object by its name is enough to have written a part of a list.
func TestObjectsOfAList(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		writable []string
		unknown  bool
	}{
		"Nothing": {reason: "Who may write none of it can rely on it."},
		"All":     {reason: "Who may write every object may write the list.", writable: []string{"ConfigMap "}, unknown: true},
		"One":     {reason: "Who may write one of the objects can have made it harmless.", writable: []string{"ConfigMap checkout"}, unknown: true},
		"Other":   {reason: "An object that is not in the list does not count.", writable: []string{"ConfigMap frontend"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateOver(t, listing, config.Default(), reports{cluster{writable: tc.writable}}, clock.RealClock{})
			j := g.Judge(t.Context(), asking("alice", "promote", ""), monday)
			if !tc.unknown && (j.Problem != nil || j.Verdict.Effect != v1alpha1.EffectAllow) {
				t.Errorf("%s\nwant Allow, got %+v", tc.reason, j.Problem)
			}
			if tc.unknown && (j.Problem == nil || j.Problem.Reason != v1alpha1.ReasonIndeterminate || !strings.Contains(j.Problem.Message, "can be changed by you (alice)")) {
				t.Errorf("%s\nwant no answer, got %+v", tc.reason, j.Problem)
			}
		})
	}
}
