// Package operate checks what is given to those who run Signoff: alerts, the dashboard, the list of metrics, and what each reason means.
package operate

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/internal/auditlog"
	"github.com/signoff-dev/signoff/internal/clockskew"
	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/keyholder"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/internal/notify"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md")

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metric is one of Signoff's own.
type metric struct {
	name, help string
	labels     []string
	histogram  bool
}

// described is how a prometheus.Desc writes itself; it has no other way to tell its name.
var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{\}, variableLabels: \{([^}]*)\}\}$`)

func own(t *testing.T) []metric {
	t.Helper()
	var all []metric
	for _, collectors := range [][]prometheus.Collector{metrics.Collectors(), guard.Collectors(), keyholder.Collectors(), auditlog.Collectors(), notify.Collectors(), clockskew.Collectors()} {
		for _, c := range collectors {
			out := make(chan *prometheus.Desc, 64)
			c.Describe(out)
			close(out)
			for desc := range out {
				all = append(all, metricOf(t, c, desc))
			}
		}
	}
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return all
}

func metricOf(t *testing.T, c prometheus.Collector, desc *prometheus.Desc) metric {
	t.Helper()
	parts := described.FindStringSubmatch(desc.String())
	if parts == nil {
		t.Fatalf("this metric cannot be read: %s", desc)
	}
	help, err := strconv.Unquote(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	m := metric{name: parts[1], help: help}
	if parts[3] != "" {
		m.labels = strings.Split(parts[3], ",")
	}
	switch c.(type) {
	case *prometheus.HistogramVec, prometheus.Histogram:
		m.histogram = true
	}
	return m
}

// TestMetricsReference compares the list of metrics with those that there are.
func TestMetricsReference(t *testing.T) {
	var out strings.Builder
	out.WriteString("# Metrics\n\nSignoff's own, made from the code. What to watch and when to worry: [guides/operate.md](../guides/operate.md).\n\n| Metric | Labels | Means |\n|---|---|---|\n")
	for _, m := range own(t) {
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", m.name, strings.Join(m.labels, ", "), m.help)
	}
	const page = "docs/reference/metrics.md"
	if *update {
		if err := os.WriteFile(filepath.Join(root, page), []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(out.String(), read(t, page)); diff != "" {
		t.Errorf("%s (-code +page); `make generate` writes it:\n%s", page, diff)
	}
}

// foreign are metrics of the libraries that alerts and the dashboard use, with the labels that they may name.
var foreign = map[string][]string{
	"controller_runtime_reconcile_errors_total":         {"controller"},
	"controller_runtime_reconcile_total":                {"controller", "result"},
	"controller_runtime_webhook_latency_seconds_bucket": {"webhook", "le"},
	"controller_runtime_webhook_requests_total":         {"webhook", "code"},
	"workqueue_depth":               {"name"},
	"process_resident_memory_bytes": {},
}

// target are the labels that a scrape adds.
var target = []string{"job", "pod", "namespace"}

// checkQuery demands that a query is PromQL over metrics and labels that there are.
func checkQuery(t *testing.T, query string) {
	t.Helper()
	known := map[string][]string{}
	for name, labels := range foreign {
		known[name] = append(slices.Clone(labels), target...)
	}
	for _, m := range own(t) {
		labels := append(slices.Clone(m.labels), target...)
		if !m.histogram {
			known[m.name] = labels
			continue
		}
		known[m.name+"_bucket"], known[m.name+"_sum"], known[m.name+"_count"] = append(slices.Clone(labels), "le"), labels, labels
	}
	expr, err := metricsql.Parse(query)
	if err != nil {
		t.Errorf("%q is not PromQL: %v", query, err)
		return
	}
	found := 0
	metricsql.VisitAll(expr, func(e metricsql.Expr) {
		m, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		for _, filters := range m.LabelFilterss {
			labels, ok := known[filters[0].Value]
			if !ok || filters[0].Label != "__name__" {
				t.Errorf("%q reads %s, which there is not", query, e.AppendString(nil))
				continue
			}
			found++
			for _, filter := range filters[1:] {
				if !slices.Contains(labels, filter.Label) {
					t.Errorf("%q: %s has no label %q", query, filters[0].Value, filter.Label)
				}
			}
		}
	})
	if found == 0 {
		t.Errorf("%q reads no metric", query)
	}
}

// anchor is where a heading of a page is, as GitHub does it.
func anchor(heading string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimLeft(heading, "# "), " ", "-"))
}

// alertRules is what of the alerts is checked.
type alertRules struct {
	Spec struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
}

// alertsOf reads the alerts.
func alertsOf(t *testing.T) *alertRules {
	t.Helper()
	rules := &alertRules{}
	if err := yaml.Unmarshal([]byte(read(t, "config/monitoring/alerts.yaml")), rules); err != nil {
		t.Fatal(err)
	}
	return rules
}

// TestEveryControllerRings: no controller meets errors again and again without a word, and the alert names none that there is not.
func TestEveryControllerRings(t *testing.T) {
	named := regexp.MustCompile(`\bNamed\("([^"]+)"\)`)
	var names []string
	for _, folder := range []string{"controllers", "internal", "webhooks"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, found := range named.FindAllSubmatch(text, -1) {
				names = append(names, string(found[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var watched []string
	for _, group := range alertsOf(t).Spec.Groups {
		for _, rule := range group.Rules {
			if found := regexp.MustCompile(`controller=~"([^"]+)"`).FindStringSubmatch(rule.Expr); found != nil {
				watched = append(watched, strings.Split(found[1], "|")...)
			}
		}
	}
	slices.Sort(names)
	slices.Sort(watched)
	if diff := cmp.Diff(names, watched); len(names) == 0 || diff != "" {
		t.Errorf("config/monitoring/alerts.yaml (-controllers +alert):\n%s", diff)
	}
}

// TestAlerts: each reads what there is, says what is wrong, and leads to what to do.
func TestAlerts(t *testing.T) {
	var sections, alerts []string
	for line := range strings.Lines(read(t, "docs/guides/operate.md")) {
		if strings.HasPrefix(line, "### ") {
			sections = append(sections, anchor(strings.TrimSpace(line)))
		}
	}
	for _, group := range alertsOf(t).Spec.Groups {
		for _, rule := range group.Rules {
			alerts = append(alerts, anchor(rule.Alert))
			checkQuery(t, rule.Expr)
			if want := "https://github.com/signoff-dev/signoff/blob/main/docs/guides/operate.md#" + anchor(rule.Alert); rule.Annotations["runbook_url"] != want {
				t.Errorf("%s leads to %q, not to %s", rule.Alert, rule.Annotations["runbook_url"], want)
			}
			if rule.Annotations["summary"] == "" || !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) {
				t.Errorf("%s says neither what is wrong nor how bad it is: %v %v", rule.Alert, rule.Annotations, rule.Labels)
			}
		}
	}
	if diff := cmp.Diff(alerts, sections); diff != "" {
		t.Errorf("each alert has a section, and each section an alert (-alerts +sections):\n%s", diff)
	}
}

// TestDashboard: every panel reads what there is.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "config/monitoring/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if panel.Title == "" || len(panel.Targets) == 0 || seen[panel.ID] || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %d %q: no title, no query, an id twice, or beyond the edge", panel.ID, panel.Title)
		}
		seen[panel.ID] = true
		for _, target := range panel.Targets {
			checkQuery(t, target.Expr)
		}
	}
	if len(seen) == 0 {
		t.Error("there are no panels")
	}
}

// TestReasons: every reason that people meet is explained, and no other.
func TestReasons(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "api/v1alpha1/conditions.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reasons, explained []string
	ast.Inspect(file, func(n ast.Node) bool {
		value, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(value.Names[0].Name, "Reason") {
			return true
		}
		text, err := strconv.Unquote(value.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, text)
		return true
	})
	_, page, _ := strings.Cut(read(t, "docs/guides/troubleshooting.md"), "\n## Reasons\n")
	for line := range strings.Lines(page) {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `") {
			explained = append(explained, name)
			for _, cell := range strings.Split(strings.TrimSuffix(strings.TrimSpace(rest), "|"), "|") {
				if strings.TrimSpace(cell) == "" {
					t.Errorf("%s is not explained in full", name)
				}
			}
		}
	}
	slices.Sort(reasons)
	slices.Sort(explained)
	if diff := cmp.Diff(reasons, explained); diff != "" {
		t.Errorf("docs/guides/troubleshooting.md (-code +page):\n%s", diff)
	}
}
