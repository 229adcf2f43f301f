package inputs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// maxEcho is how many characters of a value an error repeats.
	maxEcho = 64
	// maxReason is how many characters of a decoder's message an error repeats. It may hold a value.
	maxReason = 120
)

// present makes errors fit to be read: values are cut, lines are single, the order is stable, nothing is said twice, and no more than can be read.
func present(errs field.ErrorList) field.ErrorList {
	if len(errs) > mostErrors {
		rest := field.Forbidden(field.NewPath(errs[mostErrors].Field), mayBeMore)
		return append(present(errs[:mostErrors:mostErrors]), rest)
	}
	out := make(field.ErrorList, 0, len(errs))
	for _, err := range errs {
		out = append(out, readable(err))
	}
	slices.SortStableFunc(out, func(a, b *field.Error) int {
		if d := strings.Compare(a.Field, b.Field); d != 0 {
			return d
		}
		return strings.Compare(a.Error(), b.Error())
	})
	return slices.CompactFunc(out, func(a, b *field.Error) bool { return a.Error() == b.Error() })
}

func readable(err *field.Error) *field.Error {
	out := *err
	// Messages of the schema validator repeat the value.
	if text, ok := err.BadValue.(string); ok && short(text) != text {
		out.Detail = strings.ReplaceAll(out.Detail, strconv.Quote(text), strconv.Quote(short(text)))
		out.Detail = strings.ReplaceAll(out.Detail, text, short(text))
	}
	out.BadValue = echo(err.BadValue)
	out.Detail = strings.TrimSpace(firstLine(out.Detail))
	return &out
}

// echo is what an error repeats of a value.
func echo(value any) any {
	switch v := value.(type) {
	case nil, bool, int, int32, int64, float64, field.OmitValueType:
		return v
	case string:
		return short(v)
	case *string:
		if v != nil {
			return short(*v)
		}
	case apiextensions.ValidationRule:
		return short(v.Rule)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return short(fmt.Sprint(value))
	}
	return short(string(text))
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// short cuts a text to maxEcho characters.
func short(s string) string { return cut(s, maxEcho) }

func cut(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
