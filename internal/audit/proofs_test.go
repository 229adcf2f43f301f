package audit

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// TestProofs puts valid seals beside words that they do not prove, as somebody would who can write the log, or who runs the controller
// and has no key of admission.
func TestProofs(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	s.ar.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "not needed", By: s.ar.Spec.Requester}
	cancel := s.sign(must[*seal.Act](t)(seal.CancelPayload(s.ar, stampAt(time.Minute))))
	decided := &v1alpha1.Resolution{
		NewResolution: v1alpha1.NewResolution{Step: "call", Outcome: v1alpha1.StepSucceeded, Comment: "it is there"}, By: *s.ar.Spec.Requester,
		Seal: &v1alpha1.Seal{At: metav1.NewMicroTime(noon.Add(time.Minute))},
	}
	resolve := s.sign(must[*seal.Act](t)(seal.ResolvePayload(s.ar, decided, stampAt(time.Minute))))
	review := newStory(t, keys, "restart-2", true)
	s.record.Status.Outcome = v1alpha1.OutcomeSucceeded
	events := map[string]Event{
		"requested": s.requested(), "opened": Opened(s.ap, s.approval), "review": Opened(review.ap, review.approval),
		"voted": s.vote("bob", v1alpha1.DecisionApprove), "cancelled": Cancelled(s.ar, cancel, noon), "resolved": Resolved(s.ar, decided, resolve),
		"succeeded": Finished(s.record, s.sealedRecord(), noon),
	}
	other := func(path ...string) func(*testing.T, map[string]any) {
		return func(t *testing.T, m map[string]any) {
			dig(t, m, append([]string{"data"}, path[:len(path)-1]...)...)[path[len(path)-1]] = "other"
		}
	}
	digest := func(_ *testing.T, m map[string]any) {
		m["data"].(map[string]any)["digest"] = strings.Replace(testDigest, "9", "8", 1)
	}
	later := func(_ *testing.T, m map[string]any) { m["time"] = "2026-11-23T12:30:00Z" }
	of := func(kind string) func(*testing.T, map[string]any) {
		return func(_ *testing.T, m map[string]any) { m["type"] = kind }
	}
	for name, tc := range map[string]struct {
		event  string
		change func(*testing.T, map[string]any)
		want   string
	}{
		"RequestedOtherUID":      {"requested", other("request", "uid"), "adoption.v1 is of something else: another request"},
		"RequestedOtherAction":   {"requested", other("action", "name"), "request.v1 is of something else: another action"},
		"RequestedOtherCatalog":  {"requested", other("action", "namespace"), "request.v1 is of something else: another action"},
		"OpenedOtherName":        {"opened", other("approval", "name"), "another approval"},
		"OpenedOtherRequest":     {"opened", other("request", "uid"), "another request"},
		"OpenedOtherAction":      {"opened", other("action", "name"), "another action"},
		"OpenedOtherStage":       {"opened", other("stage", "name"), "another stage"},
		"OpenedOtherPolicy":      {"opened", other("stage", "policy"), "another stage"},
		"OpenedOtherDigest":      {"opened", digest, "another stage or digest"},
		"OpenedOtherEnd":         {"opened", other("until"), "another end"},
		"OpenedLater":            {"opened", later, "another time"},
		"OpenedAsReview":         {"opened", of(TypeReviewOpened), "another kind"},
		"ReviewAsStage":          {"review", of(TypeStageOpened), "another kind"},
		"VotedOtherApproval":     {"voted", other("approval", "uid"), "another approval"},
		"VotedOtherPlace":        {"voted", other("approval", "namespace"), "another approval"},
		"VotedOtherRequest":      {"voted", other("request", "uid"), "another request"},
		"VotedOtherStage":        {"voted", other("stage", "name"), "another stage"},
		"VotedOtherDigest":       {"voted", digest, "another stage or digest"},
		"VotedLater":             {"voted", later, "another time"},
		"CancelledOtherWords":    {"cancelled", other("reason"), "other words"},
		"CancelledOtherRequest":  {"cancelled", other("request", "uid"), "another request"},
		"ResolvedOtherWords":     {"resolved", other("reason"), "other words"},
		"ResolvedOtherStep":      {"resolved", other("step"), "other words"},
		"ResolvedOtherOutcome":   {"resolved", other("state"), "other words"},
		"ResolvedOtherRequest":   {"resolved", other("request", "uid"), "another request"},
		"ResolvedLater":          {"resolved", later, "another time"},
		"SucceededOtherRequest":  {"succeeded", other("request", "uid"), "another request"},
		"SucceededOtherAction":   {"succeeded", other("action", "name"), "another action"},
		"SucceededOtherDigest":   {"succeeded", digest, "another outcome or digest"},
		"SucceededAsFailed":      {"succeeded", of(TypeFailed), "another outcome"},
		"SucceededAsStarted":     {"succeeded", of(TypeStarted), "another outcome"},
		"SucceededAsCancelled":   {"succeeded", of(TypeCancelled), "another outcome"},
		"SucceededAsSomethingOf": {"succeeded", of(TypeDenied), "another outcome"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t, keys, chainA, nil)
			l.add(events[tc.event])
			lines := l.list()
			lines[1] = with(t, lines[1], func(m map[string]any) { tc.change(t, m) })
			got := verify(t, lines, keys.ring).Gap
			if got == nil || got.Kind != GapForeign || got.Line != 2 || !strings.Contains(got.Message, tc.want) {
				t.Errorf("got %v, want %q", got, tc.want)
			}
		})
	}
}

// TestOtherCluster is about a log whose every line says that it is of another cluster.
func TestOtherCluster(t *testing.T) {
	keys := newKeyring(t)
	lines := newFullLog(t, keys).list()
	for i := range lines {
		lines[i] = with(t, lines[i], func(m map[string]any) { m["source"] = "/clusters/other" })
	}
	if got := verify(t, rechain(t, lines, 1), keys.ring).Gap; got == nil || got.Kind != GapForeign || got.Line != 2 || !strings.Contains(got.Message, "cluster") {
		t.Errorf("got %v", got)
	}
}

// TestOtherAdoption is about an adoption that binds the uid to another request of the same name.
func TestOtherAdoption(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	e := s.requested()
	s.ar.Spec.Reason = "another reason"
	again := s.sign(must[*seal.Request](t)(seal.RequestPayload(s.ar, seal.RequestStamp{
		Stamp: stampAt(0), Nonce: nonce, ExpiresAt: noon.Add(time.Hour), ActionUID: "a", ActionSpec: testDigest,
	})))
	e.Data.Seals.Request = again.Sealed()
	l := newLog(t, keys, chainA, nil)
	l.add(e)
	if got := verify(t, l.list(), keys.ring).Gap; got == nil || got.Kind != GapForeign || !strings.Contains(got.Message, "another request was adopted") {
		t.Errorf("got %v", got)
	}
}

// TestLateVote is about a vote that admission sealed after its Approval had ended. It is a fact, and must be shown as one that does not count.
func TestLateVote(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	l := newLog(t, keys, chainA, nil)
	l.add(s.requested(), Opened(s.ap, s.approval))
	s.ap.Spec.Votes = append(s.ap.Spec.Votes, v1alpha1.Vote{
		Decision: v1alpha1.DecisionApprove, Digest: testDigest, Voter: v1alpha1.Identity{Username: "bob"}, At: metav1.NewMicroTime(noon.Add(2 * time.Hour)),
	})
	p := must[*seal.Vote](t)(seal.VotePayload(s.ap, &s.ap.Spec.Votes[0], seal.VoteStamp{Cluster: testCluster, Prev: s.approval.Hash()}))
	l.add(Voted(s.ap, 0, s.sign(p)))
	if got := verify(t, l.list(), keys.ring).Gap; got == nil || got.Kind != GapForeign || got.Line != 4 || !strings.Contains(got.Message, "closed") {
		t.Errorf("got %v", got)
	}
}

// TestSealsOfOtherKinds is about a valid seal under the name of another kind.
func TestSealsOfOtherKinds(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	e := s.vote("bob", v1alpha1.DecisionApprove)
	l := newLog(t, keys, chainA, nil)
	l.add(e)
	lines := l.list()
	for _, kind := range []string{"request", "adoption", "approval", "cancel", "resolve", "record", "checkpoint"} {
		changed := slices.Clone(lines)
		changed[1] = with(t, lines[1], func(m map[string]any) {
			seals := dig(t, m, "data", "seals")
			seals[kind] = seals["vote"]
		})
		if got := verify(t, changed, keys.ring).Gap; got == nil || got.Kind != GapSeal {
			t.Errorf("a vote as %s: got %v", kind, got)
		}
	}
	changed := slices.Clone(lines)
	changed[1] = with(t, lines[1], func(m map[string]any) {
		vote := dig(t, m, "data", "seals", "vote")
		vote["seal"] = "v2" + vote["seal"].(string)[2:]
	})
	if got := verify(t, changed, keys.ring).Gap; got == nil || got.Kind != GapSeal || !strings.Contains(got.Message, "vote.v2") {
		t.Errorf("a vote of a newer version: got %v", got)
	}
}

// TestRepeatedVotes is about a process that died after it had written several votes and before it knew, and wrote them again.
func TestRepeatedVotes(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	first, second, third := s.vote("bob", v1alpha1.DecisionApprove), s.vote("carol", v1alpha1.DecisionApprove), s.vote("dave", v1alpha1.DecisionDeny)
	l := newLog(t, keys, chainA, nil)
	l.add(Opened(s.ap, s.approval), first, second, first, second, third)
	l.checkpoint()
	if got := verify(t, l.list(), keys.ring); got.Gap != nil || got.Unlinked != 0 {
		t.Errorf("got %v, %d unlinked", got.Gap, got.Unlinked)
	}
	l.add(third, s.vote("erin", v1alpha1.DecisionApprove))
	l.add(Opened(s.ap, s.approval))
	if got := verify(t, l.list(), keys.ring).Gap; got != nil {
		t.Errorf("got %v", got)
	}
}

// TestWithdrawn is about a request that ended although no seal says who wanted it: nobody's words may stand there.
func TestWithdrawn(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", false)
	l := newLog(t, keys, chainA, nil)
	e := Withdrawn(s.ar, "Deleted", "Deleted before it started.", noon)
	l.add(e)
	if got := verify(t, l.list(), keys.ring).Gap; got != nil {
		t.Errorf("got %v", got)
	}
	e.Data.Reason = "I said so"
	if _, err := l.Append(&e); err == nil || !strings.Contains(err.Error(), "words that nobody sealed") {
		t.Errorf("got %v", err)
	}
	e.Data.Reason, e.Data.Code = "", ""
	if _, err := l.Append(&e); err == nil || !strings.Contains(err.Error(), "it lacks seals.cancel or seals.record or code") {
		t.Errorf("got %v", err)
	}
}

// TestOverdue is about a review that can still be done.
func TestOverdue(t *testing.T) {
	keys := newKeyring(t)
	s := newStory(t, keys, "restart-1", true)
	l := newLog(t, keys, chainA, nil)
	l.add(Opened(s.ap, s.approval), Overdue(s.ap), s.vote("bob", v1alpha1.DecisionApprove))
	if got := verify(t, l.list(), keys.ring); got.Gap != nil || got.Unlinked != 0 {
		t.Errorf("got %v, %d unlinked", got.Gap, got.Unlinked)
	}
}

// TestRead is about every line, and a last one that was not written to its end.
func TestRead(t *testing.T) {
	keys := newKeyring(t)
	lines := newFullLog(t, keys).list()
	whole := strings.Join(lines, "")
	var offset, count int64
	err := Read(strings.NewReader(whole+`{"id":`), func(f *Fact) error {
		count++
		if f.Number != count || f.Offset != offset || f.Chain != chainA || int(f.Size) != len(lines[count-1]) {
			t.Errorf("line %d: got number %d of %s at %d with %d bytes, want %d bytes at %d", count, f.Number, f.Chain, f.Offset, f.Size, len(lines[count-1]), offset)
		}
		offset += f.Size
		return nil
	})
	if err != nil || int(count) != len(lines) {
		t.Errorf("got %d lines of %d, %v", count, len(lines), err)
	}
	if err := Read(strings.NewReader("{}\n"), nil); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v", err)
	}
}

// TestDecidedAgain keeps apart what people decided about what is left: each is a fact. How a step ended is decided once.
func TestDecidedAgain(t *testing.T) {
	s := newStory(t, newKeyring(t), "restart-1", false)
	said := func(step string, after time.Duration) string {
		given := &v1alpha1.Resolution{
			NewResolution: v1alpha1.NewResolution{Step: step, Outcome: v1alpha1.StepDidFail, Comment: "look again"}, By: *s.ar.Spec.Requester,
			Seal: &v1alpha1.Seal{At: metav1.NewMicroTime(noon.Add(after))},
		}
		return Resolved(s.ar, given, s.sign(must[*seal.Act](t)(seal.ResolvePayload(s.ar, given, stampAt(after))))).ID
	}
	if first, second := said(v1alpha1.StepRevert, time.Minute), said(v1alpha1.StepRevert, time.Hour); first == second {
		t.Errorf("two decisions about what is left are one fact: %s", first)
	}
	if first, second := said("call", time.Minute), said("call", time.Hour); first != second {
		t.Errorf("a step is decided once: %s, %s", first, second)
	}
}
