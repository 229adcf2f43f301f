// Package guard proves that what protects our objects is in force: that webhook configurations, admission policies and the definitions of
// our kinds are as they must be, and that the API server really asks both webhooks. While it is not proved, nothing may be started,
// because nobody knows who wrote what is stored.
//
// What it cannot see is a change that is undone before anybody looks, and API servers other than the one that it speaks to. Objects that
// were written in such a gap are told from others by their seals.
package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/guard/canary"
	"github.com/signoff-dev/signoff/internal/heartbeat"
)

// The rights of the guard: what protects ours, by name and never to write, and the canary.
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations;validatingwebhookconfigurations,resourceNames=signoff,verbs=get;list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,resourceNames=status.signoff.dev;requests.signoff.dev;approvals.signoff.dev;actions.signoff.dev;notifiers.signoff.dev;records.signoff.dev,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=actions.signoff.dev;roles.signoff.dev;teams.signoff.dev;calendars.signoff.dev;actionpolicies.signoff.dev;notifiers.signoff.dev;delegations.signoff.dev;actionrequests.signoff.dev;approvals.signoff.dev;records.signoff.dev,verbs=get;list;watch
// +kubebuilder:rbac:groups=signoff.dev,namespace=signoff-system,resources=actionrequests,verbs=create

const (
	// interval is how often the webhooks must prove that they are asked.
	interval = time.Minute
	// proofLasts is how long a proof stands while the webhooks, or the API server, do not answer. Where webhooks are down, writes fail, so
	// that nothing unseen is stored; and a restart of theirs must not stop everything.
	proofLasts = 3 * time.Minute
	// rereadAfter is how long what was read is believed although no event came: a watch may be broken without a word.
	rereadAfter = 10 * time.Minute
	// patience is how long nothing is said after the start before the first proof.
	patience = 30 * time.Second
	// firstPause and longestPause bound the pauses between attempts while the guard is not proved. The first is about as long as the API
	// server takes to notice a configuration.
	firstPause   = 200 * time.Millisecond
	longestPause = 15 * time.Second
	// answerTime bounds one attempt.
	answerTime = 15 * time.Second
)

// ErrUnproven says that nobody knows yet whether the guard is in force, because the process has just started.
var ErrUnproven = errors.New("it is not known yet whether the guard is in force")

// MissingError says that the guard is not in force.
type MissingError struct {
	// Since is when that was seen first.
	Since time.Time
	// Differences are what is not as it must be, and what will mend it, in words.
	Differences []string
}

// First is the first difference.
func (m *MissingError) First() string { return m.Differences[0] }

func (m *MissingError) Error() string {
	more := ""
	if n := len(m.Differences) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("the guard is not in force since %s: %s%s", m.Since.UTC().Format("2 Jan 15:04:05 MST"), m.First(), more)
}

// Options are what a Guard is made of.
type Options struct {
	// Protected is what must be as it says.
	Protected []*Protected
	// Objects reads it.
	Objects dynamic.Interface
	// Metadata says when it changes.
	Metadata metadata.Interface
	// Client sends canaries.
	Client client.Writer
	// Checker tells whether our webhooks answered.
	Checker canary.Checker
	// Namespace is that of the operator.
	Namespace string
	// Clock tells the time.
	Clock clock.WithTicker
	// Log is told when the guard comes or goes.
	Log logr.Logger
	// Changed is called when the guard comes or goes, or is missing for another reason.
	Changed func()
}

// state is what is known. It never changes; there is a new one.
type state struct {
	// unproven is true until something is known.
	unproven bool
	// missing is nil where the guard is in force.
	missing *MissingError
	// unclear is true where it is only not known any more.
	unclear bool
}

// Guard knows whether what protects our objects is in force. It runs where requests are executed, and not in every replica.
type Guard struct {
	Options
	state atomic.Pointer[state]
	// poke says that something changed.
	poke chan struct{}
	// turn is the look that the loop takes.
	turn heartbeat.Turn

	// Only the loop uses these.
	started, lastProof, lastRead time.Time
	found                        map[*Protected]*Seen

	mu sync.Mutex
	// seen are the resource versions that were compared, and stale is what must be read again.
	seen  map[*Protected]string
	stale map[*Protected]bool
}

// New makes a Guard. It knows nothing before it is started.
func New(o Options) *Guard {
	g := &Guard{Options: o, poke: make(chan struct{}, 1), found: map[*Protected]*Seen{}, seen: map[*Protected]string{}, stale: map[*Protected]bool{}}
	g.state.Store(&state{unproven: true})
	show(g)
	return g
}

// InForce returns nil where the guard is in force, ErrUnproven shortly after the start, and else a MissingError. It asks nobody.
func (g *Guard) InForce() error {
	switch current := g.state.Load(); {
	case current.unproven:
		return ErrUnproven
	case current.missing != nil:
		return current.missing
	}
	return nil
}

// Turn is the look that the loop takes. One ends by itself, also where nobody answers, so that one which does not end hangs.
func (g *Guard) Turn() *heartbeat.Turn { return &g.turn }

// Start looks and proves until the context ends.
func (g *Guard) Start(ctx context.Context) error {
	g.started = g.Clock.Now()
	g.watch(ctx)
	pause := firstPause
	for {
		g.look(ctx)
		next := interval
		if !g.proved() {
			next, pause = pause, min(2*pause, longestPause)
		}
		timer := g.Clock.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-g.poke:
			timer.Stop()
			pause = firstPause
		case <-timer.C():
		}
		if g.proved() {
			pause = firstPause
		}
	}
}

// proved tells whether the last attempt was a proof, so that the next one has time.
func (g *Guard) proved() bool {
	return g.InForce() == nil && g.Clock.Since(g.lastProof) < interval
}

// look reads what changed, sends a canary and says what came of it.
func (g *Guard) look(parent context.Context) {
	defer g.turn.Begin(g.Clock.Now())()
	ctx, cancel := context.WithTimeout(parent, answerTime)
	defer cancel()
	wrong, unclear := g.read(ctx)
	if len(wrong) == 0 {
		// What the canary says is the same where a webhook is missing, and says less.
		found, err := g.sing(ctx)
		wrong, unclear = found, errors.Join(unclear, err)
	}
	if parent.Err() == nil {
		g.conclude(wrong, unclear)
	}
}

// conclude makes a state of what is wrong and of what could not be found out.
func (g *Guard) conclude(wrong []string, unclear error) {
	now, next := g.Clock.Now(), &state{}
	switch {
	case len(wrong) > 0:
	case unclear == nil:
		g.lastProof = now
	case g.tolerates(now):
		return
	default:
		// Why nobody answers may be said otherwise each time.
		wrong, next.unclear = []string{fmt.Sprintf("cannot find out whether it is in force: %v", unclear)}, true
	}
	if len(wrong) > 0 {
		next.missing = &MissingError{Since: now, Differences: wrong}
	}
	g.become(next)
}

// tolerates tells whether what was known stands although nobody answers at the moment.
func (g *Guard) tolerates(now time.Time) bool {
	current := g.state.Load()
	switch {
	case current.unproven:
		return now.Sub(g.started) < patience
	case current.missing == nil:
		return now.Sub(g.lastProof) < proofLasts
	}
	return current.unclear
}

// become changes the state, and tells everybody.
func (g *Guard) become(next *state) {
	before := g.state.Load()
	if !before.unproven && slices.Equal(next.differences(), before.differences()) {
		return
	}
	if next.missing != nil && before.missing != nil {
		next.missing.Since = before.missing.Since
	}
	g.state.Store(next)
	switch {
	case next.missing != nil:
		g.Log.Error(next.missing, "the guard is not in force, so nothing is started", "differences", next.missing.Differences)
	case before.missing != nil:
		g.Log.Info("the guard is in force again", "missingSince", before.missing.Since)
	default:
		g.Log.Info("the guard is in force")
	}
	g.Changed()
}

func (s *state) differences() []string {
	if s.missing == nil {
		return nil
	}
	return s.missing.Differences
}
