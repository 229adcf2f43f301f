package policytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/manifest"
)

// Runner runs test files.
type Runner struct {
	// Only selects cases by their names. Nil: all.
	Only *regexp.Regexp
	// Clock measures how long cases take. It never decides anything.
	Clock clock.PassiveClock
}

// Report is what came of test files.
type Report struct {
	Files []FileResult
}

// FileResult is what came of a test file.
type FileResult struct {
	// Path is the file.
	Path string
	// Problems say why the file, or what it names, cannot be read. Then there are no cases.
	Problems []*manifest.Problem
	// Refusals are objects that would be refused, which fails every case.
	Refusals []Refusal
	// Cases are the cases that were run.
	Cases []CaseResult
}

// CaseResult is what came of a case.
type CaseResult struct {
	// Name and Line are those of the case.
	Name string
	Line int
	// Failures say what is not as expected, a line each.
	Failures []string
	// Observed is what came; nil where nothing was judged.
	Observed *Observed
	// Took is how long it took.
	Took time.Duration
}

// Count is how many cases there are, and how many of them passed; unreadable counts files.
func (r *Report) Count() (passed, failed, unreadable int) {
	for i := range r.Files {
		if len(r.Files[i].Problems) > 0 {
			unreadable++
		}
		for j := range r.Files[i].Cases {
			if len(r.Files[i].Cases[j].Failures) > 0 {
				failed++
			} else {
				passed++
			}
		}
	}
	return passed, failed, unreadable
}

// Run runs test files, one after the other.
func (r *Runner) Run(ctx context.Context, files []string) (*Report, error) {
	report := &Report{}
	for _, path := range files {
		if err := ctx.Err(); err != nil {
			return report, fmt.Errorf("failed to run %s: %w", path, err)
		}
		report.Files = append(report.Files, r.file(ctx, path))
	}
	return report, nil
}

func (r *Runner) file(ctx context.Context, path string) FileResult {
	out := FileResult{Path: path}
	data, err := os.ReadFile(path)
	if err != nil {
		out.Problems = []*manifest.Problem{{File: path, Err: errors.New(reasonOf(err))}}
		return out
	}
	file, problems := Parse(path, data)
	if len(problems) > 0 {
		out.Problems = problems
		return out
	}
	policies, problems := file.policies(ctx)
	if len(problems) > 0 {
		out.Problems = problems
		return out
	}
	out.Cases, out.Refusals = file.expectedRefusals(policies.Refusals)
	for i := range file.Cases {
		result, mistakes := r.judge(ctx, policies, file, &file.Cases[i], out.Refusals)
		out.Problems = append(out.Problems, mistakes...)
		out.Cases = append(out.Cases, result)
	}
	if len(out.Problems) > 0 {
		out.Cases = nil
	}
	// What stands at the top of the file is wrong in every case.
	out.Problems = slices.CompactFunc(out.Problems, func(a, b *manifest.Problem) bool { return a.Error() == b.Error() })
	out.Cases = slices.DeleteFunc(out.Cases, func(c CaseResult) bool { return r.Only != nil && !r.Only.MatchString(c.Name) })
	return out
}

// judge runs one case. Problems are mistakes of the test.
func (r *Runner) judge(ctx context.Context, p *Policies, f *File, c *Case, refusals []Refusal) (CaseResult, []*manifest.Problem) {
	out := CaseResult{Name: c.Name, Line: c.Line}
	began := r.Clock.Now()
	observed, mistakes := p.Judge(ctx, f, c)
	if len(mistakes) > 0 {
		return out, f.mistakes(c, mistakes)
	}
	out.Observed = observed
	out.Failures = p.compare(ctx, f, &c.Expect, observed)
	if len(refusals) > 0 {
		out.Observed, out.Failures = nil, refusedText(refusals)
	}
	out.Took = r.Clock.Since(began)
	return out, nil
}

func refusedText(refusals []Refusal) []string {
	var lines []string
	for i := range refusals {
		for _, problem := range refusals[i].Problems {
			lines = append(lines, fmt.Sprintf("%s would be refused: %v", refusals[i].Object, problem))
		}
	}
	return lines
}

// expectedRefusals makes a case of every refusal that is expected, and gives the others.
func (f *File) expectedRefusals(refusals []Refusal) ([]CaseResult, []Refusal) {
	var results []CaseResult
	rest := slices.Clone(refusals)
	for i := range f.Invalid {
		want := &f.Invalid[i]
		result := CaseResult{Name: "invalid " + want.Object, Line: f.document.LineOf(fmt.Sprintf("invalid[%d]", i))}
		var said []string
		for j := range refusals {
			if refusals[j].Object == want.Object {
				said = append(said, refusedText(refusals[j:j+1])...)
			}
		}
		rest = slices.DeleteFunc(rest, func(r Refusal) bool { return r.Object == want.Object })
		if len(said) == 0 {
			result.Failures = []string{"expected " + want.Object + " to be refused, but it is valid, or in no file of objects"}
		}
		all := oneLine(strings.Join(said, "; "))
		for _, text := range want.Message {
			if len(said) > 0 && !strings.Contains(all, oneLine(text)) {
				result.Failures = append(result.Failures, fmt.Sprintf("message: expected %q, got %q", text, all))
			}
		}
		results = append(results, result)
	}
	return results, rest
}
