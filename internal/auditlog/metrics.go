package auditlog

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// What can fail.
const (
	stageWrite   = "write"
	stageSign    = "sign"
	stageDeliver = "deliver"
	// stageAside means that a log could not be gone on with and was put aside.
	stageAside = "aside"
)

var (
	written = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signoff_audit_lines_total", Help: "Lines that were written to an audit log, those about the log itself included.",
	}, []string{"sink"})
	delivered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signoff_audit_delivered_total", Help: "Lines that a receiver has acknowledged.",
	}, []string{"sink"})
	failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signoff_audit_failures_total",
		Help: "Failures of an audit sink: to write (nothing is executed until it succeeds), to sign, to deliver, or to go on with a log, which was put aside.",
	}, []string{"sink", "stage"})

	outboxLines = prometheus.NewDesc("signoff_audit_outbox_lines", "Lines that wait for a receiver.", []string{"sink"}, nil)
	outboxBytes = prometheus.NewDesc("signoff_audit_outbox_bytes", "Bytes that wait for a receiver.", []string{"sink"}, nil)
	outboxAge   = prometheus.NewDesc("signoff_audit_outbox_oldest_seconds", "How long the oldest line has been waiting for a receiver. 0: none waits.", []string{"sink"}, nil)
)

// outboxes shows the outboxes of the log that was made last: a process has one, a test may make several.
type outboxes struct{ log atomic.Pointer[Log] }

var (
	shown    = &outboxes{}
	register sync.Once
)

// Collectors are the metrics of this package, for their reference.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{written, delivered, failures, shown}
}

// stages are what can fail.
var stages = []string{stageWrite, stageSign, stageDeliver, stageAside}

// LabelValues are the values that labels of these metrics can have, where they are known beforehand, by metric and label.
func LabelValues() map[string]map[string][]string {
	return map[string]map[string][]string{"signoff_audit_failures_total": {"stage": stages}}
}

// show shows the metrics, failures from the first one on: without a zero before it, it would be no increase.
func show(l *Log) {
	shown.log.Store(l)
	register.Do(func() { ctrlmetrics.Registry.MustRegister(Collectors()...) })
	for _, s := range l.sinks {
		for _, stage := range stages {
			failures.WithLabelValues(s.name, stage)
		}
	}
}

// Describe implements prometheus.Collector.
func (*outboxes) Describe(out chan<- *prometheus.Desc) {
	out <- outboxLines
	out <- outboxBytes
	out <- outboxAge
}

// Collect implements prometheus.Collector.
func (o *outboxes) Collect(out chan<- prometheus.Metric) {
	log := o.log.Load()
	if log == nil {
		return
	}
	for _, s := range log.senders {
		lines, size, since := s.outbox.waiting()
		age := 0.0
		if !since.IsZero() {
			age = max(log.options.Clock.Since(since).Seconds(), 0)
		}
		out <- prometheus.MustNewConstMetric(outboxLines, prometheus.GaugeValue, float64(lines), s.name)
		out <- prometheus.MustNewConstMetric(outboxBytes, prometheus.GaugeValue, float64(size), s.name)
		out <- prometheus.MustNewConstMetric(outboxAge, prometheus.GaugeValue, age, s.name)
	}
}
