package undo

import (
	"fmt"
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
		kept, left          []string
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
			fields: []string{"apiVersion", "kind", "metadata.labels[signoff.dev/tmp]", "spec.replicas", "spec.template.spec.containers[app].args[b]",
				"spec.template.spec.containers[app].args[c]", "spec.template.spec.containers[debug]", "spec.template.spec.containers[proxy].image"},
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
			reason: "an element that was removed comes back to its place",
			before: `l: [{name: a, v: 1}, {name: b, v: 2}]`,
			after:  `l: [{name: b, v: 2}]`,
			fields: []string{"l.name", "l[a]"},
			want:   `l: [{name: a, v: 1}, {name: b, v: 2}]`,
		},
		"RemovedElementOfSharedList": {
			reason: "it comes back behind those that were before it, and what was added stays where it is",
			before: `l: [{name: a}, {name: b}, {name: c}]`,
			after:  `l: [{name: a}, {name: c}]`,
			live:   `l: [{name: theirs}, {name: a}, {name: c}]`,
			want:   `l: [{name: theirs}, {name: a}, {name: b}, {name: c}]`,
		},
		"ScalarsComeBackToTheirPlace": {
			reason: "the order of words can mean something",
			before: `args: [--level, info, --all]`,
			after:  `args: [--level, debug, --all]`,
			fields: []string{"args.", "args[debug]", "args[info]"},
			want:   `args: [--level, info, --all]`,
		},
		"Reordered": {
			reason: "a list that only changed its order gets it back",
			before: `l: [{name: a}, {name: b}, {name: c}]`,
			after:  `l: [{name: c}, {name: b}, {name: a}]`,
			fields: []string{"l.name"},
			want:   `l: [{name: a}, {name: b}, {name: c}]`,
		},
		"ReorderedAndShared": {
			reason: "where somebody has added to it, nobody can tell which order it is to have",
			before: `l: [a, b, c]`,
			after:  `l: [c, b, a]`,
			live:   `l: [c, b, a, theirs]`,
			want:   `l: [c, b, a, theirs]`,
		},
		"ReorderedAndAppliedSince": {
			reason: "who applies a list as a whole says in which order it is to be",
			before: `l: [a, b]`,
			after:  `l: [b, a]`,
			live: `
l: [b, a]
metadata: {managedFields: [{manager: gitops, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:l": {}}}]}
`,
			want: `{l: [b, a], metadata: {}}`,
		},
		"NewListThatSomebodySharesNow": {
			reason: "a list that the write made and somebody has added to loses what was lent",
			before: `kind: RoleBinding`,
			after:  `{kind: RoleBinding, subjects: [{kind: User, name: alice}]}`,
			live:   `{kind: RoleBinding, subjects: [{kind: User, name: alice}, {kind: User, name: bob}]}`,
			fields: []string{"subjects", "subjects[alice]"},
			want:   `{kind: RoleBinding, subjects: [{kind: User, name: bob}]}`,
		},
		"NewListThatIsOurs": {
			reason: "no empty list is left behind",
			before: `spec: {}`,
			after:  `spec: {members: [alice]}`,
			fields: []string{"spec.members", "spec.members[alice]"},
			want:   `spec: {}`,
		},
		"ListThatWasNull": {
			reason: "null is like nothing",
			before: `spec: {members: null}`,
			after:  `spec: {members: [alice]}`,
			live:   `spec: {members: [alice, bob]}`,
			fields: []string{"spec.members", "spec.members[alice]"},
			want:   `spec: {members: [bob]}`,
		},
		"ScalarsThatSomebodySharesNow": {
			reason: "words are told apart",
			before: `spec: {members: [owner]}`,
			after:  `spec: {members: [owner, alice]}`,
			live:   `spec: {members: [owner, alice, bob]}`,
			fields: []string{"spec.members[alice]"},
			want:   `spec: {members: [owner, bob]}`,
		},
		"SameNamesInOneList": {
			reason: "where no field names the elements, they are told apart by all that they are",
			before: `subjects: [{kind: ServiceAccount, name: default, namespace: a}]`,
			after:  `subjects: [{kind: ServiceAccount, name: default, namespace: a}, {kind: ServiceAccount, name: default, namespace: b}]`,
			live: `subjects: [{kind: ServiceAccount, name: default, namespace: a}, {kind: ServiceAccount, name: default, namespace: b},
				{kind: ServiceAccount, name: default, namespace: c}]`,
			want: `subjects: [{kind: ServiceAccount, name: default, namespace: a}, {kind: ServiceAccount, name: default, namespace: c}]`,
		},
		"SameNameSince": {
			reason: "a group that came by the same name is not the account that was lent",
			before: `kind: RoleBinding`,
			after:  `{kind: RoleBinding, subjects: [{kind: User, name: alice}]}`,
			live:   `{kind: RoleBinding, subjects: [{kind: Group, name: alice}, {kind: User, name: alice}]}`,
			want:   `{kind: RoleBinding, subjects: [{kind: Group, name: alice}]}`,
		},
		"LentElementThatSomebodyHasAddedTo": {
			reason: "what was lent is there, and part of it is theirs: a person must look",
			before: `l: [{name: a}]`,
			after:  `l: [{name: a}, {name: b, v: 1}]`,
			live:   `l: [{name: a}, {name: b, v: 1, theirs: 2}]`,
			want:   `l: [{name: a}, {name: b, v: 1, theirs: 2}]`,
			left:   []string{"l[b]"},
		},
		"LentElementThatIsAnotherOneNow": {
			reason: "nothing of what was lent is there",
			before: `l: [{name: a}]`,
			after:  `l: [{name: a}, {name: b, v: 1}]`,
			live:   `l: [{name: a}, {name: b, v: 2}]`,
			want:   `l: [{name: a}, {name: b, v: 2}]`,
			kept:   []string{"l[b]"},
		},
		"ListInWhichNothingCanBeToldApart": {
			reason: "the rule that was lent is in it still, and nobody can tell what else is theirs",
			before: `rules: [{verbs: [get]}, {verbs: [get]}]`,
			after:  `rules: [{verbs: [get]}, {verbs: [get]}, {verbs: [delete]}]`,
			live:   `rules: [{verbs: [get]}, {verbs: [get]}, {verbs: [delete]}, {verbs: [list]}]`,
			fields: []string{"rules"},
			want:   `rules: [{verbs: [get]}, {verbs: [get]}, {verbs: [delete]}, {verbs: [list]}]`,
			left:   []string{"rules"},
		},
		"ListInWhichNothingIsLentAnyMore": {
			reason: "somebody has taken it out already",
			before: `rules: [{verbs: [get]}, {verbs: [get]}]`,
			after:  `rules: [{verbs: [get]}, {verbs: [get]}, {verbs: [delete]}]`,
			live:   `rules: [{verbs: [get]}, {verbs: [list]}]`,
			want:   `rules: [{verbs: [get]}, {verbs: [list]}]`,
			kept:   []string{"rules"},
		},
		"RuleThatSomebodyHasChanged": {
			reason: "it is known by all that it is, and what it has become holds what was lent still: people must hear of it",
			before: `rules: [{resources: [pods], verbs: [get]}]`,
			after:  `rules: [{resources: [pods], verbs: [get]}, {resources: [secrets], verbs: [get]}]`,
			live:   `rules: [{resources: [pods], verbs: [get]}, {resources: [secrets], verbs: [get, delete]}]`,
			fields: []string{`rules[{"resources":["secrets"],"verbs":["get"]}]`},
			want:   `rules: [{resources: [pods], verbs: [get]}, {resources: [secrets], verbs: [get, delete]}]`,
			kept:   []string{`rules[{"resources":["secrets"],"verbs":["get"]}] like`},
		},
		"RuleThatSomebodyHasTakenOut": {
			reason: "nothing of it is left",
			before: `rules: [{resources: [pods], verbs: [get]}]`,
			after:  `rules: [{resources: [pods], verbs: [get]}, {resources: [secrets], verbs: [get]}]`,
			live:   `rules: [{resources: [pods], verbs: [get]}]`,
			want:   `rules: [{resources: [pods], verbs: [get]}]`,
		},
		"RulesOfWhichOneIsTakenOut": {
			reason: "the one like it goes, too",
			before: `rules: [{resources: [pods], verbs: [get]}]`,
			after:  `rules: [{resources: [pods], verbs: [get]}, {resources: [secrets], verbs: [get]}, {resources: [secrets], verbs: [get, list]}]`,
			live:   `rules: [{resources: [pods], verbs: [get]}, {resources: [secrets], verbs: [get, list]}]`,
			want:   `rules: [{resources: [pods], verbs: [get]}]`,
		},
		"AppliedMapSince": {
			reason: "a map that has one owner is owned by who applied it, with all its keys",
			before: `spec: {nodeSelector: {disk: ssd}}`,
			after:  `spec: {nodeSelector: {disk: hdd, zone: a}}`,
			live: `
spec: {nodeSelector: {disk: hdd, zone: a}}
metadata: {managedFields: [{manager: gitops, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:nodeSelector": {}}}}]}
`,
			want: `{metadata: {}, spec: {nodeSelector: {disk: hdd, zone: a}}}`,
			kept: []string{"spec.nodeSelector.disk gitops", "spec.nodeSelector.zone gitops"},
		},
		"NewMapAppliedSince": {
			reason: "it was made by the write, and somebody has applied it with all that is in it",
			before: `spec: {}`,
			after:  `spec: {nodeSelector: {zone: a}}`,
			live: `
spec: {nodeSelector: {zone: a}}
metadata: {managedFields: [{manager: gitops, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:nodeSelector": {}}}}]}
`,
			want: `{metadata: {}, spec: {nodeSelector: {zone: a}}}`,
			kept: []string{"spec.nodeSelector.zone gitops"},
		},
		"UpdatedMapSince": {
			reason: "who adds to such a map gets all of it, and did not ask for what was lent",
			before: `spec: {nodeSelector: {disk: ssd}}`,
			after:  `spec: {nodeSelector: {disk: ssd, zone: a}}`,
			live: `
spec: {nodeSelector: {disk: ssd, zone: a, theirs: b}}
metadata: {managedFields: [{manager: kubectl-edit, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:nodeSelector": {}}}}]}
`,
			want: `{metadata: {}, spec: {nodeSelector: {disk: ssd, theirs: b}}}`,
		},
		"EmptyMapAppliedSince": {
			reason: "who applies an empty map of which each key has owners owns none of them",
			before: `metadata: {labels: {a: b}}`,
			after:  `metadata: {labels: {a: b, ours: c}}`,
			live: `
metadata:
  labels: {a: b, ours: c}
  managedFields:
  - {manager: signoff, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:labels": {"f:ours": {}}}}}
  - {manager: gitops, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:labels": {}}}}
`,
			want: `metadata: {labels: {a: b}}`,
		},
		"NumbersInAList": {
			reason: "numbers are told apart like words",
			before: `ports: [80]`,
			after:  `ports: [80, 81]`,
			live:   `ports: [80, 81, 82]`,
			fields: []string{"ports[81]"},
			want:   `ports: [80, 82]`,
		},
		"ReplacedObjectsWithoutNames": {
			reason: "nobody can tell which has become which, so that the old one does not come back beside the new one",
			before: `rules: [{verbs: [get]}]`,
			after:  `rules: [{verbs: [get, list]}]`,
			live:   `rules: [{verbs: [get, list, watch]}]`,
			fields: []string{"rules"},
			want:   `rules: [{verbs: [get, list, watch]}]`,
			kept:   []string{"rules"},
		},
		"AppliedAsAWholeSince": {
			reason: "a list that has one owner is owned by who applied it, with all its elements",
			before: `subjects: [{kind: User, name: owner}]`,
			after:  `subjects: [{kind: User, name: owner}, {kind: User, name: alice}]`,
			live: `
subjects: [{kind: User, name: owner}, {kind: User, name: alice}]
metadata: {managedFields: [{manager: gitops, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:subjects": {}}}]}
`,
			want: `{metadata: {}, subjects: [{kind: User, name: owner}, {kind: User, name: alice}]}`,
			kept: []string{"subjects[alice] gitops"},
		},
		"UpdatedAsAWholeSince": {
			reason: "who adds to such a list gets all of it, and did not ask for what was lent",
			before: `subjects: [{kind: User, name: owner}]`,
			after:  `subjects: [{kind: User, name: owner}, {kind: User, name: alice}]`,
			live: `
subjects: [{kind: User, name: owner}, {kind: User, name: alice}, {kind: User, name: bob}]
metadata: {managedFields: [{manager: kubectl-edit, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:subjects": {}}}]}
`,
			want: `{metadata: {}, subjects: [{kind: User, name: owner}, {kind: User, name: bob}]}`,
		},
		"EmptyMapListAppliedSince": {
			reason: "who applies an empty list of which each element has owners owns none of them",
			before: `l: [{name: a}]`,
			after:  `l: [{name: a}, {name: ours}]`,
			live: `
l: [{name: a}, {name: ours}]
metadata:
  managedFields:
  - {manager: signoff, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:l": {'k:{"name":"ours"}': {".": {}, "f:name": {}}}}}
  - {manager: gitops, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:l": {}}}
`,
			want: `{metadata: {}, l: [{name: a}]}`,
		},
		"OwnedByOtherKeys": {
			reason: "the API server tells ports apart by other keys than people do",
			before: `ports: [{name: web, port: 80, protocol: TCP}]`,
			after:  `ports: [{name: web, port: 80, protocol: TCP}, {name: debug, port: 81, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]`,
			live: `
ports: [{name: web, port: 80, protocol: TCP}, {name: debug, port: 81, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]
metadata:
  managedFields:
  - manager: gitops
    operation: Apply
    fieldsType: FieldsV1
    fieldsV1: {"f:ports": {'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}, 'k:{"port":53,"protocol":"TCP"}': {".": {}}}}
`,
			want: `{metadata: {}, ports: [{name: web, port: 80, protocol: TCP}, {name: debug, port: 81, protocol: TCP}]}`,
			kept: []string{"ports[debug] gitops"},
		},
		"OwnedInASet": {
			reason: "a word in a list can have an owner of its own",
			before: `metadata: {finalizers: [a]}`,
			after:  `metadata: {finalizers: [a, b, c]}`,
			live: `
metadata:
  finalizers: [a, b, c]
  managedFields:
  - {manager: gitops, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:finalizers": {'v:"b"': {}}}}}
`,
			want: `metadata: {finalizers: [a, b]}`,
			kept: []string{"metadata.finalizers[b] gitops"},
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
		"OldestWriters": {
			reason: "what the API server has of those who wrote first is ours where none of us has it, and theirs where one has",
			before: `spec: {a: 1, b: 1}`, after: `spec: {a: 2, b: 2}`,
			live: `
spec: {a: 2, b: 2}
metadata:
  managedFields:
  - {manager: ancient-changes, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:a": {}, "f:b": {}}}}
  - {manager: signoff, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:b": {}}}}
`,
			want: `{metadata: {}, spec: {a: 1, b: 2}}`,
			kept: []string{"spec.b ancient-changes"},
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
			if kept := textsOf(got.Kept); !slices.Equal(kept, tc.kept) {
				t.Errorf("%s: kept %q, expected %q", tc.reason, kept, tc.kept)
			}
			if left := textsOf(got.Left); !slices.Equal(left, tc.left) {
				t.Errorf("%s: left %q, expected %q", tc.reason, left, tc.left)
			}
			if got.Changed == compare.Same(live, got.Object) {
				t.Errorf("%s: changed is %t", tc.reason, got.Changed)
			}
		})
	}
}

func textsOf(list []Kept) []string {
	var out []string
	for _, field := range list {
		text := strings.TrimSpace(field.Path + " " + field.By)
		if field.Like {
			text += " like"
		}
		out = append(out, text)
	}
	return out
}

// TestManyWords: a list of which more changes than can be noted word by word is one value, and does not keep a write from being lent.
func TestManyWords(t *testing.T) {
	var words []any
	for i := range 5000 {
		words = append(words, fmt.Sprint(i))
	}
	before, after := map[string]any{"l": []any{"a"}}, map[string]any{"l": words}
	fields, err := Fields(before, after)
	if err != nil || len(fields) != 1 {
		t.Fatalf("got %d fields, %v", len(fields), err)
	}
	got, err := Restore(map[string]any{"l": append(words[:4000:4000], "theirs")}, fields, nil)
	if err != nil || got.Changed || len(got.Left) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}
