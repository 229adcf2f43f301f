package schema

import "testing"

const vote = `{decision: Deny, voter: {username: carol}, at: "2026-11-23T11:00:00.000001Z",
  digest: "sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e"}`

func approvalTransitions() map[string]transitionCase {
	added := "votes are only ever added"
	closed := "a closed Approval stays closed"
	return map[string]transitionCase{
		"FirstVote": {
			reason: "votes begin empty by default",
			start:  "spec: {votes: null}", write: write{"json", false, "[{op: add, path: /spec/votes/-, value: " + vote + "}]"},
		},
		"NextVote":    {reason: "votes are added", write: write{"json", false, "[{op: add, path: /spec/votes/-, value: " + vote + "}]"}},
		"BeforeVote":  {reason: "history is in order", write: write{"json", false, "[{op: add, path: /spec/votes/0, value: " + vote + "}]"}, want: added},
		"ReplaceVote": {reason: "a vote stays", write: write{"json", false, "[{op: replace, path: /spec/votes/0, value: " + vote + "}]"}, want: added},
		"Decision":    {reason: "a vote stays", write: write{"json", false, "[{op: replace, path: /spec/votes/0/decision, value: Deny}]"}, want: added},
		"Voter":       {reason: "a vote stays its voter's", write: write{"json", false, "[{op: replace, path: /spec/votes/0/voter/username, value: eve}]"}, want: added},
		"Time":        {reason: "a vote stays at its time", write: write{"json", false, `[{op: replace, path: /spec/votes/0/at, value: "2026-11-23T10:00:00.000002Z"}]`}, want: added},
		"NoComment":   {reason: "a vote stays, with its comment", write: write{"json", false, "[{op: remove, path: /spec/votes/0/comment}]"}, want: added},
		"RemoveVote":  {reason: "a vote stays", write: write{"json", false, "[{op: remove, path: /spec/votes/0}]"}, want: added},
		"RemoveVotes": {reason: "the default [] stands in for a list that was removed", write: write{"json", false, "[{op: remove, path: /spec/votes}]"}, want: added},
		"NullVotes":   {reason: "the default [] stands in for a list that was removed", write: write{"merge", false, "spec: {votes: null}"}, want: added},
		"NoVotes":     {reason: "a vote stays", write: write{"merge", false, "spec: {votes: []}"}, want: added},
		"PutNoVotes":  {reason: "a vote stays", write: write{"put", false, "spec: {votes: null}"}, want: added},
		"Vote": {
			reason: "without the webhook a vote is not counted, and its voter must hear so",
			write:  write{"merge", false, "spec: {vote: {decision: Approve}}"}, want: "spec.vote: Invalid value",
		},
		"NoSpec": {reason: "what was asked stays", write: write{"json", false, "[{op: remove, path: /spec}]"}, want: "spec: Required value"},
		"ReopenByRemoval": {
			reason: "a state that is removed would be Open by default",
			start:  "status: {state: Denied}", write: write{"json", true, "[{op: remove, path: /status/state}]"}, want: closed,
		},
		"ReopenByNoStatus": {
			reason: "a status that is removed would be Open by default",
			start:  "status: {state: Denied}", write: write{"json", true, "[{op: remove, path: /status}]"}, want: closed,
		},
		"ReopenByNull": {
			reason: "a status that is removed would be Open by default",
			start:  "status: {state: Approved}", write: write{"merge", true, "status: null"}, want: closed,
		},
		"ReopenByPut": {
			reason: "a state that is left out would be Open by default",
			start:  "status: {state: Expired}", write: write{"put", true, "status: {state: null}"}, want: closed,
		},
		"SpecWrite": {
			reason: "a write to the object itself does not reach status",
			start:  "status: {state: Denied}", write: write{"put", false, "{status: null, metadata: {labels: {a: b}}}"},
		},
	}
}

// TestApprovalStates tries every step from one state of an Approval to another: a closed one stays closed, except that an
// approval may be taken away.
func TestApprovalStates(t *testing.T) {
	t.Parallel()
	states := []string{"Open", "Approved", "Denied", "Expired", "Superseded"}
	for _, from := range states {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			stored := withStatus(t, changed(t, sample(t, "approval"), "status: {state: "+from+"}"))
			for _, to := range states {
				err := write{"put", true, "status: {state: " + to + "}"}.try(t, stored)
				switch allowed := from == "Open" || from == to || from == "Approved" && to == "Superseded"; {
				case allowed && err != nil:
					t.Errorf("want %s to become %s, got: %v", from, to, err)
				case !allowed:
					wantRefused(t, err, from+" became "+to, "a closed Approval stays closed")
				}
			}
		})
	}
}
