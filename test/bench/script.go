package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// The kinds of writes that a script has.
type writeKind string

const (
	writeCreate writeKind = "create"
	writeStatus writeKind = "status"
	writeVote   writeKind = "vote"
	writeTarget writeKind = "target"
)

// write is one write of the life of a request, as text in which names can be replaced.
type write struct {
	kind      writeKind
	resource  schema.GroupVersionResource
	namespace string
	name      string
	body      string
	manager   string
}

// script is every write of the life of one request in its order, to be made again by hand on the compared kinds.
type script []write

// scriptOf reads a script from the versions that one request left behind.
func scriptOf(versions []version) (script, error) {
	slices.SortFunc(versions, func(a, b version) int { return cmp.Compare(a.revision, b.revision) })
	patch, manager, err := targetPatch(versions)
	if err != nil {
		return nil, err
	}
	var s script
	before := map[string]*unstructured.Unstructured{}
	for i := range versions {
		v := &versions[i]
		w := write{resource: v.resource, namespace: v.object.GetNamespace(), name: v.object.GetName()}
		key := v.resource.Resource + "/" + w.name
		switch {
		case v.resource == deployments:
			w.kind, w.body, w.manager = writeTarget, patch, manager
		case v.added:
			w.kind, w.body = writeCreate, text(created(v.object))
		case !reflect.DeepEqual(before[key].Object["status"], v.object.Object["status"]):
			w.kind, w.body = writeStatus, text(v.object.Object["status"])
		default:
			votes, _, _ := unstructured.NestedSlice(v.object.Object, "spec", "votes")
			w.kind, w.body = writeVote, text(map[string]any{"spec": map[string]any{"votes": votes}})
		}
		if w.resource.Group == v1alpha1.GroupVersion.Group {
			w.resource = theirs(w.resource.Resource)
		}
		before[key] = v.object
		s = append(s, w)
	}
	return s, nil
}

// created is an object as a client would create it.
func created(object *unstructured.Unstructured) map[string]any {
	out := object.DeepCopy().Object
	delete(out, "status")
	for _, name := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"} {
		unstructured.RemoveNestedField(out, "metadata", name)
	}
	return out
}

func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err.Error() // what came from the API server can be encoded
	}
	return string(encoded)
}

// targetPatch finds in the Record what was sent to the target.
func targetPatch(versions []version) (body, manager string, err error) {
	for i := range versions {
		if versions[i].resource != ours("records") {
			continue
		}
		record := &v1alpha1.Record{}
		if err := json.Unmarshal([]byte(text(versions[i].object.Object)), record); err != nil {
			return "", "", fmt.Errorf("failed to decode a Record: %w", err)
		}
		sent := &record.Spec.Steps[0].Writes[0]
		return string(sent.Body.Raw), sent.FieldManager, nil
	}
	return "", "", fmt.Errorf("the request left no Record behind")
}

// hands are the people and accounts that make the writes of a script by hand.
type hands struct{ requester, approver, operator, deployer hand }

// hand is a client of one of them.
type hand = dynamic.Interface

// performance is a script with names of its own, ready to be played.
type performance struct {
	*hands
	writes []write
	bodies []*unstructured.Unstructured
	live   map[string]*unstructured.Unstructured
}

// prepare replaces names, so that only the writes themselves are measured.
func (h *hands) prepare(s script, names *strings.Replacer) (*performance, error) {
	p := &performance{hands: h, live: map[string]*unstructured.Unstructured{}}
	for _, w := range s {
		w.name, w.body = names.Replace(w.name), names.Replace(w.body)
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(w.body), &object.Object); err != nil {
			return nil, fmt.Errorf("failed to decode a write: %w", err)
		}
		p.writes, p.bodies = append(p.writes, w), append(p.bodies, object)
	}
	return p, nil
}

// play makes all writes, one after the other.
func (p *performance) play(ctx context.Context) error {
	for i := range p.writes {
		w := &p.writes[i]
		result, err := p.write(ctx, w, p.bodies[i])
		if err != nil {
			return fmt.Errorf("failed to %s %s %s by hand: %w", w.kind, w.resource.Resource, w.name, err)
		}
		p.live[w.resource.Resource+"/"+w.name] = result
	}
	return nil
}

func (p *performance) write(ctx context.Context, w *write, body *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	switch w.kind {
	case writeCreate:
		client := p.operator
		if w.resource == theirs("actionrequests") {
			client = p.requester
		}
		return client.Resource(w.resource).Namespace(w.namespace).Create(ctx, body, metav1.CreateOptions{})
	case writeStatus:
		live := p.live[w.resource.Resource+"/"+w.name]
		live.Object["status"] = body.Object
		return p.operator.Resource(w.resource).Namespace(w.namespace).UpdateStatus(ctx, live, metav1.UpdateOptions{})
	case writeVote:
		return p.approver.Resource(w.resource).Namespace(w.namespace).Patch(ctx, w.name, types.MergePatchType, []byte(w.body), metav1.PatchOptions{})
	case writeTarget:
		options := metav1.PatchOptions{FieldManager: w.manager}
		return p.deployer.Resource(w.resource).Namespace(w.namespace).Patch(ctx, w.name, types.StrategicMergePatchType, []byte(w.body), options)
	}
	return nil, fmt.Errorf("there is no write of kind %q", w.kind)
}
