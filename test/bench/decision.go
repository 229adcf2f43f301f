package main

import (
	"context"
	"flag"
	"fmt"
	goruntime "runtime"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

// decisionRounds is how often each size is measured, so that one busy moment does not decide.
const decisionRounds = 5

// decisionCase is one size of the catalog.
type decisionCase struct {
	name           string
	roles, actions int
	subject        *gate.Subject
	effect         v1alpha1.Effect
	ns             []float64
	allocs         int64
}

func measureDecision(context.Context) ([]Result, error) {
	testing.Init()
	if err := flag.Set("test.benchtime", "200ms"); err != nil {
		return nil, fmt.Errorf("failed to set the time of a benchmark: %w", err)
	}
	cases := decisionCases()
	for _, c := range cases {
		if err := c.measure(); err != nil {
			return nil, err
		}
	}
	var results []Result
	values := map[string]float64{}
	for _, c := range cases {
		values[c.name] = median(c.ns)
		results = append(results, Result{c.name, values[c.name], nanoseconds})
	}
	for _, c := range cases {
		results = append(results, Result{allocsName(c.name), float64(c.allocs), count})
	}
	for _, kind := range []string{"decision", "decision-approval"} {
		flatness := values[kind+"/roles=10000"] / values[kind+"/roles=10"]
		results = append(results, Result{kind + "/flatness", flatness, ratio})
	}
	return results, nil
}

// allocsName turns decision/roles=10 into decision-allocs/roles=10.
func allocsName(name string) string {
	for i := range name {
		if name[i] == '/' {
			return name[:i] + "-allocs" + name[i:]
		}
	}
	return name
}

// decisionCases makes the catalogs. What is asked for is allowed at once, or needs the approval of whoever holds approve.
func decisionCases() []*decisionCase {
	allowed := subject("deploy", `{"service":"checkout","environment":"staging","image":"registry/checkout:1.42"}`)
	waiting := subject("restart", `{"service":"checkout"}`)
	var cases []*decisionCase
	for _, size := range []struct {
		name           string
		roles, actions int
	}{
		{"roles=10", 10, 10}, {"roles=100", 100, 10}, {"roles=1000", 1000, 10}, {"roles=10000", 10_000, 10},
		{"actions=10", 100, 10}, {"actions=100", 100, 100}, {"actions=1000", 100, 1000},
	} {
		one := decisionCase{name: "decision/" + size.name, roles: size.roles, actions: size.actions, subject: allowed, effect: v1alpha1.EffectAllow}
		cases = append(cases, &one)
		if size.name == "roles=10" || size.name == "roles=10000" {
			other := one
			other.name, other.subject, other.effect = "decision-approval/"+size.name, waiting, v1alpha1.EffectRequireApproval
			cases = append(cases, &other)
		}
	}
	return cases
}

func subject(action, inputs string) *gate.Subject {
	return &gate.Subject{
		Namespace: "payments", Name: "request-x7k2p9qa",
		Spec: &v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: action},
			Inputs:    &runtime.RawExtension{Raw: []byte(inputs)}, Reason: "a new version",
		},
		Requester: v1alpha1.Identity{Username: "alice", Person: "alice", Groups: []string{
			"engineering", "payments", "backend", "london", "oncall", "everyone", "vpn", "github", "jira", "system:authenticated",
		}},
	}
}

// measure judges on a catalog of its own: one that is larger would make the garbage collection of this process dearer.
func (c *decisionCase) measure() error {
	judge, err := newGate(c.roles, c.actions)
	if err != nil {
		return err
	}
	goruntime.GC()
	ctx, now := context.Background(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	judgement := judge.Judge(ctx, c.subject, now)
	if judgement.Problem != nil || judgement.Verdict.Effect != c.effect {
		return fmt.Errorf("the decision of %s should be %s: %+v", c.name, c.effect, judgement.Problem)
	}
	for range decisionRounds {
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				judge.Judge(ctx, c.subject, now)
			}
		})
		c.ns = append(c.ns, float64(result.T.Nanoseconds())/float64(result.N))
		c.allocs = result.AllocsPerOp()
	}
	return nil
}
