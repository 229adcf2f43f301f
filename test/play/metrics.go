package play

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	dto "github.com/prometheus/client_model/go"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/hack/assets"
)

// sample is one series of a metric; of a histogram it is how often something was observed.
type sample struct {
	labels map[string]string
	value  float64
}

// has tells whether labels have values.
func (s *sample) has(labels map[string]string) bool {
	for label, want := range labels {
		if s.labels[label] != want {
			return false
		}
	}
	return true
}

// Scrape is what this process showed at one instant, by the names of its metrics.
type Scrape map[string][]sample

// Scraped gives what this process shows now.
func Scraped(t testing.TB) Scrape {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatalf("failed to read the metrics: %v", err)
	}
	all := Scrape{}
	for _, family := range families {
		for _, one := range family.GetMetric() {
			all[family.GetName()] = append(all[family.GetName()], sampleOf(one))
		}
	}
	return all
}

func sampleOf(one *dto.Metric) sample {
	s := sample{map[string]string{}, one.GetGauge().GetValue() + one.GetCounter().GetValue() + float64(one.GetHistogram().GetSampleCount())}
	for _, label := range one.GetLabel() {
		s.labels[label.GetName()] = label.GetValue()
	}
	return s
}

// Metric adds up what a metric of this process shows, where its labels have these values. Shown is false where it shows nothing.
func Metric(t testing.TB, name string, labels map[string]string) (value float64, shown bool) {
	t.Helper()
	now := Scraped(t)
	return now.Sum(name, labels), slices.ContainsFunc(now[name], func(one sample) bool { return one.has(labels) })
}

// Sum adds up what a metric showed, where its labels have these values.
func (s Scrape) Sum(name string, labels map[string]string) (value float64) {
	for _, one := range s[name] {
		if one.has(labels) {
			value += one.value
		}
	}
	return value
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

// Rings tells whether an alert of config/monitoring/alerts.yaml would ring by what this process shows now, if that lasted.
func Rings(t testing.TB, alert string) bool {
	t.Helper()
	return RingsSince(t, alert, nil)
}

// RingsSince tells whether an alert rings that asks by how much something has grown, since what this process showed before.
func RingsSince(t testing.TB, alert string, before Scrape) bool {
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
				return understood(t, rule.Expr).holds(Scraped(t), before)
			}
		}
	}
	t.Fatalf("there is no alert %s", alert)
	return false
}

// query is what is understood of PromQL: an aggregate of one metric that is compared with a number. This process is one Pod.
type query struct {
	// aggregate is max, min or sum, and by are the labels by which there is one of each.
	aggregate string
	by        []string
	// absolute values are compared, or how much was added.
	absolute, increase bool
	metric             []metricsql.LabelFilter
	// comparison is >, < or ==.
	comparison string
	limit      float64
}

// understood takes a query apart.
func understood(t testing.TB, text string) *query {
	t.Helper()
	fail := func() {
		t.Helper()
		t.Fatalf("%q is not an aggregate of one metric that is compared with a number", text)
	}
	parsed, err := metricsql.Parse(text)
	if err != nil {
		t.Fatalf("%q is not PromQL: %v", text, err)
	}
	comparison, ok := parsed.(*metricsql.BinaryOpExpr)
	if !ok || !slices.Contains([]string{">", "<", "=="}, comparison.Op) {
		fail()
	}
	q := &query{comparison: comparison.Op}
	if q.limit, err = strconv.ParseFloat(string(comparison.Right.AppendString(nil)), 64); err != nil {
		fail()
	}
	over, ok := comparison.Left.(*metricsql.AggrFuncExpr)
	if !ok || !slices.Contains([]string{"max", "min", "sum"}, over.Name) {
		fail()
	}
	q.aggregate, q.by = over.Name, over.Modifier.Args
	if !q.values(over.Args[0]) {
		fail()
	}
	return q
}

// values takes apart what is aggregated, and tells whether it was understood.
func (q *query) values(of metricsql.Expr) bool {
	if f, is := of.(*metricsql.FuncExpr); is {
		q.absolute, q.increase, of = f.Name == "abs", f.Name == "increase", f.Args[0]
		if q.absolute == q.increase {
			return false
		}
	}
	if window, is := of.(*metricsql.RollupExpr); is && q.increase {
		of = window.Expr
	}
	one, is := of.(*metricsql.MetricExpr)
	if is {
		q.metric = one.LabelFilterss[0]
	}
	return is
}

// holds tells whether the query gives something.
func (q *query) holds(now, before Scrape) bool {
	groups := map[string][]float64{}
	for _, one := range now[q.metric[0].Value] {
		value, ok := q.value(&one, before)
		if !ok {
			continue
		}
		var of []string
		for _, label := range q.by {
			of = append(of, one.labels[label])
		}
		group := strings.Join(of, "\x00")
		groups[group] = append(groups[group], value)
	}
	for _, values := range groups {
		if q.met(q.together(values)) {
			return true
		}
	}
	return false
}

// met tells whether a value is what the query asks for.
func (q *query) met(value float64) bool {
	switch q.comparison {
	case ">":
		return value > q.limit
	case "<":
		return value < q.limit
	}
	return value == q.limit
}

// together aggregates values, of which there is one at least.
func (q *query) together(values []float64) (all float64) {
	switch q.aggregate {
	case "max":
		return slices.Max(values)
	case "min":
		return slices.Min(values)
	}
	for _, value := range values {
		all += value
	}
	return all
}

// value is what of a series is compared. A series that was not there before has not grown: that is why counters begin with a zero.
func (q *query) value(one *sample, before Scrape) (float64, bool) {
	for _, filter := range q.metric[1:] {
		pattern := regexp.QuoteMeta(filter.Value)
		if filter.IsRegexp {
			pattern = filter.Value
		}
		if regexp.MustCompile("^(?:"+pattern+")$").MatchString(one.labels[filter.Label]) == filter.IsNegative {
			return 0, false
		}
	}
	switch {
	case q.absolute:
		return math.Abs(one.value), true
	case !q.increase:
		return one.value, true
	}
	for _, earlier := range before[q.metric[0].Value] {
		if maps.Equal(earlier.labels, one.labels) {
			return one.value - earlier.value, true
		}
	}
	return 0, false
}
