package config

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/internal/egress"
)

// Egress says which hosts the steps of Actions and the channels of Notifiers may call.
type Egress struct {
	// Hosts may be called, and no others. Default: none.
	Hosts []EgressHost `json:"hosts,omitempty"`
}

// EgressHost is a host that may be called.
type EgressHost struct {
	// Host is its name in lower case, "*." and what all names end in, or an IP address.
	Host string `json:"host"`
	// Ports may be called. Default: 443, or 80 with plain.
	Ports []int `json:"ports,omitempty"`
	// Networks are private addresses that it may have, such as 10.1.0.0/16. Default: only public ones.
	Networks []string `json:"networks,omitempty"`
	// Plain lets it be called without TLS. Default: false.
	Plain bool `json:"plain,omitempty"`
}

func (c *Configuration) validateEgress() field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("egress", "hosts")
	for i := range c.Egress.Hosts {
		h, at := &c.Egress.Hosts[i], path.Index(i)
		errs = append(errs, one(at.Child("host"), h.Host, callee)...)
		for j, port := range h.Ports {
			for _, message := range validation.IsValidPortNum(port) {
				errs = append(errs, field.Invalid(at.Child("ports").Index(j), port, message))
			}
		}
		errs = append(errs, each(at.Child("networks"), h.Networks, network)...)
	}
	return errs
}

// callee accepts a host as egress compares it.
func callee(text string) []string {
	if address, err := netip.ParseAddr(text); err == nil && address.String() == text {
		return nil
	}
	name := strings.TrimPrefix(text, "*.")
	if len(validation.IsDNS1123Subdomain(name)) > 0 || (name != text && !strings.Contains(name, ".")) {
		return []string{`a name in lower case is accepted, "*.example.com" for all below it, or an IP address`}
	}
	return nil
}

func network(text string) []string {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Masked() != prefix {
		return []string{"a network is accepted, such as 10.1.0.0/16"}
	}
	return nil
}

// Policy gives what may be called. The configuration is valid.
func (e *Egress) Policy() *egress.Policy {
	hosts := make([]egress.Host, len(e.Hosts))
	for i, h := range e.Hosts {
		hosts[i] = egress.Host{Name: h.Host, Plain: h.Plain}
		for _, port := range h.Ports {
			hosts[i].Ports = append(hosts[i].Ports, uint16(port)) //nolint:gosec // it was validated
		}
		if len(h.Ports) == 0 {
			hosts[i].Ports = []uint16{443}
			if h.Plain {
				hosts[i].Ports = append(hosts[i].Ports, 80)
			}
		}
		for _, text := range h.Networks {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				hosts[i].Networks = append(hosts[i].Networks, prefix)
			}
		}
	}
	return egress.New(hosts)
}
