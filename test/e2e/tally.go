package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// tally is what became of what was tried in a scene.
type tally struct {
	title         string
	began         time.Time
	took, longest time.Duration
	accepted      int
	refused       []string
}

// tallies has one for each scene.
type tallies struct {
	// dir is where those who type read what became of it.
	dir string
	// scenes lets a scene end when everything that was begun in it is answered.
	scenes sync.RWMutex
	mu     sync.Mutex
	all    []*tally
}

// begin begins a new one.
func (t *tallies) begin(title string) {
	t.end()
	t.scenes.Lock()
	defer t.scenes.Unlock()
	t.all = append(t.all, &tally{title: title, began: time.Now()})
	t.write()
}

// end says how long the scene took.
func (t *tallies) end() {
	t.scenes.Lock()
	defer t.scenes.Unlock()
	if len(t.all) > 0 {
		t.now().took = time.Since(t.now().began)
	}
}

func (t *tallies) now() *tally { return t.all[len(t.all)-1] }

// attempt does what may be refused, and gives why it was.
func (t *tallies) attempt(what func() error) error {
	t.scenes.RLock()
	defer t.scenes.RUnlock()
	began := time.Now()
	err := what()
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.write()
	now := t.now()
	if err != nil {
		now.refused = append(now.refused, strings.ReplaceAll(err.Error(), "\n", " "))
		return err
	}
	now.accepted, now.longest = now.accepted+1, max(now.longest, time.Since(began))
	return nil
}

// write lets those who type see how many were accepted, and what was refused. A file that cannot be written is one that they miss.
func (t *tallies) write() {
	var text strings.Builder
	for _, line := range t.now().refused {
		text.WriteString(line + "\n")
	}
	_ = os.WriteFile(filepath.Join(t.dir, "accepted"), fmt.Appendln(nil, t.now().accepted), 0o644)
	_ = os.WriteFile(filepath.Join(t.dir, "refused"), []byte(text.String()), 0o644)
}

// asked finds scenes in which nobody was there to notice anything.
func (t *tallies) asked() error {
	var errs []error
	for _, tally := range t.all {
		if tally.accepted == 0 {
			errs = append(errs, fmt.Errorf("nothing was accepted while %q", tally.title))
		}
	}
	return errors.Join(errs...)
}

// table shows what became of it in each scene.
func (t *tallies) table() string {
	var out strings.Builder // which takes everything
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "While\tfor\taccepted\trefused\tlongest wait")
	accepted, refused := 0, 0
	for _, tally := range t.all {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", tally.title, tally.took.Round(time.Second), tally.accepted, len(tally.refused),
			tally.longest.Round(time.Millisecond))
		accepted, refused = accepted+tally.accepted, refused+len(tally.refused)
	}
	_, _ = fmt.Fprintf(table, "Together\t\t%d\t%d\n", accepted, refused)
	_ = table.Flush()
	return out.String()
}
