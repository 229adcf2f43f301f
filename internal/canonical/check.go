package canonical

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// MaxInteger is the largest integer that every JSON implementation reads exactly.
const MaxInteger = 1<<53 - 1

var errText = errors.New("a text is not valid UTF-8")

// checkNumbers refuses numbers that two readers could understand differently. The JSON is valid: it comes from an encoder.
func checkNumbers(raw []byte) error {
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			i += textLength(raw[i:])
		case c == '-' || (c >= '0' && c <= '9'):
			number := raw[i : i+numberLength(raw[i:])]
			value, err := strconv.ParseFloat(string(number), 64)
			if err != nil || math.Abs(value) > MaxInteger {
				return fmt.Errorf("the number %.40s is beyond ±(2^53-1): write it as text", number)
			}
			i += len(number)
		default:
			i++
		}
	}
	return nil
}

// textLength is the length of the text that JSON begins with, quotes included.
func textLength(raw []byte) int {
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// numberLength is the length of the number that JSON begins with.
func numberLength(raw []byte) int {
	if end := bytes.IndexAny(raw, ",]} \t\n\r"); end >= 0 {
		return end
	}
	return len(raw)
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
