// Command runner runs Terraform (or OpenTofu) in the two Jobs of a request. `runner plan` plans, keeps the plan file in a Secret that is named by its
// digest, and says in its termination message what approvers read. `runner apply` takes the plan file with the digest that they agreed to, and
// applies exactly that, or nothing.
//
// The termination message of a plan has three lines and then the plan for people: what it would do, the digest of the plan file, and of
// which state it is a plan. That of an apply has one line for each output that was asked for. Where something is wrong, the message says what.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// terminationLog is where Kubernetes looks for the termination message of a container, unless its Pod names another file.
const terminationLog = "/dev/termination-log"

func main() {
	// A plan or an apply that shall end is asked to, and ends with its state in order.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	message, err := run(ctx, os.Args[1:])
	if err != nil {
		message = err.Error()
		fmt.Fprintln(os.Stderr, message)
	}
	if told := os.WriteFile(terminationLog, []byte(cut(message, maxMessage)), 0o600); told != nil || err != nil {
		fmt.Fprintln(os.Stderr, errors.Join(told))
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: runner plan --state=NAME [--destroy], or: runner apply --state=NAME --digest=DIGEST --of=STATE [--outputs=NAME,…]")

func run(ctx context.Context, args []string) (message string, err error) {
	if len(args) == 0 {
		return "", errUsage
	}
	r := &runner{}
	set := flag.NewFlagSet(args[0], flag.ContinueOnError)
	set.StringVar(&r.terraform.program, "program", "terraform", "what runs: terraform or tofu")
	set.StringVar(&r.terraform.module, "module", "/module", "the folder of the module")
	set.StringVar(&r.terraform.work, "work", "/work", "a folder that can be written")
	set.StringVar(&r.stateNamespace, "state-namespace", "terraform-apply", "where states are")
	set.StringVar(&r.state.name, "state", "", "the name of the state")
	set.StringVar(&r.planNamespace, "plan-namespace", "terraform-plan", "where plans are")
	set.BoolVar(&r.destroy, "destroy", false, "plan: to destroy everything; without it, a plan that destroys anything is refused")
	set.StringVar(&r.digest, "digest", "", "apply: the digest of the plan file")
	set.StringVar(&r.of, "of", "", "apply: the state of which it is a plan")
	set.StringVar(&r.lockTimeout, "lock-timeout", "60s", "apply: how long to wait for a state that somebody else has locked")
	set.StringVar(&r.outputs, "outputs", "", "apply: the outputs that are told, in this order")
	if err := set.Parse(args[1:]); err != nil {
		return "", fmt.Errorf("%w\n%w", err, errUsage)
	}
	if r.state.name == "" || set.NArg() > 0 {
		return "", errUsage
	}
	if err := r.connect(); err != nil {
		return "", err
	}
	server, variables := r.state.serve()
	defer server.Close()
	r.terraform.variables = variables
	switch args[0] {
	case "plan":
		return r.plan(ctx)
	case "apply":
		return r.apply(ctx)
	}
	return "", errUsage
}

// runner does what one Job is for.
type runner struct {
	terraform terraform
	state     state
	// plans are the Secrets that hold plans.
	plans                         corev1client.SecretInterface
	planNamespace, stateNamespace string

	destroy                          bool   // plan
	digest, of, outputs, lockTimeout string // apply
}

// connect logs in as the ServiceAccount of the Pod.
func (r *runner) connect() error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("failed to find the cluster: %w", err)
	}
	objects, err := corev1client.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	leases, err := coordinationv1client.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	r.plans, r.state.secrets, r.state.leases = objects.Secrets(r.planNamespace), objects.Secrets(r.stateNamespace), leases.Leases(r.stateNamespace)
	return nil
}
