// Package auditlog takes facts from the reconcilers and writes them to the sinks of the configuration: to the standard output, to a file, or
// to an outbox on disk from which they are sent to a receiver. Each sink is a log of its own, as internal/audit writes it.
//
// A fact has been written when every sink has it where it outlives the process: in a file, it is synced; for a receiver, it is synced in the
// outbox. Only the replica that leads writes.
package auditlog
