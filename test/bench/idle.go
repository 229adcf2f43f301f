package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/test/env"

	"github.com/signoff-dev/signoff/test/system"
)

// The paths of the webhooks that do nothing.
const (
	idleMutate   = "/mutate"
	idleValidate = "/validate"
)

// serveIdle serves webhooks that allow everything, on the server of controller-runtime with the certificates that Signoff
// demands too. It runs in a process of its own, so that its CPU time can be told from everything else.
func serveIdle(ctx context.Context, dir string) error {
	// As Signoff logs, since the server of controller-runtime makes a logger for every request.
	log.SetLogger(zap.New())
	port, err := os.ReadFile(filepath.Join(dir, "port"))
	if err != nil {
		return fmt.Errorf("failed to read the port: %w", err)
	}
	number, err := strconv.Atoi(string(port))
	if err != nil {
		return fmt.Errorf("failed to read the port: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "client-ca.crt"))
	if err != nil {
		return fmt.Errorf("failed to read who may call: %w", err)
	}
	callers := x509.NewCertPool()
	callers.AppendCertsFromPEM(ca)
	server := webhook.NewServer(webhook.Options{
		Host: "127.0.0.1", Port: number, CertDir: dir,
		TLSOpts: []func(*tls.Config){func(t *tls.Config) {
			t.MinVersion, t.ClientAuth, t.ClientCAs = tls.VersionTLS13, tls.RequireAndVerifyClientCert, callers
			t.NextProtos = []string{"http/1.1"}
		}},
	})
	allow := admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })
	server.Register(idleMutate, &webhook.Admission{Handler: allow})
	server.Register(idleValidate, &webhook.Admission{Handler: allow})
	return server.Start(ctx)
}

// idle is the process that serves webhooks that do nothing.
type idle struct {
	pid  int
	stop func()
}

// startIdle starts the process and makes the API server call it when a compared request is written.
func startIdle(ctx context.Context, cluster *env.Cluster) (*idle, error) {
	dir, err := os.MkdirTemp(cluster.Dir, "idle-")
	if err != nil {
		return nil, fmt.Errorf("failed to make a folder: %w", err)
	}
	ports, err := system.FreePorts(1)
	if err != nil {
		return nil, err
	}
	port := ports[0]
	certificate, key, ca, err := cluster.WebhookServing("127.0.0.1")
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"tls.crt": certificate, "tls.key": key, "client-ca.crt": cluster.WebhookClientCA(), "port": []byte(strconv.Itoa(port)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, fmt.Errorf("failed to write %s: %w", name, err)
		}
	}
	process, err := launchIdle(dir)
	if err != nil {
		return nil, err
	}
	if err := listens(ctx, port); err != nil {
		process.stop()
		return nil, err
	}
	return process, registerIdle(ctx, cluster, fmt.Sprintf("https://127.0.0.1:%d", port), ca)
}

func launchIdle(dir string) (*idle, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("failed to find this program: %w", err)
	}
	logs, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("failed to create a log: %w", err)
	}
	command := exec.Command(self, "-idle", dir)
	command.Stderr = logs
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("failed to start the webhooks that do nothing: %w", err)
	}
	return &idle{pid: command.Process.Pid, stop: func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = logs.Close()
	}}, nil
}

// listens waits until somebody listens on a port.
func listens(ctx context.Context, port int) error {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return within(ctx, time.Minute, "the webhooks that do nothing listen", func() (bool, error) {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, connection.Close()
	})
}

func registerIdle(ctx context.Context, cluster *env.Cluster, url string, ca []byte) error {
	admin, err := client.New(cluster.Admin, client.Options{})
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{comparedGroup}, APIVersions: []string{"*"}, Resources: []string{"actionrequests"},
		},
	}}
	at := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{URL: new(url + path), CABundle: ca}
	}
	none, meta := admissionregistrationv1.SideEffectClassNone, metav1.ObjectMeta{Name: "idle"}
	for _, object := range []client.Object{
		&admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "requests." + comparedGroup, ClientConfig: at(idleMutate), Rules: rules, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		}}},
		&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "requests." + comparedGroup, ClientConfig: at(idleValidate), Rules: rules, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		}}},
	} {
		if err := admin.Create(ctx, object); err != nil {
			return fmt.Errorf("failed to register the webhooks that do nothing: %w", err)
		}
	}
	return nil
}
