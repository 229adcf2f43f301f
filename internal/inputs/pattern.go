package inputs

import (
	"regexp/syntax"
	"strings"
)

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
