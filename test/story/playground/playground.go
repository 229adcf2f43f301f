// Package playground is a control plane with Signoff installed and people who have kubeconfigs, on which stories are played.
package playground

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/signoff-dev/signoff/hack/assets"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/peers"
	"github.com/signoff-dev/signoff/test/podrunner"
	"github.com/signoff-dev/signoff/test/story"
	"github.com/signoff-dev/signoff/test/system"
)

// ConfigurationFile says who is who in the examples.
const ConfigurationFile = "examples/configuration.yaml"

// Options say what is started.
type Options struct {
	// Binary gives the path of the signoff binary once the control plane runs. Nil: Signoff runs in this process.
	Binary func(context.Context) (string, error)
	// Node runs the Jobs of examples as processes, where their image is known. It takes Terraform, which has to be built before.
	Node bool
	// Tell is told what happens next. Nil: nobody is.
	Tell func(text string)
}

// Playground is a running control plane with Signoff.
type Playground struct {
	// Root is the root of the repository.
	Root string
	// Cluster is the control plane.
	Cluster *env.Cluster
	// System is the running Signoff.
	System *system.System

	options  Options
	people   *People
	peers    *peers.Peers
	node     *podrunner.Node
	launched bool // the binary writes a log
}

// Start starts the control plane and Signoff, and returns when requests are judged. Whatever was started is stopped again when
// it fails.
func Start(ctx context.Context, options Options) (*Playground, error) {
	if options.Tell == nil {
		options.Tell = func(string) {}
	}
	p := &Playground{options: options}
	for _, part := range []func(context.Context) error{p.start, p.programs, p.join, p.meet, p.install, p.inForce} {
		if err := part(ctx); err != nil {
			err = errors.Join(err, p.logTail())
			p.Stop()
			return nil, err
		}
	}
	return p, nil
}

// Stop ends Signoff and then the control plane. It may be called more than once.
func (p *Playground) Stop() {
	if p.System != nil {
		p.System.Stop()
		p.System = nil
	}
	if p.peers != nil {
		p.peers.Stop()
		p.peers = nil
	}
	if p.node != nil {
		p.node.Stop()
		p.node = nil
	}
	if p.Cluster != nil {
		p.Cluster.Stop()
		p.Cluster = nil
	}
}

func (p *Playground) start(ctx context.Context) (err error) {
	if p.Root, err = assets.Root(); err != nil {
		return err
	}
	p.options.Tell("starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok")
	if p.Cluster, err = env.Start(ctx, env.Options{CRDs: true, Nodes: true}); err != nil {
		return fmt.Errorf("failed to start the control plane: %w", err)
	}
	p.people = &People{Cluster: p.Cluster, Dir: filepath.Join(p.Cluster.Dir, "people")}
	if err := os.Mkdir(p.people.Dir, 0o700); err != nil {
		return fmt.Errorf("failed to make a folder for kubeconfigs: %w", err)
	}
	return nil
}

// meet starts those whom the Actions of examples call.
func (p *Playground) meet(context.Context) (err error) {
	p.peers, err = peers.Start(filepath.Join(p.Cluster.Dir, "peers"))
	return err
}

func (p *Playground) install(ctx context.Context) error {
	configure, err := p.configure()
	if err != nil {
		return err
	}
	options := system.Options{Configure: configure, Split: true, Log: p.logFile()}
	if p.options.Binary != nil {
		if options.Binary, err = p.options.Binary(ctx); err != nil {
			return err
		}
		p.launched = true
	}
	p.options.Tell("starting signoff: admission and the controllers, each as a ServiceAccount of its own, as the chart does")
	if p.System, err = system.Start(ctx, p.Cluster, options); err != nil {
		return fmt.Errorf("failed to start signoff: %w", err)
	}
	return nil
}

// configure takes who is who, and whom Actions may call, from the file that readers see. The peers listen on this machine.
func (p *Playground) configure() (func(*config.Configuration), error) {
	data, err := os.ReadFile(filepath.Join(p.Root, ConfigurationFile))
	if err != nil {
		return nil, fmt.Errorf("failed to read the configuration: %w", err)
	}
	loaded, err := config.Load(data)
	if err != nil {
		return nil, fmt.Errorf("failed to load %s: %w", ConfigurationFile, err)
	}
	return func(cfg *config.Configuration) {
		cfg.Person, cfg.Requester, cfg.Approvers, cfg.Egress = loaded.Person, loaded.Requester, loaded.Approvers, loaded.Egress
		cfg.Egress.Hosts = append(cfg.Egress.Hosts, config.EgressHost{Host: "127.0.0.1", Ports: p.peers.Ports(), Networks: []string{"127.0.0.0/8"}})
	}, nil
}

func (p *Playground) logFile() string { return filepath.Join(p.Cluster.Dir, "logs", "signoff.log") }

// logTail gives the end of the log of Signoff as an error, because the file is gone after a failed start.
func (p *Playground) logTail() error {
	if p.Cluster == nil || !p.launched {
		return nil
	}
	data, err := os.ReadFile(p.logFile())
	if err != nil {
		return fmt.Errorf("failed to read the log of signoff: %w", err)
	}
	const most = 2000
	return fmt.Errorf("end of the log of signoff:\n%s", data[max(0, len(data)-most):])
}

// Player makes the people of a story and gives a player for it. Commands run in dir.
func (p *Playground) Player(ctx context.Context, s *story.Story, dir string, narrator story.Narrator) (*story.Player, error) {
	kubeconfigs, err := p.people.Kubeconfigs(ctx, s.People)
	if err != nil {
		return nil, err
	}
	return &story.Player{Dir: dir, Environment: p.Environment(), Kubeconfigs: kubeconfigs, Narrator: narrator}, nil
}

// Programs are the folders of the kubectl that fits the API server and of our own programs, as a part of PATH.
func (p *Playground) Programs() string {
	return strings.Join([]string{p.Cluster.Binaries, p.bin()}, string(os.PathListSeparator))
}

// Environment is what commands see: our programs come first, and no settings of whoever runs this.
func (p *Playground) Environment() []string {
	return append(p.peers.Environment(),
		"PATH="+strings.Join([]string{p.Programs(), os.Getenv("PATH")}, string(os.PathListSeparator)),
		"HOME="+p.people.Dir, "TZ=UTC", "LANG=C.UTF-8",
	)
}
