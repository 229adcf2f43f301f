package setup

import (
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
// are made by the operator, an Approval gains at most one vote, by the caller, and a request says who asked. They refuse nothing that
// the webhooks let pass, and know less: what an expression cannot tell, such as whether a request is gone, they leave to the webhooks.
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
		{"requests.signoff.dev", []string{"actionrequests"}, writes[:1], aboutRequests()},
		{"approvals.signoff.dev", []string{"approvals"}, changes, aboutApprovals()},
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

func aboutRequests() []admissionregistrationv1.Validation {
	return []admissionregistrationv1.Validation{
		{Expression: "has(object.spec.requester)",
			Message: "the request does not say who asks: the admission webhook of Signoff did not see it. Nothing was stored."},
		{Expression: "!has(object.spec.requester) || " + isCaller("object.spec.requester"),
			Message: "nobody asks in the name of somebody else: leave spec.requester out"},
	}
}

// aboutApprovals: votes are compared without their types, so that a field that is added to one later is compared too.
func aboutApprovals() []admissionregistrationv1.Validation {
	const (
		update   = "request.operation != 'UPDATE' || "
		before   = "(has(oldObject.spec.votes) ? oldObject.spec.votes : [])"
		after    = "(has(object.spec.votes) ? object.spec.votes : [])"
		ownersOf = "(has(%[1]s.metadata.ownerReferences) ? %[1]s.metadata.ownerReferences : [])"
	)
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
		{Expression: update + "variables.operator || variables.collector || variables.terminating || " + fmt.Sprintf(ownersOf, "object") + " == " + fmt.Sprintf(ownersOf, "oldObject"),
			Message: "an Approval belongs to its request for ever", Reason: invalid},
	}
}
