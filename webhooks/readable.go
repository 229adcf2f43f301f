package webhooks

import (
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/internal/visible"
)

// readable escapes in what people are told whatever does not show. Names and facts come from many hands, and a terminal obeys what it is told; a
// warning with a control character would be dropped by the API server.
func readable(response admission.Response) admission.Response {
	if result := response.Result; result != nil {
		result.Message = visible.Lines(result.Message)
		if result.Details != nil {
			for i := range result.Details.Causes {
				// The verdict is for programs.
				if cause := &result.Details.Causes[i]; cause.Type != causeVerdict {
					cause.Message = visible.Lines(cause.Message)
				}
			}
		}
	}
	for i, warning := range response.Warnings {
		response.Warnings[i] = visible.Escaped(warning)
	}
	return response
}
