// Package seal signs what people and the operator say, so that it can be told later that nobody changed it: Ed25519 signatures in
// DSSE envelopes over canonical JSON of closed, versioned payloads. It is pure: it knows no client, no clock and no network.
//
// A payload is built field by field from an object of the API and from a stamp, which is what must be stored beside the object
// to build the payload again: when it was sealed, and what the object itself does not say. What is stored as the seal is
// one short text; the payload is never stored, but built anew from the live object whenever the seal is verified. Thus nothing
// can be changed in the object without voiding the seal.
//
// The format is specified in docs/design/seal/README.md, with vectors to test another implementation.
package seal
