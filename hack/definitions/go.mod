// Module definitions pins the modules that hold the definitions of kinds of others, which the chart makes objects of. Nothing imports them, so go mod
// tidy would drop them.
module github.com/signoff-dev/signoff/hack/definitions

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2 // indirect
	github.com/prometheus-operator/prometheus-operator v0.85.0 // indirect
)
