package facts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// server is an API server with one ConfigMap, for every ServiceAccount the same.
type server struct {
	clock *clocktesting.FakeClock

	mu        sync.Mutex
	version   string
	forbidden bool
	items     int
	// gets and watches count what was asked, by ServiceAccount.
	gets, watches map[string]int
	// slow is how long a read takes, by ServiceAccount, and blocked keeps it until the channel is closed.
	slow    map[string]time.Duration
	blocked map[string]chan struct{}
	open    *watch.FakeWatcher
	woken   []string
	// over are the requests that wait no more.
	over map[string]bool
}

func newServer() *server {
	return &server{
		clock: clocktesting.NewFakeClock(noon), version: "5", gets: map[string]int{}, watches: map[string]int{},
		slow: map[string]time.Duration{}, blocked: map[string]chan struct{}{}, over: map[string]bool{},
	}
}

func (s *server) reader(t *testing.T) *Reader {
	wake := func(request types.NamespacedName) { s.set(func() { s.woken = append(s.woken, request.Name) }) }
	r := New(Options{Clients: s, Clock: s.clock, Wake: wake, Waits: func(request types.NamespacedName) (waits bool) {
		s.set(func() { waits = !s.over[request.Name] })
		return waits
	}})
	t.Cleanup(r.Stop)
	return r
}

// Resource implements Clients.
func (s *server) Resource(_, serviceAccount string, _ *v1alpha1.ObjectReference) (dynamic.ResourceInterface, error) {
	return &configMaps{server: s, as: serviceAccount}, nil
}

// ResourceOf implements Clients.
func (s *server) ResourceOf(*v1alpha1.ObjectReference) (schema.GroupResource, bool, error) {
	return schema.GroupResource{Resource: "configmaps"}, true, nil
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) wokenNow() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.woken
	s.woken = nil
	return out
}

// configMaps are the ConfigMaps as one ServiceAccount sees them.
type configMaps struct {
	dynamic.ResourceInterface
	*server

	as string
}

func (c *configMaps) allowed() error {
	if c.forbidden {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "limits", errors.New("no right"))
	}
	return nil
}

func (c *configMaps) Get(ctx context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	c.mu.Lock()
	c.gets[c.as]++
	slow, blocked := c.slow[c.as], c.blocked[c.as]
	err, version := c.allowed(), c.version
	c.mu.Unlock()
	if slow > 0 {
		c.clock.Step(slow)
		return nil, context.DeadlineExceeded
	}
	if blocked != nil {
		select {
		case <-blocked:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err == nil && version == "" {
		err = apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
	}
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetName(name)
	object.SetResourceVersion(version)
	return object, nil
}

func (c *configMaps) List(_ context.Context, o metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets[c.as]++
	list := &unstructured.UnstructuredList{}
	list.SetResourceVersion(c.version)
	list.Items = make([]unstructured.Unstructured, min(c.items, int(o.Limit)))
	return list, c.allowed()
}

func (c *configMaps) Watch(_ context.Context, _ metav1.ListOptions) (watch.Interface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches[c.as]++
	if err := c.allowed(); err != nil {
		return nil, err
	}
	c.open = watch.NewFakeWithChanSize(16, false)
	return c.open, nil
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		<-time.After(time.Millisecond)
	}
}

var (
	limitsMap = gate.Query{ObjectReference: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "platform", Name: "limits"}}
	request   = types.NamespacedName{Namespace: "payments", Name: "r"}
)

// followed waits until the source is watched, and was read by the watch.
func followedBy(t *testing.T, r *Reader) {
	t.Helper()
	eventually(t, "the watch", func() bool {
		_, known := r.watches.known(source{account{"platform", "reader"}, limitsMap})
		return r.Watch("platform", "reader", limitsMap, request) && known
	})
}

func version(t *testing.T, r *Reader) string {
	t.Helper()
	object, err := r.Object(t.Context(), "platform", "reader", limitsMap.ObjectReference)
	if err != nil {
		t.Fatal(err)
	}
	return object.GetResourceVersion()
}

func changed(version string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetResourceVersion(version)
	return object
}

func TestWatchedFact(t *testing.T) {
	s := newServer()
	r := s.reader(t)
	if r.Watch("platform", "reader", limitsMap, request) {
		t.Error("a watch that is not open yet is none")
	}
	followedBy(t, r)
	s.wokenNow()
	followedBy(t, r)
	reads := s.gets["reader"]
	for range 100 {
		version(t, r)
	}
	if s.gets["reader"] != reads {
		t.Errorf("a watched fact was read %d times", s.gets["reader"]-reads)
	}
	// What is known already is no change.
	s.open.Modify(changed("5"))
	s.clock.Step(wakePause)
	s.set(func() { s.version = "6" })
	s.open.Modify(changed("6"))
	eventually(t, "waking", func() bool { return cmp.Equal(s.wokenNow(), []string{"r"}) })
	if got := version(t, r); got != "6" {
		t.Errorf("after a change the fact is read anew; want version 6, got %s", got)
	}
	// A fact that changes all the time wakes at most once in a while.
	followedBy(t, r)
	s.open.Modify(changed("7"))
	s.open.Modify(changed("8"))
	eventually(t, "both changes", func() bool {
		_, known := r.watches.known(source{account{"platform", "reader"}, limitsMap})
		return !known && len(s.open.ResultChan()) == 0
	})
	if woken := s.wokenNow(); len(woken) > 0 {
		t.Errorf("woken again at once: %v", woken)
	}
	s.clock.Step(wakePause)
	eventually(t, "waking", func() bool { return cmp.Equal(s.wokenNow(), []string{"r"}) })
}

func TestRightIsLostWhileWatched(t *testing.T) {
	s := newServer()
	r := s.reader(t)
	followedBy(t, r)
	s.wokenNow()
	followedBy(t, r)
	s.set(func() { s.forbidden = true })
	if version(t, r) != "5" {
		t.Error("until the watch is opened anew, what it knows is believed")
	}
	s.clock.Step(reopenAfter)
	eventually(t, "waking", func() bool { return cmp.Equal(s.wokenNow(), []string{"r"}) })
	if _, err := r.Object(t.Context(), "platform", "reader", limitsMap.ObjectReference); !apierrors.IsForbidden(err) {
		t.Errorf("want a refusal, got %v", err)
	}
	if r.Watch("platform", "reader", limitsMap, request) {
		t.Error("what may not be seen is not watched")
	}
	// The right comes back: the next watch is opened after a pause.
	s.set(func() { s.forbidden = false })
	eventually(t, "the watch", func() bool {
		s.clock.Step(longestPause)
		return r.Watch("platform", "reader", limitsMap, request)
	})
}

func TestWhatHappensBetweenTwoWatches(t *testing.T) {
	s := newServer()
	r := s.reader(t)
	followedBy(t, r)
	s.wokenNow()
	followedBy(t, r)
	s.set(func() { s.version = "" }) // deleted, and the watch that would have told is lost
	s.clock.Step(reopenAfter)
	eventually(t, "waking", func() bool { return cmp.Equal(s.wokenNow(), []string{"r"}) })
	if _, err := r.Object(t.Context(), "platform", "reader", limitsMap.ObjectReference); !gate.Missing(err) {
		t.Errorf("want not found, got %v", err)
	}
}

// TestRestingRequests: requests that wait at rest are not woken as long as nothing changes, and the watch ends with the last of them.
func TestRestingRequests(t *testing.T) {
	s := newServer()
	r := s.reader(t)
	followedBy(t, r)
	for _, name := range []string{"r", "second", "third"} {
		if !r.Watch("platform", "reader", limitsMap, types.NamespacedName{Namespace: request.Namespace, Name: name}) {
			t.Fatalf("%s is not told of changes", name)
		}
	}
	s.wokenNow()
	opened := func() (times int) {
		s.set(func() { times = s.watches["reader"] })
		return times
	}
	passes := func(times int) {
		t.Helper()
		until := opened() + times
		eventually(t, "opening the watch anew", func() bool {
			s.clock.Step(reopenAfter)
			<-time.After(time.Millisecond)
			return opened() >= until
		})
	}
	passes(3*int(idleAfter/reopenAfter) + 1)
	s.set(func() { s.over["r"], s.over["second"] = true, true })
	passes(int(idleAfter/reopenAfter) + 1)
	if woken := s.wokenNow(); len(woken) > 0 {
		t.Errorf("nothing has changed, and %v were woken", woken)
	}
	s.set(func() { s.version = "6" })
	s.open.Modify(changed("6"))
	eventually(t, "waking who waits, and nobody else", func() bool {
		s.clock.Step(wakePause)
		return cmp.Equal(s.wokenNow(), []string{"third"})
	})
	r.Watch("platform", "reader", limitsMap, types.NamespacedName{Namespace: request.Namespace, Name: "third"})
	s.set(func() { s.over["third"] = true })
	eventually(t, "the end of the watch", func() bool {
		s.clock.Step(reopenAfter)
		<-time.After(time.Millisecond)
		r.watches.mu.Lock()
		defer r.watches.mu.Unlock()
		return len(r.watches.open) == 0 && len(r.watches.count) == 0
	})
	if woken := s.wokenNow(); len(woken) > 0 {
		t.Errorf("%v are over, and were woken", woken)
	}
}

// TestRefusedRequestsTakeNoPlace: requests that are over, or were never stored, do not keep others from being told of changes.
func TestRefusedRequestsTakeNoPlace(t *testing.T) {
	s := newServer()
	r := s.reader(t)
	followedBy(t, r)
	for i := range maxWaiting {
		refused := types.NamespacedName{Namespace: request.Namespace, Name: fmt.Sprintf("refused-%d", i)}
		s.set(func() { s.over[refused.Name] = true })
		r.Watch("platform", "reader", limitsMap, refused)
	}
	another := types.NamespacedName{Namespace: request.Namespace, Name: "another"}
	if r.Watch("platform", "reader", limitsMap, another) {
		t.Fatal("there is no place, and nobody notices")
	}
	eventually(t, "a place", func() bool {
		s.clock.Step(reopenAfter)
		<-time.After(time.Millisecond)
		return r.Watch("platform", "reader", limitsMap, another)
	})
}

func TestWatchesAreBounded(t *testing.T) {
	s := newServer()
	r := s.reader(t)
	for i := range maxAccountWatches + 10 {
		query := limitsMap
		query.Namespace = strings.Repeat("a", i+1)
		r.Watch("platform", "greedy", query, request)
	}
	r.watches.mu.Lock()
	defer r.watches.mu.Unlock()
	if got := len(r.watches.open); got != maxAccountWatches {
		t.Errorf("want %d watches of one ServiceAccount, got %d", maxAccountWatches, got)
	}
}

func TestLimitsOfList(t *testing.T) {
	query := limitsMap
	query.Name, query.Limit = "", 2
	for items, want := range map[int]string{0: "", 2: "", 3: "more than 2 objects"} {
		s := newServer()
		s.items = items
		list, err := s.reader(t).List(t.Context(), "platform", "reader", query)
		switch {
		case want == "" && (err != nil || len(list.Items) != items):
			t.Errorf("%d objects: got %v, %v", items, list, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%d objects: want an error with %q, got %v", items, want, err)
		}
	}
}

func TestSecretIsNeverRead(t *testing.T) {
	s := newServer()
	ref := v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: "a", Name: "b"}
	if _, err := s.reader(t).Object(t.Context(), "platform", "reader", ref); !errors.Is(err, errSecret) || s.gets["reader"] != 0 {
		t.Errorf("a Secret was asked for: %v", err)
	}
}

// TestSlowFactsOfOneTeam counts: the facts of one team are slow, and after a while nobody waits for them any more. The facts of another
// team are all read.
func TestSlowFactsOfOneTeam(t *testing.T) {
	s := newServer()
	s.slow["hostile"] = 2 * time.Second
	r := s.reader(t)
	read := func(as string) error {
		_, err := r.Object(t.Context(), "platform", as, limitsMap.ObjectReference)
		return err
	}
	for range 1000 {
		if err := read("hostile"); err == nil {
			t.Fatal("the slow fact was read")
		}
	}
	if got := s.gets["hostile"]; got > 10 {
		t.Errorf("%d times somebody waited for the slow facts", got)
	}
	for range 100 {
		if err := read("friendly"); err != nil {
			t.Fatal(err)
		}
	}
	if err := read("hostile"); err == nil || !strings.Contains(err.Error(), "takes too long") {
		t.Errorf("want to be told why, got %v", err)
	}
	// It is asked again later.
	s.clock.Step(time.Minute)
	s.set(func() { s.slow["hostile"] = 0 })
	if err := read("hostile"); err != nil {
		t.Error(err)
	}
}

func TestBlockedFactsOfOneTeam(t *testing.T) {
	s := newServer()
	s.blocked["hostile"] = make(chan struct{})
	r := s.reader(t)
	var reads sync.WaitGroup
	for range readsInFlight {
		reads.Go(func() { _, _ = r.Object(t.Context(), "platform", "hostile", limitsMap.ObjectReference) })
	}
	eventually(t, "all reads", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.gets["hostile"] == readsInFlight
	})
	refused := make(chan error)
	go func() {
		_, err := r.Object(t.Context(), "platform", "hostile", limitsMap.ObjectReference)
		refused <- err
	}()
	if _, err := r.Object(t.Context(), "platform", "friendly", limitsMap.ObjectReference); err != nil {
		t.Errorf("another team waits: %v", err)
	}
	eventually(t, "the refusal", func() bool {
		s.clock.Step(maxQueue)
		select {
		case err := <-refused:
			return err != nil && strings.Contains(err.Error(), "being read")
		default:
			return false
		}
	})
	close(s.blocked["hostile"])
	reads.Wait()
}

func TestManyReads(t *testing.T) {
	s := newServer()
	r := s.reader(t)
	var refused error
	for range int(readsAtOnce) + 1 {
		_, refused = r.Object(t.Context(), "platform", "reader", limitsMap.ObjectReference)
	}
	if refused == nil || !strings.Contains(refused.Error(), "too many facts") {
		t.Errorf("want a refusal, got %v", refused)
	}
	s.clock.Step(time.Second)
	if _, err := r.Object(t.Context(), "platform", "reader", limitsMap.ObjectReference); err != nil {
		t.Errorf("a second later there are more: %v", err)
	}
}
