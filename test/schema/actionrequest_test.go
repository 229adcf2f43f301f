package schema

import "testing"

func TestActionRequest(t *testing.T) { run(t, "actionrequest", actionRequestCases()) }

func actionRequestCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Full": {reason: "every property together is a good ActionRequest"},
		"Small": {
			reason: "a reference is enough; the webhook stamps the requester",
			change: "spec: {inputs: null, reason: null, notBefore: null, expiresAt: null, onBehalfOf: null, breakGlass: null, requester: null, cancellation: null, resolutions: null}",
		},
		"NoSpec":        {reason: "a request asks for something", change: "spec: null", want: "spec: Required value"},
		"NoAction":      {reason: "a request asks for something", change: "spec: {actionRef: null}", want: "spec.actionRef: Required value"},
		"NoNamespace":   {reason: "an Action is found by namespace and name", change: "spec: {actionRef: {namespace: null}}", want: "spec.actionRef.namespace: Required value"},
		"AnyInputs":     {reason: "the schema of the Action judges inputs, not the CRD", change: "spec: {inputs: {a: {b: [1, two, null, 3.5]}}}"},
		"EmptyInputs":   {reason: "an Action may take no inputs", change: "spec: {inputs: {image: null, ratio: null, ports: null, labels: null}}"},
		"ListInputs":    {reason: "inputs are named", change: "spec: {inputs: [a]}", want: "spec.inputs: Invalid value"},
		"EmptyReason":   {reason: "nothing and absent would be two spellings of one thing", change: "spec: {reason: ''}", want: "spec.reason: Invalid value"},
		"Fractions":     {reason: "a typed client drops fractions of a second, and the time may not change", change: "spec: {notBefore: '2026-12-01T10:00:00.5Z'}", want: "spec.notBefore: Invalid value"},
		"Offset":        {reason: "a time may be written with its offset", change: "spec: {expiresAt: '2026-12-01T10:00:00-05:00'}"},
		"NotATime":      {reason: "no month has 31 days twice", change: "spec: {expiresAt: '2026-02-31T10:00:00Z'}", want: "spec.expiresAt: Invalid value"},
		"NoUsername":    {reason: "nobody did not ask", change: "spec: {requester: {username: null}}", want: "spec.requester.username: Required value"},
		"EmptyGroups":   {reason: "nothing and absent would be two spellings of one thing", change: "spec: {requester: {groups: []}}", want: "spec.requester.groups: Invalid value"},
		"BehalfNobody":  {reason: "a claim names somebody", change: "spec: {onBehalfOf: {username: ''}}", want: "spec.onBehalfOf.username: Invalid value"},
		"GlassNoWord":   {reason: "a reviewer reads what the emergency was", change: "spec: {breakGlass: {reason: null}}", want: "spec.breakGlass.reason: Required value"},
		"GlassEmpty":    {reason: "a reviewer reads what the emergency was", change: "spec: {breakGlass: {reason: ''}}", want: "spec.breakGlass.reason: Invalid value"},
		"CancelNoWord":  {reason: "who cancels says why", change: "spec: {cancellation: {reason: null}}", want: "spec.cancellation.reason: Required value"},
		"CancelEmpty":   {reason: "who cancels says why", change: "spec: {cancellation: {reason: ''}}", want: "spec.cancellation.reason: Invalid value"},
		"Resolve":       {reason: "without the webhook nobody knows who decides, and whoever did must hear so", change: "spec: {resolution: {step: a, outcome: Failed, comment: c}}", want: "nothing was recorded"},
		"ResolveEmpty":  {reason: "who decides says how they know", change: "spec: {resolution: {step: a, outcome: Failed, comment: ''}}", want: "spec.resolution.comment: Invalid value"},
		"ResolveNoStep": {reason: "it is about a step", change: "spec: {resolution: {outcome: Failed, comment: c}}", want: "spec.resolution.step: Required value"},
		"ResolveNoWord": {reason: "who decides says how they know", change: "spec: {resolutions: [{step: a, outcome: Failed, by: {username: bob}}]}", want: "spec.resolutions[0].comment: Required value"},
		"ResolveMaybe":  {reason: "a step did what it should, or not", change: "spec: {resolutions: [{step: a, outcome: Perhaps, comment: c, by: {username: bob}}]}", want: "Unsupported value"},
		"CancelAtStart": {reason: "a request may come cancelled, for a GitOps repository keeps it so", change: "spec: {cancellation: {by: null}}"},
	}
}
