package guard

import "context"

// Compare says how a live object differs.
func (p *Protected) Compare(live map[string]any) []string { return p.compare(live) }

// Look does once what Start does again and again.
func (g *Guard) Look(ctx context.Context) {
	if g.started.IsZero() {
		g.started = g.Clock.Now()
	}
	g.look(ctx)
}

// Notice passes on that an object is there at a version, or is gone.
func (g *Guard) Notice(p *Protected, version string) { g.notice(p, false, version) }

// Shown is the metric.
var Shown = shown
