package audit

import (
	"errors"
	"fmt"
	"io"

	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/seal"
)

// Option says what else is known about a log.
type Option func(*verifier)

// After says that the log goes on where an earlier part, which was verified, ended.
func After(end Position) Option {
	return func(v *verifier) {
		v.report.Chains = []Chain{{FirstLine: 1, End: end, Signed: end.Count}}
		v.begun[end.Chain], v.later = true, true
	}
}

// Reaches says that the log is known to have been at a place, from an earlier report or from elsewhere. Whoever cuts the end off cannot
// be found out otherwise.
func Reaches(known Position) Option { return func(v *verifier) { v.reaches = &known } }

type verifier struct {
	ring    *seal.Keyring
	seals   *seal.Verifier
	report  *Report
	reaches *Position
	lines   *lines
	// last is the event on the line before.
	last string
	open map[string]*opened
	// agreed is how the Approvals stood that are closed, by the uid of their request and theirs.
	agreed map[string]map[string]*opened
	// later says that an earlier part was verified before.
	later bool
	// begun are all logs so far.
	begun map[string]bool
}

// Verify reads a log to its end or to its first gap, and says what it found. It needs public keys only. The error is about reading.
func Verify(in io.Reader, ring *seal.Keyring, options ...Option) (*Report, error) {
	v := &verifier{ring: ring, seals: seal.NewVerifier(0), report: &Report{}, lines: newLines(in), open: map[string]*opened{}, agreed: map[string]map[string]*opened{}, begun: map[string]bool{}}
	for _, option := range options {
		option(v)
	}
	for v.report.Gap == nil {
		raw, whole, err := v.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			v.report.Gap = v.end()
			return v.report, nil
		case errors.Is(err, errTooLong):
			v.report.Gap = v.gap(GapMalformed, "", "the line has more than %d bytes", MaxLine)
		case err != nil:
			return v.report, fmt.Errorf("failed to read line %d of audit log: %w", v.lines.number+1, err)
		default:
			v.report.Gap = v.line(raw, whole)
		}
	}
	return v.report, nil
}

// line verifies the next line.
func (v *verifier) line(raw []byte, whole bool) *Gap {
	l, err := parseLine(raw)
	if err != nil && !whole {
		return v.gap(GapTruncated, "", "the line is not complete")
	}
	if err != nil {
		return v.gap(GapMalformed, "", "%s", err)
	}
	sum := canonical.Sum(raw)
	if gap := v.continues(l, sum); gap != nil {
		return gap
	}
	chain := v.chain()
	if gap := v.content(l); gap != nil {
		return gap
	}
	chain.End = Position{Chain: l.Chain, Count: l.number(), Head: sum}
	chain.Cluster = l.cluster()
	v.report.Lines++
	v.last = l.ID
	if gap := v.silent(l, chain); gap != nil {
		return gap
	}
	if v.reaches != nil && v.reaches.Chain == l.Chain && v.reaches.Count == l.number() {
		if v.reaches.Head != sum {
			return v.gap(GapRewritten, l.ID, "it was known as %.15s…, and is %.15s…", v.reaches.Head, sum)
		}
		v.reaches = nil
	}
	return nil
}

// maxUnsigned is more than any Signoff leaves unsigned, whatever its configuration says, and however many lines it writes at once. Times do not tell: that of a line
// is when its fact was, which can be told late.
const maxUnsigned = 20_000

// silent tells whether more is signed by nobody than any Signoff leaves so: somebody has taken the checkpoints out.
func (v *verifier) silent(l *line, chain *Chain) *Gap {
	if unsigned := chain.End.Count - chain.counts(); unsigned > maxUnsigned {
		return v.gap(GapUnsigned, l.ID, "%d lines are signed by nobody, and a Signoff that can sign leaves fewer than %d", unsigned, maxUnsigned)
	}
	return nil
}

// end looks at what is missing after the last line.
func (v *verifier) end() *Gap {
	if v.report.Lines == 0 && !v.later {
		v.lines.number++
		return v.gap(GapTruncated, "", "there is no line in it")
	}
	if v.reaches == nil {
		return nil
	}
	have := int64(0)
	for i := range v.report.Chains {
		if v.report.Chains[i].End.Chain == v.reaches.Chain {
			have = v.report.Chains[i].End.Count
		}
	}
	v.lines.number++
	return v.gap(GapTruncated, "", "log %s ends after %d lines, and was known to have %d", v.reaches.Chain, have, v.reaches.Count)
}

// chain is the log that is being read. Nil: none was begun.
func (v *verifier) chain() *Chain {
	if len(v.report.Chains) == 0 {
		return nil
	}
	return &v.report.Chains[len(v.report.Chains)-1]
}

// gap is one at the line that was read last.
func (v *verifier) gap(kind GapKind, id, format string, args ...any) *Gap {
	return &Gap{Line: v.lines.number, EventID: id, Kind: kind, Message: fmt.Sprintf(format, args...)}
}
