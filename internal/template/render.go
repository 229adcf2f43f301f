package template

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/signoff-dev/signoff/internal/expression"
)

// renderer carries what one rendering needs, and how many bytes it may still make.
type renderer struct {
	vars   expression.Vars
	budget *expression.Budget
	escape func(string) string
	left   int
}

func (r *renderer) spend(bytes int) error {
	if r.left -= bytes; r.left < 0 {
		return ErrTooLarge
	}
	return nil
}

// spendTree counts the strings of a value; anything else counts as one byte.
func (r *renderer) spendTree(value any) error {
	switch v := value.(type) {
	case string:
		return r.spend(len(v))
	case []any:
		for _, element := range v {
			if err := r.spendTree(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, element := range v {
			if err := r.spend(len(key)); err != nil {
				return err
			}
			if err := r.spendTree(element); err != nil {
				return err
			}
		}
	}
	return r.spend(1)
}

// AsText writes a value so that it can stand inside text.
func AsText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return floatText(v), nil
	case nil:
		return "", errors.New("null cannot stand inside text")
	case []any:
		return "", errors.New("a list cannot stand inside text")
	case map[string]any:
		return "", errors.New("a map cannot stand inside text")
	default:
		return "", fmt.Errorf("a %T cannot stand inside text", value)
	}
}

// floatText writes an exponent only where people would not want to count zeros.
func floatText(f float64) string {
	if magnitude := math.Abs(f); f != 0 && (magnitude < 1e-6 || magnitude >= 1e21) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
