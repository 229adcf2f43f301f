// Package kinds says which kinds an Action names that the API server does not serve.
package kinds

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Unserved names the kinds that an Action reads or writes and that do not exist, each with the field that names it. That nobody could find out
// says nothing.
func Unserved(mapper meta.RESTMapper, spec *v1alpha1.ActionSpec) []string {
	var names []string
	for _, n := range named(spec) {
		gvk := schema.FromAPIVersionAndKind(n.apiVersion, n.kind)
		if _, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version); meta.IsNoMatchError(err) {
			names = append(names, fmt.Sprintf("%s %s (%s)", n.apiVersion, n.kind, n.field))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// name is a kind, and the field that names it. apiVersion and kind are literal everywhere.
type name struct{ apiVersion, kind, field string }

func named(spec *v1alpha1.ActionSpec) []name {
	var names []name
	if spec.Target != nil {
		names = append(names, name{spec.Target.APIVersion, spec.Target.Kind, "spec.target"})
	}
	for i := range spec.Lookups {
		lookup := &spec.Lookups[i]
		switch field := "spec.lookups[" + lookup.As + "]"; {
		case lookup.Object != nil:
			names = append(names, name{lookup.Object.APIVersion, lookup.Object.Kind, field + ".object"})
		case lookup.List != nil:
			names = append(names, name{lookup.List.APIVersion, lookup.List.Kind, field + ".list"})
		}
	}
	defined := map[schema.GroupKind]bool{}
	for _, list := range [][]v1alpha1.Step{spec.Execution.Steps, spec.Execution.Finally} {
		for i := range list {
			names = append(names, inStep(&list[i], defined)...)
		}
	}
	return names
}

// unless leaves out a kind that an earlier step defines: it comes when that runs.
func unless(defined map[schema.GroupKind]bool, n name) []name {
	if defined[schema.FromAPIVersionAndKind(n.apiVersion, n.kind).GroupKind()] {
		return nil
	}
	return []name{n}
}

// inStep names the kinds of a step, and notes those that it defines.
func inStep(step *v1alpha1.Step, defined map[schema.GroupKind]bool) []name {
	field := "spec.execution.steps[" + step.Name + "]"
	switch {
	case step.Patch != nil && step.Patch.Target != nil:
		return unless(defined, name{step.Patch.Target.APIVersion, step.Patch.Target.Kind, field + ".patch.target"})
	case step.Delete != nil && step.Delete.Target != nil:
		return []name{{step.Delete.Target.APIVersion, step.Delete.Target.Kind, field + ".delete.target"}}
	case step.Job != nil && step.Job.PodFrom != nil:
		return []name{{step.Job.PodFrom.APIVersion, step.Job.PodFrom.Kind, field + ".job.podFrom"}}
	case step.Apply != nil:
		return inManifests(step.Apply.Manifests, defined, field)
	}
	return nil
}

// inManifests names the kinds of what a step applies, and notes those that it defines.
func inManifests(manifests []v1alpha1.Manifest, defined map[schema.GroupKind]bool, field string) []name {
	var names []name
	for i := range manifests {
		of := metav1.TypeMeta{}
		// What is no object was refused when the Action was compiled.
		if err := json.Unmarshal(manifests[i].Raw, &of); err == nil && of.Kind != "" {
			names = append(names, unless(defined, name{of.APIVersion, of.Kind, fmt.Sprintf("%s.apply.manifests[%d]", field, i)})...)
		}
		if kind, is := Defined(manifests[i].Raw); is {
			defined[kind] = true
		}
	}
	return names
}

// Asker asks for whoever cannot wait: one question at a time, and none for longer than patience.
type Asker struct {
	mapper   meta.RESTMapper
	patience time.Duration
	turn     chan struct{}
}

// NewAsker makes an Asker.
func NewAsker(mapper meta.RESTMapper, patience time.Duration) *Asker {
	return &Asker{mapper: mapper, patience: patience, turn: make(chan struct{}, 1)}
}

// Unserved names what Unserved names, or nothing where that takes too long.
func (a *Asker) Unserved(spec *v1alpha1.ActionSpec) []string {
	late := time.NewTimer(a.patience)
	defer late.Stop()
	select {
	case a.turn <- struct{}{}:
	case <-late.C:
		return nil
	}
	answer := make(chan []string, 1)
	spec = spec.DeepCopy()
	go func() {
		defer func() { <-a.turn }()
		answer <- Unserved(a.mapper, spec)
	}()
	select {
	case names := <-answer:
		return names
	case <-late.C:
		return nil
	}
}
