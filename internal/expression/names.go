package expression

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/cel-go/common/operators"
)

// labelRead is a label of something, as parser.Unparse writes it: of what, the label, and what counts where it is not there.
var labelRead = regexp.MustCompile(`^(?:(.+?)\.)??(?:metadata\.)?labels(?:\[\??"([^"\\]+)"\]|\.([A-Za-z_][A-Za-z0-9_]*))(?:\.orValue\(("[^"\\]*")\))?$`)

// named is what an operand is called in plain words.
type named struct {
	// subject is what it is, and note what else must be known of it, in brackets.
	subject, note string
}

// plainName says in plain words what an operand is. Where there are none, it is called as it is written. Names of namespaces say whose namespace it is
// for an object that would be written (ofObject) and for the target.
func plainName(source string, ofObject bool) named {
	found := labelRead.FindStringSubmatch(source)
	if found == nil {
		return named{subject: source}
	}
	out := named{subject: fmt.Sprintf("label %q", found[2]+found[3])}
	switch of := found[1]; {
	case ofObject && of == "namespaceObject":
		out.subject += " of its namespace"
	case of == "namespaceObject":
		out.subject += " of the namespace of the target"
	case of == "target":
		out.subject += " of the target"
	case of != "":
		out.subject += " of " + of
	}
	if found[4] != "" {
		out.note = fmt.Sprintf(" (no label %q counts as %s)", found[2]+found[3], found[4])
	}
	return out
}

// were says how an operand would have to be so that a comparison gives the other answer.
func were(operator string, holds bool, right string) string {
	if holds {
		operator = opposite(operator)
	}
	switch operator {
	case operators.Equals:
		return right
	case operators.NotEquals:
		return "not " + right
	case notIn:
		return "not one of " + right
	}
	return relation(operator) + " " + right
}

// notIn is the opposite of in, for which CEL has no operator.
const notIn = "!in"

func opposite(operator string) string {
	switch operator {
	case operators.Equals:
		return operators.NotEquals
	case operators.NotEquals:
		return operators.Equals
	case operators.Less:
		return operators.GreaterEquals
	case operators.LessEquals:
		return operators.Greater
	case operators.Greater:
		return operators.LessEquals
	case operators.GreaterEquals:
		return operators.Less
	}
	return notIn
}

// trimmed is an operand of a condition on one element, without the name of the element.
func trimmed(source, element string) string { return strings.TrimPrefix(source, element+".") }
