package execution

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/hostcall"
	"github.com/signoff-dev/signoff/internal/steps"
)

// slow is what calls are made to that have no answer before the test gives it.
type slow struct {
	t     *testing.T
	calls *calls
	mu    sync.Mutex
	begun []string
	// come is told of each call that was begun or ended.
	come    chan string
	release map[string]chan struct{}
}

func newSlow(t *testing.T) *slow {
	s := &slow{t: t, calls: newCalls(), come: make(chan string, 1024), release: map[string]chan struct{}{}}
	t.Cleanup(s.calls.end)
	return s
}

// begin begins the call of a request.
func (s *slow) begin(request, namespace, host string) {
	release := make(chan struct{})
	s.release[request] = release
	s.calls.begin(&running{
		request: types.UID(request), name: callName{step: "a", purpose: toDo}, place: hostcall.Place{Namespace: namespace, Host: host},
		do: func(ctx context.Context) hostcall.Result {
			s.mu.Lock()
			s.begun = append(s.begun, request)
			s.mu.Unlock()
			s.come <- "begun " + request
			select {
			case <-release:
				return hostcall.Result{Sent: true}
			case <-ctx.Done():
				return hostcall.Result{Sent: true, Err: ctx.Err()}
			}
		},
		wake: func() { s.come <- "woken " + request },
	})
}

// waits waits for so many events, and gives them in order.
func (s *slow) waits(count int) []string {
	s.t.Helper()
	var all []string
	for range count {
		select {
		case what := <-s.come:
			all = append(all, what)
		case <-time.After(patience):
			s.t.Fatalf("nothing came after %q", all)
		}
	}
	slices.Sort(all)
	return all
}

func (s *slow) state(request string) callState {
	state, _ := s.calls.look(types.UID(request), callName{step: "a", purpose: toDo}, time.Time{})
	return state
}

// TestSlowHostHoldsUpNobodyElse: a host gets so many calls at once, those who wait for it wait in their order, and others do not wait for it.
func TestSlowHostHoldsUpNobodyElse(t *testing.T) {
	s := newSlow(t)
	for i := range hostcall.PerHost + 3 {
		s.begin(fmt.Sprintf("slow-%02d", i), "a", "slow")
	}
	s.waits(hostcall.PerHost)
	if s.state("slow-08") != callWaits || s.state("slow-07") != callRuns {
		t.Fatalf("begun: %q", s.begun)
	}
	s.begin("other", "a", "other")
	if got := s.waits(1); got[0] != "begun other" {
		t.Fatalf("another host waits: %q", got)
	}
	if !s.calls.withdraw("slow-08", callName{step: "a", purpose: toDo}) || s.calls.withdraw("slow-07", callName{step: "a", purpose: toDo}) {
		t.Error("what waits can be withdrawn, and what runs cannot")
	}
	close(s.release["slow-03"])
	if got := s.waits(2); !slices.Equal(got, []string{"begun slow-09", "woken slow-03"}) {
		t.Errorf("the next in line begins: %q", got)
	}
	if s.state("slow-03") != callDone || s.state("slow-10") != callWaits || s.state("slow-08") != callUnknown {
		t.Errorf("states: %v %v %v", s.state("slow-03"), s.state("slow-10"), s.state("slow-08"))
	}
	// A request that is over wakes nobody, and makes room.
	s.calls.dropOthers("slow-00", "")
	if got := s.waits(1); got[0] != "begun slow-10" {
		t.Errorf("its place is free: %q", got)
	}
}

// TestCallsAreBounded: the Actions of one namespace do not take all there is, with however many hosts.
func TestCallsAreBounded(t *testing.T) {
	s := newSlow(t)
	for i := range hostcall.PerNamespace + 1 {
		s.begin(fmt.Sprint("a-", i), "a", fmt.Sprint("host-", i/2))
	}
	s.waits(hostcall.PerNamespace)
	last := fmt.Sprint("a-", hostcall.PerNamespace)
	if s.state(last) != callWaits {
		t.Fatal("the namespace has too many")
	}
	for i := range hostcall.AtOnce - hostcall.PerNamespace + 1 {
		s.begin(fmt.Sprint("b-", i), fmt.Sprint("b-", i), fmt.Sprint("other-", i))
	}
	s.waits(hostcall.AtOnce - hostcall.PerNamespace)
	if beyond := fmt.Sprint("b-", hostcall.AtOnce-hostcall.PerNamespace); s.state(beyond) != callWaits {
		t.Fatal("there are too many at once")
	}
	s.calls.end()
	if len(s.calls.known) > 0 || !s.calls.room.Empty() {
		t.Errorf("left: %v %v", s.calls.known, s.calls.room)
	}
	s.begin("late", "c", "late")
	if s.state("late") != callUnknown {
		t.Error("nothing begins once it has ended")
	}
}

// TestCallHasNoAnswer: a step does not wait in its worker, and a crash meanwhile means that nobody knows.
func TestCallHasNoAnswer(t *testing.T) {
	come, release := make(chan struct{}, 1), make(chan struct{})
	host := newCallee(t, func(http.ResponseWriter, call) { come <- struct{}{}; <-release })
	defer close(release)
	p := newCall(t, host, `{method: POST, url: HOST/a}`)
	p.announced()
	step := func() {
		t.Helper()
		out, err := p.runner.Step(t.Context(), p.record, p.step, p.status)
		if err != nil {
			t.Fatal(err)
		}
		p.status = out.Status
		p.check(out, v1alpha1.StepStarted, "waiting for the answer to POST "+host.URL+"/a")
	}
	step()
	<-come
	step()
	p.later(time.Hour)
	step() // Its time is over, but the call may still be answered.
	if p.runner.Withdraw(p.record, p.step, &p.status) {
		t.Error("what was sent cannot be withdrawn")
	}
	p.restart()
	p.want(v1alpha1.StepUnknown, "cannot be told whether POST")
	if calls := host.made(); len(calls) != 1 {
		t.Errorf("%d calls", len(calls))
	}
}

// TestCallWaitsForRoom: a call that was not sent can be withdrawn, is made later, and fails as not sent where its time is over.
func TestCallWaitsForRoom(t *testing.T) {
	host := newCallee(t, json200(`{}`))
	p := newCall(t, host, `{method: POST, url: HOST/a}`)
	fill := func() *slow {
		s := newSlow(t)
		s.calls = p.runner.calls
		for i := range hostcall.PerHost {
			s.begin(fmt.Sprint("other-", i), "b", steps.Origin(host.URL))
		}
		s.waits(hostcall.PerHost)
		return s
	}
	s := fill()
	p.announced()
	out, err := p.runner.Step(t.Context(), p.record, p.step, p.status)
	if err != nil || len(host.made()) > 0 {
		t.Fatalf("%v, %d calls", err, len(host.made()))
	}
	p.status = out.Status
	for range 2 {
		if !p.runner.Withdraw(p.record, p.step, &p.status) {
			t.Error("it was not sent, and can be withdrawn")
		}
	}
	close(s.release["other-0"])
	s.waits(1)
	p.want(v1alpha1.StepDone)
	if len(host.made()) != 1 {
		t.Errorf("%d calls", len(host.made()))
	}
	p = newCall(t, host, `{method: POST, url: HOST/a}`)
	fill()
	p.announced()
	if out, err = p.runner.Step(t.Context(), p.record, p.step, p.status); err != nil {
		t.Fatal(err)
	}
	p.later(time.Hour)
	p.want(v1alpha1.StepFailed, "nothing was sent: ", "too many other calls")
	if len(host.made()) != 1 {
		t.Errorf("%d calls", len(host.made()))
	}
}

// TestEmergencyCallsAtOnce: who breaks the glass does not wait until others have their answers.
func TestEmergencyCallsAtOnce(t *testing.T) {
	host := newCallee(t, json200(`{}`))
	p := newCall(t, host, `{method: POST, url: HOST/a}`)
	s := newSlow(t)
	s.calls = p.runner.calls
	for i := range hostcall.PerHost {
		s.begin(fmt.Sprint("other-", i), "b", steps.Origin(host.URL))
	}
	s.waits(hostcall.PerHost)
	p.record.Spec.Review = &v1alpha1.RecordedReview{}
	p.announced()
	p.want(v1alpha1.StepDone)
}

// TestCallAnswerIsKept: where the outcome cannot be stored, it is known all the same, and the call is not made again.
func TestCallAnswerIsKept(t *testing.T) {
	host := newCallee(t, json200(`{}`))
	p := newCall(t, host, `{method: POST, url: HOST/a}`)
	p.announced()
	for range 2 {
		if out, err := p.call(); err != nil || out.Status.State != v1alpha1.StepDone {
			t.Fatalf("got %+v, %v", out, err)
		}
	}
	p.runner.Forget(requestUID)
	p.later(settled)
	p.want(v1alpha1.StepUnknown, "cannot be told whether POST")
	if calls := host.made(); len(calls) != 1 {
		t.Errorf("%d calls", len(calls))
	}
}
