package metrics

import (
	"crypto/x509"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/cert"
	"k8s.io/utils/clock"
)

var expiry = prometheus.NewDesc("signoff_webhook_certificate_expiry_seconds",
	"How many seconds are left until the certificate ends with which this replica serves the webhooks, or that of who signed it, if it is in the same file. Negative: it has ended, so that every write fails.", nil, nil)

// serving looks at a file whenever somebody asks: it is replaced while the process runs.
type serving struct{ of atomic.Pointer[served] }

// served is what is looked at.
type served struct {
	file  string
	clock clock.PassiveClock
}

var certificate = &serving{}

// ShowCertificate shows from now on how long the certificate in this file is valid.
func ShowCertificate(file string, clk clock.PassiveClock) { certificate.of.Store(&served{file, clk}) }

// Describe implements prometheus.Collector.
func (s *serving) Describe(out chan<- *prometheus.Desc) { out <- expiry }

// Collect implements prometheus.Collector. A file that cannot be read shows nothing: what was read before is served, and nobody knows until when.
func (s *serving) Collect(out chan<- prometheus.Metric) {
	of := s.of.Load()
	if of == nil {
		return
	}
	chain, err := cert.CertsFromFile(of.file)
	if err != nil || len(chain) == 0 {
		return
	}
	first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	out <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, first.NotAfter.Sub(of.clock.Now()).Seconds())
}
