package audit

import (
	"fmt"
	"time"
)

// GapKind says in one word what is wrong with a log.
type GapKind string

const (
	// GapMalformed means that a line is not an event of a log.
	GapMalformed GapKind = "Malformed"
	// GapChanged means that a line was changed.
	GapChanged GapKind = "Changed"
	// GapRemoved means that lines are missing.
	GapRemoved GapKind = "Removed"
	// GapReordered means that lines are in another order.
	GapReordered GapKind = "Reordered"
	// GapRepeated means that a number is there twice: a line was copied or inserted.
	GapRepeated GapKind = "Repeated"
	// GapRewritten means that lines were changed, with all that follow, after a checkpoint had signed them.
	GapRewritten GapKind = "Rewritten"
	// GapTruncated means that the end is missing.
	GapTruncated GapKind = "Truncated"
	// GapForeign means that a line, or what it proves, belongs to something else.
	GapForeign GapKind = "Foreign"
	// GapSeal means that a seal is not valid.
	GapSeal GapKind = "Seal"
	// GapUnknownKey means that a seal was made with a key that was not given.
	GapUnknownKey GapKind = "UnknownKey"
	// GapVotes means that the votes on an Approval are no chain, or are not those on which an execution began.
	GapVotes GapKind = "Votes"
	// GapRevoked means that a key was revoked before the seal was made. What comes after it is verified all the same.
	GapRevoked GapKind = "Revoked"
	// GapUnsigned means that more lines are signed by nobody than any Signoff leaves so.
	GapUnsigned GapKind = "Unsigned"
)

// Gap is the first thing that is wrong with a log.
type Gap struct {
	// Line is the line, from 1. After the last line: it is missing.
	Line int64
	// EventID is the event on that line, where it can be told.
	EventID string
	// Kind says what is wrong.
	Kind GapKind
	// Message says more.
	Message string
}

func (g *Gap) Error() string {
	if g.EventID == "" {
		return fmt.Sprintf("line %d: %s: %s", g.Line, g.Kind, g.Message)
	}
	return fmt.Sprintf("line %d (%s): %s: %s", g.Line, g.EventID, g.Kind, g.Message)
}

// Report is what was found in a log.
type Report struct {
	// Lines, Checkpoints and Seals are how many were verified, up to the first gap.
	Lines, Checkpoints, Seals int64
	// Unknown are events of types that a newer version writes. They are in the chain, and nothing is known about what they say.
	Unknown int64
	// Unlinked are votes on Approvals that were opened in an earlier log: that the first of them continues its Approval was not verified.
	Unlinked int64
	// Chains are the logs, one after the other.
	Chains []Chain
	// Unvouched are lines that nobody had signed when the process that wrote them ended.
	Unvouched []Range
	// Revoked are seals that were made after their key was revoked, the first of them, and how many more there are: they prove nothing.
	Revoked     []*Gap
	MoreRevoked int64
	// Earlier are logs that others say to continue, and which are not here.
	Earlier []Position
	// Gap is the first gap. Nil: there is none, but seals that were revoked.
	Gap *Gap
}

// maxRevoked is how many seals are named that were revoked.
const maxRevoked = 20

// Chain is one log.
type Chain struct {
	// Cluster is the uid of the cluster.
	Cluster string
	// FirstLine is where it begins.
	FirstLine int64
	// End is where it ends, as far as it is whole.
	End Position
	// Signed is how many of its lines a checkpoint signs, itself included, and SignedAt when. What follows could have been written by
	// anybody, or be missing.
	Signed   int64
	SignedAt time.Time
	// known tells whether where Signed comes from was seen.
	known bool
	// claimed is how many of its lines a checkpoint signs whose key had been revoked: it proves nothing, and whoever wrote the log counts from it.
	claimed int64
}

// counts is how many of its lines the log itself takes for signed.
func (c *Chain) counts() int64 { return max(c.Signed, c.claimed) }

// Unsigned is how many lines come after the last checkpoint.
func (c *Chain) Unsigned() int64 { return c.End.Count - c.Signed }

// Range are lines of one log, counted within it from 1.
type Range struct {
	Chain         string
	From, Through int64
}

// Err is the first gap as an error, or nil.
func (r *Report) Err() error {
	switch {
	case r.Gap != nil:
		return r.Gap
	case len(r.Revoked) > 0:
		return r.Revoked[0]
	}
	return nil
}

// Unsigned is how many lines at the end come after the last checkpoint. In a log that is being written, there are a few.
func (r *Report) Unsigned() int64 {
	if len(r.Chains) == 0 {
		return 0
	}
	return r.Chains[len(r.Chains)-1].Unsigned()
}
