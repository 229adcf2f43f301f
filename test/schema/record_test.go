package schema

import "testing"

func TestRecord(t *testing.T) { run(t, "record", recordCases()) }

func recordCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Full":       {reason: "every property together is a good Record"},
		"NoApproval": {reason: "nobody may have had to agree", change: "spec: {approvals: null, plan: null}"},
		"NoSpec":     {reason: "a claim says what is executed", change: "spec: null", want: "spec: Required value"},
		"NoUID":      {reason: "a name can be used again, a uid cannot", change: "spec: {requestRef: {uid: null}}", want: "spec.requestRef.uid: Required value"},
		"NoSteps":    {reason: "an execution does something", change: "spec: {steps: []}", want: "spec.steps: Invalid value"},
		"NoWrites":   {reason: "a step does something", change: "spec: {steps: [{name: a, writes: []}]}", want: "spec.steps[0].writes: Invalid value"},
		"NoBody":     {reason: "a write writes something", change: "spec: {steps: [{name: a, writes: [{operation: Apply, object: {apiVersion: v1, kind: Pod, name: a}, fieldManager: a}]}]}", want: "spec.steps[0].writes[0].body: Required value"},
		"AnyBody":    {reason: "a JSON patch is a list", change: "spec: {steps: [{name: a, writes: [{operation: JSONPatch, object: {apiVersion: v1, kind: Pod, name: a}, fieldManager: a, body: [{op: remove, path: /a}]}]}]}"},
		"Operation":  {reason: "the operator must know every operation", change: "spec: {steps: [{name: a, writes: [{operation: Erase, object: {apiVersion: v1, kind: Pod, name: a}, fieldManager: a, body: {}}]}]}", want: `Unsupported value: "Erase"`},
		"BadDigest":  {reason: "a digest is whole", change: "spec: {digest: 'sha256:9f3c1a7e'}", want: "spec.digest: Invalid value"},
		"WaitFor":    {reason: "waiting has one end", change: "spec: {steps: [{name: a, waitFor: {}, writes: [{operation: Apply, object: {apiVersion: v1, kind: Pod, name: a}, fieldManager: a, body: {}}]}]}", want: "exactly one of the fields in [status expression] must be set"},
	}
}
