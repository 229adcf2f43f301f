package decision

import (
	"fmt"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

func BenchmarkDecide(b *testing.B) {
	when := compile(b, "inputs.environment == 'production'")
	for _, count := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("rules=%d", count), func(b *testing.B) {
			rules := &Rules{Default: catalog.Rule{Name: "default", Effect: v1alpha1.EffectDeny}}
			for i := range count {
				rules.Own = append(rules.Own, catalog.Rule{
					Name: fmt.Sprintf("rule-%02d", i), When: when, Effect: v1alpha1.EffectRequireApproval, Stages: []*catalog.Stage{stage("owners")},
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				if v := Decide(b.Context(), rules, situation()); v.Effect != v1alpha1.EffectRequireApproval {
					b.Fatalf("want an approval, got %s", v.Effect)
				}
			}
		})
	}
}
