package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/internal/canonical"
)

type rawJSON = json.RawMessage

// missing collects what a payload must have and has not.
type missing struct{ errs []error }

func (m *missing) text(name, value string) {
	if value == "" {
		m.errs = append(m.errs, fmt.Errorf("%s is missing", name))
	}
}

func (m *missing) number(name string, value int64) {
	if value <= 0 {
		m.errs = append(m.errs, fmt.Errorf("%s is missing", name))
	}
}

// sum demands a hash.
func (m *missing) sum(name, value string) {
	if !canonical.IsSum(value) {
		m.errs = append(m.errs, fmt.Errorf("%s is not sha256:<64 hexadecimal digits>", name))
	}
}

func (m *missing) add(err error) {
	if err != nil {
		m.errs = append(m.errs, err)
	}
}

func (m *missing) err() error { return errors.Join(m.errs...) }

// millis turns times into milliseconds. A time that is not set is 0; one that milliseconds cannot express is an error, because the
// rest could be changed without voiding the seal.
type millis struct{ missing }

func (m *millis) of(name string, t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		m.add(fmt.Errorf("%s is more exact than a millisecond", name))
	}
	if t.UnixMilli() <= 0 || t.UnixMilli() > canonical.MaxInteger {
		m.add(fmt.Errorf("%s is not a time of this age", name))
	}
	return t.UnixMilli()
}

// at is of for a time that may be absent. One that is there must say something.
func (m *millis) at(name string, t *metav1.Time) int64 {
	if t == nil {
		return 0
	}
	m.number(name, t.UnixMilli())
	return m.of(name, t.Time)
}

// built gives a payload that a builder made, or what is wrong with it.
func built[T Payload](p T, m *millis) (T, error) {
	m.add(p.check())
	if err := m.err(); err != nil {
		var none T
		return none, &Error{Reason: Malformed, text: fmt.Sprintf("failed to make %s", p.Type()), cause: err}
	}
	return p, nil
}
