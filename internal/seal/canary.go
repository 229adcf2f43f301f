package seal

// Canary is canary.v1: the process that serves the webhooks was asked about something that only the controllers knew. It is never stored.
type Canary struct {
	Common
	// Nonce is what the controllers drew, and which of the two webhooks was asked.
	Nonce string `json:"nonce,omitempty"`
}

// Type is canary.v1.
func (*Canary) Type() Type { return TypeCanary }

func (p *Canary) check() error {
	var m missing
	m.add(p.Common.check())
	m.text("nonce", p.Nonce)
	return m.err()
}

// CanaryPayload builds canary.v1.
func CanaryPayload(nonce string, s Stamp) (*Canary, error) {
	var m millis
	return built(&Canary{Common: s.common(&m, requests, ""), Nonce: nonce}, &m)
}
