package main

import "testing"

// BenchmarkPlanning is what `make bench` measures as planning.
func BenchmarkPlanning(b *testing.B) {
	p, err := newPlanner(b.Context())
	if err == nil {
		err = p.there(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.plan(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
