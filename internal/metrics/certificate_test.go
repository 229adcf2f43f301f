package metrics

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/util/cert"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestCertificateExpiry(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls.crt")
	s := &serving{}
	expect := func(reason string, want ...float64) {
		t.Helper()
		got := []float64{}
		if testutil.CollectAndCount(s) > 0 {
			got = append(got, testutil.ToFloat64(s))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s Got %v, want %v.", reason, got, want)
		}
	}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect("This process serves nothing.")
	chain := func(life time.Duration) (text []byte, ends time.Time) {
		t.Helper()
		text, _, err := cert.GenerateSelfSignedCertKeyWithOptions(cert.SelfSignedCertKeyOptions{Host: "signoff-webhook.signoff-system.svc", MaxAge: life})
		if err != nil {
			t.Fatal(err)
		}
		all, err := cert.ParseCertsPEM(text)
		if err != nil {
			t.Fatal(err)
		}
		return text, all[0].NotAfter
	}
	long, ends := chain(100 * 24 * time.Hour)
	now := ends.Add(-20 * 24 * time.Hour)
	s.of.Store(&served{file, clocktesting.NewFakePassiveClock(now)})
	expect("There is no file.")
	write([]byte("nonsense"))
	expect("What cannot be read does not say when it ends.")
	write(long)
	expect("It ends in twenty days.", (20 * 24 * time.Hour).Seconds())
	short, ends := chain(24 * time.Hour)
	leaf, _ := pem.Decode(long)
	authority, _ := pem.Decode(short)
	write(append(pem.EncodeToMemory(leaf), pem.EncodeToMemory(authority)...))
	expect("Whoever signed it counts too, and the file was replaced.", ends.Sub(now).Seconds())
	s.of.Store(&served{file, clocktesting.NewFakePassiveClock(ends.Add(time.Minute))})
	expect(fmt.Sprintf("It ended a minute ago, at %s.", ends), -60)
}
