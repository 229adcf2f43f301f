package webhooks

import (
	"strconv"
	"strings"
	"unicode"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// readable escapes in what people are told whatever does not show. Names and facts come from many hands, and a terminal obeys what it is told; a
// warning with a control character would be dropped by the API server.
func readable(response admission.Response) admission.Response {
	if result := response.Result; result != nil {
		result.Message = visibleLines(result.Message)
		if result.Details != nil {
			for i := range result.Details.Causes {
				// The verdict is for programs.
				if cause := &result.Details.Causes[i]; cause.Type != causeVerdict {
					cause.Message = visibleLines(cause.Message)
				}
			}
		}
	}
	for i, warning := range response.Warnings {
		response.Warnings[i] = visible(warning)
	}
	return response
}

// visibleLines leaves the ends of lines as they are.
func visibleLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = visible(lines[i])
	}
	return strings.Join(lines, "\n")
}

func visible(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if unicode.IsGraphic(r) {
			out.WriteRune(r)
			continue
		}
		escaped := strconv.QuoteRuneToGraphic(r)
		out.WriteString(escaped[1 : len(escaped)-1])
	}
	return out.String()
}
