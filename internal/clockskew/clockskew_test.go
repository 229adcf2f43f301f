package clockskew

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	clocktesting "k8s.io/utils/clock/testing"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 400_000_000, time.UTC)

// ask sends a request through a meter whose clock shows noon, to a host that dates its answer and takes some time.
func ask(t *testing.T, m *Meter, clock *clocktesting.FakePassiveClock, date string, takes time.Duration) {
	t.Helper()
	host := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		clock.SetTime(clock.Now().Add(takes))
		// Otherwise the server dates it by itself.
		out.Header()["Date"] = nil
		if date != "" {
			out.Header().Set("Date", date)
		}
	}))
	defer host.Close()
	response, err := (&http.Client{Transport: m.Wrap(http.DefaultTransport)}).Get(host.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAhead(t *testing.T) {
	at := func(after time.Duration) string { return noon.Add(after).Format(http.TimeFormat) }
	for name, tc := range map[string]struct {
		reason string
		date   string
		takes  time.Duration
		want   time.Duration
		known  bool
	}{
		"Same":      {"the same second is the same time", at(0), 0, 0, true},
		"Quick":     {"it took its time, but not long", at(time.Second), time.Second, 0, true},
		"Ahead":     {"the API server is ahead", at(90 * time.Second), 0, 90 * time.Second, true},
		"Behind":    {"the API server is behind", at(-time.Hour), 0, -time.Hour, true},
		"Slow":      {"nobody knows when a slow answer was dated", at(0), slowest + time.Second, 0, false},
		"Backwards": {"the clock was set meanwhile", at(0), -time.Second, 0, false},
		"Silent":    {"it does not tell the time", "", 0, 0, false},
		"Nonsense":  {"what is no time tells none", "noon", 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(noon)
			m := NewMeter(clock)
			ask(t, m, clock, tc.date, tc.takes)
			if ahead, known := m.Ahead(); ahead != tc.want || known != tc.known {
				t.Errorf("%s: got %s, %t", tc.reason, ahead, known)
			}
		})
	}
}

// TestMetric shows what the newest Meter measures, and nothing before it knows.
func TestMetric(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	m := NewMeter(clock)
	Show(m)
	if n := testutil.CollectAndCount(shown); n != 0 {
		t.Errorf("%d values are shown before anything is known", n)
	}
	for _, ahead := range []time.Duration{0, 75 * time.Second, -2 * time.Second} {
		ask(t, m, clock, noon.Add(ahead).Format(http.TimeFormat), 0)
		if got := testutil.ToFloat64(shown); got != ahead.Seconds() {
			t.Errorf("the API server is %s ahead: it shows %v", ahead, got)
		}
	}
}

// TestFailedCall: whoever is not answered learns no time, and the error.
func TestFailedCall(t *testing.T) {
	m := NewMeter(clocktesting.NewFakePassiveClock(noon))
	host := httptest.NewServer(http.NotFoundHandler())
	host.Close()
	response, err := (&http.Client{Transport: m.Wrap(http.DefaultTransport)}).Get(host.URL)
	if err == nil {
		_ = response.Body.Close()
		t.Fatal("a host that is gone has answered")
	}
	if _, known := m.Ahead(); known {
		t.Error("an answer was heard that nobody gave")
	}
}
