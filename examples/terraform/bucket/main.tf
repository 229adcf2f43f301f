# A bucket of a cloud, as far as that is possible without a cloud: terraform_data is a resource that every Terraform and OpenTofu has. Its id is made
# when it is applied, its size can be changed, and another region takes another bucket. Put your own resources in its place. The runner
# says where the state is.
terraform {
  required_version = ">= 1.5"
}

variable "name" {
  type = string
}

variable "region" {
  type    = string
  default = "eu-north"
}

variable "size_gb" {
  type    = number
  default = 10
}

resource "terraform_data" "bucket" {
  input = {
    name    = var.name
    region  = var.region
    size_gb = var.size_gb
  }
  triggers_replace = [var.region]
}

output "id" {
  value = terraform_data.bucket.id
}

output "size_gb" {
  value = terraform_data.bucket.output.size_gb
}
