package seal

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Vote is vote.v1: who decided what. Votes of one Approval are a chain.
type Vote struct {
	Common
	// Approval and Request are the uids of the Approval and of its request.
	Approval string `json:"approval,omitempty"`
	Request  string `json:"request,omitempty"`
	Stage    Stage  `json:"stage,omitzero"`
	Digest   string `json:"digest,omitempty"`
	// Seq counts the votes from 0.
	Seq int64 `json:"seq,omitempty"`
	// Prev is the hash of the envelope before: the vote before, or the Approval.
	Prev       string      `json:"prev,omitempty"`
	Decision   string      `json:"decision,omitempty"`
	Comment    string      `json:"comment,omitempty"`
	Voter      Identity    `json:"voter,omitzero"`
	Delegation *Delegation `json:"delegation,omitempty"`
	// Selector is what made the voter eligible, and Role the uid of the Role that grants the verb.
	Selector Selector `json:"selector,omitzero"`
	Role     string   `json:"role,omitempty"`
}

// Delegation is what lets the voter vote for somebody else.
type Delegation struct {
	UID string `json:"uid,omitempty"`
	// Seal is the hash of the envelope of the Delegation.
	Seal string `json:"seal,omitempty"`
	// Principal is the user name of whom the voter stands for.
	Principal string `json:"principal,omitempty"`
}

// Selector is what of the requirements of a stage matched a voter, such as a Team.
type Selector struct {
	Kind string `json:"kind,omitempty"`
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// VoteStamp is what a vote does not say itself. All of it must be stored with the seal, but the cluster. IssuedAt is the at of the vote.
type VoteStamp struct {
	// Cluster is the uid of the namespace kube-system.
	Cluster string
	// Seq is how many votes there are before, and Prev the hash of the envelope of the last of them, or of the Approval.
	Seq  int64
	Prev string
	// Selector is what made the voter eligible.
	Selector Selector
	// RoleUID is the uid of the Role that grants the verb.
	RoleUID types.UID
}

var voteFields = knownOf[v1alpha1.Vote](all("decision", "comment", "at", "digest").under("voter", identityFields).under("delegation", all("principal", "uid", "seal")).
	but("seal", "it is the signature of this payload"))

// Type is vote.v1.
func (*Vote) Type() Type { return TypeVote }

func (p *Vote) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("namespace", p.Namespace)
	m.text("approval", p.Approval)
	m.text("request", p.Request)
	m.text("stage.name", p.Stage.Name)
	m.sum("digest", p.Digest)
	m.sum("prev", p.Prev)
	m.text("decision", p.Decision)
	if p.Seq < 0 {
		m.add(fmt.Errorf("seq is %d", p.Seq))
	}
	if err := p.Voter.check(); err != nil {
		m.add(fmt.Errorf("voter: %w", err))
	}
	if p.Delegation != nil {
		m.text("delegation.uid", p.Delegation.UID)
		m.sum("delegation.seal", p.Delegation.Seal)
		m.text("delegation.principal", p.Delegation.Principal)
	}
	return m.err()
}

// VotePayload builds vote.v1 from a vote on an Approval.
func VotePayload(ap *v1alpha1.Approval, vote *v1alpha1.Vote, s VoteStamp) (*Vote, error) {
	if err := voteFields.check(TypeVote, vote); err != nil {
		return nil, err
	}
	var m millis
	p := &Vote{
		Common:   Stamp{s.Cluster, vote.At.Time}.common(&m, approvals, ap.Namespace),
		Approval: string(ap.UID),
		Request:  string(ap.Spec.RequestRef.UID),
		Stage:    Stage{ap.Spec.Stage.Name, ap.Spec.Stage.Policy},
		Digest:   vote.Digest,
		Seq:      s.Seq,
		Prev:     s.Prev,
		Decision: string(vote.Decision),
		Comment:  vote.Comment,
		Voter:    identity(&vote.Voter),
		Selector: s.Selector,
		Role:     string(s.RoleUID),
	}
	if given := vote.Delegation; given != nil {
		p.Delegation = &Delegation{UID: string(given.UID), Seal: given.Seal, Principal: given.Principal}
	}
	return built(p, &m)
}
