// Command prometheus reads queries as Prometheus does, and plays alerts on series that somebody made up. promtool does that too, but builds a
// thousand packages that have nothing to do with it.
//
// It takes a Question on the standard input, and gives an Answer on the standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Question is what is asked.
type Question struct {
	// Queries are read.
	Queries []string `json:"queries"`
	// Plays are played.
	Plays []Play `json:"plays"`
}

// Play is an alert, and the series that it looks at: one value each minute.
type Play struct {
	Expr   string            `json:"expr"`
	For    string            `json:"for"`
	Series map[string]string `json:"series"`
	// At is when one looks whether it rings.
	At string `json:"at"`
}

// Answer is what was found out.
type Answer struct {
	// Wrong says of each query why it is none. Empty: it is one.
	Wrong []string `json:"wrong"`
	// Rings are of each play the labels by which the alert rings.
	Rings [][]string `json:"rings"`
}

// interval is how often series have a value, and rules are looked at.
const interval = time.Minute

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	question, answer := &Question{}, &Answer{}
	if err := json.NewDecoder(in).Decode(question); err != nil {
		return fmt.Errorf("failed to read the question: %w", err)
	}
	reader := parser.NewParser(parser.Options{})
	for _, query := range question.Queries {
		wrong := ""
		if _, err := reader.ParseExpr(query); err != nil {
			wrong = err.Error()
		}
		answer.Wrong = append(answer.Wrong, wrong)
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: reader})
	for _, play := range question.Plays {
		rings, err := play.rings(engine, reader)
		if err != nil {
			return fmt.Errorf("failed to play %s: %w", play.Expr, err)
		}
		answer.Rings = append(answer.Rings, rings)
	}
	return json.NewEncoder(out).Encode(answer)
}

// rings plays an alert minute by minute, as Prometheus does: what the query gives must last.
func (p *Play) rings(engine *promql.Engine, reader parser.Parser) ([]string, error) {
	series, err := seriesOf(reader, p.Series)
	if err != nil {
		return nil, err
	}
	at, err := model.ParseDuration(p.At)
	if err != nil {
		return nil, err
	}
	lasts := model.Duration(0)
	if p.For != "" {
		if lasts, err = model.ParseDuration(p.For); err != nil {
			return nil, err
		}
	}
	since, rings := map[string]time.Duration{}, []string{}
	for now := time.Duration(0); now <= time.Duration(at); now += interval {
		given, err := series.ask(engine, p.Expr, now)
		if err != nil {
			return nil, err
		}
		began := map[string]time.Duration{}
		rings = rings[:0]
		for _, labels := range given {
			began[labels] = now
			if before, is := since[labels]; is {
				began[labels] = before
			}
			if now-began[labels] >= time.Duration(lasts) {
				rings = append(rings, labels)
			}
		}
		since = began
	}
	slices.Sort(rings)
	return rings, nil
}

// ask gives the labels of what a query gives.
func (s stored) ask(engine *promql.Engine, query string, after time.Duration) ([]string, error) {
	ctx := context.Background()
	asked, err := engine.NewInstantQuery(ctx, s, nil, query, time.Unix(0, 0).Add(after))
	if err != nil {
		return nil, err
	}
	defer asked.Close()
	vector, err := asked.Exec(ctx).Vector()
	if err != nil {
		return nil, err
	}
	var given []string
	for _, sample := range vector {
		given = append(given, textOf(sample.Metric))
	}
	return given, nil
}

// textOf writes labels as label="value", without the name of the metric, which an alert drops.
func textOf(all labels.Labels) string {
	var text []string
	all.Range(func(one labels.Label) {
		if one.Name != model.MetricNameLabel {
			text = append(text, fmt.Sprintf("%s=%q", one.Name, one.Value))
		}
	})
	return strings.Join(text, ",")
}
