package steps

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const atStep = "spec.execution.steps[0]"

// fieldsOfSteps is every field of a step, as it is written.
var fieldsOfSteps = map[string]string{
	"when": "when: inputs.text == 'a'", "when.object": "when: object != null", "waitFor": "waitFor: {expression: object.a}", "waitFor.status": "waitFor: {status: Current}",
	"failWhen": "failWhen: object.b", "waitFor+failWhen": "waitFor: {status: Current}, failWhen: object.b",
	"timeout": "timeout: 5m", "retries": "retries: 3", "outputs": "outputs: [{name: x, expression: EXPRESSION, schema: {type: string, maxLength: 9}}]",
}

// why a field is refused.
var (
	noObject  = [2]string{atStep + ".when", "object is the one object that a step writes, and is there before: this step has none"}
	noWait    = [2]string{atStep + ".failWhen", "failWhen ends a wait: set waitFor too"}
	itself    = [2]string{atStep + ".waitFor", "a delete waits until the object is gone: leave it out"}
	call      = [2]string{atStep + ".http", "an http step has no object to wait for: use http.success and http.poll"}
	gone      = [2]string{atStep + ".outputs", "nothing is left of an object that was deleted"}
	ambiguous = [2]string{atStep + ".outputs", "outputs read the one object of a step: write one step for each object"}
)

// kindOfStep is a kind of step, and what it may not have.
type kindOfStep struct {
	step, output string
	// refused are the fields that the kind cannot have.
	refused map[string][2]string
}

var kindsOfSteps = map[string]kindOfStep{
	"Apply":     {`apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}`, "object.a", map[string][2]string{"failWhen": noWait}},
	"Several":   {`apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}]}`, "object.a", map[string][2]string{"failWhen": noWait, "when.object": noObject, "outputs": ambiguous}},
	"Strategic": {`patch: {strategic: {a: 1}}`, "object.a", map[string][2]string{"failWhen": noWait}},
	"Merge":     {`patch: {merge: {a: 1}}`, "object.a", map[string][2]string{"failWhen": noWait}},
	"JSON":      {`patch: {json: [{op: remove, path: /a}]}`, "object.a", map[string][2]string{"failWhen": noWait}},
	"Delete":    {`delete: {}`, "object.a", map[string][2]string{"waitFor": itself, "waitFor.status": itself, "waitFor+failWhen": itself, "outputs": gone}},
	"Job":       {`job: {namespace: x, template: {spec: {containers: [{name: a, image: b}]}}}`, "job.message", map[string][2]string{"when.object": noObject}},
	"CopiedJob": {`job: {command: [x], podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}}`, "object.a", map[string][2]string{"when.object": noObject}},
	"HTTP": {`http: {method: GET, url: "https://a.example.com/"}`, "response.body.a",
		map[string][2]string{"when.object": noObject, "waitFor": call, "waitFor.status": call, "failWhen": call, "waitFor+failWhen": call}},
}

// TestFieldsOfEveryKind puts every field of a step beside every kind of step: it is accepted, or refused where it stands, by a sentence that says why. That those
// that are accepted do what they say is played in test/integration, by TestFieldsOfEveryKind too.
func TestFieldsOfEveryKind(t *testing.T) {
	for name, kind := range kindsOfSteps {
		for field, text := range fieldsOfSteps {
			t.Run(name+"/"+field, func(t *testing.T) {
				step := `[{name: a, ` + kind.step + `, ` + strings.ReplaceAll(text, "EXPRESSION", kind.output) + `}]`
				got, errs := compileSteps(t, deployment, step)
				want, refused := kind.refused[field]
				switch {
				case refused && got != nil:
					t.Errorf("a step that cannot have %s was compiled all the same: %s", field, step)
				case refused:
					checkErrors(t, errs, [][2]string{want})
				case got == nil:
					t.Errorf("a step that may have %s was refused: %v", field, errs.ToAggregate())
				}
			})
		}
	}
}

// TestKindsInTheGuide compares the table of the guide with what is accepted.
func TestKindsInTheGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/write-an-action.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "<!-- kinds of steps -->\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	columns := [][]string{{"Apply"}, {"Several"}, {"Strategic", "Merge", "JSON"}, {"Delete"}, {"Job", "CopiedJob"}, {"HTTP"}}
	seen := 0
	for _, row := range rows[min(2, len(rows)):] {
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		if len(cells) != len(columns)+1 {
			t.Fatalf("a row of %d cells: %s", len(cells), row)
		}
		for i, kinds := range columns {
			for _, name := range kinds {
				seen++
				if want := said(t, strings.Trim(strings.TrimPrefix(cells[0], "in "), "`"), kindsOfSteps[name]); !strings.HasPrefix(cells[i+1], want) {
					t.Errorf("%s of %s: the guide says %q, and it is %q", cells[0], name, cells[i+1], want)
				}
			}
		}
	}
	if want := 7 * len(kindsOfSteps); seen != want {
		t.Errorf("%d cells were compared of %d", seen, want)
	}
}

// said is how the guide must begin to say whether a kind of step may have a field.
func said(t *testing.T, field string, kind kindOfStep) string {
	t.Helper()
	refused := func(fields ...string) bool {
		return !slices.ContainsFunc(fields, func(f string) bool { _, no := kind.refused[f]; return !no })
	}
	switch {
	case field == "finally":
		if _, errs := compileFinally(t, deployment, `[{name: a, `+kind.step+`}]`); len(errs) > 0 {
			return "no"
		}
		return "yes"
	case field == "when" && refused("when.object"):
		return "without `object`"
	case field == "failWhen" && refused("failWhen", "waitFor+failWhen"), field != "failWhen" && refused(field):
		return "no"
	case field == "failWhen" && refused("failWhen"):
		return "with `waitFor`"
	}
	return "yes"
}
