package audit

import (
	"fmt"

	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/seal"
)

// continues tells whether a line follows the one before, or begins a log.
func (v *verifier) continues(l *line, sum string) *Gap {
	chain := v.chain()
	if l.Type == TypeLogStarted {
		return v.begins(l)
	}
	switch {
	case chain == nil:
		return v.gap(GapRemoved, l.ID, "lines 1 to %d of log %s come before it, and are not here", l.number()-1, l.Chain)
	case l.Chain != chain.End.Chain:
		return v.gap(GapForeign, l.ID, "it is a line of log %s, in the midst of log %s", l.Chain, chain.End.Chain)
	case chain.Cluster != "" && l.cluster() != chain.Cluster:
		return v.gap(GapForeign, l.ID, "it is from another cluster")
	case l.number() > chain.End.Count+1:
		return v.missing(l)
	case l.number() < chain.End.Count+1:
		return v.gap(GapRepeated, l.ID, "it is number %d of log %s again", l.number(), l.Chain)
	case l.Prev != chain.End.Head:
		return v.changed(l, sum)
	}
	return nil
}

// begins begins a log, and closes the one before.
func (v *verifier) begins(l *line) *Gap {
	if l.number() != 1 {
		return v.gap(GapMalformed, l.ID, "it begins a log, but is number %d", l.number())
	}
	if v.begun[l.Chain] {
		return v.gap(GapRepeated, l.ID, "it is number 1 of log %s again", l.Chain)
	}
	v.begun[l.Chain] = true
	d, err := parseData(l.Data)
	if err != nil {
		return v.gap(GapMalformed, l.ID, "%s", err)
	}
	if d.Log != nil && d.Log.Previous != nil {
		if gap := v.previous(l, *d.Log.Previous); gap != nil {
			return gap
		}
	}
	if chain := v.chain(); chain != nil {
		v.unvouched(chain.End.Chain, chain.Signed+1, chain.End.Count)
	}
	v.report.Chains = append(v.report.Chains, Chain{FirstLine: v.lines.number, End: Position{Chain: l.Chain}, known: true})
	return nil
}

// previous looks for the log that another one continues.
func (v *verifier) previous(l *line, want Position) *Gap {
	for i := range v.report.Chains {
		switch end := v.report.Chains[i].End; {
		case end.Chain != want.Chain || end == want:
			continue
		case end.Count == want.Count:
			return v.gap(GapRewritten, l.ID, "log %s ended in %.15s… when this one began, and here it ends in %.15s…", want.Chain, want.Head, end.Head)
		default:
			return v.gap(GapRemoved, l.ID, "log %s had %d lines when this one began, and here it has %d", want.Chain, want.Count, end.Count)
		}
	}
	if !v.begun[want.Chain] {
		v.report.Earlier = append(v.report.Earlier, want)
	}
	return nil
}

func (v *verifier) unvouched(chain string, from, through int64) {
	if from <= through {
		v.report.Unvouched = append(v.report.Unvouched, Range{Chain: chain, From: from, Through: through})
	}
}

// missing tells whether a line that should have come is somewhere later.
func (v *verifier) missing(l *line) *Gap {
	want := v.chain().End
	here := v.gap(GapRemoved, l.ID, "%s of log %s come before it, and are not here", numbers(want.Count+1, l.number()-1), l.Chain)
	for {
		raw, _, err := v.lines.next()
		if err != nil {
			return here
		}
		if other, err := parseLine(raw); err == nil && other.Chain == l.Chain && other.number() == want.Count+1 {
			here.Kind = GapReordered
			here.Message = fmt.Sprintf("it is number %d of log %s, and number %d comes later, on line %d", l.number(), l.Chain, other.number(), v.lines.number)
			return here
		}
	}
}

func numbers(from, through int64) string {
	if from == through {
		return fmt.Sprintf("number %d", from)
	}
	return fmt.Sprintf("numbers %d to %d", from, through)
}

// changed tells which of two lines was changed where they do not fit together: if the next line, or a checkpoint, vouches for the second,
// it was the first.
func (v *verifier) changed(l *line, sum string) *Gap {
	first := &Gap{
		Line: v.lines.number - 1, EventID: v.last, Kind: GapChanged,
		Message: fmt.Sprintf("its hash is %.15s…, and the line after it says %.15s…", v.chain().End.Head, l.Prev),
	}
	second := v.gap(GapChanged, l.ID, "it says that the line before it has the hash %.15s…, which is %.15s…", l.Prev, v.chain().End.Head)
	if v.vouches(l) && first.Line > 0 {
		return first
	}
	raw, _, err := v.lines.next()
	if err != nil {
		second.Message += "; it may have been that line that was changed"
		return second
	}
	if next, err := parseLine(raw); err == nil && next.Chain == l.Chain && next.Prev == sum && first.Line > 0 {
		return first
	}
	return second
}

// vouches tells whether a line is a checkpoint that signs what it says about the line before.
func (v *verifier) vouches(l *line) bool {
	d, err := l.data()
	if err != nil || l.Type != TypeCheckpoint {
		return false
	}
	p, _, err := v.seals.Open(seal.TypeCheckpoint, d.Seals.Checkpoint, v.ring)
	if err != nil {
		return false
	}
	c, ok := p.(*seal.Checkpoint)
	return ok && c.Chain == l.Chain && c.Head == l.Prev && canonical.IsSum(c.Head)
}
