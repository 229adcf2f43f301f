package audit

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/json"

	"github.com/signoff-dev/signoff/internal/canonical"
	"github.com/signoff-dev/signoff/internal/seal"
)

// Data says more about a fact. Which members are there depends on the type.
type Data struct {
	// Request, Action and Approval are the objects that it is about.
	Request  *seal.Reference `json:"request,omitempty"`
	Action   *seal.Reference `json:"action,omitempty"`
	Approval *seal.Reference `json:"approval,omitempty"`
	// Stage is the stage of the Approval.
	Stage *seal.Stage `json:"stage,omitempty"`
	// Digest stands for what is agreed to or executed.
	Digest string `json:"digest,omitempty"`
	// Inputs are the inputs with all defaults filled in.
	Inputs *Inputs `json:"inputs,omitempty"`
	// Step names a step.
	Step string `json:"step,omitempty"`
	// State is the state of a stage or of a step.
	State string `json:"state,omitempty"`
	// Code says in one word why.
	Code string `json:"code,omitempty"`
	// Reason says why, in the words of a person.
	Reason string `json:"reason,omitempty"`
	// Message says more, in the words of the operator.
	Message string `json:"message,omitempty"`
	// Until is when something ends if nothing happens.
	Until string `json:"until,omitempty"`
	// Edits say who has changed the Action.
	Edits *Edits `json:"edits,omitempty"`
	// Delegation says who lets whom vote.
	Delegation *Delegation `json:"delegation,omitempty"`
	// Log is about the log itself.
	Log *Log `json:"log,omitempty"`
	// Seals are the envelopes that prove the fact.
	Seals *Seals `json:"seals,omitempty"`
}

// Edits are who has changed an Action, the last one last, and from when on everybody is named. Nothing: since it was made.
type Edits struct {
	Since string `json:"since,omitempty"`
	List  []Edit `json:"list"`
}

// Edit is one change of an Action, and the digest of the Action after it.
type Edit struct {
	Username string `json:"username"`
	Person   string `json:"person,omitempty"`
	At       string `json:"at"`
	Digest   string `json:"digest"`
}

// Delegation is who may vote for whom, on which Actions. None: on every one of the namespace. Until when it is says the event.
type Delegation struct {
	seal.Reference

	Users   []string `json:"users"`
	Actions []string `json:"actions,omitempty"`
	From    string   `json:"from,omitempty"`
}

// Inputs are the inputs of a request, without their values unless the configuration says otherwise.
type Inputs struct {
	// Digest is the hash of the values.
	Digest string `json:"digest"`
	// Names are the names of the inputs.
	Names []string `json:"names"`
	// Values are the values.
	Values map[string]any `json:"values,omitempty"`
}

// NewInputs describes resolved inputs. None are described by nil.
func NewInputs(resolved map[string]any, withValues bool) (*Inputs, error) {
	if len(resolved) == 0 {
		return nil, nil
	}
	digest, err := canonical.SumOf(resolved)
	if err != nil {
		return nil, fmt.Errorf("failed to describe inputs: %w", err)
	}
	in := &Inputs{Digest: digest, Names: slices.Sorted(maps.Keys(resolved))}
	if withValues {
		in.Values = resolved
	}
	return in, nil
}

// Log is about the log itself.
type Log struct {
	// Previous is where an earlier log of this operator ended, as far as it knows.
	Previous *Position `json:"previous,omitempty"`
	// Signed is how many lines the last checkpoint covers, and Unsigned how many have come after it before the process ended. Nobody vouches
	// for these.
	Signed   int64 `json:"signed,omitempty"`
	Unsigned int64 `json:"unsigned,omitempty"`
}

// Seals are envelopes by what they seal.
type Seals struct {
	Request    *seal.Sealed `json:"request,omitempty"`
	Adoption   *seal.Sealed `json:"adoption,omitempty"`
	Approval   *seal.Sealed `json:"approval,omitempty"`
	Vote       *seal.Sealed `json:"vote,omitempty"`
	Cancel     *seal.Sealed `json:"cancel,omitempty"`
	Resolve    *seal.Sealed `json:"resolve,omitempty"`
	Edit       *seal.Sealed `json:"edit,omitempty"`
	Delegation *seal.Sealed `json:"delegation,omitempty"`
	Record     *seal.Sealed `json:"record,omitempty"`
	Checkpoint *seal.Sealed `json:"checkpoint,omitempty"`
}

// parseData reads the data of an event. It is closed.
func parseData(raw []byte) (*Data, error) {
	var d Data
	strict, err := json.UnmarshalStrict(raw, &d)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, fmt.Errorf("its data is not that of its type: %w", err)
	}
	if err := d.Inputs.check(raw); err != nil {
		return nil, err
	}
	return &d, nil
}

// check compares the values of inputs, where they are given, with their hash. They are taken as they are written, so that numbers stay
// what they are.
func (in *Inputs) check(raw []byte) error {
	if in == nil || in.Values == nil {
		return nil
	}
	var d struct {
		Inputs struct {
			Values stdjson.RawMessage `json:"values"`
		} `json:"inputs"`
	}
	if err := stdjson.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("its inputs cannot be read: %w", err)
	}
	digest, err := canonical.SumOf(d.Inputs.Values)
	if err != nil || digest != in.Digest || !slices.Equal(slices.Sorted(maps.Keys(in.Values)), in.Names) {
		return errors.New("its inputs are not those whose digest it holds")
	}
	return nil
}
