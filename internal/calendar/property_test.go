package calendar

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// propertyZones change their clocks in every way there is: by an hour, by half an hour, at midnight, by a day, against the
// usual direction, or not at all.
var propertyZones = []string{
	"UTC", "Europe/London", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Havana", "America/Caracas",
	"Australia/Lord_Howe", "Asia/Kolkata", "Asia/Beirut", "Asia/Tehran", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Chatham",
	"Africa/Casablanca", "Antarctica/Troll",
}

// TestAgainstOracle follows random calendars minute by minute around changes of the clock.
func TestAgainstOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(20261120, 1))
	for range 100 {
		begin := randomInstant(random)
		spec := randomSpec(random, begin)
		c := mustCompile(t, spec)
		follow(t, c, spec, begin, begin.Add(4*24*time.Hour))
	}
}

// follow checks every minute: Contains is what the oracle says, and the oracle changes exactly where NextChange says.
func follow(t *testing.T, c *Calendar, spec *v1alpha1.CalendarSpec, begin, end time.Time) {
	t.Helper()
	isOpen := oracleOpen(spec, begin)
	next, changes := c.NextChange(begin)
	for at := begin; at.Before(end); at = at.Add(time.Minute) {
		if changes && !at.Before(next) {
			isOpen = !isOpen
			next, changes = c.NextChange(next)
		}
		if got, want := c.Contains(at), oracleOpen(spec, at); got != want || isOpen != want {
			t.Fatalf("at %s: Contains says %v, NextChange %v, the oracle %v\n%s", at, got, isOpen, want, describe(spec))
		}
	}
}

func describe(spec *v1alpha1.CalendarSpec) string {
	text := spec.TimeZone
	for _, list := range [][]v1alpha1.Window{spec.Windows, spec.Except} {
		text += "\n"
		for _, w := range list {
			text += fmt.Sprintf("  %q %+v %+v\n", w.TimeZone, w.Weekly, w.Dates)
		}
	}
	return text
}

// randomInstant is at most two days before a change of some clock, on a whole minute.
func randomInstant(random *rand.Rand) time.Time {
	location, err := time.LoadLocation(propertyZones[random.IntN(len(propertyZones))])
	if err != nil {
		panic(err)
	}
	at := time.Date(1973+random.IntN(80), time.Month(1+random.IntN(12)), 1, 0, 0, 0, 0, time.UTC)
	if begin, _ := at.In(location).ZoneBounds(); begin.Year() >= 1973 {
		at = begin
	}
	return at.UTC().Truncate(time.Minute).Add(-time.Duration(random.IntN(2*minutesPerDay)) * time.Minute)
}

func randomSpec(random *rand.Rand, near time.Time) *v1alpha1.CalendarSpec {
	spec := &v1alpha1.CalendarSpec{TimeZone: propertyZones[random.IntN(len(propertyZones))]}
	for range 1 + random.IntN(4) {
		spec.Windows = append(spec.Windows, randomWindow(random, near))
	}
	for range random.IntN(3) {
		spec.Except = append(spec.Except, randomWindow(random, near))
	}
	return spec
}

func randomWindow(random *rand.Rand, near time.Time) v1alpha1.Window {
	w := v1alpha1.Window{}
	if random.IntN(2) == 0 {
		w.TimeZone = propertyZones[random.IntN(len(propertyZones))]
	}
	if random.IntN(4) == 0 {
		from := near.AddDate(0, 0, random.IntN(6)-2)
		through := from.AddDate(0, 0, random.IntN(3))
		w.Dates = &v1alpha1.DatesWindow{From: from.Format(time.DateOnly), Through: through.Format(time.DateOnly)}
		return w
	}
	w.Weekly = randomWeekly(random)
	return w
}

func randomWeekly(random *rand.Rand) *v1alpha1.WeeklyWindow {
	w := &v1alpha1.WeeklyWindow{}
	for _, d := range weekdays {
		if random.IntN(3) > 0 {
			w.Days = append(w.Days, d)
		}
	}
	if len(w.Days) == 0 {
		w.Days = []v1alpha1.Weekday{v1alpha1.Sunday}
	}
	// Most clocks change before 04:00, so that is where boundaries are looked for.
	from, to := random.IntN(4*60), random.IntN(4*60)
	if random.IntN(3) == 0 {
		from, to = random.IntN(minutesPerDay), random.IntN(minutesPerDay)
	}
	if from != to {
		w.From, w.To = clock(from), clock(to)
	}
	return w
}

func clock(minute int) string {
	return fmt.Sprintf("%02d:%02d", minute/60, minute%60)
}

// TestAdversarialEnds shows that a calendar made to be slow is answered all the same.
func TestAdversarialEnds(t *testing.T) {
	spec := &v1alpha1.CalendarSpec{TimeZone: "UTC"}
	for i := range 64 {
		w := weekly(everyDay, clock(i*20), clock(i*20+10))
		spec.Windows = append(spec.Windows, in(propertyZones[i%len(propertyZones)], w))
	}
	for i := range 256 {
		w := weekly(everyDay, clock(i*5), clock(i*5+6))
		spec.Except = append(spec.Except, in(propertyZones[i%2], w))
	}
	spec.Except[255] = weekly(everyDay, "21:00", "24:00")
	spec.Except[254] = dates("9998-12-31", "9999-12-31")
	spec.Except[253] = weekly(everyDay, "20:00", "21:30")
	c, errs := Compile(spec, field.NewPath("spec"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if next, ok := c.NextChange(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); ok {
		t.Errorf("everything is excepted, but it opens at %s", next)
	}
}
