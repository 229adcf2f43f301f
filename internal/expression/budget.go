package expression

const (
	// ExpressionLimit is the cost that one expression may have, in the units of Kubernetes (about 0.1 s).
	ExpressionLimit uint64 = 1_000_000
	// DecisionLimit is the cost that all expressions of one decision may have together.
	DecisionLimit uint64 = 10_000_000
)

// Budget carries the remaining cost from expression to expression of one decision. It is not for concurrent use.
type Budget struct {
	remaining uint64
}

// NewBudget returns the budget of one decision.
func NewBudget() *Budget { return NewBudgetOf(DecisionLimit) }

// NewBudgetOf returns a budget of the given cost.
func NewBudgetOf(cost uint64) *Budget { return &Budget{remaining: cost} }

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
