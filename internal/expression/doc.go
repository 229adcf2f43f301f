// Package expression compiles and evaluates the CEL expressions of Signoff; it is the only importer of cel-go.
package expression
