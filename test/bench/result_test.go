package main

import (
	"math"
	"testing"
)

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for name, tc := range map[string]struct {
		reason string
		values []float64
		rank   float64
		want   float64
	}{
		"One":    {"One value is every percentile of itself.", []float64{7}, 0.99, 7},
		"Half":   {"In any order, half of all do not exceed it.", hundred, 0.5, 50},
		"Last":   {"One of a hundred exceeds it.", hundred, 0.99, 99},
		"Fewer":  {"Of fewer than a hundred it is the largest.", hundred[:40], 0.99, 100},
		"Lowest": {"No rank is below the first.", hundred, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := percentile(tc.values, tc.rank); got != tc.want {
				t.Errorf("%s Got %v, want %v.", tc.reason, got, tc.want)
			}
		})
	}
	if !math.IsNaN(percentile(nil, 0.5)) {
		t.Error("nothing has no percentile")
	}
}
