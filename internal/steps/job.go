package steps

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/template"
)

// AnnotationPodFrom names, on a Job whose pod was copied, the object it was copied from, as "Kind namespace/name".
const AnnotationPodFrom = "signoff.dev/pod-from"

// AnnotationContainer names, on a Job, the container of the step where it is not the first one.
const AnnotationContainer = "signoff.dev/container"

// jobWriter creates a Job, once. Either podFrom or template is set.
type jobWriter struct {
	podFrom   *reference
	template  *body
	namespace *template.Text
	container string
	// command and args are nil where they are not replaced.
	command, args []*template.Text
	deadline      time.Duration
}

func (b *builder) job(s *v1alpha1.JobStep, timeout v1alpha1.Duration, path *field.Path) writer {
	out := &jobWriter{
		container: s.Container,
		command:   b.texts(s.Command, path.Child("command")),
		args:      b.texts(s.Args, path.Child("args")),
	}
	out.deadline, _ = timeout.Value(b.timeout)
	if !b.exactlyOne(path, map[string]bool{"podFrom": s.PodFrom != nil, "template": s.Template != nil}, "podFrom, template") {
		return nil
	}
	if s.PodFrom != nil {
		b.podFrom(s, out, path)
		return out
	}
	if s.Namespace == "" {
		b.refuse(field.Required(path.Child("namespace"), "with template it must be said where the Job runs"))
	}
	out.namespace = b.text(s.Namespace, path.Child("namespace"))
	if object, ok := b.decode(s.Template, path.Child("template")); ok {
		b.podTemplate(object, s.Container, path)
		if s.LogLines == 0 {
			b.noLogs(object, path.Child("template", "spec"))
		}
		out.template = b.body(object, path.Child("template"))
		b.notLate(out.template, path.Child("template"), "metadata")
	}
	return out
}

func (b *builder) podFrom(s *v1alpha1.JobStep, out *jobWriter, path *field.Path) {
	at := path.Child("podFrom")
	out.podFrom = b.reference(s.PodFrom, at)
	if s.Namespace != "" {
		b.refuse(field.Forbidden(path.Child("namespace"), "with podFrom the Job runs beside the object"))
	}
	if _, known := podPaths[schema.FromAPIVersionAndKind(s.PodFrom.APIVersion, s.PodFrom.Kind)]; !known {
		b.refuse(field.NotSupported(at, s.PodFrom.APIVersion+" "+s.PodFrom.Kind, podSources()))
	}
	if s.PodFrom.Namespace == "" {
		b.refuse(field.Required(at.Child("namespace"), "the namespace of the object is needed"))
	}
	if len(s.Command)+len(s.Args) == 0 {
		b.refuse(field.Required(path.Child("command"), "with podFrom it must be said what runs: set command or args"))
	}
}

func (b *builder) texts(sources []string, path *field.Path) []*template.Text {
	var out []*template.Text
	for i, source := range sources {
		text, err := template.Parse(source, b.values)
		if err != nil {
			b.refuse(field.Invalid(path.Index(i), source, err.Error()))
		} else {
			b.late(text, path.Index(i))
		}
		out = append(out, text)
	}
	return out
}

// podTemplate refuses what a template may not say.
func (b *builder) podTemplate(object map[string]any, container string, job *field.Path) {
	path := job.Child("template")
	b.aroundPod(object, path)
	spec, ok := object["spec"].(map[string]any)
	if !ok {
		b.refuse(field.Required(path.Child("spec"), "the spec of a pod is needed; only what is inside may be a template"))
		return
	}
	if name := serviceAccountField(spec); name != "" {
		b.refuse(field.Forbidden(path.Child("spec", name), "a Job runs as the ServiceAccount of the Action, or elsewhere as \"default\": leave it out"))
	}
	if policy, set := spec["restartPolicy"]; set && policy != "Never" {
		b.refuse(field.NotSupported(path.Child("spec", "restartPolicy"), fmt.Sprint(policy), []string{"Never"}))
	}
	names := containerNames(spec)
	if len(names) == 0 {
		b.refuse(field.Required(path.Child("spec", "containers"), "a list with at least one container is needed"))
		return
	}
	if container != "" && !slices.Contains(names, container) && !slices.ContainsFunc(names, isTemplate) {
		b.refuse(field.NotSupported(job.Child("container"), container, names))
	}
}

// aroundPod refuses what a template says beside the spec of the pod, and that Signoff would not send.
func (b *builder) aroundPod(object map[string]any, path *field.Path) {
	b.noOthers(object, path, "Signoff makes the Job around the pod itself, with one attempt (backoffLimit 0) and the timeout of the step as its deadline",
		"apiVersion", "kind", "metadata", "spec")
	switch metadata := object["metadata"].(type) {
	case nil:
	case map[string]any:
		b.noOthers(metadata, path.Child("metadata"), "a pod of a Job keeps labels and annotations only", "labels", "annotations")
	default:
		b.refuse(field.Invalid(path.Child("metadata"), metadata, "must be an object; only what is inside may be a template"))
	}
}

// noOthers refuses members that would be dropped. What is null says nothing.
func (b *builder) noOthers(object map[string]any, path *field.Path, why string, known ...string) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if object[name] != nil && !slices.Contains(known, name) {
			b.refuse(field.Forbidden(path.Child(name), why+": leave it out"))
		}
	}
}

// noLogs warns of containers that give the end of their log as their message, where a step keeps no lines of the log.
func (b *builder) noLogs(object map[string]any, path *field.Path) {
	spec, _ := object["spec"].(map[string]any)
	for _, list := range []string{"initContainers", "containers"} {
		items, _ := spec[list].([]any)
		for i, item := range items {
			if container, ok := item.(map[string]any); ok && container[logsAsMessage] == "FallbackToLogsOnError" {
				b.warn(path.Child(list).Index(i).Child(logsAsMessage),
					"where it fails, the end of its log is shown to whoever may read the request, although logLines is 0")
			}
		}
	}
}

func isTemplate(s string) bool { return strings.Contains(s, "${") }

// serviceAccountField is the field by which the pod names a ServiceAccount, or the empty string.
func serviceAccountField(spec map[string]any) string {
	for _, name := range []string{"serviceAccountName", "serviceAccount"} {
		if _, set := spec[name]; set {
			return name
		}
	}
	return ""
}

func (w *jobWriter) uses(variable string) bool {
	if (w.podFrom != nil && w.podFrom.uses(variable)) || (w.template != nil && w.template.uses(variable)) {
		return true
	}
	texts := slices.Concat(w.command, w.args)
	if w.namespace != nil {
		texts = append(texts, w.namespace)
	}
	return slices.ContainsFunc(texts, func(t *template.Text) bool { return t.Uses(variable) })
}

func (w *jobWriter) render(ctx context.Context, r rendering) ([]v1alpha1.RenderedWrite, error) {
	var job *job
	var err error
	if w.podFrom != nil {
		job, err = w.copied(ctx, r)
	} else {
		job, err = w.templated(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	if err := w.override(ctx, r, job); err != nil {
		return nil, err
	}
	raw, err := encode(job.object(r, w.deadline))
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	ref := v1alpha1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: job.namespace, Name: r.jobName()}
	return []v1alpha1.RenderedWrite{{Operation: v1alpha1.WriteCreateJob, Object: ref, Body: raw, FieldManager: r.fieldManager(), Late: job.late}}, nil
}

// override replaces command and arguments. A command without arguments clears those that were there, as they belong to the
// command that is replaced.
func (w *jobWriter) override(ctx context.Context, r rendering, job *job) error {
	if len(w.command)+len(w.args) == 0 {
		return nil
	}
	container, index, err := pick(job.pod, w.container)
	if err != nil {
		return err
	}
	at := []string{"spec", "template", "spec", "containers", strconv.Itoa(index)}
	command, late, err := renderList(ctx, r.Input, w.command, extend(at, "command"))
	if err != nil {
		return err
	}
	args, more, err := renderList(ctx, r.Input, w.args, extend(at, "args"))
	if err != nil {
		return err
	}
	if len(command) > 0 {
		container["command"] = command
		delete(container, "args")
		job.forget(extend(at, "command"), extend(at, "args"))
	}
	if len(args) > 0 {
		container["args"] = args
		job.forget(extend(at, "args"))
	}
	job.late = slices.Concat(job.late, late, more)
	return nil
}

// renderList renders a list that will stand at a place of the Job.
func renderList(ctx context.Context, in Input, texts []*template.Text, at []string) ([]any, []v1alpha1.LateValue, error) {
	out, late := make([]any, 0, len(texts)), []v1alpha1.LateValue(nil)
	for i, text := range texts {
		if text.UsesAny(lateVariables...) {
			value, err := leaf{text: text}.later(ctx, in, extend(at, strconv.Itoa(i)))
			if err != nil {
				return nil, nil, fmt.Errorf("job.%s[%d]: %w", at[len(at)-1], i, err)
			}
			value.AsText = true
			out, late = append(out, shown(value.Parts)), append(late, value)
			continue
		}
		s, err := renderData(ctx, in, text)
		if err != nil {
			return nil, nil, fmt.Errorf("job.%s[%d]: %w", at[len(at)-1], i, err)
		}
		out = append(out, s)
	}
	return out, late, nil
}
