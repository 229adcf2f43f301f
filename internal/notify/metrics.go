package notify

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// What became of a message.
const (
	resultDelivered = "delivered"
	resultFailed    = "failed"
	resultDropped   = "dropped"
)

var (
	ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signoff_notifications_total",
		Help: "Messages of Notifiers, by the kind of their channel and by what became of them: delivered, failed (given up after it was tried), or dropped before (too many waited, or the template of an address or a body gave nothing).",
	}, []string{"channel", "result"})
	register sync.Once
)

// Collectors are the metrics of this package, for their reference.
func Collectors() []prometheus.Collector { return []prometheus.Collector{ended} }

var (
	// channels are the kinds of channels, as their fields are called, and results what became of a message.
	channels = []string{"slack", "teams", "email", "cloudEvents", "webhook"}
	results  = []string{resultDelivered, resultFailed, resultDropped}
)

// LabelValues are the values that labels of these metrics can have, by metric and label.
func LabelValues() map[string]map[string][]string {
	return map[string]map[string][]string{"signoff_notifications_total": {"channel": channels, "result": results}}
}

// show shows the metrics, from the first failure on: without a zero before it, it would be no increase.
func show() {
	register.Do(func() { ctrlmetrics.Registry.MustRegister(Collectors()...) })
	for _, kind := range channels {
		for _, result := range results {
			ended.WithLabelValues(kind, result)
		}
	}
}

// count counts a message that waits no more.
func count(d *Delivery) {
	result := resultFailed
	switch {
	case d.State == v1alpha1.DeliveryRetrying:
		return
	case d.State == v1alpha1.DeliveryDelivered:
		result = resultDelivered
	case d.Attempts == 0:
		result = resultDropped
	}
	ended.WithLabelValues(d.Message.Channel.kind(), result).Inc()
}

// kind is what a channel is, as its field is called.
func (c *Channel) kind() string {
	switch {
	case c.Slack != nil:
		return "slack"
	case c.Teams != nil:
		return "teams"
	case c.Email != nil:
		return "email"
	case c.CloudEvents != nil:
		return "cloudEvents"
	}
	return "webhook"
}
