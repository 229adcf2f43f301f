package policytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements of a JUnit report, as far as CI systems read them.
type (
	testSuites struct {
		XMLName  xml.Name    `xml:"testsuites"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Suites   []testSuite `xml:"testsuite"`
	}
	testSuite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	testCase struct {
		ClassName string   `xml:"classname,attr"`
		Name      string   `xml:"name,attr"`
		File      string   `xml:"file,attr"`
		Line      int      `xml:"line,attr,omitempty"`
		Time      string   `xml:"time,attr"`
		Failure   *trouble `xml:"failure"`
		Error     *trouble `xml:"error"`
	}
	trouble struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as JUnit XML.
func (r *Report) JUnit(to io.Writer) error {
	out := testSuites{}
	for i := range r.Files {
		suite := suiteOf(&r.Files[i])
		out.Tests, out.Failures, out.Errors = out.Tests+suite.Tests, out.Failures+suite.Failures, out.Errors+suite.Errors
		out.Suites = append(out.Suites, suite)
	}
	text, err := xml.MarshalIndent(out, "", "  ")
	if err == nil {
		_, err = io.WriteString(to, xml.Header+string(text)+"\n")
	}
	if err != nil {
		return fmt.Errorf("failed to write the JUnit report: %w", err)
	}
	return nil
}

func suiteOf(f *FileResult) testSuite {
	suite := testSuite{Name: f.Path}
	took := time.Duration(0)
	for i := range f.Cases {
		c := &f.Cases[i]
		took += c.Took
		element := testCase{ClassName: f.Path, Name: c.Name, File: f.Path, Line: c.Line, Time: seconds(c.Took)}
		if len(c.Failures) > 0 {
			suite.Failures++
			element.Failure = &trouble{Message: oneLine(c.Failures[0]), Text: strings.Join(c.Failures, "\n")}
		}
		suite.Cases = append(suite.Cases, element)
	}
	if len(f.Problems) > 0 {
		var lines []string
		for _, problem := range f.Problems {
			lines = append(lines, problem.Error())
		}
		suite.Errors++
		suite.Cases = append(suite.Cases, testCase{
			ClassName: f.Path, Name: "the file can be read", File: f.Path, Time: seconds(0),
			Error: &trouble{Message: oneLine(lines[0]), Text: strings.Join(lines, "\n")},
		})
	}
	suite.Tests, suite.Time = len(suite.Cases), seconds(took)
	return suite
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
