package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

func TestEncode(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		doc    any
		want   string
		fails  string
	}{
		"Order": {
			"members are sorted by UTF-16, where a pair comes before the last letters", json.RawMessage(`{"\ufb33":5,"b":1,"a":2,"\u20ac":3,"\ud83d\ude00":4}`),
			"{\"a\":2,\"b\":1,\"\u20ac\":3,\"\U0001f600\":4,\"\ufb33\":5}", "",
		},
		"Numbers":       {"one number has one form", json.RawMessage(`[1.0,1e2,-0,9007199254740991,-9007199254740991]`), `[1,100,0,9007199254740991,-9007199254740991]`, ""},
		"Last":          {"a document can be one number", json.RawMessage(`12`), `12`, ""},
		"LastLarge":     {"a document can be one number", json.RawMessage(`9007199254740992`), "", "2^53-1"},
		"Large":         {"readers round it", json.RawMessage(`[9007199254740992]`), "", "2^53-1"},
		"LargeNegative": {"readers round it", json.RawMessage(`{"a":-9007199254740992}`), "", "2^53-1"},
		"LargeFloat":    {"it is an integer", json.RawMessage(`{"a":[1,1e17]}`), "", "2^53-1"},
		"NoFloat":       {"it has no value", json.RawMessage(`{"a":1e999}`), "", "2^53-1"},
		"InText":        {"what looks like a number is text", json.RawMessage(`{"9007199254740992":"\"9007199254740992,\\"}`), `{"9007199254740992":"\"9007199254740992,\\"}`, ""},
		"AfterText":     {"text ends where it ends", json.RawMessage(`{"a\\":9007199254740992}`), "", "2^53-1"},
		"Text":          {"encoders would replace it", "\xff", "", "UTF-8"},
		"TextInJSON":    {"encoders would replace it", json.RawMessage("\"\xff\""), "", "UTF-8"},
		"Key":           {"encoders would replace it", map[string]int{"\xff": 1}, "", "UTF-8"},
		"Pointer":       {"encoders would replace it", &struct{ A *string }{new("\xff")}, "", "UTF-8"},
		"Twice":         {"which one counts would be a guess", json.RawMessage(`{"a":1,"\u0061":2}`), "", "a"},
		"HalfPair":      {"readers replace it", json.RawMessage(`"\ud800!!"`), "", "surrogate"},
		"NotJSON":       {"it has no form", json.RawMessage(`{`), "", "unexpected end"},
		"NaN":           {"it has no form", math.NaN(), "", "unsupported value"},
		"Function":      {"it has no form", func() {}, "", "unsupported type"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Encode(tc.doc)
			if (err == nil) != (tc.fails == "") || (err != nil && !strings.Contains(err.Error(), tc.fails)) {
				t.Fatalf("%s: got %v, want %q", tc.reason, err, tc.fails)
			}
			if string(got) != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got, tc.want)
			}
			sum, err := SumOf(tc.doc)
			if (err == nil) != (tc.fails == "") || (err == nil && sum != Sum(got)) {
				t.Errorf("%s: the hash is %s (%v)", tc.reason, sum, err)
			}
		})
	}
}

func TestIsSum(t *testing.T) {
	sum := Sum([]byte("abc"))
	if sum != "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || !IsSum(sum) {
		t.Errorf("got %s", sum)
	}
	for _, text := range []string{"", sum[7:], sum + "0", sum + "\n", strings.ToUpper(sum), "sha512:" + sum[7:]} {
		if IsSum(text) {
			t.Errorf("%q is no hash", text)
		}
	}
}

// FuzzCheckNumbers compares the scanner with a decoder.
func FuzzCheckNumbers(f *testing.F) {
	for _, text := range []string{`{"a":1,"b":[1e400,"9007199254740993"]}`, `"\\"`, `-1`, `[9007199254740993]`, `{"\"":9007199254740993}`, `[1E5 , -0]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		encoded, err := json.Marshal(json.RawMessage(raw))
		if err != nil {
			return
		}
		if got, want := checkNumbers(encoded), decoded(encoded); (got == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", encoded, got, want)
		}
	})
}

func decoded(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if number, ok := token.(json.Number); ok {
			if value, err := number.Float64(); err != nil || math.Abs(value) > MaxInteger {
				return fmt.Errorf("%s is too large", number)
			}
		}
	}
}

// FuzzEncode holds that the canonical form is its own canonical form.
func FuzzEncode(f *testing.F) {
	f.Add([]byte(`{"b":[1.50,"\u00e9",{}],"a":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		form, err := Encode(json.RawMessage(raw))
		if err != nil {
			return
		}
		again, err := Encode(json.RawMessage(form))
		if err != nil || !bytes.Equal(again, form) {
			t.Errorf("%s, then %s (%v)", form, again, err)
		}
	})
}
