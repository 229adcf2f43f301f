package auditlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/internal/config"
)

// openEvery is how often sinks that could not be opened are looked at while nobody writes.
const openEvery = time.Second

// Options say where facts go.
type Options struct {
	// Audit is the configuration.
	Audit config.Audit
	// Keys signs checkpoints, and KeysRead says that the keys have not been read yet.
	Keys     Keys
	KeysRead func() error
	// Cluster is the uid of the namespace kube-system.
	Cluster string
	// Clock tells the time.
	Clock clock.WithTicker
	// Stdout is the standard output.
	Stdout io.Writer
	// Log is the log of the process.
	Log logr.Logger
}

// Log writes facts to all sinks. It may be used concurrently.
type Log struct {
	options Options
	sinks   []*sink
	senders []*sender
}

// New makes a log. Nothing is opened before Start or the first fact.
func New(options Options) (*Log, error) {
	l := &Log{options: options}
	d := realDisk(options.Clock.Now)
	names := map[string]int{}
	name := func(kind string) string {
		if names[kind]++; names[kind] > 1 {
			return fmt.Sprintf("%s-%d", kind, names[kind])
		}
		return kind
	}
	for i := range options.Audit.Sinks {
		switch c := &options.Audit.Sinks[i]; {
		case c.Stdout != nil:
			l.add(name("stdout"), &stdout{out: options.Stdout})
		case c.File != nil:
			l.add(name("file"), &file{path: c.File.Path, disk: d})
		case c.HTTP != nil:
			if err := l.addReceiver(name("http"), c.HTTP, d); err != nil {
				return nil, err
			}
		}
	}
	show(l)
	return l, nil
}

func (l *Log) add(name string, m medium) {
	l.sinks = append(l.sinks, &sink{
		name: name, medium: m, keys: l.options.Keys, cluster: l.options.Cluster, lines: int64(l.options.Audit.Checkpoints.Lines),
		clock: l.options.Clock, log: l.options.Log, seen: lru.New(remembered),
	})
}

func (l *Log) addReceiver(name string, c *config.AuditHTTP, d disk) error {
	most := c.OutboxMiB
	if most == 0 {
		most = config.DefaultOutboxMiB
	}
	box := newOutbox(c.OutboxDir, int64(most)<<20, d)
	s, err := newSender(name, box, c, l.options.Clock, l.options.Log)
	if err != nil {
		return err
	}
	l.add(name, box)
	l.senders = append(l.senders, s)
	return nil
}

// Write writes the facts that are not known to have been written lately, and returns when every sink has them where they outlive the process.
// The error says which sink does not; what others have is not written there again.
func (l *Log) Write(facts ...audit.Event) error {
	var errs []error
	for _, s := range l.sinks {
		if err := s.write(facts); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Ready says why nothing may be started: what would be done could not be written down.
func (l *Log) Ready() error {
	var errs []error
	for _, s := range l.sinks {
		if err := s.ready(); err != nil {
			errs = append(errs, &Error{Sink: s.name, cause: err})
		}
	}
	return errors.Join(errs...)
}

// deliveryMargin is how long after a fact was taken it may have come into an outbox.
const deliveryMargin = 5 * time.Minute

// Delivered says why facts that were taken until an instant might be lost with the cluster: a sink is broken, or a receiver does not have them yet.
func (l *Log) Delivered(until time.Time) error {
	if err := l.Ready(); err != nil {
		return err
	}
	var errs []error
	for _, s := range l.senders {
		if lines, _, since := s.outbox.waiting(); lines > 0 && !since.After(until.Add(deliveryMargin)) {
			errs = append(errs, &Error{Sink: s.name, cause: fmt.Errorf("%d lines wait for the receiver, since %s", lines, since.UTC().Format(time.RFC3339))})
		}
	}
	return errors.Join(errs...)
}

// NeedLeaderElection says that only the leader writes.
func (*Log) NeedLeaderElection() bool { return true }

// Start opens the sinks, delivers, and signs from time to time, until the context ends. Then it signs everything and lets go.
func (l *Log) Start(ctx context.Context) error {
	var group sync.WaitGroup
	for _, s := range l.senders {
		group.Go(func() { s.run(ctx) })
	}
	l.loop(ctx)
	group.Wait()
	var errs []error
	for _, s := range l.sinks {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

func (l *Log) loop(ctx context.Context) {
	every := l.options.Audit.Checkpoints.Every.Duration
	sign, open := l.options.Clock.NewTicker(every), l.options.Clock.NewTicker(min(every, openEvery))
	defer sign.Stop()
	defer open.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sign.C():
			for _, s := range l.sinks {
				s.settle()
			}
		case <-open.C():
			if l.options.KeysRead() == nil {
				// Who wants to start something is told. Here it only matters that it is tried.
				_ = l.Ready()
			}
		}
	}
}
