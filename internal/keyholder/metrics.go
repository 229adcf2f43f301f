package keyholder

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/signoff-dev/signoff/internal/keys"
)

var (
	stateMetric = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "signoff_keys_state",
		Help: "1 for the state that the keys of a purpose are in, 0 for the others. Only in Ready and Rotating anything is signed.",
	}, []string{"purpose", "state"})
	register sync.Once
	// states are all states that the keys of this process can be in.
	states = []keys.State{
		keys.Absent, keys.Unpublished, keys.Ready, keys.Rotating, keys.KeyLost, keys.DocumentLost, keys.Ended, Unknown, Unreadable,
	}
)

// Collectors are the metrics of this package, for their reference.
func Collectors() []prometheus.Collector { return []prometheus.Collector{stateMetric} }

// LabelValues are the values that labels of these metrics can have, where they are known beforehand, by metric and label.
func LabelValues() map[string]map[string][]string {
	var all []string
	for _, state := range states {
		all = append(all, string(state))
	}
	return map[string]map[string][]string{"signoff_keys_state": {"state": all}}
}

// show shows the states of the keys that this process holds.
func (h *Holder) show() {
	register.Do(func() { ctrlmetrics.Registry.MustRegister(Collectors()...) })
	for _, purpose := range h.options.Holds {
		now, _ := h.State(purpose)
		for _, state := range states {
			value := 0.0
			if state == now {
				value = 1
			}
			stateMetric.WithLabelValues(string(purpose), string(state)).Set(value)
		}
	}
}
