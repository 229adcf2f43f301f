package digest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"unicode/utf8"
)

// maxExact is the largest integer that every JSON implementation reads exactly.
const maxExact = 1<<53 - 1

var errText = errors.New("a text is not valid UTF-8")

// checkNumbers refuses numbers that two readers could understand differently.
func checkNumbers(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("failed to read JSON: %w", err)
		}
		number, ok := token.(json.Number)
		if !ok {
			continue
		}
		value, err := number.Float64()
		if err != nil || math.Abs(value) > maxExact {
			return fmt.Errorf("the number %.40s is beyond ±(2^53-1): write it as text", number.String())
		}
	}
}

// checkText refuses invalid UTF-8 anywhere in a document, which encoding/json would replace without a word.
func checkText(doc any) error { return checkValue(reflect.ValueOf(doc)) }

func checkValue(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		return checkBytes([]byte(v.String()))
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return checkValue(v.Elem())
		}
	case reflect.Struct:
		return checkEach(v.NumField(), v.Field)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return checkBytes(v.Bytes())
		}
		return checkEach(v.Len(), v.Index)
	case reflect.Array:
		return checkEach(v.Len(), v.Index)
	case reflect.Map:
		return checkMap(v)
	default:
	}
	return nil
}

func checkBytes(text []byte) error {
	if !utf8.Valid(text) {
		return errText
	}
	return nil
}

func checkMap(v reflect.Value) error {
	keys := v.MapKeys()
	if err := checkEach(len(keys), func(i int) reflect.Value { return keys[i] }); err != nil {
		return err
	}
	return checkEach(len(keys), func(i int) reflect.Value { return v.MapIndex(keys[i]) })
}

func checkEach(n int, item func(int) reflect.Value) error {
	for i := range n {
		if err := checkValue(item(i)); err != nil {
			return err
		}
	}
	return nil
}
