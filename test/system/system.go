// Package system puts Signoff on a control plane as a user would install it, and runs it: in this process for tests, or as
// the real binary for the demo. Either way it has the rights of its ServiceAccount and no others.
package system

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/yaml"

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
	// Split runs admission and the controllers as two processes with an identity each, in this process.
	Split bool
	// Binary is the path of the signoff binary to run. Empty: it runs in this process.
	Binary string
	// Log is the file to which the binary logs.
	Log string
	// Patience is how long it may take to become ready. Zero: a minute.
	Patience time.Duration
}

// System is an installed and running Signoff.
type System struct {
	// Process is what runs in this process; nil where the binary runs. Split: the controllers.
	Process *setup.Process
	// Webhooks is what judges at admission in this process: Process, but Split.
	Webhooks *setup.Process
	// Operator are the credentials of the operator, with its rights only. Split: those of the controllers.
	Operator *rest.Config
	// Admission are the credentials of the process that serves the webhooks.
	Admission *rest.Config
	// WebhookURL is where the webhooks are served.
	WebhookURL string
	// PID is the process of the binary; 0 where it runs in this process.
	PID int

	cluster *env.Cluster
	options Options
	cfg     *config.Configuration
	dir     string
	// second is where the process of admission says that it is ready, where there are two.
	second string
	stop   func()
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

// Configuration is what Signoff runs with, for further processes of it. They must serve nothing on the same addresses.
func (s *System) Configuration() *config.Configuration {
	cfg := *s.cfg
	return &cfg
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
	files, operator, admission := []string{"config/rbac/operator.yaml", "config/rbac/role.yaml"}, config.DefaultServiceAccount, config.DefaultServiceAccount
	if s.options.Split {
		operator, admission = "signoff-controller", "signoff-admission"
		files = nil
		for _, part := range []string{"admission", "controller"} {
			files = append(files, "config/rbac/"+part+"/operator.yaml", "config/rbac/"+part+"/role.yaml")
		}
	}
	if err := s.cluster.Apply(ctx, fmt.Appendf(nil, "{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", config.DefaultNamespace)); err != nil {
		return fmt.Errorf("failed to make the namespace of Signoff: %w", err)
	}
	for _, file := range append(files, "config/rbac/user-roles.yaml") {
		if err := s.cluster.ApplyFile(ctx, file); err != nil {
			return fmt.Errorf("failed to apply %s: %w", file, err)
		}
	}
	var err error
	if s.Operator, err = s.cluster.ServiceAccount(ctx, config.DefaultNamespace, operator); err != nil {
		return fmt.Errorf("failed to get the credentials of the operator: %w", err)
	}
	if s.Admission, err = s.cluster.ServiceAccount(ctx, config.DefaultNamespace, admission); err != nil {
		return fmt.Errorf("failed to get the credentials of admission: %w", err)
	}
	return nil
}

// configure writes certificates and the configuration file.
func (s *System) configure(context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp(s.cluster.Dir, "signoff-"); err != nil {
		return fmt.Errorf("failed to make a folder: %w", err)
	}
	ports, err := FreePorts(3)
	if err != nil {
		return err
	}
	s.cfg = config.Default()
	// Whoever stops it does not ask any more.
	s.cfg.Webhook.BindAddress, s.cfg.Webhook.Port, s.cfg.Webhook.Drain.Duration = "127.0.0.1", ports[0], 0
	s.cfg.Webhook.CertDir, s.cfg.Webhook.ClientCAFile = s.dir, filepath.Join(s.dir, "client-ca.crt")
	s.cfg.Health.BindAddress = fmt.Sprintf("127.0.0.1:%d", ports[1])
	s.cfg.Metrics.BindAddress = "0"
	s.cfg.LeaderElection.Enabled = false
	// A few users ask for everything that all tests need.
	s.cfg.Requester.MaxOpen, s.cfg.Requester.MaxDryRuns = 100_000, 100_000
	if s.options.Split {
		s.cfg.Operator.ServiceAccount, s.cfg.Operator.AdmissionServiceAccount = "signoff-controller", "signoff-admission"
	}
	s.second = fmt.Sprintf("127.0.0.1:%d", ports[2])
	// The standard output is that of the tests.
	s.cfg.Audit.Sinks = []config.AuditSink{}
	if s.options.Configure != nil {
		s.options.Configure(s.cfg)
	}
	s.WebhookURL = fmt.Sprintf("https://127.0.0.1:%d", ports[0])
	return s.write(map[string][]byte{"client-ca.crt": s.cluster.WebhookClientCA()})
}

func (s *System) write(files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
			return fmt.Errorf("failed to write %s: %w", name, err)
		}
	}
	return nil
}

// register makes the API server ask our webhooks, and judge by our admission policies.
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
	for _, object := range setup.Protection(options) {
		text, err := yaml.Marshal(object)
		if err != nil {
			return fmt.Errorf("failed to write webhook configurations and admission policies: %w", err)
		}
		if err := s.cluster.Apply(ctx, text); err != nil {
			return fmt.Errorf("failed to register the webhooks and admission policies: %w", err)
		}
	}
	return nil
}

// Identities are the ServiceAccounts as which Signoff runs.
func (s *System) Identities() config.Operator { return s.cfg.Operator }

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

// RestartAs is Restart with these parts only.
func (s *System) RestartAs(ctx context.Context, parts setup.Parts) error {
	s.options.Parts = parts
	return s.Restart(ctx)
}

func (s *System) startHere(ctx context.Context) (err error) {
	clk := s.options.Clock
	if clk == nil {
		clk = clock.RealClock{}
	}
	parts := s.options.Parts
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	s.stop = func() { cancel(); all.Wait() }
	run := func(process *setup.Process) {
		all.Go(func() {
			if err := process.Manager.Start(running); err != nil {
				ctrl.Log.Error(err, "Signoff ended")
			}
		})
	}
	if s.options.Split {
		parts = setup.Parts{Controllers: true}
		cfg := *s.cfg
		// Both processes count in the registry of this one, which the controllers show.
		cfg.Health.BindAddress, cfg.Metrics.BindAddress = s.second, "0"
		if s.Webhooks, err = setup.New(&cfg, s.Admission, clk, setup.Parts{Admission: true}); err != nil {
			return fmt.Errorf("failed to set admission up: %w", err)
		}
		run(s.Webhooks)
	}
	if s.Process, err = setup.New(s.cfg, s.Operator, clk, parts); err != nil {
		return fmt.Errorf("failed to set Signoff up: %w", err)
	}
	if !s.options.Split {
		s.Webhooks = s.Process
	}
	run(s.Process)
	return nil
}

func (s *System) startBinary(ctx context.Context) error {
	programs := []program{{"signoff", s.Operator, s.options.Parts, s.cfg}}
	if s.options.Split {
		cfg := *s.cfg
		cfg.Health.BindAddress = s.second
		programs = []program{{"controllers", s.Operator, setup.Parts{Controllers: true}, s.cfg}, {"admission", s.Admission, setup.Parts{Admission: true}, &cfg}}
	}
	var ends []func()
	s.stop = func() {
		var all sync.WaitGroup
		for _, end := range ends {
			all.Go(end)
		}
		all.Wait()
	}
	for i := range programs {
		process, end, err := s.launch(ctx, &programs[i])
		if err != nil {
			return err
		}
		ends = append(ends, end)
		if i == 0 {
			s.PID = process.Pid
		}
	}
	return nil
}

// program is one process of the binary.
type program struct {
	name  string
	as    *rest.Config
	parts setup.Parts
	cfg   *config.Configuration
}

// launch starts a program, and returns what ends it.
func (s *System) launch(ctx context.Context, p *program) (*os.Process, func(), error) {
	kubeconfig, configuration := filepath.Join(s.dir, p.name+".kubeconfig"), p.name+".yaml"
	if err := s.cluster.Kubeconfig(kubeconfig, p.as); err != nil {
		return nil, nil, fmt.Errorf("failed to write the kubeconfig of %s: %w", p.name, err)
	}
	text, err := yaml.Marshal(p.cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to write the configuration of %s: %w", p.name, err)
	}
	if err := s.write(map[string][]byte{configuration: text}); err != nil {
		return nil, nil, err
	}
	logs, err := os.OpenFile(s.options.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to open the log: %w", err)
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), s.options.Binary,
		"--config", filepath.Join(s.dir, configuration), "--kubeconfig", kubeconfig,
		fmt.Sprintf("--admission=%t", p.parts.Admission), fmt.Sprintf("--controllers=%t", p.parts.Controllers))
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
		return nil, nil, fmt.Errorf("failed to start %s: %w", s.options.Binary, err)
	}
	return command.Process, func() { _ = command.Process.Signal(syscall.SIGTERM); waitOrKill(command, exited) }, nil
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
	patience := cmp.Or(s.options.Patience, time.Minute)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addresses := []string{s.cfg.Health.BindAddress}
	if s.options.Split {
		addresses = append(addresses, s.second)
	}
	for {
		if !slices.ContainsFunc(addresses, func(address string) bool { return !answers(ctx, "http://"+address+"/readyz") }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("Signoff did not become ready within %s: see its log: %w", patience, ctx.Err()) //nolint:staticcheck // a name
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// FreePorts gives ports of this machine at which nobody listens.
func FreePorts(count int) ([]int, error) {
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

// Grant lets the operator act as ServiceAccounts of a catalog namespace, as the platform team of that namespace would. Where admission is a process of its own,
// it may act as those only that read: their names say so.
func (s *System) Grant(ctx context.Context, namespace string, serviceAccounts ...string) error {
	grants := []grant{{"signoff-executors", s.cfg.Operator.ServiceAccount, serviceAccounts}}
	if s.options.Split {
		readers := slices.DeleteFunc(slices.Clone(serviceAccounts), func(name string) bool { return !strings.Contains(name, "read") })
		grants = append(grants, grant{"signoff-readers", s.cfg.Operator.AdmissionServiceAccount, readers})
	}
	for i := range grants {
		if err := s.grant(ctx, namespace, &grants[i]); err != nil {
			return fmt.Errorf("failed to grant impersonation in %s: %w", namespace, err)
		}
	}
	return nil
}

// grant is a Role that lets one process act as ServiceAccounts.
type grant struct {
	role, process string
	accounts      []string
}

func (s *System) grant(ctx context.Context, namespace string, g *grant) error {
	if len(g.accounts) == 0 {
		return nil
	}
	for _, object := range []map[string]any{{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": map[string]any{"namespace": namespace, "name": g.role},
		"rules": []any{map[string]any{
			"apiGroups": []string{""}, "resources": []string{"serviceaccounts"}, "verbs": []string{"impersonate"}, "resourceNames": g.accounts,
		}},
	}, {
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"metadata": map[string]any{"namespace": namespace, "name": g.role},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": g.role},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": s.cfg.Operator.Namespace, "name": g.process}},
	}} {
		text, err := yaml.Marshal(object)
		if err != nil {
			return fmt.Errorf("failed to write it: %w", err)
		}
		if err := s.cluster.Apply(ctx, text); err != nil {
			return err
		}
	}
	return nil
}
