package guard

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

var inForce = prometheus.NewDesc("signoff_guard_in_force",
	"1 where webhooks, admission policies and definitions are as they must be and the webhooks prove that they are asked; at 0 nothing is started. Absent in a process that does not execute, and until it is known.", nil, nil)

// shows is the metric of the Guard of this process: a process has one, a test may make several.
type shows struct{ guard atomic.Pointer[Guard] }

var (
	shown    = &shows{}
	register sync.Once
)

func show(g *Guard) {
	shown.guard.Store(g)
	register.Do(func() { ctrlmetrics.Registry.MustRegister(Collectors()...) })
}

// Collectors are the metrics of this package, for their reference.
func Collectors() []prometheus.Collector { return []prometheus.Collector{shown} }

// Describe implements prometheus.Collector.
func (s *shows) Describe(out chan<- *prometheus.Desc) { out <- inForce }

// Collect implements prometheus.Collector.
func (s *shows) Collect(out chan<- prometheus.Metric) {
	g := s.guard.Load()
	if g == nil {
		return
	}
	switch current := g.state.Load(); {
	case current.unproven:
	case current.missing == nil:
		out <- prometheus.MustNewConstMetric(inForce, prometheus.GaugeValue, 1)
	default:
		out <- prometheus.MustNewConstMetric(inForce, prometheus.GaugeValue, 0)
	}
}
