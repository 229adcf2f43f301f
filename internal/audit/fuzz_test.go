package audit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/internal/canonical"
)

// FuzzParseLine holds that a line that is read can be written again in the same form.
func FuzzParseLine(f *testing.F) {
	for _, text := range newFuzzLog(f) {
		f.Add([]byte(strings.TrimSuffix(text, "\n")))
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"specversion":"1.0","specversion":"1.0"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := parseLine(raw)
		if err != nil {
			return
		}
		if l.number() < 1 || l.cluster() == "" {
			t.Errorf("%s was read as number %d of cluster %q", raw, l.number(), l.cluster())
		}
		written, err := canonical.Encode(l)
		if err != nil {
			return // such as a number that is too large, in data that has not been looked at
		}
		again, err := parseLine(written)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if other, err := canonical.Encode(again); err != nil || !bytes.Equal(other, written) {
			t.Errorf("%s, then %s (%v)", written, other, err)
		}
		_, _ = l.data()
	})
}

// FuzzVerify holds that whatever is given, verifying ends with a report that names a gap within the log, or with every line verified.
func FuzzVerify(f *testing.F) {
	// Short ones: with long ones the tool makes them shorter all day. FuzzTamper has a long one.
	start := newFuzzLog(f)[0]
	f.Add([]byte(start))
	f.Add([]byte(start + start))
	f.Add([]byte(start[:len(start)/2]))
	f.Add([]byte("\n"))
	keys := newKeyring(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		report, err := Verify(bytes.NewReader(raw), keys.ring)
		if err != nil {
			t.Fatal(err)
		}
		count := int64(bytes.Count(raw, []byte("\n")))
		if len(raw) > 0 && raw[len(raw)-1] != '\n' {
			count++
		}
		switch {
		case report.Gap != nil && (report.Gap.Line < 1 || report.Gap.Line > count):
			t.Errorf("there are %d lines, and the gap is %v", count, report.Gap)
		case report.Gap == nil && report.Lines != count:
			t.Errorf("there are %d lines, and %d were verified without a gap", count, report.Lines)
		}
		if tail, err := ReadTail(bytes.NewReader(raw), int64(len(raw)), keys.ring); err == nil && (tail.Size > int64(len(raw)) || tail.End.Count < 1) {
			t.Errorf("the tail is %+v", tail)
		}
	})
}

// FuzzTamper changes a log that a checkpoint signs: there must be a gap, unless nothing was changed.
func FuzzTamper(f *testing.F) {
	text := strings.Join(newFuzzLog(f), "")
	f.Add(uint16(100), uint16(1), []byte("x"))
	f.Add(uint16(0), uint16(400), []byte(""))
	f.Add(uint16(3000), uint16(0), []byte("\n"))
	keys := newKeyring(f)
	f.Fuzz(func(t *testing.T, at, length uint16, by []byte) {
		from := int(at) % len(text)
		through := min(from+int(length), len(text))
		changed := text[:from] + string(by) + text[through:]
		report, err := Verify(strings.NewReader(changed), keys.ring, Reaches(reached(text)))
		if err != nil {
			t.Fatal(err)
		}
		// The end of the last line is no part of it.
		if report.Gap == nil && strings.TrimSuffix(changed, "\n") != strings.TrimSuffix(text, "\n") {
			t.Errorf("%d bytes at %d became %q, and there is no gap", through-from, from, by)
		}
	})
}

// reached is the end of a log.
func reached(text string) Position {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return Position{Chain: chainA, Count: int64(len(lines)), Head: canonical.Sum([]byte(lines[len(lines)-1]))}
}

func newFuzzLog(f *testing.F) []string {
	var out bytes.Buffer
	keys := newKeyring(f)
	w := must[*Writer](f)(Start(&out, keys, testCluster, chainA, nil, noon))
	s := newStory(f, keys, "restart-1", false)
	for _, e := range []Event{s.requested(), Opened(s.ap, s.approval), s.vote("bob", "Approve")} {
		if _, err := w.Append(&e); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Checkpoint(noon); err != nil {
		f.Fatal(err)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	return lines[:len(lines)-1]
}
