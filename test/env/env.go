// Package env starts a real Kubernetes control plane for tests, the demo and the benchmark, and speaks to it as real users.
package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/signoff-dev/signoff/hack/assets"
)

// Options say what runs beside etcd and the API server. The zero value is the quickest to start.
type Options struct {
	// CRDs installs the definitions of config/crd.
	CRDs bool
	// ControllerManager runs kube-controller-manager, each controller as its own ServiceAccount. Namespace deletion, garbage
	// collection, Deployments, Jobs, default ServiceAccounts and the aggregated roles (admin, edit, view) need it.
	ControllerManager bool
	// Nodes runs kube-scheduler and a simulated node besides, so that Pods run and Jobs complete. It implies
	// ControllerManager. See PodAnnotation for Pods that shall fail or hang.
	Nodes bool
	// NodeAddress is the address of a real node, which package node starts: the API server listens there, so that Pods reach it, and
	// kube-scheduler runs. It implies ControllerManager, and excludes Nodes.
	NodeAddress string
	// AuditLog is the file to which the API server writes one line per request, at level Metadata. Empty writes none.
	AuditLog string
	// Dir keeps data, certificates and logs, and must not hold those of an earlier start. Empty takes a temporary folder that
	// Stop removes.
	Dir string
}

// Cluster is a running control plane. Stop it when done.
type Cluster struct {
	// Admin is allowed everything, because its group is system:masters. Use it to prepare and to look, never to act as a user.
	Admin *rest.Config
	// Dir keeps data, certificates and logs (in logs/).
	Dir string
	// Binaries is the folder of etcd, kube-apiserver, kubectl and the others.
	Binaries string

	root       string
	removeDir  bool
	keeper     *keeper
	control    *envtest.Environment
	components []*component
	logs       []*os.File
	webhookCA  *authority // signed the client certificate that the API server shows to webhooks
	servingCA  *authority // signs what WebhookServing returns
	options    Options
}

// Start starts the control plane and returns when it is usable. The context bounds the start only.
// Whatever was started is stopped again when Start fails.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	options.ControllerManager = options.ControllerManager || options.Nodes || options.NodeAddress != ""
	c := &Cluster{options: options, keeper: newKeeper()}
	if err := c.start(ctx); err != nil {
		logs := c.logTails()
		c.Stop()
		return nil, errors.Join(err, logs)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		c.prepare, c.startAPIServer, c.startControllerManager, c.startNodes, c.waitForControllers,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare finds the binaries and makes the folders and the two authorities.
func (c *Cluster) prepare(context.Context) (err error) {
	if c.root, err = assets.Root(); err != nil {
		return err
	}
	if c.Binaries, err = assets.FindControlPlane(c.root); err != nil {
		return err
	}
	if err := c.makeDir(); err != nil {
		return err
	}
	if c.webhookCA, err = newAuthority("signoff-test-apiserver-client-ca"); err != nil {
		return err
	}
	c.servingCA, err = newAuthority("signoff-test-webhook-serving-ca")
	return err
}

func (c *Cluster) makeDir() (err error) {
	if c.options.Dir != "" {
		c.Dir, err = filepath.Abs(c.options.Dir)
	} else {
		c.removeDir = true
		c.Dir, err = os.MkdirTemp("", "signoff-env-")
	}
	if err != nil {
		return fmt.Errorf("failed to choose a folder for the control plane: %w", err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("failed to make the folder of the control plane: %w", err)
	}
	for _, name := range []string{"apiserver", "etcd", "run", "logs"} {
		// The data of an earlier start would not fit the new certificates, so that an existing folder is an error.
		if err := os.Mkdir(filepath.Join(c.Dir, name), 0o700); err != nil {
			return fmt.Errorf("failed to make a folder of the control plane (does %s hold an earlier one?): %w", c.Dir, err)
		}
	}
	return nil
}

// Stop ends every process, the API server before etcd, and removes the temporary folder. A process that does not end in time
// is killed, so that Stop has no error to report. It may be called more than once.
func (c *Cluster) Stop() {
	for i := len(c.components) - 1; i >= 0; i-- {
		c.components[i].stop(stopTimeout)
	}
	c.components = nil
	if c.control != nil {
		// An error here means that a process had to be killed, which envtest has done by then.
		_ = c.control.Stop()
		c.control = nil
	}
	c.keeper.close()
	for _, log := range c.logs {
		_ = log.Close()
	}
	c.logs = nil
	if c.removeDir && c.Dir != "" {
		_ = os.RemoveAll(c.Dir)
	}
}

// Kubectl returns the path of the kubectl binary that fits the API server.
func (c *Cluster) Kubectl() string {
	return filepath.Join(c.Binaries, "kubectl")
}

const (
	// A loaded machine with two cores needs far longer than the three seconds of an idle one.
	startTimeout = 90 * time.Second
	// The API server drains open watches for as long as it is let; nothing here is worth waiting for.
	stopTimeout = 5 * time.Second
)
