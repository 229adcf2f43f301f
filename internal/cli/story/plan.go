package story

import (
	"cmp"
	"strings"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/replan"
)

// plan shows what will be done: in full, where whoever looks has found it out, and else as the request shows it, bounded and with what its requester may
// not read hidden.
func (s *story) plan() {
	if about := s.about(); about != "" {
		s.line("Digest: %s", about)
	}
	shown := s.request.Status.Plan
	switch {
	case s.check == nil:
		s.shown("Plan, as the request shows it; not checked, because "+s.unchecked()+":", shown)
		return
	case s.check.Computed == "":
		s.missing()
		s.shown("Plan, as the request shows it; not checked:", shown)
		return
	}
	s.checked()
	s.missing()
	s.line("Plan, in full, as you may see it:")
	for i := range s.check.Changes {
		s.change(&s.check.Changes[i])
	}
	if len(s.check.Surplus) > 0 {
		s.line("  NOTE: the request shows more, of which nothing would be done:")
		for i := range s.check.Surplus {
			s.instead(&s.check.Surplus[i])
		}
	}
}

// about is the digest that the request shows, or, where it shows none, what people are asked about.
func (s *story) about() string {
	about := s.request.Status.Digest
	for i := range s.approvals {
		if a := &s.approvals[i]; about == "" && state(a) == v1alpha1.ApprovalOpen {
			about = a.Spec.Digest
		}
	}
	return about
}

// unchecked says why nothing was checked.
func (s *story) unchecked() string {
	return cmp.Or(replan.Unchecked(s.request, s.approvals), "you did not ask for it")
}

// shown are changes as the request shows them.
func (s *story) shown(title string, changes []v1alpha1.PlannedChange) {
	if len(changes) == 0 {
		return
	}
	s.line("%s", title)
	for i := range changes {
		s.line("  %s %s (step %s)", changes[i].Operation, changes[i].Object, changes[i].Step)
		s.fields("    ", changes[i].Fields)
	}
}

// checked tells whether what would run is what people are asked about.
func (s *story) checked() {
	switch {
	case s.check.Digest != replan.Matches:
		s.line("  NOTE: WHAT WOULD RUN IS NOT WHAT THE REQUEST SHOWS: put together anew with your rights, it has the digest %s.", s.check.Computed)
		s.line("  NOTE: something that it rests on has changed and Signoff has not looked yet, or somebody altered the status. Do not approve this; look again in a while.")
	case s.check.Plan == replan.Differs:
		s.line("  Checked: put together anew with your rights, what would run has this digest.")
		s.line("  NOTE: WHAT IT WOULD CHANGE IS NOT WHAT THE REQUEST SHOWS: see below. What is there has changed since, or somebody altered the status.")
	default:
		s.line("  Checked: put together anew with your rights, what would run has this digest.")
	}
}

// missing says what could not be found out.
func (s *story) missing() {
	if len(s.check.Missing) == 0 {
		return
	}
	s.line("  COULD NOT BE CHECKED with your rights:")
	for _, text := range s.check.Missing {
		for line := range strings.Lines(text) {
			s.line("    %s", strings.TrimSpace(line))
		}
	}
}

// change shows one change, and what the request shows where that is not known to be the same.
func (s *story) change(c *replan.Change) {
	s.line("  %s %s (step %s)", c.Operation, c.Object, c.Step)
	s.fields("    ", c.Fields)
	switch {
	case c.Plan == replan.Matches:
	case c.Shown == nil:
		s.line("    NOTE: the request does not show this")
	case c.Plan == replan.Unknown:
		s.line("    could not be checked; the request shows:")
		s.instead(c.Shown)
	default:
		s.line("    NOTE: the request shows instead:")
		s.instead(c.Shown)
	}
}

// instead shows what the request shows, apart from what was found out.
func (s *story) instead(change *v1alpha1.PlannedChange) {
	s.line("      | %s %s (step %s)", change.Operation, change.Object, change.Step)
	s.fields("      |   ", change.Fields)
}

func (s *story) fields(indent string, fields []string) {
	for _, field := range fields {
		s.line("%s%s", indent, field)
	}
}
