package story

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/replan"
)

// TestCheckedPlan tells what was found out about the plan: as loudly as it matters, and never that it fits where nobody could tell.
func TestCheckedPlan(t *testing.T) {
	rolls := func(answer replan.Answer, shown *v1alpha1.PlannedChange, fields ...string) replan.Change {
		return replan.Change{Step: "roll", Operation: "patch", Object: "Deployment production/checkout", Fields: fields, Plan: answer, Shown: shown}
	}
	shown := &v1alpha1.PlannedChange{Step: "roll", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"image: a → b"}}
	const fits = "  Checked: put together anew with your rights, what would run has this digest.\n"
	cases := map[string]struct {
		reason string
		check  replan.Check
		want   string
		// lack is what is not said.
		lack []string
	}{
		"Matches": {"it fits", replan.Check{Digest: replan.Matches, Plan: replan.Matches, Computed: digestOne, Changes: []replan.Change{rolls(replan.Matches, nil, "image: a → b", "more: c → d")}},
			fits + "Plan, in full, as you may see it:\n  patch Deployment production/checkout (step roll)\n    image: a → b\n    more: c → d\nApprovals:\n", []string{"NOTE", "COULD NOT"}},
		"Digest": {"something else would run", replan.Check{Digest: replan.Differs, Plan: replan.Matches, Computed: digestTwo, Changes: []replan.Change{rolls(replan.Matches, nil, "image: a → b")}},
			"  NOTE: WHAT WOULD RUN IS NOT WHAT THE REQUEST SHOWS: put together anew with your rights, it has the digest " + digestTwo + ".\n" +
				"  NOTE: something that it rests on has changed and Signoff has not looked yet, or somebody altered the status. Do not approve this; look again in a while.\n" +
				"Plan, in full, as you may see it:\n  patch Deployment production/checkout (step roll)\n    image: a → b\nApprovals:\n" +
				"  one, stage owners: Open, needs 1 of payments, until 24 Nov 17:10 UTC\n    NOTE: it is about 11111111, and not about 22222222, which is what will be done\n" +
				"Next:\n  kubectl signoff deny -n payments one", []string{"Checked", "signoff approve"}},
		"Plan": {"the status lies, or what is there has changed", replan.Check{Digest: replan.Matches, Plan: replan.Differs, Computed: digestOne,
			Changes: []replan.Change{rolls(replan.Differs, shown, "image: a → c"), rolls(replan.Differs, nil, "x: 1 → 2")}, Surplus: []v1alpha1.PlannedChange{*shown}},
			fits + "  NOTE: WHAT IT WOULD CHANGE IS NOT WHAT THE REQUEST SHOWS: see below. What is there has changed since, or somebody altered the status.\n" +
				"Plan, in full, as you may see it:\n  patch Deployment production/checkout (step roll)\n    image: a → c\n" +
				"    NOTE: the request shows instead:\n      | patch Deployment production/checkout (step roll)\n      |   image: a → b\n" +
				"  patch Deployment production/checkout (step roll)\n    x: 1 → 2\n    NOTE: the request does not show this\n" +
				"  NOTE: the request shows more, of which nothing would be done:\n      | patch Deployment production/checkout (step roll)\n      |   image: a → b\nApprovals:\n", nil},
		"Blind": {"what is there cannot be read", replan.Check{Digest: replan.Matches, Plan: replan.Unknown, Computed: digestOne, Missing: []string{"Cannot tell what it is: no\n  Ask."},
			Changes: []replan.Change{rolls(replan.Unknown, shown, "cannot be compared")}},
			fits + "  COULD NOT BE CHECKED with your rights:\n    Cannot tell what it is: no\n    Ask.\nPlan, in full, as you may see it:\n  patch Deployment production/checkout (step roll)\n    cannot be compared\n" +
				"    could not be checked; the request shows:\n      | patch Deployment production/checkout (step roll)\n      |   image: a → b\nApprovals:\n", []string{"NOTE"}},
		"Unknown": {"nothing is known", replan.Check{Digest: replan.Unknown, Plan: replan.Unknown, Missing: []string{"you may not", "nor that"}},
			"  COULD NOT BE CHECKED with your rights:\n    you may not\n    nor that\nPlan, as the request shows it; not checked:\n  patch Deployment production/checkout (step roll)\n    image: a → b\nApprovals:\n",
			[]string{"Checked", "NOTE"}},
		"Hostile": {"what others wrote is escaped", replan.Check{Digest: replan.Unknown, Missing: []string{"a\u202eb\x1b[2J"}}, "    a\\u202eb\\x1b[2J\n", []string{"\u202e", "\x1b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := strings.Join(Of(request(nil), []v1alpha1.Approval{approval(nil)}, &tc.check, now), "\n") + "\n"
			if !strings.Contains(text, tc.want) {
				t.Errorf("%s, -want +got:\n%s", tc.reason, cmp.Diff(tc.want, text))
			}
			for _, word := range tc.lack {
				if strings.Contains(text, word) {
					t.Errorf("%s: it says %q:\n%s", tc.reason, word, text)
				}
			}
		})
	}
}

// TestClaimOfAnAltered: a status that says that it has begun is not believed while what people are asked about was put together anew.
func TestClaimOfAnAltered(t *testing.T) {
	r := request(func(r *v1alpha1.ActionRequest) { r.Status.Execution = &v1alpha1.ExecutionClaim{Digest: digestOne} })
	check := &replan.Check{Digest: replan.Differs, Plan: replan.Differs, Computed: digestTwo}
	text := strings.Join(Of(r, []v1alpha1.Approval{approval(nil)}, check, now), "\n")
	if !strings.Contains(text, "NOTE: it is about 11111111, and not about 22222222") || strings.Contains(text, "signoff approve") {
		t.Error(text)
	}
}

// TestOutdatedApproval says what comes of a vote on an Approval that shows what is no longer there.
func TestOutdatedApproval(t *testing.T) {
	const note = "\n    NOTE: it shows what was there when it was opened, and that has changed since. "
	for policy, want := range map[v1alpha1.DriftPolicy]string{
		v1alpha1.DriftReapprove: "Once enough have approved it, it no longer counts, and people are asked again about what is there then\n",
		v1alpha1.DriftFail:      "Once enough have approved it, the request ends as Failed, and nothing is executed\n",
		v1alpha1.DriftProceed:   "Approving it counts all the same, and does what is shown above\n",
	} {
		check := &replan.Check{Digest: replan.Matches, Plan: replan.Matches, Computed: digestOne, Outdated: []replan.Outdated{{Approval: "one", OnDrift: policy}}}
		other := approval(func(a *v1alpha1.Approval) { a.Name = "two" })
		text := strings.Join(Of(request(nil), []v1alpha1.Approval{approval(nil), other}, check, now), "\n")
		if !strings.Contains(text, "one, stage owners: Open, needs 1 of payments, until 24 Nov 17:10 UTC"+note+want) || strings.Count(text, "NOTE") != 1 {
			t.Errorf("%s: %s", policy, text)
		}
	}
}
