package security

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
	"github.com/signoff-dev/signoff/webhooks"
)

// unmoved sends something to everything that Signoff listens on, and expects that a request and its Approval are as they were. It gives the
// best answer that anybody got to what is not served.
func unmoved(t *testing.T, method, body string, paths ...string) {
	t.Helper()
	r, approval := open(t)
	certificate, key, err := cluster.WebhookClientCertificate()
	if err != nil {
		t.Fatal(err)
	}
	before, asked := live(t, approval), live(t, r)
	servers := map[string]*http.Client{
		"http://" + healthAddress: http.DefaultClient, "http://" + metricsAddress: http.DefaultClient, signoff.WebhookURL: caller(t, certificate, key),
	}
	for server, c := range servers {
		for _, path := range paths {
			path = strings.NewReplacer("NAME", approval.Name, "UID", string(r.UID)).Replace(path)
			status, text := answer(t, c, method, server+path, strings.ReplaceAll(body, "NAME", approval.Name))
			if strings.Contains(text, before.Spec.Seal.Signature) || status >= http.StatusInternalServerError {
				t.Errorf("%s %s: %d %s", method, path, status, text)
			}
		}
	}
	if now := live(t, approval); now.ResourceVersion != before.ResourceVersion || len(now.Spec.Votes) != 0 {
		t.Errorf("the Approval was changed: %+v", now.Spec.Votes)
	}
	if now := live(t, r); now.Generation != asked.Generation || now.Status.Phase != v1alpha1.PhaseAwaitingApproval {
		t.Errorf("the request was changed: %+v", now.Status)
	}
}

// servedPaths are the paths that Signoff answers at.
var servedPaths = []string{
	"/metrics", "/healthz", "/readyz", "/healthz/alive", "/readyz/snapshot", webhooks.PathMutateActionRequest, webhooks.PathValidateActionRequest,
	webhooks.PathMutateApproval, webhooks.PathValidateApproval, webhooks.PathValidateGoverning, webhooks.PathValidateRecord,
}

// TestCase53LinkThatIsOpened opens, as the scanner of a mail or whoever was sent it further, whatever could be a link.
func TestCase53LinkThatIsOpened(t *testing.T) {
	paths := []string{"/", "/approve?approval=NAME", "/approvals/NAME/approve", "/v1/approve/NAME?vote=Approve&token=UID"}
	for _, path := range servedPaths {
		paths = append(paths, path+"?approval=NAME&vote=Approve")
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		unmoved(t, method, "", paths...)
	}
}

// TestCase54ForgedCallback posts what chats and ticket systems would, in the name of bob and without a signature.
func TestCase54ForgedCallback(t *testing.T) {
	paths := []string{"/slack/interactive", "/callback", "/jira", "/servicenow", "/api/approvals/NAME"}
	paths = append(paths, servedPaths...)
	unmoved(t, http.MethodPost, `{"type":"block_actions","user":{"id":"U1","username":"bob"},"actions":[{"action_id":"approve","value":"NAME"}]}`, paths...)
	unmoved(t, http.MethodPost, strings.NewReplacer(`"operation":"CREATE"`, `"operation":"UPDATE"`, "actionrequests", "approvals", "ActionRequest", "Approval", "forged-review", "NAME").Replace(forgedReview), paths...)
	unmoved(t, http.MethodPut, `{"spec":{"vote":{"decision":"Approve"}}}`, paths...)
}

// TestCase55AgentApproves plays agents that a stage names, that hold "approve", and that come back as somebody else of their own: none may vote, also
// not on what others asked for.
func TestCase55AgentApproves(t *testing.T) {
	_, own := opened(t, users.Agent, request("machines", `{}`))
	second, err := cluster.ServiceAccount(t.Context(), env.AgentNamespace, "second")
	if err != nil {
		t.Fatal(err)
	}
	session, err := cluster.ServiceAccount(t.Context(), env.AgentNamespace, "bot")
	if err != nil {
		t.Fatal(err)
	}
	login := login(t, assistant)
	for _, who := range []env.Person{users.Agent, {Name: "another session", Config: session}, {Name: "another account", Config: second}} {
		refused(t, vote(t, who, own, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "is not a person")
	}
	refused(t, vote(t, login, own, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "assistant is an agent, not a person")
	// A second login of it, and its name in other letters, with the groups of people who may approve.
	_, engineers := opened(t, users.Alice, request("two-engineers", `{}`))
	for _, name := range []string{"assistant@laptop", "Assistant", "\uff41ssistant", "assis\u200btant"} {
		refused(t, vote(t, engineer(t, name), engineers, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "is an agent, not a person")
	}
	_, others := opened(t, login, request("machines", `{}`))
	for _, decision := range []v1alpha1.Decision{v1alpha1.DecisionApprove, v1alpha1.DecisionDeny, v1alpha1.DecisionWithdraw} {
		err := vote(t, login, others, decision, "because")
		if !apierrors.IsForbidden(err) {
			t.Errorf("an agent has no say: %s: %v", decision, err)
		}
	}
	votes(t, users.Carol, others, v1alpha1.DecisionApprove)
	closes(t, others, v1alpha1.ApprovalApproved)
}

// TestCase56AlwaysApprove looks for a way to agree to what was not asked for yet: no kind says so, and what was agreed to once is agreed to once.
func TestCase56AlwaysApprove(t *testing.T) {
	var kinds []string
	for _, each := range discovered(t) {
		if each.subresource == "" {
			kinds = append(kinds, each.Resource)
		}
	}
	slices.Sort(kinds)
	want := []string{"actionpolicies", "actionrequests", "actions", "approvals", "calendars", "delegations", "notifiers", "records", "roles", "teams"}
	if !slices.Equal(kinds, want) {
		t.Errorf("a new kind: can it approve in advance? got %v", kinds)
	}
	first, one := opened(t, users.Alice, request("two-engineers", `{}`))
	second, two := opened(t, users.Alice, request("two-engineers", `{}`))
	for _, who := range []env.Person{users.Bob, users.Carol} {
		votes(t, who, one, v1alpha1.DecisionApprove)
	}
	reaches(t, first, v1alpha1.PhaseSucceeded)
	neverStarts(t, second, v1alpha1.PhaseAwaitingApproval)
	third, three := opened(t, users.Alice, request("two-engineers", `{}`))
	for _, approval := range []*v1alpha1.Approval{two, three} {
		if len(live(t, approval).Spec.Votes) != 0 || approval.Spec.Digest == one.Spec.Digest {
			t.Errorf("it is another request: %+v", approval.Spec)
		}
	}
	neverStarts(t, third, v1alpha1.PhaseAwaitingApproval)
	record := recordOf(t, first)
	if len(record.Spec.Approvals) != 1 || !slices.Equal(record.Spec.Approvals[0].ApprovedBy, []string{"bob", "carol"}) {
		t.Errorf("the Record says who agreed to this one: %+v", record.Spec.Approvals)
	}
}

// TestCase58EvidenceEditedOrDeleted edits and deletes what happened, with every right of RBAC: what is deleted survives elsewhere.
func TestCase58EvidenceEditedOrDeleted(t *testing.T) {
	t.Parallel() // a namespace takes its time to go
	ctx := t.Context()
	const place = "forgotten"
	namespace(t, place)
	for _, right := range []string{env.RoleRequester, env.RoleApprover} {
		if err := cluster.Grant(ctx, right, place, env.ToGroup(env.GroupEngineering)); err != nil {
			t.Fatal(err)
		}
	}
	r := request("deploy", play.ProductionInputs)
	r.Namespace = place
	r, approval := opened(t, users.Alice, r)
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
	record := recordOf(t, r)
	ada := as(t, users.Ada)
	for name, err := range map[string]error{
		"RequestStatus":  patchStatus(t, users.Ada, live(t, r), `{"status":{"summary":["nothing happened"]}}`),
		"ApprovalStatus": patchStatus(t, users.Ada, live(t, approval), `{"status":{"decided":["approved by nobody"]}}`),
		"Approval":       ada.Delete(ctx, live(t, approval)),
		"RecordStatus":   patchStatus(t, users.Ada, record, `{"status":{"observedGeneration":77}}`),
		"RecordLabels":   patch(t, users.Ada, record, `{"metadata":{"labels":{"signoff.dev/hour":"1970-01-01T00"}}}`),
		"RecordDeleted":  ada.Delete(ctx, record.DeepCopy()),
		"Records":        ada.DeleteAllOf(ctx, &v1alpha1.Record{}, client.InNamespace(env.SystemNamespace)),
	} {
		t.Run(name, func(t *testing.T) { refused(t, err, metav1.StatusReasonForbidden) })
	}
	for name, err := range map[string]error{
		"Request": patch(t, users.Ada, live(t, r), `{"spec":{"reason":"something else"}}`),
		"Vote":    patch(t, users.Ada, live(t, approval), `{"spec":{"votes":[]}}`),
		"Record":  patch(t, users.Ada, record, `{"spec":{"digest":"sha256:`+strings.Repeat("0", 64)+`"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
	// Who owns the namespace may have it deleted, with all that is in it. What was executed, and by whose word, is told elsewhere.
	if err := ada.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: place}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request is gone", func() (bool, string) {
		err := admin(t).Get(ctx, client.ObjectKeyFromObject(r), &v1alpha1.ActionRequest{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	if kept := recordOf(t, r); !slices.Equal(kept.Spec.Approvals[0].ApprovedBy, []string{"bob"}) || kept.Spec.Requester.Username != "alice" {
		t.Errorf("the Record must tell it all: %+v", kept.Spec)
	}
	chain(t, r)
}

// chain verifies the audit log as it is, and with a line removed or changed, and its end cut off.
func chain(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	ring, err := play.PublicKeys(as(t, users.Ada))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(evidence)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(raw[:bytes.LastIndexByte(raw, '\n')+1], []byte("\n"))
	about := slices.IndexFunc(lines, func(line []byte) bool { return bytes.Contains(line, []byte(r.UID)) })
	if about < 1 {
		t.Fatal("the log says nothing about it")
	}
	for name, tc := range map[string]struct {
		lines [][]byte
		gap   audit.GapKind
	}{
		"whole":   {lines, ""},
		"removed": {slices.Delete(slices.Clone(lines), about, about+1), audit.GapRemoved},
		"changed": {slices.Concat(lines[:about], [][]byte{bytes.Replace(lines[about], []byte("alice"), []byte("carol"), 1)}, lines[about+1:]), audit.GapSeal},
		"cut":     {slices.Concat(lines[:about], [][]byte{lines[about][:50]}), audit.GapTruncated},
		"twice":   {slices.Concat(lines[:about], [][]byte{lines[about]}, lines[about:]), audit.GapRepeated},
	} {
		report, err := audit.Verify(bytes.NewReader(bytes.Join(tc.lines, nil)), ring)
		if err != nil {
			t.Fatal(err)
		}
		var gap audit.GapKind
		if report.Gap != nil {
			gap = report.Gap.Kind
		}
		if gap != tc.gap {
			t.Errorf("%s: want gap %q, got %+v", name, tc.gap, report.Gap)
		}
	}
}

// TestCase57BreakGlassRunsAtOnceAndIsReviewed breaks the glass during a freeze.
func TestCase57BreakGlassRunsAtOnceAndIsReviewed(t *testing.T) {
	frozen(t)
	r := ask(t, users.Alice, emergency("em-frozen"))
	done := reaches(t, r, v1alpha1.PhaseSucceeded)
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "emergency", Name: string(r.UID)}, &corev1.ConfigMap{}); err != nil {
		t.Fatalf("it did not run: %v", err)
	}
	hasReviewed(t, r, metav1.ConditionFalse, v1alpha1.ReasonAwaitingReview)
	checkOverridden(t, done)
	open := review(t, r)
	checkReview(t, done, open)

	refused(t, vote(t, users.Alice, open, "Approve", ""), metav1.StatusReasonForbidden, "you cannot approve this: you asked for it")
	refused(t, vote(t, users.AliceAgain, open, "Approve", ""), metav1.StatusReasonForbidden, "You are alice (as alice@laptop)")
	refused(t, vote(t, users.Bob, open, "Approve", ""), metav1.StatusReasonForbidden, `you (bob) cannot approve stage "review"`)
	refused(t, as(t, users.Ada).Delete(t.Context(), done), metav1.StatusReasonForbidden, "broke the glass and cannot be deleted before it is reviewed", "kubectl describe approval -n payments "+open.Name)
	refused(t, as(t, users.Ada).Delete(t.Context(), open), metav1.StatusReasonForbidden, "an Approval is the evidence")
	if err := vote(t, users.Erin, open, "Approve", "was right"); err != nil {
		t.Fatalf("a reviewer could not review: %v", err)
	}
	closed := closes(t, open, v1alpha1.ApprovalApproved)
	if text := strings.Join(closed.Status.Decided, " "); !strings.Contains(text, "approved by erin") {
		t.Errorf("decided: %q", text)
	}
	if c := hasReviewed(t, r, metav1.ConditionTrue, v1alpha1.ReasonReviewed); !strings.Contains(c.Message, "approved by erin") {
		t.Errorf("the condition does not say who reviewed: %q", c.Message)
	}
	if err := as(t, users.Ada).Delete(t.Context(), done); err != nil {
		t.Errorf("a request that is reviewed can be deleted: %v", err)
	}
}

func checkOverridden(t *testing.T, r *v1alpha1.ActionRequest) {
	t.Helper()
	for _, rule := range r.Status.Verdict.Rules {
		if rule.Name == "policy/em-freeze/frozen" && rule.Answer == v1alpha1.RuleOverridden {
			return
		}
	}
	t.Errorf("the verdict must mark the rule as Overridden: %+v", r.Status.Verdict.Rules)
}

func checkReview(t *testing.T, r *v1alpha1.ActionRequest, open *v1alpha1.Approval) {
	t.Helper()
	if due := open.Spec.ExpiresAt.Sub(r.Status.Execution.StartedAt.Time); due < 8*time.Hour-time.Minute || due > 8*time.Hour {
		t.Errorf("the review is due 8h after the start, got %s", due)
	}
	if open.Spec.Digest != r.Status.Digest || open.Spec.For != "checkout is down" {
		t.Errorf("the review must be about what ran, and why: %s, %q", open.Spec.Digest, open.Spec.For)
	}
	for _, words := range []string{"alice broke the glass", `"checkout is down"`, "ActionPolicy em-freeze, rule frozen", "Not alice."} {
		if text := strings.Join(open.Spec.Summary, "\n"); !strings.Contains(text, words) {
			t.Errorf("a reviewer does not read %q:\n%s", words, text)
		}
	}
	eventually(t, "a loud Event", func() (bool, string) {
		list := &eventsv1.EventList{}
		err := admin(t).List(t.Context(), list, client.InNamespace(r.Namespace))
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == v1alpha1.ReasonBreakGlass && e.Regarding.UID == r.UID && e.Type == corev1.EventTypeWarning {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%d Events, %v", len(list.Items), err)
	})
}

// TestCase57HitAndRun deletes an emergency the moment it is made: either the deletion is refused because the review is open, or nothing ran.
func TestCase57HitAndRun(t *testing.T) {
	frozen(t)
	for range 5 {
		r := ask(t, users.Alice, emergency("em-frozen"))
		err := as(t, users.Ada).Delete(t.Context(), r.DeepCopy())
		if err != nil {
			refused(t, err, metav1.StatusReasonForbidden, "cannot be deleted")
			reaches(t, r, v1alpha1.PhaseSucceeded)
			review(t, r)
			continue
		}
		eventually(t, "the request is gone", func() (bool, string) {
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), &v1alpha1.ActionRequest{})
			return apierrors.IsNotFound(err), fmt.Sprint(err)
		})
		err = admin(t).Get(t.Context(), types.NamespacedName{Namespace: "emergency", Name: string(r.UID)}, &corev1.ConfigMap{})
		if !apierrors.IsNotFound(err) {
			t.Fatalf("an emergency ran, and its review is gone with the request: %v", err)
		}
	}
}
