package guard

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/internal/guard/canary"
	"github.com/signoff-dev/signoff/internal/metawatch"
)

// read reads again what changed, and says all that is wrong, in the order of what is protected. An error: something could not be read.
func (g *Guard) read(ctx context.Context) ([]string, error) {
	now := g.Clock.Now()
	all := g.lastRead.IsZero() || now.Sub(g.lastRead) >= rereadAfter
	var errs []error
	for _, p := range g.Protected {
		if !g.toRead(p, all) {
			continue
		}
		if err := g.readOne(ctx, p); err != nil {
			g.notice(p, true, "")
			errs = append(errs, err)
		}
	}
	if all {
		g.lastRead = now
	}
	var wrong []string
	var seen []*Seen
	for _, p := range g.Protected {
		if found := g.found[p]; found != nil {
			wrong, seen = append(wrong, found.Wrong...), append(seen, found)
		}
	}
	return append(wrong, Apart(seen...)...), errors.Join(errs...)
}

// toRead takes an object from those that must be read.
func (g *Guard) toRead(p *Protected, all bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	stale := g.stale[p]
	delete(g.stale, p)
	return all || stale
}

// readOne compares one object, and remembers what is wrong with it.
func (g *Guard) readOne(ctx context.Context, p *Protected) error {
	found, err := p.Examine(ctx, g.Objects)
	switch {
	case apierrors.IsForbidden(err):
		found = &Seen{Wrong: []string{fmt.Sprintf("%s cannot be read: apply config/rbac/role.yaml of this version (%v)", p, err)}}
	case err != nil:
		return fmt.Errorf("failed to read %s: %w", p, err)
	}
	g.found[p] = found
	g.mu.Lock()
	g.seen[p] = found.version
	g.mu.Unlock()
	return nil
}

// Seen is what was found of an object.
type Seen struct {
	// Wrong is what is not as it must be, in words.
	Wrong []string
	// version is the resource version that was compared. Empty: it is not there, or cannot be read.
	version string
	// places are where its webhooks are served.
	places []place
}

// Examine reads the object, and says what is wrong with it by itself. Apart says what is wrong with several together. An error says that it could
// not be read.
func (p *Protected) Examine(ctx context.Context, objects dynamic.Interface) (*Seen, error) {
	live, err := objects.Resource(resources[p.kind]).Get(ctx, p.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return &Seen{Wrong: []string{p.String() + " is missing: install it again"}}, nil
	case err != nil:
		return nil, err
	case live.GetDeletionTimestamp() != nil:
		return &Seen{Wrong: []string{p.String() + " is being deleted"}, version: live.GetResourceVersion()}, nil
	}
	return &Seen{Wrong: p.compare(live.Object), version: live.GetResourceVersion(), places: p.places(live.Object)}, nil
}

// notice makes an object be read again, unless it was read at this version. Empty: it is gone, or nobody knows.
func (g *Guard) notice(p *Protected, always bool, version string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !always && g.seen[p] == version {
		return
	}
	g.stale[p] = true
	if always {
		return
	}
	select {
	case g.poke <- struct{}{}:
	default:
	}
}

// watch watches each object by its name, because the guard may not read others. Only metadata comes, and none of it is kept.
func (g *Guard) watch(ctx context.Context) {
	for _, p := range g.Protected {
		only := fields.OneTermEqualSelector(metav1.ObjectNameField, p.name)
		go metawatch.Run(ctx, "guard-"+p.name, g.Metadata.Resource(resources[p.kind]), only, func(meta *metav1.PartialObjectMetadata) {
			version := ""
			if meta != nil {
				version = meta.ResourceVersion
			}
			g.notice(p, false, version)
		})
	}
}

// sing sends a canary. It gives what is wrong, or the error by which nobody can tell.
func (g *Guard) sing(ctx context.Context) ([]string, error) {
	nonce := canary.Nonce()
	err := g.Client.Create(ctx, canary.Request(g.Namespace, nonce), client.DryRunAll)
	switch {
	case err == nil:
		return []string{"the API server does not ask the validating webhook: it would have stored a request that is always refused"}, nil
	case canary.Answered(err):
		if forged := canary.Check(g.Checker, nonce, err); forged != nil {
			return []string{fmt.Sprintf("the webhooks answer, but not as Signoff's: %v", forged)}, nil
		}
		return nil, nil
	case canary.HasNoKey(err):
		return []string{fmt.Sprintf("Signoff's admission has no key to prove by that it is asked: %v", err)}, nil
	case unanswered(err):
		return nil, fmt.Errorf("the webhooks do not answer: %w", err)
	}
	return []string{fmt.Sprintf("the webhooks are not asked, or something refuses before them: %v", err)}, nil
}

// unanswered tells of an error from which nobody can tell whether the webhooks are asked: the API server, or a webhook, is not there.
func unanswered(err error) bool {
	status := apierrors.APIStatus(nil)
	return !errors.As(err, &status) || apierrors.IsInternalError(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsUnauthorized(err)
}
