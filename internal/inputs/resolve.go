package inputs

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// Resolve validates inputs and returns a copy with defaults filled in. Path is where they stand, such as spec.inputs. No
// inputs at all are an empty object.
func (s *Schema) Resolve(raw []byte, path *field.Path) (map[string]any, field.ErrorList) {
	values, errs := s.fit(raw, path)
	if len(errs) > 0 || s == nil || s.rules == nil {
		return values, errs
	}
	errs, _ = s.rules.Validate(context.Background(), path, s.structural, values, nil, celconfig.RuntimeCELCostBudget)
	return ruled(values, errs)
}

// Turn lets something be evaluated that can be dear, or says why not. Done must be called with what it did cost.
type Turn func(ctx context.Context) (done func(cost uint64), err error)

// ResolveInTurn is Resolve for those who have only so much time: x-kubernetes-validations are evaluated in their turn, and before the context
// ends. An error says that there was no turn, or no time, and nothing about the inputs.
func (s *Schema) ResolveInTurn(ctx context.Context, turn Turn, raw []byte, path *field.Path) (map[string]any, field.ErrorList, error) {
	values, errs := s.fit(raw, path)
	if len(errs) > 0 || s == nil || s.rules == nil {
		return values, errs, nil
	}
	done, err := turn(ctx)
	if err != nil {
		return nil, nil, err
	}
	errs, left := s.rules.Validate(ctx, path, s.structural, values, nil, celconfig.RuntimeCELCostBudget)
	done(uint64(min(max(celconfig.RuntimeCELCostBudget-left, 0), celconfig.RuntimeCELCostBudget)))
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("failed to evaluate the rules of the inputs in time: %w", err)
	}
	values, errs = ruled(values, errs)
	return values, errs, nil
}

func ruled(values map[string]any, errs field.ErrorList) (map[string]any, field.ErrorList) {
	if len(errs) > 0 {
		return nil, present(errs)
	}
	return values, nil
}

// fit gives inputs that fit the schema, with defaults filled in, before its rules are evaluated, which rely on that.
func (s *Schema) fit(raw []byte, path *field.Path) (map[string]any, field.ErrorList) {
	values := map[string]any{}
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && !bytes.Equal(trimmed, []byte("null")) {
		var errs field.ErrorList
		if values, errs = parse(raw, path); len(errs) > 0 {
			return nil, present(errs)
		}
	}
	if s == nil {
		return values, present(noInputs(values, path))
	}
	if s.root.defaults {
		defaulting.Default(values, s.structural)
	}
	if !s.root.obvious(values) {
		if errs := s.judge(values, path); len(errs) > 0 {
			return nil, present(errs)
		}
		normalize(values, s.structural)
	}
	return values, nil
}

// judge finds what is wrong with values: everything, or some of very much. The validator of Kubernetes compares each error with all others, so it is
// asked only about what has no more values than the schema says, few of them of a wrong type.
func (s *Schema) judge(values map[string]any, path *field.Path) field.ErrorList {
	check := &checker{}
	check.value(values, s.structural, path)
	if len(check.errs) >= mostErrors {
		return append(check.errs, field.Forbidden(path, mayBeMore))
	}
	if check.more {
		return check.errs
	}
	return append(check.errs, s.validate(values, path, check.errs)...)
}

// validate runs the validator of Kubernetes, and leaves out what was said before in better words.
func (s *Schema) validate(values map[string]any, path *field.Path, said field.ErrorList) field.ErrorList {
	wrong := make(map[string]bool, len(said))
	for _, err := range said {
		wrong[err.Field] = true
		// About some wrong types the validator complains at the root.
		wrong[path.String()] = wrong[path.String()] || err.Type != field.ErrorTypeForbidden
	}
	var errs field.ErrorList
	for _, err := range schemavalidation.ValidateCustomResource(path, values, s.validator) {
		if wrong[err.Field] {
			continue
		}
		// The path says already what is meant.
		name := strings.TrimPrefix(strings.TrimPrefix(err.Field, path.String()), ".")
		err.Detail = strings.TrimPrefix(err.Detail, name+" in body ")
		errs = append(errs, err)
	}
	return errs
}

func noInputs(values map[string]any, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if errs = append(errs, field.Forbidden(path.Child(short(name)), "unknown field, the Action takes no inputs")); len(errs) == mostErrors {
			break
		}
	}
	return errs
}
