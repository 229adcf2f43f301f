package seal

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

// Request is request.v1: who asked for what.
type Request struct {
	Common
	Name string `json:"name,omitempty"`
	// Nonce is random: no two requests have the same.
	Nonce string `json:"nonce,omitempty"`
	// ExpiresAt is when the seal ends, in milliseconds.
	ExpiresAt int64      `json:"exp,omitempty"`
	Action    ActionSeen `json:"action,omitzero"`
	// Inputs is the hash of the inputs as they are stored, and InputNames are their names. Values are not in a seal, because seals are
	// shown in audit logs.
	Inputs     string      `json:"inputs,omitempty"`
	InputNames []string    `json:"inputNames,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	NotBefore  int64       `json:"notBefore,omitempty"`
	EndsAt     int64       `json:"expiresAt,omitempty"`
	Duration   string      `json:"duration,omitempty"`
	OnBehalfOf string      `json:"onBehalfOf,omitempty"`
	BreakGlass *BreakGlass `json:"breakGlass,omitempty"`
	Requester  Identity    `json:"requester,omitzero"`
}

// ActionSeen is the Action that the webhook judged by.
type ActionSeen struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"`
	// Spec is the digest of the Action.
	Spec string `json:"spec,omitempty"`
}

// BreakGlass is an emergency.
type BreakGlass struct {
	Reason string `json:"reason,omitempty"`
}

// RequestStamp is what a request does not say itself. All of it must be stored with the seal.
type RequestStamp struct {
	Stamp
	// Nonce is drawn by NewNonce.
	Nonce string
	// ExpiresAt is when the seal ends: the oldest age of a request after IssuedAt.
	ExpiresAt time.Time
	// ActionUID and ActionSpec are the uid and the digest of the Action that the webhook judged by.
	ActionUID  types.UID
	ActionSpec string
}

var requestFields = knownOf[v1alpha1.ActionRequestSpec](
	all("actionRef.namespace", "actionRef.name", "inputs", "reason", "notBefore", "expiresAt", "duration", "onBehalfOf.username", "breakGlass.reason").
		under("requester", identityFields).
		but("seal", "it is the stamp and the signature of this payload").
		but("cancellation", "it comes later and has a seal of its own, cancel.v1").
		but("resolution", "it is never stored: the webhook makes an entry of resolutions of it").
		but("resolutions", "they come later and have seals of their own, resolve.v1"))

// Type is request.v1.
func (*Request) Type() Type { return TypeRequest }

func (p *Request) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("namespace", p.Namespace)
	m.text("name", p.Name)
	m.nonce(p.Nonce)
	m.number("exp", p.ExpiresAt)
	m.text("action.namespace", p.Action.Namespace)
	m.text("action.name", p.Action.Name)
	m.text("action.uid", p.Action.UID)
	m.sum("action.spec", p.Action.Spec)
	if (p.Inputs == "") != (len(p.InputNames) == 0) {
		m.add(errors.New("inputs and inputNames go together"))
	}
	if p.Inputs != "" {
		m.sum("inputs", p.Inputs)
	}
	if p.BreakGlass != nil {
		m.text("breakGlass.reason", p.BreakGlass.Reason)
	}
	if err := p.Requester.check(); err != nil {
		m.add(fmt.Errorf("requester: %w", err))
	}
	return m.err()
}

// RequestPayload builds request.v1 from a request.
func RequestPayload(ar *v1alpha1.ActionRequest, s RequestStamp) (*Request, error) {
	spec := &ar.Spec
	if err := requestFields.check(TypeRequest, spec); err != nil {
		return nil, err
	}
	var m millis
	inputs, names, err := sumInputs(spec.Inputs)
	m.add(err)
	p := &Request{
		Common:     s.common(&m, requests, ar.Namespace),
		Name:       ar.Name,
		Nonce:      s.Nonce,
		ExpiresAt:  m.of("exp", s.ExpiresAt),
		Action:     ActionSeen{spec.ActionRef.Namespace, spec.ActionRef.Name, string(s.ActionUID), s.ActionSpec},
		Inputs:     inputs,
		InputNames: names,
		Reason:     spec.Reason,
		NotBefore:  m.at("notBefore", spec.NotBefore),
		EndsAt:     m.at("expiresAt", spec.ExpiresAt),
		Duration:   string(spec.Duration),
		OnBehalfOf: claimed(spec.OnBehalfOf),
		Requester:  identity(spec.Requester),
	}
	if spec.BreakGlass != nil {
		p.BreakGlass = &BreakGlass{Reason: spec.BreakGlass.Reason}
	}
	return built(p, &m)
}

// claimed is for whom somebody says that they ask.
func claimed(c *v1alpha1.OnBehalfOf) string {
	if c == nil {
		return ""
	}
	return c.Username
}

// Fresh tells whether the API server created the object when the seal was made, and whether the seal has not ended. An object that was
// cloned or restored has a later creationTimestamp.
func (p *Request) Fresh(created, now time.Time) error {
	switch apart := created.Sub(p.Issued()).Abs(); {
	case apart > MaxSkew:
		return fmt.Errorf("it was created at %s but sealed at %s: it is a copy, or was restored", utc(created), utc(p.Issued()))
	case !now.Before(time.UnixMilli(p.ExpiresAt)):
		return fmt.Errorf("its seal ended at %s", utc(time.UnixMilli(p.ExpiresAt)))
	}
	return nil
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// SumOfInputs gives the hash of resolved inputs as audit events show it. No inputs have no hash.
func SumOfInputs(inputs map[string]any) (string, error) {
	if len(inputs) == 0 {
		return "", nil
	}
	return canonical.SumOf(inputs)
}
