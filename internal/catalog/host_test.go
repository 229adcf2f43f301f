package catalog

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const hosted = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy
  inputs: {openAPIV3Schema: {type: object, required: [service], properties: {service: {type: string, maxLength: 63}}}}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: shop, name: "${inputs.service}"}
  lookups:
  - as: incidents
    http: {url: "https://status.example.com/api/incidents?service=${inputs.service}", value: response.body.open, schema: {type: integer}}
  rules: [{name: calm, when: "incidents == 0", effect: RequireApproval, stages: [owners]}]
  stages: [{name: owners, approvers: {users: [bob]}}]
  execution:
    serviceAccountName: deployer
    steps: [{name: note, patch: {merge: {metadata: {labels: {a: b}}}}}]
`

func TestHost(t *testing.T) {
	const call, rule, stage, step = "value: response.body.open, schema: {type: integer}", "incidents == 0", "users: [bob]", "{a: b}"
	with := func(more string) []string { return []string{call, call + ", " + more} }
	for name, tc := range map[string]struct {
		reason  string
		replace []string
		age     time.Duration
		errs    map[string]string
	}{
		"Default": {"A value is believed for five minutes.", nil, 5 * time.Minute, nil},
		"Age":     {"Or as long as the Action says.", with("maxAge: 24h"), 24 * time.Hour, nil},
		"Secret":  {"It can carry a Secret.", with(`headers: [{name: Authorization, prefix: "Bearer ", secret: {name: a, key: b}}]`), 5 * time.Minute, nil},
		"Young":   {"A host is not asked all the time.", with("maxAge: 29s"), 0, map[string]string{"spec.lookups[0].http.maxAge": "from 30s to 24h"}},
		"Old":     {"What was true last week decides nothing.", with("maxAge: 25h"), 0, map[string]string{"spec.lookups[0].http.maxAge": "from 30s to 24h"}},
		"NoAge":   {"An age is a duration.", with("maxAge: soon"), 0, map[string]string{"spec.lookups[0].http.maxAge": "from 30s to 24h"}},
		"Host": {
			"Who asks does not choose the host.", []string{"status.example.com", "${inputs.service}.example.com"}, 0,
			map[string]string{"spec.lookups[0].http.url": "scheme and a host that are literal"},
		},
		"Target": {
			"A fact rests on no other fact.", []string{"=${inputs.service}", "=${target.metadata.name}"}, 0,
			map[string]string{"spec.lookups[0].http": "cannot depend on another fact"},
		},
		"TargetInHeader": {
			"Nor in a header.", with(`headers: [{name: X-A, value: "${namespaceObject.metadata.name}"}]`), 0,
			map[string]string{"spec.lookups[0].http": "cannot depend on another fact"},
		},
		"OwnHeader": {"Some headers are ours.", with(`headers: [{name: Host, value: a}]`), 0, map[string]string{"spec.lookups[0].http.headers[0].name": "Signoff sets Host itself"}},
		"Value":     {"The value is in the answer.", []string{"response.body.open", "inputs.service"}, 0, map[string]string{"spec.lookups[0].http.value": "inputs"}},
		"Object":    {"It is one value.", []string{"{type: integer}", "{type: object}"}, 0, map[string]string{"spec.lookups[0].http.schema.type": "supported values"}},
		"Pattern":   {"Its schema is a schema.", []string{"{type: integer}", `{type: string, maxLength: 9, pattern: "("}`}, 0, map[string]string{"spec.lookups[0].http.schema.pattern": ""}},
		"NoSchema":  {"And is needed.", []string{", schema: {type: integer}", ""}, 0, map[string]string{"spec.lookups[0].http.schema": "the schema of the value is needed"}},
		"Optional":  {"No value is no answer.", []string{"as: incidents", "as: incidents\n    optional: true"}, 0, map[string]string{"spec.lookups[0].optional": "leave optional out"}},
		"Trust":     {"Nobody can ask who writes it.", []string{"as: incidents", "as: incidents\n    trust: RequesterWritable"}, 0, map[string]string{"spec.lookups[0].trust": "leave trust out"}},
		"Both":      {"A lookup reads one thing.", []string{"as: incidents", "as: incidents\n    executions: {within: 1h}"}, 0, map[string]string{"spec.lookups[0]": "exactly one of object, list, executions and http", "spec.rules[0].when": "undefined variable"}},
		"Approvers": {"A host names no approvers.", []string{stage, `users: ["${incidents}"]`}, 0, map[string]string{"spec.stages[0]": `stage "owners" reads incidents, which is a value of a host`}},
		"Escalation": {
			"Nor further ones.", []string{"approvers: {" + stage + "}", `approvers: {` + stage + `}, escalation: {after: 1h, approvers: {users: ["${incidents}"]}}`}, 0,
			map[string]string{"spec.stages[0]": `stage "owners" reads incidents, which is a value of a host`},
		},
		"Step":    {"Nor is it written anywhere.", []string{step, `{a: "${incidents}"}`}, 0, map[string]string{"spec.execution": `step "note" reads incidents, which is a value of a host`}},
		"Unused":  {"It is asked for something.", []string{rule, "true"}, 0, map[string]string{"spec.lookups[0]": "nothing reads this lookup"}},
		"Address": {"A password in a URL ends up in logs.", []string{"https://status", "https://a:b@status"}, 0, map[string]string{"spec.lookups[0].http.url": "scheme and a host that are literal"}},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.Action{}
			source := hosted
			if tc.replace != nil {
				source = strings.Replace(hosted, tc.replace[0], tc.replace[1], 1)
			}
			parse(t, source, object)
			compiled, errs := CompileAction(object)
			check(t, tc.reason, errs, tc.errs)
			if len(tc.errs) > 0 || len(errs) > 0 {
				return
			}
			if lookup := compiled.Lookups[0]; lookup.Host == nil || lookup.Host.MaxAge != tc.age || !lookup.InRules || lookup.InSteps {
				t.Errorf("%s\ngot %+v", tc.reason, lookup)
			}
		})
	}
}

// TestGuideAsksAHost compiles the lookup and the rule that the guide shows.
func TestGuideAsksAHost(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/write-an-action.md")
	if err != nil {
		t.Fatal(err)
	}
	const begins = "spec:\n  lookups:\n  - as: incidents\n"
	_, after, found := strings.Cut(string(text), "```yaml\n"+begins)
	block, _, _ := strings.Cut(after, "```")
	_, rest, _ := strings.Cut(hosted, "  execution:\n")
	head, _, _ := strings.Cut(hosted, "  lookups:\n")
	object := &v1alpha1.Action{}
	parse(t, head+strings.TrimPrefix(begins, "spec:\n")+block+"  execution:\n"+rest, object)
	if compiled, errs := CompileAction(object); !found || len(errs) > 0 || compiled.Lookups[0].Host.MaxAge != 5*time.Minute {
		t.Errorf("the guide shows a lookup that does not compile (found: %t): %v", found, errs)
	}
}
