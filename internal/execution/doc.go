// Package execution runs rendered steps as the ServiceAccount that an Action names, by impersonation, and never as the
// operator itself.
package execution
