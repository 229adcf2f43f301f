package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// inputPrefix is that of variables by which the program gets its inputs.
const inputPrefix = "TF_VAR_"

// sameInputs refuses a plan that was made with other inputs than those in the environment. The program applies what is in the plan, and does not look.
func (t *terraform) sameInputs(ctx context.Context, environment []string) error {
	raw, err := t.must(ctx, "show", "-json", t.planFile())
	if err != nil {
		return err
	}
	var plan struct {
		Variables map[string]output
	}
	if err := json.Unmarshal([]byte(raw), &plan); err != nil {
		return fmt.Errorf("failed to read the plan: %w", err)
	}
	for _, variable := range environment {
		name, want, _ := strings.Cut(variable, "=")
		name, isInput := strings.CutPrefix(name, inputPrefix)
		if !isInput {
			continue
		}
		if got, err := plan.Variables[name].line(); err != nil || got != want {
			return fmt.Errorf("the plan was made with another input %s", name)
		}
	}
	return nil
}

// output is an output, or an input, as the program writes it.
type output struct {
	Sensitive bool
	Value     json.RawMessage
}

// line is the value, where everybody may read it and it is one text, number or truth.
func (o output) line() (string, error) {
	if o.Sensitive {
		return "", fmt.Errorf("it is sensitive")
	}
	value := string(o.Value)
	if strings.HasPrefix(value, `"`) {
		if err := json.Unmarshal(o.Value, &value); err != nil {
			return "", fmt.Errorf("failed to read it: %w", err)
		}
	} else if value == "" || strings.ContainsAny(value[:1], "{[n") {
		return "", fmt.Errorf("it is neither a text, nor a number, nor true or false")
	}
	if strings.ContainsAny(value, "\r\n") {
		return "", fmt.Errorf("it has more than one line")
	}
	return value, nil
}
