package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// town is an API server with many namespaces, in some of which whoever asks has rights.
type town struct {
	namespaces []string
	// rules are what one may do in a namespace. An authorizer that is not asked for lists leaves them out of these.
	rules      map[string]authorizationv1.ResourceRule
	incomplete bool
	// closed says that one may not list namespaces.
	closed bool
	// lists are how often Roles and Delegations of one namespace were asked for, and at most how many reviews there were at once.
	lists, now, most atomic.Int32
}

const prohibited = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "you may not"}`

// ServeHTTP implements http.Handler.
func (o *town) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	status, body := http.StatusForbidden, prohibited
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		status, body = http.StatusCreated, `{"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "status": {"userInfo": {"username": "bot"}}}`
	case r.Method == http.MethodPost:
		if now := o.now.Add(1); now > o.most.Load() {
			o.most.Store(now)
		}
		defer o.now.Add(-1)
		status, body = http.StatusCreated, o.review(r)
	case r.URL.Path == "/api/v1/namespaces" && !o.closed:
		status, body = http.StatusOK, o.page(r)
	case strings.Contains(r.URL.Path, "/namespaces/n"):
		o.lists.Add(1)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// page gives as many namespaces as were asked for, from where the last page ended.
func (o *town) page(r *http.Request) string {
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := min(from+limit, len(o.namespaces))
	next := ""
	if to < len(o.namespaces) {
		next = strconv.Itoa(to)
	}
	var items []string
	for _, name := range o.namespaces[from:to] {
		items = append(items, fmt.Sprintf(`{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": %q}}`, name))
	}
	return fmt.Sprintf(`{"kind": "NamespaceList", "apiVersion": "v1", "metadata": {"continue": %q}, "items": [%s]}`, next, strings.Join(items, ","))
}

func (o *town) review(r *http.Request) string {
	var asked struct {
		Spec struct {
			Namespace          string
			ResourceAttributes authorizationv1.ResourceAttributes
		}
	}
	_ = json.NewDecoder(r.Body).Decode(&asked)
	if strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
		wanted := &asked.Spec.ResourceAttributes
		rule := o.rules[wanted.Namespace]
		may := slices.Contains(rule.Verbs, wanted.Verb) && slices.Contains(rule.Resources, wanted.Resource) && slices.Contains(rule.APIGroups, wanted.Group)
		return fmt.Sprintf(`{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": {"allowed": %t}}`, may)
	}
	rules := []authorizationv1.ResourceRule{}
	if rule, ok := o.rules[asked.Spec.Namespace]; ok && !o.incomplete {
		rules = append(rules, rule)
	}
	text, _ := json.Marshal(rules)
	// As the API server does, it does not repeat what was asked.
	return fmt.Sprintf(`{"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "status": {"incomplete": %t, "resourceRules": %s, "nonResourceRules": []}}`, o.incomplete, text)
}

// TestLooksInAllNamespaces: a right to approve is found in whichever namespace it is, however many there are.
func TestLooksInAllNamespaces(t *testing.T) {
	var many []string
	for i := range 2*pageOfNamespaces + 1 {
		many = append(many, fmt.Sprintf("n%04d", i))
	}
	last := many[len(many)-1]
	approves := authorizationv1.ResourceRule{Verbs: []string{"patch"}, APIGroups: ours, Resources: []string{"approvals"}}
	reads := authorizationv1.ResourceRule{Verbs: []string{"list"}, APIGroups: ours, Resources: []string{"roles"}}
	found := "RBAC lets it vote on Approvals (patch approvals.signoff.dev in namespace " + last + ")"
	for name, tc := range map[string]struct {
		reason string
		town   *town
		exit   int
		words  string
		lists  int32
	}{
		"Last":       {"a right in the last of three pages", &town{namespaces: many, rules: map[string]authorizationv1.ResourceRule{last: approves}}, exitNo, found, 0},
		"Incomplete": {"also where the API server lists no rights", &town{namespaces: many, rules: map[string]authorizationv1.ResourceRule{last: approves}, incomplete: true}, exitNo, found, 0},
		"Nowhere":    {"nobody can tell by Roles", &town{namespaces: many}, exitYes, "namespaces that are looked at: n0000, n0001, n0002, n0003, n0004, n0005, n0006, n0007, 994 more.\n", 0},
		"Reader":     {"Roles and Delegations are read where one may read any", &town{namespaces: many, rules: map[string]authorizationv1.ResourceRule{last: reads}}, exitYes, "note: ", 2},
		"Unlisted":   {"who may not list namespaces is asked about those in use", &town{closed: true}, exitYes, "namespaces that are looked at: shop.\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
			s := httptest.NewServer(tc.town)
			defer s.Close()
			got := run(t, "", "mcp", "-n", "shop", "--server", s.URL)
			if got.exit != tc.exit || !strings.Contains(got.stderr, tc.words) {
				t.Errorf("%s: it ends with %d, and says %s", tc.reason, got.exit, got.stderr)
			}
			if most := tc.town.most.Load(); most > namespacesAtOnce || tc.town.lists.Load() != tc.lists {
				t.Errorf("%s: %d reviews at once, and %d lists", tc.reason, most, tc.town.lists.Load())
			}
		})
	}
}

// TestNotServedUntold: where the namespaces cannot be listed to the end, nobody is served.
func TestNotServedUntold(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	there := &town{namespaces: make([]string, pageOfNamespaces+1)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("continue") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusGone)
			_, _ = io.WriteString(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}`)
			return
		}
		there.ServeHTTP(w, r)
	}))
	defer s.Close()
	if got := run(t, "", "mcp", "-n", "shop", "--server", s.URL); got.exit != exitError || !strings.Contains(got.stderr, "could approve, so it is not served: failed to list namespaces") {
		t.Errorf("it ends with %d, and says %s", got.exit, got.stderr)
	}
}
