package metrics

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// How requests go. No label names a person, a request or an Action: whoever may write Actions could make as many series as they like, each histogram
// a dozen of them, and Prometheus keeps names for longer and shows them to more people than the audit log, which tells all of it by Action.

// outcomes are the ends that a request can have.
var outcomes = []v1alpha1.Outcome{
	v1alpha1.OutcomeSucceeded, v1alpha1.OutcomeFailed, v1alpha1.OutcomeDenied, v1alpha1.OutcomeExpired, v1alpha1.OutcomeCancelled, v1alpha1.OutcomeReverted,
}

// openPhases are those of requests that are not over.
var openPhases = []v1alpha1.Phase{
	v1alpha1.PhasePending, v1alpha1.PhaseAwaitingApproval, v1alpha1.PhaseApproved, v1alpha1.PhaseHeld, v1alpha1.PhaseExecuting,
	v1alpha1.PhaseOutcomeUnknown, v1alpha1.PhaseActive, v1alpha1.PhaseReverting,
}

// stuckBy are the reasons for which a request waits until a person mends something. What stops all requests has metrics of its own.
var stuckBy = []string{v1alpha1.ReasonFactsUnavailable, v1alpha1.ReasonIndeterminate, v1alpha1.ReasonActionUnavailable, v1alpha1.ReasonUnsatisfiable}

// unusableBy are the reasons for which the requests of an Action get stuck although it compiles.
var unusableBy = []string{v1alpha1.ReasonCannotImpersonate, v1alpha1.ReasonFactsUnavailable}

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

var (
	finished = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signoff_requests_finished_total",
		Help: "Requests that ended, by their outcome. Each is counted once, by the replica that ended it.",
	}, []string{"outcome"})

	approval = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "signoff_request_approval_seconds",
		Help:    "How long people took to agree: from the creation of a request until the last of those who had to agreed. It is observed when the request starts. Requests to which nobody had to agree are not in it.",
		Buckets: []float64{minute, 5 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 4 * hour, 8 * hour, day, 2 * day, 3 * day, 7 * day},
	})

	execution = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "signoff_request_execution_seconds",
		Help:    "How long the steps of requests took, from the start to the end of the last, by how they ended. The time for which something temporary stays is not in it.",
		Buckets: []float64{1, 5, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute, hour, 2 * hour, 6 * hour},
	}, []string{"outcome"})

	open = prometheus.NewDesc("signoff_requests_open",
		"Requests that are not over, by their phase.", []string{"phase"}, nil)
	stuck = prometheus.NewDesc("signoff_requests_stuck",
		"Requests that are not over and wait until a person mends something, by the reason that they give.", []string{"reason"}, nil)
	unusable = prometheus.NewDesc("signoff_actions_unusable",
		"Actions that compile and whose requests get stuck all the same, by the reason that they give.", []string{"reason"}, nil)
)

// Finished counts a request that ended.
func Finished(outcome v1alpha1.Outcome) { finished.WithLabelValues(string(outcome)).Inc() }

// Approved observes how long people took to agree. Processes whose clocks differ a little give no negative time.
func Approved(after time.Duration) { approval.Observe(max(after, 0).Seconds()) }

// Executed observes how long the steps of a request took, and how they ended.
func Executed(outcome v1alpha1.Outcome, took time.Duration) {
	execution.WithLabelValues(string(outcome)).Observe(max(took, 0).Seconds())
}

// Known gives all that a cache holds of a kind, to look at and not to keep. False: it has not read everything yet.
type Known func() ([]any, bool)

// counted counts what caches hold whenever somebody asks, so that nothing is kept for a request.
type counted struct{ of atomic.Pointer[cached] }

// cached is what is counted.
type cached struct{ requests, actions Known }

var requests = &counted{}

// ShowRequests shows from now on how many requests there are, and what keeps them.
func ShowRequests(ofRequests, ofActions Known) { requests.of.Store(&cached{ofRequests, ofActions}) }

// Describe implements prometheus.Collector.
func (c *counted) Describe(out chan<- *prometheus.Desc) {
	out <- open
	out <- stuck
	out <- unusable
}

// Collect implements prometheus.Collector.
func (c *counted) Collect(out chan<- prometheus.Metric) {
	of := c.of.Load()
	if of == nil {
		return
	}
	if all, read := of.requests(); read {
		byPhase, byReason := map[v1alpha1.Phase]int{}, map[string]int{}
		for _, object := range all {
			if request, ok := object.(*v1alpha1.ActionRequest); ok {
				byPhase[phase(request)]++
				byReason[because(request.Status.Conditions)]++
			}
		}
		show(out, open, openPhases, byPhase)
		show(out, stuck, stuckBy, byReason)
	}
	if all, read := of.actions(); read {
		byReason := map[string]int{}
		for _, object := range all {
			if action, ok := object.(*v1alpha1.Action); ok {
				byReason[because(action.Status.Conditions)]++
			}
		}
		show(out, unusable, unusableBy, byReason)
	}
}

// show shows how many there are of each, also where there are none.
func show[K ~string](out chan<- prometheus.Metric, desc *prometheus.Desc, all []K, counts map[K]int) {
	for _, one := range all {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(counts[one]), string(one))
	}
}

// phase is the phase of a request. One that nobody has looked at yet has none.
func phase(request *v1alpha1.ActionRequest) v1alpha1.Phase {
	if slices.Contains(openPhases, request.Status.Phase) {
		return request.Status.Phase
	}
	return v1alpha1.PhasePending
}

// because is the reason of the condition Ready where that is not true. Empty: it is.
func because(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil && ready.Status != metav1.ConditionTrue {
		return ready.Reason
	}
	return ""
}
