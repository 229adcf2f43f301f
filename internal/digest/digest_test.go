package digest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

var update = flag.Bool("update", false, "write golden vectors that are new; delete the file of one that must change")

// vector is a golden vector: the canonical document and its digest.
type vector struct {
	Canonical string `json:"canonical"`
	Digest    string `json:"digest"`
	Action    string `json:"action"`
}

func raw(s string) runtime.RawExtension { return runtime.RawExtension{Raw: []byte(s)} }

// restart is a request that restarts a Deployment.
func restart() Subject {
	action := &v1alpha1.Action{}
	action.Namespace, action.Name, action.UID = "platform", "restart", "0b0e3a3c-5d7f-4d0e-9a39-8a54a7f4b001"
	action.Spec = v1alpha1.ActionSpec{
		Title:      "Restart a Deployment",
		RequestTTL: "168h",
		Target:     &v1alpha1.Target{ObjectReference: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "${inputs.namespace}", Name: "${inputs.name}"}},
		Default:    &v1alpha1.DefaultRule{Effect: v1alpha1.EffectRequireApproval, Message: "somebody must agree"},
		Execution:  v1alpha1.Execution{ServiceAccountName: "restarter", Timeout: "30m", Steps: []v1alpha1.Step{{Name: "restart"}}},
	}
	return Subject{
		RequestNamespace: "payments", RequestName: "restart-x7k2p9qa", RequestUID: "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002",
		Requester: v1alpha1.Identity{Username: "alice", UID: "1000"},
		Inputs:    map[string]any{"namespace": "payments", "name": "checkout"},
		Action:    action,
		Steps: []v1alpha1.RenderedStep{{
			Name: "restart",
			Writes: []v1alpha1.RenderedWrite{{
				Operation:    v1alpha1.WriteStrategicPatch,
				Object:       v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "payments", Name: "checkout"},
				Body:         raw(`{"spec":{"template":{"metadata":{"annotations":{"signoff.dev/restarted-by":"6f1d2c1e"}}}}}`),
				FieldManager: "signoff/platform/restart/restart",
			}},
		}},
	}
}

// hard is a subject with everything that encodings disagree about.
func hard() Subject {
	s := restart()
	s.Inputs = map[string]any{
		"€": "euro", "\r": "return", "1": "one", "😀": "smile", "é": "composed", "e\u0301": "decomposed",
		"html": "<b>&</b>", "line": "\u2028", "null": nil, "list": []any{int64(1), 1.5, true, "1", map[string]any{}},
		"most": int64(canonical.MaxInteger), "least": int64(-canonical.MaxInteger), "small": 1e-7, "zero": 0.0,
	}
	s.Steps[0].Timeout = "10m"
	s.Steps[0].WaitFor = &v1alpha1.WaitFor{Expression: `object.status.x == "\u00e9"`}
	s.Steps[0].Writes = append(s.Steps[0].Writes, v1alpha1.RenderedWrite{
		Operation: v1alpha1.WriteApply, Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "n"},
		Body: raw(`{ "b" : 1.0 , "a" : "\u00e9" }`), FieldManager: "m", Conflicts: v1alpha1.ConflictsTake,
	})
	s.Action.Spec.Execution.ReadServiceAccountName = "reader"
	s.BreakGlass = "checkout is \"down\""
	return s
}

// afterPlan is what people agree to where plan steps have run before.
func afterPlan() Subject {
	s := restart()
	gave := raw(`{"changes": 2, "text": "+ bucket"}`)
	s.Planned = []v1alpha1.PlannedStep{{Name: "look", Outputs: &gave}, {Name: "skipped"}}
	return s
}

// everyStep has steps of every kind.
func everyStep(t *testing.T) Subject {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "steps.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Steps   []v1alpha1.RenderedStep `json:"steps"`
		Finally []v1alpha1.RenderedStep `json:"finally"`
	}
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		t.Fatal(err)
	}
	s := restart()
	s.Steps, s.Finally = all.Steps, all.Finally
	return s
}

// TestVectors: what people agreed to with one version is the same with every later one.
func TestVectors(t *testing.T) {
	for name, subject := range map[string]Subject{"restart": restart(), "hard": hard(), "planned": afterPlan(), "steps": everyStep(t)} {
		t.Run(name, func(t *testing.T) {
			doc, err := subject.document()
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := canonical.Encode(doc)
			if err != nil {
				t.Fatal(err)
			}
			digest, err := Of(subject)
			if err != nil {
				t.Fatal(err)
			}
			got := vector{Canonical: string(encoded), Digest: digest, Action: doc.Action.Spec}
			file := filepath.Join("testdata", name+".json")
			if *update {
				store(t, file, got)
			}
			var want vector
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(content, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the encoding changed; digests that people agreed to would be void (-want +got):\n%s", diff)
			}
		})
	}
}

// store writes a vector that is new. One that is there stays: open requests would be asked again after an upgrade.
func store(t *testing.T, file string, v vector) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return
	}
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOfRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*Subject)
		want   string
	}{
		"LargeInteger":  {"JSON readers round it", func(s *Subject) { s.Inputs["n"] = int64(canonical.MaxInteger + 1) }, "2^53-1"},
		"LargeNegative": {"JSON readers round it", func(s *Subject) { s.Inputs["n"] = int64(-canonical.MaxInteger - 1) }, "2^53-1"},
		"LargeInBody":   {"bodies count too", func(s *Subject) { s.Steps[0].Writes[0].Body = raw(`{"n":9007199254740993}`) }, "2^53-1"},
		"LargeFloat":    {"it is an integer as well", func(s *Subject) { s.Inputs["n"] = 1e300 }, "2^53-1"},
		"TooLargeFloat": {"it has no value", func(s *Subject) { s.Steps[0].Writes[0].Body = raw(`{"n":1e400}`) }, "2^53-1"},
		"LargeInAction": {"the Action counts too", func(s *Subject) {
			s.Action.Spec.Inputs = &v1alpha1.ActionInputs{OpenAPIV3Schema: raw(`{"maximum":9223372036854775807}`)}
		}, "2^53-1"},
		"InvalidText":     {"it would be replaced", func(s *Subject) { s.Inputs["x"] = "a\xffb" }, "UTF-8"},
		"InvalidKey":      {"keys are text", func(s *Subject) { s.Inputs["\xff"] = "b" }, "UTF-8"},
		"InvalidInBody":   {"bodies are text", func(s *Subject) { s.Steps[0].Writes[0].Body = raw("{\"a\":\"\xff\"}") }, "UTF-8"},
		"InvalidName":     {"names are text", func(s *Subject) { s.RequestName = "\xff" }, "UTF-8"},
		"BodyNotJSON":     {"it stands for nothing", func(s *Subject) { s.Steps[0].Writes[0].Body = raw(`{`) }, "encode"},
		"NoBody":          {"it stands for nothing", func(s *Subject) { s.Steps[0].Writes[0].Body = raw(``) }, "without a body"},
		"NoRequestUID":    {"another request of that name would have the same digest", func(s *Subject) { s.RequestUID = "" }, "uid"},
		"NoAction":        {"it is what is asked for", func(s *Subject) { s.Action = nil }, "uid"},
		"NoActionUID":     {"another Action of that name would have the same digest", func(s *Subject) { s.Action.UID = "" }, "uid"},
		"NoRequester":     {"somebody must have asked", func(s *Subject) { s.Requester.Username = "" }, "requester"},
		"NothingToDo":     {"nothing to agree to", func(s *Subject) { s.Steps = nil }, "steps"},
		"NotANumber":      {"it has no JSON form", func(s *Subject) { s.Inputs["n"] = notANumber() }, "encode"},
		"DuplicateMember": {"which one counts would be a guess", func(s *Subject) { s.Steps[0].Writes[0].Body = raw(`{"a":1,"a":2}`) }, "encode"},
	} {
		t.Run(name, func(t *testing.T) {
			s := restart()
			tc.change(&s)
			got, err := Of(s)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %q, error %v, want an error with %q", tc.reason, got, err, tc.want)
			}
		})
	}
}

func notANumber() float64 {
	zero := 0.0
	return zero / zero
}

func TestMatches(t *testing.T) {
	full := "sha256:" + strings.Repeat("9f3c1a7e", 8)
	for name, tc := range map[string]struct {
		reason string
		digest string
		given  string
		want   bool
	}{
		"Short":      {"what people see", full, "9f3c1a7e", true},
		"Whole":      {"what scripts give", full, full, true},
		"Digits":     {"the prefix may be left out", full, full[7:], true},
		"ShortWith":  {"the prefix may be given", full, "sha256:9f3c1a7e9", true},
		"TooShort":   {"easily guessed or found twice", full, "9f3c1a7", false},
		"Empty":      {"nothing was given", full, "", false},
		"PrefixOnly": {"nothing was given", full, "sha256:", false},
		"Other":      {"another digest", full, "9f3c1a7f", false},
		"UpperCase":  {"digests are lower case everywhere", full, "9F3C1A7E", false},
		"TooLong":    {"not the beginning of it", full, full + "0", false},
		"NoDigest":   {"nothing to agree to", "", "9f3c1a7e", false},
		"Garbage":    {"not a digest", "9f3c1a7e9f3c1a7e", "9f3c1a7e", false},
		"LineBreak":  {"the pattern is for the whole text", full, "9f3c1a7e\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Matches(tc.digest, tc.given); got != tc.want {
				t.Errorf("%s: Matches(%q, %q) = %v, want %v", tc.reason, tc.digest, tc.given, got, tc.want)
			}
		})
	}
}

func TestShort(t *testing.T) {
	for given, want := range map[string]string{
		"sha256:9f3c1a7e9f3c1a7e": "9f3c1a7e", "9f3c1a7e00": "9f3c1a7e", "sha256:9f": "9f", "": "",
	} {
		if got := Short(given); got != want {
			t.Errorf("Short(%q) = %q, want %q", given, got, want)
		}
	}
}

func FuzzMatches(f *testing.F) {
	f.Add("sha256:9f3c1a7e")
	f.Add("9f3c1a7e9f3c1a7e")
	full := "sha256:" + strings.Repeat("9f3c1a7e", 8)
	f.Fuzz(func(t *testing.T, given string) {
		digits := strings.TrimPrefix(given, prefix)
		want := len(digits) >= 8 && strings.HasPrefix(full[len(prefix):], digits)
		if got := Matches(full, given); got != want {
			t.Errorf("Matches(%q) = %v, want %v", given, got, want)
		}
	})
}
