package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/facts"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// catalogYAML is what all parts of the benchmark decide on.
//
//go:embed testdata/catalog.yaml
var catalogYAML []byte

// catalog gives the objects of the catalog.
func catalog() ([]runtime.Object, error) { return decoded(catalogYAML) }

// decoded gives the objects of a YAML text.
func decoded(yaml []byte) ([]runtime.Object, error) {
	decoder := serializer.NewCodecFactory(setup.Scheme(), serializer.EnableStrict).UniversalDeserializer()
	var objects []runtime.Object
	for _, text := range bytes.Split(yaml, []byte("\n---\n")) {
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("failed to decode the catalog: %w", err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// newGate makes a gate over the catalog, with more Roles and Actions beside it.
func newGate(roles, actions int) (*gate.Gate, error) {
	objects, err := catalog()
	if err != nil {
		return nil, err
	}
	store := snapshot.NewStore(nil)
	for _, object := range objects {
		store.Put(object)
		if action, ok := object.(*v1alpha1.Action); ok && action.Name == "deploy" {
			for i := range actions {
				store.Put(otherAction(action, i))
			}
		}
	}
	for i := range roles {
		store.Put(otherRole(i, max(actions, 1)))
	}
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		return nil, fmt.Errorf("failed to make the identity rules: %w", err)
	}
	return gate.New(store, rules, facts.New(facts.Options{Namespaces: namespaces{}, Reviews: reviews(), Clock: clock.RealClock{}}), config.DefaultNamespace, clock.RealClock{}), nil
}

// otherAction is an Action like the one that is asked for, under another name.
func otherAction(like *v1alpha1.Action, i int) *v1alpha1.Action {
	action := like.DeepCopy()
	action.Name = fmt.Sprintf("deploy-%05d", i)
	return action
}

// otherRole is a Role of other people. Every fourth one is about the Action that is asked for, the others about other Actions;
// every tenth one gives approval.
func otherRole(i, actions int) *v1alpha1.Role {
	name := fmt.Sprintf("deploy-%05d", i%actions)
	if i%4 == 0 {
		name = "deploy"
	}
	verb := v1alpha1.VerbRequest
	if i%10 == 0 {
		verb = v1alpha1.VerbApprove
	}
	return &v1alpha1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: fmt.Sprintf("role-%05d", i)},
		Spec: v1alpha1.RoleSpec{
			Members:     v1alpha1.Subjects{Users: []string{fmt.Sprintf("user-%05d", i)}, Groups: []string{fmt.Sprintf("group-%05d", i)}},
			Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{verb}, Actions: v1alpha1.ActionSelector{Names: []string{name}}}},
		},
	}
}

// reviews says that nobody may change a fact.
func reviews() *facts.Reviews {
	return facts.NewReviews(func(context.Context, *authorizationv1.SubjectAccessReview) error { return nil }, clock.RealClock{})
}

// namespaces answers as the cache of the manager does: with a copy of what it holds.
type namespaces struct{ client.Reader }

var staging = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
	Name: "staging", Labels: map[string]string{"team": "payments", "kubernetes.io/metadata.name": "staging"},
}}

// Get implements client.Reader.
func (namespaces) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	namespace, ok := into.(*corev1.Namespace)
	if !ok {
		return apierrors.NewNotFound(corev1.Resource("namespaces"), key.Name)
	}
	staging.DeepCopyInto(namespace)
	namespace.Name = key.Name
	return nil
}
