package setup

import (
	"fmt"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/guard"
	"github.com/signoff-dev/signoff/internal/guard/canary"
)

// guard makes the guard, and the manager run it where requests are executed. Readiness does not ask it: a process that is not ready is
// taken out of its Service and, in a rollout, keeps the old one; but whether the guard is in force is the same for all replicas, and a webhook
// that is taken away because it cannot prove that it is asked could never prove it. What must not happen without a guard, does not.
func (p *Process) guard() error {
	protected, err := guard.Expect(Protection(&WebhookOptions{
		// Where the webhooks are served is not compared, but that all of them are served where the canary is answered.
		URL:      "https://signoff.invalid",
		CABundle: []byte("any"),
		Operator: p.operatorName(),
	})...)
	if err != nil {
		return fmt.Errorf("failed to say what protects our objects: %w", err)
	}
	definitions, err := guard.CRDs()
	if err != nil {
		return fmt.Errorf("failed to say what protects our objects: %w", err)
	}
	objects, err := dynamic.NewForConfig(p.Manager.GetConfig())
	if err != nil {
		return fmt.Errorf("failed to create the dynamic client: %w", err)
	}
	changes, err := metadata.NewForConfig(p.Manager.GetConfig())
	if err != nil {
		return fmt.Errorf("failed to create the metadata client: %w", err)
	}
	p.Guard = guard.New(guard.Options{
		Protected: append(protected, definitions...), Objects: objects, Metadata: changes,
		Client: p.Manager.GetClient(), Checker: proofs{p}, Namespace: p.cfg.Operator.Namespace,
		// How old a proof is, is a matter of the world and not of the rules.
		Clock: clock.RealClock{}, Changed: p.guardChanged, Log: p.Manager.GetLogger().WithName("guard"),
	})
	return p.Manager.Add(p.Guard)
}

// Proofs checks what the process of admission proves.
func (p *Process) Proofs() canary.Checker { return proofs{p} }

// proofs are what the process of admission makes of a nonce by its key, and what the controllers know it by.
type proofs struct{ *Process }

// Prove implements canary.Prover.
func (p proofs) Prove(nonce string) (string, error) { return p.evidence.Prove(nonce, p.wall.Now()) }

// Check implements canary.Checker.
func (p proofs) Check(nonce, proof string) error { return p.evidence.CheckProof(nonce, proof) }
