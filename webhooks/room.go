package webhooks

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/quorum"
	"github.com/signoff-dev/signoff/internal/visible"
)

// The votes of an Approval are bounded. Whatever is taken can be taken back: a vote that stands has room kept for its withdrawal, and beside all of
// them there is room for as many first denials as it takes.
const (
	// maxVotesOfPerson is how many votes a person may have after one by which they agree, and maxDenied after a denial: whoever has agreed and taken it back
	// as often as anybody can still deny.
	maxVotesOfPerson = 8
	maxDenied        = maxVotesOfPerson + 2
	// All who vote for one person agree together as often as two people may, so that nobody's stand-ins fill the list.
	maxVotesInstead  = 2 * maxVotesOfPerson
	maxDeniedInstead = 2*maxVotesInstead + 2
)

// Votes name the groups of who gave them, which can be many. So they are bounded by their bytes, too: beside the rest of an Approval, first denials and its
// status must fit into what etcd takes.
const (
	// maxTaken is how many bytes the votes may have, with what it takes to take back those that stand.
	maxTaken = 600 << 10
	// maxNotes is how many bytes of annotations people may hang on an Approval.
	maxNotes = 64 << 10
)

// history is what there is on an Approval before a vote.
type history struct {
	// own is how many votes its voter has, under whichever login, last the last of these, and denied says that one is a denial.
	own    int
	last   *v1alpha1.Vote
	denied bool
	// instead is how many votes there are by others in the name of the person for whom it is.
	instead int
	// all is how many votes there are, others those of other people that stand, and denying how many of them deny.
	all     int
	others  map[string]*v1alpha1.Vote
	denying int
	// wanted is how many first denials there must be room for.
	wanted int
}

func (w *approvals) history(ctx context.Context, old *v1alpha1.Approval, vote *v1alpha1.Vote, caller *v1alpha1.Identity) *history {
	h := &history{
		own: w.votesOf(ctx, old, caller, vote.Decision == v1alpha1.DecisionApprove), last: w.standing(ctx, old, caller), instead: w.votesInstead(ctx, old, vote.Delegation),
		all: len(old.Spec.Votes), others: map[string]*v1alpha1.Vote{}, wanted: max(int(old.Spec.Denials), quorum.MinDenials),
	}
	for i := range old.Spec.Votes {
		before := &old.Spec.Votes[i]
		if same, err := w.Identity.SamePerson(ctx, &before.Voter, caller); same && err == nil {
			h.denied = h.denied || before.Decision == v1alpha1.DecisionDeny
			continue
		}
		person, err := w.Identity.Person(ctx, &before.Voter)
		if err != nil {
			person = before.Voter.Username
		}
		if h.others[person] = before; before.Decision == v1alpha1.DecisionWithdraw {
			delete(h.others, person)
		}
	}
	for _, stands := range h.others {
		if stands.Decision == v1alpha1.DecisionDeny {
			h.denying++
		}
	}
	return h
}

// takesBack tells whether a withdrawal takes something back. Room was kept for it then.
func (h *history) takesBack() bool {
	return h.last != nil && h.last.Decision != v1alpha1.DecisionWithdraw
}

// kept is how much room is kept for first denials, and for taking them back.
func (h *history) kept() int { return 2 * max(h.wanted-h.denying, 0) }

// has tells whether there is room for a vote, by how many there are.
func (h *history) has(decision v1alpha1.Decision) bool {
	// The vote itself, a place to take it back, and one for each that stands.
	needed := h.all + 2 + len(h.others)
	switch {
	case decision == v1alpha1.DecisionWithdraw && h.takesBack():
		return h.all < quorum.MaxVotes
	case decision == v1alpha1.DecisionDeny && h.denied:
		needed += h.kept()
		fallthrough
	case decision == v1alpha1.DecisionDeny:
		return needed <= quorum.MaxVotes && h.own < maxDenied && h.instead < maxDeniedInstead
	}
	return needed+h.kept() <= quorum.MaxVotes && h.own < maxVotesOfPerson && h.instead < maxVotesInstead
}

// fits refuses a vote for which there is no room, by how many there are or by how large they are.
func (w *approvals) fits(ctx context.Context, next, old *v1alpha1.Approval, vote *v1alpha1.Vote, caller *v1alpha1.Identity) *admission.Response {
	h := w.history(ctx, old, vote, caller)
	if refused := h.room(vote); refused != nil {
		return refused
	}
	return h.tooLarge(next.Spec.Votes, vote)
}

// room refuses a vote for which there is no room, by how many there are.
func (h *history) room(vote *v1alpha1.Vote) *admission.Response {
	if vote.Decision == v1alpha1.DecisionWithdraw && h.own == 0 {
		return ptr(forbidden("", "you have no vote here to take back."))
	}
	if h.has(vote.Decision) {
		return nil
	}
	text := fmt.Sprintf("too many votes: a person may change their mind %d times.", maxVotesOfPerson)
	switch {
	case h.own < maxVotesOfPerson && h.instead < maxVotesInstead:
		text = fmt.Sprintf("too many votes: there are %d here, and room is kept for denials and for taking back what stands. If more people must agree, cancel the request and ask again.", h.all)
	case vote.Delegation != nil && h.instead >= maxVotesInstead:
		text = fmt.Sprintf("too many votes: others have voted %d times for %s.", h.instead, visible.Inside(vote.Delegation.Principal))
	}
	return ptr(forbidden("", text+h.deniable()))
}

// deniable says who can still deny.
func (h *history) deniable() string {
	switch {
	case h.has(v1alpha1.DecisionDeny):
		return " A denial is still possible."
	case h.all+2+len(h.others) <= quorum.MaxVotes:
		return " Somebody else can still deny."
	}
	return ""
}

// tooLarge refuses a vote that leaves no room for first denials, and for taking back what stands.
func (h *history) tooLarge(votes []v1alpha1.Vote, vote *v1alpha1.Vote) *admission.Response {
	if vote.Decision == v1alpha1.DecisionWithdraw && h.takesBack() || vote.Decision == v1alpha1.DecisionDeny && !h.denied {
		return nil
	}
	bytes := bytesOf(votes) + bytesOf(vote)
	for _, stands := range h.others {
		bytes += bytesOf(stands)
	}
	if bytes <= maxTaken {
		return nil
	}
	text := " A denial is still possible."
	if h.denied {
		text = " Somebody else can still deny."
	}
	return ptr(forbidden("", fmt.Sprintf("the votes here have %d bytes with this one, with all the groups of who gave them and what it takes to take them back, and may have %d.%s",
		bytes, maxTaken, text)))
}

// bytesOf is how many bytes something has. What cannot be written has too many.
func bytesOf(object any) int {
	text, err := json.Marshal(object)
	if err != nil {
		return maxTaken + 1
	}
	return len(text)
}

// tooManyNotes refuses annotations that leave votes no room.
func tooManyNotes(next, old map[string]string) field.ErrorList {
	size := func(notes map[string]string) (bytes int) {
		for name, note := range notes {
			bytes += len(name) + len(note)
		}
		return bytes
	}
	if size(next) <= maxNotes || size(next) <= size(old) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("metadata", "annotations"), fmt.Sprintf("they have %d bytes, and may have %d on an Approval: votes must fit beside them", size(next), maxNotes))}
}

// votesInstead counts the votes of all who vote for the person for whom a vote is. Nobody's: 0.
func (w *approvals) votesInstead(ctx context.Context, old *v1alpha1.Approval, given *v1alpha1.VoteDelegation) int {
	instead := 0
	for i := range old.Spec.Votes {
		if other := old.Spec.Votes[i].Delegation; given != nil && other != nil && w.onePrincipal(ctx, given.Principal, other.Principal) {
			instead++
		}
	}
	return instead
}

// onePrincipal tells whether two logins for which others vote are one person, as far as a login tells.
func (w *approvals) onePrincipal(ctx context.Context, a, b string) bool {
	same, err := w.Identity.SamePerson(ctx, &v1alpha1.Identity{Username: a}, &v1alpha1.Identity{Username: b})
	return same && err == nil
}

// votesOf counts the votes of a person, under whichever login, and on a wish those of which nobody can tell whose they are. These could be anybody's,
// and must keep nobody from saying no.
func (w *approvals) votesOf(ctx context.Context, old *v1alpha1.Approval, caller *v1alpha1.Identity, unsure bool) int {
	own := 0
	for i := range old.Spec.Votes {
		if same, err := w.Identity.SamePerson(ctx, &old.Spec.Votes[i].Voter, caller); same || err != nil && unsure {
			own++
		}
	}
	return own
}
