package setup

import (
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/webhooks"
)

// webhookTimeout is how long the API server waits for an answer, in seconds.
const webhookTimeout = 10

// WebhookOptions say where the webhooks are served and who the operator is.
type WebhookOptions struct {
	// URL is the base of the address, such as "https://127.0.0.1:9443". Empty: the Service is used.
	URL string
	// Service is the Service in front of the webhooks.
	Service *admissionregistrationv1.ServiceReference
	// CABundle signs the serving certificate, as PEM.
	CABundle []byte
	// Operator is the user name of the operator.
	Operator string
}

// isStatus tells writes of the status subresource. The field is absent, not empty, for the object itself.
const isStatus = "(has(request.subResource) && request.subResource == 'status')"

// ours is a webhook to be registered.
type ours struct {
	name, path string
	resources  []string
	operations []admissionregistrationv1.OperationType
	conditions []admissionregistrationv1.MatchCondition
}

// MutatingWebhooks gives the configuration of the webhooks that stamp and record.
func MutatingWebhooks(o *WebhookOptions) *admissionregistrationv1.MutatingWebhookConfiguration {
	writes := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
	config := &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "signoff"},
	}
	never := admissionregistrationv1.NeverReinvocationPolicy
	for _, w := range []ours{
		{name: "requests.signoff.dev", path: webhooks.PathMutateActionRequest, resources: []string{"actionrequests"}, operations: writes},
		{name: "actions.signoff.dev", path: webhooks.PathMutateAction, resources: []string{"actions"}, operations: writes},
		{name: "delegations.signoff.dev", path: webhooks.PathMutateDelegation, resources: []string{"delegations"}, operations: writes},
		{name: "approvals.signoff.dev", path: webhooks.PathMutateApproval, resources: []string{"approvals"}, operations: writes[1:]},
	} {
		config.Webhooks = append(config.Webhooks, admissionregistrationv1.MutatingWebhook{
			Name: w.name, ClientConfig: o.client(w.path), Rules: w.rules(), MatchConditions: w.conditions,
			FailurePolicy: new(admissionregistrationv1.Fail), MatchPolicy: new(admissionregistrationv1.Equivalent),
			SideEffects: new(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: new(int32(webhookTimeout)),
			AdmissionReviewVersions: []string{"v1"}, ReinvocationPolicy: &never,
		})
	}
	return config
}

// ValidatingWebhooks gives the configuration of the webhooks that judge the final object: every kind, verb, version and
// subresource of ours. What the operator itself writes to status, and what only it may create, does not come by: this keeps
// half of all writes off the webhooks, and the operator able to write status while they are down. Conditions stand at webhooks of
// their own where that can be, because the API server takes its time to judge them.
func ValidatingWebhooks(o *WebhookOptions) *admissionregistrationv1.ValidatingWebhookConfiguration {
	all := []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll}
	notStatus := o.unlessOperator("own-status", isStatus)
	// A custom resource has the subresources status and scale, and none else.
	catalog := []string{"actions", "roles", "teams", "calendars", "actionpolicies", "notifiers", "delegations"}
	notOwn := o.unlessOperator("own-writes", "("+isStatus+" || request.operation == 'CREATE')")
	config := &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "signoff"},
	}
	for _, w := range []ours{
		{"requests.signoff.dev", webhooks.PathValidateActionRequest, with("/scale", "actionrequests"), all, nil},
		{"status.requests.signoff.dev", webhooks.PathValidateActionRequest, only("/status", "actionrequests"), all, notStatus},
		{"approvals.signoff.dev", webhooks.PathValidateApproval, only("/*", "approvals"), all, notOwn},
		{"governing.signoff.dev", webhooks.PathValidateGoverning, with("/scale", catalog...), all, nil},
		{"status.governing.signoff.dev", webhooks.PathValidateGoverning, only("/status", catalog...), all, notStatus},
		{"records.signoff.dev", webhooks.PathValidateRecord, only("/*", "records"), all, notOwn},
	} {
		config.Webhooks = append(config.Webhooks, admissionregistrationv1.ValidatingWebhook{
			Name: w.name, ClientConfig: o.client(w.path), Rules: w.rules(), MatchConditions: w.conditions,
			FailurePolicy: new(admissionregistrationv1.Fail), MatchPolicy: new(admissionregistrationv1.Equivalent),
			SideEffects: new(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: new(int32(webhookTimeout)),
			AdmissionReviewVersions: []string{"v1"},
		})
	}
	return config
}

// only names a subresource of resources. "/*" stands for every one, and for the resources themselves.
func only(subresource string, resources ...string) []string {
	var all []string
	for _, resource := range resources {
		all = append(all, resource+subresource)
	}
	return all
}

// with names resources and a subresource of them.
func with(subresource string, resources ...string) []string {
	return append(only(subresource, resources...), resources...)
}

func (w *ours) rules() []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: w.operations,
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"},
			Resources: w.resources, Scope: new(admissionregistrationv1.AllScopes),
		},
	}}
}

func (o *WebhookOptions) unlessOperator(name, what string) []admissionregistrationv1.MatchCondition {
	return []admissionregistrationv1.MatchCondition{{
		Name: name, Expression: fmt.Sprintf("!(%s && request.userInfo.username == %q)", what, o.Operator),
	}}
}

func (o *WebhookOptions) client(path string) admissionregistrationv1.WebhookClientConfig {
	config := admissionregistrationv1.WebhookClientConfig{CABundle: o.CABundle}
	if o.URL != "" {
		url := o.URL + path
		config.URL = &url
		return config
	}
	service := *o.Service
	service.Path = &path
	config.Service = &service
	return config
}
