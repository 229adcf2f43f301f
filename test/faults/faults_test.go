// Package faults kills the operator, the API server and the host of a call at every point of the life of a request, and counts at the far end what
// was done: nothing lost, nothing doubled, and nobody asked twice.
package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// runsVariable says how many runs with a fault there are at least, of every fault at every point in turn. Empty: one of each so many, from a random one
// on. `make faults` plays all of them.
const runsVariable = "FAULT_RUNS"

const (
	// lanes is how many requests live at the same time.
	lanes = 8
	// sample is which part of the faults is played where nobody says how many.
	sample = 12
	// further is that for two operators, which takes as long again.
	further = 48
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// TestEveryPoint plays requests of every shape undisturbed, to learn their points, and then with faults at those points, with one operator and with two
// that do not know of each other.
func TestEveryPoint(t *testing.T) {
	w := start(t)
	w.operators(1)
	points := map[string]length{}
	for _, shape := range shapes {
		name := w.name()
		w.live(t, shape, name)
		points[shape.action] = w.script.lengthOf(name)
		t.Logf("%s: %+v", shape.action, points[shape.action])
	}
	if t.Failed() {
		return
	}
	wanted, _ := strconv.Atoi(os.Getenv(runsVariable))
	all := wanted > 0
	for again := true; again && !t.Failed(); again = w.script.fired() < wanted {
		for count, part := range []int{sample, further} {
			if all {
				part = 1
			}
			w.operators(count + 1)
			w.playAll(t, chosen(points, part))
		}
	}
	t.Logf("%d runs with a fault, %d operators started:\n%s", w.script.fired(), w.started.Load(), w.script.table())
}

// run is a life with a fault.
type run struct {
	shape shape
	fault fault
}

// chosen are the lives to play: with one of so many faults.
func chosen(points map[string]length, part int) []run {
	var runs []run
	for _, shape := range shapes {
		for _, f := range points[shape.action].faults() {
			runs = append(runs, run{shape, f})
		}
	}
	if part == 1 {
		return runs
	}
	// One API server is killed: starting it takes seconds.
	kills := slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return r.fault.victim != killedServer })
	runs = slices.DeleteFunc(runs, func(r run) bool { return r.fault.victim == killedServer })
	some := []run{kills[rand.IntN(len(kills))]}
	for i := rand.IntN(part); i < len(runs); i += part {
		some = append(some, runs[i])
	}
	return some
}

// playAll plays lives, some of them at the same time.
func (w *world) playAll(t *testing.T, lives []run) {
	t.Helper()
	runs := make(chan run)
	var all sync.WaitGroup
	for range lanes {
		all.Go(func() {
			for r := range runs {
				name := w.name()
				w.script.expect(name, &r.fault)
				w.live(t, r.shape, name)
			}
		})
	}
	for _, r := range lives {
		runs <- r
	}
	close(runs)
	all.Wait()
}

func (w *world) name() string { return fmt.Sprintf("fault-%04d", w.names.Add(1)) }
