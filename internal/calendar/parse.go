package calendar

import (
	"regexp"
	"slices"
	"time"
	_ "time/tzdata" // so that zones are known where the system has none, as in a container from scratch

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// weekdays are in the order of minutes of the week.
var weekdays = []v1alpha1.Weekday{
	v1alpha1.Monday, v1alpha1.Tuesday, v1alpha1.Wednesday, v1alpha1.Thursday, v1alpha1.Friday, v1alpha1.Saturday, v1alpha1.Sunday,
}

// machineZones are names that mean another zone on another machine.
var machineZones = []string{"Local", "localtime", "posixrules"}

// timePattern is what a time of day looks like. time.Parse would accept less ("24:00") and more ("9:00").
var timePattern = regexp.MustCompile(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`)

// datePattern is what a date looks like. time.Parse alone decides whether there is such a day.
var datePattern = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// loadZone gives a zone by its name, or nil.
func (c *compiler) loadZone(name string, path *field.Path) *time.Location {
	if name == "" {
		c.fail(field.Required(path, `an IANA time zone such as "Europe/London" or "UTC" is needed`))
		return nil
	}
	if location, ok := c.known[name]; ok {
		return location
	}
	location, err := time.LoadLocation(name)
	if err != nil || slices.Contains(machineZones, name) {
		c.fail(field.Invalid(path, name, `not a known time zone: an IANA name such as "Europe/London" or "UTC" is accepted`))
		return nil
	}
	c.known[name] = location
	return location
}

// weekly checks a weekly window and gives its minutes of the week.
func (c *compiler) weekly(w *v1alpha1.WeeklyWindow, path *field.Path) ([]minutes, bool) {
	before := len(c.errs)
	from := c.timeOfDay(w.From, "00:00", path.Child("from"))
	until := c.timeOfDay(w.To, "24:00", path.Child("to"))
	days := c.days(w.Days, path.Child("days"))
	if from == minutesPerDay {
		c.fail(field.Invalid(path.Child("from"), w.From, `a window begins at "23:59" at the latest: use "00:00" and the next day`))
	}
	if len(c.errs) == before && from == until {
		c.fail(field.Invalid(path.Child("to"), w.To, `the same as from, which could mean no time or a whole day: `+
			`use from "00:00" and to "24:00" for whole days`))
	}
	if len(c.errs) > before {
		return nil, false
	}
	if until < from {
		until += minutesPerDay
	}
	spans := make([]minutes, 0, len(days))
	for _, d := range days {
		spans = append(spans, minutes{from: d*minutesPerDay + from, until: d*minutesPerDay + until})
	}
	return spans, true
}

func (c *compiler) days(days []v1alpha1.Weekday, path *field.Path) []int {
	if len(days) == 0 {
		c.fail(field.Required(path, "at least one day is needed"))
	}
	result := make([]int, 0, len(days))
	for i, d := range days {
		n := slices.Index(weekdays, d)
		if n < 0 {
			c.fail(field.NotSupported(path.Index(i), d, weekdays))
		}
		result = append(result, n)
	}
	return result
}

// timeOfDay gives the minutes since midnight.
func (c *compiler) timeOfDay(text, fallback string, path *field.Path) int {
	if text == "" {
		text = fallback
	}
	if !timePattern.MatchString(text) {
		c.fail(field.Invalid(path, text, `a local time "HH:MM" is accepted, such as "09:00"`))
		return -1
	}
	digit := func(i int) int { return int(text[i] - '0') }
	return (digit(0)*10+digit(1))*60 + digit(3)*10 + digit(4)
}

// dates checks a range of days and gives its readings.
func (c *compiler) dates(d *v1alpha1.DatesWindow, path *field.Path) (dateSpan, bool) {
	from, fromOK := c.date(d.From, path.Child("from"))
	through, throughOK := c.date(d.Through, path.Child("through"))
	if !fromOK || !throughOK {
		return dateSpan{}, false
	}
	if through < from {
		c.fail(field.Invalid(path.Child("through"), d.Through, "before from: the same day or a later one is accepted"))
		return dateSpan{}, false
	}
	return dateSpan{from: from, until: through + day}, true
}

// date gives the reading at which a day begins. As readings are counted as if the clock showed UTC, so is the day.
func (c *compiler) date(text string, path *field.Path) (int64, bool) {
	if text == "" {
		c.fail(field.Required(path, `a day "YYYY-MM-DD" is needed`))
		return 0, false
	}
	if !datePattern.MatchString(text) {
		c.fail(field.Invalid(path, text, `a day "YYYY-MM-DD" is accepted, such as "2026-12-24"`))
		return 0, false
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		c.fail(field.Invalid(path, text, "there is no such day"))
		return 0, false
	}
	return t.Unix(), true
}
