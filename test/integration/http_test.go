package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

// host is what steps call in these tests. The configuration allows its port.
var host = newHost()

type remote struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
	jobs  map[string]int
	// plans are what is answered to those who ask for a plan, by path.
	plans map[string]string
	// replayed is what was answered to a key under replayPath: it is answered again.
	replayed map[string]string
	// stuck is told of calls that have no answer before free is closed.
	stuck chan string
	free  chan struct{}
}

const (
	// stuckPath begins the paths of such calls.
	stuckPath = "/stuck/"
	// replayPath begins the paths of calls that are done once for each key.
	replayPath = "/replayed/"
)

func newHost() *remote {
	out := &remote{jobs: map[string]int{}, plans: map[string]string{}, replayed: map[string]string{}, stuck: make(chan string, 1024), free: make(chan struct{})}
	out.Server = httptest.NewTLSServer(out)
	return out
}

// ServeHTTP begins a job for a POST, which is done when it was asked for twice.
func (h *remote) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, stuckPath) {
		h.stuck <- r.Header.Get("Idempotency-Key")
		<-h.free
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	h.calls = append(h.calls, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), string(body)}, " "))
	if plan, ok := h.plans[r.URL.Path]; ok {
		if key := r.Header.Get("Idempotency-Key"); key != "" && strings.HasPrefix(r.URL.Path, replayPath) {
			if first, known := h.replayed[key]; known {
				plan = first
			}
			h.replayed[key] = plan
		}
		_, _ = io.WriteString(w, plan)
		return
	}
	if r.Method == http.MethodPost {
		h.jobs[r.URL.Path]++
		_, _ = fmt.Fprintf(w, `{"id":"job-%d"}`, h.jobs[r.URL.Path])
		return
	}
	h.jobs[r.URL.Path]++
	_, _ = fmt.Fprintf(w, `{"done":%t,"url":"https://app.example.com"}`, h.jobs[r.URL.Path] > 1)
}

func (h *remote) port() int { return h.Listener.Addr().(*net.TCPAddr).Port }

// answers says what is answered from now on to who asks for a plan.
func (h *remote) answers(path, plan string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.plans[path] = plan
}

func (h *remote) made(path string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.calls), func(c string) bool { return !strings.Contains(c, " "+path) })
}

// bundle is the certificate of the host, within an Action.
func (h *remote) bundle() string { return play.Authority(h.Server) }

// someCalls applies an Action that calls, and the Secret that it carries.
func someCalls(t *testing.T, name, url string, allowed string) {
	t.Helper()
	someCallsWith(t, name, url, allowed, token)
}

var token = map[string]string{"token": "hunter2"}

func someCallsWith(t *testing.T, name, url string, allowed string, data map[string]string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name, Annotations: map[string]string{"signoff.dev/allowed-hosts": allowed}}, StringData: data}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{name}, Verbs: []string{"get"}}}}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "platform", Name: "deployer"}}}
	for _, err := range []error{admin(t).Create(t.Context(), secret), admin(t).Create(t.Context(), role), admin(t).Create(t.Context(), binding)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Apply(t.Context(), []byte(strings.NewReplacer("NAME", name, "URL", url, "BUNDLE", host.bundle()).Replace(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: NAME}
spec:
  title: Call a host
  inputs: {openAPIV3Schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 63}}}}
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - name: create
      http:
        method: POST
        url: URL/NAME/${inputs.text}
        headers: [{name: Authorization, prefix: "Bearer ", secret: {name: NAME, key: token}}]
        body: {who: "${requester.username}", text: "${inputs.text}"}
        caBundle: |
          BUNDLE
        poll: {url: "URL/NAME/jobs/${response.body.id}", every: 1s, until: response.body.done}
      outputs: [{name: url, expression: response.body.url, schema: {type: string, maxLength: 100}}]
    - name: note
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: NAME}, data: {url: "${steps.create.outputs.url}"}}]}
`))); err != nil {
		t.Fatal(err)
	}
}

// TestCallAsPlanned shows people what is sent where, without the Secret, sends it once, and waits until it is done.
func TestCallAsPlanned(t *testing.T) {
	someCalls(t, "caller", host.URL, "127.0.0.1")
	r, approval := openStage(t, "caller", `{"text":"a/b"}`)
	for _, line := range []string{
		"  call POST " + host.URL + "/caller/a%2Fb",
		"    header Authorization: Bearer (from key token of Secret caller)",
		"    body text: (new) a/b", "    body who: (new) alice", "    waits until \"response.body.done\"",
	} {
		if !slices.Contains(approval.Spec.Summary, line) {
			t.Errorf("people do not read %q in\n%s", line, strings.Join(approval.Spec.Summary, "\n"))
		}
	}
	if calls := host.made("/caller"); len(calls) > 0 {
		t.Fatalf("it was called before anybody agreed: %q", calls)
	}
	votes(t, users.Bob, approval, "Approve", "")
	done := reaches(t, r, v1alpha1.PhaseSucceeded)
	want := []string{
		"POST /caller/a/b " + string(r.UID) + `-create Bearer hunter2 {"text":"a/b","who":"alice"}`,
		"GET /caller/jobs/job-1  Bearer hunter2 ", "GET /caller/jobs/job-1  Bearer hunter2 ",
	}
	if calls := host.made("/caller"); !slices.Equal(calls, want) {
		t.Errorf("calls:\n%s\nwant:\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	}
	if string(done.Status.Steps[0].Outputs.Raw) != `{"url":"https://app.example.com"}` {
		t.Errorf("outputs: %s", done.Status.Steps[0].Outputs.Raw)
	}
	record := &v1alpha1.Record{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "signoff-system", Name: string(r.UID)}, record); err != nil {
		t.Fatal(err)
	}
	for _, object := range []any{done, approval, record} {
		if strings.Contains(fmt.Sprintf("%+v", object), "hunter2") {
			t.Errorf("%T holds what is in the Secret", object)
		}
	}
}

// TestCallNotAllowed is about calls that could never be made: nobody is asked to approve them.
func TestCallNotAllowed(t *testing.T) {
	for name, tc := range map[string]struct {
		url, allowed string
		secret       map[string]string
		want         string
	}{
		"stranger":     {"https://hooks.example.com", "hooks.example.com", token, "host hooks.example.com is not in egress.hosts"},
		"other-secret": {host.URL, "hooks.example.com", token, "may not be sent to 127.0.0.1"},
		"no-key":       {host.URL, "127.0.0.1", map[string]string{"tokn": "hunter2"}, `Secret platform/no-key has no key "token"`},
		"no-value":     {host.URL, "127.0.0.1", map[string]string{"token": "", "tokn": "hunter2"}, `Secret platform/no-value has no key "token"`},
	} {
		t.Run(name, func(t *testing.T) {
			someCallsWith(t, name, tc.url, tc.allowed, tc.secret)
			r := ask(t, users.Alice, request(name, `{"text":"a"}`))
			eventually(t, "the reason", func() (bool, string) {
				live := reaches(t, r, v1alpha1.PhasePending)
				text := fmt.Sprintf("%+v", live.Status.Conditions)
				if strings.Contains(text, "tokn") {
					t.Errorf("it tells which keys there are: %s", text)
				}
				return strings.Contains(text, tc.want), text
			})
			approvalsOf(t, r, 0)
		})
	}
}

// TestCallThatIsNoURL asks for a call that could never be made: that is said at once, with the field of the step.
func TestCallThatIsNoURL(t *testing.T) {
	someCalls(t, "no-url", host.URL, "127.0.0.1")
	r := request("no-url", `{"text":".."}`)
	eventually(t, "the Action", func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), r.DeepCopy())
		return err == nil || !strings.Contains(err.Error(), "there is no such Action"), errText(err)
	})
	refused(t, as(t, users.Alice).Create(t.Context(), r), metav1.StatusReasonForbidden,
		`cannot tell what would be executed: failed to render step "create": http.url: "`+host.URL+`/no-url/..": neither . nor .. can be a part of a path`, "Nothing was stored.")
}

// TestCallWithEmptyHeader asks without an input that only a header reads: the call is made without the header.
func TestCallWithEmptyHeader(t *testing.T) {
	apply(t, strings.NewReplacer("URL", host.URL, "BUNDLE", host.bundle()).Replace(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: empty-header}
spec:
  title: Call a host with a header that may be empty
  inputs: {openAPIV3Schema: {type: object, properties: {ticket: {type: string, maxLength: 63, default: ""}}}}
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - name: call
      http:
        method: POST
        url: URL/empty-header
        headers: [{name: X-Ticket, value: "${inputs.ticket}"}, {name: Authorization, value: "none"}]
        caBundle: |
          BUNDLE
`))
	r, approval := openStage(t, "empty-header", `{}`)
	if text := strings.Join(approval.Spec.Summary, "\n"); strings.Contains(text, "X-Ticket") || !strings.Contains(text, "header Authorization: none") {
		t.Errorf("people read another call than the one that is made:\n%s", text)
	}
	votes(t, users.Bob, approval, "Approve", "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if calls := host.made("/empty-header"); len(calls) != 1 || !strings.Contains(calls[0], "-call none") {
		t.Errorf("calls: %q", calls)
	}
}

// TestSlowHost lets many requests call a host that does not answer: more than there are workers. Others are executed meanwhile, and what waits for
// its turn can be cancelled.
func TestSlowHost(t *testing.T) {
	apply(t, strings.NewReplacer("URL", host.URL, "BUNDLE", host.bundle()).Replace(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: stuck}
spec:
  title: Call a host that does not answer
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    steps:
    - name: call
      http:
        method: POST
        url: URL/stuck/${request.uid}
        caBundle: |
          BUNDLE
`))
	const many, atOnce = 20, 8
	var asked []*v1alpha1.ActionRequest
	for range many {
		asked = append(asked, ask(t, users.Alice, request("stuck", `{}`)))
	}
	came := map[string]bool{}
	for range atOnce {
		select {
		case key := <-host.stuck:
			came[key] = true
		case <-time.After(time.Minute):
			t.Fatalf("%d calls came", len(came))
		}
	}
	independence(t)
	r := ask(t, users.Alice, request("independent", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	votes(t, users.Bob, &approvalsOf(t, r, 1)[0], v1alpha1.DecisionApprove, "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if len(host.stuck) > 0 {
		t.Errorf("more than %d calls at once were made to one host", atOnce)
	}
	waiting := slices.IndexFunc(asked, func(r *v1alpha1.ActionRequest) bool { return !came[string(r.UID)+"-call"] })
	reaches(t, asked[waiting], v1alpha1.PhaseExecuting)
	if err := patch(t, users.Alice, asked[waiting], `{"spec":{"cancellation":{"reason":"it takes too long"}}}`); err != nil {
		t.Fatal(err)
	}
	cancelled := reaches(t, asked[waiting], v1alpha1.PhaseCancelled)
	if text := strings.Join(cancelled.Status.Summary, "\n"); !strings.Contains(text, "It stopped before step call") {
		t.Errorf("the summary says %s", text)
	}
	close(host.free)
	for i, r := range asked {
		want, calls := v1alpha1.PhaseSucceeded, 1
		if i == waiting {
			want, calls = v1alpha1.PhaseCancelled, 0
		}
		reaches(t, r, want)
		if made := host.made(stuckPath + string(r.UID)); len(made) != calls {
			t.Errorf("%s was called %d times", r.Name, len(made))
		}
	}
}
