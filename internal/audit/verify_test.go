package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

func verify(t *testing.T, lines []string, ring *seal.Keyring, options ...Option) *Report {
	t.Helper()
	return must[*Report](t)(Verify(strings.NewReader(strings.Join(lines, "")), ring, options...))
}

func TestVerifyWhole(t *testing.T) {
	keys := newKeyring(t)
	l := newFullLog(t, keys)
	got := verify(t, l.list(), keys.ring)
	if got.Err() != nil {
		t.Fatal(got.Err())
	}
	want := &Report{Lines: 16, Checkpoints: 2, Seals: 12, Chains: []Chain{{
		Cluster: testCluster, FirstLine: 1, End: l.End(), Signed: 14, SignedAt: noon.Add(6 * time.Minute), known: true,
	}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Chain{})); diff != "" {
		t.Error(diff)
	}
	if got.Unsigned() != 2 || l.Unsigned() != 2 {
		t.Errorf("%d lines are not signed, and the writer says %d", got.Unsigned(), l.Unsigned())
	}
	if empty := verify(t, nil, keys.ring); empty.Gap == nil || empty.Gap.Kind != GapTruncated || empty.Lines != 0 || empty.Unsigned() != 0 {
		t.Errorf("an empty log proves nothing: %+v", empty)
	}
	if later := verify(t, nil, keys.ring, After(l.End())); later.Err() != nil {
		t.Errorf("nothing has come since: %v", later.Err())
	}
}

// TestTampering changes a log in every way that somebody without the keys can. Lines are counted from 1.
func TestTampering(t *testing.T) {
	keys := newKeyring(t)
	voter := func(t *testing.T, name string) func(map[string]any) {
		return func(m map[string]any) { dig(t, m, "data", "seals", "vote", "payload", "voter")["username"] = name }
	}
	change := func(line int, f func(map[string]any)) func(*testing.T, []string) []string {
		return func(t *testing.T, lines []string) []string { lines[line-1] = with(t, lines[line-1], f); return lines }
	}
	message := func(m map[string]any) { m["data"].(map[string]any)["message"] = "nothing happened" }
	for name, tc := range map[string]struct {
		reason string
		change func(t *testing.T, lines []string) []string
		line   int64
		id     string
		kind   GapKind
		says   string
	}{
		"ChangedStep":       {"the line after says so", change(10, message), 10, "/step/restart/started", GapChanged, ""},
		"ChangedLast":       {"nothing after it vouches for it, so either line may be the changed one", change(16, func(m map[string]any) { m["prev"] = testDigest }), 16, "/rejected/NotSealed", GapChanged, "may have been"},
		"ChangedPrev":       {"the line itself says something wrong", change(10, func(m map[string]any) { m["prev"] = testDigest }), 10, "/step/restart/started", GapChanged, ""},
		"ChangedBeforeMark": {"the checkpoint vouches for itself", change(13, func(m map[string]any) { m["time"] = "2026-11-23T13:00:00Z" }), 13, "/requested", GapChanged, ""},
		"ChangedBeforeMarkAtEnd": {"the checkpoint vouches for itself, also where it is the last line", func(t *testing.T, lines []string) []string {
			return change(13, func(m map[string]any) { m["time"] = "2026-11-23T13:00:00Z" })(t, lines)[:14]
		}, 13, "/requested", GapChanged, ""},
		"ChangedStarted":   {"the first line is in the chain", change(1, func(m map[string]any) { m["time"] = "2026-11-23T13:00:00Z" }), 1, "/started", GapChanged, ""},
		"ChangedVoter":     {"what somebody did is sealed", func(t *testing.T, l []string) []string { return change(4, voter(t, "mallory"))(t, l) }, 4, "/voted/0", GapSeal, "belongs to something else"},
		"ChangedVoteTime":  {"what is beside the seal must be what was sealed", change(4, func(m map[string]any) { m["time"] = "2026-11-23T13:00:00Z" }), 4, "/voted/0", GapForeign, "time"},
		"ChangedSubject":   {"people search by it", change(4, func(m map[string]any) { m["subject"] = "payments/other" }), 4, "/voted/0", GapMalformed, "subject"},
		"OtherCluster":     {"it is another cluster's", change(10, func(m map[string]any) { m["source"] = "/clusters/other" }), 10, "", GapForeign, "another cluster"},
		"OtherChain":       {"it is of another log", change(10, func(m map[string]any) { m["chain"] = chainB }), 10, "", GapForeign, chainB},
		"Blank":            {"a line is an event", func(_ *testing.T, l []string) []string { return slices.Insert(l, 9, "\n") }, 10, "", GapMalformed, ""},
		"Garbage":          {"a line is an event", func(_ *testing.T, l []string) []string { l[9] = "{}\n"; return l }, 10, "", GapMalformed, ""},
		"Huge":             {"work is bounded", func(_ *testing.T, l []string) []string { l[9] = strings.Repeat("x", MaxLine+1) + "\n"; return l }, 10, "", GapMalformed, "more than"},
		"UnknownAttribute": {"it would be believed", change(10, func(m map[string]any) { m["verified"] = true }), 10, "", GapMalformed, "unknown field"},
		"UnknownData":      {"it would be believed", change(10, func(m map[string]any) { m["data"].(map[string]any)["verified"] = true }), 10, "/step", GapMalformed, "unknown field"},
		"RemovedLine":      {"a number is missing", func(_ *testing.T, l []string) []string { return slices.Delete(l, 9, 10) }, 10, "/step/restart/done", GapRemoved, "number 10"},
		"RemovedLines":     {"numbers are missing", func(_ *testing.T, l []string) []string { return slices.Delete(l, 3, 7) }, 4, "/checkpoint/7", GapRemoved, "numbers 4 to 7"},
		"RemovedFirst":     {"a log has a beginning", func(_ *testing.T, l []string) []string { return l[1:] }, 1, "/requested", GapRemoved, "lines 1 to 1"},
		"RemovedMark":      {"a checkpoint is a line", func(_ *testing.T, l []string) []string { return slices.Delete(l, 7, 8) }, 8, "/started", GapRemoved, "number 8"},
		"Swapped":          {"all are there", func(_ *testing.T, l []string) []string { l[8], l[9] = l[9], l[8]; return l }, 9, "/step/restart/started", GapReordered, "on line 10"},
		"MovedToEnd":       {"all are there", func(_ *testing.T, l []string) []string { return append(slices.Delete(slices.Clone(l), 8, 9), l[8]) }, 9, "/step/restart/started", GapReordered, "on line 16"},
		"Copied":           {"a number is there twice", func(_ *testing.T, l []string) []string { return slices.Insert(l, 10, l[9]) }, 11, "/step/restart/started", GapRepeated, "number 10"},
		"CopiedAll":        {"a log is there twice", func(_ *testing.T, l []string) []string { return append(l, l...) }, 17, "/started", GapRepeated, "number 1"},
		"Inserted": {"two lines have one number", func(t *testing.T, l []string) []string {
			return slices.Insert(l, 9, with(t, l[9], message))
		}, 11, "/step/restart/started", GapRepeated, "number 10"},
		"CutWithin":     {"the last line is not complete", func(_ *testing.T, l []string) []string { l[15] = l[15][:100]; return l }, 16, "", GapTruncated, "not complete"},
		"CutNewline":    {"editors remove it", func(_ *testing.T, l []string) []string { l[15] = strings.TrimSuffix(l[15], "\n"); return l }, 0, "", "", ""},
		"CutTail":       {"who does not know where it ended cannot tell; Reaches can", func(_ *testing.T, l []string) []string { return l[:14] }, 0, "", "", ""},
		"RewrittenStep": {"whoever has no key cannot sign again", func(t *testing.T, l []string) []string { return rechain(t, change(10, message)(t, l), 10) }, 9, "", GapRewritten, "numbers 9 to 13"},
		"RewrittenFirst": {"whoever has no key cannot sign again", func(t *testing.T, l []string) []string {
			return rechain(t, change(7, func(m map[string]any) { m["data"].(map[string]any)["state"] = "Denied" })(t, l), 7)
		}, 1, "", GapRewritten, "numbers 1 to 7"},
		"RemovedAndRewritten": {"whoever has no key cannot sign again", func(t *testing.T, l []string) []string { return rechain(t, slices.Delete(l, 9, 10), 9) }, 13, "/checkpoint/13", GapRemoved, "signs 13 lines, and there are 12"},
		"ForgedMark": {"whoever has no key cannot sign", func(t *testing.T, l []string) []string {
			l = rechain(t, change(10, message)(t, l), 10)
			return rechain(t, change(14, func(m map[string]any) { dig(t, m, "data", "seals", "checkpoint", "payload")["head"] = m["prev"] })(t, l), 14)
		}, 14, "/checkpoint/13", GapSeal, "belongs to something else"},
		"MarkOfOther": {"a checkpoint is of one log", func(t *testing.T, l []string) []string {
			other := newLog(t, keys, chainB, nil)
			other.checkpoint()
			m := with(t, other.list()[1], func(m map[string]any) { m["chain"] = chainA })
			return rechain(t, append(l[:1:1], m), 1)
		}, 2, "", GapForeign, "of log " + chainB},
		"VoteRemovedRewritten": {"votes are a chain of their own", func(t *testing.T, l []string) []string { return rechain(t, slices.Delete(l, 4, 5), 4) }, 5, "/voted/2", GapVotes, "vote 2"},
		"VotesSwappedRewritten": {"votes are a chain of their own", func(t *testing.T, l []string) []string {
			l[3], l[4] = l[4], l[3]
			return rechain(t, l, 3)
		}, 4, "/voted/1", GapVotes, "vote 1"},
		"VoteElsewhere": {"a seal proves one thing", func(t *testing.T, l []string) []string {
			s := newStory(t, keys, "restart-9", false)
			e := s.vote("bob", v1alpha1.DecisionApprove)
			return rechain(t, change(4, func(m map[string]any) {
				dig(t, m, "data", "seals")["vote"] = map[string]any{"payload": e.Data.Seals.Vote.Payload, "seal": e.Data.Seals.Vote.Seal}
			})(t, l), 3)
		}, 4, "/voted/0", GapForeign, "vote.v1 is of something else"},
		"VoteWithoutSeal": {"nobody proves it", func(t *testing.T, l []string) []string {
			return rechain(t, change(4, func(m map[string]any) { delete(m["data"].(map[string]any), "seals") })(t, l), 3)
		}, 4, "/voted/0", GapMalformed, "lacks seals.vote"},
		"OtherAdoption": {"a seal proves one thing", func(t *testing.T, l []string) []string {
			return rechain(t, change(2, func(m map[string]any) { dig(t, m, "data", "request")["uid"] = "other" })(t, l), 1)
		}, 2, "/requested", GapForeign, "adoption.v1 is of something else"},
		"OtherInputs": {"values must have their digest", func(t *testing.T, l []string) []string {
			return rechain(t, change(2, func(m map[string]any) { dig(t, m, "data", "inputs")["values"] = map[string]any{"name": "other"} })(t, l), 1)
		}, 2, "/requested", GapMalformed, "its inputs"},
		"FailedAsSucceeded": {"the outcome is sealed", func(t *testing.T, l []string) []string {
			return rechain(t, change(12, func(m map[string]any) { m["type"] = TypeFailed })(t, l), 11)
		}, 12, "/succeeded", GapForeign, "record.v1 is of something else"},
		"ChangedPrevOfMark": {"a checkpoint vouches for what it has signed", func(t *testing.T, l []string) []string {
			return change(14, func(m map[string]any) { m["prev"] = testDigest })(t, l)[:14]
		}, 14, "/checkpoint/13", GapChanged, "may have been"},
		"MarkSaysMore":    {"no later line says what it was", change(14, func(m map[string]any) { m["data"].(map[string]any)["message"] = "all is well" }), 14, "/checkpoint/13", GapMalformed, "says more"},
		"MarkWithSubject": {"no later line says what it was", change(14, func(m map[string]any) { m["subject"] = "payments/other" }), 14, "/checkpoint/13", GapMalformed, "subject"},
		"MarkWithOtherID": {"no later line says what it was", change(14, func(m map[string]any) { m["id"] = "x" }), 14, "x", GapForeign, "signs 13 lines"},
		"MarkAtOtherTime": {"no later line says what it was", change(14, func(m map[string]any) { m["time"] = "2027-11-23T12:06:00.123Z" }), 14, "/checkpoint/13", GapForeign, "time"},
		"Renamed": {"a checkpoint is a checkpoint", func(t *testing.T, l []string) []string {
			return rechain(t, change(8, func(m map[string]any) { m["type"] = "dev.signoff.audit.note.v1" })(t, l), 8)
		}, 1, "", GapRewritten, "numbers 1 to 13"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := tc.change(t, newFullLog(t, keys).list())
			got := verify(t, lines, keys.ring)
			if (got.Gap == nil) != (tc.kind == "") {
				t.Fatalf("%s: got %v, want %q on line %d", tc.reason, got.Gap, tc.kind, tc.line)
			}
			if got.Gap == nil {
				return
			}
			if got.Gap.Kind != tc.kind || got.Gap.Line != tc.line || !strings.Contains(got.Gap.EventID, tc.id) || !strings.Contains(got.Gap.Error(), tc.says) {
				t.Errorf("%s: got %v, want %q on line %d (%s)", tc.reason, got.Gap, tc.kind, tc.line, tc.id)
			}
		})
	}
}

// TestAnyByteOfALogChanged changes one byte of each line that a checkpoint signs: there must be a gap.
func TestAnyByteOfALogChanged(t *testing.T) {
	keys := newKeyring(t)
	lines := newFullLog(t, keys).list()[:14]
	for i, text := range lines {
		for at := i; at < len(text)-1; at += 97 {
			changed := slices.Clone(lines)
			changed[i] = text[:at] + string(text[at]^1) + text[at+1:]
			if got := verify(t, changed, keys.ring); got.Gap == nil {
				t.Errorf("byte %d of line %d was changed, and there is no gap: %q", at, i+1, changed[i])
			} else if got.Gap.Line > int64(i+2) {
				t.Errorf("byte %d of line %d was changed, and the gap is %v", at, i+1, got.Gap)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	keys := newKeyring(t)
	lines := newFullLog(t, keys).list()
	revoked := keys.ring.Keys()
	for i := range revoked {
		revoked[i].RevokedAt = noon.Add(-time.Second)
	}
	for name, tc := range map[string]struct {
		reason string
		ring   *seal.Keyring
		line   int64
		kind   GapKind
		says   string
	}{
		"None":       {"nothing can be verified", nil, 2, GapUnknownKey, "is not known"},
		"Others":     {"they are of another cluster", newKeyring(t, "x", "y").ring, 2, GapUnknownKey, "is not known"},
		"Admission":  {"adoptions need the other key", newKeyring(t, "admission", "y").ring, 2, GapUnknownKey, "adoption.v1"},
		"Controller": {"requests need the other key", newKeyring(t, "x").ring, 2, GapUnknownKey, "request.v1"},
		"Revoked":    {"the keys were in wrong hands", must[*seal.Keyring](t)(seal.NewKeyring(revoked...)), 2, GapRevoked, "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			var got *Gap
			_ = errors.As(verify(t, lines, tc.ring).Err(), &got)
			if got == nil || got.Kind != tc.kind || got.Line != tc.line || !strings.Contains(got.Message, tc.says) {
				t.Errorf("%s: got %v, want %s on line %d", tc.reason, got, tc.kind, tc.line)
			}
		})
	}
}

func TestReaches(t *testing.T) {
	keys := newKeyring(t)
	l := newFullLog(t, keys)
	lines, end := l.list(), l.End()
	middle := verify(t, lines[:10], keys.ring).Chains[0].End
	for name, tc := range map[string]struct {
		reason string
		lines  []string
		known  Position
		line   int64
		kind   GapKind
	}{
		"End":       {"it is there", lines, end, 0, ""},
		"Middle":    {"it has grown since", lines, middle, 0, ""},
		"Truncated": {"the tail after the last checkpoint was cut off", lines[:15], end, 16, GapTruncated},
		"Empty":     {"everything was cut off", nil, end, 1, GapTruncated},
		"Rewritten": {"a line that nobody had signed was changed", rechain(t, slices.Concat(lines[:14], []string{with(t, lines[14], func(m map[string]any) {
			m["data"].(map[string]any)["message"] = "x"
		})}, lines[15:]), 14), end, 16, GapRewritten},
		"OtherLog": {"another log was put there", lines, Position{Chain: chainB, Count: 1, Head: testDigest}, 17, GapTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			got := verify(t, tc.lines, keys.ring, Reaches(tc.known)).Gap
			if (got == nil) != (tc.kind == "") || (got != nil && (got.Kind != tc.kind || got.Line != tc.line)) {
				t.Errorf("%s: got %v, want %q on line %d", tc.reason, got, tc.kind, tc.line)
			}
		})
	}
}

// TestParts verifies a log that was cut into files.
func TestParts(t *testing.T) {
	keys := newKeyring(t)
	lines := newFullLog(t, keys).list()
	for cut := 1; cut < len(lines); cut++ {
		one := verify(t, lines[:cut], keys.ring)
		if one.Err() != nil {
			t.Fatal(one.Err())
		}
		two := verify(t, lines[cut:], keys.ring, After(one.Chains[0].End))
		if two.Err() != nil || one.Lines+two.Lines != int64(len(lines)) {
			t.Errorf("cut after line %d: %v, and %d lines", cut, two.Err(), one.Lines+two.Lines)
		}
		if wrong := verify(t, lines[cut:], keys.ring, After(Position{Chain: chainA, Count: int64(cut), Head: testDigest})); wrong.Gap == nil {
			t.Errorf("cut after line %d: another part before it was accepted", cut)
		}
		if cut < len(lines)-1 {
			if gap := verify(t, lines[cut+1:], keys.ring, After(one.Chains[0].End)).Gap; gap == nil || gap.Kind != GapRemoved || gap.Line != 1 {
				t.Errorf("cut after line %d, and a line lost: %v", cut, gap)
			}
		}
	}
}

// TestChains verifies logs one after the other, as processes make them that write to the standard output.
func TestChains(t *testing.T) {
	keys := newKeyring(t)
	one := newFullLog(t, keys)
	end := one.End()
	for name, tc := range map[string]struct {
		reason    string
		one       []string
		previous  *Position
		unvouched []Range
		line      int64
		kind      GapKind
	}{
		"Known":       {"the new process knew the end", one.list(), &end, []Range{{chainA, 15, 16}}, 0, ""},
		"NotKnown":    {"the new process knew nothing", one.list(), nil, []Range{{chainA, 15, 16}}, 0, ""},
		"Signed":      {"the old process had signed all", one.list()[:14], nil, nil, 0, ""},
		"Cut":         {"lines were removed between", one.list()[:14], &end, nil, 15, GapRemoved},
		"NotHere":     {"the old log is elsewhere", nil, &end, nil, 0, ""},
		"NeverSigned": {"the old process died at once", one.list()[:3], nil, []Range{{chainA, 1, 3}}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			two := newLog(t, keys, chainB, tc.previous)
			two.checkpoint()
			got := verify(t, slices.Concat(tc.one, two.list()), keys.ring)
			if (got.Gap == nil) != (tc.kind == "") || (got.Gap != nil && (got.Gap.Kind != tc.kind || got.Gap.Line != tc.line)) {
				t.Fatalf("%s: got %v, want %q on line %d", tc.reason, got.Gap, tc.kind, tc.line)
			}
			if diff := cmp.Diff(tc.unvouched, got.Unvouched); got.Gap == nil && diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestFacts writes what the full log does not have.
func TestFacts(t *testing.T) {
	keys := newKeyring(t)
	l := newLog(t, keys, chainA, nil)
	s := newStory(t, keys, "emergency", true)
	l.add(s.requested(), Started(s.record, s.sealedRecord()), s.finished(v1alpha1.OutcomeFailed), Opened(s.ap, s.approval))
	s.ap.Status.State = v1alpha1.ApprovalExpired
	l.add(Closed(s.ap, noon))
	vote := s.vote("bob", v1alpha1.DecisionApprove)
	l.add(vote, vote) // the process died between
	s.ap.Status.State = v1alpha1.ApprovalApproved
	l.add(Closed(s.ap, noon))
	cancelled := newStory(t, keys, "cancelled", false)
	cancelled.ar.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "not needed", By: cancelled.ar.Spec.Requester}
	cancel := cancelled.sign(must[*seal.Act](t)(seal.CancelPayload(cancelled.ar, stampAt(time.Minute))))
	l.add(cancelled.requested(), Cancelled(cancelled.ar, cancel, noon), Denied(cancelled.ar, "denied by bob", noon))
	stopping := Stopping(Cancelled(cancelled.ar, cancel, noon))
	l.add(stopping, cancelled.finished(v1alpha1.OutcomeCancelled), RequestFailed(cancelled.ar, "Drifted", "it was changed", noon))
	if stopping.ID == Cancelled(cancelled.ar, cancel, noon).ID || stopping.ID == cancelled.finished(v1alpha1.OutcomeCancelled).ID {
		t.Errorf("who stopped an execution and how it ended are two facts: %s", stopping.ID)
	}
	l.add(newStory(t, keys, "elsewhere", false).vote("bob", v1alpha1.DecisionDeny))
	l.checkpoint()
	got := verify(t, l.list(), keys.ring)
	if got.Err() != nil || got.Lines != 17 || got.Unlinked != 1 {
		t.Errorf("got %+v, %v", got, got.Err())
	}
	for _, want := range []string{
		TypeReviewOpened, TypeReviewOverdue, TypeReviewDone, TypeStageVoted, TypeCancelled, TypeDenied, TypeFailed, TypeStarted, TypeRequestFailed,
	} {
		if !strings.Contains(l.String(), `"type":"`+want+`"`) {
			t.Errorf("there is no %s", want)
		}
	}
	forged := l.list()
	at := slices.IndexFunc(forged, func(s string) bool { return strings.Contains(s, "not needed") })
	forged[at] = strings.Replace(forged[at], "not needed", "needed", 1)
	if gap := verify(t, rechain(t, forged, at), keys.ring).Gap; gap == nil || gap.Kind != GapForeign || gap.Line != int64(at+1) {
		t.Errorf("other words beside a seal: %v", gap)
	}
}

func TestUnknownTypes(t *testing.T) {
	keys := newKeyring(t)
	l := newFullLog(t, keys)
	later := rechain(t, slices.Concat(l.list()[:15], []string{with(t, l.list()[15], func(m map[string]any) {
		m["type"], m["data"] = "dev.signoff.delegation.created.v1", map[string]any{"whatever": 1}
	})}), 15)
	if got := verify(t, later, keys.ring); got.Err() != nil || got.Unknown != 1 || got.Lines != 16 {
		t.Errorf("a newer version wrote a line: %+v", got)
	}
}

func TestReadErrors(t *testing.T) {
	keys := newKeyring(t)
	text := newFullLog(t, keys).String()
	broken := errors.New("the disk is broken")
	got, err := Verify(io.MultiReader(strings.NewReader(text[:len(text)/2]), iotest.ErrReader(broken)), keys.ring)
	if !errors.Is(err, broken) || got.Lines == 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := Verify(iotest.OneByteReader(strings.NewReader(text)), keys.ring); err != nil || got.Err() != nil || got.Lines != 16 {
		t.Errorf("byte by byte: %+v, %v", got, err)
	}
}

func TestGapError(t *testing.T) {
	for want, gap := range map[string]*Gap{
		"line 3 (x/voted/0): Seal: bad": {3, "x/voted/0", GapSeal, "bad"}, "line 4: Truncated: short": {4, "", GapTruncated, "short"},
	} {
		if got := fmt.Sprint(gap.Error()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestRevokedGoesOn: what a stolen key has sealed is named, and does not hide what comes after it.
func TestRevokedGoesOn(t *testing.T) {
	keys := newKeyring(t)
	l := newFullLog(t, keys)
	revoked := keys.ring.Keys()
	for i := range revoked {
		if revoked[i].Purpose == seal.Admission {
			revoked[i].RevokedAt = noon.Add(90 * time.Second) // after the first vote, before the second
		}
	}
	ring := must[*seal.Keyring](t)(seal.NewKeyring(revoked...))
	got := verify(t, l.list(), ring)
	if got.Gap != nil || got.Lines != 16 || len(got.Revoked) != 2 || got.Revoked[0].Line != 5 || got.Revoked[1].Line != 6 || got.Err() == nil {
		t.Errorf("got %+v, %v", got, got.Revoked)
	}
	broken := rechain(t, slices.Delete(l.list(), 9, 10), 9)
	if got := verify(t, broken, ring); got.Gap == nil || len(got.Revoked) != 2 {
		t.Errorf("a gap after them is missed: %+v", got)
	}
}

// agreedLog is a log of a request on which two people agreed, and which began by it, without any checkpoint.
func agreedLog(t *testing.T, keys *keyring) []string {
	t.Helper()
	l := newLog(t, keys, chainA, nil) // 1
	s := newStory(t, keys, "restart-1", false)
	l.add(s.requested(), Opened(s.ap, s.approval), s.vote("bob", v1alpha1.DecisionApprove), s.vote("carol", v1alpha1.DecisionApprove)) // 2 to 5
	s.ap.Status.State = v1alpha1.ApprovalApproved
	l.add(Closed(s.ap, noon.Add(3*time.Minute))) // 6
	s.record.Spec.Approvals = []v1alpha1.RecordedApproval{{
		Name: s.ap.Name, UID: s.ap.UID, Stage: s.ap.Spec.Stage, ApprovedBy: []string{"bob", "carol"}, Votes: 2, Head: s.votes[1].Hash(),
	}}
	l.add(Started(s.record, s.sealedRecord()), s.finished(v1alpha1.OutcomeSucceeded)) // 7, 8
	return l.list()
}

// TestExecutionRestsOnVotes takes votes out of a log that nobody has signed, and makes all hashes anew: the Record of the execution still knows them.
func TestExecutionRestsOnVotes(t *testing.T) {
	keys := newKeyring(t)
	for name, tc := range map[string]struct {
		reason   string
		from, to int
		line     int64
		unlinked int64
	}{
		"Whole":     {"nothing is missing", 0, 0, 0, 0},
		"Last":      {"the last vote has no successor that names it", 4, 5, 6, 0},
		"AllVotes":  {"none is left", 3, 5, 5, 0},
		"Approvals": {"it could be in an earlier log, so it is told and no gap", 2, 6, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			lines := rechain(t, slices.Delete(agreedLog(t, keys), tc.from, tc.to), max(tc.from, 1))
			got := verify(t, lines, keys.ring)
			switch {
			case tc.line == 0 && (got.Gap != nil || got.Unlinked != tc.unlinked):
				t.Errorf("%s: got %v, %d unlinked", tc.reason, got.Gap, got.Unlinked)
			case tc.line != 0 && (got.Gap == nil || got.Gap.Kind != GapVotes || got.Gap.Line != tc.line || !strings.Contains(got.Gap.Message, "it began on 2 votes in stage owners")):
				t.Errorf("%s: got %v", tc.reason, got.Gap)
			}
		})
	}
}

// TestEarlierLog is about a log that says which one it continues.
func TestEarlierLog(t *testing.T) {
	keys := newKeyring(t)
	first := newFullLog(t, keys)
	end := first.End()
	chainC := strings.Repeat("c3", 16)
	between, after := newLog(t, keys, chainB, nil), newLog(t, keys, chainC, &end)
	other := end
	other.Head = testDigest
	for name, tc := range map[string]struct {
		lines   []string
		earlier int
		kind    GapKind
		says    string
	}{
		"There":     {slices.Concat(first.list(), after.list()), 0, "", ""},
		"Between":   {slices.Concat(first.list(), between.list(), after.list()), 0, "", ""},
		"Elsewhere": {after.list(), 1, "", ""},
		"Missing":   {slices.Concat(between.list(), after.list()), 1, "", ""},
		"Cut":       {slices.Concat(first.list()[:14], between.list(), after.list()), 0, GapRemoved, "had 16 lines when this one began, and here it has 14"},
		"Changed":   {slices.Concat(first.list(), newLog(t, keys, chainC, &other).list()), 0, GapRewritten, "here it ends in"},
	} {
		t.Run(name, func(t *testing.T) {
			got := verify(t, tc.lines, keys.ring)
			if len(got.Earlier) != tc.earlier || (got.Gap == nil) != (tc.kind == "") || got.Gap != nil && (got.Gap.Kind != tc.kind || !strings.Contains(got.Gap.Message, tc.says)) {
				t.Errorf("got %v, earlier %v", got.Gap, got.Earlier)
			}
		})
	}
}

// TestSilence takes all checkpoints out of a long log: a Signoff that can sign leaves fewer lines unsigned. That facts are told late says nothing.
func TestSilence(t *testing.T) {
	keys := newKeyring(t)
	l := newLog(t, keys, chainA, nil)
	s := newStory(t, keys, "restart-1", false)
	for i := range maxUnsigned - 1 {
		l.add(Rejected(s.ar, "NotSealed", "it was written while the webhook was absent", noon.Add(time.Duration(i)*time.Hour)))
	}
	if got := verify(t, l.list(), keys.ring); got.Gap != nil {
		t.Errorf("got %v", got.Gap)
	}
	l.add(Rejected(s.ar, "SealInvalid", "it was changed", noon))
	if got := verify(t, l.list(), keys.ring).Gap; got == nil || got.Kind != GapUnsigned || got.Line != maxUnsigned+1 {
		t.Errorf("got %v", got)
	}
}

// TestRevokedCheckpoints: a log whose own key was revoked is read to its end, also where another process has gone on with it meanwhile.
func TestRevokedCheckpoints(t *testing.T) {
	keys := newKeyring(t)
	l := newFullLog(t, keys)
	revoked := keys.ring.Keys()
	for i := range revoked {
		if revoked[i].Purpose == seal.Controller {
			revoked[i].RevokedAt = noon.Add(5*time.Minute + 30*time.Second) // before the checkpoints, after all that they sign
		}
	}
	ring := must[*seal.Keyring](t)(seal.NewKeyring(revoked...))
	got := verify(t, l.list(), ring)
	if got.Gap != nil || got.Lines != 16 || len(got.Revoked) != 2 || got.Chains[0].Signed != 0 || got.Unsigned() != 16 {
		t.Errorf("got %+v", got)
	}
}

// TestOpenedAgain: that an Approval was opened is told again after it was closed, where a process has forgotten that it was told, and its votes are not.
func TestOpenedAgain(t *testing.T) {
	keys := newKeyring(t)
	l := newLog(t, keys, chainA, nil)
	s := newStory(t, keys, "restart-1", false)
	l.add(s.requested(), Opened(s.ap, s.approval), s.vote("bob", v1alpha1.DecisionApprove))
	s.ap.Status.State = v1alpha1.ApprovalApproved
	l.add(Closed(s.ap, noon.Add(3*time.Minute)), Opened(s.ap, s.approval))
	s.record.Spec.Approvals = []v1alpha1.RecordedApproval{{Name: s.ap.Name, UID: s.ap.UID, Stage: s.ap.Spec.Stage, ApprovedBy: []string{"bob"}, Votes: 1, Head: s.votes[0].Hash()}}
	l.add(Started(s.record, s.sealedRecord()))
	if got := verify(t, l.list(), keys.ring); got.Gap != nil {
		t.Errorf("got %v", got.Gap)
	}
}
