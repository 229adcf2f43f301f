package keys

import "github.com/signoff-dev/signoff/internal/seal"

// next says what to write next where there is a key to sign with. What is urgent comes first.
func (o *Observed) next(sign string, known, own []seal.PublicKey, policy Policy) *Step {
	for _, step := range []*Step{
		o.revoked(known), o.unfinished(known), o.due(own, policy), o.replaced(sign, own), o.ended(known), o.old(known, policy),
	} {
		if step != nil {
			return step
		}
	}
	return nil
}

// revoked removes private keys that are in wrong hands.
func (o *Observed) revoked(known []seal.PublicKey) *Step {
	for i := range known {
		if !known[i].RevokedAt.IsZero() && o.has(known[i].ID()) {
			return &Step{Kind: RemovePrivate, KeyIDs: []string{known[i].ID()}}
		}
	}
	return nil
}

// unfinished retires keys that were published and cannot sign: whoever made them stopped before the private half was stored, or it is lost.
func (o *Observed) unfinished(known []seal.PublicKey) *Step {
	for i := range known {
		if active(&known[i]) && !o.has(known[i].ID()) {
			return o.retire(known[i].ID())
		}
	}
	return nil
}

// due makes a new key where a person asked for one since the newest was made, or where that is too old.
func (o *Observed) due(own []seal.PublicKey, policy Policy) *Step {
	if len(own) > 1 {
		return nil
	}
	if o.askedSince(&own[0]) || (policy.MaxAge > 0 && o.Now.Sub(made(&own[0])) > policy.MaxAge) {
		return o.createNext()
	}
	return nil
}

// replaced retires the keys that are older than the one that all replicas sign with.
func (o *Observed) replaced(sign string, own []seal.PublicKey) *Step {
	if len(own) < 2 || own[0].ID() != sign || o.behind(sign) != "" {
		return nil
	}
	return o.retire(own[len(own)-1].ID())
}

func (o *Observed) retire(id string) *Step {
	return &Step{Kind: Retire, KeyIDs: []string{id}, At: o.Now.Add(grace)}
}

// ended removes private keys that can no longer seal anything that counts.
func (o *Observed) ended(known []seal.PublicKey) *Step {
	for i := range known {
		if at := end(&known[i]); !at.IsZero() && o.Now.After(at) && o.has(known[i].ID()) {
			return &Step{Kind: RemovePrivate, KeyIDs: []string{known[i].ID()}}
		}
	}
	return nil
}

// old drops public keys for which nothing is left to verify. Their private halves have gone before, by ended.
func (o *Observed) old(known []seal.PublicKey, policy Policy) *Step {
	for i := range known {
		at := end(&known[i])
		if !at.IsZero() && o.Now.Sub(at) > policy.KeepFor {
			return &Step{Kind: Drop, KeyIDs: []string{known[i].ID()}}
		}
	}
	return nil
}
