package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Result is one number.
type Result struct {
	// Name is what was measured, see docs/benchmarks.md.
	Name string `json:"name"`
	// Value is what came out.
	Value float64 `json:"value"`
	// Unit is the unit of Value; "ratio" is none.
	Unit string `json:"unit"`
}

// The units of results.
const (
	nanoseconds  = "ns"
	microseconds = "µs"
	milliseconds = "ms"
	count        = "count"
	ratio        = "ratio"
	perSecond    = "1/s"
	bytesEach    = "B"
	megabytes    = "MB"
)

// goals are the highest values that the project wants, atLeast the lowest. They are shown and never enforced: a slow or busy
// machine must not fail anything.
var (
	goals = map[string]float64{
		"decision/roles=10": 20_000, "decision/roles=100": 20_000, "decision/roles=1000": 20_000, "decision/roles=10000": 20_000,
		"decision/actions=10": 20_000, "decision/actions=100": 20_000, "decision/actions=1000": 20_000,
		"decision/flatness": 1.2, "decision-approval/flatness": 1.2,
		"decision-policies/policies=1000": 50_000, "decision-policies/rule": 50_000, "decision-policies-allocs/rule": 100,
		"admission/ratio-p50": 1.15, "admission/ratio-cpu": 1.5,
		"lifecycle/writes-allowed": 6, "lifecycle/writes-approved": 9,
		"lifecycle/lists-allowed": 0, "lifecycle/lists-approved": 0,
		"lifecycle/conflicts-allowed": 0, "lifecycle/conflicts-approved": 0,
		"lifecycle/ratio-p50": 1.5, "lifecycle/ratio-p50-approved": 1.5,
		"planning/objects=20":       5000,
		"flood/admission-ratio-p50": 1.5, "flood/admission-ratio-p99": 1.5,
		"memory/empty": 50, "memory/finished=1000": 1024, "memory/finished=10000": 1024, "memory/finished=100000": 1024,
	}
	atLeast = map[string]float64{"lifecycle/ratio-throughput": 0.5}
)

// goal shows what a result should be, and whether it is.
func goal(r Result) string {
	if most, ok := goals[r.Name]; ok {
		return verdict("≤ "+number(most), r.Value <= most)
	}
	if least, ok := atLeast[r.Name]; ok {
		return verdict("≥ "+number(least), r.Value >= least)
	}
	return ""
}

func verdict(text string, met bool) string {
	if met {
		return text
	}
	return text + "  missed"
}

// number shows three or more digits and no more than make sense.
func number(v float64) string {
	if v == math.Trunc(v) || math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// table prints results for people.
func table(to io.Writer, results []Result) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "NAME\tVALUE\tUNIT\tGOAL"); err != nil {
		return err
	}
	for _, r := range results {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, number(r.Value), r.Unit, goal(r)); err != nil {
			return err
		}
	}
	return w.Flush()
}

// save writes results for programs.
func save(path string, results []Result) error {
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("failed to encode the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("failed to make the folder of the results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("failed to write the results: %w", err)
	}
	return nil
}

// median gives the middle value, which one bad round does not move.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile gives the value that so many of all do not exceed; rank is between 0 and 1.
func percentile(values []float64, rank float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(math.Ceil(rank*float64(len(sorted))))-1, 0)]
}
