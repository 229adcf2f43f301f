package main

import (
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// stored are series in memory.
type stored []series

type series struct {
	labels labels.Labels
	values []chunks.Sample
}

// seriesOf reads series as promtool writes them: a value each minute, such as 0+1x60.
func seriesOf(reader parser.Parser, written map[string]string) (stored, error) {
	var all stored
	for name, values := range written {
		of, given, err := reader.ParseSeriesDesc(name + " " + values)
		if err != nil {
			return nil, fmt.Errorf("failed to read %s: %w", name, err)
		}
		one := series{labels: of}
		for i, value := range given {
			if !value.Omitted {
				one.values = append(one.values, sample{int64(i) * interval.Milliseconds(), value.Value})
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// Querier implements storage.Queryable.
func (s stored) Querier(_, _ int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		found := &set{}
		for i := range s {
			if s[i].matches(matchers) {
				found.all = append(found.all, &s[i])
			}
		}
		return found
	}}, nil
}

func (s *series) matches(matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(s.labels.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

// Labels implements storage.Series.
func (s *series) Labels() labels.Labels { return s.labels }

// Iterator implements storage.Series.
func (s *series) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return storage.NewListSeriesIterator(samples(s.values))
}

// set goes through series.
type set struct {
	all []*series
	at  int
}

// Next implements storage.SeriesSet.
func (s *set) Next() bool { s.at++; return s.at <= len(s.all) }

// At implements storage.SeriesSet.
func (s *set) At() storage.Series { return s.all[s.at-1] }

// Err implements storage.SeriesSet.
func (s *set) Err() error { return nil }

// Warnings implements storage.SeriesSet.
func (s *set) Warnings() annotations.Annotations { return nil }

type samples []chunks.Sample

// Get implements storage.Samples.
func (s samples) Get(i int) chunks.Sample { return s[i] }

// Len implements storage.Samples.
func (s samples) Len() int { return len(s) }

// sample is a value at a time.
type sample struct {
	t int64
	f float64
}

// T implements chunks.Sample, as all below.
func (s sample) T() int64 { return s.t }

// ST is unknown.
func (s sample) ST() int64 { return 0 }

// F is the value.
func (s sample) F() float64 { return s.f }

// H is nothing.
func (s sample) H() *histogram.Histogram { return nil }

// FH is nothing.
func (s sample) FH() *histogram.FloatHistogram { return nil }

// Type is that of a plain number.
func (s sample) Type() chunkenc.ValueType { return chunkenc.ValFloat }

// Copy gives the same.
func (s sample) Copy() chunks.Sample { return s }
