// Package clockskew compares the clock of this process with that of the API server, by the header Date of its answers: objects are dated by the
// one, seals by the other.
package clockskew

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// slowest is how long an answer may take that tells the time: a slow one, or a process that stood still meanwhile, tells an old one.
const slowest = 2 * time.Second

// Meter measures how far the API server is ahead.
type Meter struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	// ahead is how far, and known whether it ever told the time.
	ahead time.Duration
	known bool
}

// NewMeter makes a Meter that compares with a clock.
func NewMeter(c clock.PassiveClock) *Meter { return &Meter{clock: c} }

// Wrap listens to answers, as a transport.WrapperFunc.
func (m *Meter) Wrap(next http.RoundTripper) http.RoundTripper { return &listener{next, m} }

// Ahead is how far the API server is ahead, and behind where that is negative, in the whole seconds that it tells. Known is false until it has
// told the time.
func (m *Meter) Ahead() (ahead time.Duration, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ahead, m.known
}

// heard takes note of an answer to what was sent at some time.
func (m *Meter) heard(date string, sent time.Time) {
	at, err := http.ParseTime(date)
	now := m.clock.Now()
	if took := now.Sub(sent); err != nil || took < 0 || took > slowest {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// It was that second, or any time after until the next.
	m.ahead, m.known = at.Sub(now.Truncate(time.Second)), true
}

// listener reads the header Date of every answer.
type listener struct {
	next  http.RoundTripper
	meter *Meter
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := l.meter.clock.Now()
	response, err := l.next.RoundTrip(request)
	if err == nil {
		l.meter.heard(response.Header.Get("Date"), sent)
	}
	return response, err
}

var seconds = prometheus.NewDesc("signoff_clock_skew_seconds",
	"How far the clock of the API server is ahead of that of the process (behind, where it is negative), in whole seconds, by its answers. Beyond 60, what is sealed does not count.", nil, nil)

// shows is the metric of the Meter of this process: a process has one, a test may make several.
type shows struct{ meter atomic.Pointer[Meter] }

var (
	shown    = &shows{}
	register sync.Once
)

// Show registers the metric once, and shows from now on what this Meter measures.
func Show(m *Meter) {
	shown.meter.Store(m)
	register.Do(func() { ctrlmetrics.Registry.MustRegister(Collectors()...) })
}

// Collectors are the metrics of this package, for their reference.
func Collectors() []prometheus.Collector { return []prometheus.Collector{shown} }

// Describe implements prometheus.Collector.
func (s *shows) Describe(out chan<- *prometheus.Desc) { out <- seconds }

// Collect implements prometheus.Collector.
func (s *shows) Collect(out chan<- prometheus.Metric) {
	if m := s.meter.Load(); m != nil {
		if ahead, known := m.Ahead(); known {
			out <- prometheus.MustNewConstMetric(seconds, prometheus.GaugeValue, ahead.Seconds())
		}
	}
}
