package facts

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/hostcall"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/visible"
)

const (
	// maxValues is how many values of hosts are remembered, and maxNamespaceValues how many of them for the Actions of one namespace.
	maxValues, maxNamespaceValues = 4096, 512
	// shortestRest and longestRest bound for how long a host is left alone that gave no value.
	shortestRest, longestRest = 10 * time.Second, time.Minute
	// maxWhy is how long the text is that says why there is no value.
	maxWhy = 300
)

var _ gate.Hosts = (*Reader)(nil)

// Host gives what a host said before.
func (r *Reader) Host(_ context.Context, query *gate.HostQuery, request types.NamespacedName) (gate.HostValue, error) {
	return r.hosts.get(query, request)
}

// errFetching says that there is no value yet.
var errFetching = errors.New("there is no value yet that is new enough: the host is being asked; try again in some seconds")

// hosts remember what hosts said. A host is never asked while somebody waits for a decision: it is asked beside, and whoever wanted to know is
// judged again when it has answered.
type hosts struct {
	Options

	limits *limits

	mu      sync.Mutex
	values  map[hostKey]*remembered
	waiting []*remembered
	room    *hostcall.Room
	stopped bool
	running sync.WaitGroup
}

func newHosts(o Options, l *limits) *hosts {
	return &hosts{Options: o, limits: l, values: map[hostKey]*remembered{}, room: hostcall.NewRoom()}
}

// hostKey is what decides what a host says: as who Secrets are read, what is called with which headers, and what of the answer is the value. What was
// fetched as one ServiceAccount is given to nobody else.
type hostKey struct {
	as   account
	call [sha256.Size]byte
}

func keyOf(q *gate.HostQuery) (hostKey, error) {
	source := q.Lookup.Source()
	raw, err := json.Marshal([]any{q.Call, source.Value, source.Schema})
	if err != nil {
		return hostKey{}, fmt.Errorf("failed to encode the call: %w", err)
	}
	return hostKey{account{q.Namespace, q.ServiceAccount}, sha256.Sum256(raw)}, nil
}

// remembered is what is known of one value. Its fields are guarded by the lock of hosts.
type remembered struct {
	hostKey

	used time.Time
	// value is what the host said when it was asked at fetched. Zero: nothing yet.
	value   any
	fetched time.Time
	// err is why the last call gave no value, failures how many did not one after the other, and rests until when it is not asked again.
	err      error
	failures int
	rests    time.Time
	// query is what is being asked, or about to be; nil: nothing. Stop ends the call.
	query *gate.HostQuery
	stop  context.CancelFunc
	// requests want to know.
	requests map[types.NamespacedName]struct{}
}

// get gives the value where it is not too old, and asks the host where it soon will be.
func (h *hosts) get(q *gate.HostQuery, request types.NamespacedName) (gate.HostValue, error) {
	key, err := keyOf(q)
	if err != nil {
		return gate.HostValue{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.Clock.Now()
	v, err := h.remember(key, now)
	if err != nil {
		return gate.HostValue{}, err
	}
	known, fresh := v.known(q.Lookup.MaxAge, now)
	if fresh && now.Before(known.Next) {
		return known, nil
	}
	busy := h.ask(v, q, now)
	v.wants(request)
	switch {
	case fresh:
		known.Next = v.fetched.Add(q.Lookup.MaxAge)
		if v.rests.After(now) && v.rests.Before(known.Next) {
			known.Next = v.rests
		}
		return known, nil
	case busy != nil:
		return gate.HostValue{}, busy
	case v.query == nil && v.err != nil:
		return gate.HostValue{}, v.err
	}
	return gate.HostValue{}, errFetching
}

// known is what the host said, and whether it is not too old. It is fetched anew before it is, so that a host that answers leaves nobody without an
// answer.
func (v *remembered) known(maxAge time.Duration, now time.Time) (value gate.HostValue, fresh bool) {
	fresh = !v.fetched.IsZero() && now.Sub(v.fetched).Abs() < maxAge
	return gate.HostValue{Value: v.value, Fetched: v.fetched, Next: v.fetched.Add(maxAge - maxAge/4)}, fresh
}

// wants notes that a request is to be judged again when the host has answered.
func (v *remembered) wants(request types.NamespacedName) {
	if request.Name == "" || len(v.requests) >= maxWaiting {
		return
	}
	if v.requests == nil {
		v.requests = map[types.NamespacedName]struct{}{}
	}
	v.requests[request] = struct{}{}
}

// remember finds a value, or makes room for it: the one that nobody wanted for longest is forgotten, of the same namespace where that has its share.
func (h *hosts) remember(key hostKey, now time.Time) (*remembered, error) {
	v := h.values[key]
	if v == nil {
		mine := 0
		for other := range h.values {
			if other.as.namespace == key.as.namespace {
				mine++
			}
		}
		if (mine >= maxNamespaceValues && !h.forget(key.as.namespace)) || (len(h.values) >= maxValues && !h.forget("")) {
			return nil, errors.New("too many hosts are being asked already; try again in a while")
		}
		v = &remembered{hostKey: key}
		h.values[key] = v
	}
	v.used = now
	return v, nil
}

// forget forgets a value of a namespace, or of any, that is not being fetched. It tells whether there was one.
func (h *hosts) forget(namespace string) bool {
	var oldest *remembered
	for _, v := range h.values {
		if v.query == nil && (namespace == "" || v.as.namespace == namespace) && (oldest == nil || v.used.Before(oldest.used)) {
			oldest = v
		}
	}
	if oldest == nil {
		return false
	}
	delete(h.values, oldest.hostKey)
	return true
}

// ask asks the host, unless it is being asked or rests. An error says that too much was asked lately.
func (h *hosts) ask(v *remembered, q *gate.HostQuery, now time.Time) error {
	if v.query != nil || now.Before(v.rests) || h.stopped {
		return nil
	}
	if err := h.limits.of(v.as).take(now, v.as); err != nil {
		return err
	}
	v.query = q
	h.waiting = append(h.waiting, v)
	h.start()
	return nil
}

// start makes the calls for which there is room; who came first is first.
func (h *hosts) start() {
	h.waiting = slices.DeleteFunc(h.waiting, func(v *remembered) bool {
		if h.stopped {
			return true
		}
		place := hostcall.Place{Namespace: v.as.namespace, Host: steps.Origin(v.query.Call.URL)}
		if !h.room.Enter(place) {
			return false
		}
		ctx, stop := context.WithCancel(context.Background())
		v.stop = stop
		q, begun := v.query, h.Clock.Now()
		h.running.Go(func() {
			defer stop()
			value, err := h.call(ctx, q)
			h.learn(v, place, begun, value, err)
		})
		return true
	})
}

// learn remembers what came of a call that has begun at a time, and wakes who wants to know.
func (h *hosts) learn(v *remembered, place hostcall.Place, begun time.Time, value any, err error) {
	h.mu.Lock()
	v.query, v.stop, v.err = nil, nil, err
	if err == nil {
		v.value, v.fetched, v.failures, v.rests = value, begun, 0, time.Time{}
	} else {
		v.rests = h.Clock.Now().Add(min(shortestRest<<min(v.failures, 8), longestRest))
		v.failures++
	}
	requests, stopped := v.requests, h.stopped
	v.requests = nil
	h.room.Leave(place)
	h.start()
	h.mu.Unlock()
	for request := range requests {
		if !stopped {
			h.Wake(request)
		}
	}
}

// end ends all calls, and returns when none runs any more.
func (h *hosts) end() {
	h.mu.Lock()
	h.stopped = true
	for _, v := range h.values {
		if v.stop != nil {
			v.stop()
		}
	}
	h.mu.Unlock()
	h.running.Wait()
}

// call asks a host. The error is for people, and holds nothing of what the host said.
func (h *hosts) call(ctx context.Context, q *gate.HostQuery) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	caller := &hostcall.Caller{
		Egress: h.Egress, Secrets: objects{h.Clients}, Namespace: q.Namespace, Account: q.ServiceAccount, Unagreed: true, HTTP: q.Call, Clock: h.Clock,
	}
	result := caller.Exchange(ctx, q.Call.Method, q.Call.URL)
	if result.Err != nil {
		return nil, why(result.Err)
	}
	status, _ := result.Response["status"].(int64)
	switch {
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return nil, fmt.Errorf("the host answered %d, and redirects are not followed", status)
	case status < http.StatusOK || status >= http.StatusMultipleChoices:
		return nil, fmt.Errorf("the host answered %d", status)
	}
	value, err := q.Lookup.Value(ctx, result.Response, h.Budget(q.Namespace))
	if err != nil {
		return nil, fmt.Errorf("what the host answered gives no value: %w", err)
	}
	return value, nil
}

// why says why a host could not be asked, without the URL, which is named already, and whose query is shown to nobody.
func why(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the host did not answer within %s", patience)
	}
	text := err.Error()
	if rest, is := strings.CutPrefix(text, `Get "`); is {
		if _, after, found := strings.Cut(rest, `": `); found {
			text = after
		}
	}
	return fmt.Errorf("the host cannot be asked: %s", gate.Cut(visible.Escaped(text), maxWhy))
}

// objects reads objects that hold what a call carries.
type objects struct{ clients Clients }

// Get implements hostcall.Reader.
func (r objects) Get(ctx context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	resource, err := r.clients.Resource(namespace, serviceAccount, &ref)
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, ref.Name, metav1.GetOptions{})
}
