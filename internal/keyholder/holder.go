package keyholder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/signoff-dev/signoff/internal/keys"
	"github.com/signoff-dev/signoff/internal/seal"
)

const (
	// period is how often everything is read anew, whether or not a watch reports a change.
	period = 15 * time.Second
	// retry is how soon after a failure it is tried again, at first.
	retry = time.Second
	// callTimeout bounds one round of reading and writing.
	callTimeout = 10 * time.Second
	// leaveTimeout bounds what is done after the end.
	leaveTimeout = 2 * time.Second
	// refreshEvery is how often the keys are read for seals by unknown keys.
	refreshEvery = time.Second
)

// Holder holds the keys of a process.
type Holder struct {
	options Options
	store   *store
	core    coreclient.CoreV1Interface
	leases  coordinationclient.LeasesGetter

	// current is what the process goes by.
	current atomic.Pointer[view]
	// leading counts, per purpose, the elections that were won and not lost again.
	leading map[seal.Purpose]*atomic.Int32
	// wake says that something has changed.
	wake chan struct{}

	// turnstile has room for one: who reads or writes.
	turnstile chan struct{}
	// readings and refreshed are used within the turnstile.
	readings  *readings
	refreshed time.Time
}

var _ manager.LeaderElectionRunnable = (*Holder)(nil)

// New makes a holder. Nothing is read before Start or Refresh.
func New(options Options) (*Holder, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	core, err := coreclient.NewForConfig(options.Config)
	if err != nil {
		return nil, fmt.Errorf("failed to make the holder of keys: %w", err)
	}
	leases, err := coordinationclient.NewForConfig(options.Config)
	if err != nil {
		return nil, fmt.Errorf("failed to make the holder of keys: %w", err)
	}
	ring, err := seal.NewKeyring()
	if err != nil {
		return nil, fmt.Errorf("failed to make the holder of keys: %w", err)
	}
	h := &Holder{
		options: options,
		store:   &store{client: options.Client, namespace: options.Namespace, files: options.Files},
		core:    core, leases: leases,
		leading: map[seal.Purpose]*atomic.Int32{}, wake: make(chan struct{}, 1),
		turnstile: make(chan struct{}, 1), readings: newReadings(options.Holds),
	}
	for _, purpose := range options.Holds {
		h.leading[purpose] = &atomic.Int32{}
	}
	h.current.Store(&view{ring: ring})
	h.show()
	return h, nil
}

// NeedLeaderElection says that every replica holds keys. Who takes the steps is elected per purpose.
func (*Holder) NeedLeaderElection() bool { return false }

// Start follows the keys, and takes part in electing who takes the steps, until the context ends.
func (h *Holder) Start(ctx context.Context) error {
	campaigns, err := h.campaigns()
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for _, part := range append(campaigns, h.watches()...) {
		group.Go(func() { part(ctx) })
	}
	h.loop(ctx)
	group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	h.leave(last)
	return nil
}

// loop reads, reports and takes steps: at once where something has changed, and always after a while.
func (h *Holder) loop(ctx context.Context) {
	delay := retry
	for ctx.Err() == nil {
		err := h.settle(ctx)
		wait := period
		if err != nil && ctx.Err() == nil {
			log.FromContext(ctx).WithName("keys").Error(err, "failed to bring the keys up to date")
			wait, delay = delay, min(2*delay, period)
		} else {
			delay = retry
		}
		timer := h.options.Clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-h.wake:
		case <-timer.C():
		}
		timer.Stop()
	}
}

func (h *Holder) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// enter waits for its turn to read and write. The function that it gives ends the turn.
func (h *Holder) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.turnstile <- struct{}{}:
		return func() { <-h.turnstile }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("failed to read the keys: %w", ctx.Err())
	}
}

// look reads everything, and goes by it from now on.
func (h *Holder) look(ctx context.Context) error {
	err := h.read(ctx)
	before, now := h.current.Load(), h.decide()
	h.current.Store(now)
	h.show()
	if h.options.Changed != nil && !now.same(before) {
		h.options.Changed()
	}
	return err
}

// Refresh reads the keys live, at most once a second, for a seal by an unknown key. The error says that the public keys could not be read.
func (h *Holder) Refresh(ctx context.Context) error {
	leave, err := h.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	now := h.options.Clock.Now()
	if last := now.Sub(h.refreshed); last < 0 || last >= refreshEvery || h.refreshed.IsZero() {
		h.refreshed = now
		// What concerns private keys only is for whoever wants to sign.
		_ = h.look(ctx)
	}
	return errors.Join(h.readings.public.broken, h.readings.public.failed)
}

// Keyring gives all public keys as they were read last.
func (h *Holder) Keyring() *seal.Keyring { return h.current.Load().ring }

// standing is how it stands with the keys of a purpose now.
func (h *Holder) standing(purpose seal.Purpose) *standing {
	if !slices.Contains(h.options.Holds, purpose) {
		return &standing{state: Elsewhere, message: "this process does not hold this key"}
	}
	if s := h.current.Load().standings[purpose]; s != nil {
		return s.at(h.options.Clock.Now())
	}
	return &standing{state: Unknown, message: "the keys have not been read yet"}
}

// Sign seals a payload with the key of the purpose that its type needs. The error is an *Error where there is none to sign with, and
// otherwise a *seal.Error.
func (h *Holder) Sign(p seal.Payload) (*seal.Envelope, error) {
	purpose := p.Type().Signer()
	s := h.standing(purpose)
	if s.signer == nil {
		return nil, &Error{Reason: reasonOf(s.state), Purpose: purpose, message: s.message}
	}
	return s.signer.Sign(p)
}

// Keyed gives a hash of a message by the key of a purpose, that tells nothing to whoever has not the key, and the name of that key. The error is an
// *Error where there is none.
func (h *Holder) Keyed(purpose seal.Purpose, message []byte) (key string, hash []byte, err error) {
	s := h.standing(purpose)
	if s.signer == nil {
		return "", nil, &Error{Reason: reasonOf(s.state), Purpose: purpose, message: s.message}
	}
	return s.signer.KeyID(), s.signer.Keyed(message), nil
}

// State says how it stands with the keys of a purpose: in a word, and for people.
func (h *Holder) State(purpose seal.Purpose) (keys.State, string) {
	s := h.standing(purpose)
	return s.state, s.message
}

// Ready says why this process is not fit to seal, or nil.
func (h *Holder) Ready() error {
	var errs []error
	for _, purpose := range h.options.Holds {
		if s := h.standing(purpose); s.signer == nil {
			errs = append(errs, &Error{Reason: reasonOf(s.state), Purpose: purpose, message: s.message})
		}
	}
	return errors.Join(errs...)
}
