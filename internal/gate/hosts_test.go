package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

const hostWorld = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: deploy}
spec:
  title: Deploy
  inputs: {openAPIV3Schema: {type: object, required: [service], properties: {service: {type: string, maxLength: 63}}}}
  lookups:
  - as: incidents
    http:
      url: "https://status.example.com/api/${inputs.service}?token=${inputs.service}"
      headers: [{name: Authorization, prefix: "Bearer ", secret: {name: status, key: token}}, {name: X-Service, value: "${inputs.service}"}]
      value: response.body.open
      schema: {type: integer}
  rules:
  - {name: incidents, when: incidents > 0, effect: Deny}
  - {name: calm, when: incidents == 0, effect: Allow}
  execution:
    serviceAccountName: deployer
    readServiceAccountName: deployer-read
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}]
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: everybody}
spec:
  members: {users: [alice]}
  permissions: [{verbs: [request], actions: {names: ["*"]}}]
`

// status is what a host said, as facts see it.
type status struct {
	fakeFacts
	value   HostValue
	err     error
	asked   *HostQuery
	request types.NamespacedName
}

func (s *status) Host(_ context.Context, query *HostQuery, request types.NamespacedName) (HostValue, error) {
	s.asked, s.request = query, request
	return s.value, s.err
}

// MayWrite would turn every other fact into one that decides nothing.
func (*status) MayWrite(context.Context, *v1alpha1.Identity, bool, ...Query) (bool, error) {
	return true, nil
}

func (*status) MayRead(context.Context, *v1alpha1.Identity, Query) (bool, error) { return true, nil }

func TestHost(t *testing.T) {
	fetched, next := monday.Add(-time.Minute), monday.Add(2*time.Minute+500*time.Millisecond)
	said := func(value any) *status {
		return &status{value: HostValue{Value: value, Fetched: fetched, Next: next}}
	}
	for name, tc := range map[string]struct {
		reason string
		facts  Facts
		code   string
		words  string
	}{
		"Calm":      {"What the host says decides, although nobody can ask who wrote it.", said(int64(0)), "", ""},
		"Incidents": {"It denies too.", said(int64(3)), v1alpha1.ReasonDeniedByRule, "the condition of a rule that denies holds"},
		"Fetching": {
			"Without a value nothing is decided.", &status{err: errors.New("the host is being asked")}, v1alpha1.ReasonFactsUnavailable,
			"cannot read lookup incidents, https://status.example.com/api/a%2Fb: the host is being asked",
		},
		"NoHosts": {"Nor where hosts cannot be asked.", fakeFacts{}, v1alpha1.ReasonFactsUnavailable, "hosts cannot be asked here"},
	} {
		t.Run(name, func(t *testing.T) {
			subject := asking("alice", "deploy", `{"service":"a/b"}`)
			subject.UID, subject.Name, subject.Explain = "u", "r", true
			j := gateOver(t, hostWorld, config.Default(), tc.facts, clock.RealClock{}).Judge(t.Context(), subject, monday)
			code, message := "", ""
			if j.Problem != nil {
				code, message = j.Problem.Reason, j.Problem.Message
			}
			if code != tc.code || !strings.Contains(message, tc.words) {
				t.Fatalf("%s\nwant %q with %q, got %q with %q", tc.reason, tc.code, tc.words, code, message)
			}
			if code == v1alpha1.ReasonFactsUnavailable {
				if !j.Problem.Transient {
					t.Error("it may be there soon")
				}
				return
			}
			if want := next.Add(500 * time.Millisecond); !j.NextChange.Equal(want) {
				t.Errorf("it is judged again when the value is fetched anew: want %s, got %s", want, j.NextChange)
			}
			want := []v1alpha1.Fact{{Name: "incidents", Object: "https://status.example.com/api/a%2Fb", Version: "fetched " + fetched.Format(time.RFC3339), ReadAs: "platform/deployer-read"}}
			if diff := cmp.Diff(want, j.Facts); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			j.Explain(t.Context())
			text := message + fmt.Sprint(j.Reasons, VerdictStatus(j))
			if strings.Contains(text, "is 3") || strings.Contains(text, "token=") || !strings.Contains(text, "only the host can tell whether") {
				t.Errorf("what the host says is not shown, nor its query: %s", text)
			}
		})
	}
}

// TestHostIsAsked says of what is asked all that decides the answer.
func TestHostIsAsked(t *testing.T) {
	facts := &status{err: errors.New("not yet")}
	g := gateOver(t, hostWorld, config.Default(), facts, clock.RealClock{})
	subject := asking("alice", "deploy", `{"service":"a b"}`)
	subject.Name = "r"
	g.Judge(t.Context(), subject, monday)
	if facts.request != (types.NamespacedName{}) {
		t.Errorf("a request that is not stored yet is not judged again: %v", facts.request)
	}
	want := &v1alpha1.RenderedHTTP{Method: v1alpha1.HTTPGet, URL: "https://status.example.com/api/a%20b?token=a%20b", Headers: []v1alpha1.RenderedHeader{
		{Name: "Authorization", Prefix: "Bearer ", Secret: &v1alpha1.RecordedSecret{SecretKey: v1alpha1.SecretKey{Name: "status", Key: "token"}}},
		{Name: "X-Service", Value: "a b"},
	}}
	if diff := cmp.Diff(want, facts.asked.Call); diff != "" || facts.asked.Namespace != "platform" || facts.asked.ServiceAccount != "deployer-read" || facts.asked.Lookup.MaxAge != 5*time.Minute {
		t.Errorf("asked as %s/%s (-want +got):\n%s", facts.asked.Namespace, facts.asked.ServiceAccount, diff)
	}
	subject.UID = "u"
	g.Judge(t.Context(), subject, monday)
	if want := (types.NamespacedName{Namespace: subject.Namespace, Name: "r"}); facts.request != want {
		t.Errorf("a request that waits is judged again: want %v, got %v", want, facts.request)
	}
	facts.asked = nil
	j := g.Judge(t.Context(), asking("alice", "deploy", `{"service":".."}`), monday)
	if j.Problem == nil || j.Problem.Reason != v1alpha1.ReasonIndeterminate || facts.asked != nil {
		t.Errorf("an input that leads elsewhere is not asked about: %+v", j.Problem)
	}
}
