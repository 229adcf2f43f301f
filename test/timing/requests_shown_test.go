package timing

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/cert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/metrics"
	"github.com/signoff-dev/signoff/test/play"
)

// shownOf are the metrics of how requests go.
var shownOf = map[string]map[string]string{
	"signoff_requests_finished_total":   {"outcome": "Succeeded"},
	"signoff_request_approval_seconds":  nil,
	"signoff_request_execution_seconds": {"outcome": "Succeeded"},
}

// grown waits until the metrics of how requests go have grown by this much.
func grown(t *testing.T, reason string, before play.Scrape, by map[string]float64) {
	t.Helper()
	eventually(t, reason, func() (bool, string) {
		now, got := play.Scraped(t), map[string]float64{}
		for name, labels := range shownOf {
			got[name] = now.Sum(name, labels) - before.Sum(name, labels)
		}
		diff := cmp.Diff(by, got)
		return diff == "", diff
	})
}

// waitForApproval is how many requests are shown that wait for approval.
func waitForApproval(t *testing.T) float64 {
	t.Helper()
	count, shown := play.Metric(t, "signoff_requests_open", map[string]string{"phase": string(v1alpha1.PhaseAwaitingApproval)})
	if !shown {
		t.Fatal("nothing is shown of requests that wait for approval")
	}
	return count
}

// TestRequestsAreShown plays a request that somebody approves, with a restart, and one that needs nobody: each counts once, and as what it was.
func TestRequestsAreShown(t *testing.T) {
	before, waiting := play.Scraped(t), waitForApproval(t)
	r := reaches(t, ask(t, "one-hour", nil), v1alpha1.PhaseAwaitingApproval)
	eventually(t, "one more that waits", func() (bool, string) {
		now := waitForApproval(t)
		return now == waiting+1, fmt.Sprint(now)
	})
	step(t, 20*time.Minute)
	grown(t, "that nothing has ended", before, map[string]float64{"signoff_requests_finished_total": 0, "signoff_request_approval_seconds": 0, "signoff_request_execution_seconds": 0})
	waiting = waitForApproval(t)
	if err := approve(t, users.Bob, approval(t, r, v1alpha1.ApprovalOpen)); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	once := map[string]float64{"signoff_requests_finished_total": 1, "signoff_request_approval_seconds": 1, "signoff_request_execution_seconds": 1}
	grown(t, "that it is counted once", before, once)
	eventually(t, "one less that waits", func() (bool, string) {
		now := waitForApproval(t)
		return now < waiting, fmt.Sprint(now)
	})
	if err := signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Once another has ended, the one before would have been counted again.
	reaches(t, ask(t, "free", nil), v1alpha1.PhaseSucceeded)
	grown(t, "that each is counted once, and that nobody had to agree to the second", before,
		map[string]float64{"signoff_requests_finished_total": 2, "signoff_request_approval_seconds": 1, "signoff_request_execution_seconds": 2})
}

// TestCertificateRings: the certificate of the tests lasts for months, and two of them later it rings.
func TestCertificateRings(t *testing.T) {
	const metric, alert = "signoff_webhook_certificate_expiry_seconds", "SignoffCertificateEnds"
	if left, shown := play.Metric(t, metric, nil); !shown || left <= 0 || play.Rings(t, alert) {
		t.Errorf("it is shown (%t) and lasts for %v seconds, and nobody hears of it", shown, left)
	}
	text, _, err := cert.GenerateSelfSignedCertKeyWithOptions(cert.SelfSignedCertKeyOptions{Host: "signoff", MaxAge: 90 * 24 * time.Hour})
	file := filepath.Join(t.TempDir(), "tls.crt")
	if err := errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	metrics.ShowCertificate(file, clocktesting.NewFakePassiveClock(time.Now().Add(61*24*time.Hour)))
	if !play.Rings(t, alert) {
		t.Error("it ends within 30 days")
	}
	if err := signoff.Restart(t.Context()); err != nil { // it shows its own again
		t.Fatal(err)
	}
}
