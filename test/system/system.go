// Package system puts Signoff on a control plane as a user would install it, and runs it: in this process for tests, or as
// the real binary for the demo. Either way it has the rights of its ServiceAccount and no others.
package system

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/setup"
	"github.com/signoff-dev/signoff/test/env"
)

// Options say how Signoff runs. The zero value runs it in this process.
type Options struct {
	// Configure changes the configuration before it is used.
	Configure func(*config.Configuration)
	// Clock tells the time to a Signoff in this process. Nil: the real clock.
	Clock clock.WithTicker
	// Parts are what runs. The zero value runs everything.
	Parts setup.Parts
	// Binary is the path of the signoff binary to run. Empty: it runs in this process.
	Binary string
	// Log is the file to which the binary logs.
	Log string
}

// System is an installed and running Signoff.
type System struct {
	// Process is what runs in this process; nil where the binary runs.
	Process *setup.Process
	// Operator are the credentials of the operator, with its rights only.
	Operator *rest.Config
	// WebhookURL is where the webhooks are served.
	WebhookURL string
	// PID is the process of the binary; 0 where it runs in this process.
	PID int

	cluster *env.Cluster
	options Options
	cfg     *config.Configuration
	dir     string
	stop    func()
}

// Start installs Signoff on a control plane that has its CRDs, runs it, and returns when it answers.
func Start(ctx context.Context, cluster *env.Cluster, options Options) (*System, error) {
	if options.Parts == (setup.Parts{}) {
		options.Parts = setup.Everything()
	}
	s := &System{cluster: cluster, options: options}
	for _, part := range []func(context.Context) error{s.install, s.configure, s.register, s.Restart} {
		if err := part(ctx); err != nil {
			s.Stop()
			return nil, err
		}
	}
	return s, nil
}

// Stop ends the process.
func (s *System) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// install applies the RBAC of the operator and gets its credentials.
func (s *System) install(ctx context.Context) error {
	for _, file := range []string{"config/rbac/operator.yaml", "config/rbac/role.yaml", "config/rbac/user-roles.yaml"} {
		if err := s.cluster.ApplyFile(ctx, file); err != nil {
			return fmt.Errorf("failed to apply %s: %w", file, err)
		}
	}
	var err error
	if s.Operator, err = s.cluster.ServiceAccount(ctx, config.DefaultNamespace, config.DefaultServiceAccount); err != nil {
		return fmt.Errorf("failed to get the credentials of the operator: %w", err)
	}
	return nil
}

// configure writes certificates and the configuration file.
func (s *System) configure(context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp(s.cluster.Dir, "signoff-"); err != nil {
		return fmt.Errorf("failed to make a folder: %w", err)
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	s.cfg = config.Default()
	s.cfg.Webhook.BindAddress, s.cfg.Webhook.Port = "127.0.0.1", ports[0]
	s.cfg.Webhook.CertDir, s.cfg.Webhook.ClientCAFile = s.dir, filepath.Join(s.dir, "client-ca.crt")
	s.cfg.Health.BindAddress = fmt.Sprintf("127.0.0.1:%d", ports[1])
	s.cfg.Metrics.BindAddress = "0"
	s.cfg.LeaderElection.Enabled = false
	// The standard output is that of the tests.
	s.cfg.Audit.Sinks = []config.AuditSink{}
	if s.options.Configure != nil {
		s.options.Configure(s.cfg)
	}
	s.WebhookURL = fmt.Sprintf("https://127.0.0.1:%d", ports[0])
	text, err := yaml.Marshal(s.cfg)
	if err != nil {
		return fmt.Errorf("failed to write the configuration: %w", err)
	}
	return s.write(map[string][]byte{"configuration.yaml": text, "client-ca.crt": s.cluster.WebhookClientCA()})
}

func (s *System) write(files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
			return fmt.Errorf("failed to write %s: %w", name, err)
		}
	}
	return nil
}

// register makes the API server ask our webhooks.
func (s *System) register(ctx context.Context) error {
	certificate, key, ca, err := s.cluster.WebhookServing("127.0.0.1")
	if err != nil {
		return fmt.Errorf("failed to make a serving certificate: %w", err)
	}
	if err := s.write(map[string][]byte{"tls.crt": certificate, "tls.key": key}); err != nil {
		return err
	}
	options := &setup.WebhookOptions{
		URL: s.WebhookURL, CABundle: ca,
		Operator: identity.ServiceAccountUsername(s.cfg.Operator.Namespace, s.cfg.Operator.ServiceAccount),
	}
	for _, object := range []client.Object{setup.MutatingWebhooks(options), setup.ValidatingWebhooks(options)} {
		text, err := yaml.Marshal(object)
		if err != nil {
			return fmt.Errorf("failed to write webhook configurations: %w", err)
		}
		if err := s.cluster.Apply(ctx, text); err != nil {
			return fmt.Errorf("failed to register the webhooks: %w", err)
		}
	}
	return nil
}

// Unregister makes the API server ask our webhooks no more, as whoever owns the cluster could, and returns when it does not.
func (s *System) Unregister(ctx context.Context) error {
	c, err := client.New(s.cluster.Admin, client.Options{Scheme: setup.Scheme()})
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	options := &setup.WebhookOptions{URL: s.WebhookURL}
	for _, object := range []client.Object{setup.MutatingWebhooks(options), setup.ValidatingWebhooks(options)} {
		if err := c.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("failed to remove the webhooks: %w", err)
		}
	}
	return s.asked(ctx, c, false)
}

// Register makes the API server ask our webhooks again, and returns when it does.
func (s *System) Register(ctx context.Context) error {
	if err := s.register(ctx); err != nil {
		return err
	}
	c, err := client.New(s.cluster.Admin, client.Options{Scheme: setup.Scheme()})
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	return s.asked(ctx, c, true)
}

// asked waits until the API server asks all our webhooks, or none: it takes a moment to notice.
func (s *System) asked(ctx context.Context, c client.Client, want bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// Refused by the second webhook because its Action is not there, once the first has stamped it.
	probe := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "probe"},
		Spec:       v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: "nowhere", Name: "nothing"}},
	}
	for {
		err := c.Create(ctx, probe.DeepCopy(), client.DryRunAll)
		if !want && err == nil || want && err != nil && strings.Contains(err.Error(), "there is no Action") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server did not notice the webhooks: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Restart stops Signoff if it runs, starts it, and returns when it is ready.
func (s *System) Restart(ctx context.Context) error {
	s.Stop()
	start := s.startHere
	if s.options.Binary != "" {
		start = s.startBinary
	}
	if err := start(ctx); err != nil {
		return err
	}
	return s.ready(ctx)
}

func (s *System) startHere(ctx context.Context) error {
	clk := s.options.Clock
	if clk == nil {
		clk = clock.RealClock{}
	}
	var err error
	if s.Process, err = setup.New(s.cfg, s.Operator, clk, s.options.Parts); err != nil {
		return fmt.Errorf("failed to set Signoff up: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Process.Manager.Start(running); err != nil {
			ctrl.Log.Error(err, "Signoff ended")
		}
	}()
	s.stop = func() { cancel(); <-done }
	return nil
}

func (s *System) startBinary(ctx context.Context) error {
	kubeconfig := filepath.Join(s.dir, "kubeconfig")
	if err := s.cluster.Kubeconfig(kubeconfig, s.Operator); err != nil {
		return fmt.Errorf("failed to write the kubeconfig of the operator: %w", err)
	}
	logs, err := os.OpenFile(s.options.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("failed to open the log: %w", err)
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), s.options.Binary,
		"--config", filepath.Join(s.dir, "configuration.yaml"), "--kubeconfig", kubeconfig,
		fmt.Sprintf("--admission=%t", s.options.Parts.Admission), fmt.Sprintf("--controllers=%t", s.options.Parts.Controllers))
	command.Stdout, command.Stderr = logs, logs
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel kills the child when the thread that started it ends, so this one must stay until then.
		runtime.LockOSThread()
		defer close(exited)
		defer func() { _ = logs.Close() }()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("failed to start %s: %w", s.options.Binary, err)
	}
	s.PID = command.Process.Pid
	s.stop = func() { _ = command.Process.Signal(syscall.SIGTERM); waitOrKill(command, exited) }
	return nil
}

// Kill ends the binary without a chance to finish anything, as a crash would.
func (s *System) Kill() {
	if s.PID != 0 {
		_ = syscall.Kill(s.PID, syscall.SIGKILL)
	}
}

func waitOrKill(command *exec.Cmd, exited <-chan struct{}) {
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		_ = command.Process.Kill()
		<-exited
	}
}

// ready waits until Signoff says that it is ready.
func (s *System) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	url := fmt.Sprintf("http://%s/readyz", s.cfg.Health.BindAddress)
	for {
		if answers(ctx, url) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("Signoff did not become ready within a minute: see its log: %w", ctx.Err()) //nolint:staticcheck // a name
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("failed to find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // we listened on TCP
	}
	return ports, nil
}

// Grant lets the operator act as ServiceAccounts of a catalog namespace, as the platform team of that namespace would.
func (s *System) Grant(ctx context.Context, namespace string, serviceAccounts ...string) error {
	role := map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": map[string]any{"namespace": namespace, "name": "signoff-executors"},
		"rules": []any{map[string]any{
			"apiGroups": []string{""}, "resources": []string{"serviceaccounts"}, "verbs": []string{"impersonate"}, "resourceNames": serviceAccounts,
		}},
	}
	binding := map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"metadata": map[string]any{"namespace": namespace, "name": "signoff-executors"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "signoff-executors"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": s.cfg.Operator.Namespace, "name": s.cfg.Operator.ServiceAccount}},
	}
	for _, object := range []map[string]any{role, binding} {
		text, err := yaml.Marshal(object)
		if err != nil {
			return fmt.Errorf("failed to write the grant: %w", err)
		}
		if err := s.cluster.Apply(ctx, text); err != nil {
			return fmt.Errorf("failed to grant impersonation in %s: %w", namespace, err)
		}
	}
	return nil
}
