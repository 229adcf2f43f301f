package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
)

const (
	// often is how often somebody asks, and how soon they ask again when they were refused.
	often = 500 * time.Millisecond
	// The namespaces of testdata/namespaces.yaml: where it is asked, where the Actions are, and where something is done.
	streamNamespace, catalogNamespace, targetNamespace = "stream", "platform", "production"
	// withPod is the Action that runs a real Pod.
	withPod = "note-and-run"
)

// actions are asked for in turn. A real Pod takes this machine a second, so that few have one.
var actions = []string{"note", "note-approved", "note", "note-approved", withPod}

// stream is Alice, who asks and asks, and Bob, who agrees to everything.
type stream struct {
	alice, bob, admin client.Client

	once    sync.Once
	cancel  context.CancelFunc
	people  sync.WaitGroup
	tallies *tallies
	// requests are the names of those that were accepted, with their Actions.
	requests map[string]string
}

func newStream(cluster *env.Cluster, dir string) (*stream, error) {
	s := &stream{cancel: func() {}, tallies: &tallies{dir: dir}, requests: map[string]string{}}
	for name, who := range map[string]*client.Client{"alice": &s.alice, "bob": &s.bob} {
		login, err := cluster.User(name, "engineers")
		if err != nil {
			return nil, err
		}
		if *who, err = client.New(login, client.Options{Scheme: setup.Scheme()}); err != nil {
			return nil, fmt.Errorf("failed to make a client: %w", err)
		}
	}
	var err error
	if s.admin, err = client.New(cluster.Admin, client.Options{Scheme: setup.Scheme()}); err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	return s, nil
}

// scene begins a new tally. In the first both begin. They end with stop.
func (s *stream) scene(ctx context.Context, title string) {
	s.tallies.begin(title)
	s.once.Do(func() {
		ctx, s.cancel = context.WithCancel(ctx)
		s.people.Go(func() { s.askAll(ctx) })
		s.people.Go(func() { s.agreeAll(ctx) })
	})
}

// stop returns when both have ended: what was asked is answered.
func (s *stream) stop() {
	s.tallies.end()
	s.cancel()
	s.people.Wait()
}

func (s *stream) askAll(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		s.ask(ctx, fmt.Sprintf("stream-%04d", i), actions[i%len(actions)])
	}
}

// ask asks for one, until it is accepted or the stream ends.
func (s *stream) ask(ctx context.Context, name, action string) {
	// What has been sent is waited for in any case, so that we know what became of it.
	sent := context.WithoutCancel(ctx)
	if err := s.admin.Create(sent, ledger(name)); err != nil {
		_ = s.tallies.attempt(func() error { return fmt.Errorf("failed to prepare %s: %w", name, err) }) // it is counted as refused
		return
	}
	request := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: streamNamespace, Name: name},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: catalogNamespace, Name: action},
			Inputs:    &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"name":%q}`, name)},
		},
	}
	for {
		err := s.tallies.attempt(func() error { return s.alice.Create(sent, request.DeepCopy()) })
		if err == nil {
			s.requests[name] = action
		}
		// One that is there, although the answer said no, is found when all are counted.
		if !pause(ctx) || err == nil || apierrors.IsAlreadyExists(err) {
			return
		}
	}
}

// ledger is where the request of this name writes down that it was done: each time its uid is added to the arguments.
func ledger(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: targetNamespace, Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "localhost/pod:1", Args: []string{"first"}}}},
		}},
	}
}

// agreeAll votes on everything that is open.
func (s *stream) agreeAll(ctx context.Context) {
	for pause(ctx) {
		s.agree(ctx)
	}
}

func (s *stream) agree(ctx context.Context) {
	approvals := &v1alpha1.ApprovalList{}
	if err := s.bob.List(ctx, approvals, client.InNamespace(streamNamespace)); err != nil {
		return // RBAC and the API server answer this, and are not what is tested
	}
	for i := range approvals.Items {
		approval := &approvals.Items[i]
		if approval.Status.State != v1alpha1.ApprovalOpen || len(approval.Spec.Votes) > 0 {
			continue
		}
		vote := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Approve"}}}`))
		_ = s.tallies.attempt(func() error { // what was refused is tried again
			return s.bob.Patch(context.WithoutCancel(ctx), approval.DeepCopy(), vote)
		})
	}
}

// pause waits a moment, and tells whether to go on.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(often):
		return true
	}
}
