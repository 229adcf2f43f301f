package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
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

// accounts are the ServiceAccounts that the operator runs as: the controllers of the chart, and one process that does all.
var accounts = []string{"signoff-controller", config.DefaultServiceAccount}

// protection compares webhook configurations and admission policies with those that this plugin was built with. They name the operator: where
// nobody said which it is, that of the usual ones counts that fits best: to compare with the other one finds much that nobody did wrong.
func (d *Doctor) protection(ctx context.Context) ([]Finding, error) {
	names := accounts
	if d.ServiceAccount != "" {
		names = []string{d.ServiceAccount}
	}
	var best []Finding
	for i, name := range names {
		wanted, err := guard.Expect(setup.Protection(&setup.WebhookOptions{
			// Where the webhooks are served is not compared, but that all of them are served there.
			URL: "https://signoff.invalid", CABundle: []byte("any"), Operator: identity.ServiceAccountUsername(d.Namespace, name),
		})...)
		if err != nil {
			return nil, err
		}
		found, err := d.compare(ctx, "protection", "webhook configurations and admission policies", wanted)
		if err != nil {
			return nil, err
		}
		if i == 0 || wrongIn(found) < wrongIn(best) {
			best = found
		}
	}
	return best, nil
}

// wrongIn counts what is wrong.
func wrongIn(found []Finding) int {
	wrong := 0
	for i := range found {
		if found[i].State == Wrong {
			wrong++
		}
	}
	return wrong
}

// compare says of each object what is wrong, or of all together that nothing is.
func (d *Doctor) compare(ctx context.Context, about, what string, wanted []*guard.Protected) ([]Finding, error) {
	var all []Finding
	var seen []*guard.Seen
	var hidden []*guard.Protected
	var wrong []string
	for _, one := range wanted {
		found, err := one.Examine(ctx, d.objects)
		switch {
		case apierrors.IsForbidden(err):
			hidden = append(hidden, one)
			continue
		case err != nil:
			return nil, fmt.Errorf("failed to read %s: %w", one, err)
		}
		seen, wrong = append(seen, found), append(wrong, found.Wrong...)
	}
	if len(hidden) > 0 {
		all = append(all, Finding{Unknown, about, unseen(hidden, len(wanted), what)})
	}
	for _, difference := range append(wrong, guard.Apart(seen...)...) {
		all = append(all, Finding{Wrong, about, difference + ". See docs/security/guard.md"})
	}
	if len(all) == 0 {
		all = append(all, Finding{Good, about, fmt.Sprintf("%d %s are as this version has them", len(wanted), what)})
	}
	return all, nil
}

// unseen says of all objects together that they may not be read, and by which rights they could be: who may read none would see nothing else. Which
// they are is said where it is only some.
func unseen(hidden []*guard.Protected, of int, what string) string {
	var names, rights []string
	for _, one := range hidden {
		names = append(names, one.String())
		rights = append(rights, one.Resource())
	}
	slices.Sort(rights)
	text := fmt.Sprintf("you may not read %d of %d %s", len(hidden), of, what)
	if len(hidden) < of {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	return text + ": ask for the right to get " + strings.Join(slices.Compact(rights), ", ")
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
