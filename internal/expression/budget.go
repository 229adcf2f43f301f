package expression

import "context"

const (
	// ExpressionLimit is the cost that one expression may have, in the units of Kubernetes (about 0.1 s).
	ExpressionLimit uint64 = 1_000_000
	// DecisionLimit is the cost that all expressions of one decision may have together.
	DecisionLimit uint64 = 10_000_000
)

// Budget carries the remaining cost from expression to expression of one decision. It is not for concurrent use.
type Budget struct {
	remaining uint64
	meter     Meter
	// running says that an expression is being evaluated, which may make another one be evaluated for its variables.
	running bool
}

// Meter bounds what the decisions of somebody cost all together. It is asked only about expressions that can become expensive.
type Meter interface {
	// Begin waits until an expression may be evaluated, or the context ends. Done must be called with what it did cost.
	Begin(ctx context.Context) (done func(cost uint64), err error)
}

// NewBudget returns the budget of one decision.
func NewBudget() *Budget { return NewBudgetOf(DecisionLimit) }

// NewBudgetOf returns a budget of the given cost.
func NewBudgetOf(cost uint64) *Budget { return &Budget{remaining: cost} }

// Under makes the budget ask a meter as well, and returns it.
func (b *Budget) Under(m Meter) *Budget {
	b.meter = m
	return b
}

// Remaining returns the cost that is left.
func (b *Budget) Remaining() uint64 { return b.remaining }

// spend takes cost away and reports whether it was there.
func (b *Budget) spend(cost uint64) bool {
	if cost > b.remaining {
		b.remaining = 0
		return false
	}
	b.remaining -= cost
	return true
}

// begin waits for the turn of an expression that can become expensive. One that is evaluated for another one has its turn already.
func (b *Budget) begin(ctx context.Context) (done func(cost uint64), err error) {
	if b.meter == nil || b.running {
		return func(uint64) {}, nil
	}
	metered, err := b.meter.Begin(ctx)
	if err != nil {
		return nil, err
	}
	b.running = true
	return func(cost uint64) { b.running = false; metered(cost) }, nil
}
