package schema

import "testing"

func TestRole(t *testing.T) { run(t, "role", roleCases()) }

func roleCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Full":    {reason: "every property together is a good Role"},
		"All":     {reason: "the star means every Action beside the Role", change: "spec: {permissions: [{verbs: [request], actions: {names: ['*']}}]}"},
		"AllAnd":  {reason: "a star and a name together would read as if the name mattered", change: "spec: {permissions: [{verbs: [request], actions: {names: ['*', deploy]}}]}", want: "already means every Action"},
		"Glob":    {reason: "names match as a whole, never by pattern", change: "spec: {permissions: [{verbs: [request], actions: {names: ['deploy-*']}}]}", want: "spec.permissions[0].actions.names[0]: Invalid value"},
		"NoVerb":  {reason: "a permission permits something", change: "spec: {permissions: [{verbs: [], actions: {names: [a]}}]}", want: "spec.permissions[0].verbs: Invalid value"},
		"BadVerb": {reason: "a misspelt verb would grant nothing", change: "spec: {permissions: [{verbs: [aprove], actions: {names: [a]}}]}", want: `Unsupported value: "aprove": supported values: "request", "approve", "cancel", "break-glass", "request-on-behalf", "resolve"`},
		"AllVerbs": {
			reason: "all verbs fit into one permission",
			change: "spec: {permissions: [{verbs: [request, approve, cancel, break-glass, request-on-behalf, resolve], actions: {names: [a]}}]}",
		},
		"VerbTwice":     {reason: "one verb, one entry", change: "spec: {permissions: [{verbs: [request, request], actions: {names: [a]}}]}", want: "spec.permissions[0].verbs[1]: Duplicate value"},
		"OnlyInherits":  {reason: "a Role may give nothing but what it inherits", change: "spec: {permissions: null, inherits: [viewer]}"},
		"Nothing":       {reason: "a Role that gives nothing is a mistake", change: "spec: {permissions: null, inherits: null}", want: "gives nothing: at least one of permissions and inherits is needed"},
		"InheritsNone":  {reason: "an empty list is no list", change: "spec: {inherits: []}", want: "spec.inherits: Invalid value"},
		"InheritsTwice": {reason: "one Role, one entry", change: "spec: {inherits: [viewer, viewer]}", want: "spec.inherits[1]: Duplicate value"},
		"InheritsGlob":  {reason: "names match as a whole, never by pattern", change: "spec: {inherits: ['view*']}", want: "spec.inherits[0]: Invalid value"},
		"NoPermission":  {reason: "a Role grants something", change: "spec: {permissions: []}", want: "spec.permissions: Invalid value"},
		"NoActions":     {reason: "which Actions is never left open", change: "spec: {permissions: [{verbs: [request]}]}", want: "spec.permissions[0].actions: Required value"},
		"NeitherUnion":  {reason: "an empty selector is refused", change: "spec: {permissions: [{verbs: [request], actions: {}}]}", want: "exactly one of the fields in [names selector] must be set"},
		"BothOfUnion":   {reason: "two ways to select would have to be joined somehow", change: "spec: {permissions: [{verbs: [request], actions: {names: [a], selector: {matchLabels: {a: b}}}}]}", want: "exactly one of the fields in [names selector] must be set"},
		"EmptySelector": {reason: "an empty selector does not mean everything", change: "spec: {permissions: [{verbs: [request], actions: {selector: {}}}]}", want: "selector is empty"},
		"EmptyLabels":   {reason: "an empty selector does not mean everything", change: "spec: {permissions: [{verbs: [request], actions: {selector: {matchLabels: {}, matchExpressions: []}}}]}", want: "selector is empty"},
		"Exists":        {reason: "a label that only has to be there has no values", change: "spec: {permissions: [{verbs: [request], actions: {selector: {matchExpressions: [{key: a, operator: Exists}]}}}]}"},
		"ExistsValues":  {reason: "values would be ignored", change: "spec: {permissions: [{verbs: [request], actions: {selector: {matchExpressions: [{key: a, operator: DoesNotExist, values: [b]}]}}}]}", want: "values are needed with operators In and NotIn"},
		"InNothing":     {reason: "one of nothing is nothing", change: "spec: {permissions: [{verbs: [request], actions: {selector: {matchExpressions: [{key: a, operator: In}]}}}]}", want: "values are needed with operators In and NotIn"},
		"BadOperator":   {reason: "only the operators of Kubernetes", change: "spec: {permissions: [{verbs: [request], actions: {selector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}}}]}", want: `Unsupported value: "Equals": supported values: "In", "NotIn", "Exists", "DoesNotExist"`},
		"BadLabel":      {reason: "no label has such a value", change: "spec: {permissions: [{verbs: [request], actions: {selector: {matchLabels: {a: 'b c'}}}}]}", want: "spec.permissions[0].actions.selector.matchLabels.a: Invalid value"},
		"NoMembers":     {reason: "a Role without members is a mistake", change: "spec: {members: null}", want: "spec.members: Required value"},
		"EmptyMembers":  {reason: "an empty selector is refused", change: "spec: {members: {users: [], groups: null, teams: null, serviceAccounts: null}}", want: "names nobody"},
		"AccountAsUser": {
			reason: "there is one spelling for a ServiceAccount",
			change: "spec: {members: {users: ['system:serviceaccount:ci:agent']}}",
			want:   "a ServiceAccount belongs in serviceAccounts, as namespace/name",
		},
		"EmptyWhen": {reason: "an empty condition is no condition", change: "spec: {permissions: [{verbs: [request], actions: {names: [a]}, when: ''}]}", want: "spec.permissions[0].when: Invalid value"},
		"NoSpec":    {reason: "a Role without spec says nothing", change: "spec: null", want: "spec: Required value"},
	}
}
