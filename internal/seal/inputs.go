package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/internal/canonical"
)

// sumInputs gives the hash and the names of inputs as they are stored. That none are given can be written in several ways; all of them
// have no hash.
func sumInputs(raw *runtime.RawExtension) (string, []string, error) {
	if raw == nil || (len(raw.Raw) == 0 && raw.Object == nil) {
		return "", nil, nil
	}
	if len(raw.Raw) == 0 {
		return "", nil, errors.New("inputs are given as an object, not as JSON")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw.Raw, &members); err != nil {
		return "", nil, fmt.Errorf("inputs are not a JSON object: %w", err)
	}
	if members == nil {
		return "", nil, errors.New("inputs are null")
	}
	if len(members) == 0 {
		return "", nil, nil
	}
	sum, err := canonical.SumOf(rawJSON(raw.Raw))
	if err != nil {
		return "", nil, fmt.Errorf("failed to encode inputs: %w", err)
	}
	return sum, slices.Sorted(maps.Keys(members)), nil
}
