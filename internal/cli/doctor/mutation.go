package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// ours is the name of Signoff's own webhook configurations.
const ours = "signoff"

// governed are the kinds that say who asked, who agreed, and what was done.
var governed = []string{"actionrequests", "approvals", "records", "delegations"}

// mostConfigurations is how many of them are named.
const mostConfigurations = 5

// mutation names the mutating webhooks of others that are asked about what people write to Signoff's kinds. The API server asks them in the order of their
// names, some before Signoff and again after it, and no webhook learns what another has changed: so a denial could be sealed as an approval.
func (d *Doctor) mutation(ctx context.Context) ([]Finding, error) {
	const about = "mutation"
	resource := admissionregistrationv1.SchemeGroupVersion.WithResource("mutatingwebhookconfigurations")
	all, err := list[admissionregistrationv1.MutatingWebhookConfiguration](ctx, d, resource, "", metav1.ListOptions{})
	if err != nil {
		return unread(about, "mutating webhook configurations", "list mutatingwebhookconfigurations.admissionregistration.k8s.io", err)
	}
	var found []string
	for i := range all {
		if names := changing(&all[i]); len(names) > 0 && all[i].Name != ours {
			found = append(found, fmt.Sprintf("%s (%s)", all[i].Name, shortened(names, ", ")))
		}
	}
	if len(found) == 0 {
		return []Finding{{Good, about, "no mutating webhook of others is asked about what people write to Signoff's kinds"}}, nil
	}
	slices.Sort(found)
	return []Finding{{Judge, about, fmt.Sprintf("these mutating webhooks of others may change what people write to Signoff's kinds before it is sealed, so that a denial could become an approval: %s. "+
		"Exclude the API group %s in their rules, or by matchConditions, unless you trust them with every vote", shortened(found, "; "), v1alpha1.GroupVersion.Group)}}, nil
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
