package schema

import "testing"

func TestDelegation(t *testing.T) { run(t, "delegation", delegationCases()) }

// delegationTransitions: nothing that a Delegation says ever changes.
func delegationTransitions() map[string]transitionCase {
	const reason, want = "it was sealed, and votes rest on it", "a Delegation cannot change"
	return map[string]transitionCase{
		"Delegate":  {reason: reason, write: write{"merge", false, "spec: {to: {users: [eve]}}"}, want: want},
		"More":      {reason: reason, write: write{"json", false, "[{op: add, path: /spec/to/users/-, value: eve}]"}, want: want},
		"Wider":     {reason: reason, write: write{"put", false, "spec: {actions: null}"}, want: want},
		"Longer":    {reason: reason, write: write{"merge", false, "spec: {until: '2027-12-20T00:00:00Z'}"}, want: want},
		"Earlier":   {reason: reason, write: write{"merge", false, "spec: {from: null}"}, want: want},
		"Principal": {reason: reason, write: write{"merge", false, "spec: {principal: {username: eve}}"}, want: want},
		"Unsealed":  {reason: reason, write: write{"json", false, "[{op: remove, path: /spec/seal}]"}, want: want},
		"Labels":    {reason: "labels mean nothing here", write: write{"merge", false, "metadata: {labels: {a: b}}"}},
	}
}

func delegationCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Full":       {reason: "every property together is a good Delegation"},
		"Least":      {reason: "who may vote and until when is enough", change: "spec: {actions: null, from: null, reason: null, principal: null, seal: null}"},
		"ToNobody":   {reason: "somebody must be able to vote", change: "spec: {to: {users: []}}", want: "spec.to.users: Invalid value"},
		"NoTo":       {reason: "somebody must be able to vote", change: "spec: {to: null}", want: "spec.to: Required value"},
		"NoUsers":    {reason: "somebody must be able to vote", change: "spec: {to: {users: null}}", want: "spec.to.users: Required value"},
		"System":     {reason: "machines vote for nobody", change: "spec: {to: {users: ['system:serviceaccount:ci:bot']}}", want: "a system identity votes for nobody"},
		"Twice":      {reason: "one person, one entry", change: "spec: {to: {users: [carol, carol]}}", want: "spec.to.users[1]: Duplicate value"},
		"Seventeen":  {reason: "a few stand in, not everybody", change: "spec: {to: {users: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]}}", want: "spec.to.users: Too many"},
		"Ever":       {reason: "it must end", change: "spec: {until: null}", want: "spec.until: Required value"},
		"Backwards":  {reason: "time runs forward", change: "spec: {until: '2026-11-30T00:00:00Z'}", want: "must be after from"},
		"NoTime":     {reason: "a length is not a time", change: "spec: {until: 14d}", want: "spec.until: Invalid value"},
		"LowerCase":  {reason: "Go cannot read it, and nothing could be read beside it", change: "spec: {until: '2026-12-20t00:00:00z'}", want: "spec.until: Invalid value"},
		"Comma":      {reason: "Go cannot read it, and nothing could be read beside it", change: "spec: {until: '2026-12-20T00:00:00,5Z'}", want: "spec.until: Invalid value"},
		"LeapSecond": {reason: "Go cannot read it, and nothing could be read beside it", change: "spec: {seal: {at: '2026-12-20T23:59:60Z'}}", want: "spec.seal.at: Invalid value"},
		"NoActions":  {reason: "none is written by leaving it out", change: "spec: {actions: []}", want: "spec.actions: Invalid value"},
		"Star":       {reason: "every Action is written by leaving it out", change: "spec: {actions: ['*']}", want: "spec.actions[0]: Invalid value"},
		"NoReason":   {reason: "none is written by leaving it out", change: "spec: {reason: ''}", want: "spec.reason: Invalid value"},
		"BadSeal":    {reason: "a seal has one form", change: "spec: {seal: {signature: x}}", want: "spec.seal.signature: Invalid value"},
		"NoSpec":     {reason: "a Delegation without spec says nothing", change: "spec: null", want: "spec: Required value"},
	}
}
