package faults

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// peer is the host of calls. What it is asked to do with a key that it knows it does once under /plan and /again; elsewhere it does it each time.
type peer struct {
	*httptest.Server
	world *world

	mu   sync.Mutex
	done map[string][]string
	// refused are the paths under /again of which the first call was refused.
	refused map[string]bool
	// polled counts, by path, who asked whether it is done.
	polled map[string]int
	back   time.Time
}

func newPeer(w *world) *peer {
	p := &peer{world: w, done: map[string][]string{}, refused: map[string]bool{}, polled: map[string]int{}}
	p.Server = httptest.NewTLSServer(p)
	return p
}

// answered is what a call is answered that does something.
var answered = map[string]any{"seen": "what is there"}

// ServeHTTP does what a call asks for, or says whether it has.
func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if key := r.URL.Query().Get("key"); key != "" {
		p.answer(w, map[string]any{"made": len(p.madeWith(r.URL.Path, key)) > 0, "answer": answered})
		return
	}
	struck := p.world.script.reached(r.URL.Path, true)
	if struck != nil && !struck.at.after {
		p.strike(struck)
	}
	if p.isAway() {
		panic(http.ErrAbortHandler)
	}
	if p.refuses(r.URL.Path) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	said := answered
	if r.Method == http.MethodGet {
		said = map[string]any{"polled": p.poll(r.URL.Path)}
	} else {
		p.do(r.URL.Path, r.Header.Get("Idempotency-Key"))
	}
	if struck != nil && struck.at.after {
		p.strike(struck)
		panic(http.ErrAbortHandler)
	}
	p.answer(w, said)
}

// poll counts how often it was asked whether something is done.
func (p *peer) poll(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polled[path]++
	return p.polled[path]
}

func (p *peer) answer(w http.ResponseWriter, what map[string]any) {
	if p.isAway() {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what)
}

// strike makes a fault happen while a call is here. Nobody knows which of two operators has sent it.
func (p *peer) strike(f *fault) {
	if f.victim == operator {
		p.world.killAll()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.back = time.Now().Add(outage)
}

func (p *peer) isAway() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.back)
}

// refuses reports whether this is the first call of a step that is tried again.
func (p *peer) refuses(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.HasPrefix(path, "/again/") || p.refused[path] {
		return false
	}
	p.refused[path] = true
	return true
}

func (p *peer) refusedFirst(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused["/again/"+name]
}

func (p *peer) do(path, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tellsApart := strings.HasPrefix(path, "/plan/") || strings.HasPrefix(path, "/again/")
	for _, known := range p.done[path] {
		if known == key && tellsApart {
			return
		}
	}
	p.done[path] = append(p.done[path], key)
}

// made is how often something was done.
func (p *peer) made(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.done[path])
}

func (p *peer) madeWith(path, key string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, known := range p.done[path] {
		if known == key {
			out = append(out, known)
		}
	}
	return out
}
