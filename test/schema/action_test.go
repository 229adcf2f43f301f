package schema

import "testing"

func TestAction(t *testing.T) { run(t, "action", actionCases()) }

func actionCases() map[string]schemaCase {
	out := map[string]schemaCase{
		"Full": {reason: "every property together is a good Action"},
		"Small": {
			reason: "the first Action of the README fits on a page",
			change: "spec: {description: null, inputs: null, target: null, lookups: null, rules: null, stages: null, requestTTL: null, default: {effect: RequireApproval, stages: null, message: null}}",
		},
		"NoRules":    {reason: "without rules and default everything is denied, which is safe", change: "spec: {rules: null, default: null, stages: null}"},
		"NoSpec":     {reason: "an Action without spec says nothing", change: "spec: null", want: "spec: Required value"},
		"NoTitle":    {reason: "people read titles", change: "spec: {title: null}", want: "spec.title: Required value"},
		"NoSchema":   {reason: "inputs without a schema would be unchecked", change: "spec: {inputs: {openAPIV3Schema: null}}", want: "spec.inputs.openAPIV3Schema: Required value"},
		"TextSchema": {reason: "a schema is an object", change: "spec: {inputs: {openAPIV3Schema: object}}", want: "spec.inputs.openAPIV3Schema: Invalid value"},
		"CoreTarget": {reason: "core kinds have no group", change: "spec: {target: {apiVersion: v1, kind: Namespace, namespace: null}}"},
		"Templated":  {reason: "what is touched may not depend on inputs", change: "spec: {target: {apiVersion: '${inputs.v}'}}", want: "spec.target.apiVersion: Invalid value"},
		"LowerKind":  {reason: "kinds begin with a capital", change: "spec: {target: {kind: deployment}}", want: "spec.target.kind: Invalid value"},
		"NoName":     {reason: "a target has a name", change: "spec: {target: {name: null}}", want: "spec.target.name: Required value"},
		"ZeroTTL":    {reason: "a request that never lives is a mistake", change: "spec: {requestTTL: 0s}", want: "spec.requestTTL: Invalid value"},
		"DaysTTL":    {reason: "a day is not always 24 hours", change: "spec: {requestTTL: 7d}", want: "spec.requestTTL: Invalid value"},
		"ThreeParts": {reason: "a duration may have three parts", change: "spec: {requestTTL: 1h30m15s}"},
		"NoAccount":  {reason: "who executes is never left open", change: "spec: {execution: {serviceAccountName: null}}", want: "spec.execution.serviceAccountName: Required value"},
	}
	for name, tc := range actionLookupCases() {
		out["Lookup"+name] = tc
	}
	for name, tc := range actionRuleCases() {
		out["Rule"+name] = tc
	}
	for name, tc := range actionStageCases() {
		out["Stage"+name] = tc
	}
	for name, tc := range actionStepCases() {
		out["Step"+name] = tc
	}
	return out
}

func actionLookupCases() map[string]schemaCase {
	const object, list = "object: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}", "list: {apiVersion: v1, kind: ConfigMap}"
	const host = "http: {url: 'https://status.example.com', value: response.body.open, schema: {type: integer}}"
	lookup := func(fields string) string { return "spec: {lookups: [{" + fields + "}]}" }
	return map[string]schemaCase{
		"Target":       {reason: "there is one word for trust", change: "spec: {target: {trust: Always}}", want: `Unsupported value: "Always": supported values: "RequesterWritable"`},
		"Trust":        {reason: "there is one word for trust", change: lookup("as: a, trust: Always, " + object), want: `Unsupported value: "Always": supported values: "RequesterWritable"`},
		"None":         {reason: "an empty list looks like a mistake", change: "spec: {lookups: []}", want: "spec.lookups: Invalid value"},
		"Twice":        {reason: "a variable has one meaning", change: "spec: {lookups: [{as: a, " + object + "}, {as: a, " + list + "}]}", want: "spec.lookups[1]: Duplicate value"},
		"Unnamed":      {reason: "expressions need a name", change: lookup(object), want: "spec.lookups[0].as: Required value"},
		"BadName":      {reason: "a name with a hyphen would be a subtraction", change: lookup("as: deploy-limits, " + object), want: "spec.lookups[0].as: Invalid value"},
		"Neither":      {reason: "a lookup looks something up", change: lookup("as: a"), want: "exactly one of the fields in [object list executions http] must be set"},
		"Both":         {reason: "a lookup looks one thing up", change: lookup("as: a, " + object + ", " + list), want: "exactly one of the fields in [object list executions http] must be set"},
		"Optional":     {reason: "a list of nothing is empty, so that optional would mean nothing", change: lookup("as: a, optional: true, " + list), want: "optional goes with object only"},
		"Mandatory":    {reason: "saying the default is fine", change: lookup("as: a, optional: false, " + list)},
		"OptionalHost": {reason: "a host gives a value, or nothing is decided", change: lookup("as: a, optional: true, " + host), want: "optional goes with object only"},
		"TrustedHost":  {reason: "nobody can ask a host who may change what it says", change: lookup("as: a, trust: RequesterWritable, " + host), want: "nobody can ask a host"},
		"Host":         {reason: "the age of a value has a default", change: lookup("as: a, " + host)},
		"NoLimit":      {reason: "a list without a limit has the default", change: lookup("as: a, " + list)},
		"ZeroLimit":    {reason: "a list of nothing is a mistake", change: lookup("as: a, list: {apiVersion: v1, kind: ConfigMap, limit: 0}"), want: "spec.lookups[0].list.limit: Invalid value"},
		"LargeLimit":   {reason: "a decision reads no more than it can hold", change: lookup("as: a, list: {apiVersion: v1, kind: ConfigMap, limit: 501}"), want: "spec.lookups[0].list.limit: Invalid value"},
		"Templated":    {reason: "which kind is read may not depend on inputs", change: lookup("as: a, list: {apiVersion: v1, kind: '${inputs.kind}'}"), want: "spec.lookups[0].list.kind: Invalid value"},
		"Version":      {reason: "nor may its version", change: lookup("as: a, list: {apiVersion: '${inputs.v}', kind: ConfigMap}"), want: "spec.lookups[0].list.apiVersion: Invalid value"},
		"NoLabels":     {reason: "an empty selector would select everything", change: lookup("as: a, list: {apiVersion: v1, kind: ConfigMap, selector: {matchLabels: {}}}"), want: "spec.lookups[0].list.selector.matchLabels: Invalid value"},
		"Selector":     {reason: "a selector selects", change: lookup("as: a, list: {apiVersion: v1, kind: ConfigMap, selector: {}}"), want: "spec.lookups[0].list.selector.matchLabels: Required value"},
	}
}

func actionRuleCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Twice":    {reason: "a verdict names a rule, so names are unique", change: "spec: {rules: [{name: a, effect: Deny}, {name: a, effect: Hold}]}", want: "spec.rules[1]: Duplicate value"},
		"BadName":  {reason: "names of rules are short and lower-case", change: "spec: {rules: [{name: In Hours, effect: Deny}]}", want: "spec.rules[0].name: Invalid value"},
		"NoEffect": {reason: "a rule without effect is a mistake", change: "spec: {rules: [{name: a}]}", want: "spec.rules[0].effect: Required value"},
		"Effect":   {reason: "a misspelt effect is a mistake", change: "spec: {rules: [{name: a, effect: Refuse}]}", want: `Unsupported value: "Refuse": supported values: "Allow", "RequireApproval", "Hold", "Deny"`},
		"AllowWithStages": {
			reason: "stages would be ignored",
			change: "spec: {rules: [{name: a, effect: Allow, stages: [owners]}]}",
			want:   "spec.rules[0]: Invalid value: stages go with effect RequireApproval only",
		},
		"DefaultDenyWithStages": {
			reason: "stages would be ignored",
			change: "spec: {default: {effect: Deny}}",
			want:   "spec.default: Invalid value: stages go with effect RequireApproval only",
		},
		"EmptyStages":  {reason: "no stage would be no approval", change: "spec: {rules: [{name: a, effect: RequireApproval, stages: []}]}", want: "spec.rules[0].stages: Invalid value"},
		"StageTwice":   {reason: "one stage, one entry", change: "spec: {rules: [{name: a, effect: RequireApproval, stages: [owners, owners]}]}", want: "spec.rules[0].stages[1]: Duplicate value"},
		"UnusedStages": {reason: "stages that no rule uses are a mistake", change: "spec: {rules: null, default: null}", want: "stages are defined, but no rule uses one"},
		"WithoutStages": {
			reason: "with several stages defined, none of them would be meant",
			change: "spec: {rules: [{name: a, effect: RequireApproval}]}",
			want:   "spec.rules: Invalid value: spec.stages is set, so every rule with effect RequireApproval must name its stages",
		},
		"DefaultWithoutStages": {
			reason: "with several stages defined, none of them would be meant",
			change: "spec: {default: {stages: null}}",
			want:   "spec.default: Invalid value: spec.stages is set, so default with effect RequireApproval must name its stages",
		},
		"OnlyDefault": {reason: "a stage that default uses is used", change: "spec: {rules: null}"},
		"EmptyWhen":   {reason: "an empty condition is no condition", change: "spec: {rules: [{name: a, effect: Deny, when: ''}]}", want: "spec.rules[0].when: Invalid value"},
	}
}

func actionStageCases() map[string]schemaCase {
	return map[string]schemaCase{
		"Twice":              {reason: "a rule names a stage, so names are unique", change: "spec: {stages: [{name: owners, approvers: {users: [a]}}, {name: owners, approvers: {users: [b]}}]}", want: "spec.stages[1]: Duplicate value"},
		"None":               {reason: "absent means the one stage that needs no definition", change: "spec: {stages: []}", want: "spec.stages: Invalid value"},
		"Neither":            {reason: "who approves is never left open", change: "spec: {stages: [{name: owners}]}", want: "exactly one of approvers and requirements is needed"},
		"Both":               {reason: "two demands would have to be joined somehow", change: "spec: {stages: [{name: owners, approvers: {users: [a]}, requirements: [{name: a, approvers: {users: [a]}}]}]}", want: "exactly one of approvers and requirements is needed"},
		"Count":              {reason: "each requirement has its own count", change: "spec: {stages: [{name: owners, count: 2, requirements: [{name: a, approvers: {users: [a]}}]}]}", want: "count goes with approvers"},
		"Zero":               {reason: "nobody's approval is no approval", change: "spec: {stages: [{name: owners, count: 0, approvers: {users: [a]}}]}", want: "spec.stages[0].count: Invalid value"},
		"Negative":           {reason: "nobody's approval is no approval", change: "spec: {stages: [{name: owners, requirements: [{name: a, count: -1, approvers: {users: [a]}}]}]}", want: "spec.stages[0].requirements[0].count: Invalid value"},
		"Nobody":             {reason: "an empty selector is refused", change: "spec: {stages: [{name: owners, approvers: {}}]}", want: "spec.stages[0].approvers: Invalid value"},
		"NobodyLists":        {reason: "an empty selector is refused", change: "spec: {stages: [{name: owners, approvers: {users: [], roles: []}}]}", want: "names nobody"},
		"Same":               {reason: "requirements are named, so names are unique", change: "spec: {stages: [{name: owners, requirements: [{name: a, approvers: {users: [a]}}, {name: a, approvers: {users: [b]}}]}]}", want: "spec.stages[0].requirements[1]: Duplicate value"},
		"System":             {reason: "identities of the system are not people", change: "spec: {stages: [{name: owners, approvers: {users: ['system:serviceaccount:ci:agent']}}]}", want: "system identities never approve"},
		"Groups":             {reason: "groups of the system hold everybody", change: "spec: {stages: [{name: owners, approvers: {groups: ['system:authenticated']}}]}", want: "system groups never approve"},
		"Timeout":            {reason: "a stage that never opens is a mistake", change: "spec: {stages: [{name: owners, approvers: {users: [a]}, timeout: 0m}]}", want: "must be longer than zero"},
		"NoExpression":       {reason: "an empty expression is no expression", change: "spec: {stages: [{name: owners, approvers: {expression: ''}}]}", want: "spec.stages[0].approvers.expression: Invalid value"},
		"Expression":         {reason: "an expression alone says who", change: "spec: {stages: [{name: owners, approvers: {expression: '[\"a\"]'}}]}"},
		"Nagging":            {reason: "an Event every second is no reminder", change: "spec: {stages: [{name: owners, approvers: {users: [a]}, reminder: 59s}]}", want: "must be at least a minute"},
		"EscalationAtOnce":   {reason: "further people are asked later", change: "spec: {stages: [{name: owners, approvers: {users: [a]}, escalation: {approvers: {users: [b]}}}]}", want: "spec.stages[0].escalation.after: Required value"},
		"EscalationToNobody": {reason: "somebody is asked then", change: "spec: {stages: [{name: owners, approvers: {users: [a]}, escalation: {after: 1h, approvers: {}}}]}", want: "spec.stages[0].escalation.approvers: Invalid value"},
		"NoDenials":          {reason: "a stage that nobody can stop is a mistake", change: "spec: {stages: [{name: owners, approvers: {users: [a]}, denials: 0}]}", want: "spec.stages[0].denials: Invalid value"},
		"Comment":            {reason: "a comment is needed or not", change: "spec: {stages: [{name: owners, approvers: {users: [a]}, commentOnDeny: Never}]}", want: `Unsupported value: "Never": supported values: "Required", "Optional"`},
		"Only":               {reason: "one requirement is enough", change: "spec: {stages: [{name: owners, requirements: [{name: a, approvers: {roles: [operator]}}]}]}"},
	}
}

func actionStepCases() map[string]schemaCase {
	steps := func(step string) string { return "spec: {execution: {steps: [{name: a, " + step + "}]}}" }
	return map[string]schemaCase{
		"None":           {reason: "an Action does something", change: "spec: {execution: {steps: []}}", want: "spec.execution.steps: Invalid value"},
		"Twice":          {reason: "a Record names a step, so names are unique", change: "spec: {execution: {steps: [{name: a, patch: {merge: {}}}, {name: a, patch: {merge: {}}}]}}", want: "spec.execution.steps[1]: Duplicate value"},
		"Neither":        {reason: "a step does something", change: "spec: {execution: {steps: [{name: a}]}}", want: "exactly one of the fields in [apply patch delete job http] must be set"},
		"Two":            {reason: "a step does one thing", change: steps("patch: {merge: {}}, job: {podFrom: {apiVersion: apps/v1, kind: Deployment, name: a}}"), want: "exactly one of the fields in [apply patch delete job http] must be set"},
		"DeleteWaits":    {reason: "a delete waits for its own end", change: steps("delete: {}, waitFor: {status: Current}"), want: "a delete waits until the object is gone: leave waitFor out"},
		"HTTPWaits":      {reason: "there is no object", change: steps("http: {method: GET, url: 'https://a/'}, waitFor: {status: Current}"), want: "an http step has no object to wait for"},
		"HTTPBodies":     {reason: "which one is sent", change: steps("http: {method: POST, url: 'https://a/', body: {a: b}, text: c}"), want: "body is sent as JSON and text as it is"},
		"HTTPPrefix":     {reason: "it would not be sent", change: steps("http: {method: POST, url: 'https://a/', headers: [{name: X, value: a, prefix: b}]}"), want: "prefix stands before a secret"},
		"HTTPHost":       {reason: "a host is literal", change: steps("http: {method: POST, url: 'https://${inputs.host}/'}"), want: "spec.execution.steps[0].http.url: Invalid value"},
		"HTTPMethod":     {reason: "methods are known", change: steps("http: {method: TRACE, url: 'https://a/'}"), want: "Unsupported value"},
		"FailsWithout":   {reason: "nothing is waited for", change: steps("patch: {merge: {a: b}}, failWhen: object.x"), want: "failWhen ends a wait: set waitFor too"},
		"FailsJob":       {reason: "a Job is always waited for", change: steps("job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}, command: [x]}, failWhen: object.x")},
		"Retries":        {reason: "a step is not tried for ever", change: steps("patch: {merge: {a: b}}, retries: 11"), want: "spec.execution.steps[0].retries: Invalid value"},
		"OutputTwice":    {reason: "an output has one meaning", change: steps("patch: {merge: {a: b}}, outputs: [{name: a, expression: object.a, schema: {type: integer}}, {name: a, expression: object.b, schema: {type: integer}}]"), want: "spec.execution.steps[0].outputs[1]: Duplicate value"},
		"OutputName":     {reason: "an expression could not name it", change: steps("patch: {merge: {a: b}}, outputs: [{name: a-b, expression: object.a, schema: {type: integer}}]"), want: "spec.execution.steps[0].outputs[0].name: Invalid value"},
		"NoPatch":        {reason: "a patch says what changes", change: steps("patch: {}"), want: "exactly one of the fields in [strategic merge json] must be set"},
		"TwoPatches":     {reason: "a patch is of one type", change: steps("patch: {merge: {a: b}, json: [{op: remove, path: /a}]}"), want: "exactly one of the fields in [strategic merge json] must be set"},
		"ListMerge":      {reason: "a merge patch is an object", change: steps("patch: {merge: [a]}"), want: "spec.execution.steps[0].patch.merge: Invalid value"},
		"EmptyJSON":      {reason: "a JSON patch has operations", change: steps("patch: {json: []}"), want: "spec.execution.steps[0].patch.json: Invalid value"},
		"NoManifests":    {reason: "apply applies something", change: steps("apply: {manifests: []}"), want: "spec.execution.steps[0].apply.manifests: Invalid value"},
		"Force":          {reason: "conflicts fail or are taken", change: steps("apply: {conflicts: Ignore, manifests: [{}]}"), want: `Unsupported value: "Ignore": supported values: "Fail", "Take"`},
		"JobOfNothing":   {reason: "a Job needs a pod", change: steps("job: {command: [a]}"), want: "exactly one of the fields in [podFrom template] must be set"},
		"JobOfBoth":      {reason: "a Job has one pod", change: steps("job: {podFrom: {apiVersion: apps/v1, kind: Deployment, name: a}, template: {}, namespace: a}"), want: "exactly one of the fields in [podFrom template] must be set"},
		"JobNowhere":     {reason: "a template runs somewhere", change: steps("job: {template: {}}"), want: "namespace goes with template"},
		"JobElsewhere":   {reason: "a copied pod runs beside its object", change: steps("job: {namespace: b, podFrom: {apiVersion: apps/v1, kind: Deployment, name: a}}"), want: "namespace goes with template"},
		"WaitForNothing": {reason: "waiting needs an end", change: steps("patch: {merge: {}}, waitFor: {}"), want: "exactly one of the fields in [status expression] must be set"},
		"WaitForBoth":    {reason: "waiting has one end", change: steps("patch: {merge: {}}, waitFor: {status: Current, expression: 'true'}"), want: "exactly one of the fields in [status expression] must be set"},
		"WaitForOther":   {reason: "only Current is waited for", change: steps("patch: {merge: {}}, waitFor: {status: Ready}"), want: `Unsupported value: "Ready": supported values: "Current"`},
		"Temporary":      {reason: "what is usual must be allowed", change: "spec: {temporary: {defaultDuration: 9h}}", want: "spec.temporary.defaultDuration: Invalid value: must not be longer than maxDuration"},
		"ZeroTimeout":    {reason: "a step takes time", change: steps("patch: {merge: {}}, timeout: 0s"), want: "must be longer than zero"},
	}
}
