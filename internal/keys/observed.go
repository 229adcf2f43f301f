package keys

import (
	"slices"
	"time"

	"github.com/signoff-dev/signoff/internal/seal"
)

// Observed is what is known when it is decided about the keys of one purpose. A step is decided on what was read live; which key to sign
// with may be decided on a watch.
type Observed struct {
	// Purpose is the purpose of the keys.
	Purpose seal.Purpose
	// Document holds the public keys. Nil: there is none. Where there is one that cannot be read, nothing may be decided.
	Document *Document
	// Private are the ids of the private keys that are there.
	Private []string
	// PrivateSince is when what holds the private keys was created. Zero: nobody knows, such as with a file.
	PrivateSince time.Time
	// Sealed tells whether anything in the cluster has a seal of this purpose.
	Sealed bool
	// Asked is when a person last asked for a new key. Zero: never.
	Asked time.Time
	// Replicas are all that live, this one included.
	Replicas []Replica
	// Now is the time.
	Now time.Time
}

// Replica is what a replica reports about itself.
type Replica struct {
	// Name is the name of the replica, for messages.
	Name string
	// Knows are the ids of the public keys that it verifies with.
	Knows []string
	// Signs is the id of the key of this purpose that it signs with. Empty: it signs nothing of this purpose.
	Signs string
}

// Policy says how long things take.
type Policy struct {
	// KeepFor is how long a public key is kept after its end: as long as anything that it sealed may be looked at.
	KeepFor time.Duration
	// MaxAge is how old a key in use may become before it is replaced. Zero: as old as it likes.
	MaxAge time.Duration
}

const (
	// before is how long before its publication a key counts, because clocks differ.
	before = seal.MaxSkew
	// grace is how long after its replacement a key still counts, because clocks differ and news travels.
	grace = 2 * seal.MaxSkew
	// askedFor is how long it counts that a person asked for a new key where the old one is lost.
	askedFor = time.Hour
)

func active(k *seal.PublicKey) bool { return k.RetiredAt.IsZero() && k.RevokedAt.IsZero() }

// made is when a key was published.
func made(k *seal.PublicKey) time.Time { return k.NotBefore.Add(before) }

// end is when a key ceased to count. Zero: it counts.
func end(k *seal.PublicKey) time.Time {
	if k.RetiredAt.IsZero() || (!k.RevokedAt.IsZero() && k.RevokedAt.Before(k.RetiredAt)) {
		return k.RevokedAt
	}
	return k.RetiredAt
}

func (o *Observed) has(id string) bool { return slices.Contains(o.Private, id) }

// own are the keys that can be signed with, the newest first.
func (o *Observed) own() []seal.PublicKey {
	var out []seal.PublicKey
	for _, key := range o.Document.of(o.Purpose) {
		if active(&key) && o.has(key.ID()) {
			out = append(out, key)
		}
	}
	return out
}

// ignorant names the first replica that does not know a key.
func (o *Observed) ignorant(id string) string {
	for _, r := range o.Replicas {
		if !slices.Contains(r.Knows, id) {
			return r.Name
		}
	}
	return ""
}

// behind names the first replica that signs with another key than this. That none signs at all counts as one that does.
func (o *Observed) behind(id string) string {
	signing := 0
	for _, r := range o.Replicas {
		if r.Signs == "" {
			continue
		}
		signing++
		if r.Signs != id {
			return r.Name
		}
	}
	if signing == 0 {
		return "nobody yet"
	}
	return ""
}
