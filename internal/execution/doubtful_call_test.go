package execution

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	once   = `{method: POST, url: HOST/a, idempotent: true}`
	askFor = `{method: POST, url: HOST/a, idempotent: true, lookup: {url: "HOST/find", done: response.body.made, notDone: "!response.body.made"}}`
)

// broken closes the connection once the call was read.
const broken = 0

// TestIdempotentInDoubt makes a call that its host does once, and gives it no answer from which anybody could tell whether it was made. Retries are not needed for
// it to be made again, and what was not known when the time is over has not failed.
func TestIdempotentInDoubt(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, spec string
		// codes are the answers, one after the other; the last one stays.
		codes []int
		// made is what the host says when it is asked.
		made  bool
		state v1alpha1.StepState
		words string
		key   bool
	}{
		"Broken":     {"it was read each time, and perhaps done", once, []int{broken}, false, v1alpha1.StepUnknown, "EOF", true},
		"Gateway":    {"the gateway does not know", once, []int{504}, false, v1alpha1.StepUnknown, "a gateway answered 504", true},
		"Succeeds":   {"the host says so when it is sent again", once, []int{502, broken, 201}, false, v1alpha1.StepDone, "", false},
		"Busy":       {"that a host is too busy now says nothing about the first call", once, []int{504, 503}, false, v1alpha1.StepUnknown, "it was answered 503", true},
		"Gone":       {"perhaps that is what the first call did", once, []int{broken, 404}, false, v1alpha1.StepUnknown, "it was answered 404", true},
		"Refused":    {"the host would have refused it the first time", once, []int{broken, 422}, false, v1alpha1.StepFailed, "answered 422", false},
		"NeverTaken": {"each answer says that it was not made", once, []int{503}, false, v1alpha1.StepFailed, "answered 503", false},
		"Found":      {"it is looked up by its key", askFor, []int{504}, true, v1alpha1.StepDone, "", false},
		"NotFound":   {"and was not made, whoever sent it", askFor, []int{504}, false, v1alpha1.StepFailed, "could not be made", false},
		"Get":        {"it changes nothing", `{method: GET, url: HOST/a}`, []int{broken}, false, v1alpha1.StepFailed, "EOF", false},
		"GetGateway": {"as above", `{method: GET, url: HOST/a}`, []int{504}, false, v1alpha1.StepFailed, "answered 504", false},
	} {
		t.Run(name, func(t *testing.T) {
			codes := tc.codes
			host := newCallee(t, func(w http.ResponseWriter, c call) {
				if c.url == "/find" {
					_, _ = fmt.Fprintf(w, `{"made":%t}`, tc.made)
					return
				}
				code := codes[0]
				codes = codes[min(1, len(codes)-1):]
				if code == broken {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(code)
				_, _ = io.WriteString(w, "{}")
			})
			p := newCall(t, host, tc.spec)
			p.idempotent()
			p.announced()
			for range 12 {
				if out := p.next(); out.Status.State != v1alpha1.StepStarted {
					break
				}
				p.later(time.Minute)
			}
			words := []string{tc.words}
			if tc.key {
				words = append(words, "Idempotency-Key key-1")
			}
			p.want(tc.state, words...)
			calls := 0
			for _, c := range host.made() {
				if c.url != "/a" {
					continue
				}
				if calls++; c.header.Get("Idempotency-Key") != "key-1" {
					t.Errorf("call %d has the key %q", calls, c.header.Get("Idempotency-Key"))
				}
			}
			if more := len(tc.codes); calls < more || tc.state == v1alpha1.StepUnknown && calls < 4 {
				t.Errorf("%s: it was made %d times", tc.reason, calls)
			}
		})
	}
}

// idempotent does to the step what rendering does to that of an Action.
func (p *play) idempotent() {
	h := p.step.HTTP
	h.Idempotent = h.Idempotent || h.Method == v1alpha1.HTTPGet || h.Method == v1alpha1.HTTPHead
}

// TestInDoubtAndThenUnsent loses the answer to a call that is never sent again: what is not sent now says nothing about what was.
func TestInDoubtAndThenUnsent(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		after  func(*play, *callee)
		state  v1alpha1.StepState
	}{
		"Unreachable": {"the host is not there any more", func(p *play, host *callee) { host.Close(); p.later(time.Second); p.next(); p.later(time.Hour) }, v1alpha1.StepUnknown},
		"Refused":     {"it may not be called any more", func(p *play, _ *callee) { p.step.HTTP.CABundle = "x"; p.later(time.Second) }, v1alpha1.StepUnknown},
		"Restart":     {"another process does not know of it at all", func(p *play, host *callee) { host.Close(); p.restart(); p.next(); p.later(time.Hour) }, v1alpha1.StepUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			host := newCallee(t, func(http.ResponseWriter, call) { panic(http.ErrAbortHandler) })
			p := newCall(t, host, once)
			p.announced()
			p.want(v1alpha1.StepStarted, "tried again at")
			tc.after(p, host)
			if p.runner.Withdraw(p.record, p.step, &p.status) {
				t.Error("what may have been made cannot be taken back")
			}
			p.want(tc.state, "cannot be told whether POST")
		})
	}
}

// TestGetTooLate finds a call that changes nothing after a restart, when its time is over. Nobody has to look whether it was made.
func TestGetTooLate(t *testing.T) {
	host := newCallee(t, json200("{}"))
	for _, method := range []string{"GET", "HEAD"} {
		p := newCall(t, host, `{method: `+method+`, url: HOST/a}`)
		p.idempotent()
		p.announced()
		p.restart()
		p.later(time.Hour)
		p.want(v1alpha1.StepFailed, "is over, and "+method, "had no answer")
	}
}
