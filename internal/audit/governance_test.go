package audit

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// delegation is a Delegation, and its event.
func delegation(t *testing.T, keys *keyring) Event {
	t.Helper()
	from := metav1.NewTime(noon.Truncate(time.Second))
	d := &v1alpha1.Delegation{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "bob-on-leave", UID: "de1e"}}
	d.Spec = v1alpha1.DelegationSpec{
		To: v1alpha1.Delegates{Users: []string{"dave", "carol"}}, Actions: []string{"restart", "deploy"}, From: &from,
		Until: metav1.NewTime(from.Add(time.Hour)), Reason: "on leave", Principal: &v1alpha1.Identity{Username: "bob", Groups: []string{"sre"}},
		Seal: &v1alpha1.Seal{At: metav1.NewMicroTime(noon)},
	}
	e := must[*seal.Envelope](t)(keys.Sign(must[*seal.Act](t)(seal.DelegationPayload(d, stampAt(0)))))
	return Delegated(d, e)
}

// edit is the event of an edit of an Action.
func edit(t *testing.T, keys *keyring, made bool) Event {
	t.Helper()
	action := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "restart", UID: "ac"}}
	edits := seal.Edits{Since: noon.Add(-time.Hour), List: []seal.Edit{
		{Username: "olga", Person: "olga", At: noon.Add(-time.Minute), Spec: testDigest}, {Username: "pavel", At: noon, Spec: testDigest},
	}}
	uid := string(action.UID)
	if made {
		edits.Since, edits.List, uid = time.Time{}, edits.List[1:], ""
	}
	return ActionEdited(action, edits, must[*seal.Envelope](t)(keys.Sign(must[*seal.Act](t)(seal.EditPayload(action, uid, edits, testCluster)))))
}

// TestGovernance is about facts that are no request's: their seals prove every word beside them.
func TestGovernance(t *testing.T) {
	keys := newKeyring(t)
	l := newLog(t, keys, chainA, nil)
	l.add(delegation(t, keys), edit(t, keys, true), edit(t, keys, false))
	l.checkpoint()
	if got := verify(t, l.list(), keys.ring); got.Err() != nil || got.Seals != 4 {
		t.Fatalf("%d seals: %v", got.Seals, got.Err())
	}
	for name, tc := range map[string]struct {
		line   int
		change func(t *testing.T, data map[string]any)
		want   string
	}{
		"Delegate":  {1, func(_ *testing.T, data map[string]any) { data["delegation"].(map[string]any)["users"] = []any{"eve"} }, "another Delegation was sealed"},
		"Wider":     {1, func(t *testing.T, data map[string]any) { delete(dig(t, data, "delegation"), "actions") }, "another Delegation was sealed"},
		"Longer":    {1, func(_ *testing.T, data map[string]any) { data["until"] = "2027-11-23T13:00:00Z" }, "another Delegation was sealed"},
		"NoTime":    {1, func(_ *testing.T, data map[string]any) { data["until"] = "soon" }, "another Delegation was sealed"},
		"Words":     {1, func(_ *testing.T, data map[string]any) { data["reason"] = "sacked" }, "another Delegation was sealed"},
		"Message":   {1, func(_ *testing.T, data map[string]any) { data["message"] = "on behalf of the board" }, "it says more than was sealed"},
		"Filed":     {2, func(_ *testing.T, data map[string]any) { data["reason"] = "agreed with maria" }, "it says more than was sealed"},
		"NoActions": {1, func(t *testing.T, data map[string]any) { dig(t, data, "delegation")["actions"] = []any{} }, "another Delegation was sealed"},
		"Zone":      {1, func(_ *testing.T, data map[string]any) { data["until"] = "2026-11-23T14:00:00+01:00" }, "another Delegation was sealed"},
		"Finer": {3, func(t *testing.T, data map[string]any) {
			dig(t, data, "edits")["since"] = "2026-11-23T11:00:00.1230001Z"
		}, "other edits were sealed"},
		"Renamed": {1, func(t *testing.T, data map[string]any) { dig(t, data, "delegation")["name"] = "x" }, "its subject is not what it is about"},
		"Editor": {2, func(t *testing.T, data map[string]any) {
			dig(t, data, "edits")["list"].([]any)[0].(map[string]any)["username"] = "eve"
		}, "other edits were sealed"},
		"LeftOut": {3, func(t *testing.T, data map[string]any) {
			list := dig(t, data, "edits")
			list["list"] = list["list"].([]any)[1:]
		}, "other edits were sealed"},
		"Since":  {3, func(t *testing.T, data map[string]any) { delete(dig(t, data, "edits"), "since") }, "other edits were sealed"},
		"Nobody": {3, func(t *testing.T, data map[string]any) { dig(t, data, "edits")["list"] = []any{} }, "it lacks edits"},
		"OtherSeal": {1, func(t *testing.T, data map[string]any) {
			seals := dig(t, data, "seals")
			seals["edit"] = seals["delegation"]
			delete(seals, "delegation")
		}, "it lacks seals.delegation"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := l.list()
			lines[tc.line] = with(t, lines[tc.line], func(m map[string]any) { tc.change(t, dig(t, m, "data")) })
			got := verify(t, rechain(t, lines, 1), keys.ring).Gap
			if got == nil || got.Line != int64(tc.line+1) || !strings.Contains(got.Message, tc.want) {
				t.Errorf("got %v, want line %d and %q", got, tc.line+1, tc.want)
			}
		})
	}
}
