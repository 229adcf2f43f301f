package play

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	dto "github.com/prometheus/client_model/go"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/hack/assets"
)

// Metric adds up what a metric of this process shows, where its labels have these values. Shown is false where it shows nothing.
func Metric(t testing.TB, name string, labels map[string]string) (value float64, shown bool) {
	t.Helper()
	values := series(t, name, func(label string) (string, bool) {
		want, ok := labels[label]
		return "^" + regexp.QuoteMeta(want) + "$", ok
	})
	for _, one := range values {
		value += one
	}
	return value, len(values) > 0
}

// series are the values of a metric. Wants says which pattern a label must match, if any.
func series(t testing.TB, name string, wants func(label string) (pattern string, ok bool)) []float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatalf("failed to read the metrics: %v", err)
	}
	var values []float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, one := range family.GetMetric() {
			if fits(one, wants) {
				values = append(values, one.GetGauge().GetValue()+one.GetCounter().GetValue())
			}
		}
	}
	return values
}

func fits(one *dto.Metric, wants func(label string) (string, bool)) bool {
	for _, label := range one.GetLabel() {
		if pattern, ok := wants(label.GetName()); ok && !regexp.MustCompile(pattern).MatchString(label.GetValue()) {
			return false
		}
	}
	return true
}

// alertRules is what of config/monitoring/alerts.yaml is read.
type alertRules struct {
	Spec struct {
		Groups []struct {
			Rules []struct {
				Alert string `json:"alert"`
				Expr  string `json:"expr"`
			} `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

// Rings tells whether an alert of the form max(metric) > number, of config/monitoring/alerts.yaml, would ring by what this process shows now.
func Rings(t testing.TB, alert string) bool {
	t.Helper()
	root, err := assets.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "monitoring", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules := &alertRules{}
	if err := yaml.Unmarshal(text, rules); err != nil {
		t.Fatal(err)
	}
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == alert {
				return exceeds(t, rule.Expr)
			}
		}
	}
	t.Fatalf("there is no alert %s", alert)
	return false
}

// exceeds evaluates max(metric) > number, also of absolute values, and max by (…), since this process is one Pod.
func exceeds(t testing.TB, query string) bool {
	t.Helper()
	metric, absolute, limit := parts(t, query)
	filters := map[string]string{}
	for _, filter := range metric {
		filters[filter.Label] = "^(?:" + filter.Value + ")$"
	}
	for _, value := range series(t, metric[0].Value, func(label string) (string, bool) { pattern, ok := filters[label]; return pattern, ok }) {
		if absolute {
			value = math.Abs(value)
		}
		if value > limit {
			return true
		}
	}
	return false
}

// parts takes a query apart: the metric with its labels, whether absolute values are compared, and with what.
func parts(t testing.TB, query string) (metric []metricsql.LabelFilter, absolute bool, limit float64) {
	t.Helper()
	fail := func() { t.Helper(); t.Fatalf("%q is not of the form max(metric) > number", query) }
	parsed, err := metricsql.Parse(query)
	if err != nil {
		t.Fatalf("%q is not PromQL: %v", query, err)
	}
	comparison, ok := parsed.(*metricsql.BinaryOpExpr)
	if !ok || comparison.Op != ">" {
		fail()
	}
	if limit, err = strconv.ParseFloat(string(comparison.Right.AppendString(nil)), 64); err != nil {
		fail()
	}
	most, ok := comparison.Left.(*metricsql.AggrFuncExpr)
	if !ok || most.Name != "max" {
		fail()
	}
	of := most.Args[0]
	if f, is := of.(*metricsql.FuncExpr); is && f.Name == "abs" {
		of, absolute = f.Args[0], true
	}
	one, ok := of.(*metricsql.MetricExpr)
	if !ok {
		fail()
	}
	return one.LabelFilterss[0], absolute, limit
}
