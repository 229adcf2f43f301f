package steps

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// maxFieldManager is how long the name of a field manager may be.
	maxFieldManager = 128
	// maxJobName leaves the name of a Job usable as the value of the label that the Job controller gives its pods, which may have 63
	// characters, also with the number of a further attempt.
	maxJobName = 60
	// hashLength is how many hexadecimal digits keep two cut names apart.
	hashLength = 8
)

// fieldManager is the field manager of an apply or a patch: one per step, so that two steps never take each other's fields
// away. That of a temporary request is its own, as it shows later what the request has written.
func (r rendering) fieldManager() string {
	if r.Temporary {
		return r.onceManager()
	}
	full := strings.Join([]string{"signoff", r.Namespace, r.Action, r.step}, "/")
	if len(full) <= maxFieldManager {
		return full
	}
	return full[:maxFieldManager-hashLength-1] + "-" + hash(full)
}

// onceManager is the field manager of one request and step, so that it shows whether the step has written.
func (r rendering) onceManager() string { return "signoff-" + r.RequestUID + "-" + r.step }

// jobName is the name of the Job of the step: always the same for one request, so that it cannot be created twice. Each run of a plan step has
// its own.
func (r rendering) jobName() string {
	whole := r.RequestUID + "/" + r.step
	if r.Round > 1 {
		whole += fmt.Sprintf("/%d", r.Round)
	}
	tail := "-" + r.step + "-" + hash(whole)
	head := strings.ReplaceAll(r.RequestName, ".", "-")
	if most := maxJobName - len(tail); len(head) > most {
		head = head[:most]
	}
	return strings.TrimRight(head, "-") + tail
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:hashLength]
}
