package seal

import (
	"encoding/base64"
	"fmt"
	"time"
)

// Checkpoint is checkpoint.v1: how long an audit log is, and what its last line is.
type Checkpoint struct {
	Common
	// Chain names the log.
	Chain string `json:"chain,omitempty"`
	// Count is how many lines there are before, and Head the hash of the last of them.
	Count int64  `json:"count,omitempty"`
	Head  string `json:"head,omitempty"`
	// Keys are all keys that were known, so that a log tells which key was in use when.
	Keys []ListedKey `json:"keys,omitempty"`
}

// ListedKey is a public key in a checkpoint. Times are in milliseconds.
type ListedKey struct {
	ID        string `json:"id,omitempty"`
	Purpose   string `json:"purpose,omitempty"`
	Key       string `json:"publicKey,omitempty"`
	NotBefore int64  `json:"notBefore,omitempty"`
	RetiredAt int64  `json:"retiredAt,omitempty"`
	RevokedAt int64  `json:"revokedAt,omitempty"`
}

// Type is checkpoint.v1.
func (*Checkpoint) Type() Type { return TypeCheckpoint }

func (p *Checkpoint) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("chain", p.Chain)
	m.number("count", p.Count)
	m.sum("head", p.Head)
	if len(p.Keys) > MaxKeys {
		m.add(fmt.Errorf("there are %d keys, more than %d", len(p.Keys), MaxKeys))
	}
	return m.err()
}

// CheckpointPayload builds checkpoint.v1 for a log of so many lines.
func CheckpointPayload(chain string, at Position, ring *Keyring, s Stamp) (*Checkpoint, error) {
	var m millis
	p := &Checkpoint{Common: s.common(&m, audit, ""), Chain: chain, Count: at.Count, Head: at.Hash}
	for _, key := range ring.Keys() {
		p.Keys = append(p.Keys, ListedKey{
			ID: key.ID(), Purpose: string(key.Purpose), Key: base64.StdEncoding.EncodeToString(key.Key),
			NotBefore: listed(key.NotBefore), RetiredAt: listed(key.RetiredAt), RevokedAt: listed(key.RevokedAt),
		})
	}
	return built(p, &m)
}

func listed(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
