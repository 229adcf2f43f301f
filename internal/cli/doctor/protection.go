package doctor

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/setup"
)

// definitions compares the CustomResourceDefinitions with those that this plugin was built with.
func (d *Doctor) definitions(ctx context.Context) ([]Finding, error) {
	wanted, err := guard.CRDs()
	if err != nil {
		return nil, err
	}
	return d.compare(ctx, "definitions", "CustomResourceDefinitions", wanted)
}

// protection compares webhook configurations and admission policies with those that this plugin was built with.
func (d *Doctor) protection(ctx context.Context) ([]Finding, error) {
	wanted, err := guard.Expect(setup.Protection(&setup.WebhookOptions{
		// Where the webhooks are served is not compared.
		URL: "https://signoff.invalid", CABundle: []byte("any"),
		Operator: identity.ServiceAccountUsername(d.Namespace, d.ServiceAccount),
	})...)
	if err != nil {
		return nil, err
	}
	return d.compare(ctx, "protection", "webhook configurations and admission policies", wanted)
}

// compare says of each object what is wrong, or of all together that nothing is.
func (d *Doctor) compare(ctx context.Context, about, what string, wanted []*guard.Protected) ([]Finding, error) {
	var all []Finding
	for _, one := range wanted {
		wrong, _, err := one.Examine(ctx, d.objects)
		switch {
		case apierrors.IsForbidden(err):
			all = append(all, Finding{Unknown, about, fmt.Sprintf("you may not read %s: ask for the right to get it", one)})
		case err != nil:
			return nil, fmt.Errorf("failed to read %s: %w", one, err)
		}
		for _, difference := range wrong {
			all = append(all, Finding{Wrong, about, difference + ". See docs/security/guard.md"})
		}
	}
	if len(all) == 0 {
		all = append(all, Finding{Good, about, fmt.Sprintf("%d %s are as this version has them", len(wanted), what)})
	}
	return all, nil
}

// webhooks tries a request that names no Action: the webhook refuses it, unless it is not asked.
func (d *Doctor) webhooks(ctx context.Context) ([]Finding, error) {
	const about = "webhooks"
	request := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"actionRef": map[string]any{"namespace": "", "name": ""}}}}
	request.SetAPIVersion(v1alpha1.GroupVersion.String())
	request.SetKind("ActionRequest")
	request.SetGenerateName("doctor-")
	resource := d.objects.Resource(v1alpha1.GroupVersion.WithResource("actionrequests")).Namespace(d.RequestNamespace)
	_, err := resource.Create(ctx, request, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err == nil:
		return []Finding{{Wrong, about, "the API server does not ask them: it would have stored a request that is always refused"}}, nil
	case strings.Contains(err.Error(), `admission webhook "requests.signoff.dev" denied the request`):
		return []Finding{{Good, about, "the API server asks them, and they answer"}}, nil
	case apierrors.IsForbidden(err):
		return []Finding{{Unknown, about, fmt.Sprintf("you may not create actionrequests.signoff.dev in namespace %s, by which they would be tried: name one where you may with -n", d.RequestNamespace)}}, nil
	case apierrors.IsNotFound(err):
		return []Finding{{Unknown, about, fmt.Sprintf("no request can be tried in namespace %s: %v", d.RequestNamespace, err)}}, nil
	case apierrors.IsInternalError(err), apierrors.IsTimeout(err), apierrors.IsServiceUnavailable(err):
		return []Finding{{Wrong, about, fmt.Sprintf("they do not answer, so that nobody can ask or vote: %v", err)}}, nil
	}
	return []Finding{{Wrong, about, fmt.Sprintf("the API server does not ask them, or something refuses before: %v", err)}}, nil
}
