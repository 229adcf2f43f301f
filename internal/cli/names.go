package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// named is an object that a word names.
type named struct {
	kind            kind
	namespace, name string
}

// String gives the namespace and the name.
func (n *named) String() string { return n.namespace + "/" + n.name }

// cutKind takes the kind off a word such as approval/NAME or approval.signoff.dev/NAME, if it has one.
func cutKind(word string) (rest string, of kind, ok bool) {
	before, after, found := strings.Cut(word, "/")
	if !found {
		return word, kind{}, false
	}
	before = strings.TrimSuffix(before, "."+v1alpha1.GroupVersion.Group)
	for _, known := range kinds {
		if before == known.one() || before == known.resource {
			return after, known, true
		}
	}
	return word, kind{}, false
}

// named reads a word as what it names: NAME, NAMESPACE/NAME, and each with a kind before it, as -o name prints it. What names no namespace is in the
// one that is used. Without a kind, the first of those that are taken is meant. A namespace that is called as a kind is read as the kind.
// Who also says another namespace with -n is asked which of the two is meant, before anything is decided in the wrong one.
func (s *session) named(word string, taken ...kind) (*named, error) {
	out, err := s.elsewhere(word, taken...)
	if err == nil && s.chosen && out.namespace != s.namespace {
		return nil, fmt.Errorf("failed to read %q: it names namespace %s, and -n names %s: leave one of them out", word, out.namespace, s.namespace)
	}
	return out, err
}

// elsewhere reads a word as named does, where -n is about something else.
func (s *session) elsewhere(word string, taken ...kind) (*named, error) {
	rest, of, ok := cutKind(word)
	if !ok {
		of = taken[0]
	}
	out := &named{kind: of, namespace: s.namespace, name: rest}
	if namespace, name, full := strings.Cut(rest, "/"); full {
		out.namespace, out.name = namespace, name
	}
	switch {
	case !slices.Contains(taken, of):
		return nil, fmt.Errorf("failed to read %q: that names %s, and %s is wanted.  A namespace of that name goes with -n", word, of.name, taken[0].name)
	case out.namespace == "" || out.name == "" || strings.Contains(out.name, "/"):
		return nil, fmt.Errorf("failed to read %q: name the %s as NAME, NAMESPACE/NAME or %s/NAMESPACE/NAME; see what there is: %s", word, of.name, of.one(), of.list)
	}
	return out, nil
}

// allNamed reads several words. Nothing is done about one if another cannot be read.
func (s *session) allNamed(words []string, taken ...kind) ([]*named, error) {
	var all []*named
	for _, word := range words {
		one, err := s.named(word, taken...)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// actionWord takes the kind off the name of an Action, as -o name prints it. The short form of a kind stays: a namespace may be called "actions".
func actionWord(word string) string {
	return strings.TrimPrefix(word, actions.one()+"."+v1alpha1.GroupVersion.Group+"/")
}
