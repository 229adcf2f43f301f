package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/quorum"
)

// account is somebody who votes as a ServiceAccount, given as "namespace/name". Who could act as it could have given its vote.
type account struct {
	name  string
	voter *v1alpha1.Identity
}

// accountOf gives a voter who is a ServiceAccount. Nil: it is a person, as whom nobody acts.
func accountOf(voter *v1alpha1.Identity) *account {
	name, ok := identity.ServiceAccount(voter.Username)
	if !ok {
		return nil
	}
	return &account{name, voter}
}

// puppet tells whether a voter is a ServiceAccount as which whoever asked could act, or for whom it was asked: they would approve themselves.
func (g *Gate) puppet(ctx context.Context, j *Judgement, poll *Poll, voter *v1alpha1.Identity) *Problem {
	a := accountOf(voter)
	if a == nil {
		return nil
	}
	if problem := g.puppetOf(ctx, a, poll.Requester, "asked for this"); problem != nil {
		return problem
	}
	claimed := j.claimed()
	if claimed == "" {
		return nil
	}
	return g.puppetOf(ctx, a, &v1alpha1.Identity{Username: claimed}, "had this asked on their behalf")
}

// puppetOf tells whether somebody, who did something in words such as "asked for this", could act as a ServiceAccount that votes.
func (g *Gate) puppetOf(ctx context.Context, a *account, who *v1alpha1.Identity, did string) *Problem {
	may, err := g.hands.MayActAs(ctx, inGroups(who), a.name)
	if err != nil {
		return unjudged(fmt.Sprintf("cannot tell whether %s, who %s, could act as ServiceAccount %s: %v. It is tried again.", who.Username, did, a.name, err))
	}
	if !may {
		return nil
	}
	return &Problem{Reason: v1alpha1.ReasonNotIndependent, Message: fmt.Sprintf(
		"you (%[1]s) cannot approve this: %[2]s %[3]s, and could act as you: who may impersonate ServiceAccount %[4]s, make tokens for it, run pods beside it, or make Secrets with its token.\n  "+
			"Somebody else must decide, or %[2]s must not have such rights: kubectl auth can-i create serviceaccounts/token -n %[5]s --as %[2]s",
		a.voter.Username, who.Username, did, a.name, namespaceOfAccount(a.name))}
}

func namespaceOfAccount(account string) string {
	namespace, _, _ := strings.Cut(account, "/")
	return namespace
}

// inGroups gives somebody of whom the name alone is known the groups that everybody of such a name is in.
func inGroups(who *v1alpha1.Identity) *v1alpha1.Identity {
	if len(who.Groups) > 0 {
		return who
	}
	known := *who
	known.Groups = []string{"system:authenticated"}
	if name, ok := identity.ServiceAccount(who.Username); ok {
		known.Groups = append(known.Groups, "system:serviceaccounts", "system:serviceaccounts:"+namespaceOfAccount(name))
	}
	return &known
}

// behind says for each vote that a ServiceAccount gave which other voters could have given it: together they are one. Where one has to agree, two
// who are one change nothing, and nobody is asked.
func (g *Gate) behind(ctx context.Context, j *Judgement, poll *Poll, given []*v1alpha1.Vote, votes []quorum.Vote) error {
	if alone := len(poll.Requirements) == 1 && poll.Requirements[0].Count <= 1 && poll.Denials <= 1; g.hands == nil || alone {
		return nil
	}
	for i := range votes {
		a := accountOf(&given[i].Voter)
		if a == nil || !slices.Contains(votes[i].Meets, true) {
			continue
		}
		if err := g.behindOne(ctx, j, a, given, votes, &votes[i]); err != nil {
			return err
		}
	}
	return nil
}

// behindOne says it for one vote of a ServiceAccount.
func (g *Gate) behindOne(ctx context.Context, j *Judgement, a *account, given []*v1alpha1.Vote, votes []quorum.Vote, of *quorum.Vote) error {
	for i := range votes {
		other := &votes[i]
		if other.Person == of.Person || slices.Contains(of.Behind, other.Person) || !slices.Contains(other.Meets, true) {
			continue
		}
		may, err := g.couldHaveGiven(ctx, j, a, given[i])
		if err != nil {
			return &Unjudged{a.voter.Username, unjudged(fmt.Sprintf("cannot tell whether %s, who voted too, could act as ServiceAccount %s: %v. It is tried again.",
				given[i].Voter.Username, a.name, err))}
		}
		if may {
			of.Behind = append(of.Behind, other.Person)
		}
	}
	return nil
}

// couldHaveGiven tells whether who gave a vote, or for whom, could act as a ServiceAccount that voted.
func (g *Gate) couldHaveGiven(ctx context.Context, j *Judgement, a *account, vote *v1alpha1.Vote) (bool, error) {
	may, err := g.hands.MayActAs(ctx, inGroups(&vote.Voter), a.name)
	if may || err != nil || vote.Delegation == nil {
		return may, err //nolint:wrapcheck // the caller says what it was about
	}
	return g.hands.MayActAs(ctx, inGroups(principalOf(j.Snapshot, vote.Delegation)), a.name) //nolint:wrapcheck // as above
}
