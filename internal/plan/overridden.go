package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/compare"
	"github.com/signoff-dev/signoff/internal/kinds"
)

// Overridden says, a line each, which values of a write would not be stored as they are sent, given what a dry run of it has answered: a webhook or a policy
// makes something else of them, or they are dropped. What the write does not name is not looked at, since every object has defaults. A Secret has no
// lines, and of an object that is hidden only the fields are named. What comes with a copied pod is hidden as in the plan.
func Overridden(w *v1alpha1.RenderedWrite, sent, got map[string]any, hidden bool) []string {
	if kinds.IsSecret(&w.Object) {
		return nil
	}
	o := &overrides{differ{most: stored, oldHidden: hidden, copied: podFrom(sent) != ""}}
	if o.look(nil, withoutIdentity(sent), got); len(o.lines) == 0 {
		return nil
	}
	return o.most.fields(o.lines.byRank())
}

type overrides struct{ differ }

// look compares what is sent with what is there after it.
func (o *overrides) look(path []segment, sent, got any) {
	switch s := sent.(type) {
	case map[string]any:
		o.lookInMap(path, s, got)
	case []any:
		o.lookInList(path, s, got)
	default:
		o.lookAtValue(path, sent, got)
	}
}

func (o *overrides) lookAtValue(path []segment, sent, got any) {
	switch {
	case means(sent, got):
	case got == (missing{}):
		o.add(path, "%s is dropped", o.show(path, sent, false))
	default:
		o.add(path, "%s → %s", o.show(path, sent, false), o.show(path, got, true))
	}
}

func (o *overrides) lookInMap(path []segment, sent map[string]any, got any) {
	there, _ := got.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(sent)) {
		if !strings.HasPrefix(key, "$") { // how a strategic patch merges
			o.look(child(path, key), sent[key], get(there, key))
		}
	}
}

// lookInList finds elements by their key. Without one a list is looked at only where all of it was sent.
func (o *overrides) lookInList(path []segment, sent []any, got any) {
	there, _ := got.([]any)
	if len(sent) > 0 && len(there) == 0 {
		o.lookAtValue(path, sent, got)
		return
	}
	if key := compare.CommonKey(sent, there); key != "" {
		now := compare.ByKey(there, key)
		for _, item := range sent {
			name, _ := compare.NameBy(item, key)
			if at := element(path, name); now[name] != nil {
				o.look(at, item, now[name])
			} else if !directive(item) {
				o.lookAtValue(at, item, missing{})
			}
		}
		return
	}
	for i := range sent {
		if len(sent) == len(there) {
			o.look(element(path, strconv.Itoa(i)), sent[i], there[i])
		}
	}
}

// directive tells an element of a strategic patch that says how to merge, such as {$patch: delete, name: a}.
func directive(item any) bool {
	m, _ := item.(map[string]any)
	return slices.ContainsFunc(slices.Collect(maps.Keys(m)), func(key string) bool { return strings.HasPrefix(key, "$") })
}

// means tells whether a value is there as it was sent. What is empty can be left out, and a quantity be written in another way.
func means(sent, got any) bool {
	if got == (missing{}) {
		return sent == nil || sent == "" || sent == false || compare.Same(sent, int64(0))
	}
	if compare.Same(sent, got) {
		return true
	}
	a, errSent := resource.ParseQuantity(fmt.Sprint(sent))
	b, errGot := resource.ParseQuantity(fmt.Sprint(got))
	return errSent == nil && errGot == nil && a.Cmp(b) == 0
}
