// Package crd holds the CustomResourceDefinitions of Signoff, so that the kubectl plugin refuses offline what the API server would refuse.
package crd

import "embed"

// Files are the definitions, one in each file.
//
//go:embed signoff.dev_*.yaml
var Files embed.FS
