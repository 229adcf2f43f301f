package execution

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
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
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/hostcall"
	"github.com/signoff-dev/signoff/internal/steps"
)

// callee is a host that is called. It answers as the test says, and remembers what came.
type callee struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	answer func(w http.ResponseWriter, c call)
}

type call struct {
	method, url, body string
	header            http.Header
}

func newCallee(t testing.TB, answer func(w http.ResponseWriter, c call)) *callee {
	t.Helper()
	out := &callee{answer: answer}
	out.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		c := call{r.Method, r.URL.String(), string(body), r.Header}
		out.mu.Lock()
		out.calls = append(out.calls, c)
		out.mu.Unlock()
		out.answer(w, c)
	}))
	t.Cleanup(out.Close)
	return out
}

func (c *callee) made() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]call(nil), c.calls...)
}

// newCall is a play of a step that calls the host. HOST stands for its URL.
func newCall(t testing.TB, host *callee, spec string) *play {
	t.Helper()
	p := newPlay(t, `{name: call, timeout: 10m, http: `+strings.ReplaceAll(spec, "HOST", host.URL)+`}`)
	address := netip.MustParseAddrPort(host.Listener.Addr().String())
	p.egress = egress.New([]egress.Host{{Name: "127.0.0.1", Ports: []uint16{address.Port()}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	p.step.HTTP.IdempotencyKey = "key-1"
	p.step.HTTP.CABundle = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: host.Certificate().Raw}))
	p.restart()
	return p
}

func json200(body string) func(http.ResponseWriter, call) {
	return func(w http.ResponseWriter, _ call) { _, _ = io.WriteString(w, body) }
}

// announced stores that the call is about to be made.
func (p *play) announced() {
	p.t.Helper()
	if out := p.want(v1alpha1.StepStarted); !out.Intent || !strings.HasPrefix(out.Status.Basis, basisCall) {
		p.t.Fatalf("it must be stored before the call is made: %+v", out)
	}
}

func TestCall(t *testing.T) {
	host := newCallee(t, json200(`{"id":"a","n":3}`))
	p := newCall(t, host, `{method: POST, url: "HOST/a?b=c", body: {x: "<y>"}, headers: [{name: X-Who, value: alice}]}`)
	p.step.Outputs = []v1alpha1.StepOutput{{Name: "id", Expression: "response.body.id + string(response.status)", Schema: runtime.RawExtension{Raw: []byte(`{"type":"string","maxLength":9}`)}}}
	p.announced()
	p.want(v1alpha1.StepDone)
	got := host.made()
	if len(got) != 1 || got[0].method != "POST" || got[0].url != "/a?b=c" || got[0].body != `{"x":"<y>"}` && got[0].body != `{"x":"\u003cy\u003e"}` {
		t.Fatalf("calls: %+v", got)
	}
	for name, want := range map[string]string{"Idempotency-Key": "key-1", "X-Who": "alice", "Content-Type": "application/json", "User-Agent": "signoff"} {
		if got[0].header.Get(name) != want {
			t.Errorf("header %s: %q", name, got[0].header.Get(name))
		}
	}
	if string(p.status.Outputs.Raw) != `{"id":"a200"}` {
		t.Errorf("outputs: %s", p.status.Outputs.Raw)
	}
}

// TestCallAnswers is about what counts as done.
func TestCallAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, success string
		code            int
		body            string
		state           v1alpha1.StepState
		words           string
	}{
		"Created":   {"by its status", "", 201, "", v1alpha1.StepDone, ""},
		"Refused":   {"with what the host says", "", 422, "{\"error\":\"no\u202esuch\nchange\"}", v1alpha1.StepFailed, "answered 422"},
		"Redirect":  {"it is not followed", "", 302, "", v1alpha1.StepFailed, "answered 302"},
		"Condition": {"what the Action says", "response.status == 409 && response.body.exists", 409, `{"exists":true}`, v1alpha1.StepDone, ""},
		"Not":       {"although the status is good", "response.body.ok", 200, `{"ok":false}`, v1alpha1.StepFailed, "answered 200"},
		"Error":     {"it was done, or it was not: no error means yes, or no", "response.body.ok", 200, `plain`, v1alpha1.StepUnknown, "success cannot be told"},
		"ErrorPage": {"what a host refuses it has not done", "response.body.ok", 403, `plain`, v1alpha1.StepFailed, "success cannot be told"},
		"Broken":    {"what a host could not finish it may have done", "response.body.ok", 500, `plain`, v1alpha1.StepUnknown, `it answered 500: "plain"`},
		"Unable":    {"it does nothing of the kind", "", 501, "", v1alpha1.StepFailed, "answered 501"},
		"Gateway":   {"the gateway does not know either", "", 502, "", v1alpha1.StepUnknown, "cannot be told whether"},
		"Huge":      {"an answer is bounded", "response.body == null", 200, strings.Repeat("a", hostcall.MaxAnswer+1), v1alpha1.StepDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, func(w http.ResponseWriter, _ call) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, tc.body)
			})
			p := newCall(t, host, `{method: POST, url: HOST/a, text: hello}`)
			p.step.HTTP.Success = tc.success
			p.announced()
			p.want(tc.state, tc.words)
			if calls := host.made(); len(calls) != 1 || calls[0].body != "hello" {
				t.Errorf("%s: %d calls", tc.reason, len(calls))
			}
		})
	}
}

// TestCallSaysNothing gives an answer from which nobody can tell whether the call was made. It is not made again, although the step would try again.
func TestCallSaysNothing(t *testing.T) {
	const answers = `, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}`
	for name, tc := range map[string]struct {
		reason, more string
		code         int
		body         string
		state        v1alpha1.StepState
		words        string
		calls        int
	}{
		"Timeout":     {"what success says is about answers of the host", `, success: response.status == 201`, 504, "", v1alpha1.StepUnknown, "a gateway answered 504", 1},
		"BadGateway":  {"as above", `, success: response.status == 201`, 502, "<html>", v1alpha1.StepUnknown, "a gateway answered 502", 1},
		"Wanted":      {"unless it says so of this very answer", `, success: "response.status in [201, 504]"`, 504, "", v1alpha1.StepDone, "", 1},
		"Text":        {"it was made, and nobody can read what came of it", `, success: response.body.ok`, 201, "made", v1alpha1.StepUnknown, "it answered 201, and success cannot be told", 1},
		"Huge":        {"as above", `, success: response.body.ok`, 200, `{"ok":"` + strings.Repeat("a", hostcall.MaxAnswer) + `"}`, v1alpha1.StepUnknown, "success cannot be told", 1},
		"Asked":       {"a host that can be asked is", `, success: response.status == 201` + answers, 504, "", v1alpha1.StepDone, "", 1},
		"AskedText":   {"as above", `, success: response.body.ok` + answers, 201, "made", v1alpha1.StepDone, "", 1},
		"Idempotent":  {"what the host does once is sent again", `, success: response.status == 201, idempotent: true`, 504, "", v1alpha1.StepStarted, "a gateway answered 504", 1},
		"Refused":     {"it was not made", `, success: response.status == 201`, 429, "", v1alpha1.StepStarted, "attempt 2 of 2", 1},
		"Broken":      {"it may have been made before the host came to grief", "", 500, "<html>", v1alpha1.StepUnknown, `it answered 500: "<html>"`, 1},
		"Away":        {"as above, where the host does not say that it is only too busy", "", 503, "", v1alpha1.StepUnknown, "it answered 503", 1},
		"Meant":       {"success can say of such an answer that it is one", `, success: "response.status in [200, 500]"`, 500, "", v1alpha1.StepDone, "", 1},
		"AskedBroken": {"a host that can be asked is", answers, 500, "", v1alpha1.StepDone, "", 1},
		"BrokenOnce":  {"for what the host does once it is an answer like others", `, idempotent: true`, 500, "", v1alpha1.StepStarted, "attempt 2 of 2", 1},
	} {
		t.Run(name, func(t *testing.T) {
			made := 0
			host := newCallee(t, func(w http.ResponseWriter, c call) {
				if c.method == http.MethodGet {
					_, _ = fmt.Fprintf(w, `{"made":%t}`, made > 0)
					return
				}
				made++
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, tc.body)
			})
			p := newCall(t, host, `{method: POST, url: HOST/a`+tc.more+`}`)
			p.step.Retries = 1
			p.announced()
			p.want(tc.state, tc.words)
			p.later(firstPause)
			if p.status.State == v1alpha1.StepUnknown {
				p.want(v1alpha1.StepUnknown)
			}
			if made != tc.calls {
				t.Errorf("%s: it was made %d times", tc.reason, made)
			}
		})
	}
}

// TestCallAtMostOnce interrupts a call at each point.
func TestCallAtMostOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, spec string
		before       func(*play)
		state        v1alpha1.StepState
		words        string
		calls        int
	}{
		"Lost": {"it was made, and that was not stored: nobody can tell", `{method: POST, url: HOST/a}`, func(p *play) { _, _ = p.call(); p.restart(); p.later(settled) },
			v1alpha1.StepUnknown, "cannot be told whether POST", 1},
		"Announced": {"it was announced, and perhaps made", `{method: POST, url: HOST/a}`, func(p *play) { p.restart(); p.later(settled) },
			v1alpha1.StepUnknown, "Idempotency-Key key-1", 0},
		"UnderWay": {"whoever has announced it may still be at it", `{method: POST, url: HOST/a}`, func(p *play) { p.restart(); p.later(settled - 2*time.Second) },
			v1alpha1.StepStarted, "may be under way until", 0},
		"Idempotent": {"the host does it once", `{method: POST, url: HOST/a, idempotent: true}`, func(p *play) { _, _ = p.call(); p.restart() },
			v1alpha1.StepDone, "", 2},
		"Done": {"the host says that it was made", `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}}`,
			func(p *play) { _, _ = p.call(); p.restart() }, v1alpha1.StepDone, "", 1},
		"NotDone": {"the host says that it was not", `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}}`,
			func(p *play) { p.restart(); p.later(settled); p.announced() }, v1alpha1.StepDone, "", 1},
		"NotDoneYet": {"the host says that it was not, but it may be under way", `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}}`,
			func(p *play) { p.restart() }, v1alpha1.StepStarted, "cannot be under way any more", 0},
		"NotDoneTooLate": {"and its time is over", `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}}`,
			func(p *play) { p.restart(); p.later(time.Hour) }, v1alpha1.StepFailed, "could not be made", 0},
		"Unclear": {"the host is asked again", `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: "false"}}`,
			func(p *play) { p.restart() }, v1alpha1.StepStarted, "asking again", 0},
		"UnclearForEver": {"until its time is over", `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: "false"}}`,
			func(p *play) { p.restart(); p.next(); p.later(time.Hour) }, v1alpha1.StepUnknown, "cannot be told whether", 0},
		"IdempotentTooLate": {"it may have been made, and its time is over", `{method: POST, url: HOST/a, idempotent: true}`,
			func(p *play) { p.restart(); p.later(time.Hour) }, v1alpha1.StepUnknown, "had no answer", 0},
		"IdempotentFound": {"it is looked for all the same", `{method: POST, url: HOST/a, idempotent: true, lookup: {url: "HOST/find", done: response.body.made}}`,
			func(p *play) { _, _ = p.call(); p.restart(); p.later(time.Hour) }, v1alpha1.StepDone, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			made := 0
			host := newCallee(t, func(w http.ResponseWriter, c call) {
				if c.method == http.MethodPost {
					made++
				}
				_, _ = fmt.Fprintf(w, `{"made":%t}`, made > 0)
			})
			p := newCall(t, host, tc.spec)
			p.announced()
			tc.before(p)
			p.want(tc.state, tc.words)
			if made != tc.calls {
				t.Errorf("%s: it was made %d times", tc.reason, made)
			}
		})
	}
}

// settled is after which time no call is under way any more.
const settled = sendWithin + hostcall.Timeout

// TestCallOfTwo lets two processes, of which each believes that it leads, come to the same call: one has announced it, and only that one makes it.
func TestCallOfTwo(t *testing.T) {
	host := newCallee(t, json200(`{"made":false}`))
	p := newCall(t, host, `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}}`)
	if out, err := p.call(); err != nil || !out.Intent {
		t.Fatalf("got %+v, %v", out, err)
	}
	slower := p.runner
	p.restart()
	p.announced() // and stored, so that the other one could not
	p.runner, slower = slower, p.runner
	p.want(v1alpha1.StepStarted, "cannot be under way any more")
	p.runner = slower
	p.want(v1alpha1.StepDone)
	if made := host.made(); len(made) != 2 || made[0].method != http.MethodGet || made[1].method != http.MethodPost {
		t.Errorf("calls: %+v", made)
	}
}

// TestCallWaitsTooLong lets a call wait for its turn for longer than it may be sent after it was announced.
func TestCallWaitsTooLong(t *testing.T) {
	host := newCallee(t, json200(""))
	p := newCall(t, host, `{method: POST, url: HOST/a}`)
	p.announced()
	p.later(sendWithin)
	p.announced()
	if len(host.made()) > 0 {
		t.Error("it was sent")
	}
	p.want(v1alpha1.StepDone)
}

// TestCallBroken breaks the connection after the host has read the call.
func TestCallBroken(t *testing.T) {
	host := newCallee(t, func(http.ResponseWriter, call) { panic(http.ErrAbortHandler) })
	p := newCall(t, host, `{method: POST, url: HOST/a}`)
	p.step.Retries = 3
	p.announced()
	p.want(v1alpha1.StepUnknown, "cannot be told whether POST")
	if p.status.UnknownSince == nil || p.status.FinishedAt != nil {
		t.Errorf("since when nobody knows: %+v", p.status)
	}
	p.later(1000 * time.Hour)
	p.restart()
	p.want(v1alpha1.StepUnknown, "cannot be told whether POST")
	if calls := len(host.made()); calls != 1 {
		t.Errorf("it was made %d times", calls)
	}
}

// TestUndecidedTime is about the time in which people had to decide: the steps after it have theirs all the same.
func TestUndecidedTime(t *testing.T) {
	claimed := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(after time.Duration) *metav1.Time { return &metav1.Time{Time: claimed.Add(after)} }
	record := &v1alpha1.Record{Spec: v1alpha1.RecordSpec{ClaimedAt: metav1.NewMicroTime(claimed), Timeout: "10m"}}
	record.Status.Steps = []v1alpha1.StepStatus{{Name: "call", State: v1alpha1.StepUnknown, UnknownSince: at(time.Minute)}}
	step := &v1alpha1.RenderedStep{Name: "note"}
	if end := limitOf(record, step, nil).end; !end.Equal(claimed.Add(10 * time.Minute)) {
		t.Errorf("before somebody has decided: %s", end)
	}
	Resolve(&record.Status.Steps[0], v1alpha1.StepSucceeded, "bob decided", claimed.Add(49*time.Hour))
	if end := limitOf(record, step, nil).end; !end.Equal(claimed.Add(49*time.Hour + 9*time.Minute)) {
		t.Errorf("after: %s", end)
	}
}

// TestCallUnreachable calls a host that is not there: nothing was sent, so it is called again, after a pause that gets longer, however often somebody
// looks meanwhile. People read why it waits.
func TestCallUnreachable(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, http string
		// answered is what the call itself was answered, where that is not what cannot be reached.
		answered bool
		// last is what the step says when its time is over.
		last string
	}{
		"Call":       {"it was not sent", `{method: POST, url: HOST/a}`, false, "could not be made: dial tcp"},
		"Idempotent": {"it may be sent again", `{method: POST, url: HOST/a, idempotent: true}`, false, "could not be made: dial tcp"},
		"Poll":       {"asking changes nothing", `{method: POST, url: HOST/a, poll: {url: [{text: HOST/a}], every: 1s, until: response.body.done}}`, true, "connection refused; the timeout of the step"},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, json200(`{"done":false}`))
			p := newCall(t, host, tc.http)
			p.announced()
			if tc.answered {
				p.want(v1alpha1.StepStarted)
			}
			host.Close()
			var pauses []time.Duration
			for range 4 {
				out, err := p.call()
				if err != nil || out.Status.State != v1alpha1.StepStarted || !strings.Contains(out.Status.Message, "connection refused") {
					t.Fatalf("%s: %+v, %v", tc.reason, out, err)
				}
				again, err := p.call()
				if err != nil || !again.At.Equal(out.At) || p.runner.calls.of(requestUID)[0].state != callRests {
					t.Errorf("it is called before its time, because somebody looked: %+v, %v", again, err)
				}
				pauses = append(pauses, out.At.Sub(p.clock.Now()))
				p.later(out.At.Sub(p.clock.Now()))
			}
			if diff := cmp.Diff([]time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}, pauses); diff != "" {
				t.Errorf("%s: the pauses (-want +got):\n%s", tc.reason, diff)
			}
			p.later(time.Hour)
			p.want(v1alpha1.StepFailed, tc.last)
		})
	}
}

func TestCallRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, words string
		change        func(*play)
	}{
		"Host": {"it is not in the configuration", "not in egress.hosts", func(p *play) { p.egress = egress.New(nil) }},
		"Address": {"it is inside, and nobody said that it may be", "which is not public", func(p *play) {
			address := strings.TrimPrefix(p.step.HTTP.URL, "https://")
			p.egress = egress.New([]egress.Host{{Name: "127.0.0.1", Ports: []uint16{netip.MustParseAddrPort(strings.TrimSuffix(address, "/a")).Port()}}})
		}},
		"Bundle": {"it trusts nobody", "no certificate", func(p *play) { p.step.HTTP.CABundle = "x" }},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, json200(""))
			p := newCall(t, host, `{method: POST, url: HOST/a}`)
			tc.change(p)
			p.restart()
			p.announced()
			p.want(v1alpha1.StepFailed, tc.words)
			if len(host.made()) > 0 {
				t.Errorf("%s: it was called", tc.reason)
			}
		})
	}
}

func TestCallRetried(t *testing.T) {
	codes := []int{503, 200}
	host := newCallee(t, func(w http.ResponseWriter, _ call) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(codes[0])
		codes = codes[1:]
	})
	p := newCall(t, host, `{method: POST, url: HOST/a}`)
	p.step.Retries = 1
	p.announced()
	p.want(v1alpha1.StepStarted, "attempt 2 of 2", "answered 503")
	p.later(firstPause)
	p.announced()
	p.want(v1alpha1.StepDone)
	if calls := host.made(); len(calls) != 2 || calls[1].header.Get("Idempotency-Key") != "key-1" {
		t.Errorf("calls: %+v", calls)
	}
}

// TestCallBrokenAndNotMade is answered 500, and the host says afterwards that it has not made the call: it has failed, and is made again as often as the step says.
func TestCallBrokenAndNotMade(t *testing.T) {
	posts := 0
	host := newCallee(t, func(w http.ResponseWriter, c call) {
		if c.method == http.MethodPost {
			posts++
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, `{"made":false}`)
	})
	p := newCall(t, host, `{method: POST, url: HOST/a, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}}`)
	p.step.Retries = 1
	p.announced()
	p.want(v1alpha1.StepStarted, "the host does not know POST", "it answered 500")
	p.later(settled)
	p.want(v1alpha1.StepStarted, "attempt 2 of 2", "was not made: it answered 500")
	if posts != 1 {
		t.Errorf("it was made %d times before that was known", posts)
	}
	p.later(firstPause)
	p.announced()
	p.want(v1alpha1.StepStarted, "it answered 500")
	p.later(settled)
	p.want(v1alpha1.StepFailed, "was not made: it answered 500")
	if posts != 2 {
		t.Errorf("it was made %d times", posts)
	}
}

func TestCallPolls(t *testing.T) {
	for name, tc := range map[string]struct {
		last  string
		state v1alpha1.StepState
		words string
	}{
		"Done":   {`{"state":"done"}`, v1alpha1.StepDone, ""},
		"Failed": {`{"state":"broken"}`, v1alpha1.StepFailed, "failWhen holds"},
	} {
		t.Run(name, func(t *testing.T) {
			answers := []string{`{"id":"7/8"}`, `{"state":"running"}`, tc.last}
			host := newCallee(t, func(w http.ResponseWriter, _ call) { _, _ = io.WriteString(w, answers[0]); answers = answers[1:] })
			p := newCall(t, host, `{method: POST, url: HOST/a, body: {}, headers: [{name: X-Who, value: alice}], poll: {every: 20s, until: "response.body.state == 'done'", failWhen: "response.body.state == 'broken'",
				url: [{text: "HOST/jobs/"}, {expression: response.body.id}]}}`)
			p.announced()
			if out := p.want(v1alpha1.StepStarted); !out.Intent || p.status.URL != host.URL+"/jobs/7%2F8" {
				t.Fatalf("where to ask must be stored: %+v", p.status)
			}
			p.restart()
			if out := p.want(v1alpha1.StepStarted, "does not hold yet"); out.At.Sub(p.clock.Now()) != 20*time.Second || !OnlyWaits(&p.status) {
				t.Errorf("it pauses: %+v", out)
			}
			p.later(20 * time.Second)
			p.want(tc.state, tc.words)
			calls := host.made()
			if len(calls) != 3 || calls[2].method != "GET" || calls[2].url != "/jobs/7%2F8" || calls[2].body != "" || calls[2].header.Get("X-Who") != "alice" {
				t.Errorf("calls: %+v", calls)
			}
		})
	}
}

// secrets makes a Secret in the namespace of the Action, and gives its uid.
func (p *play) secret(hosts string, data map[string]string) v1alpha1.RecordedSecret {
	p.t.Helper()
	created, err := admin.CoreV1().Secrets("platform").Create(p.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "token-", Annotations: map[string]string{steps.AnnotationAllowedHosts: hosts}}, StringData: data,
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return v1alpha1.RecordedSecret{SecretKey: v1alpha1.SecretKey{Name: created.Name}, UID: created.UID}
}

func (s recorded) key(name string) *v1alpha1.RecordedSecret {
	out := v1alpha1.RecordedSecret(s)
	out.Key = name
	return &out
}

type recorded v1alpha1.RecordedSecret

func TestCallSecrets(t *testing.T) {
	const signing = "c2lnbmluZy1rZXk="
	host := newCallee(t, func(w http.ResponseWriter, c call) {
		w.Header().Set("X-Request-Id", c.header.Get("Authorization"))
		_, _ = fmt.Fprintf(w, `{"echo":%q}`, c.header.Get("Authorization"))
	})
	p := newCall(t, host, `{method: POST, url: HOST/a, text: hello}`)
	secret := recorded(p.secret("127.0.0.1", map[string]string{"token": "hunter2\n", "sign": "whsec_" + signing}))
	p.step.HTTP.Headers = []v1alpha1.RenderedHeader{{Name: "Authorization", Prefix: "Bearer ", Secret: secret.key("token")}}
	p.step.HTTP.Sign = secret.key("sign")
	p.step.Outputs = []v1alpha1.StepOutput{{Name: "echo", Expression: "response.body.echo + response.headers['x-request-id']", Schema: runtime.RawExtension{Raw: []byte(`{"type":"string","maxLength":100}`)}}}
	p.announced()
	p.want(v1alpha1.StepDone)
	got := host.made()[0].header
	if got.Get("Authorization") != "Bearer hunter2" {
		t.Errorf("the Secret was not sent: %q", got.Get("Authorization"))
	}
	if outputs := string(p.status.Outputs.Raw); outputs != `{"echo":"Bearer (secret)Bearer (secret)"}` {
		t.Errorf("what a host repeats of a Secret is stored: %s", outputs)
	}
	key, err := base64.StdEncoding.DecodeString(signing)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "key-1.%d.hello", p.clock.Now().Unix())
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Get("Webhook-Signature") != want || got.Get("Webhook-Id") != "key-1" {
		t.Errorf("signature %q of %q, want %q", got.Get("Webhook-Signature"), got.Get("Webhook-Id"), want)
	}
}

func TestCallSecretsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, hosts, words string
		change               func(*play, *v1alpha1.RecordedSecret)
	}{
		"Host":  {"the Secret is for another host", "hooks.example.com", "may not be sent to 127.0.0.1", func(*play, *v1alpha1.RecordedSecret) {}},
		"None":  {"nobody said where it may be sent", "", "may not be sent to 127.0.0.1", func(*play, *v1alpha1.RecordedSecret) {}},
		"UID":   {"people agreed to another one", "127.0.0.1", "another one than people agreed to", func(_ *play, s *v1alpha1.RecordedSecret) { s.UID = "other" }},
		"Key":   {"there is nothing", "127.0.0.1", "has no key", func(_ *play, s *v1alpha1.RecordedSecret) { s.Key = "other" }},
		"Lines": {"it would be another header", "127.0.0.1", "more than one line", func(_ *play, s *v1alpha1.RecordedSecret) { s.Key = "lines" }},
		"Right": {"the ServiceAccount may not read it", "127.0.0.1", "Grant it to the ServiceAccount", func(p *play, _ *v1alpha1.RecordedSecret) { p.record.Spec.ServiceAccountName = "blind" }},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, json200(""))
			p := newCall(t, host, `{method: POST, url: HOST/a}`)
			secret := recorded(p.secret(tc.hosts, map[string]string{"token": "hunter2", "lines": "a\r\nb: c"})).key("token")
			tc.change(p, secret)
			p.step.HTTP.Headers = []v1alpha1.RenderedHeader{{Name: "Authorization", Secret: secret}}
			p.announced()
			p.want(v1alpha1.StepFailed, tc.words)
			if len(host.made()) > 0 || strings.Contains(p.status.Message, "hunter2") {
				t.Errorf("%s: %q", tc.reason, p.status.Message)
			}
		})
	}
}

// TestAskedInItsTime looks at a step far more often than it is to ask: the host is asked as often as the step says, and what is shown does not change, or each
// look would bring the next one.
func TestAskedInItsTime(t *testing.T) {
	const looks, length = 40, 400 * time.Millisecond
	for name, tc := range map[string]struct {
		reason, more string
		code         int
		header       string
		asked        int
		words        string
	}{
		"Poll":    {"every 3s", `, poll: {url: [{text: HOST/job}], every: 3s, until: response.body.done}`, 200, "", 5, "does not hold yet"},
		"LookUp":  {"every 10s", `, lookup: {url: HOST/find, done: response.body.done}`, 200, "", 2, "asking again"},
		"Seconds": {"as the host asks for", `, poll: {url: [{text: HOST/job}], every: 1s, until: response.body.done}`, 429, "7", 3, ""},
		"Date":    {"the same, in the other form", `, poll: {url: [{text: HOST/job}], every: 1s, until: response.body.done}`, 503, "Mon, 23 Nov 2026 12:00:12 GMT", 5, ""},
		"Beyond":  {"not after the end of the step", `, poll: {url: [{text: HOST/job}], every: 1s, until: response.body.done}`, 429, "86400", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, func(w http.ResponseWriter, c call) {
				if c.method == http.MethodPost {
					return
				}
				w.Header().Set("Retry-After", tc.header)
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, `{"done":false}`)
			})
			p := newCall(t, host, `{method: POST, url: HOST/a`+tc.more+`}`)
			p.clock.SetTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
			p.record.Spec.ClaimedAt = metav1.NewMicroTime(p.clock.Now())
			p.announced()
			if p.step.HTTP.Poll == nil {
				p.restart()
			} else if out := p.want(v1alpha1.StepStarted); !out.Intent {
				t.Fatalf("where to ask must be stored: %+v", out)
			}
			shown := map[string]bool{}
			for range looks {
				// What is shown is not in the Record.
				out, err := p.call()
				if err != nil || out.Status.State != v1alpha1.StepStarted || !strings.Contains(out.Status.Message, tc.words) {
					t.Fatalf("%+v, %v", out, err)
				}
				if shown[out.Status.Message] = true; !out.At.After(p.clock.Now()) || out.At.After(p.status.StartedAt.Add(10*time.Minute)) {
					t.Fatalf("it is to be looked at again at %s, and it is %s", out.At, p.clock.Now())
				}
				p.later(length)
			}
			asked := slices.DeleteFunc(host.made(), func(c call) bool { return c.method != http.MethodGet })
			if len(asked) != tc.asked || len(shown) != 1 {
				t.Errorf("%s: asked %d times in %s, want %d; it said %v", tc.reason, len(asked), looks*length, tc.asked, shown)
			}
		})
	}
}

// TestRetryWhenTheHostWants makes a call again that a host was too busy for: not before it wants that, and not at all where that is too late.
func TestRetryWhenTheHostWants(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, header string
		state          v1alpha1.StepState
		pause          time.Duration
		words          string
	}{
		"Longer":  {"it asks for more than we would wait", "45", v1alpha1.StepStarted, 45 * time.Second, "attempt 2 of 2"},
		"Shorter": {"our own pause is longer", "1", v1alpha1.StepStarted, firstPause, "attempt 2 of 2"},
		"Garbage": {"it says nothing that anybody could read", "soon", v1alpha1.StepStarted, firstPause, "attempt 2 of 2"},
		"TooLate": {"there is no time left then", "3600", v1alpha1.StepFailed, 0, "when the timeout of the step (10m0s) is over"},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, func(w http.ResponseWriter, _ call) {
				w.Header().Set("Retry-After", tc.header)
				w.WriteHeader(http.StatusTooManyRequests)
			})
			p := newCall(t, host, `{method: POST, url: HOST/a}`)
			p.step.Retries = 1
			p.announced()
			out := p.want(tc.state, "answered 429", tc.words)
			if pause := out.At.Sub(p.clock.Now()); tc.state == v1alpha1.StepStarted && (pause < tc.pause-time.Second || pause > tc.pause+time.Second) {
				t.Errorf("%s: it pauses for %s", tc.reason, pause)
			}
		})
	}
}
