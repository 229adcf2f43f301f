package decision

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

func TestDoubt(t *testing.T) {
	yes, no := compile(t, "true"), compile(t, "false")
	owners, peer := stage("owners"), stage("peer")
	rule := func(name string, effect v1alpha1.Effect, applies bool, stages ...*catalog.Stage) catalog.Rule {
		when := no
		if applies {
			when = yes
		}
		return catalog.Rule{Name: name, When: when, Effect: effect, Stages: stages}
	}
	const allow, ask, hold, deny = v1alpha1.EffectAllow, v1alpha1.EffectRequireApproval, v1alpha1.EffectHold, v1alpha1.EffectDeny
	byDefault := func(effect v1alpha1.Effect, stages ...*catalog.Stage) catalog.Rule {
		return catalog.Rule{Name: "default", Effect: effect, Stages: stages}
	}
	for name, tc := range map[string]struct {
		reason string
		rules  Rules
		// doubted are the rules whose answer nobody can rely on, want those whose doubt counts.
		doubted, want []string
	}{
		"AllowApplies": {"what lets through needs a fact to rely on", Rules{Own: []catalog.Rule{rule("a", allow, true)}, Default: byDefault(deny)}, []string{"a"}, []string{"a"}},
		"AllowDoesNot": {"what does not let through can be believed", Rules{Own: []catalog.Rule{rule("a", allow, false)}, Default: byDefault(deny)}, []string{"a"}, nil},
		"DenyApplies":  {"a denial can be believed", Rules{Own: []catalog.Rule{rule("d", deny, true)}, Default: byDefault(deny)}, []string{"d"}, nil},
		"DenyDoesNot": {"a denial that is not there could have been talked away",
			Rules{Own: []catalog.Rule{rule("d", deny, false), rule("a", allow, true)}, Default: byDefault(deny)}, []string{"d"}, []string{"d"}},
		"PolicyDoesNot": {"nor that of a policy",
			Rules{Own: []catalog.Rule{rule("a", allow, true)}, Default: byDefault(deny), Policies: []Policy{{Name: "p", Rules: []catalog.Rule{rule("p", hold, false)}}}}, []string{"p"}, []string{"p"}},
		"InPlaceOfDeny": {"a rule that asks somebody, where the default would deny, lets through",
			Rules{Own: []catalog.Rule{rule("r", ask, true, peer)}, Default: byDefault(deny)}, []string{"r"}, []string{"r"}},
		"InPlaceOfOthers": {"so does a rule that asks others than the default would",
			Rules{Own: []catalog.Rule{rule("r", ask, true, peer)}, Default: byDefault(ask, owners)}, []string{"r"}, []string{"r"}},
		"HoldInPlaceOfApproval": {"so does waiting for a time instead of for a person",
			Rules{Own: []catalog.Rule{rule("h", hold, true)}, Default: byDefault(ask, owners)}, []string{"h"}, []string{"h"}},
		"AsksMore":     {"a rule that asks at least the same people lets nothing through", Rules{Own: []catalog.Rule{rule("r", ask, true, peer, owners)}, Default: byDefault(ask, owners)}, []string{"r"}, nil},
		"DefaultAllow": {"a default that allows demands nothing", Rules{Own: []catalog.Rule{rule("r", ask, true, peer)}, Default: byDefault(allow)}, []string{"r"}, nil},
		"AnotherRule": {"where a rule that can be believed applies, the default has no say",
			Rules{Own: []catalog.Rule{rule("r", ask, true, peer), rule("s", ask, true, peer)}, Default: byDefault(deny)}, []string{"r"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := situation()
			s.Doubt = func(r *catalog.Rule) error {
				for _, doubted := range tc.doubted {
					if r.Name == doubted {
						return errors.New("it can be changed by you")
					}
				}
				return nil
			}
			var got []string
			for _, e := range Decide(t.Context(), &tc.rules, s).Errors {
				got = append(got, e.Rule)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nDecide(...).Errors: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
