package notify

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestCounted: by the kind of channel and the end, each message once.
func TestCounted(t *testing.T) {
	counted := func(result string) float64 { return testutil.ToFloat64(ended.WithLabelValues("email", result)) }
	before := map[string]float64{}
	for _, result := range []string{resultDelivered, resultFailed, resultDropped} {
		before[result] = counted(result)
	}
	mail := func(unwritten bool) *Message {
		m := letterTo("a")
		m.Channel.NotifierChannel = &v1alpha1.NotifierChannel{Name: "c", Email: &v1alpha1.EmailChannel{}}
		m.Unwritten = unwritten
		return m
	}
	b := newBox(t)
	b.put(owner, mail(true))
	<-b.changes
	b.put(owner, mail(false))
	b.answers <- errors.New("down")
	<-b.changes
	b.answer(t, firstPause, nil)
	<-b.changes
	b.put(owner, mail(false))
	b.answers <- Final(errors.New("gone"))
	<-b.changes
	for result, was := range before {
		if got := counted(result) - was; got != 1 {
			t.Errorf("%s were %v, want 1", result, got)
		}
	}
}
