package facts

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/hostcall"
	"github.com/signoff-dev/signoff/internal/steps"
)

// remote is a host that is asked, and the Secret that it is sent.
type remote struct {
	t      *testing.T
	server *httptest.Server
	clock  *clocktesting.FakeClock
	reader *Reader

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request)
	calls  []string
	// allowed are the hosts that may have the Secret.
	allowed string
	readAs  []string
	woken   []string
	// blocked keeps calls until they are released, and flying is how many are kept.
	blocked chan struct{}
	flying  int
}

const token = "hunter2-hunter2"

func newRemote(t *testing.T) *remote {
	h := &remote{t: t, clock: clocktesting.NewFakeClock(noon), allowed: "127.0.0.1"}
	h.says(`{"open":3}`)
	h.server = httptest.NewTLSServer(h)
	t.Cleanup(h.server.Close)
	h.reader = New(Options{
		Clients: h, Clock: h.clock, Egress: h.egress(),
		Wake: func(request types.NamespacedName) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.woken = append(h.woken, request.Name)
		},
	})
	t.Cleanup(h.reader.Stop)
	t.Cleanup(h.release)
	return h
}

// block keeps calls without an answer until they are released, at the latest with the end of the test.
func (h *remote) block() { h.set(func() { h.blocked = make(chan struct{}) }) }

func (h *remote) release() {
	h.set(func() {
		if h.blocked != nil {
			close(h.blocked)
			h.blocked = nil
		}
	})
}

func (h *remote) egress() *egress.Policy {
	port := netip.MustParseAddrPort(h.server.Listener.Addr().String()).Port()
	return egress.New([]egress.Host{{Name: "127.0.0.1", Ports: []uint16{port}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
}

// ServeHTTP notes the call and answers.
func (h *remote) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.calls = append(h.calls, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+r.Header.Get("Idempotency-Key")))
	blocked, answer := h.blocked, h.answer
	h.flying++
	h.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	h.set(func() { h.flying-- })
	answer(w, r)
}

func (h *remote) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *remote) says(body string) {
	h.set(func() {
		h.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	})
}

func (h *remote) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

// Resource implements Clients: there is one Secret.
func (h *remote) Resource(_, serviceAccount string, _ *v1alpha1.ObjectReference) (dynamic.ResourceInterface, error) {
	return &theSecret{remote: h, as: serviceAccount}, nil
}

// ResourceOf implements Clients.
func (h *remote) ResourceOf(*v1alpha1.ObjectReference) (resource schema.GroupResource, namespaced bool, err error) {
	return resource, true, nil
}

type theSecret struct {
	dynamic.ResourceInterface
	*remote

	as string
}

func (s *theSecret) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readAs = append(s.readAs, s.as+" "+name)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "u", Annotations: map[string]string{steps.AnnotationAllowedHosts: s.allowed}}, Data: map[string][]byte{"token": []byte(token)},
	})
	return &unstructured.Unstructured{Object: content}, err
}

// query asks for the value open, as people do who write an Action.
func (h *remote) query(path string, change ...func(*v1alpha1.HostLookup)) *gate.HostQuery {
	h.t.Helper()
	in := &v1alpha1.HostLookup{
		URL: h.server.URL + path, Value: "response.body.open", Schema: runtime.RawExtension{Raw: []byte(`{"type":"integer"}`)},
		CABundle: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})),
		Headers:  []v1alpha1.HTTPHeader{{Name: "Authorization", Prefix: "Bearer ", Secret: &v1alpha1.SecretKey{Name: "status", Key: "token"}}},
	}
	for _, c := range change {
		c(in)
	}
	compiler, err := expression.NewCompiler(expression.TemplatePlace, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	get, errs := steps.CompileGet(in, compiler, nil)
	if len(errs) > 0 {
		h.t.Fatal(errs)
	}
	call, err := get.Render(h.t.Context(), expression.Vars{}, expression.NewBudget())
	if err != nil {
		h.t.Fatal(err)
	}
	return &gate.HostQuery{Name: "incidents", Namespace: "platform", ServiceAccount: "reader", Lookup: &catalog.Host{Get: get, MaxAge: time.Minute}, Call: call}
}

// asks gives the value, or the words why there is none.
func (h *remote) asks(q *gate.HostQuery) string {
	value, err := h.reader.Host(h.t.Context(), q, request)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%v from %s until %s", value.Value, value.Fetched.Format("15:04:05"), value.Next.Format("15:04:05"))
}

// settles waits until nothing is being asked.
func (h *remote) settles() {
	h.t.Helper()
	eventually(h.t, "an answer", func() bool {
		h.reader.hosts.mu.Lock()
		defer h.reader.hosts.mu.Unlock()
		return h.reader.hosts.room.Empty() && len(h.reader.hosts.waiting) == 0
	})
}

func (h *remote) wants(want string, q *gate.HostQuery) {
	h.t.Helper()
	if got := h.asks(q); !strings.Contains(got, want) {
		h.t.Errorf("want %q, got %q", want, got)
	}
}

func (h *remote) wakes(want ...string) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("waking %v", want), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		got := h.woken
		if len(got) < len(want) {
			return false
		}
		h.woken = nil
		if !slices.Equal(got, want) {
			h.t.Errorf("woken: want %v, got %v", want, got)
		}
		return true
	})
}

// TestHostGetsOld follows a value from its first question until the host is away.
func TestHostGetsOld(t *testing.T) {
	h := newRemote(t)
	q := h.query("/a?service=x")
	var asking sync.WaitGroup
	h.block()
	for range 100 {
		asking.Go(func() { h.wants("the host is being asked; try again in some seconds", q) })
	}
	asking.Wait()
	h.release()
	h.wakes("r")
	h.wants("3 from 12:00:00 until 12:00:45", q)
	h.clock.Step(44 * time.Second)
	h.says(`{"open":0}`)
	h.wants("3 from 12:00:00 until 12:00:45", q)
	if want := []string{"GET /a?service=x Bearer " + token}; !slices.Equal(h.calls, want) || !slices.Equal(h.readAs, []string{"reader status"}) {
		t.Fatalf("one call is enough for all: %q, %q", h.calls, h.readAs)
	}
	// It is fetched anew before it is too old, and what is known is believed meanwhile.
	h.clock.Step(time.Second)
	h.wants("3 from 12:00:00 until 12:01:00", q)
	h.wakes("r")
	h.wants("0 from 12:00:45 until 12:01:30", q)
	h.set(func() {
		h.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	})
	h.clock.Step(45 * time.Second)
	h.wants("0 from 12:00:45 until 12:01:45", q)
	h.wakes("r")
	h.wants("0 from 12:00:45 until 12:01:40", q) // when the host is asked again
	h.clock.Step(15 * time.Second)
	h.wants("the host is being asked", q)
	h.wakes("r")
	h.wants("the host answered 502", q)
}

func TestHostGivesNoValue(t *testing.T) {
	answers := func(status int, body string) func(*remote) {
		return func(h *remote) {
			h.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			}
		}
	}
	const fits = `{"open":3}`
	for name, tc := range map[string]struct {
		reason string
		set    func(*remote)
		change func(*v1alpha1.HostLookup)
		want   string
		calls  int
	}{
		"Created":  {"An answer is a good one or none.", answers(http.StatusCreated, fits), nil, "3 from", 1},
		"NotFound": {"That it is not there is no value.", answers(http.StatusNotFound, fits), nil, "the host answered 404", 1},
		"Redirect": {"Another host is another host.", answers(http.StatusFound, fits), nil, "the host answered 302, and redirects are not followed", 1},
		"Type":     {"What does not fit is no value.", answers(200, `{"open":"many, and a secret"}`), nil, "what the host answered gives no value: outputs.value", 1},
		"Missing":  {"Nor is what is not there.", answers(200, `{}`), nil, "no such key: open", 1},
		"Text":     {"Nor what is no JSON.", answers(200, "open: 3"), nil, "what the host answered gives no value", 1},
		"Huge":     {"An answer is bounded.", answers(200, `{"open":3,"x":"`+strings.Repeat("x", hostcall.MaxAnswer)+`"}`), nil, "what the host answered gives no value", 1},
		"Repeated": {
			"A host that repeats the Secret does not make it a value.", answers(200, `{"open":"`+token+`"}`),
			func(in *v1alpha1.HostLookup) {
				in.Schema.Raw = []byte(`{"type":"string","maxLength":100}`)
			}, "(secret) from", 1,
		},
		"RepeatedInError": {
			"Nor an error.", answers(200, `{"open":"`+token+`"}`), nil, "what the host answered gives no value", 1,
		},
		"Number":      {"A number is one, also where it is whole.", answers(200, fits), func(in *v1alpha1.HostLookup) { in.Schema.Raw = []byte(`{"type":"number"}`) }, "3 from", 1},
		"Stranger":    {"Whose certificate nobody has signed is not asked.", func(*remote) {}, func(in *v1alpha1.HostLookup) { in.CABundle = "" }, "the host cannot be asked: tls: failed to verify certificate", 0},
		"NotAllowed":  {"Nor what the configuration does not name.", func(*remote) {}, func(in *v1alpha1.HostLookup) { in.URL = "https://other.example.com/?q=private" }, "host other.example.com is not in egress.hosts", 0},
		"NotForThem":  {"A Secret says to whom it is sent.", func(h *remote) { h.allowed = "other.example.com" }, nil, "it may not be sent to 127.0.0.1", 0},
		"NoKey":       {"Nothing is sent without it.", func(*remote) {}, func(in *v1alpha1.HostLookup) { in.Headers[0].Secret.Key = "other" }, `has no key "other"`, 0},
		"Unreachable": {"Who is away says nothing.", func(h *remote) { h.server.Close() }, nil, "the host cannot be asked: dial tcp", 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newRemote(t)
			h.set(func() { tc.set(h) })
			q := h.query("/a?q=private")
			if tc.change != nil {
				q = h.query("/a?q=private", tc.change)
			}
			h.wants("the host is being asked", q)
			h.wakes("r")
			got := h.asks(q)
			if !strings.Contains(got, tc.want) || strings.Contains(got, "hunter2") || strings.Contains(got, "private") || strings.Contains(got, "many") {
				t.Errorf("%s\nwant %q, got %q", tc.reason, tc.want, got)
			}
			if h.count() != tc.calls {
				t.Errorf("%s\nwant %d calls, got %q", tc.reason, tc.calls, h.calls)
			}
		})
	}
}

// TestHostIsLeftAlone asks a host that gives nothing again and again: it is asked seldom.
func TestHostIsLeftAlone(t *testing.T) {
	h := newRemote(t)
	h.set(func() {
		h.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	})
	q := h.query("/a")
	var after []time.Duration
	last := noon
	for range 200 {
		before := h.count()
		h.asks(q)
		h.settles()
		if h.count() > before {
			after = append(after, h.clock.Now().Sub(last))
			last = h.clock.Now()
		}
		h.clock.Step(time.Second)
	}
	want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute}
	if !slices.Equal(after, want) {
		t.Errorf("want %v, got %v", want, after)
	}
	h.says(`{"open":1}`)
	h.clock.Step(time.Minute)
	h.asks(q)
	h.settles()
	h.wants("1 from", q)
}

// TestHostIsNotOverrun asks for more than may be asked at once.
func TestHostIsNotOverrun(t *testing.T) {
	h := newRemote(t)
	h.block()
	for i := range hostcall.PerHost + 3 {
		h.asks(h.query(fmt.Sprintf("/%d", i)))
	}
	flying := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.flying
	}
	eventually(t, "as many calls as may be", func() bool { return flying() == hostcall.PerHost })
	if got := len(h.reader.hosts.waiting); got != 3 {
		t.Errorf("%d wait", got)
	}
	h.release()
	h.settles()
	if h.count() != hostcall.PerHost+3 {
		t.Errorf("%d calls", h.count())
	}
}

// TestHostOfOthers does not give to one what another has fetched.
func TestHostOfOthers(t *testing.T) {
	h := newRemote(t)
	for name, change := range map[string]func(q *gate.HostQuery){
		"itself":    func(*gate.HostQuery) {},
		"account":   func(q *gate.HostQuery) { q.ServiceAccount = "other" },
		"namespace": func(q *gate.HostQuery) { q.Namespace = "other" },
		"url":       func(q *gate.HostQuery) { q.Call.URL += "?" },
		"secret":    func(q *gate.HostQuery) { q.Call.Headers[0].Secret.Key = "other" },
		"trust":     func(q *gate.HostQuery) { q.Call.CABundle += "\n" },
		"value": func(q *gate.HostQuery) {
			q.Lookup = h.query("/a", func(in *v1alpha1.HostLookup) { in.Value = "1" }).Lookup
		},
		"schema": func(q *gate.HostQuery) {
			q.Lookup = h.query("/a", func(in *v1alpha1.HostLookup) { in.Schema.Raw = []byte(`{"type":"number"}`) }).Lookup
		},
	} {
		q := h.query("/a")
		change(q)
		if got := h.asks(q); got != errFetching.Error() {
			t.Errorf("what differs by %s is something else: %q", name, got)
		}
	}
	h.settles()
}

// TestHostsAreForgotten fills the share of a namespace, which costs no other namespace anything.
func TestHostsAreForgotten(t *testing.T) {
	h := newRemote(t)
	other, first := h.query("/other"), h.query("/first")
	other.Namespace = "other"
	for _, q := range []*gate.HostQuery{other, first} {
		h.asks(q)
		h.settles()
	}
	for i := range maxNamespaceValues {
		h.clock.Step(10 * time.Millisecond)
		q := h.query("/a")
		q.Call.URL += fmt.Sprint(i)
		if err := h.remember(q); err != nil {
			t.Fatal(err)
		}
	}
	h.wants("3 from", other)
	h.wants("the host is being asked", first)
	h.settles()
	if got := len(h.reader.hosts.values); got != maxNamespaceValues+1 {
		t.Errorf("%d values are remembered", got)
	}
}

// remember makes room for a value, and asks nobody.
func (h *remote) remember(q *gate.HostQuery) error {
	key, err := keyOf(q)
	if err != nil {
		return err
	}
	h.reader.hosts.mu.Lock()
	defer h.reader.hosts.mu.Unlock()
	_, err = h.reader.hosts.remember(key, h.clock.Now())
	return err
}

// TestHostFlood asks for something else each time: a ServiceAccount has its share.
func TestHostFlood(t *testing.T) {
	h := newRemote(t)
	q, refused := h.query("/a"), ""
	for i := range int(readsAtOnce) + 1 {
		one := *q
		call := *q.Call
		one.Call = &call
		call.URL += fmt.Sprint("?", i)
		refused = h.asks(&one)
	}
	if !strings.Contains(refused, "too many facts were read as ServiceAccount platform/reader") {
		t.Errorf("got %q", refused)
	}
	h.settles()
}

func TestHostsEnd(t *testing.T) {
	h := newRemote(t)
	h.block()
	q := h.query("/a")
	h.asks(q)
	eventually(t, "the call", func() bool { return h.count() == 1 })
	h.reader.Stop()
	if got := h.asks(q); !strings.Contains(got, "the host cannot be asked") || len(h.woken) > 0 {
		t.Errorf("nothing is asked or woken any more: %q, %v", got, h.woken)
	}
	if err := why(fmt.Errorf("x: %w", context.DeadlineExceeded)); err.Error() != "the host did not answer within 10s" {
		t.Error(err)
	}
	if err := why(errors.New("a\x1b[31mb")); strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q", err)
	}
}
