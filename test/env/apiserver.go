package env

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// auditPolicy writes one event per request, when it is answered.
//
//go:embed files/audit-policy.yaml
var auditPolicy []byte

// admissionConfiguration makes the webhook plugins read a kubeconfig; %[1]q is its path.
//
//go:embed files/admission.yaml
var admissionConfiguration string

// startAPIServer starts etcd and the API server and installs the CRDs.
func (c *Cluster) startAPIServer(context.Context) error {
	control := &envtest.Environment{
		UseExistingCluster:       new(bool),
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  stopTimeout,
		ErrorIfCRDPathMissing:    true,
	}
	if c.options.CRDs {
		control.CRDDirectoryPaths = []string{filepath.Join(c.root, "config", "crd")}
	}
	if err := errors.Join(c.configureEtcd(control), c.configureAPIServer(control)); err != nil {
		return err
	}
	c.control = control
	return c.keeper.do(func() error {
		admin, err := control.Start()
		if err != nil {
			return fmt.Errorf("failed to start etcd and kube-apiserver: %w", err)
		}
		c.Admin = unthrottled(admin)
		return nil
	})
}

func (c *Cluster) configureEtcd(control *envtest.Environment) error {
	path, err := c.launcher("etcd")
	if err != nil {
		return err
	}
	log, err := c.openLog("etcd")
	if err != nil {
		return err
	}
	control.ControlPlane.Etcd = &envtest.Etcd{Path: path, DataDir: filepath.Join(c.Dir, "etcd"), Out: log, Err: log}
	return nil
}

// Etcd is the address under which etcd speaks HTTP. What is written there was seen by nobody.
func (c *Cluster) Etcd() string { return c.control.ControlPlane.Etcd.URL.String() }

func (c *Cluster) configureAPIServer(control *envtest.Environment) error {
	path, err := c.launcher("kube-apiserver")
	if err != nil {
		return err
	}
	log, err := c.openLog("kube-apiserver")
	if err != nil {
		return err
	}
	control.ControlPlane.KubectlPath = c.Kubectl()
	server := control.ControlPlane.GetAPIServer()
	server.Path, server.CertDir, server.Out, server.Err = path, filepath.Join(c.Dir, "apiserver"), log, log
	c.configureServiceAccounts(server)
	return errors.Join(c.configureWebhookClient(server), c.configureAudit(server), c.configureNode(server))
}

// The API server as Pods see it: port is where it listens on the node, and serviceAddress is that of its Service, the first of the range
// that envtest sets.
const (
	port           = "6443"
	serviceAddress = "10.0.0.1"
)

// configureNode lets Pods of a real node reach the API server, lets the kubelet have the rights of its node only, and lets the API server
// show the kubelet who it is.
func (c *Cluster) configureNode(server *envtest.APIServer) error {
	if c.options.NodeAddress == "" {
		return nil
	}
	server.Address, server.Port = c.options.NodeAddress, port
	serving, servingKey, err := c.servingCA.serving([]string{"localhost", c.options.NodeAddress, serviceAddress})
	if err != nil {
		return err
	}
	signer, signerKey, err := c.servingCA.serving([]string{"service-accounts"})
	if err != nil {
		return err
	}
	// envtest takes certificates that are there: those that it makes do not know the address of the Service.
	server.CA = c.servingCA.pem()
	for name, content := range map[string][]byte{
		"apiserver.crt": serving, "apiserver.key": servingKey, "sa-signer.crt": signer, "sa-signer.key": signerKey,
	} {
		if err := os.WriteFile(filepath.Join(c.Dir, "apiserver", name), content, 0o600); err != nil {
			return fmt.Errorf("failed to write a certificate of the API server: %w", err)
		}
	}
	client, clientKey, err := c.WebhookClientCertificate()
	if err != nil {
		return err
	}
	server.Configure().Set("authorization-mode", "Node,RBAC").Set("enable-admission-plugins", "NodeRestriction").
		Set("kubelet-preferred-address-types", "InternalIP")
	return errors.Join(
		c.passFile(server, "kubelet-client-certificate", "kubelet-client.crt", client),
		c.passFile(server, "kubelet-client-key", "kubelet-client.key", clientKey),
	)
}

// configureWebhookClient gives the API server a client certificate for every webhook. The user entry "*" matches webhooks
// with a url as well as those with a service; TestWebhookClientCertificate is the proof.
func (c *Cluster) configureWebhookClient(server *envtest.APIServer) error {
	certificate, key, err := c.webhookCA.client(WebhookClientName)
	if err != nil {
		return err
	}
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.AuthInfos["*"] = &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
	kubeconfigPath := filepath.Join(c.Dir, "apiserver", "webhooks.kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, kubeconfigPath); err != nil {
		return fmt.Errorf("failed to write the kubeconfig for webhooks: %w", err)
	}
	configuration := fmt.Sprintf(admissionConfiguration, kubeconfigPath)
	return c.passFile(server, "admission-control-config-file", "admission.yaml", []byte(configuration))
}

func (c *Cluster) configureAudit(server *envtest.APIServer) error {
	if c.options.AuditLog == "" {
		return nil
	}
	path, err := filepath.Abs(c.options.AuditLog)
	if err != nil {
		return fmt.Errorf("failed to find the audit log: %w", err)
	}
	server.Configure().Set("audit-log-path", path)
	return c.passFile(server, "audit-policy-file", "audit-policy.yaml", auditPolicy)
}

// configureServiceAccounts turns on the admission plugin that envtest turns off, when there is somebody to make the default
// ServiceAccounts that it demands.
func (c *Cluster) configureServiceAccounts(server *envtest.APIServer) {
	if c.options.ControllerManager {
		server.Configure().Disable("disable-admission-plugins")
	}
}

// passFile writes content to a file of the API server and passes its path as the flag.
func (c *Cluster) passFile(server *envtest.APIServer, flag, name string, content []byte) error {
	path := filepath.Join(c.Dir, "apiserver", name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("failed to write the file for --%s: %w", flag, err)
	}
	server.Configure().Set(flag, path)
	return nil
}

// unthrottled lets a client send as fast as it can: a limit in the client would hide what the server and we cost.
func unthrottled(config *rest.Config) *rest.Config {
	config.QPS, config.Burst = -1, 0
	return config
}
