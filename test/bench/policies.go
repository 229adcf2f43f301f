package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/facts"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// What a decision among many policies is made on: an Action that reads five facts, and policies that are about its requests or about others.
var (
	//go:embed testdata/situation.yaml
	situationYAML []byte
	//go:embed testdata/about.yaml
	aboutYAML []byte
	//go:embed testdata/elsewhere.yaml
	elsewhereYAML []byte
)

const (
	manyRoles, manyActions = 10_000, 1000
	// aboutPolicies are about the request, elsewherePolicies about others.
	aboutPolicies, elsewherePolicies = 10, 990
)

// measurePolicies measures one decision among 1,000 policies and 10,000 Roles, with five facts that are watched, and how long it takes to
// compile all of that at a start.
func measurePolicies(ctx context.Context) ([]Result, error) {
	objects, err := manyObjects()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	store := snapshot.NewStore(nil)
	for _, object := range objects {
		store.Put(object)
	}
	store.MarkSynced()
	store.Rebuild()
	cold := time.Since(begin)
	ns, allocs, err := amongPolicies(ctx, store)
	if err != nil {
		return nil, err
	}
	return []Result{
		{"decision-policies/policies=1000", ns, nanoseconds},
		{"decision-policies/rule", ns / aboutPolicies, nanoseconds},
		{"decision-policies-allocs/policies=1000", allocs, count},
		{"decision-policies-allocs/rule", allocs / aboutPolicies, count},
		{"coldstart/objects", float64(len(objects)), count},
		{"coldstart/objects-per-second", float64(len(objects)) / cold.Seconds(), perSecond},
		{"coldstart/compiled", float64(cold.Microseconds()), microseconds},
	}, nil
}

// manyObjects are the governing objects of a large company.
func manyObjects() ([]runtime.Object, error) {
	objects, err := decoded(situationYAML)
	if err != nil {
		return nil, err
	}
	for i := range manyActions {
		if action, ok := objects[0].(*v1alpha1.Action); ok {
			objects = append(objects, otherAction(action, i))
		}
	}
	for i := range manyRoles {
		objects = append(objects, otherRole(i, manyActions))
	}
	for _, kind := range []struct {
		text  []byte
		count int
	}{{aboutYAML, aboutPolicies}, {elsewhereYAML, elsewherePolicies}} {
		policies := 0
		for i := 0; policies < kind.count; i++ {
			more, err := decoded(bytes.ReplaceAll(kind.text, []byte("NUMBER"), fmt.Appendf(nil, "%d", i)))
			if err != nil {
				return nil, err
			}
			more = more[:min(len(more), kind.count-policies)]
			objects, policies = append(objects, more...), policies+len(more)
		}
	}
	return objects, nil
}

// amongPolicies judges once everything that is read is watched, and gives nanoseconds and allocations.
func amongPolicies(ctx context.Context, store *snapshot.Store) (ns, allocs float64, err error) {
	rules, err := identity.New(config.Default())
	if err != nil {
		return 0, 0, fmt.Errorf("failed to make the identity rules: %w", err)
	}
	mirror, err := newMirror()
	if err != nil {
		return 0, 0, err
	}
	reader := facts.New(facts.Options{
		Clients: mirror, Namespaces: namespaces{}, Reviews: reviews(), Clock: clock.RealClock{}, Wake: func(types.NamespacedName) {},
	})
	defer reader.Stop()
	judge := gate.New(store, rules, reader, config.DefaultNamespace, clock.RealClock{})
	who, now := subject("release", `{"service":"checkout","environment":"staging","image":"registry/checkout:1.42"}`), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	err = within(ctx, time.Minute, "all facts are known by their watches", func() (bool, error) {
		before := mirror.reads.Load()
		j := judge.Judge(ctx, who, now)
		if j.Problem != nil {
			return false, fmt.Errorf("the request should be allowed: %s", j.Problem.Message)
		}
		if j.Verdict.Effect != v1alpha1.EffectAllow || len(j.Facts) < 5 || aboutRequest(j) != aboutPolicies {
			return false, fmt.Errorf("the decision should be Allow among %d policies, on five facts: %s, %d, %v", aboutPolicies, j.Verdict.Effect, aboutRequest(j), j.Facts)
		}
		return mirror.reads.Load() == before, nil
	})
	if err != nil {
		return 0, 0, err
	}
	var times []float64
	for range decisionRounds {
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				judge.Judge(ctx, who, now)
			}
		})
		times, allocs = append(times, float64(result.T.Nanoseconds())/float64(result.N)), float64(result.AllocsPerOp())
	}
	return median(times), allocs, nil
}

// aboutRequest counts the rules of policies that were judged.
func aboutRequest(j *gate.Judgement) int {
	found := 0
	for _, rule := range j.Verdict.Idle {
		if strings.HasPrefix(rule.Name, "policy/") {
			found++
		}
	}
	return found
}
