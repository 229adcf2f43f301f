package main

import (
	"testing"
	"time"
)

// BenchmarkDecision is decision/roles=100 for a profile: go test ./test/bench -bench Decision -cpuprofile cpu.out
func BenchmarkDecision(b *testing.B) {
	g, err := newGate(100, 10)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	asked := subject("deploy", `{"service":"checkout","environment":"staging","image":"registry/checkout:1.42"}`)
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(b.Context(), asked, now)
	}
}
