package catalog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const counting = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: scale}
spec:
  title: Scale
  lookups: [{as: recent, executions: {within: 1h}}]
  rules: [{name: budget, when: "size(recent) < 5", effect: Allow}]
  execution:
    serviceAccountName: scaler
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}]
`

func TestExecutions(t *testing.T) {
	ref := func(name string) v1alpha1.ActionReference {
		return v1alpha1.ActionReference{Namespace: "platform", Name: name}
	}
	for name, tc := range map[string]struct {
		reason, lookup string
		want           *Executions
		errs           map[string]string
	}{
		"Itself":  {"Without a list an Action counts itself.", "{within: 1h}", &Executions{Actions: []v1alpha1.ActionReference{ref("scale")}, Within: time.Hour}, nil},
		"Week":    {"A week is the longest.", "{within: 168h}", &Executions{Actions: []v1alpha1.ActionReference{ref("scale")}, Within: 168 * time.Hour}, nil},
		"Own":     {"It can count for the requester only.", "{within: 1h, by: Requester}", &Executions{Actions: []v1alpha1.ActionReference{ref("scale")}, Own: true, Within: time.Hour}, nil},
		"Several": {"Several Actions have one budget.", "{within: 1h, actions: [restart, scale]}", &Executions{Actions: []v1alpha1.ActionReference{ref("restart"), ref("scale")}, Within: time.Hour}, nil},
		"NotItself": {
			"A misspelt name would be a budget that is never used up.", "{within: 1h, actions: [sclae]}", nil,
			map[string]string{"spec.lookups[0].executions.actions": "name this Action too: scale"},
		},
		"TooLong": {
			"What is older is not looked for.", "{within: 169h}", nil,
			map[string]string{"spec.lookups[0].executions.within": "at most 168h"},
		},
		"NoTime": {
			"A budget has a span.", "{within: 0s}", nil,
			map[string]string{"spec.lookups[0].executions.within": "longer than zero"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.Action{}
			parse(t, strings.Replace(counting, "{within: 1h}", tc.lookup, 1), object)
			compiled, errs := CompileAction(object)
			check(t, tc.reason, errs, tc.errs)
			if tc.want == nil {
				return
			}
			if diff := cmp.Diff(tc.want, compiled.Lookups[0].Executions); diff != "" || !compiled.Counts {
				t.Errorf("%s\nit counts: %t; -want, +got:\n%s", tc.reason, compiled.Counts, diff)
			}
		})
	}
}

func TestCounts(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, lookup string
		want           bool
	}{
		"Records": {"Whoever reads Records rests on what was executed.", "list: {apiVersion: signoff.dev/v1alpha1, kind: Record, namespace: signoff-system}", true},
		"Other":   {"A kind of the same name elsewhere is something else.", "list: {apiVersion: music.example/v1, kind: Record}", false},
		"Pods":    {"Other facts are not what was executed.", "list: {apiVersion: v1, kind: Pod}", false},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.Action{}
			parse(t, strings.Replace(counting, "executions: {within: 1h}", tc.lookup, 1), object)
			compiled, errs := CompileAction(object)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if compiled.Counts != tc.want {
				t.Errorf("%s\nwant %t, got %t", tc.reason, tc.want, compiled.Counts)
			}
		})
	}
}
