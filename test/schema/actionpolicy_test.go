package schema

import "testing"

func TestActionPolicy(t *testing.T) { run(t, "actionpolicy", actionPolicyCases()) }

func actionPolicyCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Full":        {reason: "every property together is a good ActionPolicy"},
		"HoldAll":     {reason: "the kill switch has no match and one rule", change: "spec: {match: null, stages: null, rules: [{name: hold, effect: Hold}]}"},
		"NoRules":     {reason: "a policy without rules is a mistake", change: "spec: {rules: [], stages: null}", want: "spec.rules: Invalid value"},
		"Allow":       {reason: "a policy can only tighten", change: "spec: {rules: [{name: a, effect: Allow}], stages: null}", want: `Unsupported value: "Allow": supported values: "RequireApproval", "Hold", "Deny"`},
		"EmptyMatch":  {reason: "an empty selector is refused; absent means all", change: "spec: {match: {actions: null, requestNamespaces: null, objects: null}}", want: "spec.match: Invalid value"},
		"EmptyAction": {reason: "an empty selector is refused; absent means all", change: "spec: {match: {actions: {namespaces: null, names: null, selector: null}}}", want: "spec.match.actions: Invalid value"},
		"EmptySelector": {
			reason: "an empty selector is refused; absent means all",
			change: "spec: {match: {actions: {selector: {matchLabels: null, matchExpressions: []}}}}",
			want:   "selector is empty",
		},
		"EmptyLabels":     {reason: "an empty selector is refused; absent means all", change: "spec: {match: {actions: {selector: {matchLabels: null, matchExpressions: null}}}}", want: "selector is empty"},
		"NoNamespaces":    {reason: "an empty selector is refused; absent means all", change: "spec: {match: {requestNamespaces: {names: []}}}", want: "spec.match.requestNamespaces.names: Invalid value"},
		"StarNamespace":   {reason: "absent means all; a star would match nothing", change: "spec: {match: {requestNamespaces: {names: ['*']}}}", want: "spec.match.requestNamespaces.names[0]: Invalid value"},
		"StarAction":      {reason: "absent means all; a star would match nothing", change: "spec: {match: {actions: {names: ['*']}}}", want: "spec.match.actions.names[0]: Invalid value"},
		"NoObjects":       {reason: "an empty selector is refused; absent means all", change: "spec: {match: {objects: []}}", want: "spec.match.objects: Invalid value"},
		"EmptyObject":     {reason: "an empty selector is refused; absent means all", change: "spec: {match: {objects: [{}]}}", want: "spec.match.objects[0]: Invalid value"},
		"CoreGroup":       {reason: "the core group has no name", change: "spec: {match: {objects: [{apiGroups: [''], kinds: [ConfigMap]}]}}"},
		"GroupVersion":    {reason: "a version is no part of a group", change: "spec: {match: {objects: [{apiGroups: [apps/v1]}]}}", want: "spec.match.objects[0].apiGroups[0]: Invalid value"},
		"Resource":        {reason: "a resource is no kind", change: "spec: {match: {objects: [{kinds: [deployments]}]}}", want: "spec.match.objects[0].kinds[0]: Invalid value"},
		"StarKind":        {reason: "absent means all; a star would match nothing", change: "spec: {match: {objects: [{kinds: ['*']}]}}", want: "spec.match.objects[0].kinds[0]: Invalid value"},
		"NamespaceGlob":   {reason: "names match as a whole, never by pattern", change: "spec: {match: {objects: [{namespaces: ['prod-*']}]}}", want: "spec.match.objects[0].namespaces[0]: Invalid value"},
		"ObjectSelector":  {reason: "an empty selector does not mean everything", change: "spec: {match: {objects: [{selector: {}}]}}", want: "selector is empty"},
		"InNamespaces":    {reason: "an empty selector does not mean everything", change: "spec: {match: {objects: [{namespaceSelector: {matchLabels: {}}}]}}", want: "selector is empty"},
		"RuleTwice":       {reason: "a verdict names a rule, so names are unique", change: "spec: {rules: [{name: a, effect: Deny}, {name: a, effect: Hold}], stages: null}", want: `spec.rules[1]: Duplicate value`},
		"StageTwice":      {reason: "a rule names a stage, so names are unique", change: "spec: {stages: [{name: security, approvers: {users: [a]}}, {name: security, approvers: {users: [b]}}]}", want: "spec.stages[1]: Duplicate value"},
		"UnusedStages":    {reason: "stages that no rule uses are a mistake", change: "spec: {rules: [{name: a, effect: Deny}]}", want: "stages are defined, but no rule uses one"},
		"DenyWithStages":  {reason: "stages would be ignored", change: "spec: {rules: [{name: a, effect: Deny, stages: [security]}]}", want: "stages are needed with effect RequireApproval, and go with no other"},
		"ApproveNoStages": {reason: "a policy has no stage of its own accord", change: "spec: {rules: [{name: a, effect: RequireApproval}], stages: null}", want: "stages are needed with effect RequireApproval, and go with no other"},
		"OverrideHold":    {reason: "every emergency passes a Hold", change: "spec: {rules: [{name: a, effect: Hold, override: {by: {users: [a]}, review: {approvers: {users: [b]}}}}], stages: null}", want: "override goes with effect Deny only"},
		"OverrideNobody":  {reason: "an override is somebody's", change: "spec: {rules: [{name: a, effect: Deny, override: {by: {users: []}, review: {approvers: {users: [b]}}}}], stages: null}", want: "names nobody"},
		"NoReview":        {reason: "every emergency is reviewed", change: "spec: {rules: [{name: a, effect: Deny, override: {by: {users: [a]}}}], stages: null}", want: "spec.rules[0].override.review: Required value"},
		"NoReviewers":     {reason: "every emergency is reviewed by somebody", change: "spec: {rules: [{name: a, effect: Deny, override: {by: {users: [a]}, review: {within: 1h}}}], stages: null}", want: "spec.rules[0].override.review.approvers: Required value"},
		"ReviewAtOnce":    {reason: "a review takes time", change: "spec: {rules: [{name: a, effect: Deny, override: {by: {users: [a]}, review: {approvers: {users: [b]}, within: 0s}}}], stages: null}", want: "must be longer than zero"},
		"EmptyDuring":     {reason: "a time needs a Calendar", change: "spec: {rules: [{name: a, effect: Deny, during: {}}], stages: null}", want: "spec.rules[0].during.calendar: Required value"},
		"BadName":         {reason: "names of rules are short and lower-case", change: "spec: {rules: [{name: Frozen, effect: Deny}], stages: null}", want: "spec.rules[0].name: Invalid value"},
		"NoSpec":          {reason: "a policy without spec says nothing", change: "spec: null", want: "spec: Required value"},
	}
}
