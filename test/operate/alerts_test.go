package operate

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// played is how an alert was, or should be.
type played struct {
	Alert, Reason, At string
	Series            map[string]string
	Rings             []string
}

// play is an alert, as hack/prometheus plays it.
type play struct {
	Expr   string            `json:"expr"`
	For    string            `json:"for"`
	Series map[string]string `json:"series"`
	At     string            `json:"at"`
}

// askPrometheus asks hack/prometheus, which is compiled for that: the libraries of Prometheus are not those of the product.
func askPrometheus(t *testing.T, queries []string, plays []play) (wrong []string, rings [][]string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "prometheus")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(root, "hack/prometheus"), "-mod=readonly", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-trimpath")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("failed to build hack/prometheus: %v\n%s", err, out)
	}
	question, err := json.Marshal(map[string]any{"queries": queries, "plays": plays})
	if err != nil {
		t.Fatal(err)
	}
	var out, problem bytes.Buffer
	command := exec.CommandContext(t.Context(), program)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(question), &out, &problem
	if err := command.Run(); err != nil {
		t.Fatalf("%v: %s", err, &problem)
	}
	var answer struct {
		Wrong []string
		Rings [][]string
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Wrong, answer.Rings
}

// TestPrometheusUnderstands reads every query as Prometheus does: what other tests read them with takes more than that.
func TestPrometheusUnderstands(t *testing.T) {
	queries := []string{"sum(a) default 0"}
	for _, group := range alertsOf(t).Spec.Groups {
		for _, rule := range group.Rules {
			queries = append(queries, rule.Expr)
		}
	}
	for _, panel := range dashboardOf(t).Panels {
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
	}
	wrong, _ := askPrometheus(t, queries, nil)
	if wrong[0] == "" {
		t.Error("what VictoriaMetrics alone understands is taken for a query of Prometheus")
	}
	for i, why := range wrong[1:] {
		if why != "" {
			t.Errorf("%q is not PromQL: %s", queries[i+1], why)
		}
	}
}

// TestAlertsRing plays each alert: it rings where it must, and is silent where nothing is wrong.
func TestAlertsRing(t *testing.T) {
	var cases []played
	if err := yaml.UnmarshalStrict([]byte(read(t, "test/operate/testdata/alerts.yaml")), &cases); err != nil {
		t.Fatal(err)
	}
	var plays []play
	silent, loud := map[string]bool{}, map[string]bool{}
	for i := range cases {
		rule := alertNamed(t, cases[i].Alert)
		plays = append(plays, play{rule.Expr, rule.For, cases[i].Series, cases[i].At})
		silent[cases[i].Alert] = silent[cases[i].Alert] || len(cases[i].Rings) == 0
		loud[cases[i].Alert] = loud[cases[i].Alert] || len(cases[i].Rings) > 0
		checkSeries(t, cases[i].Series)
	}
	_, rings := askPrometheus(t, nil, plays)
	for i := range cases {
		if diff := cmp.Diff(strings.Join(cases[i].Rings, "\n"), strings.Join(rings[i], "\n")); diff != "" || len(cases[i].Rings) != len(rings[i]) {
			t.Errorf("%s, where %s, rings after %s (-want +got):\n%s", cases[i].Alert, cases[i].Reason, cases[i].At, diff)
		}
	}
	for _, group := range alertsOf(t).Spec.Groups {
		for _, rule := range group.Rules {
			if !loud[rule.Alert] || !silent[rule.Alert] {
				t.Errorf("%s is not played ringing and silent in test/operate/testdata/alerts.yaml", rule.Alert)
			}
		}
	}
}

// checkSeries demands that what is played could be.
func checkSeries(t *testing.T, series map[string]string) {
	t.Helper()
	for name := range series {
		checkQuery(t, name)
	}
}
