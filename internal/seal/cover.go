package seal

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// covered marks a field that is part of the payload.
const covered = ""

// cover says what becomes of each field of an API type, by its path in JSON: covered, or the reason why the payload leaves it out.
// Whatever it does not name was unknown when the version of the payload was made, and must not be set. A reason may stand on an
// object for all that is below; covered stands on single fields only, so that a field added below is unknown.
type cover map[string]string

// under puts the fields of a shared type below a path.
func (c cover) under(path string, shared cover) cover {
	out := maps.Clone(c)
	for name, why := range shared {
		out[path+"."+name] = why
	}
	return out
}

// all marks fields as covered.
func all(paths ...string) cover {
	out := cover{}
	for _, path := range paths {
		out[path] = covered
	}
	return out
}

func (c cover) but(path, why string) cover {
	out := maps.Clone(c)
	out[path] = why
	return out
}

// reaches tells whether the cover names anything below a path.
func (c cover) reaches(path string) bool {
	for name := range c {
		if rest, below := strings.CutPrefix(name, path); below && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "[]")) {
			return true
		}
	}
	return false
}

// known is a cover, held against an API type.
type known struct {
	cover   cover
	unknown []string
}

func knownOf[T any](c cover) *known {
	k := &known{cover: c}
	eachField(reflect.TypeFor[T](), "", func(path string, whole bool) bool {
		why, named := c[path]
		if named && (whole || why != covered) {
			return false
		}
		if whole || !c.reaches(path) {
			k.unknown = append(k.unknown, path)
		}
		return true
	})
	return k
}

// check refuses an object in which a field is set that the version of the payload does not know.
func (k *known) check(t Type, object any) error {
	if len(k.unknown) == 0 {
		return nil
	}
	var set []string
	findSet(reflect.ValueOf(object), "", func(path string) {
		if slices.Contains(k.unknown, path) && !slices.Contains(set, path) {
			set = append(set, path)
		}
	})
	if len(set) == 0 {
		return nil
	}
	slices.Sort(set)
	return &Error{Reason: UnknownField, text: fmt.Sprintf("failed to make %s: it does not cover %s", t, strings.Join(set, ", "))}
}

// eachField walks a type and calls visit with the path of each field, and whether it is one whole that is not looked into. Where visit
// gives false, nothing below is visited.
func eachField(t reflect.Type, path string, visit func(path string, whole bool) bool) {
	switch {
	case t.Kind() == reflect.Pointer:
		eachField(t.Elem(), path, visit)
	case t.Kind() == reflect.Slice && holdsFields(t.Elem()):
		if visit(path, false) {
			eachField(t.Elem(), path+"[]", visit)
		}
	case !holdsFields(t):
		visit(path, true)
	default:
		if path != "" && !visit(path, false) {
			return
		}
		for i := range t.NumField() {
			eachField(t.Field(i).Type, join(path, t.Field(i)), visit)
		}
	}
}

// findSet walks a value as eachField walks its type, and calls visit with the path of all that is set. An object that is there
// counts, also if nothing in it is set.
func findSet(v reflect.Value, path string, visit func(path string)) {
	switch {
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			visit(path)
			findSet(v.Elem(), path, visit)
		}
	case v.Kind() == reflect.Slice && holdsFields(v.Type().Elem()):
		if v.Len() > 0 {
			visit(path)
		}
		for i := range v.Len() {
			findSet(v.Index(i), path+"[]", visit)
		}
	case !holdsFields(v.Type()):
		if !v.IsZero() {
			visit(path)
		}
	default:
		for i := range v.NumField() {
			findSet(v.Field(i), join(path, v.Type().Field(i)), visit)
		}
	}
}

var wholes = []reflect.Type{reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime](), reflect.TypeFor[runtime.RawExtension]()}

func holdsFields(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && !slices.Contains(wholes, t)
}

func join(path string, field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	switch {
	case name == "":
		return path
	case path == "":
		return name
	default:
		return path + "." + name
	}
}
