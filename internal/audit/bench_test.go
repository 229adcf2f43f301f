package audit

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func BenchmarkAppend(b *testing.B) {
	keys := newKeyring(b)
	s := newStory(b, keys, "restart-1", false)
	vote := s.vote("bob", v1alpha1.DecisionApprove)
	w := must[*Writer](b)(Start(io.Discard, keys, testCluster, chainA, nil, noon))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Append(&vote); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify verifies a log in which one request in five lines was adopted, voted on and executed, with a checkpoint every 50.
func BenchmarkVerify(b *testing.B) {
	keys := newKeyring(b)
	var out bytes.Buffer
	w := must[*Writer](b)(Start(&out, keys, testCluster, chainA, nil, noon))
	for i := range 100 {
		s := newStory(b, keys, fmt.Sprint("restart-", i), false)
		for _, e := range []Event{s.requested(), Opened(s.ap, s.approval), s.vote("bob", v1alpha1.DecisionApprove), Started(s.record, s.sealedRecord()), s.finished(v1alpha1.OutcomeSucceeded)} {
			if _, err := w.Append(&e); err != nil {
				b.Fatal(err)
			}
		}
		if i%10 == 9 {
			if err := w.Checkpoint(noon); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.SetBytes(int64(out.Len()))
	b.ReportAllocs()
	for b.Loop() {
		report, err := Verify(bytes.NewReader(out.Bytes()), keys.ring)
		if err != nil || report.Err() != nil {
			b.Fatal(err, report.Err())
		}
		b.ReportMetric(float64(report.Lines), "lines/op")
	}
}
