package seal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Position is a place in a chain: how many links there are, and the hash of the last. With none it is the hash of what the chain begins at.
type Position struct {
	Count int64
	Hash  string
}

// Link is one envelope of a chain.
type Link struct {
	// Seq counts from 0.
	Seq int64
	// Prev is the hash that the envelope names as the one before.
	Prev string
	// Hash is the hash of the envelope.
	Hash string
}

// GapKind is what is wrong with a chain.
type GapKind string

const (
	// GapMissing means that a link is not there.
	GapMissing GapKind = "Missing"
	// GapReordered means that a link is at another place.
	GapReordered GapKind = "Reordered"
	// GapRepeated means that a number is there twice.
	GapRepeated GapKind = "Repeated"
	// GapBroken means that a link does not continue the one before: one of them was changed, or comes from elsewhere.
	GapBroken GapKind = "Broken"
	// GapShortened means that links that were known earlier are not there.
	GapShortened GapKind = "Shortened"
	// GapReplaced means that another link is where one was known earlier.
	GapReplaced GapKind = "Replaced"
	// GapForeign means that a link belongs to something else, or was made at a time at which it could not.
	GapForeign GapKind = "Foreign"
	// GapSeal means that the seal of a link is not valid.
	GapSeal GapKind = "Seal"
)

// Gap is the first thing that is wrong with a chain.
type Gap struct {
	// Index is the place in the chain, from 0.
	Index int
	// Kind is what is wrong.
	Kind GapKind
	text string
	// cause is the error of the seal.
	cause error
}

func (g *Gap) Error() string {
	if g.cause != nil {
		return fmt.Sprintf("link %d: %s: %s", g.Index, g.text, g.cause)
	}
	return fmt.Sprintf("link %d: %s", g.Index, g.text)
}

// Unwrap gives the error of the seal.
func (g *Gap) Unwrap() error { return g.cause }

func gap(index int, kind GapKind, format string, args ...any) *Gap {
	return &Gap{Index: index, Kind: kind, text: fmt.Sprintf(format, args...)}
}

// CheckChain checks that links follow each other from a root without a gap, and gives the end of the chain. The error is a *Gap.
func CheckChain(root string, links []Link) (Position, error) {
	at := Position{Hash: root}
	for i, link := range links {
		want := int64(i)
		switch {
		case link.Seq > want && slices.ContainsFunc(links[i:], func(l Link) bool { return l.Seq == want }):
			return at, gap(i, GapReordered, "it is number %d, and number %d comes after it", link.Seq, want)
		case link.Seq > want:
			return at, gap(i, GapMissing, "number %d is missing; number %d is there instead", want, link.Seq)
		case link.Seq < want:
			return at, gap(i, GapRepeated, "number %d is there again", link.Seq)
		case link.Prev != at.Hash:
			return at, gap(i, GapBroken, "it follows %.15s…, but %.15s… is before it", link.Prev, at.Hash)
		}
		at = Position{Count: want + 1, Hash: link.Hash}
	}
	return at, nil
}

// Holds checks that a chain, which has been checked itself, still holds what was known of it earlier. The error is a *Gap.
func (earlier Position) Holds(root string, links []Link) error {
	if earlier.Count > int64(len(links)) {
		return gap(len(links), GapShortened, "there are %d links, and there were %d", len(links), earlier.Count)
	}
	have := root
	if earlier.Count > 0 {
		have = links[earlier.Count-1].Hash
	}
	if have != earlier.Hash {
		return gap(max(int(earlier.Count)-1, 0), GapReplaced, "it is %.15s…, and it was %.15s…", have, earlier.Hash)
	}
	return nil
}

// Votes verifies the votes on an Approval, whose own envelope has been verified and which has that uid: each seal, that each vote belongs to this Approval and was
// made while it was open, and that none is missing. It gives the links, for Holds, and the end of the chain. The error is a *Gap.
func (v *Verifier) Votes(ap *Approval, uid types.UID, root *Envelope, votes []*Vote, seals []string, ring *Keyring) ([]Link, Position, error) {
	start := Position{Hash: root.Hash()}
	if len(votes) != len(seals) {
		return nil, start, gap(min(len(votes), len(seals)), GapSeal, "there are %d votes and %d seals", len(votes), len(seals))
	}
	links := make([]Link, 0, len(votes))
	for i, vote := range votes {
		e, err := v.Verify(vote, seals[i], ring)
		if err != nil {
			return nil, start, &Gap{Index: i, Kind: GapSeal, text: "its seal is not valid", cause: err}
		}
		if err := vote.On(ap, uid); err != nil {
			return nil, start, gap(i, GapForeign, "%s", err)
		}
		links = append(links, Link{Seq: vote.Seq, Prev: vote.Prev, Hash: e.Hash()})
	}
	end, err := CheckChain(start.Hash, links)
	return links, end, err
}

// On tells why a vote cannot belong to an Approval, or nil. That it comes after the Approval is proved by the chain, so its time is
// allowed to be earlier by as much as clocks may differ.
func (p *Vote) On(ap *Approval, uid types.UID) error {
	issued := p.Issued()
	switch {
	case p.Cluster != ap.Cluster || p.Namespace != ap.Namespace || p.Approval != string(uid) || p.Request != ap.Request.UID || p.Stage != ap.Stage:
		return errors.New("it was given on another Approval")
	case p.Digest != ap.Digest:
		return errors.New("it was given on another digest")
	case issued.Before(ap.Issued().Add(-MaxSkew)):
		return errors.New("it was given before the Approval was opened")
	case !ap.Review && !issued.Before(time.UnixMilli(ap.ClosesAt)):
		return errors.New("it was given after the Approval closed")
	}
	return nil
}
