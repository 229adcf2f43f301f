package apart

import (
	"math"
	"net/http"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/play"
)

// ahead is an API server whose clock is ahead: it answers as the real one, and dates its answers otherwise.
type ahead struct {
	next http.RoundTripper
	by   time.Duration
}

// RoundTrip implements http.RoundTripper.
func (a *ahead) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return nil, err
	}
	response.Header.Set("Date", at.Add(a.by).Format(http.TimeFormat))
	return response, nil
}

// TestClockSkew shows how far the clock of the API server is from that of a process, before and after it is set wrong, and looks when the alert rings.
func TestClockSkew(t *testing.T) {
	const metric, alert = "signoff_clock_skew_seconds", "SignoffClockSkew"
	if skew, shown := play.Metric(t, metric, nil); !shown || math.Abs(skew) > 2 || play.Rings(t, alert) {
		t.Errorf("on one machine clocks agree: %v, %t", skew, shown)
	}
	for _, tc := range []struct {
		by    time.Duration
		rings bool
	}{{20 * time.Second, false}, {75 * time.Second, true}, {-75 * time.Second, true}} {
		config := rest.CopyConfig(signoff.Admission)
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &ahead{next, tc.by} })
		cfg := signoff.Configuration()
		cfg.Health.BindAddress = "0"
		// It reads which cluster this is before it runs.
		if _, err := setup.New(cfg, config, clock.RealClock{}, setup.Parts{Admission: true}); err != nil {
			t.Fatal(err)
		}
		if skew, _ := play.Metric(t, metric, nil); math.Abs(skew-tc.by.Seconds()) > 2 {
			t.Errorf("the API server is %s ahead: it shows %v", tc.by, skew)
		}
		if play.Rings(t, alert) != tc.rings {
			t.Errorf("the API server is %s ahead: the alert rings: %t", tc.by, !tc.rings)
		}
	}
}
