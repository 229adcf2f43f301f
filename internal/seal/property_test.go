package seal

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestAnyFieldChanged changes every field of every payload, one at a time: the seal must then not be valid.
func TestAnyFieldChanged(t *testing.T) {
	keys := ring(t)
	for of, p := range samples(t) {
		t.Run(string(of), func(t *testing.T) {
			seal := signed(t, p).Seal.String()
			if _, err := Verify(p, seal, keys); err != nil {
				t.Fatal(err)
			}
			count := 0
			eachChange(exported(p), "", func(path string) {
				count++
				if _, err := Verify(p, seal, keys); err == nil || ReasonOf(err) == "" {
					t.Errorf("%s was changed, and the seal is still valid (%v)", path, err)
				}
			})
			if count < 5 {
				t.Errorf("only %d changes were tried", count)
			}
			if _, err := Verify(p, seal, keys); err != nil {
				t.Errorf("the walk did not restore what it changed: %v", err)
			}
		})
	}
}

// exported gives a payload without the unexported field that names its type, which reflection cannot change.
func exported(p Payload) reflect.Value {
	act, ok := p.(*Act)
	if !ok {
		return reflect.ValueOf(p)
	}
	return reflect.ValueOf(struct {
		*Common
		Name, UID, Content, Prev *string
		Actor                    *Identity
		Seq                      *int64
	}{&act.Common, &act.Name, &act.UID, &act.Content, &act.Prev, &act.Actor, &act.Seq})
}

// TestAnyByteChanged changes every byte of a seal, of what it seals, and of the type: the seal must then not be valid. Of types other
// than requests it takes some bytes only, because it takes long.
func TestAnyByteChanged(t *testing.T) {
	keys := ring(t)
	for of, p := range samples(t) {
		e := signed(t, p)
		seal, step := e.Seal.String(), 1
		if of != TypeRequest {
			step = 17
		}
		for i := 0; i < len(seal); i += step {
			for _, other := range []byte{seal[i] ^ 1, seal[i] ^ 0x20, 'A', '\n', 0} {
				if other == seal[i] {
					continue
				}
				changed := []byte(seal)
				changed[i] = other
				if _, err := Verify(p, string(changed), keys); err == nil {
					t.Errorf("%s: byte %d of the seal became %q, and it is still valid: %s", of, i, other, changed)
				}
			}
		}
		key, _ := keys.Get(e.Seal.KeyID)
		if !(&Verifier{}).signed(e, key.Key) {
			t.Fatalf("%s is not valid as it is", of)
		}
		for i := 0; i < len(e.Body); i += step {
			e.Body[i] ^= 1
			if (&Verifier{}).signed(e, key.Key) {
				t.Errorf("%s: byte %d of the body was changed, and the seal is still valid", of, i)
			}
			e.Body[i] ^= 1
		}
		for other := range kinds {
			e.Type = other
			if other != of && (&Verifier{}).signed(e, key.Key) {
				t.Errorf("the seal of %s is valid for %s", of, other)
			}
		}
	}
}

// TestOrderDoesNotMatter is about sets and maps, which have no order: whatever the order, the payload is the same.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		groups, keys := texts(random), texts(random)
		values := map[string]v1alpha1.ExtraValue{}
		for _, key := range keys {
			values[key] = texts(random)
		}
		ar, rs := sampleRequest()
		ar.Spec.Requester = &v1alpha1.Identity{Username: "x", Groups: groups, Extra: inOrder(keys, values)}
		before := canonicalOf(t, ar, rs)
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		other := slices.Clone(groups)
		random.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		ar.Spec.Requester = &v1alpha1.Identity{Username: "x", Groups: other, Extra: inOrder(keys, values)}
		if after := canonicalOf(t, ar, rs); after != before {
			t.Fatalf("seed %d: in another order it is another payload:\n%s\n%s", seed, before, after)
		}
	}
}

func inOrder(keys []string, values map[string]v1alpha1.ExtraValue) map[string]v1alpha1.ExtraValue {
	out := map[string]v1alpha1.ExtraValue{}
	for _, key := range keys {
		out[key] = values[key]
	}
	return out
}

// texts draws texts that encodings sort in different orders.
func texts(random *rand.Rand) []string {
	parts := []string{"a", "B", "é", "e\u0301", "€", "\ufb33", "😀", "\u2028", "\"", "<", "", "10", "9", "\x00"}
	out := make([]string, random.IntN(9))
	for i := range out {
		for range 1 + random.IntN(3) {
			out[i] += parts[random.IntN(len(parts))]
		}
	}
	return out
}

func canonicalOf(t *testing.T, ar *v1alpha1.ActionRequest, rs RequestStamp) string {
	t.Helper()
	p, err := RequestPayload(ar, rs)
	if err != nil {
		t.Fatal(err)
	}
	body, err := encode(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestFormDoesNotMatter is about inputs, which the API server stores in another form than they were written in.
func TestFormDoesNotMatter(t *testing.T) {
	ar, rs := sampleRequest()
	before := canonicalOf(t, ar, rs)
	ar.Spec.Inputs.Raw = []byte(`{"percent":12.5,"name":"\u0063heckout","namespace":"payments"}`)
	if canonicalOf(t, ar, rs) != before {
		t.Error("the same inputs, written in another way, have another hash")
	}
}
