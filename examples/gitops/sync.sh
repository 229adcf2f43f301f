#!/bin/sh
# What Flux and Argo CD do with a repository, in a few lines: take the newest commit, mark what is in it as theirs, apply it, and delete what is not in it
# any more. To see it without installing either.
set -eu
repository=$1 here=$2
[ -d "$here" ] || git clone -q "$repository" "$here"
git -C "$here" pull -q
objects=
# With the last request, the folder is out of the repository.
[ ! -d "$here/requests" ] || objects=$(kubectl kustomize "$here/requests")
if [ -z "$objects" ]; then
  # Where nothing is left apply would refuse, and prune nothing.
  kubectl delete actionrequests -n tickets -l kustomize.toolkit.fluxcd.io/name=requests --wait=false
  exit
fi
printf '%s\n' "$objects" |
  kubectl label --local -f - -o yaml kustomize.toolkit.fluxcd.io/name=requests kustomize.toolkit.fluxcd.io/namespace=flux-system |
  kubectl apply -n tickets -f - --prune -l kustomize.toolkit.fluxcd.io/name=requests --prune-allowlist=signoff.dev/v1alpha1/ActionRequest
