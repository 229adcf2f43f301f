package inputs

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// secretWords are what names say of a value that is for nobody to see, and references are how names of such a thing end.
var (
	secretWords = [][]string{{"password"}, {"passwords"}, {"passwd"}, {"passphrase"}, {"token"}, {"tokens"}, {"secret"}, {"secrets"}, {"credential"}, {"credentials"},
		{"apikey"}, {"api", "key"}, {"private", "key"}, {"privatekey"}}
	references = []string{"name", "names", "ref", "refs"}
)

// Secretive gives the inputs whose names say that they are secrets, in a stable order. An input is shown to everybody who may read the request.
func (s *Schema) Secretive() []string {
	if s == nil {
		return nil
	}
	return secretive(s.structural, "")
}

func secretive(s *structuralschema.Structural, at string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property, path := s.Properties[name], strings.TrimPrefix(at+"."+name, ".")
		if holdsText(&property) && isSecretive(name) {
			out = append(out, path)
			continue
		}
		out = append(out, secretive(&property, path)...)
	}
	if s.Items != nil {
		out = append(out, secretive(s.Items, at+"[]")...)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		out = append(out, secretive(s.AdditionalProperties.Structural, at+"[]")...)
	}
	return out
}

// holdsText tells whether a value is a text, or a list or map of texts.
func holdsText(s *structuralschema.Structural) bool {
	switch {
	case s.Items != nil:
		return holdsText(s.Items)
	case s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil:
		return holdsText(s.AdditionalProperties.Structural)
	}
	return s.Type == "string"
}

// isSecretive tells whether a name says that it is a secret, and not the name of one.
func isSecretive(name string) bool {
	words := wordsOf(name)
	if len(words) == 0 || slices.Contains(references, words[len(words)-1]) {
		return false
	}
	for _, says := range secretWords {
		for i := 0; i+len(says) <= len(words); i++ {
			if slices.Equal(words[i:i+len(says)], says) {
				return true
			}
		}
	}
	return false
}

// wordsOf gives the words of a name in camelCase, snake_case or kebab-case, in lower case. Several capitals are one word: APIKey is api and key.
func wordsOf(name string) []string {
	var words []string
	letters := []rune(name)
	start := 0
	end := func(i int) {
		if i > start {
			words = append(words, strings.ToLower(string(letters[start:i])))
		}
		start = i
	}
	for i, r := range letters {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end(i)
			start = i + 1
		case unicode.IsUpper(r) && i > start && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])):
			end(i)
		}
	}
	end(len(letters))
	return words
}
