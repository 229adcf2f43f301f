package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/expression"
	"github.com/signoff-dev/signoff/internal/facts"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/plan"
	"github.com/signoff-dev/signoff/internal/snapshot"
	"github.com/signoff-dev/signoff/internal/steps"
)

// planned is how many objects the Action writes whose planning is measured.
const planned = 20

// manifest is one of them, a Deployment of some size. N stands for its number.
const manifest = `
        - apiVersion: apps/v1
          kind: Deployment
          metadata: {namespace: staging, name: "${inputs.service}-N", labels: {app: "${inputs.service}", part: "N", owner: "${requester.username}"}}
          spec:
            replicas: "${inputs.replicas}"
            selector: {matchLabels: {app: "${inputs.service}", part: "N"}}
            template:
              metadata: {labels: {app: "${inputs.service}", part: "N"}, annotations: {request: "${request.uid}"}}
              spec:
                containers:
                - {name: app, image: "registry/${inputs.service}:${inputs.tag}", ports: [{containerPort: 8080}], env: [{name: LEVEL, value: info}, {name: PART, value: "N"}], resources: {requests: {cpu: 100m, memory: 64Mi}}}
                - {name: proxy, image: "registry/proxy:1", args: ["--upstream=localhost:8080", "--part=N"]}`

const plannedAction = `apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: many, uid: 5d0a1c55-5c3f-4c5b-9d5e-0d0c7e5b4f01}
spec:
  title: Deploy many things
  inputs: {openAPIV3Schema: {type: object, required: [service, tag, replicas], properties: {service: {type: string, maxLength: 40}, tag: {type: string, maxLength: 40}, replicas: {type: integer, minimum: 0, maximum: 9}}}}
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: all
      apply:
        manifests:`

// planner plans a request for an Action with many objects, as the reconciler does, without the time of the API server.
type planner struct {
	action  *v1alpha1.Action
	input   steps.Input
	steps   *steps.Steps
	subject digest.Subject
	live    map[v1alpha1.ObjectReference]*unstructured.Unstructured
}

func measurePlanning(ctx context.Context) ([]Result, error) {
	p, err := newPlanner(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.there(ctx); err != nil {
		return nil, err
	}
	if changes, err := p.plan(ctx); err != nil || len(changes) != planned || len(changes[0].Fields) == 0 {
		return nil, fmt.Errorf("the plan should have %d changes: %d, %w", planned, len(changes), err)
	}
	var ns []float64
	var allocs int64
	for range decisionRounds {
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err = p.plan(ctx)
			}
		})
		ns, allocs = append(ns, float64(result.T.Nanoseconds())/float64(result.N)), result.AllocsPerOp()
	}
	return []Result{
		{fmt.Sprintf("planning/objects=%d", planned), median(ns) / 1e3, microseconds},
		{fmt.Sprintf("planning-allocs/objects=%d", planned), float64(allocs), count},
	}, err
}

// newPlanner judges a request once; what is measured begins after that.
func newPlanner(ctx context.Context) (*planner, error) {
	text := plannedAction
	for n := range planned {
		text += strings.ReplaceAll(manifest, "N", fmt.Sprint(n))
	}
	const role = "\n---\napiVersion: signoff.dev/v1alpha1\nkind: Role\nmetadata: {namespace: platform, name: all}\nspec: {members: {users: [alice]}, permissions: [{verbs: [request], actions: {names: [many]}}]}"
	objects, err := decoded([]byte(text + role))
	if err != nil {
		return nil, err
	}
	store := snapshot.NewStore(nil)
	for _, object := range objects {
		store.Put(object)
	}
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		return nil, fmt.Errorf("failed to make the identity rules: %w", err)
	}
	judge := gate.New(store, rules, facts.New(facts.Options{Namespaces: namespaces{}, Reviews: reviews(), Clock: clock.RealClock{}}), config.DefaultNamespace, clock.RealClock{})
	asked := subject("many", `{"service":"checkout","tag":"1.42","replicas":3}`)
	j := judge.Judge(ctx, asked, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	if j.Problem != nil {
		return nil, errors.New(j.Problem.Message)
	}
	known, err := j.Action.Digest()
	if err != nil {
		return nil, fmt.Errorf("failed to digest the Action: %w", err)
	}
	p := &planner{action: j.Action.Object, steps: j.Action.Steps, live: map[v1alpha1.ObjectReference]*unstructured.Unstructured{}}
	p.input = steps.Input{
		Namespace: "platform", Action: "many", RequestName: asked.Name, RequestUID: "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002", Vars: j.Vars,
		Budget: expression.NewBudget(), Objects: map[v1alpha1.ObjectReference]*unstructured.Unstructured{},
	}
	p.subject = digest.Subject{RequestNamespace: asked.Namespace, RequestName: asked.Name, RequestUID: "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002", Requester: asked.Requester, Inputs: j.Inputs, Action: p.action, ActionDigest: known}
	return p, nil
}

// there makes the objects be there already, of an older version.
func (p *planner) there(ctx context.Context) error {
	rendered, err := p.steps.Render(ctx, p.input)
	if err != nil {
		return fmt.Errorf("failed to render: %w", err)
	}
	for i := range rendered[0].Writes {
		w := &rendered[0].Writes[i]
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(w.Body.Raw), "1.42", "1.41")), &object.Object); err != nil {
			return fmt.Errorf("failed to make an object: %w", err)
		}
		p.live[w.Object] = object
	}
	return nil
}

// plan renders the steps, compares them with what is there, and computes what stands for all of it.
func (p *planner) plan(ctx context.Context) ([]v1alpha1.PlannedChange, error) {
	p.input.Budget = expression.NewBudget()
	rendered, err := p.steps.Render(ctx, p.input)
	if err != nil {
		return nil, fmt.Errorf("failed to render: %w", err)
	}
	changes := plan.Describe(rendered, plan.View{Live: func(ref v1alpha1.ObjectReference) plan.Found { return plan.Found{Object: p.live[ref]} }})
	p.subject.Steps = rendered
	_, err = digest.Of(p.subject)
	return changes, err
}
