package calendar

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// maxZones bounds how many zones a Calendar may use, because the cost of an answer grows with them.
const maxZones = 16

// Compile checks a spec and compiles it. It reports every error, and gives a Calendar only where there is none.
func Compile(spec *v1alpha1.CalendarSpec, path *field.Path) (*Calendar, field.ErrorList) {
	if spec == nil {
		return nil, field.ErrorList{field.Required(path, "says when the Calendar is open")}
	}
	c := newCompiler()
	c.own = c.loadZone(spec.TimeZone, path.Child("timeZone"))
	if len(spec.Windows) == 0 {
		c.fail(field.Required(path.Child("windows"), "at least one window is needed"))
	}
	for i := range spec.Windows {
		c.window(&spec.Windows[i], open, path.Child("windows").Index(i))
	}
	for i := range spec.Except {
		c.window(&spec.Except[i], closed, path.Child("except").Index(i))
	}
	if len(c.zones) > maxZones {
		c.fail(field.Forbidden(path.Child("windows"), fmt.Sprintf(
			"the windows and exceptions use %d time zones: at most %d are accepted", len(c.zones), maxZones)))
	}
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	return c.calendar(), nil
}

// compiler gathers what the windows of a spec say, per zone.
type compiler struct {
	own   *time.Location
	zones []*zoneBuilder
	known map[string]*time.Location
	errs  field.ErrorList
}

func newCompiler() *compiler {
	return &compiler{known: map[string]*time.Location{}}
}

func (c *compiler) fail(err *field.Error) {
	c.errs = append(c.errs, err)
}

// window compiles one window, of which every part is checked.
func (c *compiler) window(w *v1alpha1.Window, s state, path *field.Path) {
	location := c.own
	if w.TimeZone != "" {
		location = c.loadZone(w.TimeZone, path.Child("timeZone"))
	}
	switch {
	case w.Weekly != nil && w.Dates != nil:
		c.fail(field.Forbidden(path.Child("dates"), "exactly one of weekly and dates is accepted: use two windows"))
	case w.Weekly != nil:
		if spans, ok := c.weekly(w.Weekly, path.Child("weekly")); ok {
			c.zone(location).paint(spans, s)
		}
	case w.Dates != nil:
		if dates, ok := c.dates(w.Dates, path.Child("dates")); ok {
			dates.state = s
			c.zone(location).dates = append(c.zone(location).dates, dates)
		}
	default:
		c.fail(field.Required(path, "one of weekly and dates is needed"))
	}
}

// zone gives the builder for a zone. Where the zone could not be loaded, the errors say so and the builder is never used.
func (c *compiler) zone(location *time.Location) *zoneBuilder {
	if location == nil {
		return &zoneBuilder{}
	}
	for _, z := range c.zones {
		if z.location.String() == location.String() {
			return z
		}
	}
	z := &zoneBuilder{location: location}
	c.zones = append(c.zones, z)
	return z
}

// calendar puts together what the zones say.
func (c *compiler) calendar() *Calendar {
	result := &Calendar{location: c.own}
	for _, z := range c.zones {
		tracks, marks := z.tracks()
		if len(tracks) > 0 {
			result.zones = append(result.zones, zone{location: z.location, tracks: tracks})
			result.marks = append(result.marks, marks...)
		}
	}
	slices.Sort(result.marks)
	result.marks = slices.Compact(result.marks)
	return result
}
