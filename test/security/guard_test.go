package security

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/guard/canary"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/webhooks"
)

// executed tells whether there is a Record of a request: nothing is executed without one.
func executed(t *testing.T, r *v1alpha1.ActionRequest) bool {
	t.Helper()
	key := types.NamespacedName{Namespace: env.SystemNamespace, Name: string(r.UID)}
	err := admin(t).Get(t.Context(), key, &v1alpha1.Record{})
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return err == nil
}

// showsMissing waits until a request says that the guard is missing, with the difference and what to do.
func showsMissing(t *testing.T, r *v1alpha1.ActionRequest, phase v1alpha1.Phase, difference string) {
	t.Helper()
	live := &v1alpha1.ActionRequest{}
	eventually(t, r.Name+" says that the guard is missing", func() (bool, string) {
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			return false, err.Error()
		}
		condition := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionExecuted)
		says := condition != nil && condition.Reason == v1alpha1.ReasonGuardMissing &&
			strings.Contains(condition.Message, difference) && strings.Contains(condition.Message, "docs/security/guard.md")
		return says && live.Status.Phase == phase && strings.HasPrefix(live.Status.WaitingFor, "guard missing: "),
			fmt.Sprintf("%s, waiting for %q, %+v", live.Status.Phase, live.Status.WaitingFor, condition)
	})
}

// TestCase66CanaryProvesNothingToOthers: the annotation that makes a canary gives nobody a proof, and stores nothing.
func TestCase66CanaryProvesNothingToOthers(t *testing.T) {
	r := request("deploy", play.StagingInputs)
	r.Annotations = map[string]string{canary.Annotation: "mine"}
	refused(t, as(t, users.Alice).Create(t.Context(), r.DeepCopy()), metav1.StatusReasonInvalid, "leave it out")
	refused(t, as(t, users.Alice).Create(t.Context(), r.DeepCopy(), client.DryRunAll), metav1.StatusReasonInvalid, "leave it out")

	operator := as(t, env.Person{Name: "the operator", Config: signoff.Operator})
	for name, options := range map[string][]client.CreateOption{"stored": nil, "dry run": {client.DryRunAll}} {
		nonce := canary.Nonce()
		err := operator.Create(t.Context(), canary.Request(env.SystemNamespace, nonce), options...)
		if !canary.Answered(err) || canary.Check(signoff.Process.Proofs(), nonce, err) != nil {
			t.Errorf("%s: the webhooks must answer a canary of the operator with proofs: %v", name, err)
		}
	}
	key := types.NamespacedName{Namespace: env.SystemNamespace, Name: canary.Name}
	if err := admin(t).Get(t.Context(), key, &v1alpha1.ActionRequest{}); !apierrors.IsNotFound(err) {
		t.Errorf("a canary was stored: %v", err)
	}
}

// TestCase33LoosenedProtection loosens one thing after the other, and expects that it is named, and that it is forgotten when it is mended.
func TestCase33LoosenedProtection(t *testing.T) {
	guarded(t)
	crds := schema.GroupVersionKind{Group: apiextensionsv1.GroupName, Version: "v1", Kind: "CustomResourceDefinition"}
	admission := admissionregistrationv1.SchemeGroupVersion
	for name, tc := range map[string]struct {
		reason string
		kind   schema.GroupVersionKind
		object string
		patch  string
		word   string
	}{
		"Ignore": {"Somebody makes a webhook optional because it is in the way.", admission.WithKind("ValidatingWebhookConfiguration"), "signoff",
			`[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]`, "webhook requests.signoff.dev: failurePolicy is Ignore, expected Fail"},
		"Empty": {"An upgrade leaves a configuration without rules.", admission.WithKind("MutatingWebhookConfiguration"), "signoff",
			`[{"op":"replace","path":"/webhooks","value":[]}]`, "mutating webhook actions.signoff.dev is missing"},
		"Exempt": {"A namespace is exempted by a label.", admission.WithKind("ValidatingWebhookConfiguration"), "signoff",
			`[{"op":"add","path":"/webhooks/2/namespaceSelector","value":{"matchLabels":{"judged":"yes"}}}]`, "namespaceSelector.matchLabels"},
		"Path": {"Roles and Teams are brought to what lets them pass.", admission.WithKind("ValidatingWebhookConfiguration"), "signoff",
			`[{"op":"replace","path":"/webhooks/3/clientConfig/url","value":"` + signoff.WebhookURL + webhooks.PathMutateApproval + `"}]`,
			"webhook governing.signoff.dev: clientConfig.path is /mutate/approvals, expected /validate/governing"},
		"Elsewhere": {"Somebody else judges them.", admission.WithKind("ValidatingWebhookConfiguration"), "signoff",
			`[{"op":"replace","path":"/webhooks/3/clientConfig/url","value":"https://evil.example.org/validate/governing"}]`,
			"webhook governing.signoff.dev: clientConfig names https://evil.example.org, expected "},
		"Authority": {"Votes are brought to whom another authority vouches for.", admission.WithKind("MutatingWebhookConfiguration"), "signoff",
			`[{"op":"replace","path":"/webhooks/3/clientConfig/caBundle","value":"` + base64.StdEncoding.EncodeToString(cluster.Admin.CAData) + `"}]`,
			"webhook approvals.signoff.dev: clientConfig.caBundle is not that of the mutating webhook requests.signoff.dev"},
		"Audit": {"The second line is only noted.", admission.WithKind("ValidatingAdmissionPolicyBinding"), "records.signoff.dev",
			`[{"op":"replace","path":"/spec/validationActions","value":["Audit"]}]`, `validationActions is ["Audit"], expected ["Deny"]`},
		"Rule": {"A rule of a definition goes.", crds, "records.signoff.dev",
			`[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations"}]`, "x-kubernetes-validations is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(tc.kind)
			key := types.NamespacedName{Name: tc.object}
			if err := admin(t).Get(t.Context(), key, object); err != nil {
				t.Fatal(err)
			}
			before := object.DeepCopy()
			if err := admin(t).Patch(t.Context(), object, client.RawPatch(types.JSONPatchType, []byte(tc.patch))); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				before.SetResourceVersion(object.GetResourceVersion())
				if err := admin(t).Update(context.WithoutCancel(t.Context()), before); err != nil {
					t.Fatal(err)
				}
				guarded(t)
			})
			notInForce(t, tc.word)
		})
	}
}

// TestCase33WebhookOfOthers: a webhook of others, however loose, is none of our business.
func TestCase33WebhookOfOthers(t *testing.T) {
	guarded(t)
	other := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "others"}}
	if err := admin(t).Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin(t).Delete(context.WithoutCancel(t.Context()), other); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		if err := signoff.Process.Guard.InForce(); err != nil {
			t.Errorf("the guard looks at what is not ours: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

// TestCase67RightsOfTheOperator: the operator reads what protects by name, and can change none of it.
func TestCase67RightsOfTheOperator(t *testing.T) {
	operator := as(t, env.Person{Name: "the operator", Config: signoff.Operator})
	for _, object := range protection(t, append(play.WebhookKinds, play.PolicyKinds...)...) {
		if err := operator.Get(t.Context(), client.ObjectKeyFromObject(object), object.DeepCopy()); err != nil {
			t.Errorf("the operator must read %s %s: %v", object.GetKind(), object.GetName(), err)
		}
		for verb, err := range map[string]error{
			"update": operator.Update(t.Context(), object.DeepCopy(), client.DryRunAll),
			"delete": operator.Delete(t.Context(), object.DeepCopy(), client.DryRunAll),
		} {
			if !apierrors.IsForbidden(err) {
				t.Errorf("the operator must not %s %s %s: %v", verb, object.GetKind(), object.GetName(), err)
			}
		}
	}
	if err := operator.List(t.Context(), &admissionregistrationv1.ValidatingWebhookConfigurationList{}); !apierrors.IsForbidden(err) {
		t.Errorf("the operator must not read webhooks of others: %v", err)
	}
	if err := operator.Create(t.Context(), request("deploy", play.StagingInputs), client.DryRunAll); !apierrors.IsForbidden(err) {
		t.Errorf("the operator asks for nothing, outside its own namespace least of all: %v", err)
	}
	changes, err := metadata.NewForConfig(signoff.Operator)
	if err != nil {
		t.Fatal(err)
	}
	named := metav1.ListOptions{FieldSelector: "metadata.name=signoff"}
	if _, err := changes.Resource(admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations")).List(t.Context(), named); err != nil {
		t.Errorf("the operator must watch by name: %v", err)
	}
}
