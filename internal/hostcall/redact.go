package hostcall

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// redactor takes the values of Secrets out of what a host answers: as they are, and in the forms in which hosts repeat what they were sent. A
// host that means to give them away can always write them so that nobody knows them again; it has them anyway.
type redactor struct {
	secrets []string
	// left is how many bytes are looked through yet. What is beyond is hidden unseen.
	left int
}

const (
	// hidden stands for the value of a Secret.
	hidden = "(secret)"
	// deepest is how many encodings around each other are looked through.
	deepest = 3
	// mostSeen is how many bytes are looked through for one answer, decoded ones included: a host could nest encodings without end.
	mostSeen = 16 * MaxAnswer
	// leastPart is how long a part of a value is at least that is a secret by itself: user and password, decoded.
	leastPart = 6
)

func newRedactor(secrets []string) *redactor {
	r := &redactor{left: mostSeen}
	for _, secret := range secrets {
		r.add(secret)
		bare := strings.TrimPrefix(secret, signingPrefix)
		r.add(bare)
		// Basic authentication and signing keys are kept encoded.
		if plain, err := base64.StdEncoding.DecodeString(bare); err == nil && len(plain) >= leastPart {
			r.add(string(plain))
			if _, password, is := strings.Cut(string(plain), ":"); is && len(password) >= leastPart && utf8.Valid(plain) {
				r.add(password)
			}
		}
	}
	return r
}

func (r *redactor) add(secret string) {
	if secret != "" {
		r.secrets = append(r.secrets, secret)
	}
}

// value takes them out of what JSON stands for: strings, keys, numbers, and lists of pieces.
func (r *redactor) value(value any) any {
	if len(r.secrets) == 0 {
		return value
	}
	switch v := value.(type) {
	case string:
		return r.text(v)
	case []any:
		if r.reveals(joined(v), deepest) && !r.anyReveals(v) {
			return hidden
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = r.value(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[r.text(key)] = r.value(child)
		}
		return out
	case int64, float64:
		if r.holds(numeral(v)) {
			return hidden
		}
	}
	return value
}

// numeral writes a number without an exponent, as it would be in a Secret.
func numeral(value any) string {
	if f, ok := value.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// joined is what the pieces of a list make together.
func joined(list []any) string {
	var out strings.Builder
	for _, piece := range list {
		text, ok := piece.(string)
		if !ok {
			return ""
		}
		out.WriteString(text)
	}
	return out.String()
}

func (r *redactor) anyReveals(list []any) bool {
	for _, piece := range list {
		if text, ok := piece.(string); ok && r.reveals(text, deepest) {
			return true
		}
	}
	return false
}

// text takes them out of a text. A line in which one stands in a form that cannot be cut out is hidden as a whole.
func (r *redactor) text(text string) string {
	if len(r.secrets) == 0 {
		return text
	}
	for _, secret := range r.secrets {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	text = encoded.ReplaceAllStringFunc(text, func(run string) string {
		if r.inRun(run, deepest) {
			return hidden
		}
		return run
	})
	lines := strings.Split(text, "\n")
	for i := range lines {
		if r.holds(lines[i]) || r.decodes(lines[i], deepest) {
			lines[i] = hidden
		}
	}
	return strings.Join(lines, "\n")
}

// holds tells whether a secret stands in a text as it is, in whatever letter case.
func (r *redactor) holds(text string) bool {
	lower := ""
	for _, secret := range r.secrets {
		if strings.Contains(text, secret) {
			return true
		}
		if len(secret) < leastPart {
			continue
		}
		if lower == "" {
			lower = strings.ToLower(text)
		}
		if strings.Contains(lower, strings.ToLower(secret)) {
			return true
		}
	}
	return false
}

// reveals tells whether a text holds a secret, or would once it is decoded.
func (r *redactor) reveals(text string, depth int) bool {
	if r.left -= len(text); r.left < 0 || r.holds(text) {
		return true
	}
	if depth == 0 {
		return false
	}
	if r.decodes(text, depth) {
		return true
	}
	for _, run := range encoded.FindAllString(text, -1) {
		if r.inRun(run, depth) {
			return true
		}
	}
	return false
}

// decodes tells whether a text holds a secret that is written as one is inside of another text.
func (r *redactor) decodes(text string, depth int) bool {
	return slices.ContainsFunc(decoders, func(decode func(string) string) bool {
		plain := decode(text)
		return plain != text && r.reveals(plain, depth-1)
	})
}

// encoded is a run of characters that can be base64, in either alphabet, or hexadecimal digits.
var encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{6,}={0,2}`)

// inRun tells whether a secret is encoded in a run, which can begin with something else.
func (r *redactor) inRun(run string, depth int) bool {
	digits := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(run)
	for skip := range min(4, len(digits)) {
		rest := digits[skip:]
		if len(rest)%4 == 1 {
			rest = rest[:len(rest)-1]
		}
		if plain, err := base64.RawStdEncoding.DecodeString(rest); err == nil && r.reveals(string(plain), depth-1) {
			return true
		}
		if even := digits[skip : skip+(len(digits)-skip)/2*2]; skip < 2 {
			if plain, err := hex.DecodeString(even); err == nil && r.reveals(string(plain), depth-1) {
				return true
			}
		}
	}
	return false
}

// decoders undo the ways in which a text is written inside of another one.
var decoders = []func(string) string{html.UnescapeString, unpercent, unbackslash}

var (
	percents    = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	backslashes = regexp.MustCompile(`\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\.`)
)

func unpercent(text string) string {
	return percents.ReplaceAllStringFunc(text, func(code string) string { return string(unhex(code[1:])) })
}

func unbackslash(text string) string {
	return backslashes.ReplaceAllStringFunc(text, func(code string) string {
		if len(code) == 2 {
			return code[1:]
		}
		number := rune(0)
		for _, digits := range unhex(code[2:]) {
			number = number<<8 | rune(digits)
		}
		return string(number)
	})
}

// unhex gives the bytes of hexadecimal digits, of which there are an even number.
func unhex(digits string) []byte {
	plain, err := hex.DecodeString(digits)
	if err != nil {
		return nil
	}
	return plain
}
