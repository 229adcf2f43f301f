package main

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
)

const (
	// maxMessage is how long Kubernetes lets a termination message be, in bytes.
	maxMessage = 4096
	// maxProblem is how much of a problem is told; all of it is in the log.
	maxProblem = 1000
)

// message is that of a plan: lines for machines, and then the plan for people. One that is too long is told by what it changes, and where to read all of
// it: nobody should agree to a part and take it for the whole.
func message(head []string, text string, lines []string) string {
	whole := strings.Join(append(head, text), "\n")
	if len(whole) <= maxMessage {
		return whole
	}
	out := strings.Join(append(head, "This plan is too long to be shown here. Read all of it: kubectl logs -n "+os.Getenv("NAMESPACE")+" job/"+os.Getenv("JOB")), "\n")
	for i, line := range lines {
		more := fmt.Sprintf("\n… and %d more", len(lines)-i)
		if len(out)+1+len(line)+len(more) > maxMessage {
			return out + more
		}
		out += "\n" + line
	}
	return out
}

// cut shortens a text to a number of bytes, and no character in two.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
