package cli

import (
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/policytest"
)

// Tested is what came of test files, for programs.
type Tested struct {
	// Passed and Failed count cases, and Unreadable counts files.
	Passed     int `json:"passed"`
	Failed     int `json:"failed"`
	Unreadable int `json:"unreadable"`
	// Files are the test files.
	Files []TestedFile `json:"files"`
}

// TestedFile is what came of a test file.
type TestedFile struct {
	File string `json:"file"`
	// Problems say why it cannot be read. Then there are no cases.
	Problems []string     `json:"problems,omitempty"`
	Cases    []TestedCase `json:"cases"`
}

// TestedCase is what came of a case.
type TestedCase struct {
	Name   string `json:"name"`
	Line   int    `json:"line"`
	Passed bool   `json:"passed"`
	// Failures say what is not as expected.
	Failures []string `json:"failures,omitempty"`
	// Explanation is the verdict, as explain gives it, and Warnings are what the requester would be told; with -v only.
	Explanation *gate.Explanation `json:"explanation,omitempty"`
	Warnings    []string          `json:"warnings,omitempty"`
}

// testedOf brings a report to the form for programs.
func testedOf(report *policytest.Report, verbose bool) *Tested {
	out := &Tested{Files: []TestedFile{}}
	out.Passed, out.Failed, out.Unreadable = report.Count()
	for i := range report.Files {
		from := &report.Files[i]
		file := TestedFile{File: from.Path, Cases: []TestedCase{}}
		for _, problem := range from.Problems {
			file.Problems = append(file.Problems, problem.Error())
		}
		for j := range from.Cases {
			file.Cases = append(file.Cases, testedCaseOf(&from.Cases[j], verbose))
		}
		out.Files = append(out.Files, file)
	}
	return out
}

func testedCaseOf(from *policytest.CaseResult, verbose bool) TestedCase {
	out := TestedCase{Name: from.Name, Line: from.Line, Passed: len(from.Failures) == 0, Failures: from.Failures}
	if verbose && from.Observed != nil {
		out.Explanation, out.Warnings = from.Observed.Explanation, from.Observed.Warnings
	}
	return out
}
