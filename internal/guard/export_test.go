package guard

import "context"

// Compare says how a live object differs.
func (p *Protected) Compare(live map[string]any) []string { return p.compare(live) }

// See is what is found of a live object.
func (p *Protected) See(live map[string]any) *Seen {
	return &Seen{Wrong: p.compare(live), places: p.places(live)}
}

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
