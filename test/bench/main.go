// Command bench measures what Signoff costs: a decision, an admission, the life of a request, the memory of the manager. It
// prints one table and writes the same numbers as JSON to $BENCH_OUT. What each name means is in docs/benchmarks.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// section measures one part.
type section struct {
	name    string
	measure func(context.Context) ([]Result, error)
}

var sections = []section{
	{"decision", measureDecision},
	{"policies", measurePolicies},
	{"planning", measurePlanning},
	{"admission", measureAdmission},
	{"lifecycle", measureLifecycle},
	{"flood", measureFlood},
	{"waiting", measureWaiting},
	{"memory", measureMemory},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	only := flag.String("only", "", "the parts to measure, separated by commas; empty: all of "+names())
	idle := flag.String("idle", "", "serve webhooks that do nothing, with the certificates of this folder: what admission is compared with")
	flag.StringVar(&profile, "profile", "", "run Signoff in this process and write CPU profiles to this folder; the numbers mean nothing then")
	flag.Parse()
	if *idle != "" {
		return serveIdle(ctx, *idle)
	}
	if profile == "" {
		log.SetLogger(logr.Discard())
	}
	results, err := measure(ctx, *only)
	return errors.Join(err, show(results))
}

// show prints what was measured, and saves it.
func show(results []Result) error {
	if err := table(os.Stdout, results); err != nil {
		return fmt.Errorf("failed to print the table: %w", err)
	}
	if path := os.Getenv("BENCH_OUT"); path != "" {
		return save(path, results)
	}
	return nil
}

// measure runs the sections one after the other, because two at once would disturb each other. Where one fails, the others still count.
func measure(ctx context.Context, only string) ([]Result, error) {
	var results []Result
	var failed error
	for _, s := range sections {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		tell("measuring " + s.name)
		found, err := s.measure(ctx)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("failed to measure %s: %w", s.name, err))
		}
		results = append(results, found...)
	}
	if len(results) == 0 && failed == nil {
		return nil, errors.New("-only names no part: give some of " + names())
	}
	return results, failed
}

func names() string {
	var all []string
	for _, s := range sections {
		all = append(all, s.name)
	}
	return strings.Join(all, ",")
}

// tell says what happens next. The table alone goes to standard output.
func tell(text string) { fmt.Fprintln(os.Stderr, "…", text) }
