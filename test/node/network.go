package node

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is what `ip` is told: an interface with the address of the node, whose other end nobody has, and over which everything is
// routed that has no other way. Addresses of Services never leave: kube-proxy replaces them.
var network = []string{
	"link set lo up",
	"link add node0 type veth peer name node1",
	"address add " + Address + "/24 dev node0",
	"link set node0 up",
	"link set node1 up",
	"route add default dev node0",
}

func isolateNetwork() error {
	for _, arguments := range network {
		if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
			return fmt.Errorf("failed to run ip %s: %w: %s", arguments, err, out)
		}
	}
	// It is that of our namespace only.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0o644); err != nil {
		return fmt.Errorf("failed to turn on forwarding: %w", err)
	}
	return nil
}
