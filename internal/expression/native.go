package expression

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
	// maxDepth is how deep a result may nest.
	maxDepth = 64
	// maxNodes is how many values a result may hold.
	maxNodes = 200_000
)

// native turns a value of CEL into JSON-native Go.
func native(v ref.Val) (any, error) {
	n := nativizer{left: maxNodes}
	return n.value(v, maxDepth)
}

type nativizer struct{ left int }

func (n *nativizer) value(v ref.Val, depth int) (any, error) {
	if n.left--; n.left < 0 {
		return nil, fmt.Errorf("it holds more than %d values", maxNodes)
	}
	if depth == 0 {
		return nil, fmt.Errorf("it nests deeper than %d levels", maxDepth)
	}
	switch v := v.(type) {
	case traits.Lister:
		return n.list(v, depth)
	case traits.Mapper:
		return n.object(v, depth)
	default:
		return scalar(v)
	}
}

func (n *nativizer) list(v traits.Lister, depth int) (any, error) {
	out := []any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		element, err := n.value(it.Next(), depth-1)
		if err != nil {
			return nil, err
		}
		out = append(out, element)
	}
	return out, nil
}

func (n *nativizer) object(v traits.Mapper, depth int) (any, error) {
	out := map[string]any{}
	for it := v.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("it has %s as a key, but JSON has string keys only", describe(key))
		}
		value, err := n.value(v.Get(key), depth-1)
		if err != nil {
			return nil, err
		}
		out[string(name)] = value
	}
	return out, nil
}

func scalar(v ref.Val) (any, error) {
	switch v := v.(type) {
	case types.Null:
		return nil, nil // null is a value
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return signed(uint64(v))
	case types.Double:
		return finite(float64(v))
	case types.String:
		return valid(string(v))
	case types.Bytes:
		return base64.StdEncoding.EncodeToString(v), nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339), nil
	case types.Duration:
		return v.String(), nil
	default:
		return nil, fmt.Errorf("it gave %s, which JSON cannot hold", describe(v))
	}
}

func signed(n uint64) (any, error) {
	if n > math.MaxInt64 {
		return nil, fmt.Errorf("the number %d is too large", n)
	}
	return int64(n), nil
}

func valid(text string) (any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("it holds a string that is not valid UTF-8")
	}
	return text, nil
}

func finite(f float64) (any, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("it gave the number %v, which JSON cannot hold", f)
	}
	return f, nil
}

// describe names the type of a value.
func describe(v ref.Val) string {
	switch {
	case v == nil:
		return "nothing"
	case v == types.NullValue:
		return "null"
	case types.IsError(v):
		return "an error"
	default:
		return v.Type().TypeName()
	}
}
