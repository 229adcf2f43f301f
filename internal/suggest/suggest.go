// Package suggest finds the name that somebody most likely meant when they wrote another one.
package suggest

import "slices"

// maxLength is the longest name that is compared: nobody misspells longer ones by hand.
const maxLength = 64

// Nearest returns the candidate that differs least from name, or "" when none is near: a third of the letters may differ,
// at least one and at most three. Of equally near ones it returns the first in alphabetical order.
func Nearest(name string, candidates []string) string {
	from := []rune(name)
	if len(from) == 0 || len(from) > maxLength {
		return ""
	}
	limit := min(max(len(from)/3, 1), 3)
	best, bestDistance := "", limit+1
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		to := []rune(candidate)
		if len(to) > maxLength || candidate == name {
			continue
		}
		if d := distance(from, to); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace or swap with their neighbour to get from one name to the other.
func distance(from, to []rune) int {
	before, last, row := make([]int, len(to)+1), make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(from); i++ {
		row[0] = i
		for j := 1; j <= len(to); j++ {
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+differ(from[i-1], to[j-1]))
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(to)]
}

// differ is 0 for equal letters and 1 for others.
func differ(a, b rune) int {
	if a == b {
		return 0
	}
	return 1
}
