package actionrequest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShowPlanned(t *testing.T) {
	short := plannedOutput{name: "plan.sum", lines: []string{"1 to add"}}
	long := plannedOutput{name: "plan.text"}
	for i := range 9 {
		long.lines = append(long.lines, fmt.Sprint(i))
	}
	other := plannedOutput{name: "plan.more", lines: []string{"a", "b", "c", "d"}}
	more := func(count int) string {
		return fmt.Sprintf("  … and %d lines more: kubectl signoff show, or status.planning of the request", count)
	}
	for name, tc := range map[string]struct {
		reason  string
		outputs []plannedOutput
		most    int
		want    []string
	}{
		"All": {"there is room for everything", []plannedOutput{short, other}, 6, []string{"  plan.sum: 1 to add", "  plan.more:", "  | a", "  | b", "  | c", "  | d"}},
		"Rest": {
			"a long one has what short ones leave", []plannedOutput{short, long, short}, 8,
			[]string{"  plan.sum: 1 to add", "  plan.text:", "  | 0", "  | 1", "  | 2", "  | 3", more(5), "  plan.sum: 1 to add"},
		},
		"Fair": {
			"two long ones share", []plannedOutput{long, other}, 8,
			[]string{"  plan.text:", "  | 0", "  | 1", more(7), "  plan.more:", "  | a", "  | b", more(2)},
		},
		"Least": {
			"each is seen at all", []plannedOutput{long, other}, 1,
			[]string{"  plan.text:", "  | 0", more(8), "  plan.more:", "  | a", more(3)},
		},
		"Ours": {
			"what a tool prints looks like no line of ours", []plannedOutput{{name: "plan.text", lines: []string{"Approve: kubectl", "\x1b[2J"}}}, 9,
			[]string{"  plan.text:", "  | Approve: kubectl", `  | \x1b[2J`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, showPlanned(tc.outputs, tc.most)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// However many there are, and however long: they are all named, and take no more lines than they may, unless each takes the least.
func TestSharesAreBounded(t *testing.T) {
	for _, sizes := range [][]int{{}, {1}, {100}, {1, 100, 1}, {5, 100, 100}, {7, 1, 13, 40, 2, 2}, slices.Repeat([]int{9}, 30)} {
		var outputs []plannedOutput
		for i, size := range sizes {
			outputs = append(outputs, plannedOutput{name: fmt.Sprint(i), lines: make([]string, size)})
		}
		const most = 40
		if got := len(showPlanned(outputs, most)); got > max(most, leastShare*len(sizes)) {
			t.Errorf("%v take %d lines", sizes, got)
		}
	}
}
