package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// ours is the name of Signoff's own webhook configurations.
const ours = "signoff"

// governed are the kinds that say who asked, who agreed, and what was done.
var governed = []string{"actionrequests", "approvals", "records", "delegations"}

// mostConfigurations is how many of them are named.
const mostConfigurations = 5

// mutation names the mutating webhooks and admission policies of others that are asked about what people write to Signoff's kinds. The API server asks them in
// an order of its own, some before Signoff and again after it, and no webhook learns what another has changed: so a denial could be sealed as an approval.
func (d *Doctor) mutation(ctx context.Context) ([]Finding, error) {
	const about = "mutation"
	webhooks, err := d.mutatingWebhooks(ctx)
	if err != nil {
		return unread(about, "mutating webhook configurations", "list mutatingwebhookconfigurations.admissionregistration.k8s.io", err)
	}
	policies, err := d.mutatingPolicies(ctx)
	if err != nil {
		return unread(about, "mutating admission policies", "list mutatingadmissionpolicies.admissionregistration.k8s.io", err)
	}
	found := slices.Concat(webhooks, policies)
	if len(found) == 0 {
		return []Finding{{Good, about, "no mutating webhook or admission policy of others is asked about what people write to Signoff's kinds"}}, nil
	}
	return []Finding{{Judge, about, fmt.Sprintf("these mutating webhooks and admission policies of others may change what people write to Signoff's kinds before it is sealed, "+
		"so that a denial could become an approval: %s. Exclude the API group %s in their rules, or by matchConditions, unless you trust them with every vote",
		shortened(found, "; "), v1alpha1.GroupVersion.Group)}}, nil
}

func (d *Doctor) mutatingWebhooks(ctx context.Context) ([]string, error) {
	resource := admissionregistrationv1.SchemeGroupVersion.WithResource("mutatingwebhookconfigurations")
	all, err := list[admissionregistrationv1.MutatingWebhookConfiguration](ctx, d, resource, "", metav1.ListOptions{})
	var found []string
	for i := range all {
		if names := changing(&all[i]); len(names) > 0 && all[i].Name != ours {
			found = append(found, fmt.Sprintf("%s (%s)", all[i].Name, shortened(names, ", ")))
		}
	}
	slices.Sort(found)
	return found, err
}

// mutatingPolicies are read in the newest version that is served: older API servers have them behind a gate, or not at all.
func (d *Doctor) mutatingPolicies(ctx context.Context) ([]string, error) {
	for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
		resource := schema.GroupVersionResource{Group: admissionregistrationv1.GroupName, Version: version, Resource: "mutatingadmissionpolicies"}
		all, err := list[admissionregistrationv1.MutatingAdmissionPolicy](ctx, d, resource, "", metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		var found []string
		for i := range all {
			if about := all[i].Spec.MatchConstraints; about != nil && slices.ContainsFunc(about.ResourceRules, func(r admissionregistrationv1.NamedRuleWithOperations) bool {
				return meets(r.RuleWithOperations)
			}) {
				found = append(found, "the policy "+all[i].Name)
			}
		}
		slices.Sort(found)
		return found, err
	}
	return nil, nil
}

// changing are the webhooks of a configuration that are asked about writes to Signoff's kinds. Their selectors and conditions are not looked at: labels can
// be set by whoever writes an object.
func changing(c *admissionregistrationv1.MutatingWebhookConfiguration) []string {
	var names []string
	for i := range c.Webhooks {
		if slices.ContainsFunc(c.Webhooks[i].Rules, meets) {
			names = append(names, c.Webhooks[i].Name)
		}
	}
	return names
}

// meets tells whether a rule is about creating or updating one of the governed kinds.
func meets(r admissionregistrationv1.RuleWithOperations) bool {
	writes := func(o admissionregistrationv1.OperationType) bool {
		return o == admissionregistrationv1.OperationAll || o == admissionregistrationv1.Create || o == admissionregistrationv1.Update
	}
	return slices.ContainsFunc(r.Operations, writes) && matches(r.APIGroups, v1alpha1.GroupVersion.Group) && matches(r.APIVersions, v1alpha1.GroupVersion.Version) &&
		(r.Scope == nil || *r.Scope != admissionregistrationv1.ClusterScope) && slices.ContainsFunc(r.Resources, isGoverned)
}

func matches(all []string, one string) bool {
	return slices.Contains(all, "*") || slices.Contains(all, one)
}

// isGoverned tells whether a rule that names a resource, or a subresource of it, means one of the governed kinds.
func isGoverned(resource string) bool {
	resource, _, _ = strings.Cut(resource, "/")
	return resource == "*" || slices.Contains(governed, resource)
}

// shortened joins some of many names.
func shortened(all []string, separator string) string {
	if more := len(all) - mostConfigurations; more > 0 {
		all = append(all[:mostConfigurations:mostConfigurations], fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, separator)
}
