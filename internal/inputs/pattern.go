package inputs

import (
	"fmt"
	"regexp/syntax"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/internal/expression"
)

// mostSteps is how many steps all patterns of a schema can take together for one request: about half a second.
const mostSteps = 32 << 20

// checkPatterns bounds what it takes to match all patterns of a schema: by how large they are once they are compiled, and how much text there
// can be.
func checkPatterns(s *structuralschema.Structural, path *field.Path) field.ErrorList {
	steps := patternSteps(s, 1)
	if steps <= mostSteps {
		return nil
	}
	return field.ErrorList{field.Forbidden(path, fmt.Sprintf(
		"the patterns are too dear: with them, a request could take %d times as long as it may; make them simpler, their counted repetitions smaller, or bound texts and lists by maxLength and maxItems", steps/mostSteps+1))}
}

// patternSteps is how many steps the patterns of a value can take that can be there so many times.
func patternSteps(s *structuralschema.Structural, times uint64) uint64 {
	v, total := valuesOf(s), uint64(0)
	if v.Pattern != "" {
		length := uint64(impliedLength)
		if v.MaxLength != nil {
			length = uint64(max(*v.MaxLength, 0))
		}
		total = expression.RegexSteps(v.Pattern, min(multiply(times, length), maxBytes))
	}
	inside := func(child *structuralschema.Structural, most *int64) {
		if most != nil {
			times := multiply(times, uint64(max(*most, 0)))
			total += min(patternSteps(child, times), mostSteps+1)
		}
	}
	once := int64(1)
	for name := range s.Properties {
		property := s.Properties[name]
		inside(&property, &once)
	}
	if s.Items != nil {
		inside(s.Items, v.MaxItems)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		inside(s.AdditionalProperties.Structural, v.MaxProperties)
	}
	return min(total, 1<<40)
}

// mostExample is how long the example of a pattern may become.
const mostExample = 256

// matching writes a short text that a regular expression accepts, or "" where it cannot.
func matching(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var out strings.Builder
	write(&out, re.Simplify())
	return out.String()
}

func write(out *strings.Builder, re *syntax.Regexp) {
	if out.Len() > mostExample {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		out.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		out.WriteRune(friendly(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteRune('a')
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		write(out, re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			write(out, sub)
		}
	}
}

// friendly picks a letter, a digit, or else the first rune of a class, which is a list of ranges.
func friendly(class []rune) rune {
	for _, wanted := range "a1A" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= wanted && wanted <= class[i+1] {
				return wanted
			}
		}
	}
	if len(class) > 0 {
		return class[0]
	}
	return 'a'
}
