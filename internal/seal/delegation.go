package seal

import (
	"errors"
	"fmt"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/canonical"
)

// Delegated is the content of delegation.v1. Both lists are sets, sorted by bytes; times are in milliseconds.
type Delegated struct {
	Users   []string `json:"users,omitempty"`
	Actions []string `json:"actions,omitempty"`
	From    int64    `json:"from,omitempty"`
	Until   int64    `json:"until,omitempty"`
	Reason  string   `json:"reason,omitempty"`
}

var delegationFields = knownOf[v1alpha1.DelegationSpec](all("to.users", "actions", "from", "until", "reason").under("principal", identityFields).
	but("seal", "it is the stamp and the signature of this payload"))

// DelegationPayload builds delegation.v1 from a Delegation. It is sealed before the API server gives that its uid, so that when it was created
// must be compared with the stamp: a copy that is made later is created later.
func DelegationPayload(d *v1alpha1.Delegation, s Stamp) (*Act, error) {
	spec := &d.Spec
	if err := delegationFields.check(TypeDelegation, spec); err != nil {
		return nil, err
	}
	var m millis
	sum, err := canonical.SumOf(Delegated{
		Users: sorted(spec.To.Users), Actions: sorted(spec.Actions), From: m.at("from", spec.From), Until: m.at("until", &spec.Until), Reason: spec.Reason,
	})
	if err != nil {
		m.add(fmt.Errorf("failed to encode who may vote: %w", err))
	}
	if len(spec.To.Users) == 0 {
		m.add(errors.New("to.users is missing"))
	}
	m.text("namespace", d.Namespace)
	return built(&Act{
		act: TypeDelegation, Common: s.common(&m, delegations, d.Namespace), Name: d.Name, Actor: identity(spec.Principal), Content: sum,
	}, &m)
}
