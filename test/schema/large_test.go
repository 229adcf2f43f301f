package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestLargeObjectsStayWritable fills objects nearly up to what etcd takes and writes to them once more, because the API server
// refuses a write whose CEL rules cost too much at run time, whatever it estimated before.
func TestLargeObjectsStayWritable(t *testing.T) {
	t.Parallel()
	groups := make([]any, 80)
	for i := range groups {
		groups[i] = fmt.Sprintf("oidc:%s-%d", strings.Repeat("g", 40), i)
	}
	text := strings.Repeat("x", 1<<20)
	cases := map[string]struct {
		kind  string
		fill  func(object map[string]any)
		write write
	}{
		"Votes": {
			kind: "approval",
			fill: func(object map[string]any) {
				set(object, []any{"spec", "votes", 0, "voter", "groups"}, groups)
				set(object, []any{"spec", "votes"}, slices.Repeat(as[[]any](get(object, "spec", "votes")), 255))
			},
			write: write{"json", false, "[{op: add, path: /spec/votes/-, value: " + vote + "}]"},
		},
		"Inputs": {
			kind: "actionrequest",
			fill: func(object map[string]any) {
				set(object, []any{"spec", "inputs"}, map[string]any{"text": text})
				set(object, []any{"spec", "cancellation"}, nil)
			},
			write: write{"merge", false, "spec: {cancellation: {reason: too large}}"},
		},
		"Record": {
			kind: "record",
			fill: func(object map[string]any) {
				set(object, []any{"spec", "steps", 0, "writes", 0, "body"}, map[string]any{"data": map[string]any{"text": text}})
			},
			write: write{"put", true, "status: {message: went well}"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := changed(t, sample(t, tc.kind), "")
			tc.fill(object.Object)
			if err := tc.write.try(t, withStatus(t, object)); err != nil {
				t.Errorf("want a write to a large object to be accepted, got: %v", err)
			}
		})
	}
}
