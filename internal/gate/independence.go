package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/visible"
)

// Hands tells who had a hand in a request beside its requester.
type Hands interface {
	// Edits tells who has changed an Action, which has this digest now, and from when on everybody is named. An error says in a sentence
	// without a full stop why nobody can tell.
	Edits(action *v1alpha1.Action, digest string) (edits []Edit, since time.Time, err error)
	// MayActAs tells whether somebody could act as a ServiceAccount, given as "namespace/name".
	MayActAs(ctx context.Context, who *v1alpha1.Identity, account string) (bool, error)
	// Delegation tells whether a Delegation is genuine, and gives the hash of what its principal sealed. The error says in a sentence without a
	// full stop why not.
	Delegation(d *v1alpha1.Delegation) (hash string, err error)
}

// Edit is one change of an Action.
type Edit struct {
	By v1alpha1.Identity
	At time.Time
	// Digest is that of the Action after the change.
	Digest string
}

// Asks makes the gate ask who had a hand in a request. Where nobody is asked, such as for a case that has no cluster, only the requester is
// not independent.
func (g *Gate) Asks(hands Hands) *Gate {
	g.hands = hands
	return g
}

// independent says why a voter is not independent of what is asked for. Nil: they are.
func (g *Gate) independent(ctx context.Context, j *Judgement, poll *Poll, voter *v1alpha1.Identity) *Problem {
	if actsAs(j, voter.Username) {
		return &Problem{Reason: v1alpha1.ReasonNotIndependent, Message: fmt.Sprintf("you (%s) cannot approve this: the Action %s acts as you.", voter.Username, j.Action.Ref())}
	}
	if g.hands == nil {
		return nil
	}
	if !j.Absent { // who had changed what is gone went with it
		if problem := g.edited(ctx, j, poll, voter); problem != nil {
			return problem
		}
	}
	if problem := g.couldActAs(ctx, poll.Requester, voter, "asked for this"); problem != nil {
		return problem
	}
	return g.puppet(ctx, j, poll, voter)
}

// actsAs tells whether an Action acts as a login.
func actsAs(j *Judgement, username string) bool {
	account, isAccount := identity.ServiceAccount(username)
	if j.Absent { // as which of its namespace is not known any more
		return isAccount && strings.HasPrefix(account, j.Action.Object.Namespace+"/")
	}
	return isAccount && slices.ContainsFunc(j.Action.Object.Spec.Execution.Accounts(), func(name string) bool { return account == j.Action.Object.Namespace+"/"+name })
}

// claimed is the person for whom the requester says that they ask. Empty: nobody else.
func (j *Judgement) claimed() string {
	if j.subject == nil || j.subject.Spec.OnBehalfOf == nil {
		return ""
	}
	return j.subject.Spec.OnBehalfOf.Username
}

// names tells whether a claim can mean somebody, by a login or by the person behind it. Whoever it can mean loses a right and gains none, so that it
// is compared loosely.
func (g *Gate) names(claimed, username, person string) bool {
	folded := identity.Fold(claimed)
	return claimed != "" && (claimed == username || folded == person || g.personOf(claimed) == person || g.personOf(folded) == person)
}

// isNamed tells whether a claim can mean somebody, as they are now or as they were stamped.
func (g *Gate) isNamed(ctx context.Context, claimed string, who *v1alpha1.Identity) (bool, error) {
	person, err := g.rules.Person(ctx, who)
	if err != nil {
		return false, err
	}
	return g.names(claimed, who.Username, person) || g.names(claimed, who.Username, who.Person), nil
}

// onTheirBehalf refuses the person for whom it was asked. Nobody has proved that they wanted it, and they are not independent of it either.
func (g *Gate) onTheirBehalf(ctx context.Context, j *Judgement, voter *v1alpha1.Identity) *Problem {
	claimed := j.claimed()
	if claimed == "" {
		return nil
	}
	switch theirs, err := g.isNamed(ctx, claimed, voter); {
	case err != nil:
		return unjudged(fmt.Sprintf("cannot tell whether it was asked on your behalf: %v", err))
	case !theirs:
		return nil
	}
	return &Problem{Reason: v1alpha1.ReasonNotIndependent, Message: fmt.Sprintf("you (%s) cannot approve this: it was asked on your behalf, as %s says.",
		voter.Username, j.subject.Requester.Username)}
}

// AskAgain says why no vote on a request can be judged any more: its Action is another one of the same name, and who had changed the one that was
// asked for is no longer known. Nil: it is the same.
func (j *Judgement) AskAgain() *Problem {
	s := j.subject
	if s == nil || j.Action == nil || s.ActionUID == "" || s.ActionUID == j.Action.Object.UID {
		return nil
	}
	return unjudged(fmt.Sprintf("cannot tell who changed the Action %s while this request was open: it was deleted and made again meanwhile.\n  "+
		"It must be asked again: create the request under another name. To end this one: %s",
		j.Action.Ref(), CancelCommand(s.Namespace, s.Name, "asked again")))
}

// CancelCommand is the command that cancels a request, with a reason.
func CancelCommand(namespace, name, reason string) string {
	return fmt.Sprintf(`kubectl patch actionrequest -n %s %s --type merge -p '{"spec":{"cancellation":{"reason":"%s"}}}'`, namespace, name, reason)
}

// edited tells whether a voter changed the Action while the request was open, or could have. What is reviewed has run, and must be reviewed by
// somebody: it cannot be asked again, so that whoever is not known to have changed it may, also where not all of them are known.
func (g *Gate) edited(ctx context.Context, j *Judgement, poll *Poll, voter *v1alpha1.Identity) *Problem {
	asked := j.subject.AskedAt
	if asked.IsZero() {
		return nil
	}
	if again := j.AskAgain(); again != nil && !poll.Review {
		return again
	}
	if j.known == nil {
		j.known = g.editorsOf(j)
	}
	edits, since, err := j.known.edits, j.known.since, j.known.err
	if err != nil {
		return unjudged(fmt.Sprintf("cannot tell who changed the Action: %[1]v, so nobody can be called independent.\n  "+
			"Its owners must apply it again: kubectl get action -n %[2]s %[3]s -o yaml | kubectl replace -f -. What was asked before must then be asked again.",
			err, j.Action.Object.Namespace, j.Action.Object.Name))
	}
	if since.After(asked) && !poll.Review {
		return unjudged(fmt.Sprintf("cannot tell who changed the Action %s while this request was open: that is known since %s only.\n  It must be asked again.",
			j.Action.Ref(), Time(since, j.Now)))
	}
	for i := range edits {
		if !during(&edits[i], j.subject) {
			continue
		}
		if problem := g.editedBy(ctx, j, &edits[i], voter); problem != nil {
			return problem
		}
	}
	return nil
}

// changers are the people, as far as they are known, who changed the Action while the request was open. Who could act as a ServiceAccount that did is asked
// when they vote.
func (g *Gate) changers(j *Judgement) map[string]bool {
	if g.hands == nil || j.subject == nil || j.subject.AskedAt.IsZero() || j.Absent {
		return nil
	}
	if j.known == nil {
		j.known = g.editorsOf(j)
	}
	var people map[string]bool
	for i := range j.known.edits {
		edit := &j.known.edits[i]
		person, err := g.rules.Person(context.Background(), &edit.By)
		if err != nil || !during(edit, j.subject) {
			continue
		}
		if people == nil {
			people = map[string]bool{}
		}
		people[person] = true
	}
	return people
}

// editedBy tells whether a voter made a change, or could have: as a ServiceAccount that they could act as. Nor may they be one as which whoever made it
// could act.
func (g *Gate) editedBy(ctx context.Context, j *Judgement, edit *Edit, voter *v1alpha1.Identity) *Problem {
	same, err := g.rules.SamePerson(ctx, &edit.By, voter)
	if err != nil {
		return unjudged(fmt.Sprintf("cannot tell whether %s changed the Action: %v", voter.Username, err))
	}
	at := edit.At.UTC().Format("15:04 MST")
	if same {
		return &Problem{Reason: v1alpha1.ReasonNotIndependent, Message: fmt.Sprintf("you cannot approve this: you changed the Action %s at %s while this request was open.",
			j.Action.Ref(), at)}
	}
	did := fmt.Sprintf("changed the Action %s at %s while this request was open", j.Action.Ref(), at)
	if problem := g.couldActAs(ctx, &edit.By, voter, did); problem != nil {
		return problem
	}
	if a := accountOf(voter); a != nil {
		return g.puppetOf(ctx, a, &edit.By, did)
	}
	return nil
}

// editors is who has changed the Action of a judgement, asked once for all voters.
type editors struct {
	edits []Edit
	since time.Time
	err   error
}

func (g *Gate) editorsOf(j *Judgement) *editors {
	out := &editors{}
	digest, err := j.Action.Digest()
	if err == nil {
		out.edits, out.since, err = g.hands.Edits(j.Action.Object, digest)
	}
	out.err = err
	return out
}

// Edited says who changed the Action last since a time, as far as it is known, such as "Action platform/deploy was edited by carol at 14:02 UTC". Empty: nobody, or
// nobody knows.
func (g *Gate) Edited(j *Judgement, since time.Time) string {
	if g.hands == nil || j.Action == nil || j.Absent {
		return ""
	}
	if j.known == nil {
		j.known = g.editorsOf(j)
	}
	edits := j.known.edits
	if len(edits) == 0 || edits[len(edits)-1].At.Before(since.Truncate(time.Second)) {
		return ""
	}
	last := &edits[len(edits)-1]
	return fmt.Sprintf("Action %s was edited by %s at %s", j.Action.Ref(), visible.Inside(last.By.Username), last.At.UTC().Format("15:04 MST"))
}

// skew is how far the clocks of two replicas can be apart.
const skew = time.Minute

// during tells whether an Action was changed after a request for it was made. Where two clocks could disagree about that, what the Action said
// when the request was made decides.
func during(edit *Edit, s *Subject) bool {
	if !edit.At.Before(s.AskedAt) {
		return true
	}
	return edit.At.Add(skew).After(s.AskedAt) && edit.Digest != s.AskedFor
}

// couldActAs tells whether a voter could have done as a ServiceAccount what that did, in words such as "asked for this". What people did, they
// did themselves.
func (g *Gate) couldActAs(ctx context.Context, who, voter *v1alpha1.Identity, did string) *Problem {
	account, ok := identity.ServiceAccount(who.Username)
	if !ok {
		return nil
	}
	may, err := g.hands.MayActAs(ctx, voter, account)
	if err != nil {
		return unjudged(fmt.Sprintf("cannot tell whether %s could act as ServiceAccount %s, which %s: %v. It is tried again.", voter.Username, account, did, err))
	}
	if may {
		return &Problem{Reason: v1alpha1.ReasonNotIndependent, Message: fmt.Sprintf(
			"you (%s) cannot approve this: ServiceAccount %s %s, and you could act as that: you may impersonate it, make tokens for it, run pods beside it, or make Secrets with its token.",
			voter.Username, account, did)}
	}
	return nil
}

// unjudged says that nobody can tell at the moment.
func unjudged(message string) *Problem {
	return &Problem{Reason: v1alpha1.ReasonIndeterminate, Message: message, Transient: true}
}

// Unjudged says that the vote of somebody could not be judged: it is neither lost nor counted.
type Unjudged struct {
	// Voter is whose vote.
	Voter string
	// Problem says why.
	Problem *Problem
}

func (u *Unjudged) Error() string {
	return fmt.Sprintf("failed to judge the vote of %s: %s", u.Voter, u.Problem.Message)
}
