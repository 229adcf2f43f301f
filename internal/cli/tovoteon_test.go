package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// office is an API server that has Approvals of requests, and lets the caller vote on some of them.
type office struct {
	// open are the open Approvals of each request, and voter those on which one may vote.
	open  map[string][]string
	voter []string
	// untold are those of which the webhook cannot tell at the moment.
	untold []string
	// got is the name of the Approval that was voted on, and comment what was said.
	got, comment string
}

const absent = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found", "details": {"name": "x"}}`

func approvalObject(name string) string {
	return fmt.Sprintf(`{"kind": "Approval", "apiVersion": "signoff.dev/v1alpha1", "metadata": {"namespace": "shop", "name": %q, "uid": %q},
  "spec": {"digest": "sha256:1", "summary": ["it is %s"], "votes": []}, "status": {"state": "Open"}}`, name, name, name)
}

// ServeHTTP implements http.Handler.
func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/apis/signoff.dev/v1alpha1/namespaces/shop/"), "/")
	status, body := http.StatusNotFound, absent
	switch {
	case kind == "actionrequests" && o.open[name] != nil:
		status, body = http.StatusOK, `{"kind": "ActionRequest", "apiVersion": "signoff.dev/v1alpha1", "metadata": {"namespace": "shop", "name": "`+name+`"}}`
	case kind == "approvals" && name == "":
		status, body = http.StatusOK, o.list(r)
	case kind == "approvals" && r.Method == http.MethodPatch:
		status, body = o.vote(name, r)
	case kind == "approvals" && o.knows(name):
		status, body = http.StatusOK, approvalObject(name)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (o *office) knows(name string) bool {
	for _, names := range o.open {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// list gives the Approvals of the request that a field selector names.
func (o *office) list(r *http.Request) string {
	var rows []string
	for request, names := range o.open {
		if r.URL.Query().Get("fieldSelector") != "spec.requestRef.name="+request+",status.state=Open" {
			continue
		}
		for _, name := range names {
			rows = append(rows, fmt.Sprintf(`{"cells": [%q], "object": %s}`, name, approvalObject(name)))
		}
	}
	return `{"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [{"name": "Name", "type": "string"}], "rows": [` + strings.Join(rows, ",") + `]}`
}

func (o *office) vote(name string, r *http.Request) (status int, body string) {
	if slices.Contains(o.untold, name) {
		return http.StatusForbidden, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "` +
			strings.ReplaceAll(ourRefusal, `"`, `\"`) + `cannot tell who you are", "details": {"causes": [{"reason": "Transient"}]}}`
	}
	if !slices.Contains(o.voter, name) {
		return http.StatusForbidden, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "` +
			strings.ReplaceAll(ourRefusal, `"`, `\"`) + `you cannot approve this", "details": {}}`
	}
	if r.URL.Query().Get("dryRun") == "" {
		var sent struct {
			Spec struct{ Vote struct{ Comment string } }
		}
		_ = json.NewDecoder(r.Body).Decode(&sent)
		o.got, o.comment = name, sent.Spec.Vote.Comment
	}
	return http.StatusOK, strings.Replace(approvalObject(name), `"votes": []`, `"votes": [{"decision": "Approve", "voter": {"username": "bob"}}]`, 1)
}

// TestVoteByTheNameOfARequest: people see requests, and vote on Approvals.
func TestVoteByTheNameOfARequest(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		word   string
		voter  []string
		exit   int
		got    string
		words  string
	}{
		"Approval":    {"its own name", "sale-owners", []string{"sale-owners"}, 0, "sale-owners", "it is sale-owners"},
		"Request":     {"it has one", "sale", []string{"sale-owners"}, 0, "sale-owners", "it is sale-owners"},
		"AsPrinted":   {"as -o name prints it", "actionrequest.signoff.dev/sale", []string{"sale-owners"}, 0, "sale-owners", ""},
		"Full":        {"with its namespace", "actionrequest.signoff.dev/shop/sale", []string{"sale-owners"}, 0, "sale-owners", ""},
		"Mine":        {"one of two is for me", "two", []string{"two-checkers"}, 0, "two-checkers", "it is two-checkers"},
		"Both":        {"nobody can tell which is meant", "two", []string{"two-owners", "two-checkers"}, 2, "", "several Approvals of request shop/two are open, and you can vote on 2 of them; name one: two-owners, two-checkers"},
		"Neither":     {"the webhook would refuse both", "two", nil, 2, "", "and you can vote on 0 of them; name one: two-owners, two-checkers"},
		"Refused":     {"the webhook says why", "sale", nil, 1, "", "refused: you cannot approve this"},
		"Over":        {"there is nothing to vote on", "over", nil, 2, "", "no Approval of request shop/over is open; see: kubectl signoff show -n shop over"},
		"Nothing":     {"there is neither", "nothing", nil, 2, "", "there is no Approval shop/nothing; see what there is: kubectl signoff inbox -n shop"},
		"NoRequest":   {"there is no such request", "actionrequest/nothing", nil, 2, "", "there is no ActionRequest shop/nothing"},
		"OtherObject": {"what nobody votes on", "action/sale", nil, 2, "", "that names Action, and Approval is wanted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
			there := &office{open: map[string][]string{"sale": {"sale-owners"}, "two": {"two-owners", "two-checkers"}, "over": {}}, voter: tc.voter}
			s := httptest.NewServer(there)
			defer s.Close()
			for _, verb := range []string{"approve", "deny", "withdraw"} {
				there.got = ""
				got := run(t, "", verb, tc.word, "-n", "shop", "--server", s.URL)
				if got.exit != tc.exit || there.got != tc.got || !strings.Contains(got.stderr, tc.words) {
					t.Errorf("%s, where %s: it ends with %d, votes on %q, and says %s", verb, tc.reason, got.exit, there.got, got.stderr)
				}
			}
		})
	}
}

// TestDenyForAReason: whoever asks or cancels says --reason.
func TestDenyForAReason(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	there := &office{open: map[string][]string{"sale": {"sale-owners"}}, voter: []string{"sale-owners"}}
	s := httptest.NewServer(there)
	defer s.Close()
	for _, flag := range []string{"--reason", "--comment", "-m"} {
		there.comment = ""
		if got := run(t, "", "deny", "sale", "-n", "shop", "--server", s.URL, flag, "wrong image"); got.exit != exitYes || there.comment != "wrong image" {
			t.Errorf("%s: it ends with %d, with comment %q: %s", flag, got.exit, there.comment, got.stderr)
		}
	}
	if got := run(t, "", "deny", "sale", "--reason", "a", "--comment", "b"); got.exit != exitError || !strings.Contains(got.stderr, "[comment reason]") {
		t.Errorf("with both it ends with %d and says %s", got.exit, got.stderr)
	}
}

// TestVoteOnNoneUntold: where of one of several nobody can tell, that one may be meant, and nothing is voted on.
func TestVoteOnNoneUntold(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	there := &office{open: map[string][]string{"two": {"two-owners", "two-checkers"}}, voter: []string{"two-checkers"}, untold: []string{"two-owners"}}
	s := httptest.NewServer(there)
	defer s.Close()
	for verb, words := range map[string]string{
		"approve": "cannot tell whether shop/two-owners waits for you: refused: cannot tell who you are",
		"deny":    "cannot tell whether shop/two-owners waits for you", "withdraw": "cannot tell whether you can take back a vote on shop/two-owners: refused: cannot tell who you are",
	} {
		if got := run(t, "", verb, "two", "-n", "shop", "--server", s.URL); got.exit != exitError || there.got != "" || !strings.Contains(got.stderr, words) {
			t.Errorf("%s ends with %d, votes on %q, and says %s", verb, got.exit, there.got, got.stderr)
		}
	}
}
