package strict

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

type inner struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	Texts map[string]string `json:"texts"`
}

type outer struct {
	Inner   inner            `json:"inner"`
	Pointer *inner           `json:"pointer"`
	List    []inner          `json:"list"`
	Map     map[string]inner `json:"map"`
	Hidden  string           `json:"-"`
}

func TestDecode(t *testing.T) {
	cases := map[string]struct {
		reason   string
		document string
		path     *field.Path
		want     []string
	}{
		"Known":       {reason: "nothing is wrong", document: `{"inner": {"name": "a", "count": 1, "texts": {"b": "c"}}}`},
		"Top":         {reason: "a field of the file", document: `{"iner": {}}`, want: []string{`iner: Forbidden: unknown field, did you mean "inner"?`}},
		"Nested":      {reason: "a field inside", document: `{"inner": {"nam": "a"}}`, want: []string{`inner.nam: Forbidden: unknown field, did you mean "name"?`}},
		"Pointer":     {reason: "behind a pointer", document: `{"pointer": {"nam": "a"}}`, want: []string{`pointer.nam: Forbidden: unknown field, did you mean "name"?`}},
		"List":        {reason: "in an element of a list", document: `{"list": [{}, {"cont": 1}]}`, want: []string{`list[1].cont: Forbidden: unknown field, did you mean "count"?`}},
		"Map":         {reason: "in a value of a map", document: `{"map": {"x": {"cont": 1}}}`, want: []string{`map.x.cont: Forbidden: unknown field, did you mean "count"?`}},
		"NothingNear": {reason: "no suggestion where nothing is near", document: `{"elsewhere": 1}`, want: []string{"elsewhere: Forbidden: unknown field"}},
		"Hidden":      {reason: "a field without a name in JSON is none", document: `{"Hidden": "x"}`, want: []string{"Hidden: Forbidden: unknown field"}},
		"Case":        {reason: "names are compared exactly, as the API server does", document: `{"Inner": {}}`, want: []string{`Inner: Forbidden: unknown field, did you mean "inner"?`}},
		"Type":        {reason: "another type", document: `{"inner": {"count": "1"}}`, want: []string{`inner.count: Invalid value: "string": a whole number is accepted`}},
		"Under":       {reason: "the path of where it stands goes before", document: `{"inner": {"nam": 1}}`, path: field.NewPath("cases").Index(2), want: []string{`cases[2].inner.nam: Forbidden: unknown field, did you mean "name"?`}},
		"Whole":       {reason: "the whole has another type", document: `[]`, path: field.NewPath("cases").Index(2), want: []string{`cases[2]: Invalid value: "array": fields are accepted`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			errs, err := Decode([]byte(tc.document), &outer{}, tc.path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range errs {
				got = append(got, e.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	if _, err := Decode([]byte(`{`), &outer{}, nil); err == nil {
		t.Error("what is no JSON was accepted")
	}
}
