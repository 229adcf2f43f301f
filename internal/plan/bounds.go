package plan

import "math"

// bounds are how much is shown.
type bounds struct {
	// lines is how many lines an entry may have, and line how many characters each of them.
	lines, line int
	// value and path are how many characters of a value, and of a path, are shown.
	value, path int
	// texts says that texts of several lines are compared line by line.
	texts bool
}

var (
	// stored is how much the API stores.
	stored = bounds{lines: 64, line: 512, value: 120, path: 180}
	// whole is everything.
	whole = bounds{lines: math.MaxInt32, line: math.MaxInt32, value: math.MaxInt32, path: math.MaxInt32, texts: true}
)
