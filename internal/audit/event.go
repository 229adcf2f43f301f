package audit

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/internal/canonical"
)

const (
	// MaxLine is how long a line may be, in bytes, without its end. An event holds at most a few envelopes.
	MaxLine = 4 << 20
	// maxAttribute is how long an attribute of an event may be, in bytes.
	maxAttribute = 2048
	// sourcePrefix stands before the uid of the cluster.
	sourcePrefix = "/clusters/"
	specVersion  = "1.0"
	contentType  = "application/json"
)

// Event is a fact.
type Event struct {
	// ID names the fact. A fact that is written twice has the same one.
	ID string
	// Type is one of the types of this package.
	Type string
	// Subject is what it is about, as "namespace/name".
	Subject string
	// Time is when it happened.
	Time time.Time
	// Data says more.
	Data Data
}

// Taker takes facts. One that it has taken is not lost.
type Taker interface {
	// Write takes facts that are not known to have been taken lately. The error says that not all were taken.
	Write(facts ...Event) error
}

// line is an event as it is written: a CloudEvent whose extension attributes make the chain.
type line struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	// Chain names the log.
	Chain string `json:"chain"`
	// Sequence counts the lines from 1, in digits that sort as text.
	Sequence string `json:"sequence"`
	// Prev is the hash of the line before. The first has none.
	Prev string             `json:"prev,omitempty"`
	Data stdjson.RawMessage `json:"data"`

	at time.Time
}

var (
	chainID  = regexp.MustCompile(`^[0-9a-f]{32}$`)
	sequence = regexp.MustCompile(`^[0-9]{16}$`)
)

// number is the sequence as a number. The form has been checked.
func (l *line) number() int64 {
	n, err := strconv.ParseInt(l.Sequence, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// cluster is the uid of the cluster.
func (l *line) cluster() string { return strings.TrimPrefix(l.Source, sourcePrefix) }

// parseLine reads a line, but not its data.
func parseLine(raw []byte) (*line, error) {
	var l line
	strict, err := json.UnmarshalStrict(raw, &l)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, fmt.Errorf("it is not an event: %w", err)
	}
	if err := l.attributes(); err != nil {
		return nil, err
	}
	if err := l.link(); err != nil {
		return nil, err
	}
	if l.at, err = time.Parse(time.RFC3339, l.Time); err != nil {
		return nil, errors.New("its time is not like 2026-11-23T12:00:00Z")
	}
	return &l, nil
}

// attributes finds what is wrong with the attributes of a CloudEvent.
func (l *line) attributes() error {
	for _, attribute := range []string{l.ID, l.Source, l.Type, l.Subject, l.Time} {
		if len(attribute) > maxAttribute {
			return fmt.Errorf("it is not an event: an attribute has %d bytes", len(attribute))
		}
	}
	switch {
	case l.SpecVersion != specVersion || l.DataContentType != contentType || len(l.Data) == 0:
		return errors.New("it is not a CloudEvent 1.0 with data in JSON")
	case l.ID == "" || l.Type == "" || l.cluster() == "" || l.cluster() == l.Source:
		return errors.New("it is not an event of Signoff: id, type or source is missing")
	}
	return nil
}

// link finds what is wrong with what makes the chain.
func (l *line) link() error {
	switch {
	case !chainID.MatchString(l.Chain) || !sequence.MatchString(l.Sequence) || l.number() < 1:
		return errors.New("it is in no chain: chain or sequence is missing")
	case l.number() == 1 && l.Prev != "":
		return errors.New("it is in no chain: number 1 has nothing before it")
	case l.number() > 1 && !canonical.IsSum(l.Prev):
		return errors.New("it is in no chain: prev is missing")
	}
	return nil
}

// Position is a place in a log: after so many lines, of which the last has this hash.
type Position struct {
	Chain string `json:"chain"`
	Count int64  `json:"count"`
	Head  string `json:"head"`
}
