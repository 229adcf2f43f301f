package seal

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/internal/canonical"
)

func sumOf(text string) string { return canonical.Sum([]byte(text)) }

// chain makes a chain of n links from a root.
func chain(root string, n int) []Link {
	links := make([]Link, n)
	for i := range links {
		links[i] = Link{Seq: int64(i), Prev: root, Hash: sumOf(fmt.Sprint(root, i))}
		root = links[i].Hash
	}
	return links
}

func TestCheckChain(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func([]Link) []Link
		index  int
		kind   GapKind
	}{
		"Whole":       {"nothing is wrong", func(l []Link) []Link { return l }, 0, ""},
		"Empty":       {"nobody voted yet", func([]Link) []Link { return nil }, 0, ""},
		"Cut":         {"a chain does not know its end; Holds does", func(l []Link) []Link { return l[:3] }, 0, ""},
		"FirstGone":   {"it is named", func(l []Link) []Link { return l[1:] }, 0, GapMissing},
		"MiddleGone":  {"the first gap is named", func(l []Link) []Link { return slices.Delete(l, 2, 3) }, 2, GapMissing},
		"TwoGone":     {"the first gap is named", func(l []Link) []Link { return append(l[1:2], l[4:]...) }, 0, GapMissing},
		"Swapped":     {"all are there", func(l []Link) []Link { l[1], l[2] = l[2], l[1]; return l }, 1, GapReordered},
		"Reversed":    {"all are there", func(l []Link) []Link { slices.Reverse(l); return l }, 0, GapReordered},
		"Twice":       {"a vote is counted once", func(l []Link) []Link { return slices.Insert(l, 3, l[2]) }, 3, GapRepeated},
		"Changed":     {"the next one says so", func(l []Link) []Link { l[1].Hash = sumOf("x"); return l }, 2, GapBroken},
		"OtherRoot":   {"it is of another Approval", func(l []Link) []Link { l[0].Prev = sumOf("x"); return l }, 0, GapBroken},
		"Negative":    {"there is no such number", func(l []Link) []Link { l[0].Seq = -1; return l }, 0, GapRepeated},
		"Renumbered":  {"a number that is made up does not close a gap", func(l []Link) []Link { l[3].Seq = 2; return slices.Delete(l, 2, 3) }, 2, GapBroken},
		"LastChanged": {"nothing follows it; Holds sees it", func(l []Link) []Link { l[4].Hash = sumOf("x"); return l }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			links := tc.change(chain(sumA, 5))
			at, err := CheckChain(sumA, links)
			var g *Gap
			if errors.As(err, &g) != (tc.kind != "") || (g != nil && (g.Index != tc.index || g.Kind != tc.kind)) {
				t.Fatalf("%s: got %v, want %s at %d", tc.reason, err, tc.kind, tc.index)
			}
			want := Position{Hash: sumA}
			if n := len(links); n > 0 && g == nil {
				want = Position{Count: int64(n), Hash: links[n-1].Hash}
			}
			if g == nil && at != want {
				t.Errorf("%s: the end is %v, want %v", tc.reason, at, want)
			}
			if g != nil && at.Count != int64(tc.index) {
				t.Errorf("%s: it is whole up to %v, want %d", tc.reason, at, tc.index)
			}
		})
	}
}

func TestHolds(t *testing.T) {
	links := chain(sumA, 5)
	for name, tc := range map[string]struct {
		reason  string
		earlier Position
		now     []Link
		want    GapKind
	}{
		"Same":       {"nothing happened since", Position{5, links[4].Hash}, links, ""},
		"Longer":     {"votes were added", Position{3, links[2].Hash}, links, ""},
		"FromStart":  {"nobody had voted", Position{0, sumA}, links, ""},
		"StillNone":  {"nobody has voted", Position{0, sumA}, nil, ""},
		"Shortened":  {"a vote was removed", Position{5, links[4].Hash}, links[:4], GapShortened},
		"AllGone":    {"the Approval was made anew", Position{1, links[0].Hash}, nil, GapShortened},
		"Replaced":   {"another vote is there", Position{5, sumB}, links, GapReplaced},
		"OtherRoot":  {"it is another Approval", Position{0, sumB}, links, GapReplaced},
		"ChangedOld": {"an old vote was changed, and all after it", Position{2, sumB}, links, GapReplaced},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.earlier.Holds(sumA, tc.now)
			var g *Gap
			if errors.As(err, &g) != (tc.want != "") || (g != nil && g.Kind != tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// ballot is an Approval with votes.
type ballot struct {
	approval *Approval
	root     *Envelope
	votes    []*Vote
	seals    []string
}

func newBallot(t *testing.T, n int) *ballot {
	t.Helper()
	ap := sampleApproval()
	b := &ballot{approval: must[*Approval](t)(ApprovalPayload(ap, stamp(time.Second)))}
	b.root = signed(t, b.approval)
	prev := b.root.Hash()
	for i := range n {
		vote, vs := sampleVote(time.Duration(i+1)*time.Minute, int64(i), prev)
		p := must[*Vote](t)(VotePayload(ap, vote, vs))
		e := signed(t, p)
		b.votes, b.seals, prev = append(b.votes, p), append(b.seals, e.Seal.String()), e.Hash()
	}
	return b
}

// sign seals vote i anew, as a webhook would that made a mistake.
func (b *ballot) sign(t *testing.T, i int) { b.seals[i] = signed(t, b.votes[i]).Seal.String() }

func TestVotes(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(t *testing.T, b *ballot)
		index  int
		kind   GapKind
	}{
		"Whole": {"nothing is wrong", func(*testing.T, *ballot) {}, 0, ""},
		"None":  {"nobody voted yet", func(_ *testing.T, b *ballot) { b.votes, b.seals = nil, nil }, 0, ""},
		"Removed": {"an earlier vote was cut out", func(_ *testing.T, b *ballot) {
			b.votes, b.seals = slices.Delete(b.votes, 1, 2), slices.Delete(b.seals, 1, 2)
		}, 1, GapMissing},
		"Changed":    {"an earlier vote was edited", func(_ *testing.T, b *ballot) { b.votes[1].Decision = "Deny" }, 1, GapSeal},
		"SealsSwap":  {"a seal is for one vote", func(_ *testing.T, b *ballot) { b.seals[0], b.seals[1] = b.seals[1], b.seals[0] }, 0, GapSeal},
		"NoSeal":     {"a vote without a seal was never seen by the webhook", func(_ *testing.T, b *ballot) { b.seals = b.seals[:2] }, 2, GapSeal},
		"EmptySeal":  {"a vote without a seal was never seen by the webhook", func(_ *testing.T, b *ballot) { b.seals[2] = "" }, 2, GapSeal},
		"OtherUID":   {"it was given on another Approval", func(t *testing.T, b *ballot) { b.votes[1].Approval = "x"; b.sign(t, 1) }, 1, GapForeign},
		"OtherAsk":   {"it was given for another request", func(t *testing.T, b *ballot) { b.votes[1].Request = "x"; b.sign(t, 1) }, 1, GapForeign},
		"OtherStage": {"it was given in another stage", func(t *testing.T, b *ballot) { b.votes[1].Stage.Policy = "x"; b.sign(t, 1) }, 1, GapForeign},
		"OtherPlace": {"it was given elsewhere", func(t *testing.T, b *ballot) { b.votes[1].Namespace = "x"; b.sign(t, 1) }, 1, GapForeign},
		"Elsewhere":  {"it was given in another cluster", func(t *testing.T, b *ballot) { b.votes[1].Cluster = "x"; b.sign(t, 1) }, 1, GapForeign},
		"OtherDigest": {
			"it was given on something else", func(t *testing.T, b *ballot) { b.votes[1].Digest = sumB; b.sign(t, 1) }, 1, GapForeign,
		},
		"TooLate": {"nothing counts after the end", func(t *testing.T, b *ballot) {
			b.votes[2].IssuedAt = b.approval.ClosesAt
			b.sign(t, 2)
		}, 2, GapForeign},
		"LastMoment": {"it was still open", func(t *testing.T, b *ballot) { b.votes[2].IssuedAt = b.approval.ClosesAt - 1; b.sign(t, 2) }, 0, ""},
		"TooEarly": {"nobody could vote then", func(t *testing.T, b *ballot) {
			b.votes[0].IssuedAt = b.approval.IssuedAt - MaxSkew.Milliseconds() - 1
			b.sign(t, 0)
		}, 0, GapForeign},
		"ClockBehind": {"clocks differ", func(t *testing.T, b *ballot) {
			b.votes = b.votes[:1]
			b.seals = b.seals[:1]
			b.votes[0].IssuedAt = b.approval.IssuedAt - MaxSkew.Milliseconds()
			b.sign(t, 0)
		}, 0, ""},
		"SealedAgain": {"the votes after it do not continue it", func(t *testing.T, b *ballot) { b.votes[1].Comment = "x"; b.sign(t, 1) }, 2, GapBroken},
		"OtherRoot": {"the votes were given before the Approval was made anew", func(t *testing.T, b *ballot) {
			b.approval.Shown = sumB
			b.root = signed(t, b.approval)
		}, 0, GapBroken},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBallot(t, 3)
			tc.change(t, b)
			links, end, err := NewVerifier(16).Votes(b.approval, sampleApproval().UID, b.root, b.votes, b.seals, ring(t))
			var g *Gap
			if errors.As(err, &g) != (tc.kind != "") || (g != nil && (g.Index != tc.index || g.Kind != tc.kind)) {
				t.Fatalf("%s: got %v, want %s at %d", tc.reason, err, tc.kind, tc.index)
			}
			if g == nil && (len(links) != len(b.votes) || end.Count != int64(len(b.votes)) || end.Holds(b.root.Hash(), links) != nil) {
				t.Errorf("%s: got %d links that end at %v", tc.reason, len(links), end)
			}
			if g != nil && g.Kind == GapSeal && g.cause != nil && ReasonOf(err) == "" {
				t.Errorf("%s: the reason of the seal is lost: %v", tc.reason, err)
			}
		})
	}
}
