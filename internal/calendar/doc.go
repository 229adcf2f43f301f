// Package calendar compiles a CalendarSpec and answers when it is open, when that ends, and when it opens next.
//
// # What a window means
//
// A window is a set of readings of a wall clock: a date and a time of day in the window's zone. It is open at an instant
// exactly if a clock on a wall in that zone then shows a reading in the set. The Calendar is open if at least one of its
// windows is, and none of its exceptions. Everything about changes of the clock follows from that one rule:
//
//   - Readings that a clock skips do not happen. Where it goes from 02:00 to 03:00, the window 02:30-03:30 is open from 03:00
//     to 03:30, the window 02:00-03:00 not at all, and the window 22:00-06:00 one hour less than usual.
//   - Readings that a clock shows twice happen twice. Where it goes from 02:00 back to 01:00, the window 01:15-01:45 is open
//     twice for half an hour, the window 00:30-01:30 is open from 00:30 to the first 01:30 and again from the second 01:00 to
//     the second 01:30, and the window 22:00-06:00 one hour more than usual.
//   - A day that a zone skips (Pacific/Apia went from 29 to 31 December 2011) does not happen either. What a weekly window
//     that begins on it reaches into the day after does.
//
// An exception is read by the same rule, so neither a freeze nor its end is ever missed. A day is a day of the proleptic
// Gregorian calendar; it has the weekday of its date, also where a zone skips or repeats a day.
//
// Windows begin and end at whole minutes of the wall clock, the end excluded. Changes of the clock may fall on any second.
//
// The package knows no clock of its own and is safe for concurrent use. Zones come from the system or, where it has none,
// from the copy that is built in.
package calendar
