package audit

import (
	"errors"
	"fmt"

	"github.com/signoff-dev/signoff/internal/seal"
)

// proof is an opened seal of an event.
type proof struct {
	payload  seal.Payload
	envelope *seal.Envelope
	// valid says that it proves something: its key had not been revoked.
	valid bool
}

// revoked notes a seal that proves nothing, since its key was revoked before. All that follows it is still to be looked at.
func (v *verifier) revoked(l *line, why error) {
	if len(v.report.Revoked) == maxRevoked {
		v.report.MoreRevoked++
		return
	}
	v.report.Revoked = append(v.report.Revoked, v.gap(GapRevoked, l.ID, "%s", why))
}

// content verifies what a line says: that it is complete, that its seals are valid, and that they prove just this.
func (v *verifier) content(l *line) *Gap {
	if _, known := needs[l.Type]; !known {
		v.report.Unknown++
		return nil
	}
	d, err := l.data()
	if err != nil {
		return v.gap(GapMalformed, l.ID, "%s", err)
	}
	proofs, gap := v.prove(l, d)
	if gap != nil {
		return gap
	}
	for _, p := range proofs {
		if gap := v.follow(l, d, p); gap != nil {
			return gap
		}
	}
	v.close(l, d)
	return v.resumed(l, d)
}

// data reads the data of a line, and finds what it lacks.
func (l *line) data() (*Data, error) {
	d, err := parseData(l.Data)
	if err != nil {
		return nil, err
	}
	if err := d.check(l.Type); err != nil {
		return nil, err
	}
	if l.Subject != d.subject() {
		return nil, errors.New("its subject is not what it is about")
	}
	return d, nil
}

// subject is what an event is about: mostly a request, whose name has one slash.
func (d *Data) subject() string {
	switch {
	case d.Request != nil:
		return d.Request.Namespace + "/" + d.Request.Name
	case d.Delegation != nil:
		return "delegations/" + d.Delegation.Namespace + "/" + d.Delegation.Name
	case d.Action != nil:
		return "actions/" + d.Action.Namespace + "/" + d.Action.Name
	}
	return ""
}

// provable tells whether whoever verifies a line will find that its seals are of what it says. Signatures are not looked at.
func (l *line) provable() error {
	d, err := l.data()
	if err != nil {
		return err
	}
	for _, s := range d.Seals.list() {
		p, err := seal.ParsePayload(s.of, s.sealed.Payload)
		if err != nil {
			return err
		}
		if err := bind(p, l, d); err != nil {
			return fmt.Errorf("its %s is of something else: %w", s.of, err)
		}
	}
	return nil
}

// prove opens the seals of an event.
func (v *verifier) prove(l *line, d *Data) ([]proof, *Gap) {
	var out []proof
	for _, s := range d.Seals.list() {
		payload, envelope, err := v.seals.Open(s.of, s.sealed, v.ring)
		switch {
		case seal.ReasonOf(err) == seal.Revoked:
			v.revoked(l, err)
		case seal.ReasonOf(err) == seal.UnknownKey:
			return nil, v.gap(GapUnknownKey, l.ID, "%s", err)
		case err != nil:
			return nil, v.gap(GapSeal, l.ID, "%s", err)
		}
		if err := bind(payload, l, d); err != nil {
			return nil, v.gap(GapForeign, l.ID, "its %s is of something else: %s", s.of, err)
		}
		if err == nil {
			v.report.Seals++
		}
		out = append(out, proof{payload, envelope, err == nil})
	}
	if err := adopted(out); err != nil {
		return nil, v.gap(GapForeign, l.ID, "%s", err)
	}
	return out, nil
}

type listed struct {
	of     seal.Type
	sealed *seal.Sealed
}

// list gives the seals that are there, with the type that each must have by its name and version.
func (s *Seals) list() []listed {
	if s == nil {
		return nil
	}
	var out []listed
	for _, one := range []struct {
		kind   string
		sealed *seal.Sealed
	}{
		{"request", s.Request}, {"adoption", s.Adoption}, {"approval", s.Approval}, {"vote", s.Vote},
		{"cancel", s.Cancel}, {"resolve", s.Resolve}, {"edit", s.Edit}, {"delegation", s.Delegation}, {"record", s.Record}, {"checkpoint", s.Checkpoint},
	} {
		if one.sealed == nil {
			continue
		}
		version := 1
		if text, err := seal.ParseSeal(one.sealed.Seal); err == nil {
			version = text.Version
		}
		out = append(out, listed{seal.Type(fmt.Sprintf("%s.v%d", one.kind, version)), one.sealed})
	}
	return out
}

// adopted tells whether an adoption is that of the request beside it.
func adopted(proofs []proof) error {
	var request string
	for _, p := range proofs {
		switch payload := p.payload.(type) {
		case *seal.Request:
			request = p.envelope.Hash()
		case *seal.Adoption:
			if request != "" && payload.Request != request {
				return errors.New("another request was adopted")
			}
		}
	}
	return nil
}
