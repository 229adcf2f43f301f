package setup

import (
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// elected is a manager that leads once its channel is closed.
type elected struct {
	ctrl.Manager
	leads chan struct{}
}

func (e *elected) Elected() <-chan struct{} { return e.leads }

// TestWakeNobody: a replica that does not lead is never kept waiting for what nobody reads, such as that a fact has changed on which its webhook judges.
func TestWakeNobody(t *testing.T) {
	manager := &elected{leads: make(chan struct{})}
	p := &Process{Manager: manager, parts: Parts{Controllers: true}, wake: make(chan event.GenericEvent, 1), stopping: make(chan struct{})}
	for range cap(p.wake) + 1 {
		p.wakeOne(&v1alpha1.ActionRequest{})
	}
	if len(p.wake) != 0 {
		t.Error("what nobody reads is kept")
	}
	close(manager.leads)
	p.wakeOne(&v1alpha1.ActionRequest{})
	if len(p.wake) != 1 {
		t.Error("who leads is not told")
	}
	close(p.stopping)
	p.wakeOne(&v1alpha1.ActionRequest{}) // nobody reads any more
}
