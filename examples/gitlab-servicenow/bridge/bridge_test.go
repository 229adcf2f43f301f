package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/peers"
)

const uid = "u-1"

var (
	now    = "sha256:" + strings.Repeat("a", 64)
	before = "sha256:" + strings.Repeat("b", 64)
)

// sides are what the bridge is between: the ServiceNow of the tests, and a cluster without webhooks, in which a vote stays as it was written.
type sides struct {
	*bridge
	t    *testing.T
	said bytes.Buffer
}

func newSides(t *testing.T) *sides {
	t.Helper()
	p, err := peers.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	environment := map[string]string{}
	for _, entry := range p.Environment() {
		name, value, _ := strings.Cut(entry, "=")
		environment[name] = value
	}
	s := &sides{t: t}
	s.bridge = &bridge{namespace: "deployments", action: "platform/deploy-by-pipeline", out: &s.said}
	if s.changes, err = newTable(environment["SERVICENOW_URL"], environment["SERVICENOW_TOKEN"], environment["SERVICENOW_CA"]); err != nil {
		t.Fatal(err)
	}
	return s
}

// call calls ServiceNow as somebody who works there, and gives the sys_id of a record.
func (s *sides) call(method string, f fields, into any, path ...string) {
	s.t.Helper()
	raw, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.changes.address.JoinPath(path...).String(), bytes.NewReader(raw))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.changes.token)
	answer, err := s.changes.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(&struct{ Result any }{into}); err != nil || answer.StatusCode >= http.StatusBadRequest {
		s.t.Fatalf("%s: %v", answer.Status, err)
	}
}

// made makes a change.
func (s *sides) made(f fields) *change {
	s.t.Helper()
	c := &change{}
	s.call(http.MethodPost, f, c)
	return c
}

// most is how many objects the cluster gives at once, in which one may be large.
const most = 100

// paged gives lists as the API server does, to which the fake client pays no attention, and refuses to give everything at once.
func paged(most int64) func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
	return func(ctx context.Context, through client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		asked := (&client.ListOptions{}).ApplyOptions(options)
		if asked.Limit < 1 || asked.Limit > most {
			return fmt.Errorf("%d are asked for", asked.Limit)
		}
		if err := through.List(ctx, list, client.InNamespace(asked.Namespace)); err != nil {
			return err
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			return err
		}
		from, _ := strconv.Atoi(asked.Continue)
		to := min(from+int(asked.Limit), len(items))
		if to < len(items) {
			list.SetContinue(strconv.Itoa(to))
		}
		return meta.SetList(list, items[from:to])
	}
}

// cluster has these objects.
func cluster(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{List: paged(most)}).Build()
}

// run runs the bridge with these objects in the cluster, and gives the votes by the names of the Approvals.
func (s *sides) run(objects ...client.Object) map[string]string {
	s.t.Helper()
	s.cluster = cluster(s.t, objects...)
	if err := s.pass(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	approvals, votes := &v1alpha1.ApprovalList{}, map[string]string{}
	if err := s.cluster.List(s.t.Context(), approvals, client.Limit(most)); err != nil {
		s.t.Fatal(err)
	}
	for i := range approvals.Items {
		a := &approvals.Items[i]
		if vote := a.Spec.Vote; vote != nil && vote.Digest == a.Spec.Digest {
			votes[a.Name] = string(vote.Decision) + ": " + vote.Comment
		}
	}
	return votes
}

// request has a change, once id is given.
func request(uid, id string, status v1alpha1.ActionRequestStatus) *v1alpha1.ActionRequest {
	if id != "" {
		status.Planning = &v1alpha1.Planning{Steps: []v1alpha1.StepStatus{
			{Name: "find"}, {Name: "change", Outputs: &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"number":"CHG0030001","id":%q}`, id)}},
		}}
	}
	return &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "deployments", Name: "basket-" + uid, UID: types.UID(uid)},
		Spec:       v1alpha1.ActionRequestSpec{ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "deploy-by-pipeline"}}, Status: status,
	}
}

func approval(name, uid string, edit ...func(*v1alpha1.Approval)) *v1alpha1.Approval {
	a := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: "deployments", Name: name},
		Spec: v1alpha1.ApprovalSpec{
			RequestRef: v1alpha1.RequestReference{Name: "basket-" + uid, UID: types.UID(uid)}, Stage: v1alpha1.StageReference{Name: "change"},
			Digest: now, Summary: []string{"alice asks"},
		},
		Status: v1alpha1.ApprovalStatus{State: v1alpha1.ApprovalOpen},
	}
	for _, f := range edit {
		f(a)
	}
	return a
}

// TestDecide plays what may be in ServiceNow while people are asked here.
func TestDecide(t *testing.T) {
	type outcome struct {
		Approval, Digest string
		Votes            map[string]string
	}
	votes := func(vote string) map[string]string { return map[string]string{"own": vote} }
	open := []client.Object{approval("own", uid)}
	ofPolicy := func(a *v1alpha1.Approval) { a.Spec.Stage = v1alpha1.StageReference{Name: "change", Policy: "budget"} }
	for name, tc := range map[string]struct {
		reason    string
		change    fields
		approvals []client.Object
		want      outcome
	}{
		"New": {
			"ServiceNow is asked about what would be executed",
			fields{"approval": "requested"}, open, outcome{"requested", now, nil},
		},
		"Waiting": {
			"it was asked, and has not decided",
			fields{"approval": "requested", "correlation_display": now}, open, outcome{"requested", now, nil},
		},
		"Approved": {
			"it agrees to what would be executed",
			fields{"approval": "approved", "correlation_display": now}, open, outcome{"approved", now, votes("Approve: approved in ServiceNow, CHG0030001")},
		},
		"ApprovedBefore": {
			"it agreed to something else, so it is asked again",
			fields{"approval": "approved", "correlation_display": before}, open, outcome{"requested", now, nil},
		},
		"ApprovedUnasked": {
			"nobody there knew to what they agree",
			fields{"approval": "approved"}, open, outcome{"requested", now, nil},
		},
		"Rejected": {
			"a rejection is a denial",
			fields{"approval": "rejected", "correlation_display": now}, open, outcome{"rejected", now, votes("Deny: rejected in ServiceNow, CHG0030001")},
		},
		"RejectedUnasked": {
			"also before the bridge has looked for the first time",
			fields{"approval": "rejected"}, open, outcome{"rejected", "", votes("Deny: rejected in ServiceNow, CHG0030001")},
		},
		"RejectedBefore": {
			"and also if the Action has changed since",
			fields{"approval": "rejected", "correlation_display": before}, open, outcome{"rejected", before, votes("Deny: rejected in ServiceNow, CHG0030001")},
		},
		"RejectedAndClosed": {
			"a rejection that ends the change",
			fields{"approval": "rejected", "state": canceled}, open, outcome{"rejected", "", votes("Deny: rejected in ServiceNow, CHG0030001")},
		},
		"Canceled": {
			"nothing may be done under a change that is over",
			fields{"approval": "requested", "state": canceled}, open, outcome{"requested", "", votes("Deny: closed in ServiceNow, CHG0030001")},
		},
		"ApprovedAndClosed": {
			"also where it was agreed to before",
			fields{"approval": "approved", "state": closed, "correlation_display": now}, open, outcome{"approved", now, votes("Deny: closed in ServiceNow, CHG0030001")},
		},
		"OtherStage": {
			"an ActionPolicy asks others, in a stage of the same name that is listed first",
			fields{"approval": "approved", "correlation_display": now}, []client.Object{approval("budget", uid, ofPolicy), approval("own", uid)},
			outcome{"approved", now, votes("Approve: approved in ServiceNow, CHG0030001")},
		},
		"NoStageOfItsOwn": {
			"what others are asked about is not for ServiceNow to decide",
			fields{"approval": "rejected"}, []client.Object{approval("budget", uid, ofPolicy)}, outcome{"rejected", "", nil},
		},
		"Review": {
			"nor is the review of an emergency",
			fields{"approval": "rejected"}, []client.Object{approval("own", uid, func(a *v1alpha1.Approval) { a.Spec.Review = true })}, outcome{"rejected", "", nil},
		},
		"Decided": {
			"the first decision was made here",
			fields{"approval": "rejected"}, []client.Object{approval("own", uid, func(a *v1alpha1.Approval) { a.Status.State = v1alpha1.ApprovalApproved })},
			outcome{"rejected", "", nil},
		},
		"OtherRequest": {
			"an Approval of another request",
			fields{"approval": "rejected"}, []client.Object{approval("own", "u-2")}, outcome{"rejected", "", nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides(t)
			tc.change["correlation_id"] = uid
			c := s.made(tc.change)
			got := outcome{Votes: s.run(append([]client.Object{request(uid, c.ID, v1alpha1.ActionRequestStatus{})}, tc.approvals...)...)}
			s.call(http.MethodGet, nil, c, c.ID)
			got.Approval, got.Digest = c.Approval, c.Digest
			if tc.want.Votes == nil {
				tc.want.Votes = map[string]string{}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\nIt said:\n%s", tc.reason, diff, &s.said)
			}
		})
	}
}

// TestClose plays what may be in ServiceNow when a request has ended.
func TestClose(t *testing.T) {
	claim := &v1alpha1.ExecutionClaim{ID: "r"}
	for name, tc := range map[string]struct {
		reason  string
		change  fields
		status  v1alpha1.ActionRequestStatus
		planned bool
		want    fields
	}{
		"Denied": {
			"nothing will be executed",
			fields{"approval": "requested"}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeDenied, Summary: []string{"Denied by carla"}}, true,
			fields{"approval": "rejected", "state": canceled, "work_notes": "Signoff: Denied by carla"},
		},
		"FailedWhilePlanning": {
			"there is a change, although the plan steps have not come to their end",
			fields{"approval": "requested"}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeFailed}, false,
			fields{"approval": "rejected", "state": canceled, "work_notes": "Signoff: Failed"},
		},
		"Told": {
			"the last step has told it",
			fields{"approval": "approved", "state": closed}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeSucceeded, Execution: claim}, true,
			fields{"approval": "approved", "state": closed},
		},
		"CanceledThere": {
			"there is nothing to close",
			fields{"approval": "requested", "state": canceled}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeExpired}, true,
			fields{"approval": "requested", "state": canceled},
		},
		"Succeeded": {
			"the last step could not tell it",
			fields{"approval": "approved", "state": "-1"}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeSucceeded, Execution: claim}, true,
			fields{"approval": "approved", "state": closed, "close_code": "successful", "close_notes": "Ended as Succeeded."},
		},
		"Failed": {
			"nor that the pipeline failed",
			fields{"approval": "approved", "state": "-1"}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeFailed, Execution: claim}, true,
			fields{"approval": "approved", "state": closed, "close_code": "unsuccessful", "close_notes": "Ended as Failed."},
		},
		"FinishedLongAgo": {
			"what the plan steps gave is not kept for ever, so nobody knows any more whether this is its change",
			fields{"approval": "approved", "state": "-1"}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeSucceeded, Execution: claim}, false,
			fields{"approval": "approved", "state": "-1"},
		},
		"DeniedLongAgo": {
			"nobody may do anything under a change of what was denied, whoever made it",
			fields{"approval": "requested"}, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeDenied, Planning: &v1alpha1.Planning{}}, false,
			fields{"approval": "rejected", "state": canceled, "work_notes": "Signoff: Denied"},
		},
		"Executing": {
			"the steps are not over",
			fields{"approval": "approved", "state": "-1"}, v1alpha1.ActionRequestStatus{Execution: claim}, true,
			fields{"approval": "approved", "state": "-1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides(t)
			tc.change["correlation_id"] = uid
			c, id := s.made(tc.change), ""
			if tc.planned {
				id = c.ID
			}
			s.run(request(uid, id, tc.status))
			got := fields{}
			s.call(http.MethodGet, nil, &got, c.ID)
			for _, field := range []string{"sys_id", "sys_created_on", "number", "active", "correlation_id", "correlation_display"} {
				delete(got, field)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOneChangeCounts: whoever can make a change can write the uid of any request into it.
func TestOneChangeCounts(t *testing.T) {
	executed := v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeSucceeded, Execution: &v1alpha1.ExecutionClaim{ID: "r"}}
	for name, tc := range map[string]struct {
		status    v1alpha1.ActionRequestStatus
		forgotten bool
	}{
		"Waiting": {}, "Denied": {status: v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeDenied}}, "Executed": {status: executed},
		// After retention.details the request does not say which change it had.
		"ExecutedLongAgo": {status: executed, forgotten: true},
	} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%t", name, first), func(t *testing.T) {
				s := newSides(t)
				asked := fields{"approval": "requested", "correlation_id": uid, "correlation_display": now}
				strange := fields{"approval": "approved", "correlation_id": uid, "correlation_display": now}
				var own, other *change
				if first {
					other, own = s.made(strange), s.made(asked)
				} else {
					own, other = s.made(asked), s.made(strange)
				}
				id, want := own.ID, other.Number+" does not count"
				if tc.forgotten {
					id, want = "", ""
				}
				if votes := s.run(request(uid, id, tc.status), approval("own", uid)); len(votes) > 0 {
					t.Errorf("it voted: %v", votes)
				}
				if !strings.Contains(s.said.String(), want) {
					t.Errorf("got %q, want %q", &s.said, want)
				}
				if s.call(http.MethodGet, nil, other, other.ID); other.Active != "true" || other.Approval != "approved" {
					t.Errorf("it has written to the other change: %+v", other)
				}
			})
		}
	}
}

// TestPass looks at every change of a request of this Action, however many there are, and at no other.
func TestPass(t *testing.T) {
	const many = 2*atOnce + 1
	s := newSides(t)
	var objects []client.Object
	for i := range many {
		uid := fmt.Sprintf("u-%d", i)
		c := s.made(fields{"approval": "requested", "correlation_id": uid})
		objects = append(objects, request(uid, c.ID, v1alpha1.ActionRequestStatus{}), approval(uid, uid))
	}
	others := []*change{s.made(fields{"approval": "requested", "correlation_id": "of another integration"}), s.made(fields{"approval": "requested", "correlation_id": "u-x"})}
	otherAction := request("u-x", others[1].ID, v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeDenied})
	otherAction.Spec.ActionRef.Name = "restart"
	notPlanned := request("u-y", "", v1alpha1.ActionRequestStatus{})
	others = append(others, s.made(fields{"approval": "requested", "correlation_id": "u-y"}))
	s.run(append(objects, otherAction, notPlanned, approval("y", "u-y"))...)
	if got := strings.Count(s.said.String(), "is asked about"); got != many {
		t.Errorf("it asked about %d of %d", got, many)
	}
	for _, c := range others {
		if s.call(http.MethodGet, nil, c, c.ID); c.Digest != "" || c.Active != "true" {
			t.Errorf("it has written to %+v", c)
		}
	}
}

// TestPassFails: a call that fails does not keep the others, and what people wait for is asked about first.
func TestPassFails(t *testing.T) {
	s := newSides(t)
	var objects []client.Object
	for i := range 3 * atOnce {
		// The first of them by name have ended.
		uid, status := fmt.Sprintf("u-%03d", i), v1alpha1.ActionRequestStatus{}
		if i < atOnce {
			status.Outcome = v1alpha1.OutcomeDenied
		}
		c := s.made(fields{"approval": "requested", "correlation_id": uid})
		objects = append(objects, request(uid, c.ID, status), approval(uid, uid))
	}
	// Of what was executed and does not say under which change, nobody needs to ask.
	objects = append(objects, request("u-x", "", v1alpha1.ActionRequestStatus{Outcome: v1alpha1.OutcomeSucceeded, Execution: &v1alpha1.ExecutionClaim{ID: "r"}}))
	lists, through := []string{}, s.changes.http.Transport
	s.changes.http.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			return through.RoundTrip(r)
		}
		if lists = append(lists, r.URL.Query().Get("sysparm_query")); len(lists) == 1 {
			return nil, errors.New("not now")
		}
		return through.RoundTrip(r)
	})
	s.cluster = cluster(t, objects...)
	if err := s.pass(t.Context()); err == nil {
		t.Error("it does not say that something is missing")
	}
	said := s.said.String()
	if asked, closed := strings.Count(said, "is asked about"), strings.Count(said, "is closed"); asked != atOnce || closed != atOnce || !strings.Contains(said, "not now") {
		t.Errorf("it asked about %d and closed %d of %d each:\n%s", asked, closed, atOnce, said)
	}
	if len(lists) != 3 || !strings.Contains(lists[2], "u-000") || strings.Contains(strings.Join(lists, ""), "u-x") {
		t.Errorf("got %v", lists)
	}
}

type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
