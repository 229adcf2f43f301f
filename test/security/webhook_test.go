package security

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/webhooks"
)

// TestCase27StatusByHand writes what only the operator says, with every right of RBAC.
func TestCase27StatusByHand(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", play.ProductionInputs))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	body := client.RawPatch(types.MergePatchType, []byte(`{"status":{"phase":"Approved"}}`))
	refused(t, as(t, users.Ada).Status().Patch(t.Context(), r.DeepCopy(), body), metav1.StatusReasonForbidden,
		"the status of an ActionRequest is written by Signoff only. You are ada.")
	approval := approvalsOf(t, r, 1)[0]
	body = client.RawPatch(types.MergePatchType, []byte(`{"status":{"state":"Approved"}}`))
	refused(t, as(t, users.Ada).Status().Patch(t.Context(), approval.DeepCopy(), body), metav1.StatusReasonForbidden, "written by Signoff only")
	forged := approval.DeepCopy()
	forged.ObjectMeta = metav1.ObjectMeta{Namespace: approval.Namespace, Name: "forged"}
	refused(t, as(t, users.Ada).Create(t.Context(), forged), metav1.StatusReasonForbidden, "an Approval is written by Signoff only")
	record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: env.SystemNamespace, Name: "forged"}, Spec: v1alpha1.RecordSpec{
		RequestRef: v1alpha1.RecordRequestReference{Namespace: "a", Name: "b", UID: "c"}, ActionRef: r.Spec.ActionRef, Requester: *r.Spec.Requester,
		ServiceAccountName: "deployer", Digest: approval.Spec.Digest, ClaimedAt: metav1.NowMicro(), Timeout: "1h",
		Steps: []v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{{
			Operation: v1alpha1.WriteApply, Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x"},
			Body: runtime.RawExtension{Raw: []byte(`{}`)}, FieldManager: "m",
		}}}},
	}}
	refused(t, as(t, users.Ada).Create(t.Context(), record), metav1.StatusReasonForbidden, "a Record is written by Signoff only")
}

// TestCase28StatusAtCreation creates a request that says of itself that it is approved.
func TestCase28StatusAtCreation(t *testing.T) {
	r := request("deploy", play.ProductionInputs)
	r.Annotations = map[string]string{"signoff.dev/approved": "true", v1alpha1.AnnotationVerdict: `{"allowed":true}`, "signoff.dev/approved-by": "bob"}
	r.Labels = map[string]string{"signoff.dev/phase": "Approved"}
	r.Status = v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseApproved, Approvals: "1/1", Outcome: v1alpha1.OutcomeSucceeded, Execution: &v1alpha1.ExecutionClaim{
		ID: "forged", StartedAt: metav1.Now(), Digest: "sha256:" + strings.Repeat("0", 64),
	}}
	asked := ask(t, users.Alice, r)
	now := neverStarts(t, asked, v1alpha1.PhaseAwaitingApproval)
	if now.Status.Outcome != "" || now.Status.Approvals != "0/1" || now.Annotations[v1alpha1.AnnotationVerdict] != "" {
		t.Errorf("what a client says of a request is nothing: %+v, %v", now.Status, now.Annotations)
	}
}

// TestCase30DeletedAndHeldByAFinalizer deletes a request that somebody else's finalizer keeps: it is judged like any other, and never executed.
func TestCase30DeletedAndHeldByAFinalizer(t *testing.T) {
	r := request("deploy", play.ProductionInputs)
	r.Finalizers = []string{"example.com/hold"}
	r, approval := opened(t, users.Alice, r)
	if err := as(t, users.Ada).Delete(t.Context(), r.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if now := live(t, r); now.DeletionTimestamp == nil {
		t.Fatal("it must be there, and being deleted")
	}
	eventually(t, "the refusal of a vote", func() (bool, string) {
		err := vote(t, users.Bob, approval, v1alpha1.DecisionApprove, "")
		return apierrors.IsForbidden(err) || apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	refused(t, patch(t, users.Alice, r, `{"spec":{"inputs":{"image":"registry/evil:1"}}}`), metav1.StatusReasonInvalid, "make a new request")
	refused(t, patchStatus(t, users.Ada, r, `{"status":{"phase":"Approved"}}`), metav1.StatusReasonForbidden, "written by Signoff only")
	refused(t, patch(t, users.Ada, r, `{"metadata":{"finalizers":["example.com/hold","example.com/more"]}}`), metav1.StatusReasonInvalid, "finalizers")
	if executed(t, r) {
		t.Error("it was executed")
	}
	if err := patch(t, users.Ada, r, `{"metadata":{"finalizers":null}}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), &v1alpha1.ActionRequest{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
}

// TestCase31ExemptedByALabel labels a namespace and its objects with all that exempts from other webhooks.
func TestCase31ExemptedByALabel(t *testing.T) {
	const labels = `{"metadata":{"labels":{"admission.gatekeeper.sh/ignore":"true","control-plane":"true","kubernetes.io/metadata.name":"payments","runlevel":"0",
		"signoff.dev/ignore":"true","signoff.dev/canary":"true"}}}`
	if err := patch(t, users.Ada, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: env.WorkNamespace}}, labels); err != nil {
		t.Fatal(err)
	}
	r := request("two-stages", `{}`)
	r.Labels = map[string]string{"admission.gatekeeper.sh/ignore": "true", "signoff.dev/ignore": "true"}
	r, approval := opened(t, users.Bob, r)
	refused(t, vote(t, users.Bob, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, selfApproval)
	refused(t, patchStatus(t, users.Ada, r, `{"status":{"phase":"Approved"}}`), metav1.StatusReasonForbidden, "written by Signoff only")
	mutating, validating := hooks(t)
	for _, hook := range append(mutating, validating...) {
		if !isEverybody(hook.GetNamespaceSelector()) || !isEverybody(hook.GetObjectSelector()) {
			t.Errorf("%s can be escaped by a label", hook.GetName())
		}
	}
}

// TestCase32WebhookAway writes while nobody answers, and while the answer is signed by somebody else.
func TestCase32WebhookAway(t *testing.T) {
	r, approval := open(t)
	attempts := func() map[string]error {
		c := as(t, users.Ada)
		return map[string]error{
			"Request": as(t, users.Alice).Create(t.Context(), request("deploy", play.StagingInputs)),
			"Vote":    vote(t, users.Bob, approval, v1alpha1.DecisionApprove, ""),
			"Cancel":  patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"stop"}}}`),
			"Deleted": c.Delete(t.Context(), r.DeepCopy()),
			"Policy":  c.Create(t.Context(), object(t, `{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: unseen}, spec: {rules: [{name: a, effect: Deny}]}}`)),
		}
	}
	signoff.Stop()
	for _, err := range attempts() {
		refused(t, err, metav1.StatusReasonInternalError, "failed calling webhook")
	}
	if err := signoff.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	otherAuthority(t, func() {
		eventually(t, "the API server takes the other authority", func() (bool, string) {
			err := as(t, users.Alice).Create(t.Context(), request("deploy", play.StagingInputs), client.DryRunAll)
			return err != nil && strings.Contains(err.Error(), "x509"), fmt.Sprint(err)
		})
		for _, err := range attempts() {
			refused(t, err, metav1.StatusReasonInternalError, "failed calling webhook", "x509")
		}
	})
	guarded(t)
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if cast := live(t, approval).Spec.Votes; len(cast) != 1 {
		t.Errorf("only the last one was stored: %+v", cast)
	}
}

// otherAuthority lets the API server expect, while something is done, webhooks with a certificate of another authority.
func otherAuthority(t *testing.T, what func()) {
	t.Helper()
	for _, config := range protection(t, play.WebhookKinds...) {
		before := config.DeepCopy()
		hooks, _, err := unstructured.NestedSlice(config.Object, "webhooks")
		for _, hook := range hooks {
			fields, ok := hook.(map[string]any)
			if err != nil || !ok {
				t.Fatal("these are no webhooks")
			}
			err = unstructured.SetNestedField(fields, base64.StdEncoding.EncodeToString(cluster.Admin.CAData), "clientConfig", "caBundle")
		}
		if err == nil {
			err = unstructured.SetNestedSlice(config.Object, hooks, "webhooks")
		}
		if err == nil {
			err = admin(t).Update(t.Context(), config)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			before.SetResourceVersion(config.GetResourceVersion())
			if err := admin(t).Update(context.WithoutCancel(t.Context()), before); err != nil {
				t.Error(err)
			}
		}()
	}
	what()
}

// caller speaks to the webhooks directly, with a certificate or without.
func caller(t *testing.T, certificate, key []byte) *http.Client {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true}
	if certificate != nil {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// forgedReview says that bob asks for something.
const forgedReview = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","namespace":"payments",
	"kind":{"group":"signoff.dev","version":"v1alpha1","kind":"ActionRequest"},"resource":{"group":"signoff.dev","version":"v1alpha1","resource":"actionrequests"},
	"userInfo":{"username":"bob","groups":["engineering","payments","system:authenticated"]},"object":{"apiVersion":"signoff.dev/v1alpha1","kind":"ActionRequest",
	"metadata":{"namespace":"payments","name":"forged-review"},"spec":{"actionRef":{"namespace":"platform","name":"deploy"},"inputs":{"service":"checkout","environment":"staging","image":"a"}}}}}`

// metric reads a metric of Signoff as Prometheus would.
func metric(t *testing.T, line string) string {
	t.Helper()
	_, text := answer(t, http.DefaultClient, http.MethodGet, "http://"+metricsAddress+"/metrics", "")
	for each := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(each), line+" "); ok {
			return value
		}
	}
	return "0"
}

// answer gives what somebody answers; 0 where they do not.
func answer(t *testing.T, c *http.Client, method, url, body string) (int, string) {
	t.Helper()
	ask, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Content-Type", "application/json")
	response, err := c.Do(ask)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// TestCase35ForgedReview calls the webhooks directly. Whoever is not the API server is cut off before a byte is decoded, and counted.
func TestCase35ForgedReview(t *testing.T) {
	certificate, key, err := cluster.WebhookClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		caller *http.Client
		path   string
		status int
		words  string
		reason string
	}{
		"NoCertificate":   {caller(t, nil, nil), webhooks.PathMutateActionRequest, 0, "bad certificate", "NoCertificate"},
		"UserCertificate": {caller(t, users.Alice.Config.CertData, users.Alice.Config.KeyData), webhooks.PathMutateActionRequest, 0, "bad certificate", "ForeignCertificate"},
		"WrongPath":       {caller(t, certificate, key), "/", http.StatusNotFound, "not found", "UnknownPath"},
		"OtherPath":       {caller(t, certificate, key), webhooks.PathMutateActionRequest + "/more", http.StatusNotFound, "not found", "UnknownPath"},
	} {
		t.Run(name, func(t *testing.T) {
			line := `signoff_webhook_refused_total{reason="` + tc.reason + `"}`
			before := metric(t, line)
			status, text := answer(t, tc.caller, http.MethodPost, signoff.WebhookURL+tc.path, forgedReview)
			if status != tc.status || !strings.Contains(text, tc.words) || strings.Contains(text, "seal") {
				t.Errorf("want %d with %q, got %d: %s", tc.status, tc.words, status, text)
			}
			eventually(t, "it is counted", func() (bool, string) {
				after := metric(t, line)
				return after != before, before + ", then " + after
			})
		})
	}
	plain := strings.Replace(signoff.WebhookURL, "https://", "http://", 1)
	if status, text := answer(t, http.DefaultClient, http.MethodPost, plain+webhooks.PathMutateActionRequest, forgedReview); status == http.StatusOK {
		t.Errorf("without TLS: %d %s", status, text)
	}
	// Even the API server's own certificate stores nothing: an answer is only a piece of advice to it.
	if status, _ := answer(t, caller(t, certificate, key), http.MethodPost, signoff.WebhookURL+webhooks.PathMutateActionRequest, forgedReview); status != http.StatusOK {
		t.Errorf("the API server is answered: %d", status)
	}
	err = admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.WorkNamespace, Name: "forged-review"}, &v1alpha1.ActionRequest{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("something was stored: %v", err)
	}
}
