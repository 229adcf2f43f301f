package gate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/internal/expression"
)

// What the Actions of one catalog namespace may take, so that expensive expressions of one team never slow down another. Expressions whose
// cost is known to be small are not counted.
const (
	// costPerSecond is about a quarter of a core, and costAtOnce one decision that is as dear as one can be.
	costPerSecond, costAtOnce = float64(expression.DecisionLimit) / 4, float64(expression.DecisionLimit)
	// costOfOne is how much of it goes to what one person asks for: nobody uses up what is there for all requesters.
	costOfOne = 0.5
	// maxShares is how many namespaces are remembered, and how many people in them.
	maxShares = 4096
)

// Later tells an error that may be gone a while later although nothing has changed: there was no turn, or no time.
func Later(err error) bool { return expression.Later(err) }

// shares bound what each catalog namespace may take.
type shares struct {
	clock             clock.PassiveClock
	perSecond, atOnce float64
	mu                sync.Mutex
	known, people     *lru.Cache
}

func newShares(clk clock.PassiveClock) *shares {
	return &shares{clock: clk, perSecond: costPerSecond, atOnce: costAtOnce, known: lru.New(maxShares), people: lru.New(maxShares)}
}

// share is what is left for the Actions of one namespace, or for what one person asks of them. It implements expression.Meter.
type share struct {
	*shares
	// part is how much of what a namespace gets comes to this share.
	part float64
	// whose says in words for whom it is.
	whose string
	// turn lets one expression run at a time.
	turn chan struct{}

	mine sync.Mutex
	left float64
	at   time.Time
}

// of gives the share of a namespace.
func (s *shares) of(namespace string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(s.known, namespace, 1, fmt.Sprintf("Actions in namespace %s take too much time, more than a quarter of a core", namespace))
}

// ofPerson gives the share of a person in what a namespace has.
func (s *shares) ofPerson(namespace, person string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(s.people, namespace+" "+person, costOfOne, fmt.Sprintf("Actions in namespace %s take too much time of what one requester gets", namespace))
}

func (s *shares) find(in *lru.Cache, name string, part float64, whose string) *share {
	if known, ok := in.Get(name); ok {
		return known.(*share) //nolint:forcetypeassert // nothing else is put in
	}
	made := &share{shares: s, part: part, whose: whose, turn: make(chan struct{}, 1), left: s.atOnce, at: s.clock.Now()}
	in.Add(name, made)
	return made
}

// Begin implements expression.Meter.
func (s *share) Begin(ctx context.Context) (done func(cost uint64), err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, s.busy()
	}
	if s.take(0) <= 0 {
		<-s.turn
		return nil, s.busy()
	}
	return func(cost uint64) { s.take(float64(cost)); <-s.turn }, nil
}

// take takes a cost away, and gives what is left.
func (s *share) take(cost float64) float64 {
	s.mine.Lock()
	defer s.mine.Unlock()
	now := s.clock.Now()
	passed := max(now.Sub(s.at), 0).Seconds()
	s.left, s.at = min(s.left+passed*s.perSecond*s.part, s.atOnce)-cost, now
	return s.left
}

func (s *share) busy() error {
	return fmt.Errorf("the expressions for %s, and %w: try again in a while, or let the author of the Action make them simpler",
		s.whose, expression.ErrBusy)
}

// turns asks the shares of a namespace and of a requester for one decision, and notes whether it was refused once. A namespace that nothing is evaluated for is not
// remembered: anybody can name one, and would push out the others.
type turns struct {
	*shares
	namespace, person string
	refused           bool
}

// Begin implements expression.Meter.
func (t *turns) Begin(ctx context.Context) (done func(cost uint64), err error) {
	mine, err := t.ofPerson(t.namespace, t.person).Begin(ctx)
	if err != nil {
		t.refused = true
		return nil, err
	}
	all, err := t.of(t.namespace).Begin(ctx)
	if err != nil {
		mine(0)
		t.refused = true
		return nil, err
	}
	return func(cost uint64) { all(cost); mine(cost) }, nil
}

// Budget is for expressions about an Action of a namespace that belong to no judgement. It counts towards the share of the namespace.
func (g *Gate) Budget(namespace string) *expression.Budget {
	return expression.NewBudget().Under(g.shares.of(namespace))
}
