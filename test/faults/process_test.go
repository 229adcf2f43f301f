package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/signoff-dev/signoff/internal/setup"
)

// outage is how long a stopped API server or host stays away.
const outage = 100 * time.Millisecond

var errCut = errors.New("the connection was cut by the test")

// process is one life of the operator. Once it is dead, nothing that it sends arrives, and it learns nothing more.
type process struct {
	world *world
	dead  atomic.Bool
	kill  context.CancelFunc
}

// keep runs an operator, and another one whenever it was killed, until the context ends.
func (w *world) keep(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.run(ctx); err != nil && ctx.Err() == nil {
			w.Errorf("an operator did not start: %v", err)
			return
		}
	}
}

// run runs an operator until it is killed.
func (w *world) run(ctx context.Context) error {
	p := &process{world: w}
	ctx, p.kill = context.WithCancel(ctx)
	defer p.kill()
	cfg := w.Signoff.Configuration()
	cfg.Health.BindAddress = "0"
	credentials := rest.CopyConfig(w.Signoff.Operator)
	credentials.Wrap(func(base http.RoundTripper) http.RoundTripper { return &line{process: p, base: base} })
	made, err := setup.New(cfg, credentials, w.clock, setup.Parts{Controllers: true})
	if p.dead.Load() || err != nil && errors.Is(err, errCut) {
		return nil
	}
	if err != nil {
		return err
	}
	w.add(p)
	defer w.remove(p)
	w.started.Add(1)
	if err := made.Manager.Start(ctx); err != nil && !p.dead.Load() && ctx.Err() == nil && !errors.Is(err, errCut) {
		return err
	}
	return nil
}

// die kills the process as SIGKILL would.
func (p *process) die() {
	p.dead.Store(true)
	p.kill()
}

// line is a connection of a process to the API server.
type line struct {
	process *process
	base    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l *line) RoundTrip(request *http.Request) (*http.Response, error) {
	if l.process.dead.Load() || l.process.world.away() {
		return nil, errCut
	}
	struck, err := l.strikes(request)
	if err != nil {
		return nil, err
	}
	if struck != nil && !struck.at.after {
		l.strike(struck)
		return nil, errCut
	}
	response, err := l.base.RoundTrip(request)
	if struck != nil {
		l.strike(struck)
	}
	if (struck != nil || l.process.dead.Load()) && err == nil {
		_ = response.Body.Close()
		return nil, errCut
	}
	return response, err
}

// strikes tells which fault strikes at a request.
func (l *line) strikes(request *http.Request) (*fault, error) {
	if request.Method == http.MethodGet || request.Body == nil || strings.Contains(request.URL.RawQuery, "dryRun=All") ||
		strings.Contains(request.URL.Path, "/events") || strings.Contains(request.URL.Path, "accessreviews") {
		return nil, nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	_ = request.Body.Close()
	request.Body = io.NopCloser(bytes.NewReader(body))
	return l.process.world.script.reached(request.URL.Path+" "+string(body), false), nil
}

// strike makes a fault happen.
func (l *line) strike(f *fault) {
	switch f.victim {
	case operator:
		l.process.die()
	case killedServer:
		l.process.world.killServer()
	default:
		l.process.world.leave()
	}
}
