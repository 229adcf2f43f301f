package steps

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/internal/expression"
)

// recorded are the variables of the request that a condition can read while the steps run, with their fields; nil: all of them.
var recorded = map[string][]string{
	"inputs": nil, "request": nil, "requester": {"username", "uid", "person"},
}

// Variables are what the conditions of the steps read of the request, for the Record. Nil: they read nothing of it.
func (s *Steps) Variables(in Input) (*runtime.RawExtension, error) {
	out := map[string]any{}
	for name, fields := range recorded {
		if !s.conditionsUse(name) {
			continue
		}
		value := in.Vars.Values[name]
		if lazy, ok := value.(expression.Lazy); ok {
			value = lazy()
		}
		object, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("failed to record %s, which a step reads: it is not known", name)
		}
		if fields != nil {
			object = keep(object, fields)
		}
		out[name] = object
	}
	if len(out) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("failed to record what steps read: %w", err)
	}
	return &runtime.RawExtension{Raw: raw}, nil
}

func (s *Steps) conditionsUse(name string) bool {
	for i := range s.steps {
		if when := s.steps[i].when; when != nil && when.Uses(name) {
			return true
		}
	}
	return false
}
