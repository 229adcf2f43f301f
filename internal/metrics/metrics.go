// Package metrics tells Prometheus whether Signoff is fit to decide, and what it decided.
package metrics

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// Part says who judged.
type Part string

// The parts of a process that judge.
const (
	// Admission judges what is asked for before it is stored.
	Admission Part = "admission"
	// Controllers judge what is stored, until it starts.
	Controllers Part = "controllers"
)

// unknown is the effect of a judgement that came to no verdict.
const unknown = "Unknown"

var (
	judgements = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "signoff_judgements_total",
		Help: "Judgements of requests, by who judged, by the strongest effect of the rules (Unknown: no verdict) and by the reason why the request cannot go ahead (empty: it can).",
	}, []string{"part", "effect", "reason"})

	synced = prometheus.NewDesc("signoff_snapshot_synced",
		"1 where the process knows all governing objects; at 0 nothing is decided.", nil, nil)
	invalid = prometheus.NewDesc("signoff_snapshot_invalid_objects",
		"Governing objects that do not compile, by kind. Requests that they are about are refused or wait.", []string{"kind"}, nil)
	missing = prometheus.NewDesc("signoff_snapshot_missing_calendars",
		"Calendars that rules of Actions and policies name, and that are not there or not valid. Requests that they are about are refused or wait.", nil, nil)
)

var reviews = prometheus.NewGaugeVec(prometheus.GaugeOpts{
	Name: "signoff_reviews_open",
	Help: "Reviews of emergencies that are still to be done, by whether they are overdue. They are counted when one becomes overdue, when one ends, and every ten minutes.",
}, []string{"overdue"})

// ReviewsOpen shows how many reviews are still to be done, and how many of them are overdue.
func ReviewsOpen(all, overdue int) {
	reviews.WithLabelValues("false").Set(float64(all - overdue))
	reviews.WithLabelValues("true").Set(float64(overdue))
}

var temporaryLeft = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "signoff_temporary_left",
	Help: "Temporary requests whose Record was written by somebody else, so that what they did is not taken back and may be left. They are counted every ten minutes, for as long as there is such a Record.",
})

// TemporaryLeft shows how many temporary requests nobody takes back.
func TemporaryLeft(count int) { temporaryLeft.Set(float64(count)) }

var revertsFailing = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "signoff_reverts_failing",
	Help: "Temporary requests that are being taken back and of which something was left at the last attempt. It is tried again until nothing is.",
})

// RevertsFailing shows of how many temporary requests something could not be taken back yet.
func RevertsFailing(count int) { revertsFailing.Set(float64(count)) }

var forged = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "signoff_forged_total",
	Help: "Requests, Approvals, votes and Records that were found to be written or changed without Signoff, and Approvals that are gone, by the reason that their request gives. Nothing is executed by them.",
}, []string{"reason"})

// forgeries are the reasons for which something is not what Signoff or people have written.
var forgeries = []string{v1alpha1.ReasonNotStamped, v1alpha1.ReasonSealInvalid, v1alpha1.ReasonReplayed, v1alpha1.ReasonEvidenceLost}

// Forged counts what was written without Signoff, if the reason says that it was.
func Forged(reason string) {
	if slices.Contains(forgeries, reason) {
		forged.WithLabelValues(reason).Inc()
	}
}

var removed = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "signoff_finished_removed_total",
	Help: "Finished requests and Records that were removed because their time was over, and attempts that came to nothing, such as while the audit log is not delivered.",
}, []string{"kind", "result"})

// removable are the kinds of what is removed.
var removable = []string{"ActionRequest", "Record"}

// What became of an attempt to remove.
const (
	removedNow = "removed"
	notRemoved = "failed"
)

// Removed counts what was removed because its time was over, and what could not be.
func Removed(kind string, err error) {
	result := removedNow
	if err != nil {
		result = notRemoved
	}
	removed.WithLabelValues(kind, result).Inc()
}

// Judged counts a judgement.
func Judged(part Part, j *gate.Judgement) {
	effect, reason := unknown, ""
	if j.Verdict != nil && !j.Verdict.Indeterminate() {
		effect = string(j.Verdict.Effect)
	}
	if j.Problem != nil {
		reason = j.Problem.Reason
	}
	judgements.WithLabelValues(string(part), effect, reason).Inc()
}

// Refusal says why a caller of the webhooks was refused before anything was read.
type Refusal string

// Whoever is not the API server shows one of these.
const (
	// NoCertificate is a caller that shows no client certificate.
	NoCertificate Refusal = "NoCertificate"
	// ForeignCertificate is a caller whose client certificate is of another authority, has ended, or is for something else.
	ForeignCertificate Refusal = "ForeignCertificate"
	// UnknownPath is a caller that asks for what is not served, with the certificate of the API server.
	UnknownPath Refusal = "UnknownPath"
)

var refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "signoff_webhook_refused_total",
	Help: "Callers of the webhooks that were refused before anything they sent was read, by why. The process itself is one, without a certificate, at each start.",
}, []string{"reason"})

var refusalsThereAre = []Refusal{NoCertificate, ForeignCertificate, UnknownPath}

// Refused counts a caller that was refused.
func Refused(why Refusal) { refusals.WithLabelValues(string(why)).Inc() }

// health shows the snapshot of the process.
type health struct{ of atomic.Pointer[examined] }

// examined is what is shown.
type examined struct {
	store *snapshot.Store
	// operatorNamespace is where the Calendars of policies are.
	operatorNamespace string
}

var (
	shown    = &health{}
	register sync.Once
)

// What an alert asks to have grown is shown from the first one on: without a zero before it, it would be no increase.
func init() {
	for _, why := range refusalsThereAre {
		refusals.WithLabelValues(string(why))
	}
	for _, reason := range forgeries {
		forged.WithLabelValues(reason)
	}
	for _, outcome := range outcomes {
		finished.WithLabelValues(string(outcome))
	}
	for _, kind := range removable {
		for _, result := range []string{removedNow, notRemoved} {
			removed.WithLabelValues(kind, result)
		}
	}
}

// Show registers the metrics once, and shows from now on the snapshots of this store: a process has one, a test may make several.
func Show(store *snapshot.Store, operatorNamespace string) {
	shown.of.Store(&examined{store, operatorNamespace})
	register.Do(func() { ctrlmetrics.Registry.MustRegister(Collectors()...) })
}

// Collectors are the metrics of this package, for their reference.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{
		judgements, reviews, temporaryLeft, revertsFailing, forged, refusals, removed, shown,
		finished, approval, execution, requests, certificate,
	}
}

// Describe implements prometheus.Collector.
func (h *health) Describe(out chan<- *prometheus.Desc) {
	out <- synced
	out <- invalid
	out <- missing
}

// Collect implements prometheus.Collector.
func (h *health) Collect(out chan<- prometheus.Metric) {
	of := h.of.Load()
	if of == nil {
		return
	}
	current, fit := of.store.Current(), 0.0
	if current.Synced() {
		fit = 1
	}
	out <- prometheus.MustNewConstMetric(synced, prometheus.GaugeValue, fit)
	out <- prometheus.MustNewConstMetric(missing, prometheus.GaugeValue, float64(current.MissingCalendars(of.operatorNamespace)))
	for kind, count := range current.Invalid() {
		out <- prometheus.MustNewConstMetric(invalid, prometheus.GaugeValue, float64(count), kind)
	}
}
