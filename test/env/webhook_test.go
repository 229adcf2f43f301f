package env

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serve starts an HTTPS server that demands the client certificate of the API server, notes whom it admitted, and allows all.
func serve(t *testing.T) (url string, ca []byte, callers chan string) {
	t.Helper()
	certificate, key, ca, err := cluster.WebhookServing("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cluster.WebhookClientCA()) {
		t.Fatal("the authority for clients is no PEM")
	}
	callers = make(chan string, 1000)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
			return
		}
		callers <- r.URL.Path + " from " + r.TLS.PeerCertificates[0].Subject.CommonName
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if err := json.NewEncoder(w).Encode(review); err != nil {
			t.Error(err)
		}
	}))
	server.TLS = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "https://localhost:" + port, ca, callers
}

func TestWebhookClientCertificate(t *testing.T) {
	url, ca, callers := serve(t)
	clientConfig := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{URL: new(url + path), CABundle: ca}
	}
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"webhook-test": "true"}}
	_, err := admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(),
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "env-test"},
			Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: "mutating.test.signoff.dev", ClientConfig: clientConfig("/mutate"), Rules: rules, ObjectSelector: selector,
				SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
				AdmissionReviewVersions: []string{"v1"},
			}},
		}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(),
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "env-test"},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "validating.test.signoff.dev", ClientConfig: clientConfig("/validate"), Rules: rules, ObjectSelector: selector,
				SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
				AdmissionReviewVersions: []string{"v1"},
			}},
		}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		for _, err := range []error{
			admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, "env-test", metav1.DeleteOptions{}),
			admin.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, "env-test", metav1.DeleteOptions{}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	})

	// The API server learns of a webhook a moment after it was registered.
	seen := map[string]bool{}
	eventually(t, func(ctx context.Context) error {
		_, err := admin.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "env-", Labels: selector.MatchLabels},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		for len(callers) > 0 {
			seen[<-callers] = true
		}
		if err == nil && len(seen) < 2 {
			return fmt.Errorf("called so far: %v", seen)
		}
		return err
	})
	want := map[string]bool{"/mutate from " + WebhookClientName: true, "/validate from " + WebhookClientName: true}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestWebhookCutsOffOthers(t *testing.T) {
	url, ca, callers := serve(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err == nil {
		_ = response.Body.Close()
		t.Fatalf("a caller without certificate got %s", response.Status)
	}
	if len(callers) > 0 {
		t.Errorf("the handler was called: %s", <-callers)
	}
}
