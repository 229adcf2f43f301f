// Package inputs knows the schema of an Action's inputs: it checks the schema, fills in defaults and validates values.
//
// The schema is that of a CustomResourceDefinition and is judged by the same code as there. It is only read more strictly,
// because nobody reviews what a misspelt keyword would let through.
package inputs
