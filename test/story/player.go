package story

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// commandTimeout bounds one command.
const commandTimeout = 90 * time.Second

// tryAgain is how often a command is repeated that must eventually answer as expected.
const tryAgain = 150 * time.Millisecond

// Narrator tells what happens.
type Narrator interface {
	// Scene begins a scene, counted from 1.
	Scene(number int, scene *Scene)
	// Command tells what is typed next, by whom.
	Command(step *Step, command string)
	// Output is what the command answered.
	Output(step *Step, answer *Answer)
	// Difference is something that is not as expected.
	Difference(err error)
}

// Player plays stories.
type Player struct {
	// Dir is where commands run.
	Dir string
	// Environment is what commands see, as name=value, apart from KUBECONFIG.
	Environment []string
	// Kubeconfigs are the files of people, by name; that of nobody in particular is under "".
	Kubeconfigs map[string]string
	// Narrator tells what happens.
	Narrator Narrator
}

// Result counts scenes.
type Result struct {
	// Scenes is how many were played.
	Scenes int
	// AsExpected is how many of them went as expected.
	AsExpected int
}

// Play plays every scene, also after one that differs. The error says only that the context ended.
func (p *Player) Play(ctx context.Context, s *Story) (Result, error) {
	var result Result
	saved := map[string]string{}
	for i := range s.Scenes {
		p.Narrator.Scene(i+1, &s.Scenes[i])
		same := p.scene(ctx, &s.Scenes[i], saved)
		if err := context.Cause(ctx); err != nil {
			return result, fmt.Errorf("stopped in scene %d: %w", i+1, err)
		}
		result.Scenes++
		if same {
			result.AsExpected++
		}
	}
	return result, nil
}

func (p *Player) scene(ctx context.Context, scene *Scene, saved map[string]string) bool {
	same := true
	for i := range scene.Steps {
		err := p.step(ctx, &scene.Steps[i], saved)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			same = false
			p.Narrator.Difference(err)
		}
	}
	return same
}

// step plays one step. The error joins everything that is not as expected.
func (p *Player) step(ctx context.Context, step *Step, saved map[string]string) error {
	if missing := unfilled(step.Run, saved); len(missing) > 0 {
		return fmt.Errorf("not typed, because an earlier step did not give %s: %s", strings.Join(missing, ", "), step.Run)
	}
	command := fill(step.Run, saved)
	p.Narrator.Command(step, command)
	answer, err := p.answer(ctx, step, command, saved)
	if answer != nil {
		p.Narrator.Output(step, answer)
	}
	return errors.Join(err, save(step, answer, saved))
}

// answer runs the command, again and again where the step allows it.
func (p *Player) answer(ctx context.Context, step *Step, command string, saved map[string]string) (answer *Answer, problem error) {
	try := func() {
		if answer, problem = p.run(ctx, step.As, command); problem == nil {
			problem = step.Expect.problems(answer, saved)
		}
	}
	if step.Eventually == 0 {
		try()
		return answer, problem
	}
	err := wait.PollUntilContextTimeout(ctx, tryAgain, time.Duration(step.Eventually), true, func(context.Context) (bool, error) {
		try()
		return problem == nil, nil
	})
	if err != nil && problem != nil {
		problem = fmt.Errorf("not within %s: %w", time.Duration(step.Eventually), problem)
	}
	return answer, problem
}

// problems says everything that is not as expected in an answer.
func (e *Expectation) problems(answer *Answer, saved map[string]string) error {
	var errs []error
	if !e.Exit.fits(answer.Exit) {
		want := e.Exit
		if want == "" {
			want = ExitZero
		}
		errs = append(errs, fmt.Errorf("exit code is %d, expected is %s", answer.Exit, want))
	}
	filled := func(text string) string { return fill(text, saved) }
	for i := range e.Stdout {
		if err := e.Stdout[i].problem(answer.Stdout, filled); err != nil {
			errs = append(errs, fmt.Errorf("stdout %w", err))
		}
	}
	for i := range e.Stderr {
		if err := e.Stderr[i].problem(answer.Stderr, filled); err != nil {
			errs = append(errs, fmt.Errorf("stderr %w", err))
		}
	}
	return errors.Join(errs...)
}

// save keeps what later steps need.
func save(step *Step, answer *Answer, saved map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(step.Save)) {
		delete(saved, name)
		if answer == nil {
			continue
		}
		match := step.Save[name].FindStringSubmatch(answer.Stdout)
		if match == nil {
			errs = append(errs, fmt.Errorf("stdout has nothing to save as %q: %q does not match", name, step.Save[name]))
			continue
		}
		saved[name] = match[1]
	}
	return errors.Join(errs...)
}

func fill(text string, saved map[string]string) string {
	return placeholder.ReplaceAllStringFunc(text, func(hole string) string {
		if value, ok := saved[strings.Trim(hole, "{}")]; ok {
			return value
		}
		return hole
	})
}

func unfilled(text string, saved map[string]string) []string {
	var missing []string
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		if _, ok := saved[match[1]]; !ok {
			missing = append(missing, match[1])
		}
	}
	return missing
}
