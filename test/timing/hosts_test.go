package timing

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

// incidents is a host that says how many incidents are open.
var incidents = newIncidents()

type board struct {
	*httptest.Server
	mu     sync.Mutex
	open   string
	status int
	asked  map[string]int
}

func newIncidents() *board {
	out := &board{open: "0", status: http.StatusOK, asked: map[string]int{}}
	out.Server = httptest.NewTLSServer(out)
	return out
}

// ServeHTTP answers those who know the token.
func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[r.URL.Query().Get("service")]++
	if r.Header.Get("Authorization") != "Bearer hunter2" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(b.status)
	_, _ = fmt.Fprintf(w, `{"open":%s}`, b.open)
}

// says sets what the host answers from now on.
func (b *board) says(status int, open string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status, b.open = status, open
}

// hosted applies an Action that rests on what the host says.
func hosted(t *testing.T) {
	t.Helper()
	if err := cluster.Apply(t.Context(), []byte(strings.NewReplacer("URL", incidents.URL, "BUNDLE", play.Authority(incidents.Server)).Replace(`
apiVersion: v1
kind: Secret
metadata: {namespace: platform, name: incidents, annotations: {signoff.dev/allowed-hosts: 127.0.0.1}}
stringData: {token: hunter2}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: platform, name: incidents}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [incidents], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: platform, name: incidents}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: incidents}
subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: hosted}
spec:
  title: Rests on what a host says
  inputs: {openAPIV3Schema: {type: object, required: [service], properties: {service: {type: string, maxLength: 63}}}}
  lookups:
  - as: incidents
    http:
      url: "URL/api/incidents?service=${inputs.service}"
      headers: [{name: Authorization, prefix: "Bearer ", secret: {name: incidents, key: token}}]
      caBundle: |
          BUNDLE
      value: response.body.open
      schema: {type: integer, minimum: 0}
  rules:
  - {name: incidents, when: incidents > 0, effect: Deny, message: nothing is deployed while incidents are open}
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: target, name: hosted}}]}}
`))); err != nil {
		t.Fatal(err)
	}
}

// asksFor asks once, and gives the error.
func asksFor(t *testing.T, service string) error {
	t.Helper()
	r := &v1alpha1.ActionRequest{}
	r.Namespace, r.GenerateName = "payments", "hosted-"
	r.Spec = v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "hosted"}, Inputs: play.Request("hosted", `{"service":"`+service+`"}`).Spec.Inputs}
	return as(t, users.Alice).Create(t.Context(), r)
}

// refusedWith asks until the refusal has these words.
func refusedWith(t *testing.T, service, words string) {
	t.Helper()
	eventually(t, "a refusal with "+words, func() (bool, string) {
		err := asksFor(t, service)
		if err == nil {
			t.Fatalf("it was let in; want a refusal with %q", words)
		}
		return strings.Contains(err.Error(), words), err.Error()
	})
}

// TestHostDecides asks, waits, and is judged again whenever what the host said gets old.
func TestHostDecides(t *testing.T) {
	hosted(t)
	incidents.says(http.StatusOK, "2")
	refusedWith(t, "a", "cannot read lookup incidents, "+incidents.URL+"/api/incidents: there is no value yet that is new enough: the host is being asked")
	refusedWith(t, "a", "nothing is deployed while incidents are open")
	incidents.says(http.StatusServiceUnavailable, "0")
	refusedWith(t, "b", "the host answered 503")

	incidents.says(http.StatusOK, "0")
	r := reaches(t, ask(t, "hosted", func(s *v1alpha1.ActionRequestSpec) { s.Inputs = play.Request("hosted", `{"service":"c"}`).Spec.Inputs }), v1alpha1.PhaseAwaitingApproval)
	facts := r.Status.Verdict.Facts
	if len(facts) != 1 || facts[0].Object != incidents.URL+"/api/incidents" || !strings.HasPrefix(facts[0].Version, "fetched ") || facts[0].ReadAs != "platform/deployer" {
		t.Errorf("the verdict says what it rests on: %+v", facts)
	}
	if next := r.Status.Verdict.NextChange; next == nil || next.After(clock.Now().Add(5*time.Minute)) {
		t.Errorf("and until when: %v", next)
	}
	incidents.says(http.StatusOK, "1")
	step(t, 4*time.Minute)
	held := reaches(t, r, v1alpha1.PhaseHeld)
	if !strings.Contains(held.Status.WaitingFor, "nothing is deployed while incidents are open") {
		t.Errorf("it waits for %q", held.Status.WaitingFor)
	}
	incidents.says(http.StatusOK, "0")
	step(t, 4*time.Minute)
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)

	// A host that is away decides nothing once what it said is too old, whoever agrees.
	incidents.says(http.StatusServiceUnavailable, "0")
	open := approval(t, r, v1alpha1.ApprovalOpen)
	step(t, 6*time.Minute)
	reaches(t, r, v1alpha1.PhasePending)
	waiting(t, r, "the host answered 503")
	if err := approve(t, users.Bob, open); err != nil {
		t.Fatal(err)
	}
	stays(t, r, v1alpha1.PhasePending)
	incidents.says(http.StatusOK, "0")
	step(t, 6*time.Minute)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if incidents.asked["c"] > 12 {
		t.Errorf("the host was asked %d times", incidents.asked["c"])
	}
}

// waiting waits for words in the conditions of a request.
func waiting(t *testing.T, r *v1alpha1.ActionRequest, words string) {
	t.Helper()
	eventually(t, words, func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		text := fmt.Sprint(err, live.Status.WaitingFor, live.Status.Conditions)
		return strings.Contains(text, words), text
	})
}
