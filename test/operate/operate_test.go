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
	"maps"
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
	"github.com/signoff-dev/signoff/internal/snapshot"
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
	// kind is counter, gauge or histogram.
	kind string
	// values are those that labels can have, where they are known beforehand.
	values map[string][]string
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
		m.kind = histogram
	case *prometheus.CounterVec:
		m.kind = counter
	default: // what counts when it is asked gives gauges only, since nothing of it outlives the process
		m.kind = gauge
	}
	if (m.kind == counter) != strings.HasSuffix(m.name, "_total") {
		t.Errorf("%s is a %s by its collector, and not by its name", m.name, m.kind)
	}
	m.values = values(t)[m.name]
	for label := range m.values {
		if !slices.Contains(m.labels, label) {
			t.Errorf("%s has no label %q, and values of it are known", m.name, label)
		}
	}
	return m
}

// The kinds of metrics.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// values are those that labels can have, by metric and label.
func values(t *testing.T) map[string]map[string][]string {
	t.Helper()
	all := map[string]map[string][]string{"signoff_snapshot_invalid_objects": {"kind": slices.Sorted(maps.Keys(snapshot.NewStore(nil).Current().Invalid()))}}
	for _, some := range []map[string]map[string][]string{metrics.LabelValues(), keyholder.LabelValues(), auditlog.LabelValues(), notify.LabelValues()} {
		maps.Copy(all, some)
	}
	return all
}

// labelled shows labels with the values that they can have.
func (m *metric) labelled() string {
	var all []string
	for _, label := range m.labels {
		text := "`" + label + "`"
		if known := m.values[label]; len(known) > 0 {
			text += ": " + strings.Join(known, ", ")
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// TestMetricsReference compares the list of metrics with those that there are.
func TestMetricsReference(t *testing.T) {
	var out strings.Builder
	out.WriteString("# Metrics\n\nSignoff's own, made from the code. What to watch and when to worry: [guides/operate.md](../guides/operate.md).\n\n| Metric | Type | Labels, and their values where they are known beforehand | Means |\n|---|---|---|---|\n")
	for _, m := range own(t) {
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", m.name, m.kind, m.labelled(), m.help)
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
		if m.kind != histogram {
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
				checkValue(t, query, filters[0].Value, &filter)
			}
		}
	})
	if found == 0 {
		t.Errorf("%q reads no metric", query)
	}
}

// checkValue demands that a label can have the value by which it is selected: what is misspelt selects nothing, and an alert on it never rings.
func checkValue(t *testing.T, query, name string, filter *metricsql.LabelFilter) {
	t.Helper()
	known := values(t)[strings.TrimSuffix(name, "_bucket")][filter.Label]
	if len(known) == 0 || filter.Value == "" {
		return
	}
	selected := []string{filter.Value}
	if filter.IsRegexp {
		selected = strings.Split(filter.Value, "|")
	}
	for _, value := range selected {
		if !slices.Contains(known, value) {
			t.Errorf("%q: the label %q of %s is never %q; it is one of %v", query, filter.Label, name, value, known)
		}
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
			Rules []alertRule
		}
	}
}

// alertRule is one of them.
type alertRule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// alertNamed gives one alert.
func alertNamed(t *testing.T, name string) alertRule {
	t.Helper()
	for _, group := range alertsOf(t).Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == name {
				return rule
			}
		}
	}
	t.Fatalf("there is no alert %s", name)
	return alertRule{}
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

// dashboard is what of it is checked.
type dashboard struct {
	Title  string
	Panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
}

func dashboardOf(t *testing.T) *dashboard {
	t.Helper()
	out := &dashboard{}
	if err := json.Unmarshal([]byte(read(t, "config/monitoring/dashboard.json")), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDashboard: every panel reads what there is.
func TestDashboard(t *testing.T) {
	seen := map[int]bool{}
	for _, panel := range dashboardOf(t).Panels {
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
