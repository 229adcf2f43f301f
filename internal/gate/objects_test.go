package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// objectsAction patches a Deployment, applies a ConfigMap with a label, and runs a Job.
const objectsAction = `
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy a service
  inputs:
    openAPIV3Schema:
      type: object
      properties: {namespace: {type: string, maxLength: 63}, tier: {type: string, maxLength: 63}, name: {type: string, maxLength: 63}}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    readServiceAccountName: reader
    steps:
    - name: rollout
      patch:
        target: {apiVersion: apps/v1, kind: Deployment, namespace: "${inputs.namespace}", name: checkout}
        merge: {metadata: {labels: {touched: "yes"}}, spec: {paused: false}}
    - name: settings
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: "${inputs.namespace}", name: "settings-${request.uid}", labels: {tier: "${inputs.tier}"}}}]}
    - name: migrate
      job: {namespace: jobs, template: {spec: {containers: [{name: a, image: b}]}}}
`

// claimAction makes a namespace, or labels one that is there, and then writes into it.
const claimAction = `
metadata: {namespace: platform, name: claim}
spec:
  title: Make a namespace
  inputs:
    openAPIV3Schema:
      type: object
      properties: {namespace: {type: string, maxLength: 63}, tier: {type: string, maxLength: 63}}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: namespace
      apply: {manifests: [{apiVersion: v1, kind: Namespace, metadata: {name: "${inputs.namespace}", labels: {tier: "${inputs.tier}"}}}]}
    - name: access
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: "${inputs.namespace}", name: access}}]}
`

// cluster is what facts know of: labels by "namespace" and by "namespace/name".
type cluster struct {
	namespaces, objects map[string]map[string]any
	// forbidden are ServiceAccounts that may not read.
	forbidden []string
	// writable is what the requester may change, as "Kind name".
	writable []string
	reads    *[]string
}

func (c cluster) Object(_ context.Context, _, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	if c.reads != nil {
		*c.reads = append(*c.reads, serviceAccount+" "+Name(&ref))
	}
	resource := schema.GroupResource{Resource: strings.ToLower(ref.Kind) + "s"}
	if slices.Contains(c.forbidden, serviceAccount) {
		return nil, apierrors.NewForbidden(resource, ref.Name, errors.New("no"))
	}
	found, ok := c.objects[ref.Namespace+"/"+ref.Name]
	if !ok {
		return nil, apierrors.NewNotFound(resource, ref.Name)
	}
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"labels": found}}}, nil
}

func (c cluster) Namespace(_ context.Context, name string, _ types.NamespacedName) (map[string]any, error) {
	found, ok := c.namespaces[name]
	switch {
	case name == "broken":
		return nil, errors.New("the cache is broken")
	case !ok:
		return nil, fmt.Errorf("failed to read: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name))
	}
	return map[string]any{"name": name, "labels": found, "annotations": map[string]any{}}, nil
}

func (cluster) List(context.Context, string, string, Query) (*unstructured.UnstructuredList, error) {
	return nil, errors.New("nobody lists")
}

func (cluster) Watch(string, string, Query, types.NamespacedName) bool { return false }

func (c cluster) MayWrite(_ context.Context, _ *v1alpha1.Identity, _ bool, queries ...Query) (bool, error) {
	return slices.ContainsFunc(queries, func(q Query) bool { return slices.Contains(c.writable, q.Kind+" "+q.Name) }), nil
}

// policed makes a gate with the Action, a Role for everybody, and policies.
func policed(t testing.TB, facts Facts, policies ...string) *Gate {
	t.Helper()
	store := snapshot.NewStore(nil)
	put(t, store, objectsAction, &v1alpha1.Action{})
	put(t, store, claimAction, &v1alpha1.Action{})
	put(t, store, `{metadata: {namespace: platform, name: all}, spec: {members: {users: [alice]}, permissions: [{verbs: [request], actions: {names: ["*"]}}]}}`, &v1alpha1.Role{})
	put(t, store, `{metadata: {namespace: signoff-system, name: now}, spec: {timeZone: UTC, windows: [{dates: {from: "2026-11-01", through: "2026-11-30"}}]}}`, &v1alpha1.Calendar{})
	put(t, store, `{metadata: {namespace: signoff-system, name: later}, spec: {timeZone: UTC, windows: [{dates: {from: "2026-12-01", through: "2026-12-30"}}]}}`, &v1alpha1.Calendar{})
	for i, policy := range policies {
		object := &v1alpha1.ActionPolicy{}
		put(t, store, fmt.Sprintf("{metadata: {name: p%d}, spec: %s}", i, policy), object)
	}
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	return New(store, rules, facts, "signoff-system", clock.RealClock{})
}

func put[T any](t testing.TB, store *snapshot.Store, text string, object *T) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	store.Put(object)
}

// known is a cluster in which production is critical and a namespace "gone" does not exist.
func known() cluster {
	return cluster{
		namespaces: map[string]map[string]any{"production": {"tier": "critical"}, "staging": {"tier": "low"}, "jobs": {}},
		objects: map[string]map[string]any{
			"production/checkout": {"app": "checkout"}, "staging/checkout": {"app": "checkout", "tier": "critical"}, "gone/checkout": {},
		},
	}
}

const freeze = `, rules: [{name: r, effect: Hold}]}`

func TestPoliciesAboutObjects(t *testing.T) {
	hold, allow := v1alpha1.EffectHold, v1alpha1.EffectAllow
	inProduction, inStaging := `{"namespace":"production","tier":"x"}`, `{"namespace":"staging","tier":"x"}`
	for name, tc := range map[string]struct {
		reason   string
		match    string
		inputs   string
		facts    func(*cluster)
		want     v1alpha1.Effect
		unknown  string
		readings []string
	}{
		"Kind":          {reason: "One object of the kind is enough.", match: `{kinds: [Job]}`, inputs: inStaging, want: hold},
		"OtherKind":     {reason: "A kind that no step writes is never touched.", match: `{kinds: [Secret]}`, inputs: inStaging, want: allow},
		"Group":         {reason: "The core group is the empty one.", match: `{apiGroups: [""], kinds: [ConfigMap]}`, inputs: inStaging, want: hold},
		"OtherGroup":    {reason: "Everything in an entry must hold of one object.", match: `{apiGroups: [apps], kinds: [ConfigMap]}`, inputs: inStaging, want: allow},
		"Namespace":     {reason: "The namespace that the inputs give.", match: `{namespaces: [staging]}`, inputs: inStaging, want: hold},
		"NotNamespace":  {reason: "Another one is another one.", match: `{namespaces: [production]}`, inputs: inStaging, want: allow},
		"AcrossObjects": {reason: "A Job in one namespace and a Deployment in another are not a Deployment there.", match: `{kinds: [Deployment], namespaces: [jobs]}`, inputs: inStaging, want: allow},
		"Entries":       {reason: "One of several entries is enough.", match: `{kinds: [Secret]}, {kinds: [Deployment]}`, inputs: inStaging, want: hold},
		"NamespaceLabel": {
			reason: "The labels of the namespace are read.", match: `{kinds: [Deployment], namespaceSelector: {matchLabels: {tier: critical}}}`, inputs: inProduction, want: hold,
		},
		"OtherNamespaceLabel": {
			reason: "A label with another value does not match.", match: `{kinds: [Deployment], namespaceSelector: {matchLabels: {tier: critical}}}`, inputs: inStaging, want: allow,
		},
		"NoSuchNamespace": {
			reason: "A namespace that does not exist has no labels.", inputs: `{"namespace":"gone","tier":"x"}`, want: hold,
			match: `{kinds: [Deployment], namespaceSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}}`,
		},
		"NamespaceUnread": {
			reason: "A namespace that cannot be read is no namespace without the label.", inputs: `{"namespace":"broken","tier":"x"}`,
			match: `{kinds: [Deployment], namespaceSelector: {matchLabels: {tier: critical}}}`, unknown: "the cache is broken",
		},
		"NamespaceWritable": {
			reason: "Who may label the namespace cannot keep a policy away by its labels.", inputs: inStaging,
			facts: func(c *cluster) { c.writable = []string{"Namespace staging"} },
			match: `{kinds: [Deployment], namespaceSelector: {matchLabels: {tier: critical}}}`, unknown: "Namespace staging can be changed by you (alice)",
		},
		"LiveLabel": {
			reason: "The labels of the object as it is.", match: `{kinds: [Deployment], selector: {matchLabels: {tier: critical}}}`, inputs: inStaging, want: hold,
			readings: []string{"reader Deployment staging/checkout"},
		},
		"WrittenLabel": {
			reason: "The labels as the request would make them: those that are there and those that are written.", inputs: inProduction, want: hold,
			match: `{kinds: [Deployment], selector: {matchLabels: {app: checkout, touched: "yes"}}}`, readings: []string{"reader Deployment production/checkout"},
		},
		"CreatedLabel": {
			reason: "An object that is created has the labels of its manifest.", match: `{kinds: [ConfigMap], selector: {matchLabels: {tier: critical}}}`,
			inputs: `{"namespace":"staging","tier":"critical"}`, want: hold, readings: []string{"reader ConfigMap staging/settings-" + noUID},
		},
		"NotLabelled": {
			reason: "Neither way.", match: `{kinds: [Deployment], selector: {matchLabels: {tier: critical}}}`, inputs: inProduction, want: allow,
			readings: []string{"reader Deployment production/checkout"},
		},
		"ReadAsExecutor": {
			reason: "Where the reading ServiceAccount may not, the executing one reads.", match: `{kinds: [Deployment], selector: {matchLabels: {tier: critical}}}`, inputs: inStaging, want: hold,
			facts:    func(c *cluster) { c.forbidden = []string{"reader"} },
			readings: []string{"reader Deployment staging/checkout", "deployer Deployment staging/checkout"},
		},
		"LabelsUnread": {
			reason: "Labels that nobody may read do not keep a policy away.", match: `{kinds: [Deployment], selector: {matchLabels: {tier: critical}}}`, inputs: inProduction,
			facts: func(c *cluster) { c.forbidden = []string{"reader", "deployer"} }, unknown: "the labels of Deployment production/checkout",
			readings: []string{"reader Deployment production/checkout", "deployer Deployment production/checkout"},
		},
		"LabelsWritable": {
			reason: "Nor do labels that the requester may change.", match: `{kinds: [Deployment], selector: {matchLabels: {tier: critical}}}`, inputs: inProduction,
			facts: func(c *cluster) { c.writable = []string{"Deployment checkout"} }, unknown: "its labels cannot keep the policy away",
			readings: []string{"reader Deployment production/checkout"},
		},
		"NamespaceDecidesFirst": {
			reason: "What certainly does not hold outweighs what nobody knows.", inputs: inStaging, want: allow,
			match: `{kinds: [Deployment], namespaceSelector: {matchLabels: {tier: critical}}, selector: {matchLabels: {tier: critical}}}`,
			facts: func(c *cluster) { c.forbidden = []string{"reader", "deployer"} },
		},
		"NotRendered": {
			reason: "What cannot be rendered cannot be told to be harmless.", match: `{namespaces: [production]}`, inputs: `{"tier":"x"}`, unknown: "namespace",
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := known()
			var reads []string
			facts.reads = &reads
			if tc.facts != nil {
				tc.facts(&facts)
			}
			j := policed(t, facts, `{match: {objects: [`+tc.match+`]}`+freeze).Judge(t.Context(), asking("alice", "deploy", tc.inputs), monday)
			if tc.unknown != "" {
				if j.Problem == nil || j.Problem.Reason != v1alpha1.ReasonIndeterminate || !strings.Contains(j.Problem.Message, tc.unknown) {
					t.Errorf("%s\nwant an answer that is not known for %q, got %+v", tc.reason, tc.unknown, j.Problem)
				}
			} else if j.Problem != nil || j.Verdict.Effect != tc.want {
				t.Errorf("%s\nwant %s, got %+v %+v", tc.reason, tc.want, j.Verdict, j.Problem)
			}
			if diff := cmp.Diff(tc.readings, reads); diff != "" {
				t.Errorf("%s\nlabels are read only where a policy asks for them: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestNamespacesOfTheRequest: a request does not pass a policy by because it makes, or labels, the namespace itself that it writes into.
func TestNamespacesOfTheRequest(t *testing.T) {
	critical := `{match: {objects: [{kinds: [%s], namespaceSelector: {matchLabels: {%s}}}]}, rules: [{name: r, effect: Hold}]}`
	inRule := `{rules: [{name: r, effect: Hold, when: "objects.exists(o, o.kind == 'ConfigMap' && o.namespaceObject.metadata.labels[?'tier'].orValue('') == 'critical')"}]}`
	for name, tc := range map[string]struct {
		reason, policy, inputs string
		want                   v1alpha1.Effect
	}{
		"Made":      {"It is in a namespace that this request makes with the label.", fmt.Sprintf(critical, "ConfigMap", "tier: critical"), `{"namespace":"new","tier":"critical"}`, v1alpha1.EffectHold},
		"Itself":    {"And so is the namespace.", fmt.Sprintf(critical, "Namespace", "tier: critical"), `{"namespace":"new","tier":"critical"}`, v1alpha1.EffectHold},
		"Otherwise": {"Without the label it is not.", fmt.Sprintf(critical, "ConfigMap", "tier: critical"), `{"namespace":"new","tier":"low"}`, v1alpha1.EffectAllow},
		"Labelled":  {"A namespace that is there gets the label first.", fmt.Sprintf(critical, "ConfigMap", "tier: critical"), `{"namespace":"staging","tier":"critical"}`, v1alpha1.EffectHold},
		"Unlabel":   {"Taking the label away first helps nobody.", fmt.Sprintf(critical, "ConfigMap", "tier: critical"), `{"namespace":"production","tier":"low"}`, v1alpha1.EffectHold},
		"Name":      {"Every namespace has its name as a label once it is there.", fmt.Sprintf(critical, "ConfigMap", "kubernetes.io/metadata.name: new"), `{"namespace":"new","tier":"low"}`, v1alpha1.EffectHold},
		"Rule":      {"Rules see the label that the request gives.", inRule, `{"namespace":"new","tier":"critical"}`, v1alpha1.EffectHold},
		"RuleLow":   {"And only that.", inRule, `{"namespace":"new","tier":"low"}`, v1alpha1.EffectAllow},
	} {
		t.Run(name, func(t *testing.T) {
			j := policed(t, known(), tc.policy).Judge(t.Context(), asking("alice", "claim", tc.inputs), monday)
			if j.Problem != nil || j.Verdict.Effect != tc.want {
				t.Errorf("%s\nwant %s, got %+v %+v", tc.reason, tc.want, j.Verdict, j.Problem)
			}
		})
	}
}

func TestObjectsInRules(t *testing.T) {
	critical := `objects.exists(o, o.namespaceObject.metadata.labels[?'tier'].orValue('critical') == 'critical')`
	all := `objects.map(o, o.operation + ' ' + o.apiVersion + ' ' + o.group + ' ' + o.kind + ' ' + o.namespace + '/' + o.name)`
	for name, tc := range map[string]struct {
		reason  string
		when    string
		inputs  string
		facts   func(*cluster)
		want    bool
		unknown string
	}{
		"Critical":   {reason: "Labels of namespaces decide.", when: critical, inputs: `{"namespace":"production","tier":"x"}`, want: true},
		"NoLabel":    {reason: "The Job runs in a namespace without the label, which the rule counts as critical.", when: critical, inputs: `{"namespace":"staging","tier":"x"}`, want: true},
		"Deployment": {reason: "One kind alone.", when: `objects.filter(o, o.kind == 'Deployment').exists(o, o.namespaceObject.metadata.labels[?'tier'].orValue('critical') == 'critical')`, inputs: `{"namespace":"staging","tier":"x"}`},
		"Everything": {
			reason: "Every field says what will be written.", inputs: `{"namespace":"staging","tier":"x"}`, want: true,
			when: all + `.slice(0, 2) == ['patch apps/v1 apps Deployment staging/checkout', 'apply v1  ConfigMap staging/settings-` + noUID + `'] && objects[2].operation == 'job'`,
		},
		"LiveLabels":    {reason: "Labels are those that are there.", when: `objects[0].labels['tier'] == 'critical' && !('touched' in objects[0].labels)`, inputs: `{"namespace":"staging","tier":"x"}`, want: true},
		"CreatedLabels": {reason: "Or those of the manifest, of an object that is not there.", when: `objects[1].labels['tier'] == 'x'`, inputs: `{"namespace":"staging","tier":"x"}`, want: true},
		"Unread": {
			reason: "A namespace that cannot be read gives no answer.", when: critical, inputs: `{"namespace":"broken","tier":"x"}`,
			facts: func(c *cluster) { c.namespaces["jobs"] = map[string]any{"tier": "low"} }, unknown: "the cache is broken",
		},
		"Hidden": {reason: "What was not asked for in the usual words is an error, never nothing.", when: `dyn(objects[0])['lab' + 'els'].size() == 100`, inputs: `{"namespace":"staging","tier":"x"}`, unknown: "it was not read"},
		"Writable": {
			reason: "A rule that denies is not passed by a label of a namespace that the requester may change.", inputs: `{"namespace":"staging","tier":"x"}`,
			when:  `objects.filter(o, o.kind == 'Deployment').exists(o, o.namespaceObject.metadata.labels[?'tier'].orValue('critical') == 'critical')`,
			facts: func(c *cluster) { c.writable = []string{"Namespace staging"} }, unknown: "Namespace staging can be changed by you (alice)",
		},
		"NotRendered": {reason: "What cannot be rendered gives no answer.", when: `objects.exists(o, o.kind == 'Secret')`, inputs: `{"tier":"x"}`, unknown: "nobody can tell what would be written"},
	} {
		t.Run(name, func(t *testing.T) {
			facts := known()
			if tc.facts != nil {
				tc.facts(&facts)
			}
			j := policed(t, facts, fmt.Sprintf(`{rules: [{name: r, effect: Hold, when: %q}]}`, tc.when)).Judge(t.Context(), asking("alice", "deploy", tc.inputs), monday)
			if tc.unknown != "" {
				if j.Problem == nil || j.Problem.Reason != v1alpha1.ReasonIndeterminate || !strings.Contains(j.Problem.Message, tc.unknown) {
					t.Errorf("%s\nwant an answer that is not known for %q, got %+v", tc.reason, tc.unknown, j.Problem)
				}
			} else if j.Problem != nil || (j.Verdict.Effect == v1alpha1.EffectHold) != tc.want {
				t.Errorf("%s\nwant %v, got %+v %+v", tc.reason, tc.want, j.Verdict, j.Problem)
			}
		})
	}
}

// TestObjectsOutsideOfTheirTime reads nothing for a rule whose calendar is closed.
func TestObjectsOutsideOfTheirTime(t *testing.T) {
	facts := known()
	var reads []string
	facts.reads = &reads
	j := policed(t, facts, `{rules: [{name: r, effect: Hold, during: {calendar: later}, when: "objects.exists(o, o.labels['a'] == 'b')"}]}`).
		Judge(t.Context(), asking("alice", "deploy", `{"namespace":"broken","tier":"x"}`), monday)
	if j.Problem != nil || j.Verdict.Effect != v1alpha1.EffectAllow || len(reads) != 0 {
		t.Errorf("a rule outside of its calendar costs nothing: %+v, read %v", j.Problem, reads)
	}
}

// TestPolicyHealth: a policy that cannot be judged gives no answer, and never Allow.
func TestPolicyHealth(t *testing.T) {
	for name, tc := range map[string]struct{ reason, policy, words string }{
		"Typo":       {"A policy that does not compile.", `{rules: [{name: r, effect: Deny, when: "inputs."}]}`, "policy/p0"},
		"NoCalendar": {"A Calendar that is gone, in during.", `{rules: [{name: r, effect: Deny, during: {calendar: gone}}]}`, `there is no Calendar "gone" in namespace signoff-system`},
		"InWhen":     {"And in an expression.", `{rules: [{name: r, effect: Deny, when: "calendar('gone').contains(now)"}]}`, `there is no Calendar "gone"`},
		"BadMatch":   {"A match that cannot be read does not keep the policy away.", `{match: {objects: [{}]}, rules: [{name: r, effect: Deny, when: "false"}]}`, "policy/p0"},
	} {
		t.Run(name, func(t *testing.T) {
			j := policed(t, known(), tc.policy).Judge(t.Context(), asking("alice", "deploy", `{"namespace":"staging","tier":"x"}`), monday)
			if j.Problem == nil || j.Problem.Reason != v1alpha1.ReasonIndeterminate || !strings.Contains(j.Problem.Message, tc.words) {
				t.Errorf("%s\nwant no answer that says %q, got %+v", tc.reason, tc.words, j.Problem)
			}
		})
	}
}
