package webhooks

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	// dryRunsBack is how long it takes until somebody who has used up their dry runs has all of them again.
	dryRunsBack = 10 * time.Second
	// maxDryRunners bounds of how many people it is remembered what they have left. Whoever is forgotten has all of theirs.
	maxDryRunners = 4096
)

// DryRuns bounds how many dry runs of one person are judged: of new requests, of votes, and of cancellations and decisions about steps, each by itself,
// since by trying a vote on each Approval an inbox is filled, which must leave room to ask. They are never stored, so that nothing else bounds them, and
// each is judged as dearly as what it tries. Those of requests that are there, and of which nobody says anything new, are not counted: a repository is
// tried as a whole before it is applied.
type DryRuns struct {
	most int

	mu   sync.Mutex
	left *lru.Cache
}

// trial is what is tried.
type trial string

const (
	asking   trial = "ask"
	voting   trial = "vote"
	changing trial = "change"
)

// NewDryRuns makes DryRuns of which one person may have so many of each kind at once.
func NewDryRuns(most int) *DryRuns {
	return &DryRuns{most: most, left: lru.New(maxDryRunners)}
}

// perSecond is how many of them come back.
func (d *DryRuns) perSecond() float64 { return float64(d.most) / dryRunsBack.Seconds() }

// take takes one of those that a person has left, and tells whether there was one.
func (d *DryRuns) take(of trial, person string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	who := string(of) + " " + person
	known, _ := d.left.Get(who)
	left, ok := known.(*rate.Limiter)
	if !ok {
		left = rate.NewLimiter(rate.Limit(d.perSecond()), d.most)
		d.left.Add(who, left)
	}
	return left.AllowN(now, 1)
}

// exhausted refuses a dry run of somebody who has none left. Nothing was judged, so it is no verdict, and has the code of a server that is asked too
// much: programs must not take it for an answer.
func (d *Deps) exhausted(req *admission.Request, of trial, who *v1alpha1.Identity) *admission.Response {
	if !isDryRun(req) || d.DryRuns.take(of, who.Person, d.Wall.Now()) {
		return nil
	}
	refusal := forbidden(v1alpha1.ReasonTooManyDryRuns, fmt.Sprintf(
		"%s makes too many dry runs: %d at once, and then %.3g a second (requester.maxDryRuns in the configuration of Signoff). Nothing was judged.\n"+
			"  Try again in a few seconds. What is no dry run is not concerned.", who.Username, d.DryRuns.most, d.DryRuns.perSecond()))
	refusal.Result.Code, refusal.Result.Reason = http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests
	return &refusal
}
