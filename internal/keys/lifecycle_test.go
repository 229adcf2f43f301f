package keys

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/internal/seal"
)

// replica makes a replica that knows keys and signs with one.
func replica(name, signs string, knows ...string) Replica {
	r := Replica{Name: name}
	if signs != "" {
		r.Signs = testID(signs)
	}
	for _, k := range knows {
		r.Knows = append(r.Knows, testID(k))
	}
	return r
}

func ids(names ...string) []string {
	var out []string
	for _, name := range names {
		out = append(out, testID(name))
	}
	return out
}

func step(kind StepKind, at time.Duration, names ...string) *Step {
	s := &Step{Kind: kind, KeyIDs: ids(names...)}
	if at != 0 {
		s.At = noon.Add(at)
	}
	return s
}

func TestDecide(t *testing.T) {
	const day = 24 * time.Hour
	admission := func(name string, notBefore, retired, revoked time.Duration) seal.PublicKey {
		return public(name, seal.Admission, notBefore, retired, revoked)
	}
	doc := func(keys ...seal.PublicKey) *Document { return &Document{Keys: keys} }
	other := public("c", seal.Controller, -day, 0, 0)
	both := []Replica{replica("r1", "old", "old", "new"), replica("r2", "old", "old", "new")}
	for name, tc := range map[string]struct {
		reason string
		o      Observed
		policy Policy
		state  State
		sign   string
		next   *Step
		stray  []string
	}{
		"Absent": {
			reason: "the first start", state: Absent, next: step(CreateFirst, 0),
		},
		"AbsentBesideOther": {
			reason: "the other process was faster", o: Observed{Document: doc(other)}, state: Absent, next: step(CreateFirst, 0),
		},
		"Unpublished": {
			reason: "it was made a moment ago", o: Observed{Private: ids("a")}, state: Unpublished, next: step(Publish, -before, "a"),
		},
		"UnpublishedBesideOther": {
			reason: "it was made a moment ago", o: Observed{Document: doc(other), Private: ids("a")}, state: Unpublished, next: step(Publish, -before, "a"),
		},
		"Ready": {
			reason: "nothing is to do", o: Observed{Document: doc(admission("a", -day, 0, 0), other), Private: ids("a"), Sealed: true},
			state: Ready, sign: "a",
		},
		"ReadyWithoutReplicas": {
			reason: "a key that is alone needs nobody's knowledge: who does not know it waits", o: Observed{
				Document: doc(admission("a", 0, 0, 0)), Private: ids("a"), Replicas: []Replica{replica("r1", "")},
			}, state: Ready, sign: "a",
		},
		"LostSecret": {
			reason: "a new key would make everything before look forged, or everything after true",
			o:      Observed{Document: doc(admission("a", -day, 0, 0))}, state: KeyLost,
		},
		"LostBoth": {
			reason: "there are seals, so there was a key", o: Observed{Sealed: true}, state: KeyLost,
		},
		"LostBothBesideOther": {
			reason: "the key of the other purpose is none of ours", o: Observed{Sealed: true, Document: doc(other)}, state: KeyLost,
		},
		"LostAndOther": {
			reason: "another key was put there, from a backup of another cluster",
			o:      Observed{Document: doc(admission("a", -day, 0, 0)), Private: ids("b"), Sealed: true}, state: KeyLost, stray: ids("b"),
		},
		"LostAndAsked": {
			reason: "a person decided", o: Observed{Document: doc(admission("a", -day, 0, 0)), Sealed: true, Asked: noon.Add(-time.Minute)},
			state: KeyLost, next: step(CreateNext, -before),
		},
		"LostBothAndAsked": {
			reason: "a person decided", o: Observed{Sealed: true, Asked: noon.Add(-time.Minute)}, state: KeyLost, next: step(CreateNext, -before),
		},
		"LostBothAndAskedInFuture": {
			reason: "a clock is wrong", o: Observed{Sealed: true, Asked: noon.Add(time.Minute)}, state: KeyLost,
		},
		"LostAndAskedLongAgo": {
			reason: "they asked for something else then", o: Observed{Document: doc(admission("a", -day, 0, 0)), Asked: noon.Add(-2 * time.Hour)}, state: KeyLost,
		},
		"LostAndAskedBefore": {
			reason: "the lost key is the one they asked for",
			o:      Observed{Document: doc(admission("a", -30*time.Minute, 0, 0)), Asked: noon.Add(-40 * time.Minute)}, state: KeyLost,
		},
		"LostAndAskedInFuture": {
			reason: "a clock is wrong", o: Observed{Document: doc(admission("a", -day, 0, 0)), Asked: noon.Add(time.Minute)}, state: KeyLost,
		},
		"LostAndTooOld": {
			reason: "age asks for nothing where the key is lost", o: Observed{Document: doc(admission("a", -day, 0, 0))},
			policy: Policy{MaxAge: time.Hour}, state: KeyLost,
		},
		"DocumentLost": {
			reason: "no key is older than what holds it", o: Observed{Private: ids("a"), Sealed: true, PrivateSince: noon.Add(-day)},
			state: Unpublished, next: step(Publish, -day-before, "a"),
		},
		"DocumentLostWithFile": {
			reason: "with a date that is made up, seals would be void", o: Observed{Private: ids("a"), Sealed: true}, state: DocumentLost,
		},
		"DocumentLostInRotation": {
			reason: "both are published again", o: Observed{Private: ids("a", "b"), Sealed: true, PrivateSince: noon.Add(-day)},
			state: Unpublished, next: step(Publish, -day-before, "a", "b"),
		},
		"Stray": {
			reason: "a key that came with a backup may be one that was revoked and dropped",
			o:      Observed{Document: doc(admission("a", -day, 0, 0)), Private: ids("a", "b")}, state: Ready, sign: "a", stray: ids("b"),
		},
		"Asked": {
			reason: "a person wants a new key", o: Observed{Document: doc(admission("a", -day, 0, 0)), Private: ids("a"), Asked: noon.Add(-day / 2)},
			state: Ready, sign: "a", next: step(CreateNext, -before),
		},
		"AskedDone": {
			reason: "the key is the one they asked for", o: Observed{Document: doc(admission("a", -before, 0, 0)), Private: ids("a"), Asked: noon.Add(-time.Second)},
			state: Ready, sign: "a",
		},
		"AskedInFuture": {
			reason: "the new key would be older than the wish, too", o: Observed{Document: doc(admission("a", -day, 0, 0)), Private: ids("a"), Asked: noon.Add(time.Second)},
			state: Ready, sign: "a",
		},
		"TooOld": {
			reason: "keys are replaced in time", o: Observed{Document: doc(admission("a", -day-before-1, 0, 0)), Private: ids("a")},
			policy: Policy{MaxAge: day}, state: Ready, sign: "a", next: step(CreateNext, -before),
		},
		"OldEnough": {
			reason: "not before it is time", o: Observed{Document: doc(admission("a", -day-before, 0, 0)), Private: ids("a")},
			policy: Policy{MaxAge: day}, state: Ready, sign: "a",
		},
		"Unfinished": {
			reason: "whoever made it stopped half way", o: Observed{Document: doc(admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("old")},
			state: Ready, sign: "old", next: step(Retire, grace, "new"),
		},
		"NewLost": {
			reason: "the old one was retired and must not sign", o: Observed{Document: doc(admission("old", -day, time.Hour, 0), admission("new", -time.Minute, 0, 0)), Private: ids("old")},
			state: KeyLost,
		},
		"OldLost": {
			reason: "a person asked for the new one after the old was lost", o: Observed{Document: doc(admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("new")},
			state: Ready, sign: "new", next: step(Retire, grace, "old"),
		},
		"NotKnown": {
			reason: "a replica that does not know it would make people wait", o: Observed{
				Document: doc(admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("old", "new"),
				Replicas: []Replica{replica("r1", "old", "old", "new"), replica("r2", "", "old")},
			}, state: Rotating, sign: "old",
		},
		"NobodyThere": {
			reason: "who reports nothing knows nothing", o: Observed{
				Document: doc(admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("old", "new"),
			}, state: Rotating, sign: "old",
		},
		"Known": {
			reason: "all know it; they go over one by one", o: Observed{
				Document: doc(admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("old", "new"), Replicas: both,
			}, state: Rotating, sign: "new",
		},
		"HalfWay": {
			reason: "one still signs with the old key", o: Observed{
				Document: doc(admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("old", "new"),
				Replicas: []Replica{replica("r1", "new", "old", "new"), replica("r2", "old", "old", "new")},
			}, state: Rotating, sign: "new",
		},
		"NoRotationInRotation": {
			reason: "one after the other", o: Observed{
				Document: doc(admission("old", -day, 0, 0), admission("new", -2*time.Hour, 0, 0)), Private: ids("old", "new"), Replicas: both, Asked: noon,
			}, policy: Policy{MaxAge: time.Hour}, state: Rotating, sign: "new",
		},
		"AllOver": {
			reason: "nobody signs with the old key any more", o: Observed{
				Document: doc(admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("old", "new"),
				Replicas: []Replica{replica("r1", "new", "old", "new"), replica("r2", "new", "old", "new"), replica("c", "", "old", "new")},
			}, state: Rotating, sign: "new", next: step(Retire, grace, "old"),
		},
		"Three": {
			reason: "the oldest goes first", o: Observed{
				Document: doc(admission("older", -2*day, 0, 0), admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("older", "old", "new"),
				Replicas: []Replica{replica("r1", "new", "older", "old", "new")},
			}, state: Rotating, sign: "new", next: step(Retire, grace, "older"),
		},
		"MiddleKnown": {
			reason: "the newest that all know", o: Observed{
				Document: doc(admission("older", -2*day, 0, 0), admission("old", -day, 0, 0), admission("new", -time.Minute, 0, 0)), Private: ids("older", "old", "new"),
				Replicas: []Replica{replica("r1", "old", "older", "old", "new"), replica("r2", "old", "older", "old")},
			}, state: Rotating, sign: "old",
		},
		"InGrace": {
			reason: "it can still be signed with elsewhere", o: Observed{Document: doc(admission("old", -day, time.Minute, 0), admission("new", -time.Hour, 0, 0)), Private: ids("old", "new")},
			state: Ready, sign: "new",
		},
		"Retired": {
			reason: "it cannot make anything that counts", o: Observed{Document: doc(admission("old", -day, -time.Minute, 0), admission("new", -time.Hour, 0, 0)), Private: ids("old", "new")},
			state: Ready, sign: "new", next: step(RemovePrivate, 0, "old"),
		},
		"Kept": {
			reason: "there are requests that it sealed", o: Observed{Document: doc(admission("old", -3*day, -day, 0), admission("new", -2*day, 0, 0)), Private: ids("new")},
			policy: Policy{KeepFor: day}, state: Ready, sign: "new",
		},
		"Dropped": {
			reason: "nothing is left that it sealed", o: Observed{Document: doc(admission("old", -3*day, -day-1, 0), admission("new", -2*day, 0, 0)), Private: ids("new")},
			policy: Policy{KeepFor: day}, state: Ready, sign: "new", next: step(Drop, 0, "old"),
		},
		"NotDroppedWithPrivate": {
			reason: "first the private half goes", o: Observed{Document: doc(admission("old", -3*day, -2*day, 0), admission("new", -2*day, 0, 0)), Private: ids("old", "new")},
			policy: Policy{KeepFor: day}, state: Ready, sign: "new", next: step(RemovePrivate, 0, "old"),
		},
		"Revoked": {
			reason: "whoever has it could sign; a new key in the same place could be read, too", o: Observed{Document: doc(admission("a", -day, 0, -time.Hour)), Private: ids("a"), Sealed: true},
			state: Ended, next: step(RemovePrivate, 0, "a"),
		},
		"RevokedInFuture": {
			reason: "a time that is wrong does not keep it in use", o: Observed{Document: doc(admission("a", -day, 0, time.Hour)), Private: ids("a"), Sealed: true},
			state: Ended, next: step(RemovePrivate, 0, "a"),
		},
		"RevokedAndGone": {
			reason: "a person decides", o: Observed{Document: doc(admission("a", -day, 0, -time.Hour)), Sealed: true}, state: Ended,
		},
		"RevokedAndAsked": {
			reason: "a person decided", o: Observed{Document: doc(admission("a", -day, 0, -time.Hour)), Sealed: true, Asked: noon.Add(-time.Minute)},
			state: Ended, next: step(CreateNext, -before),
		},
		"RevokedOne": {
			reason: "the other one signs", o: Observed{Document: doc(admission("a", -day, 0, -time.Hour), admission("b", -time.Hour, 0, 0)), Private: ids("a", "b")},
			state: Ready, sign: "b", next: step(RemovePrivate, 0, "a"),
		},
		"RevokedBeforeRetired": {
			reason: "it ended when it was revoked", o: Observed{Document: doc(admission("a", -3*day, -time.Hour, -2*day), admission("b", -time.Hour, 0, 0)), Private: ids("b")},
			policy: Policy{KeepFor: day}, state: Ready, sign: "b", next: step(Drop, 0, "a"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.o.Purpose, tc.o.Now = seal.Admission, noon
			got := Decide(&tc.o, tc.policy)
			want := Decision{State: tc.state, Next: tc.next, Stray: tc.stray, Message: got.Message}
			if tc.sign != "" {
				want.Sign = testID(tc.sign)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, got.Message)
			}
			if got.Message == "" {
				t.Errorf("%s: nobody is told anything", tc.reason)
			}
		})
	}
}

// TestAllowances is about replicas whose clocks differ as much as they may, and that have last looked as long ago as they may.
func TestAllowances(t *testing.T) {
	ahead, behind := noon.Add(seal.MaxSkew), noon.Add(-seal.MaxSkew)
	published := Decide(&Observed{Purpose: seal.Admission, Private: ids("a"), Now: noon}, Policy{}).Next
	if published.At.After(behind) {
		t.Errorf("a key counts from %s, and somebody signs with it at %s by their clock", published.At, behind)
	}
	retired := Decide(&Observed{
		Purpose: seal.Admission, Now: noon, Private: ids("old", "new"), Replicas: []Replica{replica("r1", "new", "old", "new")},
		Document: &Document{Keys: []seal.PublicKey{public("old", seal.Admission, -time.Hour, 0, 0), public("new", seal.Admission, -time.Minute, 0, 0)}},
	}, Policy{}).Next
	if late := ahead.Add(seal.MaxSkew); retired == nil || retired.At.Before(late) {
		t.Errorf("a key counts until %+v, and somebody who has not seen that it was replaced signs with it at %s by their clock", retired, late)
	}
}
