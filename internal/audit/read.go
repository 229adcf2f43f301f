package audit

import (
	"errors"
	"fmt"
	"io"
)

// Fact is a line of a log. Nothing of it has been verified.
type Fact struct {
	Event
	// Chain and Number are its place.
	Chain  string
	Number int64
	// Offset is where the line begins, and Size how long it is with its end, in bytes.
	Offset, Size int64
}

// Read gives one line after the other, and verifies none. A last line without an end was not written to its end, and is left out.
func Read(in io.Reader, each func(*Fact) error) error {
	lines, offset := newLines(in), int64(0)
	for {
		raw, whole, err := lines.next()
		if errors.Is(err, io.EOF) || err == nil && !whole {
			return nil
		}
		if err != nil {
			return fmt.Errorf("failed to read line %d of audit log: %w", lines.number, err)
		}
		l, err := parseLine(raw)
		if err != nil {
			return fmt.Errorf("failed to read line %d of audit log: %w", lines.number, err)
		}
		fact := &Fact{Event: Event{ID: l.ID, Type: l.Type, Subject: l.Subject, Time: l.at}, Chain: l.Chain, Number: l.number(), Offset: offset, Size: int64(len(raw)) + 1}
		if _, known := needs[l.Type]; known {
			d, err := parseData(l.Data)
			if err != nil {
				return fmt.Errorf("failed to read line %d of audit log: %w", lines.number, err)
			}
			fact.Data = *d
		}
		if err := each(fact); err != nil {
			return err
		}
		offset += fact.Size
	}
}
