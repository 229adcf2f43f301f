// Module opentofu pins OpenTofu, which plays the part of Terraform in examples/terraform. It is built in a copy of its own folder, because
// it replaces a module, and a replacement counts in the main module only. So nothing here imports it, and go mod tidy would drop it.
module github.com/signoff-dev/signoff/hack/opentofu

go 1.26.0

require github.com/opentofu/opentofu v1.10.6 // indirect
