package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// wholly describes a merge patch of the data of a ConfigMap, or of a Secret, in full.
func wholly(t *testing.T, kind, before, body string) []string {
	t.Helper()
	object := parse(t, fmt.Sprintf("{apiVersion: v1, kind: %s, metadata: {namespace: a, name: b}, %s}", kind, before))
	steps := []v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{write(t, v1alpha1.WriteMergePatch, fmt.Sprintf("{apiVersion: v1, kind: %s, metadata: {namespace: a, name: b}}", kind), body)}}}
	fields := Describe(steps, View{Whole: true, Live: func(v1alpha1.ObjectReference) Found { return Found{Object: object} }})[0].Fields
	return fields[:len(fields)-1] // see TestSent
}

// TestSent: in full, it is shown to which API a write goes, and what it does about others.
func TestSent(t *testing.T) {
	for name, tc := range map[string]struct {
		operation v1alpha1.WriteOperation
		conflicts v1alpha1.ConflictPolicy
		want      string
	}{
		"Patch":  {v1alpha1.WriteMergePatch, "", "sent to API apps/v1 as field manager signoff/platform/deploy/rollout"},
		"Apply":  {v1alpha1.WriteApply, v1alpha1.ConflictsFail, "sent to API apps/v1 as field manager signoff/platform/deploy/rollout; it fails where others own a field"},
		"Take":   {v1alpha1.WriteApply, v1alpha1.ConflictsTake, "sent to API apps/v1 as field manager signoff/platform/deploy/rollout; fields that others own are taken over"},
		"Delete": {v1alpha1.WriteDelete, "", "sent to API apps/v1"},
	} {
		w := write(t, tc.operation, aDeployment, "{}")
		w.Conflicts = tc.conflicts
		for _, whole := range []bool{false, true} {
			view := View{Whole: whole, Live: func(v1alpha1.ObjectReference) Found { return Found{} }}
			fields := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{w}}}, view)[0].Fields
			if last := fields[len(fields)-1]; (last == tc.want) != whole {
				t.Errorf("%s: %q in full: %t", name, last, whole)
			}
		}
	}
}

// TestTexts compares texts of several lines line by line, where everything is shown.
func TestTexts(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, kind, before, body string
		want                       []string
	}{
		"Middle": {"only what differs", "ConfigMap", `data: {c: "a\nb\nc\nd\n"}`, `{data: {c: "a\nx\ny\nd\n"}}`, []string{
			"data.c: 4 lines → 4 lines, from line 2 on", `  - "b"`, `  - "c"`, `  + "x"`, `  + "y"`,
		}},
		"Longer": {"more lines at the end", "ConfigMap", `data: {c: "a\n"}`, `{data: {c: "a\nb\n"}}`, []string{"data.c: 1 lines → 2 lines, from line 2 on", `  + "b"`}},
		"Twice":  {"a line that is there twice is not counted twice", "ConfigMap", `data: {c: "a\na\n"}`, `{data: {c: "a\n"}}`, []string{"data.c: 2 lines → 1 lines, from line 2 on", `  - "a"`}},
		"Break":  {"a line break at the end", "ConfigMap", `data: {c: "a\nb\n"}`, `{data: {c: "a\nb"}}`, []string{"data.c: 2 lines → 2 lines, from line 2 on", `  - "b"`, `  + "b" (without a line break)`}},
		"New":    {"a new one", "ConfigMap", `data: {}`, `{data: {c: "a\nb\n"}}`, []string{"data.c: (new) 2 lines", `  + "a"`, `  + "b"`}},
		"Gone":   {"one that goes", "ConfigMap", `data: {c: "a\nb\n"}`, `{data: {c: null}}`, []string{"data.c: 2 lines → (removed)", `  - "a"`, `  - "b"`}},
		"One":    {"one line stays one", "ConfigMap", `data: {c: a}`, `{data: {c: b}}`, []string{"data.c: a → b"}},
		"Forged": {"what somebody wrote cannot pass for a line of the plan", "ConfigMap", `data: {c: "a\n"}`, `{data: {c: "a\nspec.replicas: 1 → 2\n\u202e\"\n"}}`,
			[]string{"data.c: 1 lines → 3 lines, from line 2 on", `  + "spec.replicas: 1 → 2"`, `  + "\u202e\""`}},
		"Secret":   {"nothing of a Secret", "Secret", `stringData: {c: "a\nb\n"}`, `{stringData: {c: "a\nc\n"}}`, []string{"stringData.c: (hidden) → (hidden)"}},
		"NotTexts": {"a text that becomes something else", "ConfigMap", `data: {c: "a\nb\n"}`, `{data: {c: {d: e}}}`, []string{`data.c: "a\nb\n" → {"d":"e"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, wholly(t, tc.kind, tc.before, tc.body)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestWhole shows every line, and each to its end, where the API would store a part.
func TestWhole(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	var data strings.Builder
	for i := range 200 {
		fmt.Fprintf(&data, "k%d: %q, ", i, long)
	}
	body := "{data: {" + data.String() + fmt.Sprintf("%q: x}}", strings.Repeat("p", 300)+"/x")
	fields := wholly(t, "ConfigMap", "data: {}", body)
	if len(fields) != 201 {
		t.Fatalf("%d lines", len(fields))
	}
	for _, line := range fields {
		if strings.Contains(line, "…") {
			t.Errorf("it is cut: %.100s", line)
		}
	}
	steps := []v1alpha1.RenderedStep{{Name: "s", HTTP: &v1alpha1.RenderedHTTP{Method: "POST", URL: "https://a.example.com/?" + long, Text: long}}}
	call := Describe(steps, View{Whole: true})[0]
	if strings.Contains(call.Object+strings.Join(call.Fields, ""), "…") {
		t.Errorf("it is cut: %+v", call)
	}
}

// TestReader names who could not look.
func TestReader(t *testing.T) {
	w := write(t, v1alpha1.WriteMergePatch, "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}", "{data: {a: b}}")
	for reader, want := range map[string]string{"": "the ServiceAccount", "you": "you"} {
		view := View{Reader: reader, Live: func(v1alpha1.ObjectReference) Found { return Found{Unread: true} }}
		got := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{w}}}, view)[0].Fields
		if got[0] != "cannot be compared with what is there, which "+want+" may not read; this is sent:" {
			t.Errorf("%q: %q", reader, got)
		}
	}
}

// TestStored keeps what is shown within what the API stores.
func TestStored(t *testing.T) {
	var many []v1alpha1.PlannedChange
	for range MaxChanges + 2 {
		many = append(many, v1alpha1.PlannedChange{Operation: operationApply, Object: "Pod a/b"})
	}
	got := Stored(many, nil)
	if last := got[len(got)-1]; len(got) != MaxChanges || last.Object != "… and 3 objects more, see the Action" || last.Operation != OperationRest || last.Basis == "" {
		t.Errorf("%d changes, the last is %+v", len(got), last)
	}
	one := Stored([]v1alpha1.PlannedChange{{Fields: []string{strings.Repeat("x", 600)}}}, nil)[0].Fields
	if len([]rune(one[0])) != maxStored {
		t.Errorf("a line of %d", len([]rune(one[0])))
	}
}
