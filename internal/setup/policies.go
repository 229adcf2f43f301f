package setup

import (
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Protection gives everything at the API server that protects our objects: the webhooks, and the policies that hold without any.
// The CRDs, which hold without either, are in config/crd.
func Protection(o *WebhookOptions) []client.Object {
	objects := []client.Object{MutatingWebhooks(o), ValidatingWebhooks(o)}
	policies, bindings := AdmissionPolicies(o)
	for _, policy := range policies {
		objects = append(objects, policy)
	}
	for _, binding := range bindings {
		objects = append(objects, binding)
	}
	return objects
}

// second is a policy to be registered: the second line of what the webhook of the same name refuses.
type second struct {
	name        string
	resources   []string
	operations  []admissionregistrationv1.OperationType
	validations []admissionregistrationv1.Validation
}

// onlySignoff ends a message in the words of the webhooks, which are not asked what a policy refuses.
const onlySignoff = " + ' is written by Signoff only. You are ' + request.userInfo.username + '.'"

// What the expressions of policies call by name.
const (
	// variableOperator tells whether the operator writes.
	variableOperator = "operator"
	// variableCollector tells whether the garbage collector or the namespace controller writes, under each name that they have: their own
	// ServiceAccounts, or the one user of the controller manager, or, where it runs with a certificate of administrators, their group.
	// Whoever is in that group can remove the policies themselves.
	variableCollector = "collector"
	// variableTerminating tells whether the namespace is being deleted, which must always end, whoever deletes what is in it.
	variableTerminating = "terminating"
)

// AdmissionPolicies give a second line that needs no webhook and no process of ours: status is the operator's, Approvals and Records
// are made by the operator, an Approval gains at most one vote, by the caller, a request says who asked, and is stopped or decided about in nobody
// else's name, and Actions and Notifiers run as no ServiceAccount that their writer may not use. They refuse nothing that
// the webhooks let pass, and know less: what an expression cannot tell, such as whether a request is gone, they leave to the webhooks.
// docs/security/guard.md says what that is.
func AdmissionPolicies(o *WebhookOptions) ([]*admissionregistrationv1.ValidatingAdmissionPolicy, []*admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
	var policies []*admissionregistrationv1.ValidatingAdmissionPolicy
	var bindings []*admissionregistrationv1.ValidatingAdmissionPolicyBinding
	all := []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll}
	writes := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
	changes := append(writes[:2:2], admissionregistrationv1.Delete)
	for _, policy := range []second{
		{"status.signoff.dev", []string{"*/status", "*/scale"}, all, []admissionregistrationv1.Validation{
			{Expression: "variables.operator", Message: "status is written by Signoff only",
				MessageExpression: "'the ' + request.subResource + ' of ' + (request.kind.kind.startsWith('A') ? 'an ' : 'a ') + request.kind.kind" + onlySignoff},
		}},
		{"requests.signoff.dev", []string{"actionrequests"}, writes, aboutRequests()},
		{"approvals.signoff.dev", []string{"approvals"}, changes, aboutApprovals()},
		{"actions.signoff.dev", []string{"actions"}, writes, mayUse("spec", "execution", "serviceAccountName").
			and("spec", "execution", "readServiceAccountName").and("spec", "execution", "plan", "serviceAccountName")},
		{"notifiers.signoff.dev", []string{"notifiers"}, writes, mayUse("spec", "serviceAccountName")},
		{"records.signoff.dev", []string{"records"}, changes, []admissionregistrationv1.Validation{
			{Expression: "variables.operator || request.operation == 'DELETE' && variables.terminating", Message: "a Record is written by Signoff only",
				MessageExpression: "'a Record'" + onlySignoff},
		}},
	} {
		policies = append(policies, policy.object(o))
		bindings = append(bindings, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingAdmissionPolicyBinding"},
			ObjectMeta: metav1.ObjectMeta{Name: policy.name},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName:        policy.name,
				ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			},
		})
	}
	return policies, bindings
}

func (s *second) object(o *WebhookOptions) *admissionregistrationv1.ValidatingAdmissionPolicy {
	for i := range s.validations {
		if s.validations[i].Reason == nil {
			s.validations[i].Reason = new(metav1.StatusReasonForbidden)
		}
	}
	rules := (&ours{resources: s.resources, operations: s.operations}).rules()
	return &admissionregistrationv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: new(admissionregistrationv1.Fail),
			MatchConstraints: &admissionregistrationv1.MatchResources{
				MatchPolicy:   new(admissionregistrationv1.Equivalent),
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rules[0]}},
			},
			Variables: []admissionregistrationv1.Variable{
				{Name: variableOperator, Expression: fmt.Sprintf("request.userInfo.username == %q", o.Operator)},
				{Name: variableCollector, Expression: "request.userInfo.username in ['system:serviceaccount:kube-system:generic-garbage-collector', " +
					"'system:serviceaccount:kube-system:namespace-controller', 'system:kube-controller-manager'] || " +
					"has(request.userInfo.groups) && 'system:masters' in request.userInfo.groups"},
				{Name: variableTerminating, Expression: "namespaceObject != null && has(namespaceObject.metadata.deletionTimestamp)"},
			},
			Validations: s.validations,
		},
	}
}

// isCaller tells whether an identity is the caller's, with no group that the caller is not in. The groups are mostly the same; comparing
// each with each costs the square of their number, and an expression may cost so much only.
func isCaller(identity string) string {
	return fmt.Sprintf("(%[1]s.username == request.userInfo.username && "+
		"(!has(%[1]s.uid) || has(request.userInfo.uid) && %[1]s.uid == request.userInfo.uid) && "+
		"(!has(%[1]s.groups) || has(request.userInfo.groups) && (%[1]s.groups == request.userInfo.groups || size(%[1]s.groups) <= 500 && sets.contains(request.userInfo.groups, %[1]s.groups))))", identity)
}

// listOf is a list that need not be there.
func listOf(of, path string) string {
	return fmt.Sprintf("(has(%[1]s.%[2]s) ? %[1]s.%[2]s : [])", of, path)
}

// On an update the mutating webhook puts back what a client leaves out, and a policy sees that.
const update, create = "request.operation != 'UPDATE' || ", "request.operation != 'CREATE' || "

// aboutRequests: that somebody removes our finalizer, no policy refuses. Who uninstalls Signoff must, when the webhooks are gone.
func aboutRequests() []admissionregistrationv1.Validation {
	const sameOwner = "o.uid == p.uid && o.apiVersion == p.apiVersion && o.kind == p.kind && o.name == p.name"
	before, after := listOf("oldObject", "spec.resolutions"), listOf("object", "spec.resolutions")
	invalid := new(metav1.StatusReasonInvalid)
	return []admissionregistrationv1.Validation{
		{Expression: create + "has(object.spec.requester)",
			Message: "the request does not say who asks: the admission webhook of Signoff did not see it. Nothing was stored."},
		{Expression: create + "!has(object.spec.requester) || " + isCaller("object.spec.requester"),
			Message: "nobody asks in the name of somebody else: leave spec.requester out"},
		{Expression: update + "!has(object.spec.cancellation) || has(oldObject.spec.cancellation) || !has(object.spec.cancellation.by) || " + isCaller("object.spec.cancellation.by"),
			Message: "nobody cancels in the name of somebody else: leave spec.cancellation.by out"},
		{Expression: create + "size(" + after + ") == 0", Message: "spec.resolutions is written by Signoff only: nothing has been executed, so there is nothing to decide", Reason: invalid},
		{Expression: update + fmt.Sprintf("size(%[2]s) == size(%[1]s) || size(%[2]s) == size(%[1]s) + 1 && ", before, after) + isCaller(fmt.Sprintf("%[2]s[size(%[1]s)].by", before, after)),
			Message: "spec.resolutions is written by Signoff only: write spec.resolution, and it becomes yours", Reason: invalid},
		{Expression: update + "variables.operator || " + listOf("object", "metadata.ownerReferences") + ".all(o, " + listOf("oldObject", "metadata.ownerReferences") + ".exists(p, " + sameOwner + "))",
			Message: "metadata.ownerReferences: an owner can be given when the request is made, and not later", Reason: invalid},
		{Expression: update + "variables.operator || " + listOf("object", "metadata.finalizers") + ".all(f, f in " + listOf("oldObject", "metadata.finalizers") + ")",
			Message: "metadata.finalizers: a finalizer can be given when the request is made, and not later", Reason: invalid},
	}
}

// uses are the demands that a writer may use the ServiceAccounts that an object names.
type uses []admissionregistrationv1.Validation

// mayUse demands that who writes an object, or its labels, by which Roles and policies select, may use the ServiceAccount that stands in a field.
func mayUse(path ...string) uses { return uses{}.and(path...) }

// and demands it of one field more. One expression may ask the authorizer twice, so each field has its own.
func (u uses) and(path ...string) uses {
	var there []string
	for i := range path {
		there = append(there, fmt.Sprintf("has(object.%s)", strings.Join(path[:i+1], ".")))
	}
	const (
		labels  = "(has(%[1]s.metadata.labels) ? %[1]s.metadata.labels : {})"
		account = ".resource('serviceaccounts').namespace(object.metadata.namespace).name(object.%[1]s).check('%[2]s').allowed()"
	)
	name := strings.Join(path, ".")
	return append(u, admissionregistrationv1.Validation{
		Expression: "request.operation == 'UPDATE' && object.spec == oldObject.spec && " + fmt.Sprintf(labels, "object") + " == " + fmt.Sprintf(labels, "oldObject") +
			" || !(" + strings.Join(there[1:], " && ") + ") || object." + name + " == '' || " +
			"authorizer.group('')" + fmt.Sprintf(account, name, "impersonate") + " || authorizer.group('signoff.dev')" + fmt.Sprintf(account, name, "use"),
		Message: "that takes the right to impersonate the ServiceAccount, or the verb \"use\" on it",
		MessageExpression: fmt.Sprintf("'you (' + request.userInfo.username + ') may not let ' + request.kind.kind + 's run as ServiceAccount ' + object.metadata.namespace + '/' + object.%[1]s + "+
			"': that takes the right to impersonate it, or the verb \"use\" on serviceaccounts.signoff.dev/' + object.%[1]s + '. Ask an administrator of namespace ' + object.metadata.namespace + '.' + "+
			"(request.operation == 'UPDATE' && object.spec == oldObject.spec ? ' Roles and policies select Actions by labels, so changing labels takes the same right.' : '')", name),
	})
}

// aboutApprovals: votes are compared without their types, so that a field that is added to one later is compared too.
func aboutApprovals() []admissionregistrationv1.Validation {
	const (
		// going are those who let go of what is over.
		going  = "variables.operator || variables.collector || variables.terminating || "
		labels = "(has(%[1]s.metadata.labels) && '%[2]s' in %[1]s.metadata.labels ? %[1]s.metadata.labels['%[2]s'] : '')"
	)
	before, after := listOf("oldObject", "spec.votes"), listOf("object", "spec.votes")
	held, holders := listOf("oldObject", "metadata.finalizers"), listOf("object", "metadata.finalizers")
	sameLabel := func(key string) string {
		return fmt.Sprintf(labels, "object", key) + " == " + fmt.Sprintf(labels, "oldObject", key)
	}
	// As the webhook has it: a write that can be made right.
	invalid := new(metav1.StatusReasonInvalid)
	return []admissionregistrationv1.Validation{
		{Expression: "request.operation != 'CREATE' || variables.operator", Message: "an Approval is written by Signoff only",
			MessageExpression: "'an Approval'" + onlySignoff},
		{Expression: "request.operation != 'DELETE' || variables.operator || variables.collector || variables.terminating || !has(oldObject.metadata.ownerReferences)",
			Message:           "an Approval is the evidence of who agreed to what: it goes with its request, never before",
			MessageExpression: "'an Approval is the evidence of who agreed to what: it goes with its request ' + oldObject.spec.requestRef.name + ', never before. To stop the request, deny it or cancel it.'"},
		{Expression: update + "(object.spec.all(k, k == 'votes' || k in oldObject.spec && object.spec[k] == oldObject.spec[k]) && oldObject.spec.all(k, k in object.spec))",
			Message: "only a vote can be added to an Approval; everything else is what people vote on", Reason: invalid},
		{Expression: update + fmt.Sprintf("size(%[2]s) >= size(%[1]s) && size(%[2]s) <= size(%[1]s) + 1 && %[1]s.all(i, v, %[2]s[i] == v)", before, after),
			Message: "one vote at a time can be added, and none can be changed", Reason: invalid},
		{Expression: update + fmt.Sprintf("size(%[2]s) <= size(%[1]s) || ", before, after) + isCaller(fmt.Sprintf("%[2]s[size(%[1]s)].voter", before, after)),
			Message: "votes are added by Signoff only: write spec.vote, and it becomes yours", Reason: invalid},
		{Expression: update + going + listOf("object", "metadata.ownerReferences") + " == " + listOf("oldObject", "metadata.ownerReferences"),
			Message: "an Approval belongs to its request for ever", Reason: invalid},
		{Expression: update + going + "(has(oldObject.metadata.deletionTimestamp) ? " + holders + ".all(f, f in " + held + ") : " + holders + " == " + held + ")",
			Message: "metadata.finalizers: those of an Approval are set by Signoff only", Reason: invalid},
		{Expression: update + going + sameLabel(v1alpha1.LabelRequest) + " && " + sameLabel(v1alpha1.LabelRequestUID),
			Message: "metadata.labels: those by which an Approval is found are set by Signoff only", Reason: invalid},
	}
}
