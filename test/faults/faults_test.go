// Package faults kills the operator, the API server and the host of a call at every point of the life of a request, and counts at the far end what
// was done: nothing lost, nothing doubled, and nobody asked twice.
package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// runsVariable says how many runs with a fault there are at least, of every fault at every point in turn. Empty: one of each so many, from a random one
// on. `make faults` plays all of them.
const runsVariable = "FAULT_RUNS"

// lanes is how many requests live at the same time.
const lanes = 8

// portion says which faults are played: one of so many of those that kill the API server, and one of so many others.
type portion struct{ kills, others int }

// few is more than there are: one is played.
const few = 1 << 20

// The tests play a sample, and `make faults` everything, but for one thing: after a kill the operator finds the API server again only when its watches
// do, which wait up to half a minute, so that it takes longer than all else. With two operators it is done at some points.
var (
	sampled = []portion{{few, 12}, {few, 48}}
	whole   = []portion{{1, 1}, {6, 1}}
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
	portions := sampled
	if wanted > 0 {
		portions = whole
	}
	for again := true; again && !t.Failed(); again = w.script.fired() < wanted {
		for i, operators := range []string{"one operator", "two operators"} {
			t.Run(operators, func(t *testing.T) {
				w.operators(i + 1)
				w.playAll(t, portions[i].of(points))
			})
		}
	}
	t.Logf("%d runs with a fault, %d operators started:\n%s", w.script.fired(), w.started.Load(), w.script.table())
}

// run is a life with a fault.
type run struct {
	shape shape
	fault fault
}

// of are the lives to play, of requests of every shape.
func (p portion) of(points map[string]length) []run {
	var kills, others []run
	for _, shape := range shapes {
		for _, f := range points[shape.action].faults() {
			if f.victim == killedServer {
				kills = append(kills, run{shape, f})
			} else {
				others = append(others, run{shape, f})
			}
		}
	}
	return append(oneOf(p.kills, kills), oneOf(p.others, others)...)
}

// oneOf takes one of so many, from a random one on.
func oneOf(many int, runs []run) []run {
	many = min(many, len(runs))
	var some []run
	for i := rand.IntN(many); i < len(runs); i += many {
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
