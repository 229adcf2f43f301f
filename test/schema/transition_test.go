package schema

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// transitionCase is a write to a stored object, and what the API server says to it.
type transitionCase struct {
	// reason says why the result is right.
	reason string
	// start is a merge patch on the sample of the kind, status included, that gives the stored object.
	start string
	// write makes the request.
	write write
	// want is a part of the refusal. Empty: the write is accepted.
	want string
}

// write is one request to the API server, tried without keeping the result.
type write struct {
	// verb is "put", "merge" or "json".
	verb string
	// status says whether it goes to /status.
	status bool
	// body is a merge patch or a JSON patch as YAML; for "put" the merge patch that makes the new object of the stored one.
	body string
}

func (w write) try(t *testing.T, stored *unstructured.Unstructured) error {
	t.Helper()
	if w.verb == "put" {
		object := changed(t, stored, w.body)
		if w.status {
			return server.admin.Status().Update(t.Context(), object, client.DryRunAll)
		}
		return server.admin.Update(t.Context(), object, client.DryRunAll)
	}
	body, err := yaml.YAMLToJSONStrict([]byte(w.body))
	if err != nil {
		t.Fatal(err)
	}
	patch := client.RawPatch(map[string]types.PatchType{"merge": types.MergePatchType, "json": types.JSONPatchType}[w.verb], body)
	object := stored.DeepCopy()
	if w.status {
		return server.admin.Status().Patch(t.Context(), object, patch, client.DryRunAll)
	}
	return server.admin.Patch(t.Context(), object, patch, client.DryRunAll)
}

// transitions are the cases of every kind that restricts how an object may change.
func transitions() map[string]map[string]transitionCase {
	return map[string]map[string]transitionCase{
		"actionrequest": actionRequestTransitions(),
		"approval":      approvalTransitions(),
		"delegation":    delegationTransitions(),
		"record":        recordTransitions(),
	}
}

// TestTransitions plays every write of the tables against a real API server.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for kind, cases := range transitions() {
		for name, tc := range cases {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				err := tc.write.try(t, withStatus(t, changed(t, sample(t, kind), tc.start)))
				switch {
				case tc.want != "":
					wantRefused(t, err, tc.reason, tc.want)
				case err != nil:
					t.Errorf("%s: want it accepted, got: %v", tc.reason, err)
				}
			})
		}
	}
}

// writeOnce are all ways to take back or to replace something in status that is written once.
func writeOnce(field, other, want string) map[string]transitionCase {
	reason := "what is written once is neither changed nor removed, by no kind of write"
	return map[string]transitionCase{
		"PutOther":       {reason: reason, write: write{"put", true, "status: {" + field + ": " + other + "}"}, want: want},
		"PutNone":        {reason: reason, write: write{"put", true, "status: {" + field + ": null}"}, want: want},
		"PutNoStatus":    {reason: reason, write: write{"put", true, "status: null"}, want: want},
		"PutEmptyStatus": {reason: reason, write: write{"put", true, emptied}, want: want},
		"MergeOther":     {reason: reason, write: write{"merge", true, "status: {" + field + ": " + other + "}"}, want: want},
		"MergeNone":      {reason: reason, write: write{"merge", true, "status: {" + field + ": null}"}, want: want},
		"MergeNoStatus":  {reason: reason, write: write{"merge", true, "status: null"}, want: want},
		"JSONOther":      {reason: reason, write: write{"json", true, "[{op: replace, path: /status/" + field + ", value: " + other + "}]"}, want: want},
		"JSONRemove":     {reason: reason, write: write{"json", true, "[{op: remove, path: /status/" + field + "}]"}, want: want},
		"JSONNoStatus":   {reason: reason, write: write{"json", true, "[{op: remove, path: /status}]"}, want: want},
		"Same": {
			reason: "everything else in status moves on",
			write:  write{"put", true, "status: {observedGeneration: 2}"},
		},
		"SpecWrite": {
			reason: "a write to the object itself does not reach status",
			write:  write{"put", false, "{status: null, metadata: {labels: {a: b}}}"},
		},
	}
}

// emptied leaves nothing of the status of a request or a Record but what the CRD sets by default.
const emptied = `status: {observedGeneration: null, phase: null, outcome: null, waitingFor: null, approvals: null, summary: null,
  verdict: null, digest: null, plan: null, execution: null, steps: null, conditions: null, message: null, finishedAt: null,
  adoption: null, planning: null, review: null, seal: null, undo: null, activeUntil: null, revert: null,
  revision: null}`

// add puts further cases into a table, each name after a prefix.
func add(table map[string]transitionCase, prefix string, more map[string]transitionCase) {
	for name, tc := range more {
		table[prefix+name] = tc
	}
}

func actionRequestTransitions() map[string]transitionCase {
	final, claim := "status.outcome is final: it is written once", "status.execution is the claim of one execution: it is written once"
	decided := "what people decided is never changed or removed"
	cancel, inputs := "cancellation is final: it is written once", "inputs cannot change: make a new request"
	other := `{id: other, startedAt: "2026-11-23T10:00:00Z", digest: "sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e"}`
	out := map[string]transitionCase{
		"FirstOutcome": {
			reason: "a request ends once",
			start:  "status: {outcome: null}", write: write{"put", true, "status: {outcome: Failed}"},
		},
		"FirstClaim": {
			reason: "an execution begins once",
			start:  "status: {execution: null, outcome: null}", write: write{"put", true, "status: {execution: " + other + "}"},
		},
		"ClaimAgain": {
			reason: "the time of a claim is part of it",
			write:  write{"merge", true, `status: {execution: {startedAt: "2026-11-23T11:00:00Z"}}`}, want: claim,
		},
		"ClaimOtherDigest": {
			reason: "the digest of a claim is part of it",
			write:  write{"merge", true, `status: {execution: {digest: "sha256:b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1b20d44c1"}}`}, want: claim,
		},
		"Cancel": {
			reason: "a request can be cancelled at any time",
			start:  "spec: {cancellation: null}", write: write{"merge", false, "spec: {cancellation: {reason: no longer needed}}"},
		},
		"CancelOther":  {reason: "the reason stays", write: write{"merge", false, "spec: {cancellation: {reason: other}}"}, want: cancel},
		"CancelNobody": {reason: "who cancelled stays", write: write{"merge", false, "spec: {cancellation: {by: null}}"}, want: cancel},
		"CancelNot":    {reason: "what is cancelled stays cancelled", write: write{"merge", false, "spec: {cancellation: null}"}, want: cancel},
		"CancelNotJSON": {
			reason: "what is cancelled stays cancelled",
			write:  write{"json", false, "[{op: remove, path: /spec/cancellation}]"}, want: cancel,
		},
		"CancelNotPut": {reason: "what is cancelled stays cancelled", write: write{"put", false, "spec: {cancellation: null}"}, want: cancel},
		"Resolve": {
			reason: "what somebody decided is added",
			write:  write{"json", false, `[{op: add, path: /spec/resolutions/-, value: {step: b, outcome: Failed, comment: c, by: {username: bob}}}]`},
		},
		"ResolveFirst":  {reason: "what somebody decided is added", start: "spec: {resolutions: null}", write: write{"merge", false, "spec: {resolutions: [{step: b, outcome: Failed, comment: c, by: {username: bob}}]}"}},
		"ResolveOther":  {reason: "what was decided stays", write: write{"json", false, "[{op: replace, path: /spec/resolutions/0/outcome, value: Failed}]"}, want: decided},
		"ResolveNot":    {reason: "what was decided stays", write: write{"merge", false, "spec: {resolutions: null}"}, want: decided},
		"ResolveBefore": {reason: "what was decided first stays first", write: write{"json", false, `[{op: add, path: /spec/resolutions/0, value: {step: b, outcome: Failed, comment: c, by: {username: bob}}}]`}, want: decided},
		"ResolveNobody": {reason: "without the webhook nobody knows who decides", write: write{"merge", false, "spec: {resolution: {step: b, outcome: Failed, comment: c}}"}, want: "nothing was recorded"},
		"NoSpec":        {reason: "what was asked stays", write: write{"json", false, "[{op: remove, path: /spec}]"}, want: "spec: Required value"},
		"InputNested":   {reason: "inputs are compared in depth", write: write{"merge", false, "spec: {inputs: {labels: {team: web}}}"}, want: inputs},
		"InputAdded":    {reason: "inputs are compared in depth", write: write{"merge", false, "spec: {inputs: {labels: {tier: low}}}"}, want: inputs},
		"InputRemoved":  {reason: "inputs are compared in depth", write: write{"merge", false, "spec: {inputs: {labels: {team: null}}}"}, want: inputs},
		"InputInList":   {reason: "inputs are compared in depth", write: write{"json", false, "[{op: replace, path: /spec/inputs/ports/1, value: 8443}]"}, want: inputs},
		"InputOrder":    {reason: "the order of a list matters", write: write{"merge", false, "spec: {inputs: {ports: [443, 80]}}"}, want: inputs},
		"InputType":     {reason: "a text is no number", write: write{"merge", false, "spec: {inputs: {ratio: '1.5'}}"}, want: inputs},
	}
	add(out, "Outcome", writeOnce("outcome", "Succeeded", final))
	add(out, "Claim", writeOnce("execution", other, claim))
	return out
}

func recordTransitions() map[string]transitionCase {
	out := map[string]transitionCase{
		"FirstOutcome": {
			reason: "an execution ends once",
			start:  "status: {outcome: null}", write: write{"put", true, "status: {outcome: Failed}"},
		},
		"Requester": {reason: "a claim never changes", write: write{"merge", false, "spec: {requester: {username: eve}}"}, want: "a claim never changes"},
		"Body": {
			reason: "what was approved is what runs, also in a part that the schema does not describe",
			write:  write{"json", false, "[{op: replace, path: /spec/steps/1/writes/0/body/0/value, value: 4}]"}, want: "a claim never changes",
		},
		"NoSpec": {reason: "a claim never changes", write: write{"json", false, "[{op: remove, path: /spec}]"}, want: "spec: Required value"},
		"Step":   {reason: "a step moves on", write: write{"put", true, "status: {steps: [{name: rollout, state: Failed}]}"}},
	}
	add(out, "Outcome", writeOnce("outcome", "Failed", "status.outcome is final: it is written once"))
	add(out, "ActiveUntil", writeOnce("activeUntil", `"2026-11-23T12:00:00Z"`, "status.activeUntil is final: it is written once"))
	add(out, "Revert", writeOnce("revert", `{startedAt: "2026-11-23T12:00:00Z", outcome: Failed, message: another}`, "status.revert is final: it is written once"))
	add(out, "Revision", writeOnce("revision", "6", "status.revision only grows"))
	out["RevisionGrows"] = transitionCase{reason: "it counts writes", write: write{"put", true, "status: {revision: 8}"}}
	add(out, "Review", writeOnce("review", `{state: Denied, at: "2026-11-23T12:00:00Z"}`, "status.review is final: it is written once"))
	return out
}
