package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/signoff-dev/signoff/hack/assets"
)

// tick is how often a watch says that it is alive.
const tick = 10 * time.Second

// watch says every tick how long something has been running.
type watch struct {
	started time.Time
	quit    chan struct{}
	done    chan struct{}
}

// startWatch starts to report under the title; each detail may add to the line.
func startWatch(title string, details ...func() string) *watch {
	w := &watch{started: time.Now(), quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-ticker.C:
				var line strings.Builder
				for _, detail := range details {
					line.WriteString(detail())
				}
				note("%s: %s%s", title, round(w.elapsed()), line.String())
			}
		}
	}()
	return w
}

func (w *watch) stop() {
	close(w.quit)
	<-w.done
}

func (w *watch) elapsed() time.Duration {
	return time.Since(w.started)
}

// estimate guesses how long the rest of a build takes: by what was measured with empty caches until the first program is
// done, and by the pace so far from then on.
type estimate struct {
	mu       sync.Mutex
	started  time.Time
	cold     time.Duration
	total    int // weight of all programs
	finished int // weight of those that are done
	pace     time.Duration
}

func newEstimate(set assets.Set) *estimate {
	e := &estimate{started: time.Now(), cold: time.Duration(set.ColdSeconds) * time.Second}
	for _, program := range set.Programs {
		e.total += program.Weight
	}
	return e
}

// finish notes that a program is done.
func (e *estimate) finish(program assets.Program) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finished += program.Weight
	e.pace = time.Since(e.started) / time.Duration(max(1, e.finished))
}

// left is the guess, given how long the build has run.
func (e *estimate) left(elapsed time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.finished == 0 {
		return roundUp(e.cold*time.Duration(e.total)/100 - elapsed)
	}
	return roundUp(e.pace*time.Duration(e.total) - elapsed)
}

// describe says what remains, or nothing when the guess has proved too low.
func (e *estimate) describe() string {
	if left := e.left(time.Since(e.started)); left > 0 {
		return fmt.Sprintf(", about %s left", left)
	}
	return ""
}

func roundUp(d time.Duration) time.Duration {
	const step = 10 * time.Second
	return max(0, (d + step - 1).Truncate(step))
}

// tail keeps the output of a command, and knows whether its last line is about a download.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends to the output.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(p)
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}

func (t *tail) downloading() string {
	text := t.text()
	last := text[strings.LastIndexByte(text, '\n')+1:]
	if module, ok := strings.CutPrefix(last, "go: downloading "); ok {
		return ", downloading " + module
	}
	return ""
}
