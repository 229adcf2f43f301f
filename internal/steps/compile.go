package steps

import (
	"fmt"
	"slices"
	"strings"
	"time"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/expression"
)

// maxWrites is how many objects all steps together may write, so that a plan can show every one of them.
const maxWrites = 64

// defaultTimeout is how long all steps together may take if the Action does not say.
const defaultTimeout = 30 * time.Minute

// LastTimeout is how long a step of finally may take where it does not say. The others may have used up their time, so it has time of its own.
const LastTimeout = 10 * time.Minute

// builder compiles the steps of one Action and collects everything that is wrong with them.
type builder struct {
	actionTarget *v1alpha1.ObjectReference
	// templates compiles templates in names and targets, and values those in what is written, which may read outputs of earlier steps.
	templates, values *expression.Compiler
	// earlier are the outputs of the steps so far, by their names; nil for a step without outputs.
	earlier map[string]*structuralschema.Structural
	// lates is how many places of the object or call that is compiled are filled in later.
	lates int
	// last says that the steps are those of finally, and names are those that are taken.
	last  bool
	names map[string]bool
	// applied are the objects that steps so far apply, and by which.
	applied map[v1alpha1.ObjectReference]string

	// timeout is how long all steps together may take; in finally, how long one does that does not say.
	timeout  time.Duration
	errs     field.ErrorList
	warnings []string
}

// Compile compiles the steps of an Action. Where the list is not empty, the result is nil. execution.timeout itself is the
// caller's to judge.
func Compile(exec *v1alpha1.Execution, target *v1alpha1.ObjectReference, c *expression.Compiler, path *field.Path) (*Steps, field.ErrorList) {
	b := &builder{actionTarget: target, templates: c, values: c, earlier: map[string]*structuralschema.Structural{}, names: map[string]bool{},
		applied: map[v1alpha1.ObjectReference]string{}}
	out := &Steps{serviceAccount: exec.ServiceAccountName, plan: b.plan(exec, path.Child("plan"))}
	b.bound(exec.Timeout, defaultTimeout)
	if len(exec.Steps) == 0 {
		b.refuse(field.Required(path.Child("steps"), "at least one step is needed"))
	}
	out.steps = b.all(exec.Steps, path.Child("steps"))
	out.finally = len(out.steps)
	if b.last = len(exec.Finally) > 0; b.last {
		b.timeout = LastTimeout
		b.see(path.Child("finally"))
		out.steps = append(out.steps, b.all(exec.Finally, path.Child("finally"))...)
	}
	if n := countWrites(exec.Steps) + countWrites(exec.Finally); n > maxWrites {
		b.refuse(field.Invalid(path.Child("steps"), n, fmt.Sprintf("so many objects would be written; a plan that people can read has at most %d", maxWrites)))
	}
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	out.warnings = b.warnings
	for _, step := range out.steps {
		for _, kind := range step.writer.kinds() {
			if !slices.Contains(out.kinds, kind) {
				out.kinds = append(out.kinds, kind)
			}
		}
	}
	return out, nil
}

// defaultPlanTimeout is how long all plan steps together may take if the Action does not say.
const defaultPlanTimeout = 10 * time.Minute

// plan compiles the steps that run before anybody is asked. Those that execute may read what they give.
func (b *builder) plan(exec *v1alpha1.Execution, path *field.Path) *Steps {
	if exec.Plan == nil {
		return nil
	}
	if exec.Plan.ServiceAccountName == exec.ServiceAccountName {
		b.refuse(field.Invalid(path.Child("serviceAccountName"), exec.Plan.ServiceAccountName,
			"plan steps run before anybody has agreed: name another ServiceAccount than execution.serviceAccountName, which may only look"))
	}
	b.bound(exec.Plan.Timeout, defaultPlanTimeout)
	list := make([]v1alpha1.Step, len(exec.Plan.Steps))
	for i := range list {
		list[i] = exec.Plan.Steps[i].Step()
	}
	out := &Steps{serviceAccount: exec.Plan.ServiceAccountName, steps: b.all(list, path.Child("steps"))}
	out.finally = len(out.steps)
	return out
}

// bound sets how long all steps together may take.
func (b *builder) bound(timeout v1alpha1.Duration, byDefault time.Duration) {
	if value, err := timeout.Value(byDefault); err == nil {
		b.timeout = value
	}
}

// all compiles steps that run one after the other.
func (b *builder) all(list []v1alpha1.Step, path *field.Path) []step {
	var out []step
	for i := range list {
		at, name := path.Index(i), list[i].Name
		if b.names[name] {
			b.refuse(field.Duplicate(at.Child("name"), name))
		}
		b.names[name] = true
		out = append(out, b.step(&list[i], at))
		b.deletesApplied(&out[i], at)
		b.remember(&list[i], at)
	}
	return out
}

func countWrites(steps []v1alpha1.Step) int {
	n := 0
	for i := range steps {
		if apply := steps[i].Apply; apply != nil {
			n += len(apply.Manifests)
		} else {
			n++
		}
	}
	return n
}

func (b *builder) refuse(errs ...*field.Error) { b.errs = append(b.errs, errs...) }

func (b *builder) warn(path *field.Path, format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (b *builder) step(s *v1alpha1.Step, path *field.Path) step {
	out := step{
		name: s.Name, waitFor: s.WaitFor.DeepCopy(), timeout: s.Timeout,
		failWhen: s.FailWhen, retries: s.Retries, outputs: s.Outputs,
	}
	b.lates = 0
	b.stepTimeout(s.Timeout, path.Child("timeout"))
	if s.WaitFor != nil {
		b.waitFor(s, path.Child("waitFor"))
	}
	if !b.exactlyOne(path, map[string]bool{"apply": s.Apply != nil, "patch": s.Patch != nil, "delete": s.Delete != nil, "job": s.Job != nil, "http": s.HTTP != nil}, "apply, patch, delete, job, http") {
		return out
	}
	switch {
	case s.Apply != nil:
		out.writer = b.apply(s.Apply, path.Child("apply"))
	case s.Patch != nil:
		out.writer = b.patch(s.Patch, path.Child("patch"))
	case s.HTTP != nil:
		if s.WaitFor != nil || s.FailWhen != "" {
			b.refuse(field.Forbidden(path.Child("http"), "an http step has no object to wait for: use http.success and http.poll"))
		}
		out.writer = b.http(s.HTTP, path.Child("http"))
	case s.Delete != nil:
		out.writer = b.deleteStep(s.Delete, s.WaitFor, path)
	default:
		out.writer = b.job(s.Job, s.Timeout, path.Child("job"))
		out.logLines = s.Job.LogLines
	}
	out.when = b.when(s, path.Child("when"))
	b.failWhen(s, path.Child("failWhen"))
	b.outputs(s, path.Child("outputs"))
	return out
}

// exactlyOne refuses a union of which no member, an unknown one or several are set.
func (b *builder) exactlyOne(path *field.Path, set map[string]bool, accepted string) bool {
	var members []string
	for _, member := range strings.Split(accepted, ", ") {
		if set[member] {
			members = append(members, member)
		}
	}
	switch len(members) {
	case 0:
		b.refuse(field.Required(path, "exactly one of "+accepted+" is needed"))
	case 1:
		return true
	default:
		b.refuse(field.Invalid(path, strings.Join(members, ", "), "exactly one of "+accepted+" may be set"))
	}
	return false
}

func (b *builder) stepTimeout(timeout v1alpha1.Duration, path *field.Path) {
	value, err := timeout.Value(b.timeout)
	switch {
	case err != nil:
		b.refuse(field.Invalid(path, string(timeout), "must be a duration such as 30s, 10m or 1h30m"))
	case timeout != "" && value <= 0:
		b.refuse(field.Invalid(path, string(timeout), "must be longer than zero"))
	case !b.last && b.timeout > 0 && value > b.timeout:
		b.refuse(field.Invalid(path, string(timeout), fmt.Sprintf("is longer than the timeout of all steps together (%s): make it shorter, or that one longer", short(b.timeout))))
	}
}

func (b *builder) waitFor(s *v1alpha1.Step, path *field.Path) {
	w := s.WaitFor
	if !b.exactlyOne(path, map[string]bool{"status": w.Status != "", "expression": w.Expression != ""}, "status, expression") {
		return
	}
	if w.Status != "" {
		if w.Status != v1alpha1.WaitStatusCurrent {
			b.refuse(field.NotSupported(path.Child("status"), w.Status, []v1alpha1.WaitStatus{v1alpha1.WaitStatusCurrent}))
		}
		return
	}
	b.aboutObject(w.Expression, path.Child("expression"))
	b.noSecret(s, path.Child("expression"))
}

// aboutObject compiles a condition on an object.
func (b *builder) aboutObject(source string, path *field.Path) {
	compiler, err := expression.NewCompiler(expression.WaitFor, nil)
	if err == nil {
		_, err = compiler.Bool(source)
	}
	if err != nil {
		b.refuse(field.Invalid(path, source, err.Error()))
	}
}

// short writes a duration without its zero parts: 30m, not 30m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
