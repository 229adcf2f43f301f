// Package doctor examines what Signoff relies on in a cluster, as far as whoever runs it may look.
package doctor

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/clockskew"
)

// State is what was found.
type State string

const (
	// Good means that it is as it must be.
	Good State = "ok"
	// Wrong means that it is not.
	Wrong State = "WRONG"
	// Judge means that a person must judge it.
	Judge State = "judge"
	// Unknown means that it could not be looked at.
	Unknown State = "unknown"
)

// Finding is what was found out about one thing.
type Finding struct {
	// State is what was found.
	State State `json:"state"`
	// About is what was looked at, in a word or two.
	About string `json:"about"`
	// Message says what was found, and where it is wrong or unknown, what helps.
	Message string `json:"message"`
}

// Options say where to look.
type Options struct {
	// Namespace and ServiceAccount are those of the operator, or with two processes of its controllers. No ServiceAccount: the usual one.
	Namespace, ServiceAccount string
	// RequestNamespace is where a request may be tried.
	RequestNamespace string
	// Clock is that of this machine.
	Clock clock.PassiveClock
}

// Doctor examines a cluster.
type Doctor struct {
	Options
	objects dynamic.Interface
	skew    *clockskew.Meter
}

// New makes a Doctor that looks with some credentials.
func New(config *rest.Config, options Options) (*Doctor, error) {
	d := &Doctor{Options: options, skew: clockskew.NewMeter(options.Clock)}
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{}
	// It reads some thirty objects, each by its name.
	config.QPS, config.Burst = 50, 100
	config.Wrap(d.skew.Wrap)
	var err error
	if d.objects, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("failed to make a client: %w", err)
	}
	return d, nil
}

// Examine looks at everything.
func (d *Doctor) Examine(ctx context.Context) ([]Finding, error) {
	var all []Finding
	for _, look := range []func(context.Context) ([]Finding, error){d.definitions, d.protection, d.webhooks, d.mutation, d.certificate, d.replicas, d.rights, d.seals} {
		found, err := look(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return append(all, d.clocks()), nil
}

// server is the time by the clock of the API server, as far as that is known.
func (d *Doctor) server() time.Time {
	ahead, _ := d.skew.Ahead()
	return d.Clock.Now().Add(ahead)
}

// maxSkew is how far clocks may differ: seals allow for a minute between processes.
const maxSkew = 30 * time.Second

// clocks compares the clock of this machine with that of the API server, which tells whole seconds.
func (d *Doctor) clocks() Finding {
	ahead, known := d.skew.Ahead()
	f := Finding{About: "clock", State: Good, Message: "this machine and the API server agree about the time"}
	switch {
	case !known:
		f.State, f.Message = Unknown, "the API server does not tell the time"
	case ahead.Abs() > maxSkew:
		f.State, f.Message = Wrong, fmt.Sprintf("the API server is %s ahead of this machine (behind, where that is negative): set the clocks by NTP. Times that are shown here are not to be relied on",
			ahead)
	}
	return f
}

// unread says what may not be looked at, and what would help. Other errors end the examination.
func unread(about, what, right string, err error) ([]Finding, error) {
	if apierrors.IsForbidden(err) {
		return []Finding{{Unknown, about, fmt.Sprintf("you may not read %s: ask for the right to %s", what, right)}}, nil
	}
	return nil, fmt.Errorf("failed to read %s: %w", what, err)
}

// list reads objects, with their type.
func list[T any](ctx context.Context, d *Doctor, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions) ([]T, error) {
	found, err := d.objects.Resource(resource).Namespace(namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	all := make([]T, len(found.Items))
	for i := range found.Items {
		if err := convert(&found.Items[i], &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func convert(object *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into); err != nil {
		return fmt.Errorf("failed to read %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}
