package execution

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// leastPart is how long a part of a value in base64 must be to be looked for: shorter ones are found everywhere.
const leastPart = 6

// forms are the ways in which a host may repeat a value: as it is, escaped for a URL, and in base64, alone or as a part of something longer. The
// longest come first, so that no part of one is left over.
func forms(secret string) []string {
	out := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		out = append(out, encoding.EncodeToString([]byte(secret)))
		for before := range 3 {
			if part := inner(encoding, secret, before); len(part) >= leastPart {
				out = append(out, part)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(out)
}

// inner is what of a value in base64 does not depend on what stands around it, where so many bytes are before it.
func inner(encoding *base64.Encoding, secret string, before int) string {
	encoded := encoding.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
	first := (before*8 + 5) / 6
	last := (before + len(secret)) * 8 / 6
	if first >= last {
		return ""
	}
	return encoded[first:last]
}
