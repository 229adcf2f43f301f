package undo

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/internal/compare"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout, namespace: payments, uid: u, resourceVersion: "7", generation: 3, labels: {team: payments}}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: app, image: "app:1", args: [a, b]}
      - {name: proxy, image: "proxy:1"}
status: {readyReplicas: 2}
`

func TestTakingBack(t *testing.T) {
	cases := map[string]struct {
		reason string
		// after is the object after the write, and live as it is when it is taken back. Empty: as after the write.
		before, after, live string
		fields              []string
		want                string
		kept                []string
	}{
		"ScalarsAndElements": {
			reason: "fields of maps and of named elements are told apart",
			before: deployment,
			after: `
metadata: {name: checkout, namespace: payments, uid: u, resourceVersion: "9", generation: 4, labels: {team: payments, "signoff.dev/tmp": "yes"}}
spec:
  replicas: 5
  template:
    spec:
      containers:
      - {name: app, image: "app:1", args: [a, c]}
      - {name: proxy, image: "proxy:2"}
      - {name: debug, image: "debug:1"}
status: {readyReplicas: 1}
`,
			fields: []string{"apiVersion", "kind", "metadata.labels[signoff.dev/tmp]", "spec.replicas", "spec.template.spec.containers[app].args",
				"spec.template.spec.containers[debug]", "spec.template.spec.containers[proxy].image"},
			want: deployment,
		},
		"OnlyWhatIsOurs": {
			reason: "somebody has changed a field and added an element since",
			before: `spec: {replicas: 2, paused: true, list: [{name: a}]}`,
			after:  `spec: {replicas: 5, paused: false, list: [{name: a}, {name: ours}]}`,
			live:   `spec: {replicas: 7, paused: false, list: [{name: theirs}, {name: a}, {name: ours}]}`,
			fields: []string{"spec.list[ours]", "spec.paused", "spec.replicas"},
			want:   `spec: {replicas: 7, paused: true, list: [{name: theirs}, {name: a}]}`,
			kept:   []string{"spec.replicas"},
		},
		"RemovedFields": {
			reason: "what a write removed comes back",
			before: `data: {a: "1", b: "2"}`,
			after:  `data: {a: "1"}`,
			fields: []string{"data.b"},
			want:   `data: {a: "1", b: "2"}`,
		},
		"RemovedElement": {
			reason: "an element that was removed comes back, at the end",
			before: `l: [{name: a, v: 1}, {name: b, v: 2}]`,
			after:  `l: [{name: b, v: 2}]`,
			fields: []string{"l[a]"},
			want:   `l: [{name: b, v: 2}, {name: a, v: 1}]`,
		},
		"WholeMaps": {
			reason: "no empty map is left behind",
			before: `metadata: {name: one}`,
			after:  `metadata: {name: one, annotations: {x: "1"}}`,
			fields: []string{"metadata.annotations", "metadata.annotations.x"},
			want:   `metadata: {name: one}`,
		},
		"MapThatSomebodySharesNow": {
			reason: "a map that the write created and somebody has added to cannot go as a whole",
			before: `metadata: {name: one}`,
			after:  `metadata: {name: one, annotations: {x: "1"}}`,
			live:   `metadata: {name: one, annotations: {x: "1", theirs: "2"}}`,
			fields: []string{"metadata.annotations", "metadata.annotations.x"},
			want:   `metadata: {name: one, annotations: {theirs: "2"}}`,
		},
		"RestoredAlready": {
			reason: "a second time changes nothing",
			before: `spec: {replicas: 2}`, after: `spec: {replicas: 5}`, live: `spec: {replicas: 2}`,
			fields: []string{"spec.replicas"},
			want:   `spec: {replicas: 2}`,
		},
		"PlaceIsGone": {
			reason: "the element in which the field was is gone",
			before: `l: [{name: a, v: 1}]`, after: `l: [{name: a, v: 2}]`, live: `l: []`,
			fields: []string{"l[a].v"},
			want:   `l: []`,
			kept:   []string{"l[a].v"},
		},
		"SomebodyElseToo": {
			reason: "who has written the same value since means to keep it, in an element of a list as well",
			before: `spec: {replicas: 2, l: [{name: a, v: 1, w: 1}]}`, after: `spec: {replicas: 5, l: [{name: a, v: 2, w: 2}, {name: b, v: 3}]}`,
			live: `
spec: {replicas: 5, l: [{name: a, v: 2, w: 2}, {name: b, v: 3}]}
metadata:
  managedFields:
  - {manager: signoff, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:replicas": {}, "f:l": {'k:{"name":"a"}': {"f:v": {}, "f:w": {}}}}}}
  - {manager: status, operation: Update, subresource: status, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:replicas": {}}}}
  - manager: owner
    operation: Apply
    fieldsType: FieldsV1
    fieldsV1: {"f:spec": {"f:l": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:v": {}}, 'k:{"name":"b"}': {"f:v": {}}}}}
`,
			want: `{metadata: {}, spec: {replicas: 2, l: [{name: a, v: 2, w: 1}, {name: b, v: 3}]}}`,
			kept: []string{"spec.l[a].v owner", "spec.l[b] owner"},
		},
		"Numbers": {
			reason: "1 and 1.0 are one number",
			before: `v: 1`, after: `v: 1.0`,
			want: `v: 1`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before, after := object(t, tc.before), object(t, tc.after)
			fields, err := Fields(before, after)
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for i := range fields {
				paths = append(paths, Text(fields[i].Path))
			}
			slices.Sort(paths)
			if tc.fields != nil && !slices.Equal(paths, tc.fields) {
				t.Errorf("%s: the write changes %q, expected %q", tc.reason, paths, tc.fields)
			}
			live := after
			if tc.live != "" {
				live = object(t, tc.live)
			}
			got, err := Restore(live, fields, []string{"signoff"})
			if err != nil {
				t.Fatal(err)
			}
			if want := written(object(t, tc.want)); !compare.Same(want, written(got.Object)) {
				t.Errorf("%s (-want +got):\n%s", tc.reason, cmp.Diff(want, written(got.Object)))
			}
			var kept []string
			for _, field := range got.Kept {
				kept = append(kept, strings.TrimSpace(field.Path+" "+field.By))
			}
			if !slices.Equal(kept, tc.kept) {
				t.Errorf("%s: kept %q, expected %q", tc.reason, kept, tc.kept)
			}
			if got.Changed == compare.Same(live, got.Object) {
				t.Errorf("%s: changed is %t", tc.reason, got.Changed)
			}
		})
	}
}
