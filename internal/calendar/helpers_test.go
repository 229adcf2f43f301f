package calendar

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func weekly(days, from, to string) v1alpha1.Window {
	w := &v1alpha1.WeeklyWindow{From: from, To: to}
	for _, d := range strings.Fields(days) {
		w.Days = append(w.Days, v1alpha1.Weekday(d))
	}
	return v1alpha1.Window{Weekly: w}
}

func dates(from, through string) v1alpha1.Window {
	return v1alpha1.Window{Dates: &v1alpha1.DatesWindow{From: from, Through: through}}
}

func in(zone string, w v1alpha1.Window) v1alpha1.Window {
	w.TimeZone = zone
	return w
}

const everyDay = "Mon Tue Wed Thu Fri Sat Sun"

func windows(w ...v1alpha1.Window) []v1alpha1.Window {
	return w
}

func mustCompile(t *testing.T, spec *v1alpha1.CalendarSpec) *Calendar {
	t.Helper()
	c, errs := Compile(spec, field.NewPath("spec"))
	if len(errs) > 0 {
		t.Fatalf("Compile(%+v): %v", spec, errs.ToAggregate())
	}
	return c
}

func mustTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// oracleOpen says the rule of the package comment again, as simply as possible: it reads the clock and compares.
func oracleOpen(spec *v1alpha1.CalendarSpec, at time.Time) bool {
	contains := func(w v1alpha1.Window) bool { return oracleContains(spec, w, at) }
	return slices.ContainsFunc(spec.Windows, contains) && !slices.ContainsFunc(spec.Except, contains)
}

func oracleContains(spec *v1alpha1.CalendarSpec, w v1alpha1.Window, at time.Time) bool {
	zone := spec.TimeZone
	if w.TimeZone != "" {
		zone = w.TimeZone
	}
	local := at.In(oracleZone(zone))
	if w.Dates != nil {
		today := local.Format(time.DateOnly)
		return w.Dates.From <= today && today <= w.Dates.Through
	}
	from, to, clock := w.Weekly.From, w.Weekly.To, local.Format("15:04")
	if from == "" {
		from = "00:00"
	}
	if to == "" {
		to = "24:00"
	}
	today := local.Format("Mon")
	yesterday := ((local.Weekday() + 6) % 7).String()[:3]
	if from < to {
		return slices.Contains(w.Weekly.Days, v1alpha1.Weekday(today)) && from <= clock && clock < to
	}
	return slices.Contains(w.Weekly.Days, v1alpha1.Weekday(today)) && from <= clock ||
		slices.Contains(w.Weekly.Days, v1alpha1.Weekday(yesterday)) && clock < to
}

// oracleZones keeps zones, because loading one costs more than a minute of the oracle.
var oracleZones sync.Map

func oracleZone(name string) *time.Location {
	if known, ok := oracleZones.Load(name); ok {
		return known.(*time.Location)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	oracleZones.Store(name, location)
	return location
}
