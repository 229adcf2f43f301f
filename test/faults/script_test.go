package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// victim is what a fault stops.
type victim string

const (
	operator  victim = "operator"
	apiServer victim = "API server"
	host      victim = "host"
	// killedServer is the API server, as a process that gets SIGKILL and is started again. It takes seconds, so that most faults only cut its connections.
	killedServer victim = "API server by SIGKILL"
)

// at is where in the life of a request a fault strikes: at its n-th write or its n-th call of a host, before it comes through or after.
type at struct {
	call  bool
	n     int
	after bool
}

// fault is one of something, at one point.
type fault struct {
	victim victim
	at     at
}

// length is how many writes and calls the life of a request has.
type length struct{ writes, calls int }

// faults are all that can strike in a life of that length.
func (l length) faults() []fault {
	var out []fault
	add := func(who victim, call bool, n int) {
		for i := range n {
			out = append(out, fault{who, at{call, i + 1, false}}, fault{who, at{call, i + 1, true}})
		}
	}
	add(operator, false, l.writes)
	add(apiServer, false, l.writes)
	add(killedServer, false, l.writes)
	add(operator, true, l.calls)
	add(host, true, l.calls)
	return out
}

// script says which fault strikes in the life of which request, and counts.
type script struct {
	mu      sync.Mutex
	faults  map[string]*fault
	lengths map[string]*length
	counts  map[string]int
}

func newScript() *script {
	return &script{faults: map[string]*fault{}, lengths: map[string]*length{}, counts: map[string]int{}}
}

// expect makes a fault strike in the life of a request, once.
func (s *script) expect(name string, f *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[name] = f
}

// reached counts a write or a call of the request that a text names, and gives what strikes there. Nil: nothing.
func (s *script) reached(text string, call bool) *fault {
	at := strings.Index(text, "fault-")
	if at < 0 || len(text) < at+10 {
		return nil
	}
	name := text[at : at+10]
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lengths[name]
	if l == nil {
		l = &length{}
		s.lengths[name] = l
	}
	n := &l.writes
	if call {
		n = &l.calls
	}
	*n++
	f := s.faults[name]
	if f == nil || f.at.call != call || f.at.n != *n {
		return nil
	}
	delete(s.faults, name)
	s.counts[string(f.victim)]++
	return f
}

func (s *script) lengthOf(name string) length {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lengths[name]; l != nil {
		return *l
	}
	return length{}
}

// fired counts the faults that have struck.
func (s *script) fired() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := 0
	for _, n := range s.counts {
		sum += n
	}
	return sum
}

func (s *script) table() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for who, n := range s.counts {
		lines = append(lines, fmt.Sprintf("%5d × %s", n, who))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
