package assets

import (
	"fmt"
	"strings"
)

// Without the version the API server would report v0.0.0-master, which breaks every version check of a client.
const kubernetes = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2" +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"

const stripped = "-s -w"

// ControlPlane is what the tests, the demo and the benchmark run against.
var ControlPlane = Set{
	Name:        "controlplane",
	Module:      "hack/controlplane",
	ColdSeconds: 400,
	Programs: []Program{
		{Name: "etcd", Package: "go.etcd.io/etcd/server/v3", LDFlags: stripped, Weight: 10},
		{Name: "kube-apiserver", Package: "k8s.io/kubernetes/cmd/kube-apiserver", LDFlags: kubernetes, Weight: 55},
		{Name: "kube-controller-manager", Package: "k8s.io/kubernetes/cmd/kube-controller-manager", LDFlags: kubernetes, Weight: 23},
		{Name: "kube-scheduler", Package: "k8s.io/kubernetes/cmd/kube-scheduler", LDFlags: kubernetes, Weight: 4},
		{Name: "kubectl", Package: "k8s.io/kubernetes/cmd/kubectl", LDFlags: kubernetes, Weight: 5},
		{Name: "kwok", Package: "sigs.k8s.io/kwok/cmd/kwok", LDFlags: stripped, Weight: 3},
	},
}

// Node is what makes a machine a node of that control plane. It is a set of its own, because only `make e2e` needs it; its module is the
// same, so that the build cache is shared and both are of one version.
var Node = Set{
	Name:        "node",
	Module:      ControlPlane.Module,
	ColdSeconds: 70, // after the control plane
	Programs: []Program{
		{Name: "kubelet", Package: "k8s.io/kubernetes/cmd/kubelet", LDFlags: kubernetes, Weight: 80},
		{Name: "kube-proxy", Package: "k8s.io/kubernetes/cmd/kube-proxy", LDFlags: kubernetes, Weight: 20},
	},
}

// Containers is what runs Pods on that node: containerd, and the plugins of the Container Network Interface.
var Containers = Set{
	Name:        "containers",
	Module:      "hack/containers",
	ColdSeconds: 190,
	Programs: []Program{
		{Name: "containerd", Package: containerd + "containerd", LDFlags: stripped, Weight: 70},
		{Name: "containerd-shim-runc-v2", Package: containerd + "containerd-shim-runc-v2", LDFlags: stripped, Weight: 10},
		{Name: "ctr", Package: containerd + "ctr", LDFlags: stripped, Weight: 10},
		{Name: "bridge", Package: cni + "main/bridge", LDFlags: stripped, Weight: 7},
		{Name: "host-local", Package: cni + "ipam/host-local", LDFlags: stripped, Weight: 3},
	},
}

const (
	containerd = "github.com/containerd/containerd/v2/cmd/"
	cni        = "github.com/containernetworking/plugins/plugins/"
)

// Tools is what generates and checks the code.
var Tools = Set{
	Name:        "tools",
	Module:      "hack/tools",
	ColdSeconds: 180,
	Programs: []Program{
		{Name: "controller-gen", Package: "sigs.k8s.io/controller-tools/cmd/controller-gen", LDFlags: stripped, Weight: 20},
		{Name: "crd-ref-docs", Package: "github.com/elastic/crd-ref-docs", LDFlags: stripped, Weight: 5},
		{Name: "gotestsum", Package: "gotest.tools/gotestsum", LDFlags: stripped, Weight: 5},
		{Name: "golangci-lint", Package: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", LDFlags: stripped, Weight: 70},
	},
}

// Helm is what the tests of the chart run. It is a set of its own, so that neither of the others is built anew when it changes. Its
// Kubernetes libraries are those of the product, so that the build cache is shared.
var Helm = Set{
	Name:        "helm",
	Module:      "hack/helm",
	ColdSeconds: 110,
	Programs: []Program{
		{Name: "helm", Package: "helm.sh/helm/v4/cmd/helm", LDFlags: stripped, Weight: 100},
	},
}

// Terraform is what examples/terraform runs. Its libraries are its own, so it shares little with the other sets.
var Terraform = Set{
	Name:        "terraform",
	Module:      "hack/terraform",
	ColdSeconds: 300,
	Programs: []Program{
		{Name: "terraform", Package: "github.com/hashicorp/terraform", LDFlags: stripped, Weight: 100},
	},
}

// Sets are all of them.
var Sets = []Set{ControlPlane, Node, Containers, Tools, Helm, Terraform}

// Find returns the set with this name.
func Find(name string) (Set, error) {
	var names []string
	for _, set := range Sets {
		if set.Name == name {
			return set, nil
		}
		names = append(names, set.Name)
	}
	return Set{}, fmt.Errorf("there is no set %q: the sets are %s", name, strings.Join(names, ", "))
}
