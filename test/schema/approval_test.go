package schema

import "testing"

func TestApproval(t *testing.T) { run(t, "approval", approvalCases()) }

func approvalCases() map[string]schemaCase {
	recorded := "nothing was recorded: the admission webhook of Signoff"
	return map[string]schemaCase{
		"Full": {reason: "every property together is a good Approval"},
		"Small": {
			reason: "a request without reason, of an Action without a plan, in a stage of the Action",
			change: "spec: {plan: null, reason: null, for: null, votes: null, review: null, stage: {policy: null}}",
		},
		"NoSpec":       {reason: "an Approval asks for something", change: "spec: null", want: "spec: Required value"},
		"Vote":         {reason: "without the webhook a vote is not counted, and its voter must hear so", change: "spec: {vote: {decision: Approve}}", want: recorded},
		"VoteNothing":  {reason: "a vote decides", change: "spec: {vote: {}}", want: "spec.vote.decision: Required value"},
		"VoteMisspelt": {reason: "a misspelt decision is none", change: "spec: {vote: {decision: approve}}", want: `Unsupported value: "approve": supported values: "Approve", "Deny", "Withdraw"`},
		"VoteShort":    {reason: "seven digits are too few to tell digests apart", change: "spec: {vote: {decision: Approve, digest: 9f3c1a7}}", want: "spec.vote.digest: Invalid value"},
		"VoteEight":    {reason: "eight digits are enough; only the missing webhook speaks against it", change: "spec: {vote: {decision: Approve, digest: '9f3c1a7e'}}", want: recorded},
		"VoteFull":     {reason: "the digest may be written as it is shown", change: "spec: {vote: {decision: Approve, digest: 'sha256:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e'}}", want: recorded},
		"VoteUpper":    {reason: "digests are written in lower case", change: "spec: {vote: {decision: Approve, digest: 9F3C1A7E}}", want: "spec.vote.digest: Invalid value"},
		"BadDigest":    {reason: "a digest is whole", change: "spec: {digest: 'sha256:9f3c1a7e'}", want: "spec.digest: Invalid value"},
		"OtherHash":    {reason: "there is one kind of digest", change: "spec: {digest: 'md5:9f3c1a7e9f3c1a7e9f3c1a7e9f3c1a7e'}", want: "spec.digest: Invalid value"},
		"NoSummary":    {reason: "an approver reads what they approve", change: "spec: {summary: []}", want: "spec.summary: Invalid value"},
		"Nobody":       {reason: "an approval that needs nobody is none", change: "spec: {requirements: []}", want: "spec.requirements: Invalid value"},
		"NobodyAtAll":  {reason: "an empty selector is refused", change: "spec: {requirements: [{name: a, approvers: {users: []}}]}", want: "names nobody"},
		"SystemUser":   {reason: "a filled-in template may not name the system either", change: "spec: {requirements: [{name: a, approvers: {users: ['system:admin']}}]}", want: "system identities never approve"},
		"SystemGroup":  {reason: "a filled-in template may not name the system either", change: "spec: {requirements: [{name: a, approvers: {groups: ['system:masters']}}]}", want: "system groups never approve"},
		"BadDecision":  {reason: "a vote has one of three words", change: "spec: {votes: [{decision: Maybe, voter: {username: a}, at: '2026-11-23T10:00:00.000001Z', digest: a}]}", want: "Unsupported value"},
		"VoteTime":     {reason: "Go cannot read it, and no Approval could be read beside it", change: "spec: {votes: [{decision: Approve, voter: {username: a}, at: '2026-11-23t10:00:00z', digest: a}]}", want: "spec.votes[0].at: Invalid value"},
		"NoVoter":      {reason: "a vote is somebody's", change: "spec: {votes: [{decision: Approve, at: '2026-11-23T10:00:00.000001Z', digest: a}]}", want: "spec.votes[0].voter: Required value"},
	}
}
