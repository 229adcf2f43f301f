package facts

import (
	"context"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

var _ gate.Rights = (*Reader)(nil)

// MayRead tells whether somebody may read what a query gives, so that a verdict shows nobody what they could not see.
func (r *Reader) MayRead(ctx context.Context, who *v1alpha1.Identity, query gate.Query) (bool, error) {
	on, _, err := r.attributes(&query)
	if err != nil {
		return false, err
	}
	way := getting
	if query.IsList() {
		way = reading
	}
	return r.Reviews.mayAny(ctx, who, question{way: way, on: on})
}
