// Package keys says what becomes of the keys by which Signoff seals: when one is made, published, used, retired and dropped, and when
// nothing may be signed. It decides only; who reads and writes Secrets and ConfigMaps implements Store.
//
// A new key is never made silently. Where a key was known and its private half is gone, the answer is KeyLost, and a person decides.
package keys
