package seal

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestEveryFieldIsKnown fails when a field is added to the API and nobody has said whether a seal covers it.
func TestEveryFieldIsKnown(t *testing.T) {
	for name, tc := range map[string]struct {
		known *known
		of    reflect.Type
	}{
		"ActionRequestSpec": {requestFields, reflect.TypeFor[v1alpha1.ActionRequestSpec]()},
		"ApprovalSpec":      {approvalFields, reflect.TypeFor[v1alpha1.ApprovalSpec]()},
		"Vote":              {voteFields, reflect.TypeFor[v1alpha1.Vote]()},
		"Cancellation":      {cancelFields, reflect.TypeFor[v1alpha1.Cancellation]()},
		"Resolution":        {resolveFields, reflect.TypeFor[v1alpha1.Resolution]()},
		"DelegationSpec":    {delegationFields, reflect.TypeFor[v1alpha1.DelegationSpec]()},
		"Record":            {recordFields, reflect.TypeFor[recordBody]()},
		"Adoption":          {adoptionFields, reflect.TypeFor[v1alpha1.Adoption]()},
		"ApprovalStatus":    {headFields, reflect.TypeFor[v1alpha1.ApprovalStatus]()},
	} {
		t.Run(name, func(t *testing.T) {
			if len(tc.known.unknown) > 0 {
				t.Errorf("no seal knows %v: put each into the payload, its builder and its cover, or into the cover with the reason why it is left out",
					tc.known.unknown)
			}
			var there []string
			eachField(tc.of, "", func(path string, _ bool) bool { there = append(there, path); return true })
			for path, why := range tc.known.cover {
				if !slices.Contains(there, path) {
					t.Errorf("%s is not in the API", path)
				}
				if why != covered && len(strings.Fields(why)) < 5 {
					t.Errorf("%s is left out without a reason that convinces: %q", path, why)
				}
			}
		})
	}
}

// extended stands for an API type that a later version of the API has added to.
type extended struct {
	v1alpha1.Cancellation `json:",inline"`
	Added                 string              `json:"added,omitempty"`
	Object                *extendedObject     `json:"object,omitempty"`
	List                  []extendedObject    `json:"list,omitempty"`
	Values                []string            `json:"values,omitempty"`
	Map                   map[string]string   `json:"map,omitempty"`
	Time                  *metav1.Time        `json:"time,omitempty"`
	Excluded              *v1alpha1.WaitFor   `json:"excluded,omitempty"`
	Nested                extendedObject      `json:"nested,omitzero"`
	By2                   v1alpha1.BreakGlass `json:"by2,omitzero"`
}

type extendedObject struct {
	Flag bool `json:"flag,omitempty"`
}

func TestUnknownField(t *testing.T) {
	k := knownOf[extended](all("reason", "by2.reason").under("by", identityFields).but("excluded", "it is somebody else's business, for this test").but("seal", "it is the seal itself, for this test"))
	want := []string{"added", "object", "object.flag", "list", "list[]", "list[].flag", "values", "map", "time", "nested", "nested.flag"}
	slices.Sort(want)
	got := slices.Sorted(slices.Values(k.unknown))
	if !slices.Equal(got, want) {
		t.Errorf("unknown are %v, want %v", got, want)
	}
	for name, tc := range map[string]struct {
		reason string
		change func(*extended)
		want   string
	}{
		"Nothing":     {"what is not set does not exist", func(*extended) {}, ""},
		"Known":       {"what is known may be set", func(e *extended) { e.Reason, e.By = "x", alice() }, ""},
		"Excluded":    {"what is left out may be set", func(e *extended) { e.Excluded = &v1alpha1.WaitFor{Expression: "x"} }, ""},
		"Text":        {"it would not be sealed", func(e *extended) { e.Added = "x" }, "added"},
		"EmptyObject": {"that it is there can mean something", func(e *extended) { e.Object = &extendedObject{} }, "object"},
		"Object":      {"it would not be sealed", func(e *extended) { e.Object = &extendedObject{Flag: true} }, "object, object.flag"},
		"Element":     {"that it is there can mean something", func(e *extended) { e.List = []extendedObject{{}} }, "list"},
		"List":        {"it would not be sealed", func(e *extended) { e.Values = []string{""} }, "values"},
		"Map":         {"it would not be sealed", func(e *extended) { e.Map = map[string]string{"": ""} }, "map"},
		"Time":        {"it would not be sealed", func(e *extended) { e.Time = &metav1.Time{Time: noon} }, "time"},
		"Nested":      {"it would not be sealed", func(e *extended) { e.Nested.Flag = true }, "nested.flag"},
	} {
		t.Run(name, func(t *testing.T) {
			var e extended
			tc.change(&e)
			err := k.check(TypeCancel, &e)
			if tc.want == "" {
				if err != nil {
					t.Errorf("%s: got %v", tc.reason, err)
				}
				return
			}
			if ReasonOf(err) != UnknownField || !strings.HasSuffix(err.Error(), "it does not cover "+tc.want) {
				t.Errorf("%s: got %v, want that it does not cover %s", tc.reason, err, tc.want)
			}
		})
	}
}

// filled sets every field of an object, each text to another one.
func filled(object any) {
	texts := 0
	randfill.NewWithSeed(1).NilChance(0).NumElements(2, 2).MaxDepth(12).Funcs(
		func(r *runtime.RawExtension, _ randfill.Continue) { r.Raw = []byte(`{"a":"b","n":1}`) },
		func(s *string, _ randfill.Continue) { texts++; *s = fmt.Sprintf("x%d", texts) },
		func(n *int32, _ randfill.Continue) { *n = 3 },
		func(b *bool, _ randfill.Continue) { *b = true },
		func(m *metav1.Time, c randfill.Continue) {
			m.Time = noon.Truncate(time.Second).Add(time.Duration(c.Intn(1000)) * time.Second)
		},
		func(m *metav1.MicroTime, c randfill.Continue) {
			m.Time = noon.Add(time.Duration(c.Intn(1000)) * time.Millisecond)
		},
	).Fill(object)
}

// TestEveryFieldIsSealed changes each field of an object in which every field is set, one at a time, and looks whether the payload is
// another one. What the cover calls covered must change it; what it leaves out must not.
func TestEveryFieldIsSealed(t *testing.T) {
	ar := &v1alpha1.ActionRequest{}
	_, rs := sampleRequest()
	filled(&ar.Spec)
	ar.Namespace, ar.Name, ar.UID, ar.CreationTimestamp = "n", "r", "u", metav1.NewTime(noon.Truncate(time.Second))
	ap, vote, r := &v1alpha1.Approval{}, &v1alpha1.Vote{}, &v1alpha1.Record{}
	filled(&ap.Spec)
	ap.Namespace, ap.Name, ap.UID, ap.CreationTimestamp, ap.Spec.Digest = "n", "a", "u", metav1.NewTime(noon.Truncate(time.Second)), sumA
	filled(vote)
	vote.Digest, vote.Delegation.Seal = sumA, sumA
	d := &v1alpha1.Delegation{}
	filled(&d.Spec)
	d.Namespace, d.Name = "n", "d"
	body := recordBody{}
	filled(&body)
	body.Spec.Digest = sumA
	r.Namespace, r.Name, r.UID = "n", "r", "u"
	_, vs := sampleVote(0, 1, sumB)
	adopted, request := ar.DeepCopy(), signed(t, must[*Request](t)(RequestPayload(ar, rs)))
	adopted.Status.Adoption = &v1alpha1.Adoption{}
	filled(adopted.Status.Adoption)
	closed := ap.DeepCopy()
	filled(&closed.Status)
	for name, tc := range map[string]struct {
		cover  cover
		object any
		build  func() (Payload, error)
		fewest int
	}{
		"ActionRequest": {requestFields.cover, &ar.Spec, func() (Payload, error) { return RequestPayload(ar, rs) }, 15},
		"Approval":      {approvalFields.cover, &ap.Spec, func() (Payload, error) { return ApprovalPayload(ap, stamp(0)) }, 40},
		"Vote":          {voteFields.cover, vote, func() (Payload, error) { return VotePayload(ap, vote, vs) }, 10},
		"Delegation":    {delegationFields.cover, &d.Spec, func() (Payload, error) { return DelegationPayload(d, stamp(0)) }, 15},
		"Adoption":      {adoptionFields.cover, adopted.Status.Adoption, func() (Payload, error) { return AdoptionPayload(adopted, request, nonceA, stamp(0)) }, 4},
		"ApprovalStatus": {headFields.cover, &closed.Status, func() (Payload, error) {
			return HeadPayload(closed, Position{Count: 2, Hash: sumB}, stamp(0))
		}, 2},
		"Cancellation": {cancelFields.cover, ar.Spec.Cancellation, func() (Payload, error) { return CancelPayload(ar, stamp(0)) }, 7},
		"Resolution":   {resolveFields.cover, &ar.Spec.Resolutions[0], func() (Payload, error) { return ResolvePayload(ar, &ar.Spec.Resolutions[0], stamp(0)) }, 9},
		"Record": {recordFields.cover, &body, func() (Payload, error) {
			r.Spec, r.Status = body.Spec, body.Status
			return RecordPayload(r, stamp(0))
		}, 80},
	} {
		t.Run(name, func(t *testing.T) {
			bytesOf := func(path string) string {
				t.Helper()
				p, err := tc.build()
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				body, err := encode(p)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				return string(body)
			}
			base := bytesOf("nothing")
			seen, count := map[string]string{base: "nothing"}, 0
			eachChange(reflect.ValueOf(tc.object), "", func(path string) {
				got := bytesOf(path)
				if why := tc.cover.reason(path); why != covered {
					if got != base {
						t.Errorf("%s is sealed, although the cover says that %s", path, why)
					}
					return
				}
				count++
				if other, twice := seen[got]; twice {
					t.Errorf("after a change of %s the payload is the same as after a change of %s", path, other)
				}
				seen[got] = path
			})
			if count < tc.fewest {
				t.Errorf("only %d changes were tried: the object is not filled", count)
			}
			if bytesOf("the end") != base {
				t.Error("the walk did not restore what it changed")
			}
		})
	}
}

// reason is why the path, or an object that it is in, is left out.
func (c cover) reason(path string) string {
	for name, why := range c {
		if why != covered && (path == name || strings.HasPrefix(path, name+".") || strings.HasPrefix(path, name+"[]")) {
			return why
		}
	}
	return covered
}

// eachChange changes every whole below v in every way there is, calls visit with its path after each, and changes it back.
func eachChange(v reflect.Value, path string, visit func(path string)) {
	switch {
	case v.Kind() == reflect.Pointer:
		eachChange(v.Elem(), path, visit)
	case v.Kind() == reflect.Slice && holdsFields(v.Type().Elem()):
		for i := range v.Len() {
			eachChange(v.Index(i), path+"[]", visit)
		}
		shorten(v, path, visit)
	case !holdsFields(v.Type()):
		changeWhole(v, path, visit)
	default:
		for i := range v.NumField() {
			eachChange(v.Field(i), join(path, v.Type().Field(i)), visit)
		}
	}
}

func shorten(v reflect.Value, path string, visit func(path string)) {
	if v.Len() < 2 {
		return
	}
	old := reflect.ValueOf(v.Interface())
	v.Set(old.Slice(0, old.Len()-1))
	visit(path + "[]")
	v.Set(old)
}

func changeWhole(v reflect.Value, path string, visit func(path string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	defer v.Set(old)
	switch value := v.Addr().Interface().(type) {
	case *metav1.Time:
		value.Time = value.Add(time.Second)
		visit(path)
		return
	case *metav1.MicroTime:
		value.Time = value.Add(time.Millisecond)
		visit(path)
		return
	case *runtime.RawExtension:
		value.Raw = []byte(`{"a":"c","n":1}`)
		visit(path)
		value.Raw = []byte(`{"a":"b","n":1.5}`)
		visit(path)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(otherText(v.String()))
		visit(path)
	case reflect.Bool:
		v.SetBool(!v.Bool())
		visit(path)
	case reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(v.Int() + 1)
		visit(path)
	case reflect.Slice:
		changeElements(v, path, visit)
	case reflect.Map:
		changeEntries(v, path, visit)
	default:
		panic("nothing is known about how to change " + v.Type().String())
	}
}

// otherText gives another text of the same form.
func otherText(s string) string {
	if strings.HasPrefix(s, "sha256:") || nonce.MatchString(s) {
		return s[:len(s)-1] + map[bool]string{true: "0", false: "1"}[s[len(s)-1] != '0']
	}
	return s + "!"
}

func changeElements(v reflect.Value, path string, visit func(path string)) {
	for i := range v.Len() {
		old := v.Index(i).String()
		v.Index(i).SetString(otherText(old))
		visit(path)
		v.Index(i).SetString(old)
	}
	shorten(v, path, visit)
}

func changeEntries(v reflect.Value, path string, visit func(path string)) {
	for _, key := range v.MapKeys() {
		old := v.MapIndex(key)
		v.SetMapIndex(key, reflect.Value{})
		visit(path)
		other := reflect.New(v.Type().Key()).Elem()
		other.SetString(key.String() + "!")
		v.SetMapIndex(other, old)
		visit(path)
		v.SetMapIndex(other, reflect.Value{})
		changed := reflect.MakeSlice(old.Type(), old.Len(), old.Len())
		reflect.Copy(changed, old)
		changed.Index(0).SetString(changed.Index(0).String() + "!")
		v.SetMapIndex(key, changed)
		visit(path)
		v.SetMapIndex(key, old)
	}
}
