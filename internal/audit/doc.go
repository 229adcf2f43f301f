// Package audit writes what happened as one line of JSON per fact, each chained to the one before by its hash, with signed checkpoints, and
// verifies such a log offline with public keys only. It is pure: it writes to a writer and reads from a reader.
//
// Each line is a CloudEvent in structured mode. The types, their data and what never is in a log are documented in
// docs/reference/audit-events.md.
package audit
