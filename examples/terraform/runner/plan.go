package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// plan makes a plan, keeps it, and says what it would do.
func (r *runner) plan(ctx context.Context) (string, error) {
	if err := r.terraform.init(ctx); err != nil {
		return "", err
	}
	// Read before the plan is made: where somebody applies in between, the apply of this plan is refused, though it need not be.
	of, err := r.state.version(ctx)
	if err != nil {
		return "", err
	}
	changes, text, err := r.changes(ctx)
	if err != nil {
		return "", err
	}
	if destroyed := changes.count("delete"); destroyed > 0 && !r.destroy {
		return "", fmt.Errorf("this would destroy %d of what is there, and only an Action for that may: %s", destroyed, strings.Join(changes.lines(), ", "))
	}
	file, err := os.ReadFile(r.terraform.planFile())
	if err != nil {
		return "", fmt.Errorf("failed to read the plan file: %w", err)
	}
	digest, err := keep(ctx, r.plans, file, jobOf())
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintln(os.Stdout, text) // the log of the Job has all of it, however long it is
	return message([]string{changes.summary(), digest, of}, text, changes.lines()), nil
}

// changes runs the program. Nobody should be asked to agree to nothing, so a plan without changes is an error.
func (r *runner) changes(ctx context.Context) (changes, string, error) {
	// A plan writes no state, so it needs no lock, and no right to write one.
	args := []string{"plan", "-input=false", "-no-color", "-lock=false", "-detailed-exitcode", "-out=" + r.terraform.planFile()}
	if r.destroy {
		args = append(args, "-destroy")
	}
	const nothing, something = 0, 2
	_, problem, code, err := r.terraform.run(ctx, args...)
	switch {
	case err != nil:
		return nil, "", err
	case code == nothing:
		return nil, "", fmt.Errorf("there is nothing to do: all is as it was asked for")
	case code != something:
		return nil, "", fmt.Errorf("the plan failed: %s", plain(problem))
	}
	raw, err := r.terraform.must(ctx, "show", "-json", r.terraform.planFile())
	if err != nil {
		return nil, "", err
	}
	var plan struct {
		Changes changes `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(raw), &plan); err != nil {
		return nil, "", fmt.Errorf("failed to read the plan: %w", err)
	}
	text, err := r.terraform.must(ctx, "show", "-no-color", r.terraform.planFile())
	return plan.Changes, essence(text), err
}

// essence is a plan without the legend before it.
func essence(text string) string {
	const before = "will perform the following actions:"
	if _, after, found := strings.Cut(text, before); found {
		text = after
	}
	return strings.TrimRight(strings.TrimLeft(text, "\n"), " \n")
}

// changes are those that a plan would make.
type changes []struct {
	Address string `json:"address"`
	Change  struct {
		Actions []string `json:"actions"`
	} `json:"change"`
}

// count is how many objects an action is done to. One that is replaced is created and deleted.
func (c changes) count(action string) int {
	n := 0
	for i := range c {
		if slices.Contains(c[i].Change.Actions, action) {
			n++
		}
	}
	return n
}

func (c changes) summary() string {
	return fmt.Sprintf("%d to add, %d to change, %d to destroy", c.count("create"), c.count("update"), c.count("delete"))
}

// lines name what is changed, and how.
func (c changes) lines() []string {
	var out []string
	for i := range c {
		if actions := strings.Join(c[i].Change.Actions, " and "); actions != "no-op" && actions != "read" {
			out = append(out, actions+" "+c[i].Address)
		}
	}
	return out
}
