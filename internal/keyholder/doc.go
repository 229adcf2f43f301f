// Package keyholder holds the keys of this process: it reads them where they are stored, follows their changes, and does what internal/keys
// decides.
//
// A private key is in a signer only, which prints as an address. What is read is never part of an error.
package keyholder
