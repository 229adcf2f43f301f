package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// apply applies the plan that was agreed to, and nothing else.
func (r *runner) apply(ctx context.Context) (string, error) {
	file, err := take(ctx, r.plans, r.digest)
	if err != nil {
		return "", nothing(err)
	}
	if err := r.terraform.init(ctx); err != nil {
		return "", nothing(err)
	}
	if err := os.WriteFile(r.terraform.planFile(), file, 0o600); err != nil {
		return "", nothing(fmt.Errorf("failed to write the plan file: %w", err))
	}
	// The program checks the same, with the state locked. This says it in plainer words.
	now, err := r.state.version(ctx)
	if err != nil {
		return "", nothing(err)
	}
	if now != r.of {
		return "", nothing(fmt.Errorf("the state has changed since the plan was made: it was %s, and it is %s", r.of, now))
	}
	if err := r.terraform.sameInputs(ctx, os.Environ()); err != nil {
		return "", nothing(err)
	}
	out, problem, code, err := r.terraform.run(ctx, "apply", "-input=false", "-no-color", "-lock-timeout="+r.lockTimeout, r.terraform.planFile())
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintln(os.Stdout, out)
	if code != 0 {
		err := fmt.Errorf("%s apply failed: %s", r.terraform.program, plain(problem))
		if code == failed && r.state.untouched() {
			err = nothing(err)
		}
		return "", err
	}
	return r.told(ctx)
}

// failed is the exit code of the program where it says itself that it has failed. What it has done by then is in the state.
const failed = 1

// nothing says of an error that it came before anything was applied.
func nothing(err error) error {
	return fmt.Errorf("nothing was applied: %w. Ask again, for a new plan", err)
}

// told gives the outputs that were asked for, one a line.
func (r *runner) told(ctx context.Context) (string, error) {
	if r.outputs == "" {
		return "", nil
	}
	raw, err := r.terraform.must(ctx, "output", "-json")
	if err != nil {
		return "", fmt.Errorf("it was applied, but %w", err)
	}
	var outputs map[string]output
	if err := json.Unmarshal([]byte(raw), &outputs); err != nil {
		return "", fmt.Errorf("it was applied, but its outputs cannot be read: %w", err)
	}
	var lines []string
	for name := range strings.SplitSeq(r.outputs, ",") {
		line, err := outputs[name].line()
		if err != nil {
			return "", fmt.Errorf("it was applied, but output %s cannot be told: %w", name, err)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), nil
}
